"""write_gui_script: write a short script that opens a saved network in Nengo GUI, and its layout."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Sequence
from typing import Any

from .._util.atomic import atomic_write
from .._util.validation import check_counts, check_paths, check_seed, shown
from ..data.datasets import load_dataset
from ..data.files import is_path
from ..errors import SettingsError
from ..model.input_range import UNIT, check_input_range, in_range, needed_range
from ..networks.network import ConvNetwork
from ..networks.storage import load
from .layout import layout
from .network import GuiNetwork

# names are inserted as Python literals only, since file names can contain any text
SCRIPT = '''\
"""Shows a network in Nengo GUI: start it with the command nengo and the name of this file."""

import nengo_snnconv as snc

network = snc.load({network!r}){reseeded}
data = snc.load_dataset({data})  # only the test images are shown
model = snc.GuiNetwork(network, {images}, data.y_test, {class_names}, examples={examples!r})
'''


def write_gui_script(
    path: str | os.PathLike,
    network_file: str | os.PathLike,
    data: str | os.PathLike = "digits",
    *,
    examples: int = 10,
    seed: int | None = None,
    input_range: tuple[float, float] | None = None,
    scale: float | None = None,
    class_names: Sequence[str] | None = None,
) -> None:
    """Write a script that opens a saved network in Nengo GUI, with a layout that shows all components at once.

    Start the script with ``nengo script.py``; it may be edited.  The layout is in a second file, whose name has the
    suffix ``.cfg`` added; Nengo GUI also saves changes by hand in it.

    Parameters
    ----------
    path : str or path
        The script to write, such as "digits.py".
    network_file : str or path
        File that ``save`` wrote, of a network made by ``convert``, ``to_spiking`` or ``to_ttfs``.
    data : str or path
        Name of a data set, or the path of your own images, see ``load_dataset``; the test images are shown.
    examples : int
        Number of images of each class to choose from.
    seed : int, optional
        Seed of Poisson spikes and of random neuron parameters; that of the file by default.
    input_range : tuple of float, optional
        Smallest and largest pixel value that the model was trained on; by default the range that its first layer
        expects, else (0, 1).
    scale : float, optional
        Number by which the pixels of your own images are divided, see ``load_dataset``.
    class_names : sequence of str, optional
        Names of the classes; by default those of the data.

    Raises
    ------
    SettingsError
        If the script exists already, or its name does not end in .py; if the file has no network of neurons, or the
        images do not fit it.
    ConversionError
        If the network has several inputs or outputs.
    FileNotFoundError, FileFormatError, DatasetError
        If the network or the data cannot be read.
    """
    check_paths(path=path, network_file=network_file)
    check_counts(examples=examples)
    check_input_range(input_range)
    check_seed(seed, optional=True)
    is_sequence = isinstance(class_names, list | tuple)
    if class_names is not None and not (is_sequence and all(isinstance(name, str) for name in class_names)):
        raise SettingsError(
            f"class_names must be a sequence of names, got {shown(class_names)}", argument="class_names"
        )
    path, network_file = pathlib.Path(path), pathlib.Path(network_file)
    layout_file = path.with_name(path.name + ".cfg")
    _check_new_files(path, layout_file)
    loading: dict[str, Any] = {"train": 1} if scale is None else {"train": 1, "scale": scale}
    images = None if is_path(data) else load_dataset(data, **loading)
    network: Any = load(network_file)  # GuiNetwork raises an error for a Model
    if images is None:
        data = str(pathlib.Path(data).expanduser().resolve())
        if isinstance(network, ConvNetwork):
            loading["shape"] = network.model.shapes[network.model.input]
        images = load_dataset(data, **loading)
    if images.y_test is None:
        raise SettingsError(
            f"{images.name} has no labels, by which the sliders choose images: put pictures into a subfolder for each "
            "class",
            argument="data",
        )
    names = images.class_names if class_names is None else class_names
    in_unit = images.pixel_range is None or not isinstance(network, ConvNetwork)
    pixel_range = UNIT if in_unit else needed_range(network.model, input_range)
    model = GuiNetwork(network, in_range(images.x_test, pixel_range), images.y_test, names, examples)
    text = layout(model)
    code = SCRIPT.format(
        network=str(network_file.resolve()),
        reseeded="" if seed is None else f".rebuild(seed={int(seed)})",
        data=_call_arguments(str(data), loading),
        examples=int(examples),
        images=_images_code(pixel_range),
        class_names="data.class_names" if class_names is None else repr(tuple(map(str, class_names))),
    )
    for file, content in ((layout_file, text), (path, code)):
        with atomic_write(file, "w") as opened:
            opened.write(content)


def _call_arguments(name, options):
    """Return the arguments of ``load_dataset`` as code."""
    return ", ".join([repr(name), *(f"{key}={value!r}" for key, value in options.items())])


def _check_new_files(script, layout_file):
    """Check that the script has the suffix .py, and that neither file exists."""
    if script.suffix != ".py":
        raise SettingsError(f"path must end in .py, got {script}", argument="path")
    for file in (script, layout_file):
        if file.exists():
            raise SettingsError(
                f"{file} exists and is not overwritten: choose another path, or remove it first", argument="path"
            )


def _images_code(pixel_range):
    """Return an expression for the test images, scaled to a range of pixel values."""
    if pixel_range == UNIT:
        return "data.x_test"
    low, high = map(float, pixel_range)
    return f"{high - low!r} * data.x_test + {low!r}" if low else f"{high!r} * data.x_test"
