"""write_gui_script: the few lines that open a saved network in Nengo GUI, and their layout."""

import pathlib

from .._util.atomic import atomic_write
from .._util.validation import check_counts, check_paths, check_seed
from ..data.datasets import load_dataset
from ..errors import SettingsError
from ..model.input_range import UNIT, check_input_range, in_range, needed_range
from ..networks.network import ConvNetwork
from ..networks.storage import load
from .layout import layout
from .network import GuiNetwork

# Names go into it as Python literals only: those of files may hold anything
SCRIPT = '''\
"""Shows a network in Nengo GUI: start it with the command nengo and the name of this file."""

import nengo_snnconv as snc

network = snc.load({network!r}){reseeded}
data = snc.load_dataset({data!r}, train=1)  # only the test images are shown
model = snc.GuiNetwork(network, {images}, data.y_test, data.class_names, examples={examples!r})
'''


def write_gui_script(path, network_file, data="digits", *, examples=10, seed=None, input_range=None):
    """Write a script that opens a saved network in Nengo GUI, and beside it the layout that shows all at once.

    The script is started with ``nengo script.py``, and may be edited.  The layout is in a file of the same name with
    ``.cfg`` behind it, in which Nengo GUI also keeps what is moved by hand.

    Parameters
    ----------
    path : str or path
        Of the script, such as "digits.py".
    network_file : str or path
        What ``save`` wrote, of a network that ``convert`` or ``to_spiking`` made.
    data : str
        A data set of ``load_dataset``, whose test images are shown.
    examples : int
        Images of each class to choose from.
    seed : int, optional
        Of Poisson spikes and of what neuron types draw; that of the file by default.
    input_range : tuple of float, optional
        Smallest and largest pixel that the model was trained on; by default what its first layer asks for, else 0 and
        1.

    Raises
    ------
    SettingsError
        If there is such a script already, or its name does not end in .py; if the file holds no neurons, or the images
        do not fit.
    ConversionError
        If the network was made by ``build_trainable``.
    FileNotFoundError, FileFormatError, DatasetError
        If the network or the data cannot be read.
    """
    check_paths(path=path, network_file=network_file)
    check_counts(examples=examples)
    check_input_range(input_range)
    check_seed(seed, optional=True)
    path, network_file = pathlib.Path(path), pathlib.Path(network_file)
    layout_file = path.with_name(path.name + ".cfg")
    if path.suffix != ".py":
        raise SettingsError(f"{path} is no name for a script: let it end in .py")
    for file in (path, layout_file):
        if file.exists():
            raise SettingsError(f"{file} exists, and may hold work of yours: name another script, or remove it first")
    images, network = load_dataset(data, train=1), load(network_file)
    # GuiNetwork refuses what is no network
    wanted = needed_range(network.model, input_range) if isinstance(network, ConvNetwork) else UNIT
    model = GuiNetwork(network, in_range(images.x_test, wanted), images.y_test, images.class_names, examples)
    text = layout(model)
    code = SCRIPT.format(
        network=str(network_file.resolve()),
        reseeded="" if seed is None else f".rebuild(seed={int(seed)})",
        data=str(data),
        examples=int(examples),
        images=_images_in(wanted),
    )
    for file, content in ((layout_file, text), (path, code)):
        with atomic_write(file, "w") as opened:
            opened.write(content)


def _images_in(wanted):
    """Return the code that gives the test images in a range of pixels."""
    if wanted == UNIT:
        return "data.x_test"
    low, high = map(float, wanted)
    return f"{high - low!r} * data.x_test + {low!r}" if low else f"{high!r} * data.x_test"
