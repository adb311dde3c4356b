"""Fan-out of units and multiply-accumulate operations of layers."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from models import branched, make, small_cnn

import nengo_snnconv as snc
from nengo_snnconv.compat import tf
from nengo_snnconv.model import connectivity
from nengo_snnconv.model import layers as specs


def fan_out_by_gradient(layer, shape):
    """Return the number of outputs that each input reaches: the gradient of their sum if all weights are 1."""
    keras = getattr(tf.keras.layers, f"Conv{len(shape) - 1}D")(
        layer.filters,
        layer.kernel_size,
        layer.strides,
        layer.padding,
        dilation_rate=layer.dilation,
        groups=layer.groups,
        kernel_initializer="ones",
    )
    x = tf.Variable(tf.zeros((1, *shape)))
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(keras(x))
    return tape.gradient(total, x).numpy()[0]


@settings(max_examples=40, deadline=None)
@given(
    rank=st.integers(1, 3),
    size=st.integers(1, 4),
    strides=st.integers(1, 3),
    dilation=st.integers(1, 2),
    padding=st.sampled_from(["valid", "same"]),
    groups=st.sampled_from([1, 2]),
    lengths=st.tuples(*[st.integers(7, 9)] * 3),
)
def test_fan_out_of_a_convolution_at_its_borders(rank, size, strides, dilation, padding, groups, lengths):
    dilation = 1 if strides > 1 else dilation
    shape = (*lengths[:rank], 2)
    conv = specs.Conv(
        "conv",
        "image",
        filters=4,
        kernel_size=(size,) * rank,
        strides=strides,
        dilation=dilation,
        padding=padding,
        groups=groups,
    )
    model = make(specs.Input("image", shape=shape), conv)
    assert np.array_equal(connectivity.fan_out(model, "image"), fan_out_by_gradient(conv, shape))


def test_fan_out_through_overlapping_average_pooling():
    model = make(
        specs.Input("image", shape=(5, 1)),
        specs.AveragePool("pool", "image", pool_size=(3,), strides=1),
        specs.Flatten("flat", "pool"),
        specs.Dense("dense", "flat", units=10),
    )
    # entries are in 1, 2, 3, 2, 1 of the windows 0-2, 1-3, 2-4
    assert connectivity.fan_out(model, "image").ravel().tolist() == [10, 20, 30, 20, 10]


def test_fan_out_through_branches():
    model = branched()
    # a has 4 filters of 3 x 3, b has 2 groups of 2 filters each, dilated
    assert (connectivity.fan_out(model, "image")[3:5, 3:5] == 9 * 4 + 9 * 2).all()
    # neurons feed a maximum, whose spikes are counted separately
    assert not connectivity.fan_out(model, "a_neurons").any()
    assert connectivity.fan_out(model, "max").sum() > 0
    assert (connectivity.fan_out(model, "c_neurons") == 3).all()


def test_operations_of_the_ann():
    operations = connectivity.multiply_accumulates(small_cnn())
    assert operations == {"conv": 4 * 4 * 3 * 3 * 3 * 2, "scores": 12 * 4}


def test_published_operations_of_the_nengo_dl_network():
    operations = connectivity.multiply_accumulates(snc.as_model(snc.preset("lif-mnist")))
    assert operations == {
        "conv1": 26 * 26 * 9 * 32,
        "conv2": 12 * 12 * 9 * 32 * 64,
        "conv3": 5 * 5 * 9 * 64 * 128,
        "dense1": 3200 * 10,
    }


@pytest.mark.parametrize("name", ["neurons", "image"])
def test_every_unit_of_a_valid_network_counts(name):
    assert (connectivity.fan_out(small_cnn(), name) > 0).all()
