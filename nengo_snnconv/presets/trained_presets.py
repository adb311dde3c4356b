"""pretrained: Keras models with trained weights, which are part of the package."""

from __future__ import annotations

import pathlib

import numpy as np

from .._util.validation import shown
from ..compat import tf
from ..errors import FileFormatError, SettingsError
from .presets import preset

FOLDER = pathlib.Path(__file__).with_name("weights")
# input shape of each network
PRETRAINED = {"airbench-cifar10": (32, 32, 3), "resnet14-cifar10": (32, 32, 3)}


def pretrained(name: str) -> tf.keras.Model:
    """Return a trained Keras model by name, without a download.

    Models are trained by :func:`nengo_snnconv.train_cnn` on the training images of CIFAR-10; their weights are stored
    in half precision.  ``benchmarks/pretrained.py`` in the source folder trains them again.

    Parameters
    ----------
    name : "airbench-cifar10" or "resnet14-cifar10"
        "airbench-cifar10" is a plain network of 7 convolutions with max pooling; "resnet14-cifar10" has six residual
        blocks and no max pooling.  They classify 94.1 % and 92.1 % of the test images of CIFAR-10.

    Returns
    -------
    tf.keras.Model
        Model for images (32, 32, 3) with pixels in [0, 1], whose outputs are the logits of the ten classes.

    Raises
    ------
    SettingsError
        If there is no such model.
    FileFormatError
        If the file of its weights is damaged or missing.

    Examples
    --------
    >>> network = snc.convert(snc.pretrained("airbench-cifar10"))
    """
    if not isinstance(name, str) or name not in PRETRAINED:
        raise SettingsError(
            f"there is no pretrained model {shown(name)}; there are {', '.join(PRETRAINED)}", argument="name"
        )
    model = preset(name, PRETRAINED[name])
    path = FOLDER / f"{name}.npz"
    try:
        with np.load(path, allow_pickle=False) as arrays:
            model.set_weights([arrays[str(i)].astype(np.float32) for i in range(len(model.weights))])
    except (OSError, ValueError, KeyError, EOFError) as error:
        raise FileFormatError(f"{path} is damaged or missing ({error}): install nengo_snnconv again") from error
    return model


def write_pretrained(name: str, model: tf.keras.Model, folder: pathlib.Path = FOLDER) -> None:
    """Write the weights of a trained model in half precision, as :func:`pretrained` reads them.

    Parameters
    ----------
    name : str
    model : tf.keras.Model
        Model with the layers of ``preset(name)``.
    folder : path
        Folder for the file.
    """
    from .._util.atomic import atomic_write

    folder.mkdir(exist_ok=True)
    with atomic_write(folder / f"{name}.npz") as file:
        np.savez_compressed(file, **{str(i): a.astype(np.float16) for i, a in enumerate(model.get_weights())})
