"""Execute the notebooks and keep their output: ``python notebooks/execute.py [NAME ...]``, or ``make notebooks``.

Warnings and execution times are removed from the output, and figures get a palette of 256 colors, so that the notebooks
stay small enough to be committed.
"""

import base64
import io
import pathlib
import sys
import tempfile

import nbclient
import nbformat
from PIL import Image

FOLDER = pathlib.Path(__file__).parent
COLORS = 256


def execute(path):
    """Execute a notebook in a temporary folder, and write it with its output."""
    notebook = nbformat.read(path, as_version=4)
    with tempfile.TemporaryDirectory() as folder:
        resources = {"metadata": {"path": folder}}
        nbclient.NotebookClient(notebook, timeout=1800, record_timing=False, resources=resources).execute()
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            cell.outputs = [clean(output) for output in cell.outputs if output.get("name") != "stderr"]
    nbformat.write(notebook, path)


def clean(output):
    """Return an output with a smaller figure, if it has one."""
    if "image/png" in output.get("data", {}):
        with Image.open(io.BytesIO(base64.b64decode(output.data["image/png"]))) as image:
            small = image.convert("RGB").quantize(COLORS, dither=Image.Dither.NONE)
        buffer = io.BytesIO()
        small.save(buffer, "png", optimize=True)
        output.data["image/png"] = base64.b64encode(buffer.getvalue()).decode()
    return output


def main(names):
    """Execute the named notebooks, by default all of them."""
    paths = {path.stem: path for path in sorted(FOLDER.glob("*.ipynb"))}
    names = [name.removesuffix(".ipynb") for name in names]
    if unknown := set(names) - set(paths):
        sys.exit(f"no notebook is named {', '.join(sorted(unknown))}: choose from {', '.join(paths)}")
    for name in names or paths:
        execute(paths[name])
        print(f"{paths[name].name}: {paths[name].stat().st_size / 1000:.0f} kB", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
