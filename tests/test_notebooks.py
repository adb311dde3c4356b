"""Notebooks run from top to bottom, on a small budget."""

import pathlib

import nbclient
import nbformat
import pytest

ROOT = pathlib.Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))

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
    for large in SMALL:
        assert any(large in cell.source for cell in notebook.cells), f"{path.name} has no {large!r} to make small"
    for cell in notebook.cells:
        for large, small in SMALL.items():
            cell.source = cell.source.replace(large, small)
    nbclient.NotebookClient(notebook, timeout=300, resources={"metadata": {"path": tmp_path}}).execute()
    shown = [output.data for cell in notebook.cells for output in cell.get("outputs", []) if "data" in output]
    pictures = [data for data in shown if data["text/plain"].startswith("<Figure")]
    assert pictures
    assert all("image/png" in data for data in pictures)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_is_committed_without_output(path):
    for cell in nbformat.read(path, as_version=4).cells:
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None
