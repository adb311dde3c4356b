"""Converted networks have the outputs of Keras, layer by layer, on nengo and nengo_dl."""

import nengo
import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from keras_graphs import random_model
from models import branched, make, small_cnn

import nengo_snnconv as snc
from nengo_snnconv.compat import nengo_dl, tf
from nengo_snnconv.model import layers as specs


def activity(network, x, names, backend="nengo_dl", n_steps=1):
    """Return the values of the named layers and of the output in the last step, (images, size) each."""
    with network:
        probes = [nengo.Probe(network.layers[name]) for name in names] + [network.probes["output"]]
    if backend == "nengo_dl":
        with nengo_dl.Simulator(network, minibatch_size=len(x), progress_bar=False) as simulator:
            data = {network.input: np.repeat(x.reshape(len(x), 1, -1), n_steps, axis=1)}
            simulator.run_steps(n_steps, data=data)
            return [simulator.data[probe][:, -1] for probe in probes]
    network.input.output = x[0].ravel()
    with nengo.Simulator(network, progress_bar=False) as simulator:
        simulator.run_steps(n_steps)
        return [simulator.data[probe][-1:] for probe in probes]


def assert_equal_to_keras(keras, x, backend):
    network = snc.convert(keras)
    rows = [row for row in network.model.metadata["reading"] if row["became"]]
    moved = ("taken after", "folded forward")  # no object holds the output of these layers
    last = {row["became"][-1]: row["layer"] for row in rows if not any(word in row["remark"] for word in moved)}
    expected = tf.keras.Model(keras.inputs, [*(keras.get_layer(name).output for name in last.values()), keras.output])(
        x
    )
    found = activity(network, x, last, backend)
    assert len(found) > 2
    for name, one, other in zip([*last.values(), "output"], found, expected, strict=True):
        other = np.asarray(other).reshape(len(x), -1)[: len(one)]
        scale = max(np.abs(other).max(), 1e-3)  # values that should be zero differ by rounding
        assert np.abs(one - other).max() <= 1e-5 * scale, name


@given(st.integers(0, 2**32 - 1), st.integers(2, 8))
@settings(max_examples=15, deadline=None, derandomize=True, phases=[Phase.generate])
def test_equal_to_keras_on_random_graphs(seed, n_layers):
    keras = random_model(seed, n_layers)
    x = np.random.default_rng(seed).normal(size=(2, *keras.input_shape[1:])).astype(np.float32)
    assert_equal_to_keras(keras, x, "nengo_dl")
    assert_equal_to_keras(keras, x, "nengo")


@pytest.mark.parametrize("name", ["diehl-mnist", "lif-mnist", "vgg-cifar10", "resnet-cifar10"])
def test_equal_to_keras_on_presets(name, rng):
    shape = (32, 32, 3) if "cifar" in name else (28, 28, 1)
    keras = snc.preset(name, shape)
    values = (
        rng.normal(0, 0.2, w.shape) if "variance" not in w.name else rng.uniform(0.5, 2, w.shape) for w in keras.weights
    )
    keras.set_weights([np.float32(value) for value in values])
    assert_equal_to_keras(keras, rng.random((2, *shape), dtype=np.float32), "nengo_dl")


@pytest.mark.parametrize("backend", ["nengo_dl", "nengo"])
@pytest.mark.parametrize("dimensions", [1, 2, 3])
@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize(("strides", "dilation", "groups"), [(1, 1, 1), (2, 1, 1), (3, 1, 2), (1, 2, 1), (1, 2, 2)])
def test_convolutions(dimensions, padding, strides, dilation, groups, backend, rng):
    shape = (7, 8, 6)[:dimensions]
    options = {"strides": strides, "dilation": dilation, "groups": groups, "padding": padding}
    model = make(
        specs.Input("image", shape=(*shape, 4)),
        specs.Conv("conv", "image", filters=6, kernel_size=(3, 2, 3)[:dimensions], **options),
    )
    x = rng.normal(size=(2, *shape, 4)).astype(np.float32)
    network = snc.convert(model)
    found = activity(network, x, ["conv"], backend)[0]
    expected = reference_convolution(model, x[: len(found)])
    assert np.abs(found - expected).max() <= 1e-5 * np.abs(expected).max()


def reference_convolution(model, x):
    """Return the convolution by its definition, in loops: TensorFlow does not support every combination."""
    layer, shape = model.layers["conv"], model.shapes["conv"]
    kernel, bias = np.float64(model.arrays["conv/kernel"]), model.arrays["conv/bias"]
    out = np.zeros((len(x), *shape))
    per_group = x.shape[-1] // layer.groups
    for position in np.ndindex(*shape[:-1]):
        for offset in np.ndindex(*layer.kernel_size):
            entry = []
            for axis, (p, o) in enumerate(zip(position, offset, strict=True)):
                extent = (layer.kernel_size[axis] - 1) * layer.dilation[axis] + 1
                missing = max((shape[axis] - 1) * layer.strides[axis] + extent - x.shape[axis + 1], 0)
                first = missing // 2 if layer.padding == "same" else 0
                entry.append(p * layer.strides[axis] - first + o * layer.dilation[axis])
            if all(0 <= e < n for e, n in zip(entry, x.shape[1:], strict=False)):
                values = x[(slice(None), *entry)]
                for f in range(layer.filters):
                    group = f // (layer.filters // layer.groups)
                    part = values[:, group * per_group : (group + 1) * per_group]
                    out[(slice(None), *position, f)] += part @ kernel[(*offset, slice(None), f)]
    return (out + bias).reshape(len(x), -1)


