"""The Keras layers of NengoDL's TensorNodes, read as models."""

from __future__ import annotations

import typing

from ...compat import nengo_dl, tf
from ...errors import ConversionError
from ...formats.as_model import as_model
from ...model import Model


def name_of_tensor_node(node: nengo_dl.TensorNode) -> str:
    """Return the label of a TensorNode, or the name of its Keras layer."""
    return node.label or getattr(node.tensor_func, "name", type(node).__name__)


def model_of_tensor_node(node: nengo_dl.TensorNode) -> Model:
    """Read the Keras layer, or Keras model, of a TensorNode with its current weights.

    A layer that no simulator has built yet gets initial weights, as it would in a simulator.

    Parameters
    ----------
    node : nengo_dl.TensorNode

    Returns
    -------
    Model
        Model from ``node.shape_in`` to ``node.shape_out``.

    Raises
    ------
    ConversionError
        If the node computes a Python function, or a layer that is not supported.
    """
    layer, name = node.tensor_func, name_of_tensor_node(node)
    if not isinstance(layer, tf.keras.layers.Layer):
        function = getattr(layer, "__name__", type(layer).__name__)
        instead = "use a Keras layer, such as nengo_dl.Layer(tf.keras.layers.AveragePooling2D())"
        if function == "relu":
            instead = "leave it out behind neurons, whose output is not negative; else use nengo_dl.Layer(neuron_type)"
        raise ConversionError(
            f"{name!r} is a TensorNode that computes the function {function}, which cannot be read: {instead}",
            layer=name,
        )
    if node.pass_time or node.shape_in is None:
        raise ConversionError(
            f"{name!r} is a TensorNode that reads the time of the simulation: use a Keras layer that has the "
            "signal as its only input, with pass_time=False",
            layer=name,
        )
    return as_model(_with_input(layer, tuple(int(n) for n in node.shape_in), name))


def _with_input(layer: typing.Any, shape: tuple[int, ...], name: str) -> typing.Any:
    """Return a Keras model of a copy of a layer with an input of a shape, and the weights of the layer."""
    try:
        copy = type(layer).from_config(layer.get_config())
        model = tf.keras.Sequential([tf.keras.Input(shape), copy], name=f"{layer.name}.model")
        if layer.weights:
            copy.set_weights([weight.numpy() for weight in layer.weights])
    except Exception as error:  # layers of users' own classes can fail anywhere
        raise ConversionError(
            f"the Keras layer {name!r} ({type(layer).__name__}) cannot be copied with its configuration "
            f"({type(error).__name__}: {error}): replace it by layers of Keras",
            layer=name,
        ) from error
    return model


def ends_in_softmax(model: Model) -> bool:
    """Return whether a softmax at the end of a Keras model was left out when it was read."""
    return any("logits" in row["remark"] for row in model.metadata["reading"])
