"""with_levels: a Keras model with QCFS layers in place of rectifiers."""

from __future__ import annotations

import copy
import typing

import numpy as np

from ...compat import tf
from ...conversion.histograms import Histogram
from ...errors import SettingsError
from ...neurons.qcfs import QCFS, SMALLEST_THRESHOLD

# images, and values of each layer in a batch, from which thresholds are chosen
IMAGES, VALUES_PER_BATCH, BATCH = 500, 10_000, 50
QCFS_CLASS = "nengo_snnconv>QCFS"


def with_levels(model: tf.keras.Model, levels: int, x: np.ndarray, seed: int = 0) -> tf.keras.Model:
    """Return a copy of a Keras model with :class:`QCFS` layers in place of its rectifiers.

    The threshold of each layer is the one with the least squared error of the activations.  Layers that are QCFS
    already keep their thresholds.

    Parameters
    ----------
    model : tf.keras.Model
        Model of layers; not of nested models.
    levels : int
        Number of values above 0.
    x : ndarray, (images, height, width, channel)
        Training images.
    seed : int
        Seed of the choice of images.

    Returns
    -------
    tf.keras.Model
        Functional model.  Layers keep their names; an activation that was an argument of "conv1" becomes a layer
        "conv1_qcfs".

    Raises
    ------
    SettingsError
        If the model has no rectifiers, or nested models.
    """
    functional = tf.keras.Model(model.inputs, model.outputs, name=model.name)
    config = copy.deepcopy(functional.get_config())
    if any("layers" in entry["config"] for entry in config["layers"]):
        raise SettingsError("levels needs a model without nested models: build it of single layers", argument="levels")
    kinds = {entry["name"]: _rectifier_kind(entry) for entry in config["layers"]}
    if not any(kinds.values()):
        raise SettingsError(
            'levels needs a model with rectifiers, such as activation="relu" or tf.keras.layers.ReLU()',
            argument="levels",
        )
    new = [name for name, kind in kinds.items() if kind in ("layer", "argument")]
    thresholds = _best_thresholds(functional, new, levels, x, seed)
    renamed = {name: _free_name(f"{name}_qcfs", kinds) for name, kind in kinds.items() if kind == "argument"}
    entries: list[dict] = []
    for entry in config["layers"]:
        kind, name = kinds[entry["name"]], entry["name"]
        if kind == "argument":
            entry["config"]["activation"] = "linear"
            calls = range(len(entry["inbound_nodes"]))
            own_calls = [[[name, i, 0, {}]] for i in calls]
            entries += [entry, _qcfs_entry(renamed[name], levels, thresholds[name], own_calls)]
        elif kind == "layer":
            entries.append(_qcfs_entry(name, levels, thresholds[name], _plain_calls(entry["inbound_nodes"])))
        else:
            if kind == "qcfs":
                entry["config"]["levels"] = levels
            entries.append(entry)
    for entry in entries:
        if entry["name"] not in renamed.values():
            entry["inbound_nodes"] = _redirected(entry["inbound_nodes"], renamed)
    outputs = _redirected(config["output_layers"], renamed)
    result = tf.keras.Model.from_config({**config, "layers": entries, "output_layers": outputs}, {QCFS_CLASS: QCFS})
    for name, kind in kinds.items():
        if kind != "layer":
            result.get_layer(name).set_weights(functional.get_layer(name).get_weights())
    return result


def _rectifier_kind(entry):
    """Return what a layer of a configuration is: "layer", a rectifier; "argument", it has one; "qcfs"; or ""."""
    config = entry["config"]
    if entry.get("registered_name") == QCFS_CLASS or entry["class_name"] == QCFS_CLASS:
        return "qcfs"
    if entry["class_name"] == "ReLU":
        return "" if config.get("negative_slope") or config.get("threshold") else "layer"
    if entry["class_name"] == "TFOpLambda":
        return "layer" if config.get("function") in ("nn.relu", "nn.relu6") else ""
    if config.get("activation") in ("relu", "relu6"):
        return "layer" if entry["class_name"] == "Activation" else "argument"
    return ""


def _free_name(name, taken):
    while name in taken:
        name += "_"
    return name


def _qcfs_entry(name, levels, threshold, inbound_nodes):
    config = QCFS(levels, threshold, name=name).get_config()
    return {"class_name": QCFS_CLASS, "config": config, "name": name, "inbound_nodes": inbound_nodes}


def _plain_calls(inbound_nodes):
    """Return the calls of a layer without arguments; those of functions are [name, node, tensor, arguments]."""
    calls = [node if isinstance(node[0], list) else [node] for node in inbound_nodes]
    return [[[*reference[:3], {}] for reference in call] for call in calls]


def _redirected(value: typing.Any, renamed: dict[str, str]) -> typing.Any:
    """Return references to layers, lists that begin with [name, node, tensor], with names replaced."""
    if isinstance(value, dict):
        return {key: _redirected(item, renamed) for key, item in value.items()}
    if not isinstance(value, list | tuple):
        return value
    items = [_redirected(item, renamed) for item in value]
    is_reference = len(items) >= 3 and isinstance(items[0], str) and all(isinstance(i, int) for i in items[1:3])
    return [renamed.get(items[0], items[0]), *items[1:]] if is_reference else items


def _best_thresholds(model, names, levels, x, seed):
    """Return the threshold of each layer with the least squared error of its output."""
    if not names:
        return {}
    rng = np.random.default_rng(seed)
    chosen = x[np.sort(rng.permutation(len(x))[:IMAGES])]
    outputs = tf.keras.Model(model.inputs, [model.get_layer(name).get_output_at(0) for name in names])
    histogram = Histogram(len(names))
    for first in range(0, len(chosen), BATCH):
        results = outputs(chosen[first : first + BATCH])
        for number, result in enumerate(results if len(names) > 1 else [results]):
            values = np.asarray(result).ravel()
            sample = rng.choice(values, min(len(values), VALUES_PER_BATCH), replace=False)
            histogram.add(sample[None], np.full(len(sample), number))
    # layers that are never active get the threshold 1
    thresholds = [max(float(best), SMALLEST_THRESHOLD) if best else 1.0 for best in histogram.best_threshold(levels)]
    return dict(zip(names, thresholds, strict=True))
