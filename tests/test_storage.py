import nengo
import numpy as np
import pytest
from models import branched, small_cnn

import nengo_snnconv as snc
from nengo_snnconv.compat import nengo_dl
from nengo_snnconv.model import files


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"neuron_type": nengo.LIF(amplitude=0.01, min_voltage=-np.inf)},
        {"neuron_type": nengo.LIF(amplitude=0.01, initial_state={"voltage": nengo.dists.Choice([0.5])})},
        {"neuron_type": nengo.RegularSpiking(nengo.LIFRate(amplitude=0.5)), "max_rates": 100},
        {"neuron_type": nengo_dl.SpikingLeakyReLU(amplitude=0.01, negative_slope=0.1)},
        {"neuron_type": nengo_dl.SoftLIFRate(sigma=0.5, tau_rc=0.05, amplitude=0.01), "max_rates": 100},
        {"neuron_type": nengo.PoissonSpiking(nengo.Sigmoid(tau_ref=0.004), amplitude=0.5), "max_rates": 200},
        {"max_rates": nengo.dists.Uniform(50, 100), "intercepts": -0.1, "seed": 3},
        {"synapse": nengo.Alpha(0.005), "output_synapse": None, "planner": "tree", "lif_smoothing": 0.1},
    ],
    ids=str,
)
def test_round_trip(settings, tmp_path):
    network = snc.build_trainable(branched(), **settings)
    snc.save(network, tmp_path / "network.npz")
    loaded = snc.load(tmp_path / "network.npz")
    assert loaded.settings == network.settings
    assert list(loaded.model.layers.values()) == list(network.model.layers.values())
    assert all(np.array_equal(a, loaded.model.arrays[name]) for name, a in network.model.arrays.items())


def test_a_loaded_network_gives_the_same_spikes(trained, digits, tmp_path):
    snc.save(trained, tmp_path / "network.npz")
    first, second = (
        snc.record(n, digits.x_test[:2], n_steps=10) for n in (trained, snc.load(tmp_path / "network.npz"))
    )
    assert all((first.spikes[name] != second.spikes[name]).mean() < 1e-4 for name in first.spikes)
    assert first.spikes["conv3_relu"].sum() > 0
    assert snc.load(tmp_path / "network.npz").history == trained.history


def test_something_else_is_refused(tmp_path):
    with pytest.raises(snc.ConversionError, match="save takes a network or a Model, got Sequential"):
        snc.save(snc.preset("lif-mnist"), tmp_path / "keras.npz")


def test_a_model_alone(tmp_path):
    snc.save(small_cnn(), tmp_path / "model.npz")
    assert isinstance(snc.load(tmp_path / "model.npz"), snc.Model)


def test_neuron_types_of_others_are_refused(tmp_path):
    class Own(nengo.LIF):
        pass

    network = snc.build_trainable(small_cnn(), Own(amplitude=0.01))
    with pytest.raises(snc.ConversionError, match="neuron_type=.*cannot be saved.*save network.model instead"):
        snc.save(network, tmp_path / "network.npz")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["os.system", "nengo.neurons.np", "nengo.neurons.Izhikevichh", "builtins.eval"])
def test_a_file_cannot_name_other_classes(name, tmp_path):
    network = {"builder": "trainable", "neuron_type": {"class": name, "arguments": {}}}
    files.write_model(tmp_path / "network.npz", small_cnn(), network=network)
    with pytest.raises(snc.FileFormatError, match="cannot be rebuilt"):
        snc.load(tmp_path / "network.npz")
