"""Entries of a Keras configuration: the name, the class and the origin of a layer.

An entry is a dict with "class_name", "config" and, in newer files, "module" and "registered_name".
"""

import numpy as np

from ..shared.refusals import UnsupportedLayer

MODEL_CLASSES = ("Functional", "Model", "Sequential")
OPERATION_MODULES = ("keras.src.ops", "keras.src.activations")
# layers that keras.applications defines itself: class -> module of the application
APPLICATION_LAYERS = {
    "CustomScaleLayer": "inception_resnet_v2",
    "LayerScale": "convnext",
    "StochasticDepth": "convnext",
}
# layers of nengo_snnconv, by the name that Keras registers
OWN_LAYERS = {"nengo_snnconv>QCFS": "nengo_snnconv.QCFS"}


def layer_name(entry):
    """Return the name of a layer."""
    return entry.get("name") or entry["config"]["name"]


def is_nested_model(entry):
    """Return whether an entry is a model with layers of its own."""
    return entry["class_name"] in MODEL_CLASSES and "layers" in entry["config"]


def is_application_layer(entry):
    """Return whether keras.applications defines the class itself."""
    module = APPLICATION_LAYERS.get(entry.get("class_name"))
    return entry.get("module") in [f"{root}.src.applications.{module}" for root in ("keras", "tf_keras")]


def own_kind(entry):
    """Return the key in the table of readers of a layer of nengo_snnconv, None for all others."""
    return OWN_LAYERS.get(entry.get("registered_name") or entry.get("class_name"))


def is_custom_class(entry):
    """Return whether the class, or the function, is defined outside of Keras and of nengo_snnconv."""
    if is_application_layer(entry) or own_kind(entry):
        return False
    root = (entry.get("module") or "keras").partition(".")[0]
    registered = entry.get("registered_name") or ""
    # Keras writes no module for a class that it knows from custom_objects only
    nameless = "module" in entry and entry["module"] is None and bool(registered)
    custom = root not in ("keras", "tf_keras", "builtins") or nameless
    return custom or ">" in registered or ">" in str(entry.get("class_name"))


def is_operation(entry):
    """Return whether an entry is an operation of Keras 3, which is not a layer."""
    return (entry.get("module") or "").startswith(OPERATION_MODULES)


def layer_kind(entry):
    """Return the key of a layer in the table of readers; raise UnsupportedLayer for a custom class.

    It is the name of a Keras class.  "tf.nn.relu" is a TensorFlow function in a functional model of Keras 2, "ops.Relu"
    an operation in one of Keras 3, "applications.LayerScale" a layer that keras.applications defines, and
    "nengo_snnconv.QCFS" a layer of this package.
    """
    name = entry["class_name"]
    if own_kind(entry):
        return own_kind(entry)
    if is_application_layer(entry):
        return f"applications.{name}"
    if is_custom_class(entry):
        owner = entry.get("module") or "your own"
        raise UnsupportedLayer(f"is a class of {owner}, not one of Keras: replace it by Keras layers")
    if name in ("TFOpLambda", "SlicingOpLambda"):
        return f"tf.{entry['config']['function']}"
    if is_operation(entry):
        return f"ops.{name}"
    return name


def constant(value):
    """Return a number or an array in a configuration as an ndarray of float."""
    return np.array(value["config"]["value"] if isinstance(value, dict) else value, dtype=float)
