"""Tell whether live Keras objects compute what Keras' own classes do."""

from .stored import StoredLayer

LIBRARIES = ("keras", "tf_keras", "tensorflow")
COMPUTING = {"call", "__call__"}
OPERATORS = {"TFOpLambda", "ClassMethod", "InstanceMethod", "InstanceProperty", "SlicingOpLambda"}  # of Keras 2


def own_classes(thing):
    """Return the user's own classes of which a live layer or model is an instance; none for one from a file."""
    if isinstance(thing, StoredLayer):
        return []
    found = []
    for cls in type(thing).__mro__:
        if cls.__module__.partition(".")[0] in LIBRARIES:
            break
        found.append(cls)
    return found


def has_own_call(thing):
    """Return whether an object computes something else than Keras' class from which it is derived."""
    own = [vars(cls) for cls in own_classes(thing)]
    # Keras itself gives its operators a call of their own each
    if not isinstance(thing, StoredLayer) and type(thing).__name__ not in OPERATORS:
        own.append(vars(thing))
    return any(COMPUTING & set(names) for names in own)


def complete_config(layer, config):
    """Return a layer's configuration with what Keras' own ``get_config`` leaves out, read from the live layer.

    Before version 3.13, Keras does not write ``output_padding`` of transposed convolutions.
    """
    missing = getattr(layer, "output_padding", None)
    return config if missing is None or "output_padding" in config else config | {"output_padding": missing}


def output_shape(layer):
    """Return the shape of a live layer's output without the batch, as Keras sees it; None if there are several."""
    if isinstance(layer, StoredLayer) or len(getattr(layer, "_inbound_nodes", ())) != 1:
        return None
    shape = getattr(getattr(layer, "output", None), "shape", None)
    return None if shape is None else tuple(shape)[1:]


def class_name(thing):
    """Return the full name of an object's class, without where in a function it was made."""
    return f"{type(thing).__module__}.{type(thing).__qualname__.rpartition('<locals>.')[2]}"
