"""save and load: equal networks, and errors for files and objects that are not supported."""

import nengo
import numpy as np
import pytest
from models import branched, small_cnn

import nengo_snnconv as snc
from nengo_snnconv.compat import nengo_dl
from nengo_snnconv.model import files
from nengo_snnconv.networks import storage


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
        {"synapse": nengo.LinearFilter([1], [0.01, 1])},
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


def test_spikes_of_a_loaded_network(trained, digits, tmp_path):
    snc.save(trained, tmp_path / "network.npz")
    first, second = (
        snc.record(n, digits.x_test[:2], n_steps=10) for n in (trained, snc.load(tmp_path / "network.npz"))
    )
    assert all((first.spikes[name] != second.spikes[name]).mean() < 1e-4 for name in first.spikes)
    assert first.spikes["conv3_relu"].sum() > 0
    assert snc.load(tmp_path / "network.npz").history == trained.history


NATIVE = [
    {},
    {"neuron_type": snc.IntegrateAndFire(reset="zero", initial_potential=0, min_potential=-2.5)},
    {"neuron_type": snc.IntegrateAndFire(max_spikes=np.inf, threshold=2.0, amplitude=0.002, tau=0.004)},
    {"neuron_type": snc.IntegrateAndFire(initial_state={"voltage": nengo.dists.Uniform(0, 1)}), "seed": 5},
    {"neuron_type": snc.IntegrateAndFire(initial_state={"voltage": np.linspace(-1, 1, 48)})},
    {"neuron_type": nengo.LIF(min_voltage=-5), "max_rate": 300, "synapse": nengo.Alpha(0.003)},
    {"neuron_type": nengo.SpikingRectifiedLinear(amplitude=0.001), "synapse": 0.002},
    {"input_coding": "poisson", "input_threshold": 2.0, "readout": "spikes", "seed": 7},
]


@pytest.mark.parametrize("settings", NATIVE, ids=str)
def test_spikes_of_a_loaded_converted_network(settings, rng, tmp_path):
    network = snc.normalize(snc.convert(small_cnn()), method="model", per="channel")
    network = snc.to_spiking(network, **settings)
    snc.save(network, tmp_path / "network.npz")
    loaded = snc.load(tmp_path / "network.npz")
    assert loaded.settings == network.settings
    assert loaded.model.metadata == network.model.metadata
    x = rng.random((2, 6, 6, 2), dtype=np.float32)
    first, second = (snc.record(n, x, n_steps=20, backend="nengo") for n in (network, loaded))
    assert list(first.spikes) == list(second.spikes)
    assert all(spikes.any() and np.array_equal(spikes, second.spikes[name]) for name, spikes in first.spikes.items())
    assert np.array_equal(first.output, second.output)


def test_converted_network_of_rates(tmp_path):
    network = snc.convert(snc.preset("diehl-mnist"))
    snc.save(network, tmp_path / "network.npz")
    loaded = snc.load(tmp_path / "network.npz")
    assert loaded.settings == network.settings
    assert loaded.report() == network.report()


def test_infinity_in_an_array(tmp_path):
    neuron_type = snc.IntegrateAndFire(initial_state={"voltage": np.full(48, -np.inf)}, min_potential=np.float32(-3))
    network = snc.to_spiking(snc.normalize(snc.convert(small_cnn()), method="model"), neuron_type)
    snc.save(network, tmp_path / "network.npz")
    assert snc.load(tmp_path / "network.npz").settings == network.settings


