"""The command show: what a file contains."""

import dataclasses
import pathlib

from .._util.text_tables import summary_line
from .files import check_distinct
from .options import add_command


def add_show(commands):
    """Add the command show."""
    description = "Print the layers and settings of a network or model file, without running it."
    parser = add_command(commands, "show", show, "print what a network or model file contains", description)
    parser.add_argument("file", type=pathlib.Path, help="file of nengo_snnconv or NIR, or a Keras or ONNX model")


def show(options):
    """Run the command show, and return its results."""
    from .. import ConvNetwork, as_model, load, read_nir

    check_distinct(options, file=options.file, json=options.json)
    path = options.file
    readers = {".nir": read_nir, ".npz": load}
    found = readers.get(path.suffix, as_model)(path)
    network = found if isinstance(found, ConvNetwork) else None
    model = found if network is None else network.model
    layers = {name: list(shape) for name, shape in model.shapes.items()}
    results = {"command": "show", "file": str(path), "layers": layers}
    print(summary_line(path.name, f"a {'model' if network is None else 'network'}: {repr(found)[1:-1]}"))
    if network is not None:
        results["settings"] = {
            field.name: str(getattr(network.settings, field.name)) for field in dataclasses.fields(network.settings)
        }
        for name, value in {"made by": network.settings.builder_name, **results["settings"]}.items():
            print(summary_line(name, value))
    for name in ("normalization", "training"):
        if name in model.metadata:
            print(summary_line(name, model.metadata[name]))
    print()
    print(model.summary() if network is None else network.report())
    return results
