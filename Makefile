# Two commands for a fresh machine: make demo, make test.  PYTHON chooses the interpreter: 3.10 to 3.13.
PYTHON ?= python3
SHELL := bash
PYTHONS := 3.10 3.11 3.12 3.13

# where pyenv has a version installed but not selected, its own shim cannot start it
PYTHON_PATH := $(shell $(PYTHON) -c 'import sys; print(sys.executable)' 2>/dev/null || \
	ls -d $${PYENV_ROOT:-$$HOME/.pyenv}/versions/*/bin/$(PYTHON) 2>/dev/null | tail -n 1)
VERSION := $(shell $(PYTHON_PATH) -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)
VENV ?= .venv/$(VERSION)
BIN := $(VENV)/bin
PIP = $(BIN)/python -m pip install --quiet $(addprefix --constraint ,$(CONSTRAINTS))

# versions that were tested together; "make test CONSTRAINTS=" takes the newest that setup.cfg allows, and
# "make test CONSTRAINTS=constraints/oldest.txt VENV=.venv/oldest" the oldest
CONSTRAINTS ?= $(wildcard constraints/$(VERSION).txt)

.PHONY: demo test test-fast test-all lint docs constraints renew wheelhouse clean python

demo: $(VENV)/installed
	$(BIN)/nengo-snnconv demo

# files in the order of tests/conftest.py, not by their numbers of tests
test: $(VENV)/installed-test lint
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

# what to run while working: without the tests that tests/conftest.py marks as slow
test-fast: $(VENV)/installed-test
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder -m "not slow"

# the tests on each Python that is installed
test-all:
	@failed=; for version in $(PYTHONS); do \
	  if ! $(MAKE) --silent python PYTHON=python$$version 2>/dev/null; then echo "Python $$version: not installed, left out"; \
	  elif ! $(MAKE) test PYTHON=python$$version; then failed="$$failed $$version"; fi; \
	done; test -z "$$failed" || { echo "the tests failed on Python$$failed"; exit 1; }

lint: $(VENV)/installed-test
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

docs: $(VENV)/installed-test
	$(BIN)/sphinx-build -W -q docs docs/_build
	@echo "docs/_build/index.html"

.PHONY: figures notebooks
# the figures of the documentation, which are committed beside the scripts that draw them
figures: $(VENV)/installed
	$(BIN)/python docs/figures/make_figures.py
	$(BIN)/python docs/figures/rooms.py

# the output of the notebooks, which is committed
notebooks: $(VENV)/installed-test
	$(BIN)/python notebooks/execute.py

# for each Python that is installed, the newest versions that setup.cfg allows, where the tests pass with them
constraints:
	@failed=; for version in $(PYTHONS); do \
	  if ! $(MAKE) --silent python PYTHON=python$$version 2>/dev/null; then echo "Python $$version: not installed, left out"; continue; fi; \
	  rm -rf .venv/newest-$$version; \
	  $(MAKE) renew PYTHON=python$$version VENV=.venv/newest-$$version CONSTRAINTS= || failed="$$failed $$version"; \
	done; test -z "$$failed" || { echo "left as they were, because the tests failed: Python$$failed"; exit 1; }

renew: test
	@{ echo "# versions that passed the tests together on Python $(VERSION); make constraints renews them"; \
	  $(BIN)/python -m pip freeze --exclude-editable; } > constraints/$(VERSION).txt
	@echo "wrote constraints/$(VERSION).txt"

# a folder of wheels from which a machine without internet installs: docs/how-to/install.md
wheelhouse: $(VENV)/installed
	$(BIN)/python -m pip wheel --quiet $(addprefix --constraint ,$(CONSTRAINTS)) --wheel-dir wheelhouse .
	@echo "python -m pip install --no-index --find-links wheelhouse nengo_snnconv"

clean:
	rm -rf .venv docs/_build build wheelhouse *.egg-info

python:
	@test -n "$(VERSION)" || { echo "$(PYTHON) was not found: install Python 3.10 to 3.13, or make ... PYTHON=python3.11" >&2; exit 1; }
	@$(PYTHON_PATH) -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] < (3, 14))' || \
	  { echo "Python $(VERSION) is not supported, 3.10 to 3.13 are: make ... PYTHON=python3.11" >&2; exit 1; }

# nengo-dl comes before everything else, because its own build fails in isolation: setup.py says why
$(VENV)/nengo-dl: | python
	$(PYTHON_PATH) -m venv $(VENV)
	@echo "installing into $(VENV): about 2 GB, some minutes; then, for commands of your own: source $(BIN)/activate"
	$(PIP) "setuptools<82" wheel
	$(PIP) --no-build-isolation nengo-dl==3.6.0
	@touch $@

$(VENV)/installed: $(VENV)/nengo-dl setup.cfg setup.py pyproject.toml $(CONSTRAINTS)
	$(PIP) --editable .
	@touch $@

# the tests build the documentation, too
$(VENV)/installed-test: $(VENV)/nengo-dl setup.cfg setup.py pyproject.toml $(CONSTRAINTS)
	$(PIP) --editable ".[test,docs]"
	@touch $@ $(VENV)/installed
