"""Notebooks run from top to bottom on a small budget, and are committed with their output."""

import base64
import pathlib

import nbclient
import nbformat
import pytest

ROOT = pathlib.Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))

# replacements that make notebooks run in seconds: of most notebooks, and of the one on CIFAR-10
SMALL = {
    'load_dataset("digits")': 'load_dataset("digits", train=400, test=60)',
    "epochs = 8": "epochs = 1",
}
CIFAR10 = "07-cifar10-in-four-steps"
SMALL_CIFAR10 = {'"cifar-10", test=1000': '"cifar-10", test=60', "[:500]": "[:60]", "[:200]": "[:40]", "[:50]": "[:20]"}


def test_there_are_notebooks():
    assert NOTEBOOKS


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_runs_from_top_to_bottom(path, tmp_path, request):
    notebook, replacements = nbformat.read(path, as_version=4), SMALL
    if path.stem == CIFAR10:
        folder = request.getfixturevalue("data_folder")  # skips without one
        if not (pathlib.Path(folder) / "cifar-10-batches-bin").exists():
            pytest.skip("NENGO_SNNCONV_DATA has no CIFAR-10")
        replacements = SMALL_CIFAR10
    for large in replacements:
        assert any(large in cell.source for cell in notebook.cells), f"{path.name} does not contain {large!r}"
    for cell in notebook.cells:
        for large, small in replacements.items():
            cell.source = cell.source.replace(large, small)
    nbclient.NotebookClient(notebook, timeout=300, resources={"metadata": {"path": tmp_path}}).execute()
    shown = [output.data for cell in notebook.cells for output in cell.get("outputs", []) if "data" in output]
    pictures = [data for data in shown if data["text/plain"].startswith("<Figure")]
    assert pictures
    assert all("image/png" in data for data in pictures)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_is_committed_with_its_output(path):
    """``make notebooks`` renews the output."""
    cells = [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    outputs = [output for cell in cells for output in cell.outputs]
    pictures = [output.data["image/png"] for output in outputs if "image/png" in output.get("data", {})]
    assert pictures
    assert max(len(base64.b64decode(picture)) for picture in pictures) < 100_000
    assert not [output for output in outputs if output.output_type == "error" or output.get("name") == "stderr"]
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
