"""Reads Keras models into models.  It looks at configuration and weights, not at one version's classes.

So it takes live objects of tf.keras, tf-keras and Keras 3 alike, and needs none of them itself.
"""

import math
import warnings

from .exceptions import ConversionError, ModelError
from .model import Model
from .model import layers as specs


def as_model(source):
    """``source`` as a Model: unchanged if it is one, else read from Keras.

    Parameters
    ----------
    source : Model or Keras model
        Sequential or functional, built (its input shape known), not nested.

    Returns
    -------
    Model

    Raises
    ------
    ConversionError
        If a layer or one of its options is not supported; names the layer, its class and what to do instead.
    """
    if isinstance(source, Model):
        return source
    if not (hasattr(source, "get_config") and hasattr(source, "layers") and hasattr(source, "get_weights")):
        raise ConversionError(f"expected a Keras model or a nengo_snnconv Model, got {type(source).__name__}")
    config = source.get_config()
    if not isinstance(config, dict) or "layers" not in config:
        raise ConversionError(
            f"{type(source).__name__} is a subclassed Keras model, whose layers cannot be read: "
            "make it a Sequential or functional model"
        )
    weights = {layer.name: layer.get_weights() for layer in source.layers}
    return _Reader(weights).read(config)


class _Reader:
    def __init__(self, weights):
        self.weights = weights
        self.layers, self.arrays, self.shapes = [], {}, {}
        self.ends = {}  # Keras layer -> the spec that holds its output

    def read(self, config):
        functional = "output_layers" in config
        previous = None
        for entry in config["layers"]:
            name = entry.get("name") or entry["config"]["name"]
            inputs = _inbound(name, entry) if functional else ([previous] if previous else [])
            self._read_layer(name, entry["class_name"], entry["config"], [self.ends[i] for i in inputs])
            previous = name
        outputs = _histories(config["output_layers"]) if functional else [previous]
        if len(outputs) != 1:
            raise ConversionError(f"the model has {len(outputs)} outputs {outputs}: make a model of one of them")
        try:
            return Model(self.layers, self.arrays, self.ends[outputs[0]])
        except ModelError as error:
            raise ConversionError(f"the Keras model cannot be read: {error}") from error

    def _read_layer(self, name, kind, config, inputs):
        if kind not in _READERS:
            raise ConversionError(
                f"layer {name!r} ({kind}) is not supported; supported are {', '.join(sorted(_READERS))}"
            )
        if kind != "InputLayer" and not inputs:
            raise ConversionError("the model's input shape is not known: begin it with an Input layer")
        if config.get("data_format") == "channels_first":
            raise _refuse(name, kind, "has channels first: build the model with data_format='channels_last'")
        dropped = [key for key, value in config.items() if value and key.endswith(("_regularizer", "_constraint"))]
        dropped += ["trainable=False"] if config.get("trainable") is False else []
        if dropped:
            warnings.warn(
                f"layer {name!r} ({kind}) has {', '.join(dropped)}, which nengo_snnconv does not heed while it trains",
                stacklevel=4,
            )
        shape = self.shapes[inputs[0]] if inputs else None
        layer = _READERS[kind](name, inputs, config, shape)
        end = inputs[0] if layer is None else self._add(layer)
        self._read_arrays(name, layer)
        activation = _activation(name, kind, config)
        if activation == "relu" and not isinstance(layer, specs.Rectifier):
            end = self._add(specs.Rectifier(f"{name}_relu", end))
        self.ends[name] = end

    def _add(self, layer):
        self.layers.append(layer)
        self.shapes[layer.name] = layer.output_shape(*(self.shapes[name] for name in layer.inputs))
        return layer.name

    def _read_arrays(self, name, layer):
        if layer is None:
            return
        names = layer.array_shapes(*(self.shapes[i] for i in layer.inputs))
        values = self.weights.get(name, []) if names else []
        if len(values) != len(names):
            raise ConversionError(f"{layer} has {len(values)} arrays in Keras, expected {', '.join(names)}")
        self.arrays.update({f"{name}/{array}": value for array, value in zip(names, values, strict=True)})


def _refuse(name, kind, reason):
    return ConversionError(f"layer {name!r} ({kind}) {reason}")


def _inbound(name, entry):
    """Names of the Keras layers that feed this one."""
    nodes = entry.get("inbound_nodes", [])
    if len(nodes) > 1:
        raise _refuse(name, entry["class_name"], "is used more than once: give each use a layer of its own")
    return _histories(nodes)


