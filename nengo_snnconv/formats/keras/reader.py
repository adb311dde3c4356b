"""as_model and inspect_keras: walk over a Keras model, make specs of its layers, and report what became of each."""

import os
import warnings

from ...errors import ConversionError, ModelError, SnnConvError, SnnConvWarning, listed
from ...model import Model
from . import files
from .foreign import describe_object
from .live import has_own_call
from .walk import Walk


def as_model(source, training=False):
    """``source`` as a Model: unchanged if it is one, else read from Keras.

    Reading is exact: apart from a softmax at the end, which is left out, the model computes what Keras does at
    inference.  ``metadata["reading"]`` of the model says what became of each layer, as :func:`inspect_keras` does.

    Parameters
    ----------
    source : Model, Keras model, str or path
        Sequential or functional, built (its input shape known), of tf.keras, tf-keras or Keras 3; or a ``.keras``,
        ``.h5`` or ``.hdf5`` file of one of them.
    training : bool
        Whether the model is going to be trained: warns about what training will not heed, such as regularizers.

    Returns
    -------
    Model

    Raises
    ------
    ConversionError
        If a layer or one of its options is not supported; names the first such layers, their class and what to do
        instead.  :func:`inspect_keras` has all of them.
    FileNotFoundError, FileFormatError
        If there is no such file; if it is damaged, or no file of Keras.
    """
    if isinstance(source, Model):
        return source
    walk = _read(source)
    refused = walk.report.refused()
    if refused:
        raise ConversionError(refused)
    if walk.output is None:
        unknown = [row["layer"] for row in walk.report.rows.values() if row["status"] == "not checked"]
        raise ConversionError(
            f"the Keras model's output cannot be told from its layers {listed(unknown)}: build it anew"
        )
    if training:
        for note in walk.report.notes:
            warnings.warn(note, SnnConvWarning, stacklevel=3)
    try:
        return walk.build.model(walk.output, {"reading": list(walk.report.rows.values())})
    except ModelError as error:
        raise ConversionError(f"the Keras model cannot be read: {error}") from error


def inspect_keras(source):
    """What would become of each layer of a Keras model: a report before anything is converted.

    Parameters
    ----------
    source : Model, Keras model, str or path
        As for :func:`as_model`.

    Returns
    -------
    list of dict
        One for each Keras layer, those of nested models included: "layer", its name; "class"; "status", which is
        "exact", "approximated", "refused" or "not checked" (the shape of what it reads is not known); "remark", which
        says why, and what to do instead; "became", the names of the specs made of it.

    Raises
    ------
    ConversionError
        If ``source`` is no Keras model with layers, or its input shape is not known.
    FileNotFoundError, FileFormatError
        If there is no such file; if it is damaged, or no file of Keras.
    """
    if isinstance(source, Model):
        return source.metadata.get("reading", [])
    return list(_read(source).report.rows.values())


def _read(source):
    if isinstance(source, str | os.PathLike):
        config, model = files.stored_model(source)
        try:
            return Walk(config, model)
        except (SnnConvError, MemoryError):
            raise
        except Exception as error:  # a configuration that is none of Keras can fail in any way
            raise files.damaged(source, error) from error
    return Walk(_configuration(source), source)


def _configuration(model):
    if not (hasattr(model, "get_config") and hasattr(model, "layers") and hasattr(model, "get_weights")):
        raise ConversionError(describe_object(model))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of Keras, about writing what is not written here
            config = model.get_config()
    except (NotImplementedError, ValueError, TypeError) as error:
        raise ConversionError(f"the Keras model's configuration cannot be read: {error}") from error
    if has_own_call(model) or not isinstance(config, dict) or "layers" not in config:
        raise ConversionError(
            f"{type(model).__name__} is a subclassed Keras model, whose layers cannot be read: "
            "make it a Sequential or functional model"
        )
    return config
