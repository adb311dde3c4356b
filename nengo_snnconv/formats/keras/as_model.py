"""as_model and inspect_keras, the public functions: read a Keras model, or report how its layers would be read."""

from __future__ import annotations

import os
import warnings
from typing import Any

from ..._util.user_warnings import warn_user
from ...errors import ConversionError, SnnConvError
from ...model import Model
from ..shared.finished_model import finished_model
from .compiled_loss import compile_config, with_compiled_loss
from .files import keras_file
from .live_layers import has_custom_call
from .model_reader import ModelReader
from .other_frameworks import describe_object


def as_model(source: Model | str | os.PathLike | Any, training: bool = False) -> Model:
    """Read a Keras model into a :class:`Model`; return a Model unchanged.

    Reading is exact: the Model computes the output of the Keras model at inference.  Only a softmax at the end is left
    out.  ``metadata["reading"]`` of the Model is the report of :func:`inspect_keras`.

    Parameters
    ----------
    source : Model, Keras model, str or path
        Sequential or functional model with a known input shape, of tf.keras, tf-keras or Keras 3; or the path of a
        ``.keras``, ``.h5`` or ``.hdf5`` file with such a model.
    training : bool
        Warn about properties that training will ignore, such as regularizers.

    Returns
    -------
    Model

    Raises
    ------
    ConversionError
        If a layer or one of its options is not supported.  The message names the first such layers, their classes and
        what to do instead; ``layer`` is the first of them.  :func:`inspect_keras` lists all.
    FileNotFoundError, FileFormatError
        If there is no such file; if it is damaged or is not a Keras file.
    """
    if isinstance(source, Model):
        return source
    reader, compiled = _read(source)
    model = with_compiled_loss(finished_model(reader, "Keras model"), compiled)
    if training:
        for note in reader.report.training_notes:
            warn_user(note)
    return model


def inspect_keras(source: Model | str | os.PathLike | Any) -> list[dict]:
    """Report how each layer of a Keras model would be read, without converting it.

    Parameters
    ----------
    source : Model, Keras model, str or path
        See :func:`as_model`.

    Returns
    -------
    list of dict
        One for each Keras layer, including those of nested models:

        - "layer": name.
        - "class": name of the class.
        - "status": "exact", "approximated", "refused" or "not checked" (the shape of its input is unknown).
        - "remark": reason for the status, and what to do instead.
        - "became": names of the specs that the layer is turned into.

    Raises
    ------
    ConversionError
        If ``source`` is not a Keras model with layers, or its input shape is unknown.
    FileNotFoundError, FileFormatError
        If there is no such file; if it is damaged or is not a Keras file.
    """
    if isinstance(source, Model):
        return source.metadata.get("reading", [])
    return list(_read(source)[0].report.rows.values())


def _read(source):
    """Return the ModelReader that has read a live model or a file, and the arguments of ``compile``, if any."""
    if not isinstance(source, str | os.PathLike):
        return ModelReader(_configuration(source), source), compile_config(source)
    config, model = keras_file.read_file(source)
    try:
        return ModelReader(config, model), config.get("compile_config")
    except (SnnConvError, MemoryError):
        raise
    except Exception as error:  # an invalid configuration can fail anywhere
        raise keras_file.damaged_file_error(source, error) from error


def _configuration(model):
    if not (hasattr(model, "get_config") and hasattr(model, "layers") and hasattr(model, "get_weights")):
        raise ConversionError(describe_object(model))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Keras warns about objects that cannot be saved, which are not needed here
            config = model.get_config()
    except (NotImplementedError, ValueError, TypeError) as error:
        raise ConversionError(f"the Keras model's configuration cannot be read: {error}") from error
    if has_custom_call(model) or not isinstance(config, dict) or "layers" not in config:
        raise ConversionError(
            f"{type(model).__name__} is a subclassed Keras model, whose layers cannot be read: "
            "make it a Sequential or functional model"
        )
    return config
