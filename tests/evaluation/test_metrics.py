import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from models import branched, make, small_cnn

from nengo_snnconv.compat import tf
from nengo_snnconv.evaluation import metrics
from nengo_snnconv.model import connectivity
from nengo_snnconv.model import layers as specs


def test_accuracy_along_time():
    predictions = np.array([[0, 1, 1, 1], [0, 1, 2, 1]])
    assert metrics.accuracy(predictions, np.array([0, 1, 2, 3])).tolist() == [0.5, 0.75]


@pytest.mark.parametrize(
    ("holds", "first"),
    [([1, 1, 1], 1), ([0, 1, 1], 2), ([1, 0, 1], 3), ([0, 0, 0], None), ([1, 1, 0], None), ([1], 1)],
)
def test_first_step_from_which_on_something_holds(holds, first):
    assert metrics.first_lasting(np.array(holds, bool)) == first


@pytest.mark.parametrize(
    ("lost", "gained", "n"),
    [(0.001, 0.001, 2000), (0.002, 0.0, 1000), (0.0, 0.003, 700), (0.03, 0.01, 500), (0.0, 0.0, 300)],
)
def test_paired_interval_holds_the_true_change_as_often_as_it_says(lost, gained, n):
    """Drawn from known probabilities; counts are small, so that it is not 95 % to the letter."""
    draws = np.random.default_rng(0).multinomial(n, [lost, gained, 1 - lost - gained], 2000)
    limits = {(a, b): metrics.paired_interval(a, b, n) for a, b in {(a, b) for a, b, _ in draws}}
    covered = np.mean([limits[a, b][0] <= lost - gained <= limits[a, b][1] for a, b, _ in draws])
    assert covered > 0.93


def test_paired_interval():
    # with many images that of a normal distribution
    low, high = metrics.paired_interval(3000, 2000, 100_000)
    width = 1.96 * np.sqrt(5000 - 1000**2 / 100_000) / 100_000
    np.testing.assert_allclose((low, high), (0.01 - width, 0.01 + width), atol=1e-5)
    # where nothing changed: n D = z sqrt(n D (1 - D))
    np.testing.assert_allclose(metrics.paired_interval(0, 0, 500), np.array([-1, 1]) * 1.96**2 / (500 + 1.96**2))
    # the other way round, the other way round
    np.testing.assert_allclose(metrics.paired_interval(1, 7, 90), -np.array(metrics.paired_interval(7, 1, 90))[::-1])


def test_confusion_rows_are_true_classes():
    counts = metrics.confusion_matrix([0, 0, 2], [0, 1, 1], 3)
    assert counts.tolist() == [[1, 1, 0], [0, 0, 0], [0, 1, 0]]


def test_spike_counts():
    dt, amplitude = 0.001, 0.01
    counts = np.array([0.0, 1.0, 3.0])
    assert metrics.spike_counts(counts * amplitude / dt, amplitude, dt).tolist() == counts.tolist()
    assert metrics.spike_counts(np.array([-10.0]), amplitude, dt).tolist() == [1]


def fan_out_by_gradient(layer, shape):
    """The number of outputs that each input reaches: the gradient of the sum with all weights one."""
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
    # windows 0-2, 1-3, 2-4: each entry lies in 1, 2, 3, 2, 1 of them
    assert connectivity.fan_out(model, "image").ravel().tolist() == [10, 20, 30, 20, 10]


def test_fan_out_through_branches():
    model = branched()
    # a has 4 filters of 3 x 3, b has 2 groups of 2 filters each, dilated
    assert (connectivity.fan_out(model, "image")[3:5, 3:5] == 9 * 4 + 9 * 2).all()
    # neurons feed a maximum, whose spikes are events of their own
    assert not connectivity.fan_out(model, "a_neurons").any()
    assert connectivity.fan_out(model, "max").sum() > 0
    assert (connectivity.fan_out(model, "c_neurons") == 3).all()


def test_operations_of_the_ann():
    operations = connectivity.multiply_accumulates(small_cnn())
    assert operations == {"conv": 4 * 4 * 3 * 3 * 3 * 2, "scores": 12 * 4}


def test_published_operations_of_the_nengo_dl_network():
    import nengo_snnconv as snc

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
