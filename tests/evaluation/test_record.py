"""Recordings: spikes, membrane potentials and input of a network, step by step."""

import nengo
import numpy as np
import pytest
from models import branched, make, small_cnn

import nengo_snnconv as snc
from nengo_snnconv.model import layers as specs
from nengo_snnconv.neurons.arguments import replaced

LIF = nengo.LIF(amplitude=0.01)


@pytest.fixture
def images(rng):
    return rng.random((7, 6, 6, 2), dtype=np.float32), rng.integers(0, 4, 7)


@pytest.fixture
def dense():
    """Two dense layers of neurons, whose weights and biases are multiples of 1/16, so that sums are exact."""
    model = make(
        specs.Input("image", shape=(4, 4, 2)),
        specs.Flatten("flat", "image"),
        specs.Dense("dense1", "flat", units=12),
        specs.Rectifier("relu1", "dense1"),
        specs.Dense("dense2", "relu1", units=9),
        specs.Rectifier("relu2", "dense2"),
        specs.Dense("scores", "relu2", units=3),
    )
    return model.replace(arrays={name: np.round(16 * array) / 16 for name, array in model.arrays.items()})


@pytest.fixture
def dyadic_images(rng):
    return (rng.integers(-8, 17, (3, 4, 4, 2)) / 16).astype(np.float32)


@pytest.mark.filterwarnings("ignore:the network was not normalized")
@pytest.mark.parametrize("input_coding", ["constant", "poisson"])
@pytest.mark.parametrize("threshold", [1.0, 0.5])
@pytest.mark.parametrize("backend", ["tensorflow", "nengo_dl", "nengo"])
def test_charge_is_conserved(dense, dyadic_images, input_coding, threshold, backend):
    """Charge is conserved in every step: current = spikes + increase of the potential, in units of the threshold."""
    network = snc.to_spiking(snc.convert(dense), snc.IntegrateAndFire(threshold), input_coding=input_coding)
    recording = snc.record(network, dyadic_images, n_steps=20, backend=backend, potentials=True)
    arriving = recording.input.reshape(3, 20, -1)
    for layer in ("1", "2"):
        kernel, bias = dense.arrays[f"dense{layer}/kernel"], dense.arrays[f"dense{layer}/bias"]
        spikes, potentials = recording.spikes[f"relu{layer}"], recording.potentials[f"relu{layer}"]
        assert potentials.shape == spikes.shape
        increase = np.diff(potentials, axis=1, prepend=0.5)
        assert spikes.any()
        assert np.array_equal(arriving @ kernel + bias, spikes + increase)
        arriving = spikes


@pytest.mark.filterwarnings("ignore:the network was not normalized")
@pytest.mark.parametrize(
    "neuron_type",
    [snc.IntegrateAndFire(), snc.IntegrateAndFire(reset="zero"), nengo.SpikingRectifiedLinear(amplitude=2**-10)],
    ids=str,
)
def test_back_ends_agree_on_potentials(neuron_type, rng):
    model = branched()
    model = model.replace(arrays={name: np.round(8 * array) / 16 for name, array in model.arrays.items()})
    dt = 2**-10 if isinstance(neuron_type, nengo.SpikingRectifiedLinear) else 0.001
    start = {"voltage": nengo.dists.Choice([0.25])}
    network = snc.to_spiking(snc.convert(model), replaced(neuron_type, initial_state=start))
    x = (rng.integers(0, 17, (2, 8, 8, 2)) / 16).astype(np.float32)
    one, other = (
        snc.record(network, x, n_steps=6, dt=dt, backend=backend, potentials=True) for backend in ("nengo_dl", "nengo")
    )
    assert list(one.potentials) == ["a_neurons", "b_neurons", "c_neurons"]
    for name, potentials in one.potentials.items():
        assert potentials.any()
        assert np.array_equal(potentials, other.potentials[name])


@pytest.mark.parametrize("neuron_type", [LIF, nengo.SpikingRectifiedLinear(amplitude=0.01)], ids=str)
def test_potentials_change_nothing_else(images, neuron_type):
    network = snc.build_trainable(small_cnn(), neuron_type)
    without = snc.record(network, images[0], n_steps=8)
    recording = snc.record(network, images[0], n_steps=8, potentials=True)
    assert without.potentials == {}
    assert np.array_equal(recording.spikes["neurons"], without.spikes["neurons"])
    assert np.array_equal(recording.output, without.output)
    # neurons that spiked have been reset below the threshold of 1
    assert 0 < recording.potentials["neurons"].max() < 1


def test_a_leaky_membrane_approaches_its_current():
    """Without a spike, dv/dt = (J - v) / tau_rc."""
    model = make(specs.Input("image", shape=(1,)), specs.Rectifier("neurons", "image"))
    neuron_type = nengo.LIF(amplitude=0.01, initial_state={"voltage": nengo.dists.Choice([0])})
    network = snc.build_trainable(model, neuron_type)
    gain, bias = network.settings.gain_bias(model, "neurons")
    x = np.array([[0.5 * (1 - bias[0]) / gain[0] - 0.5 * bias[0] / gain[0]]], np.float32)  # a current of 1/2
    potentials = snc.record(network, x, n_steps=40, potentials=True).potentials["neurons"][0, :, 0]
    assert np.allclose(potentials, 0.5 * (1 - np.exp(-np.arange(1, 41) / 20)), atol=1e-5)


@pytest.mark.filterwarnings("ignore:the network was not normalized")
def test_input_and_shapes(rng):
    model = small_cnn()
    x = rng.uniform(-0.5, 0.5, (3, 6, 6, 2)).astype(np.float32)
    constant = snc.record(snc.to_spiking(snc.convert(model)), x, n_steps=5)
    assert constant.shapes == {"image": (6, 6, 2), "neurons": (4, 4, 3)}
    assert list(constant.shapes) == ["image", "neurons"]
    assert constant.input.shape == (3, 5, 6, 6, 2)
    assert (constant.input == x[:, None]).all()
    network = snc.to_spiking(snc.convert(model), input_coding="poisson", input_threshold=0.5)
    poisson = snc.record(network, x, n_steps=7)
    assert np.array_equal(poisson.input, 0.5 * snc.poisson_spikes(x, 7, 0.5))


@pytest.mark.parametrize(
    "neuron_type", [nengo.RectifiedLinear(), nengo.PoissonSpiking(nengo.RectifiedLinear(), amplitude=0.01)], ids=str
)
def test_neurons_without_a_potential(images, neuron_type):
    network = snc.build_trainable(small_cnn(), neuron_type, max_rates=100)
    with pytest.raises(snc.SettingsError, match="membrane potential, .*Rectified.* none") as caught:
        snc.record(network, images[0], potentials=True)
    assert caught.value.argument == "potentials"


def test_images_of_other_shapes_are_refused(images):
    network = snc.build_trainable(small_cnn(), LIF)
    for x in (images[0][0], images[0][:0], images[0][..., :1]):
        with pytest.raises(snc.SettingsError, match="x must have shape"):
            snc.record(network, x)
