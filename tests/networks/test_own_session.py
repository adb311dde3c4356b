"""Converted networks are trained in the user's own NengoDL session, and come back with the trained weights."""

import nengo
import numpy as np
import pytest
from corner_images import corner_images
from models import meeting_late, small_cnn

import nengo_snnconv as snc
from nengo_snnconv.compat import nengo_dl, tf

LIF = nengo.LIF(min_voltage=-5)


@pytest.fixture(scope="module")
def problem():
    return corner_images(np.random.default_rng(0))


@pytest.fixture(scope="module")
def normalized(problem):
    return snc.normalize(snc.convert(small_cnn()), problem[0])


def test_trained_weights_come_back(normalized, problem, tmp_path):
    x, y = problem
    network = snc.to_spiking(normalized, LIF, max_rate=300)
    before = {name: array.copy() for name, array in network.model.arrays.items()}
    trainable = snc.build_trainable(network)
    output, images = trainable.probes["output"], x.reshape(len(x), 1, -1)
    loss = tf.losses.SparseCategoricalCrossentropy(from_logits=True)
    with nengo_dl.Simulator(trainable, minibatch_size=40, progress_bar=False) as sim:
        sim.compile(tf.optimizers.Adam(0.02), loss={output: loss})
        losses = sim.fit(images, {output: y.reshape(-1, 1, 1)}, epochs=3, verbose=0).history["loss"]
    trained = snc.collect_trained(trainable, into=network)
    assert losses[-1] < losses[0]
    assert all(np.array_equal(network.model.arrays[name], array) for name, array in before.items())
    assert trained.settings == network.settings
    assert trained.model.metadata["scales"] == network.model.metadata["scales"]
    for name, array in before.items():
        assert np.abs(trained.model.arrays[name] - array).max() > 1e-3, name
    # what NengoDL trained are the rates of these neurons with these weights
    rates = snc.rate_model(snc.collect_trained(trainable))
    assert loss(y, rates(x)) < losses[-1]
    assert np.allclose(rates(x), snc.rate_model(snc.build_trainable(trained))(x), atol=1e-5)
    snc.save(trained, tmp_path / "trained.snn.npz")
    found = [snc.record(each, x[:5], n_steps=5).output for each in (trained, snc.load(tmp_path / "trained.snn.npz"))]
    assert np.array_equal(*found)


@pytest.mark.parametrize(
    "neuron_type",
    [
        snc.IntegrateAndFire(amplitude=0.002, threshold=0.5),
        {"conv": snc.SignedIntegrateAndFire(), "*": snc.IntegrateAndFire()},
        LIF,
    ],
    ids=str,
)
def test_rates_are_those_of_the_neurons(normalized, problem, neuron_type):
    network = snc.to_spiking(normalized, neuron_type, synapse=0.002)
    trainable = snc.build_trainable(network)
    current, rate = snc.rate_model(trainable, ["conv", "neurons"])(problem[0][:5])
    match = network.settings.of_layer(network.model, "neurons").match
    expected = match.neuron_type.rates(np.ravel(current), [match.gain], [match.bias])
    assert np.allclose(np.ravel(rate), np.ravel(expected), atol=1e-4)
    assert trainable.settings.synapse == network.settings.synapse
    other = snc.build_trainable(network, nengo.RectifiedLinear())
    assert np.allclose(snc.rate_model(other)(problem[0]), snc.rate_model(network)(problem[0]), rtol=1e-4, atol=1e-5)


class TestRefused:
    def test_networks_whose_layers_respond_differently(self):
        two = snc.normalize(snc.convert(meeting_late()), method="model")
        network = snc.to_spiking(two, {"a": LIF, "*": snc.IntegrateAndFire()})
        with pytest.raises(snc.ConversionError, match="one response curve"):
            snc.build_trainable(network)
        assert snc.build_trainable(network, snc.IntegrateAndFire()).settings.rectifies

    def test_calibrated_networks(self, normalized, problem):
        calibrated = snc.calibrate(snc.to_spiking(normalized), problem[0], n_steps=2)
        with pytest.raises(snc.ConversionError, match="before that"):
            snc.build_trainable(calibrated)

    def test_other_networks(self, normalized, problem):
        with pytest.raises(snc.SettingsError, match="convert made"):
            snc.build_trainable(snc.build_trainable(normalized))
        with pytest.raises(snc.ConversionError, match=r"build_trainable\(network\)"):
            snc.collect_trained(normalized)
        with pytest.raises(snc.SettingsError) as caught:
            snc.collect_trained(snc.build_trainable(normalized), into=snc.convert(meeting_late()))
        assert caught.value.argument == "into"
