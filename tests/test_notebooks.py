"""Every notebook runs from top to bottom, on a small budget, and is committed without output."""

import pathlib

import nbclient
import nbformat
import pytest

NOTEBOOKS = sorted((pathlib.Path(__file__).parents[1] / "notebooks").glob("*.ipynb"))

# what a notebook sets to the left is set to the right here, so that it runs in seconds
SMALL = {
    'load_dataset("digits")': 'load_dataset("digits", train=400, test=60)',
    "epochs = 8": "epochs = 1",
}


def test_there_are_notebooks():
    assert NOTEBOOKS


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_runs_from_top_to_bottom(path, tmp_path):
    notebook = nbformat.read(path, as_version=4)
    for small in SMALL:
        assert any(small in cell.source for cell in notebook.cells), f"{path.name} has no {small!r} to make small"
    for cell in notebook.cells:
        for large, small in SMALL.items():
            cell.source = cell.source.replace(large, small)
    nbclient.NotebookClient(notebook, timeout=300, resources={"metadata": {"path": tmp_path}}).execute()


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_is_committed_without_output(path):
    for cell in nbformat.read(path, as_version=4).cells:
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None
