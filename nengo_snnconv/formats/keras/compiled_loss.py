"""with_compiled_loss: what the loss of a compiled Keras model tells about its outputs."""

from __future__ import annotations

import math
import warnings
from typing import Any

from ...model import Model

# losses by their names without underscores, in lower case
OF_VALUES = {
    "mse",
    "mae",
    "mape",
    "msle",
    "meansquarederror",
    "meanabsoluteerror",
    "meanabsolutepercentageerror",
    "meansquaredlogarithmicerror",
    "rootmeansquarederror",
    "huber",
    "huberloss",
    "logcosh",
}
OF_CLASSES = {
    "sparsecategoricalcrossentropy",
    "categoricalcrossentropy",
    "categoricalfocalcrossentropy",
    "categoricalhinge",
    "kldivergence",
}
# with from_logits=True, so that the sigmoid is in the loss
OF_LABELS = {"binarycrossentropy", "binaryfocalcrossentropy"}


def compile_config(model: Any) -> Any:
    """Return the arguments with which a live Keras model was compiled, as in its file; None if they are not known."""
    if not hasattr(model, "get_compile_config"):
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Keras warns about functions that cannot be saved, which are not needed
            return model.get_compile_config()
    except Exception:  # of losses and optimizers of users; the loss is a hint only
        return None


def with_compiled_loss(model: Model, config: Any) -> Model:
    """Return the model with what its outputs were trained for, and the weights of their losses, in its metadata.

    Parameters
    ----------
    model : Model
    config : object
        Arguments of ``compile``, from a live model or from a file; what is not understood is ignored.

    Returns
    -------
    Model
        Model with ``metadata["targets"]``, "values", "classes" or "labels", if the loss is known; of several outputs,
        ``metadata["outputs"]`` has "targets" and "loss_weight" of each.
    """
    if not isinstance(config, dict):
        return model
    outputs = list(model.outputs)
    losses, weights = (_by_output(config.get(name), outputs) for name in ("loss", "loss_weights"))
    targets = {name: _targets_of(losses.get(name)) for name in outputs}
    if len(outputs) == 1:
        found = {"targets": targets[outputs[0]]}
        return model.replace(metadata={**model.metadata, **_known(found)})
    declared = [
        {**port, **_known({"targets": targets[port["name"]], "loss_weight": _weight(weights.get(port["name"]))})}
        for port in model.metadata["outputs"]
    ]
    return model.replace(metadata={**model.metadata, "outputs": declared})


def _known(values):
    return {name: value for name, value in values.items() if value is not None}


def _by_output(given, outputs):
    """Return what ``compile`` got as a dict or list by output, or as one value for all of them, by name."""
    if isinstance(given, dict) and "class_name" not in given:
        # the only output may have another name, that of its layer
        return dict.fromkeys(outputs, *given.values()) if len(given) == len(outputs) == 1 else given
    if isinstance(given, list | tuple):
        return dict(zip(outputs, given, strict=False))
    return dict.fromkeys(outputs, given)


def _targets_of(loss):
    """Return what a loss is for, from its name or its configuration: "values", "classes", "labels" or None."""
    from_logits = False
    if isinstance(loss, dict):
        config = loss.get("config")
        from_logits = isinstance(config, dict) and config.get("from_logits") is True
        loss = loss.get("config") if loss.get("class_name") == "function" else loss.get("class_name")
    if not isinstance(loss, str):
        return None
    name = loss.rpartition(">")[2].replace("_", "").lower()
    if name in OF_LABELS and from_logits:
        return "labels"
    return "values" if name in OF_VALUES else "classes" if name in OF_CLASSES else None


def _weight(value):
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number and 0 <= value < math.inf else None
