"""Live Keras objects: custom code in them, and attributes that their configuration lacks."""

from .config_entries import OWN_LAYERS
from .files.stored_layers import StoredLayer

LIBRARIES = ("keras", "tf_keras", "tensorflow")
CALL_METHODS = {"call", "__call__"}
# classes for operators in functional models of Keras 2
OPERATOR_CLASSES = {"TFOpLambda", "ClassMethod", "InstanceMethod", "InstanceProperty", "SlicingOpLambda"}


def custom_classes(layer):
    """Return the classes outside of Keras and of this package that a live layer or model is an instance of.

    There are none for a layer of a file.
    """
    if isinstance(layer, StoredLayer):
        return []
    classes = []
    for cls in type(layer).__mro__:
        root = cls.__module__.partition(".")[0]
        if root in LIBRARIES or f"{root}.{cls.__name__}" in OWN_LAYERS.values():
            break
        classes.append(cls)
    return classes


def has_custom_call(layer):
    """Return whether a live layer or model overrides the computation of its Keras class."""
    namespaces = [vars(cls) for cls in custom_classes(layer)]
    # Keras itself sets a call on each of its operators
    if not isinstance(layer, StoredLayer) and type(layer).__name__ not in OPERATOR_CLASSES:
        namespaces.append(vars(layer))
    return any(CALL_METHODS & set(names) for names in namespaces)


def class_name(layer):
    """Return the full name of an object's class, without the function in which the class was defined."""
    return f"{type(layer).__module__}.{type(layer).__qualname__.rpartition('<locals>.')[2]}"


def complete_config(layer, config):
    """Return a layer's configuration with options that Keras' ``get_config`` omits, read from the live layer.

    Before version 3.13, Keras does not write ``output_padding`` of transposed convolutions.
    """
    missing = getattr(layer, "output_padding", None)
    return config if missing is None or "output_padding" in config else config | {"output_padding": missing}


def output_shape(layer):
    """Return the shape of a live layer's output in Keras, without the batch axis.

    None if there is no live layer, or if it was not called or has several outputs.
    """
    try:
        return tuple(layer.output.shape)[1:]
    except (AttributeError, RuntimeError, TypeError, ValueError):
        return None


def output_shape_of_single_call(layer):
    """Return the output shape of a live layer if it was called exactly once, else None.

    If there are several calls, Keras 3 reports the shape of the first.
    """
    return output_shape(layer) if len(getattr(layer, "_inbound_nodes", ())) == 1 else None
