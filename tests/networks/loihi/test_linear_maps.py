"""linear_maps: the layers between neurons, merged into convolutions or matrices, are equal to Keras."""

import nengo
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras_graphs import random_model
from models import activity, make

import nengo_snnconv as snc
from nengo_snnconv.model import layers as specs
from nengo_snnconv.networks.loihi.linear_maps import linear_maps
from nengo_snnconv.passes import simplify


def apply(linear_map, source):
    if linear_map.convolution is None:
        return linear_map.matrix @ source
    with nengo.Network() as network:
        node = nengo.Node(source)
        transform = linear_map.transform()
        target = nengo.Node(size_in=transform.size_out)
        nengo.Connection(node, target, transform=transform, synapse=None)
        probe = nengo.Probe(target)
    with nengo.Simulator(network, progress_bar=False) as simulator:
        simulator.step()
    return simulator.data[probe][0]


def assert_equal_keras(model, name, x):
    """Check that a layer is the sum of its maps and its constant; return whether each map is a convolution."""
    values = activity(model, x)
    maps, constant = linear_maps(model, name)
    total = constant + sum(apply(linear_map, values[linear_map.source].ravel().astype(float)) for linear_map in maps)
    expected = values[name].ravel()
    assert np.abs(total - expected).max() <= 1e-5 * max(np.abs(expected).max(), 1e-3), name
    return [linear_map.convolution is not None for linear_map in maps]


@given(st.integers(0, 2**32 - 1), st.integers(3, 8))
@settings(max_examples=10, deadline=None, derandomize=True)
def test_random_graphs(seed, n_layers):
    model = simplify(snc.as_model(random_model(seed, n_layers)))
    x = np.random.default_rng(seed).normal(size=(1, *model.shapes[model.input])).astype(np.float32)
    linear = [name for name, layer in model.layers.items() if layer.inputs and not isinstance(layer, specs.Rectifier)]
    for name in linear:
        if not isinstance(model.layers[name], specs.MaxPool | specs.GlobalMaxPool):
            assert_equal_keras(model, name, x)


def stacked(shape, *layers):
    """Return a model with layers in a row, from the input "image" on."""
    names = ["image", *(f"layer{i}" for i in range(len(layers)))]
    built = [cls(name, below, **options) for (cls, options), name, below in zip(layers, names[1:], names, strict=False)]
    return make(specs.Input("image", shape=shape), *built)


POOL = (specs.AveragePool, {"pool_size": (2, 2)})


def conv(size=3, **options):
    return specs.Conv, {"filters": 4, "kernel_size": (size, size), **options}


@pytest.mark.parametrize(
    ("layers", "as_convolutions"),
    [
        ([POOL, conv()], (10, 11)),
        ([POOL, conv(strides=2)], (10, 11)),
        ([conv(), conv(2, strides=2)], (10, 11)),
        # pooling drops an odd border, and padding would replace it by zeros
        ([POOL, conv(padding="same")], (10,)),
        ([POOL, conv(dilation=2, padding="same")], (10,)),
        ([conv(padding="same"), POOL], (10,)),
        # the first layer has outputs where the second one has padding
        ([conv(), conv(padding="same")], ()),
        ([(specs.AveragePool, {"pool_size": (3, 3), "strides": 2}), conv(padding="same")], ()),
        # means of fewer entries at the border, groups, and no weights
        ([(specs.AveragePool, {"pool_size": (3, 3), "padding": "same"}), conv()], ()),
        ([POOL, conv(groups=2)], ()),
        ([POOL], ()),
    ],
    ids=str,
)
@pytest.mark.parametrize("size", [10, 11])
def test_chains(layers, as_convolutions, size, rng):
    """Equal in all cases, and one convolution if the borders allow it."""
    model = stacked((size, size, 2), *layers)
    x = rng.normal(size=(1, size, size, 2)).astype(np.float32)
    assert assert_equal_keras(model, model.output, x) == [size in as_convolutions]


def test_parallel_paths_are_one_map(rng):
    model = make(
        specs.Input("image", shape=(5, 5, 2)),
        specs.Rectifier("neurons", "image"),
        specs.Conv("conv", "neurons", filters=2, kernel_size=(3, 3), padding="same"),
        specs.Add("sum", ("conv", "neurons", "image")),
    )
    assert assert_equal_keras(model, "sum", rng.normal(size=(1, 5, 5, 2)).astype(np.float32)) == [False, False]
    assert [linear_map.source for linear_map in linear_maps(model, "sum")[0]] == ["neurons", "image"]