@pytest.mark.parametrize("backend", ["nengo_dl", "nengo"])
@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize(("size", "strides"), [(2, 2), (3, 2), (3, 1)])
def test_pooling(size, strides, padding, backend, rng):
    shape = (7, 8, 3)
    window = {"pool_size": (size, size), "strides": strides, "padding": padding}
    model = make(
        specs.Input("image", shape=shape),
        specs.AveragePool("average", "image", **window),
        specs.MaxPool("max", "average", **window),
        specs.Flatten("flat", "max"),
    )
    x = -rng.random((2, *shape), dtype=np.float32)  # below zero, where zeros of the padding would be the maximum
    found = activity(snc.convert(model), x, ["average", "max"], backend)
    average = tf.nn.avg_pool2d(x, size, strides, padding.upper())
    largest = tf.nn.max_pool2d(average, size, strides, padding.upper())
    for one, other in zip(found, (average, largest), strict=False):
        other = other.numpy().reshape(2, -1)[: len(one)]
        assert np.abs(one - other).max() <= 1e-5


def test_stays_equal_in_later_steps(rng):
    x = rng.random((2, 8, 8, 2), dtype=np.float32)
    network = snc.convert(branched())
    first, later = (activity(snc.convert(branched()), x, [], n_steps=n)[0] for n in (1, 5))
    assert np.array_equal(first, later)
    assert np.allclose(first, snc.rate_model(network).predict(x, verbose=0), rtol=1e-5)


def test_networks_are_native():
    for network in (snc.convert(branched()), snc.to_spiking(snc.normalize(snc.convert(branched()), method="model"))):
        assert not [node for node in network.all_nodes if isinstance(node, nengo_dl.TensorNode)]
        assert not [node for node in network.all_nodes if callable(node.output)]


class TestSources:
    def test_a_trained_network(self, digits):
        network = snc.build_trainable(snc.preset("diehl-mnist"), nengo.RectifiedLinear())
        network = snc.train(network, digits.x_train[:200], digits.y_train[:200], epochs=1, batch_size=50)
        converted = snc.convert(network)
        expected = snc.rate_model(network).predict(digits.x_test[:5], verbose=0)
        assert np.allclose(snc.rate_model(converted).predict(digits.x_test[:5], verbose=0), expected, rtol=1e-4)
        assert converted.history == network.history

    def test_a_network_trained_with_another_response_is_refused(self):
        network = snc.build_trainable(small_cnn(), nengo.LIF(amplitude=0.01))
        with pytest.raises(snc.ConversionError, match="response of LIF.*rectifier"):
            snc.convert(network)

    def test_files(self, tmp_path, rng):
        keras = snc.preset("diehl-mnist")
        keras.save(tmp_path / "model.keras")
        x = rng.random((2, 28, 28, 1), dtype=np.float32)
        network = snc.convert(tmp_path / "model.keras")
        assert np.allclose(snc.rate_model(network).predict(x, verbose=0), keras.predict(x, verbose=0), rtol=1e-4)

    def test_something_else(self):
        with pytest.raises(snc.ConversionError, match="expected a model of Keras.* int"):
            snc.convert(3)


class TestReport:
    def test_how_each_keras_layer_was_converted(self):
        report = snc.convert(snc.preset("resnet-cifar10", (32, 32, 3))).report()
        lines = {line.split()[0]: line for line in report.splitlines() if line}
        assert "BatchNormalization" in lines["norm1"]
        assert "folded back into conv1" in lines["norm1"]
        assert "norm1" not in report.split("\n\n")[1]

    def test_approximations(self):
        network = snc.normalize(snc.convert(branched()), method="model")
        assert "approximated" not in network.report()
        lif = snc.to_spiking(network, nengo.LIF(min_voltage=-5), input_coding="poisson").report()
        assert "response within" in lif
        assert "random spikes" in lif
        assert "clipped at 1" in snc.to_spiking(network).report()
        signed = snc.to_spiking(network, snc.SignedIntegrateAndFire()).report()
        assert "clipped at 1; spikes can be negative" in signed
        assert "negative" not in snc.to_spiking(network).report()
        assert "read-out" not in snc.to_spiking(network).report()
        assert "negative scores become 0" in snc.to_spiking(network, readout="spikes").report()