def _histories(node):
    """Layer names in Keras' ways to write (layer, node, tensor): a list, or a dict with "keras_history"."""
    if isinstance(node, dict):
        if "keras_history" in node:
            return [node["keras_history"][0]]
        return [name for value in node.values() for name in _histories(value)]
    if isinstance(node, list | tuple):
        if len(node) >= 3 and isinstance(node[0], str) and all(isinstance(i, int) for i in node[1:3]):
            return [node[0]]
        return [name for value in node for name in _histories(value)]
    return []


def _activation(name, kind, config):
    """The layer's activation: "linear" or "relu"; any other is refused."""
    activation = config.get("activation", "linear")
    if isinstance(activation, dict):
        activation = (
            activation.get("config") if isinstance(activation.get("config"), str) else activation.get("class_name")
        )
    if activation in (None, "linear", "relu"):
        return activation or "linear"
    advice = (
        "leave it out and train with from_logits=True: the class with the largest score stays the same"
        if activation == "softmax"
        else "use 'relu', whose place spiking neurons take"
    )
    raise _refuse(name, kind, f"has activation {activation!r}: {advice}")


def _input(name, inputs, config, shape):
    shape = tuple(config.get("batch_shape") or config.get("batch_input_shape"))[1:]
    if None in shape:
        raise _refuse(name, "InputLayer", f"has the shape {shape}, with an open axis: fix its size")
    return specs.Input(name, shape=shape)


def _conv(name, inputs, config, shape):
    if config["padding"] not in specs.PADDINGS:
        raise _refuse(name, "Conv", f"has padding {config['padding']!r}: use one of {specs.PADDINGS}")
    return specs.Conv(
        name,
        inputs,
        filters=config["filters"],
        kernel_size=tuple(config["kernel_size"]),
        strides=tuple(config["strides"]),
        padding=config["padding"],
        dilation=tuple(config["dilation_rate"]),
        groups=config.get("groups", 1),
        use_bias=config["use_bias"],
    )


def _dense(name, inputs, config, shape):
    return specs.Dense(name, inputs, units=config["units"], use_bias=config["use_bias"])


def _pool(spec):
    def read(name, inputs, config, shape):
        pool_size, strides = (_tuple(config[key]) for key in ("pool_size", "strides"))
        return spec(name, inputs, pool_size=pool_size, strides=strides, padding=config["padding"])

    return read


def _tuple(value):
    return value if value is None or isinstance(value, int) else tuple(value)


def _global_pool(spec):
    return lambda name, inputs, config, shape: spec(name, inputs, keepdims=config.get("keepdims", False))


def _reshape(name, inputs, config, shape):
    target = tuple(config["target_shape"])
    if -1 in target:
        known = math.prod(n for n in target if n != -1)
        target = tuple(math.prod(shape) // known if n == -1 else n for n in target)
    return specs.Reshape(name, inputs, shape=target)


def _relu(name, inputs, config, shape):
    changed = {key: config.get(key) for key in ("max_value", "negative_slope", "threshold") if config.get(key)}
    if changed:
        raise _refuse(name, "ReLU", f"has {changed}: only the plain rectifier max(x, 0) is supported")
    return specs.Rectifier(name, inputs)


def _activation_layer(name, inputs, config, shape):
    return specs.Rectifier(name, inputs) if _activation(name, "Activation", config) == "relu" else None


def _concatenate(name, inputs, config, shape):
    axis = config["axis"]
    if axis == 0:
        raise _refuse(name, "Concatenate", "joins along the batch axis")
    return specs.Concatenate(name, inputs, axis=axis if axis < 0 else axis - 1)


_READERS = {
    "InputLayer": _input,
    "Conv1D": _conv,
    "Conv2D": _conv,
    "Conv3D": _conv,
    "Dense": _dense,
    **{f"AveragePooling{rank}D": _pool(specs.AveragePool) for rank in (1, 2, 3)},
    **{f"MaxPooling{rank}D": _pool(specs.MaxPool) for rank in (1, 2, 3)},
    **{f"GlobalAveragePooling{rank}D": _global_pool(specs.GlobalAveragePool) for rank in (1, 2, 3)},
    **{f"GlobalMaxPooling{rank}D": _global_pool(specs.GlobalMaxPool) for rank in (1, 2, 3)},
    "Flatten": lambda name, inputs, config, shape: specs.Flatten(name, inputs),
    "Reshape": _reshape,
    "Add": lambda name, inputs, config, shape: specs.Add(name, inputs),
    "Concatenate": _concatenate,
    "ReLU": _relu,
    "Activation": _activation_layer,
    "Dropout": lambda name, inputs, config, shape: specs.Dropout(name, inputs, rate=config["rate"]),
}
