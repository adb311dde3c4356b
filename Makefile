# Two commands for a fresh machine: make demo, make test.  PYTHON chooses the interpreter: 3.10 to 3.13.
PYTHON ?= python3
SHELL := bash

# where pyenv has a version installed but not selected, its own shim cannot start it
PYTHON_PATH := $(shell $(PYTHON) -c 'import sys; print(sys.executable)' 2>/dev/null || \
	ls -d $${PYENV_ROOT:-$$HOME/.pyenv}/versions/*/bin/$(PYTHON) 2>/dev/null | tail -n 1)
VERSION := $(shell $(PYTHON_PATH) -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)
VENV ?= .venv/$(VERSION)
BIN := $(VENV)/bin

.PHONY: demo test lint docs clean

demo: $(VENV)/installed
	$(BIN)/nengo-snnconv demo

# files in the order of tests/conftest.py, not by their numbers of tests
test: $(VENV)/installed-test lint
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

lint: $(VENV)/installed-test
	$(BIN)/ruff check
	$(BIN)/ruff format --check

docs: $(VENV)/installed-test
	$(BIN)/sphinx-build -W -q docs docs/_build
	@echo "docs/_build/index.html"

clean:
	rm -rf .venv docs/_build build *.egg-info

$(VENV)/bin/python:
	@test -n "$(VERSION)" || { echo "$(PYTHON) was not found: install Python 3.10 to 3.13, or make ... PYTHON=python3.11"; exit 1; }
	@$(PYTHON_PATH) -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] < (3, 14))' || \
	  { echo "Python $(VERSION) will not do, it takes 3.10 to 3.13: make ... PYTHON=python3.11"; exit 1; }
	$(PYTHON_PATH) -m venv $(VENV)

$(VENV)/installed: $(VENV)/bin/python setup.cfg setup.py pyproject.toml
	@echo "installing into $(VENV): about 2 GB, some minutes; then, for commands of your own: source $(BIN)/activate"
	$(BIN)/python -m pip install --quiet --editable .
	touch $@

# the tests build the documentation, too
$(VENV)/installed-test: $(VENV)/bin/python setup.cfg setup.py pyproject.toml
	$(BIN)/python -m pip install --quiet --editable ".[test,docs]"
	touch $@ $(VENV)/installed
