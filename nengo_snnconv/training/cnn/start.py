"""load_start: a trained Keras model to continue with, from a file or of the package."""

from __future__ import annotations

import pathlib

from ...compat import tf
from ...errors import ConversionError
from ...formats.keras import as_model
from ...presets import PRETRAINED, pretrained


def load_start(source: str) -> tf.keras.Model:
    """Return a pretrained model by its name, or the model of a ``.keras`` or ``.h5`` file.

    Raises
    ------
    ConversionError
        If the model has layers that cannot be converted, of which some would execute code from the file; or if it is
        of Keras 3.
    FileNotFoundError, FileFormatError
        If the file does not exist, or is not a Keras model.
    """
    if source in PRETRAINED and not pathlib.Path(source).exists():
        return pretrained(source)
    as_model(source)
    try:
        return tf.keras.models.load_model(source, compile=False)
    except (ValueError, TypeError, KeyError, AttributeError, ImportError) as error:
        raise ConversionError(
            f"tf.keras cannot load {source} ({str(error)[:200]}): save the model with tf.keras, not with Keras 3"
        ) from error
