"""Small models with random arrays and non-zero biases, and the activity of their layers."""

import types

import nengo
import numpy as np

import nengo_snnconv as snc
from nengo_snnconv.model import Model
from nengo_snnconv.model import layers as specs
from nengo_snnconv.networks.native import NativeConfig


def random_arrays(layers, rng, scale=1.0):
    """Return random arrays for ``layers``, scaled to keep activations near 1."""
    shapes, arrays = {}, {}
    for layer in layers:
        inputs = [shapes[name] for name in layer.inputs]
        shapes[layer.name] = layer.output_shape(*inputs)
        for name, shape in layer.array_shapes(*inputs).items():
            fan_in = max(1, int(np.prod(shape[:-1])))
            arrays[f"{layer.name}/{name}"] = scale * rng.normal(0, 1 / np.sqrt(fan_in), shape)
    return arrays


def make(*layers, seed=0):
    """Return a model of ``layers`` with random arrays."""
    return Model(layers, random_arrays(layers, np.random.default_rng(seed)))


def small_cnn(seed=0):
    """Return a model of convolution, pooling and a dense layer, on 6 x 6 images with two channels and four classes."""
    return make(
        specs.Input("image", shape=(6, 6, 2)),
        specs.Conv("conv", "image", filters=3, kernel_size=(3, 3)),
        specs.Rectifier("neurons", "conv"),
        specs.AveragePool("pool", "neurons", pool_size=(2, 2)),
        specs.Flatten("flat", "pool"),
        specs.Dense("scores", "flat", units=4),
        seed=seed,
    )


def meeting_late(*end, seed=0):
    """Return a model of three layers of neurons in a row, the sum of the first and the last, and the layers ``end``."""
    return make(
        specs.Input("image", shape=(4, 4, 2)),
        specs.Conv("a", "image", filters=2, kernel_size=(3, 3), padding="same"),
        specs.Rectifier("a_neurons", "a"),
        specs.Conv("b", "a_neurons", filters=2, kernel_size=(3, 3), padding="same"),
        specs.Rectifier("b_neurons", "b"),
        specs.Conv("c", "b_neurons", filters=2, kernel_size=(3, 3), padding="same"),
        specs.Rectifier("c_neurons", "c"),
        specs.Add("sum", ("c_neurons", "a_neurons")),
        *end,
        seed=seed,
    )


def branched(seed=0):
    """Return a model of two branches that are added and joined, with maxima, groups, dilation and "same" padding."""
    return make(
        specs.Input("image", shape=(8, 8, 2)),
        specs.Conv("a", "image", filters=4, kernel_size=(3, 3), padding="same"),
        specs.Rectifier("a_neurons", "a"),
        specs.Conv("b", "image", filters=4, kernel_size=(3, 3), padding="same", groups=2, dilation=2),
        specs.Rectifier("b_neurons", "b"),
        specs.Add("sum", ("a_neurons", "b_neurons")),
        specs.Concatenate("both", ("sum", "a_neurons")),
        specs.MaxPool("max", "both", pool_size=(2, 2)),
        specs.Conv("c", "max", filters=4, kernel_size=(3, 3), strides=2, padding="same"),
        specs.Rectifier("c_neurons", "c"),
        specs.GlobalAveragePool("mean", "c_neurons"),
        specs.Dense("scores", "mean", units=3),
        seed=seed,
    )


def small_digits_cnn(seed=0):
    """Convolution and a dense layer on images of the digits."""
    return make(
        specs.Input("image", shape=(28, 28, 1)),
        specs.Conv("conv", "image", filters=4, kernel_size=(5, 5), strides=4),
        specs.Rectifier("neurons", "conv"),
        specs.Flatten("flat", "neurons"),
        specs.Dense("scores", "flat", units=10),
        seed=seed,
    )


def activity(model, x, names=None):
    """Return the activity of each layer of a model's ANN, {name: ndarray}."""
    names = list(model.layers) if names is None else names
    network = types.SimpleNamespace(model=model, settings=NativeConfig(nengo.RectifiedLinear()))
    values = snc.rate_model(network, names)(x)
    return {name: np.asarray(value) for name, value in zip(names, values, strict=True)}


def spiking(model, **options):
    """Return a spiking network of a model, normalized by its weights."""
    network = snc.normalize(snc.convert(model), method="model")
    return snc.to_spiking(network, **options)


def dyadic_images(model, n, seed=0, low=0):
    """Return random images in multiples of 1/256."""
    return np.random.default_rng(seed).integers(low, 257, (n, *model.shapes[model.input])).astype(np.float32) / 256


def several_ports(seed=0):
    """Return a model of an image and a vector, with class scores, a logit and two numbers as outputs."""
    model = make(
        specs.Input("inputs", shape=(39,)),
        specs.Pad("image_entries", "inputs", before=(0,), after=(-3,)),
        specs.Reshape("image", "image_entries", shape=(6, 6, 1)),
        specs.Pad("facts", "inputs", before=(-36,), after=(0,)),
        specs.Conv("conv", "image", filters=3, kernel_size=(3, 3), strides=(2, 2)),
        specs.Rectifier("neurons", "conv"),
        specs.Flatten("flat", "neurons"),
        specs.Concatenate("both", ("flat", "facts")),
        specs.Dense("hidden", "both", units=8),
        specs.Rectifier("hidden_neurons", "hidden"),
        specs.Dense("kind", "hidden_neurons", units=4),
        specs.Dense("odd", "hidden_neurons", units=1),
        specs.Dense("size", "hidden_neurons", units=2),
        specs.Concatenate("outputs", ("kind", "odd", "size")),
        seed=seed,
    )
    metadata = {
        "inputs": [{"name": "image", "shape": [6, 6, 1]}, {"name": "facts", "shape": [3]}],
        "outputs": [
            {"name": "kind", "shape": [4], "function": "softmax"},
            {"name": "odd", "shape": [1], "function": "sigmoid"},
            {"name": "size", "shape": [2]},
        ],
    }
    return model.replace(metadata=metadata)


def only_output(model, name):
    """Return a model of several outputs with one of them, the layer of the same name."""
    port = model.outputs[name]
    others = {"outputs", model.output, *model.outputs} - {name}
    layers = [layer for layer in model.layers.values() if layer.name not in others]
    arrays = {key: array for key, array in model.arrays.items() if key.partition("/")[0] not in others}
    metadata = {key: value for key, value in model.metadata.items() if key != "outputs"}
    return Model(layers, arrays, name, metadata | ({"head": port.function} if port.function else {}))