INTEGRATE_AND_FIRE = "nengo_snnconv.neurons.integrate_and_fire.IntegrateAndFire"


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (
            {"neuron_type": {"class": INTEGRATE_AND_FIRE, "arguments": {"max_spikes": 1.5}}},
            "max_spikes must be a whole",
        ),
        ({"neuron_type": {"class": INTEGRATE_AND_FIRE, "arguments": {"max_spikes": 2, "reset": "zero"}}}, "must be 1"),
        ({"neuron_type": {"class": INTEGRATE_AND_FIRE, "arguments": {"threshold": 0}}}, "threshold"),
        ({"neuron_type": {"class": INTEGRATE_AND_FIRE, "arguments": {"treshold": 1}}}, "treshold"),
        ({"neuron_type": {"class": INTEGRATE_AND_FIRE}}, "arguments"),
        (
            {"neuron_type": {"class": "nengo_snnconv.neurons.integrate_and_fire.tf", "arguments": {}}},
            "not a class",
        ),
        ({"neuron_type": {"class": "nengo.neurons.Izhikevich", "arguments": {}}}, "Izhikevich has no amplitude"),
        ({"input_coding": "rate"}, "input_coding must be one of"),
        ({"input_threshold": {"float": "nan"}}, "input_threshold must be above 0"),
        ({"readout": ["spikes"]}, "readout must be one of"),
        ({"seed": "x"}, "seed"),
        ({"synapse": "x"}, "synapse"),
        ({"probe_layers": ["nowhere"]}, "nowhere"),
        ({"max_rates": 3}, "max_rates"),
    ],
)
def test_damaged_settings_of_a_converted_network(damage, message, tmp_path):
    network = snc.to_spiking(snc.normalize(snc.convert(small_cnn()), method="model"))
    files.write_model(
        tmp_path / "n.npz", network.model, network={**storage.settings_to_json(network.settings), **damage}
    )
    with pytest.raises(snc.FileFormatError, match=f"cannot be rebuilt.*{message}"):
        snc.load(tmp_path / "n.npz")


def test_save_of_other_objects(tmp_path):
    with pytest.raises(snc.ConversionError, match="got Functional"):
        snc.save(snc.preset("lif-mnist"), tmp_path / "keras.npz")


def test_model(tmp_path):
    snc.save(small_cnn(), tmp_path / "model.npz")
    assert isinstance(snc.load(tmp_path / "model.npz"), snc.Model)


def test_save_of_other_neuron_types(tmp_path):
    class Own(nengo.LIF):
        pass

    own = Own(amplitude=0.01, min_voltage=-5)
    scaled = snc.normalize(snc.convert(small_cnn()), method="model")
    for network in (snc.build_trainable(small_cnn(), own), snc.to_spiking(scaled, own)):
        with pytest.raises(snc.ConversionError, match="cannot be saved.*save network.model"):
            snc.save(network, tmp_path / "network.npz")
        assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["os.system", "nengo.neurons.np", "nengo.neurons.Izhikevichh", "builtins.eval"])
def test_load_of_other_classes(name, tmp_path):
    network = {"builder": "trainable", "neuron_type": {"class": name, "arguments": {}}}
    files.write_model(tmp_path / "network.npz", small_cnn(), network=network)
    with pytest.raises(snc.FileFormatError, match="cannot be rebuilt"):
        snc.load(tmp_path / "network.npz")


class TestEndingsOfOtherFormats:
    @pytest.mark.parametrize("ending", [".keras", ".h5", ".hdf5", ".onnx", ".pt", ".pt2", ".nir", ".Keras"])
    def test_save_refuses_them(self, tmp_path, ending):
        with pytest.raises(snc.SettingsError, match="name it ft.snn.npz") as error:
            snc.save(small_cnn(), tmp_path / f"ft{ending}")
        assert error.value.argument == "path"
        assert not list(tmp_path.iterdir())

    def test_load_goes_by_the_content(self, tmp_path):
        snc.save(small_cnn(), tmp_path / "model.snn.npz")
        other = (tmp_path / "model.snn.npz").rename(tmp_path / "model.keras")
        assert list(snc.load(other).layers) == list(small_cnn().layers)
        for name, kind in {"model.h5": "a Keras file", "model.onnx": "an ONNX file", "model.nir": "a NIR file"}.items():
            (tmp_path / name).write_bytes(b"\x89HDF")
            with pytest.raises(snc.FileFormatError, match=kind):
                snc.load(tmp_path / name)


def test_the_ann_of_a_calibrated_network_can_be_converted_again(tmp_path):
    network = snc.convert(small_cnn(seed=1))
    x = np.random.default_rng(0).random((8, *network.model.shapes[network.model.input]))
    spiking = snc.to_spiking(snc.normalize(network, x))
    for changed in (snc.calibrate(spiking, x, n_steps=4, progress=False), snc.quantize_weights(spiking, bits=3)):
        with pytest.raises(snc.ConversionError, match=r"snc.convert\(network.model.ann\)"):
            snc.convert(changed)
        again = snc.convert(changed.model.ann)
        assert "calibration" not in again.model.metadata
        assert np.allclose(
            snc.evaluate(again, x, n_steps=1).scores, snc.evaluate(network, x, n_steps=1).scores, atol=1e-5
        )
        assert again.model.metadata.keys().isdisjoint(("quantization", "n_steps"))
