"""The code in README and the documentation runs, in order, on a small budget."""

import functools

import documents
import pytest
from documents import Block, blocks_of, check_kinds, run

from nengo_snnconv.presets import presets

WITH_CODE = [path for path in documents.PAGES if any(f"```{kind}" in path.read_text("utf-8") for kind in documents.RUN)]


def name_of(path):
    return str(path.relative_to(documents.ROOT).with_suffix(""))


@pytest.mark.parametrize("path", documents.PAGES, ids=name_of)
def test_every_block_has_a_known_kind(path):
    check_kinds(blocks_of(path.read_text(encoding="utf-8")))


@pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"
)  # Keras 3
@pytest.mark.parametrize("path", WITH_CODE, ids=name_of)
def test_code_runs(path, tmp_path, monkeypatch):
    for package in documents.NEEDS.get(path.name, ()):
        pytest.importorskip(package, reason=f"the page needs the package {package}, which is not installed")
    monkeypatch.chdir(tmp_path)
    narrow = functools.partial(presets.PRESETS["airbench-cifar10"], widths=(8, 16, 16))
    monkeypatch.setitem(presets.PRESETS, "airbench-cifar10", narrow)
    assert run(path, blocks_of(path.read_text(encoding="utf-8")))


class TestHelpers:
    """The helpers find wrong blocks."""

    def test_blocks_of_a_page(self):
        page = "# Title\n\n```python\nx = 1\n```\n\n````{toctree} a.py\n```\n````\n  ```\n  y\n  ```\n"
        expected = [Block("python", "x = 1\n", 4), Block("{toctree}", "```\n", 8), Block("", "  y\n", 11)]
        assert blocks_of(page) == expected
        with pytest.raises(AssertionError, match="line 2 has no"):
            blocks_of("```python\nx = 1\n")

    @pytest.mark.parametrize("kind", ["", "bash", "py", "{code-block}"])
    def test_unknown_kinds(self, kind):
        with pytest.raises(AssertionError, match="line 7: .*of kind"):
            check_kinds([Block("python", "", 2), Block(kind, "", 7)])

    def test_blocks_run_in_order_and_errors_name_their_line(self):
        blocks = [Block("python", "x = [1]\n", 3), Block("text", "nonsense\n", 5), Block("python", "x[1]\n", 9)]
        with pytest.raises(IndexError) as error:
            run("page.md", blocks)
        assert error.traceback[-1].lineno == 8  # counted from 0
        assert run("page.md", [blocks[0], Block("python", "y = x + [2]\n", 9)])["y"] == [1, 2]

    def test_small_code(self):
        code = 'data = snc.load_dataset("cifar-10")\nepochs = 8\nf(x[:1500], y[:12], epochs=30)'
        expected = 'data = snc.load_dataset("digits", train=400, test=60)\nepochs = 1\nf(x[:60], y[:12], epochs=1)'
        assert documents.small(code) == expected

    @pytest.mark.parametrize(
        "command",
        [
            "nengo-snnconv evaluate missing.npz",
            "make dem",
            "make demo PYTON=python3",
            "pip install .[speed]",
            "pip instal .",
            "pip install --constraint constraints/3.8.txt .",
            "python benchmarks/missing.py",
            "conda install x",
        ],
    )
    def test_commands_that_cannot_work(self, command, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        with pytest.raises(AssertionError):
            documents.run_command(command)

    @pytest.mark.parametrize("command", ["nengo-snnconv train --preset", "nengo-snnconv fly"])
    def test_wrong_usage(self, command):
        with pytest.raises(SystemExit):
            documents.run_command(command)

    def test_commands_that_can(self):
        for command in ("make demo PYTHON=python3.13  # a comment", 'pip install "setuptools<82" .[test]', "# nothing"):
            documents.run_command(command)
