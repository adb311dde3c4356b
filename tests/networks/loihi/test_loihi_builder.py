"""Networks for Loihi: their weights and cores, the emulator, and errors."""

import importlib.util
import re

import nengo
import numpy as np
import pytest
from keras_graphs import averages_are_dyadic, dyadic_model
from models import make

import nengo_snnconv as snc
from nengo_snnconv import compat
from nengo_snnconv.evaluation.backends import LoihiBackend
from nengo_snnconv.model import layers as specs
from nengo_snnconv.networks.loihi.cores import ChipLayer, Reader, core_usage
from nengo_snnconv.networks.loihi.linear_maps import linear_maps
from nengo_snnconv.networks.loihi.plan import plan_of

needs_loihi = pytest.mark.skipif(
    importlib.util.find_spec("nengo_loihi") is None,
    reason="nengo-loihi is not installed: pip install nengo-loihi==1.1.0",
)
CONV = {"filters": 1, "kernel_size": (1, 1)}
RECIPE = {"neuron_type": nengo.LIF(min_voltage=-5), "max_rate": 300}


def zero_start(max_rate=250, **options):
    """Return settings for neurons that start at zero, as on the chip, with exact arithmetic."""
    neuron_type = nengo.SpikingRectifiedLinear(initial_state={"voltage": nengo.dists.Choice([0])})
    return {"neuron_type": neuron_type, "max_rate": max_rate, **options}


def two_layers(seed=0):
    """Return a model with average pooling between two layers of neurons, for 8 x 8 images and four classes."""
    return make(
        specs.Input("image", shape=(8, 8, 1)),
        specs.Conv("conv1", "image", filters=4, kernel_size=(3, 3)),
        specs.Rectifier("neurons1", "conv1"),
        specs.AveragePool("pool", "neurons1", pool_size=(2, 2)),
        specs.Conv("conv2", "pool", filters=8, kernel_size=(2, 2)),
        specs.Rectifier("neurons2", "conv2"),
        specs.Flatten("flat", "neurons2"),
        specs.Dense("scores", "flat", units=4),
        seed=seed,
    )


def spiking(model, x, **options):
    return snc.to_spiking(snc.normalize(snc.convert(model), x, percentile=100), **{**RECIPE, **options})


@pytest.fixture
def x(rng):
    return rng.random((6, 8, 8, 1), dtype=np.float32)


class TestPackage:
    @pytest.mark.parametrize(("version", "state"), [(None, "is not"), ((1, 0), r"1\.0 is")])
    def test_missing_package(self, version, state, x, monkeypatch):
        network = spiking(two_layers(), x)
        monkeypatch.delitem(vars(compat), "nengo_loihi", raising=False)
        monkeypatch.setattr(compat, "version_of", lambda package: version)
        message = rf"nengo-loihi {state} installed, .* needs 1\.1\.0: pip install nengo-loihi==1\.1\.0"
        with pytest.raises(snc.CompatibilityError, match=message):
            snc.to_loihi(network)
        with pytest.raises(snc.CompatibilityError, match=message):
            snc.evaluate(network, x, [0] * 6, backend="loihi")

    @needs_loihi
    def test_numpy_is_changed_for_nengo_loihi_only(self):
        array, full = np.array, np.full
        known = compat.nengo_loihi.block.np
        assert (np.array, np.full) == (array, full)
        assert all(module.np is np for module in (nengo.base, compat.nengo_loihi.probe, compat.nengo_loihi.conv))
        if np.lib.NumpyVersion(np.__version__) >= "2.0.0":
            with pytest.raises(ValueError, match="copy"):
                np.array([1], copy=False)
        with pytest.warns(RuntimeWarning, match="invalid value"):
            np.full(2, np.nan, dtype=np.int32)
        whole = np.arange(3)
        assert known.float32 is np.float32
        assert known.array(whole, copy=False) is whole
        assert known.array(whole) is not whole
        assert known.array(whole, dtype=float, copy=False, ndmin=2).shape == (1, 3)
        assert known.full(2, np.nan, dtype=np.int32).dtype == np.int32


@needs_loihi
class TestForm:
    @pytest.mark.parametrize("seed", [31, 79, 121, 142, 163])
    def test_merged_weights_give_equal_spikes(self, seed):
        """On random graphs with averages, branches and other linear layers between neurons."""
        model = dyadic_model(seed, 7)
        assert averages_are_dyadic(model)
        x = (np.random.default_rng(seed).integers(-8, 17, (2, *model.shapes[model.input])) / 16).astype(np.float32)
        for readout in ("potential", "spikes"):
            network = snc.to_spiking(snc.convert(model), **zero_start(readout=readout))
            one, other = (snc.record(each, x, n_steps=6, backend="nengo") for each in (network, snc.to_loihi(network)))
            assert one.spikes.keys() == other.spikes.keys()
            for name, spikes in one.spikes.items():
                assert np.array_equal(spikes, other.spikes[name]), name
            assert np.array_equal(one.output, other.output)

    def test_neurons_on_chip(self, x, tmp_path):
        network = snc.to_loihi(spiking(two_layers(), x, readout="spikes"))
        on_chip = {ensemble.label: network.config[ensemble].on_chip for ensemble in network.all_ensembles}
        assert on_chip == {"neurons1": False, "neurons2": True, "output/neurons": True}
        report = network.report()
        for words in ("neurons1 .*off-chip", "neurons2 .* on 1 core .*starts at zero", "conv1 .*exact .*off-chip"):
            assert re.search(words, report), words
        assert re.search("pool .* approximated .*merged into those of neurons2, 8 bits", report)
        snc.save(network, tmp_path / "chip.snn.npz")
        assert snc.load(tmp_path / "chip.snn.npz").settings == network.settings

    @pytest.mark.parametrize("preset", ["diehl-mnist", "surrogate-nmnist-cnn"])
    def test_core_usage_is_that_of_nengo_loihi(self, preset):
        """Models with pooling, which repeats weights, and with dense layers and convolutions that are split."""
        shape = (34, 34, 2) if "nmnist" in preset else (28, 28, 1)
        network = snc.to_loihi(snc.to_spiking(snc.convert(snc.preset(preset, shape)), **zero_start()))
        plan = plan_of(network.model, "potential")
        layers = [ChipLayer(name, planned.shape, planned.maps) for name, planned in plan.items() if planned.on_chip]
        expected = []
        for layer in layers:
            maps = [
                (each, linear_map) for each in layers for linear_map in each.maps if linear_map.source == layer.name
            ]
            readers = [Reader(each.shape, plan[each.name].block_shape, linear_map) for each, linear_map in maps]
            usage = core_usage(layer, plan[layer.name].block_shape, readers)
            expected += [list(used.values()) for used in usage]
        simulator = compat.nengo_loihi.Simulator(network, target="sim", progress_bar=False)
        actual = [[used for used, _ in block.utilization().values()] for block in simulator.model.blocks]
        simulator.close()
        assert sorted(expected) == sorted(actual)
        assert len(actual) > len(layers)


@needs_loihi
class TestEmulator:
    def test_equations(self, monkeypatch):
        """Spikes arrive one step later, potentials have a floor of zero, and spikes reset them to zero."""
        model = two_layers()
        model = model.replace(arrays={name: np.round(16 * array) / 32 for name, array in model.arrays.items()})
        x = (np.random.default_rng(0).integers(0, 17, (2, 8, 8, 1)) / 16).astype(np.float32)
        monkeypatch.setattr(LoihiBackend, "target", "simreal")
        network = snc.to_spiking(snc.convert(model), **zero_start())
        recording = snc.record(network, x, n_steps=40, backend="loihi", potentials=True)
        (linear_map,), constant = linear_maps(model, "conv2", convolutions=False)
        potential = np.zeros((2, len(constant)))
        for step in range(40):
            before = recording.spikes["neurons1"][:, step - 1] if step else np.zeros((2, 144))
            potential = np.maximum(potential + before @ linear_map.matrix.T.toarray() + constant / 4, 0)
            spikes = potential > 1
            potential[spikes] = 0
            assert np.array_equal(spikes, recording.spikes["neurons2"][:, step]), step
            assert np.allclose(recording.potentials["neurons2"][:, step], potential, atol=1e-5)
        assert recording.spikes["neurons2"].sum() > 100

    @pytest.mark.parametrize(("readout", "tolerance"), [("potential", 0.1), ("spikes", 0.25)])
    def test_scores_are_close_to_those_of_nengo(self, readout, tolerance, x):
        """Intervals of ten steps or more are at most one step longer, in each layer that is counted."""
        network = spiking(two_layers(), x, readout=readout, max_rate=100)
        one, other = (snc.evaluate(network, x, [0] * 6, n_steps=300, backend=b) for b in ("nengo", "loihi"))
        assert other.backend == "loihi"
        assert np.abs(one.scores - other.scores).max() < tolerance * np.abs(one.scores).max()
        assert other.layers["neurons2"].spikes_per_neuron > 1

    def test_state_is_reset_for_each_image(self, x):
        network = spiking(two_layers(), x)
        whole, parts = (
            snc.evaluate(network, x, [0] * 6, n_steps=12, backend="loihi", memory_mb=memory) for memory in (500, 0.01)
        )
        backwards = snc.evaluate(network, x[::-1], [0] * 6, n_steps=12, backend="loihi")
        assert np.array_equal(whole.scores, parts.scores)
        assert np.array_equal(whole.scores, backwards.scores[::-1])
        assert len({scores.tobytes() for scores in whole.scores}) == 6
        # a new emulator
        network = snc.to_loihi(network)
        network.input.output = x[5].ravel()
        with compat.nengo_loihi.Simulator(network, target="sim") as simulator:
            simulator.run_steps(12)
        scores = simulator.data[network.probes["output"]].mean(axis=0)
        assert np.allclose(scores, whole.scores[5], rtol=1e-5)

    def test_overflow_warns(self):
        """144 simultaneous spikes with the largest weight, 255 * 2**6, exceed 2**21."""
        model = make(
            specs.Input("image", shape=(144,)),
            specs.Rectifier("neurons1", "image"),
            specs.Dense("dense", "neurons1", units=2, use_bias=False),
            specs.Rectifier("neurons2", "dense"),
        )
        model = model.replace(arrays={"dense/kernel": np.ones((144, 2))})
        network = snc.to_spiking(snc.convert(model), **zero_start(max_rate=400))
        with pytest.warns(UserWarning, match="lower max_rate") as caught:
            snc.record(network, np.ones((2, 144), np.float32), n_steps=9, backend="loihi")
        assert len(caught) == 1


@needs_loihi
class TestErrors:
    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"neuron_type": snc.IntegrateAndFire()}, "no IntegrateAndFire neurons"),
            ({"neuron_type": snc.SignedIntegrateAndFire()}, "no SignedIntegrateAndFire neurons: use nengo.LIF"),
            ({"neuron_type": nengo.PoissonSpiking(nengo.RectifiedLinear())}, "no PoissonSpiking neurons"),
            (
                {"input_coding": "poisson"},
                "use input_coding='constant'",
            ),
            ({"synapse": nengo.Alpha(0.005)}, r"nengo.Lowpass only, got synapse=Alpha\(tau=0.005\)"),
        ],
    )
    def test_settings(self, options, message, x):
        with pytest.raises(snc.ConversionError, match=message):
            snc.evaluate(spiking(two_layers(), x, **options), x, [0] * 6, backend="loihi")

    def test_networks(self, x, rng):
        trainable = snc.build_trainable(two_layers(), nengo.RectifiedLinear())
        rates = snc.normalize(snc.convert(two_layers()), x)
        cases = {
            "got one that build_trainable": trainable,
            "got one that to_ttfs": snc.to_ttfs(rates, x, n_steps=4),
            "one of SurrogateLIF neurons": snc.convert(snc.build_trainable(two_layers(), snc.SurrogateLIF())),
            "RectifiedLinear does not spike": rates,
        }
        for message, network in cases.items():
            with pytest.raises(snc.ConversionError, match=message):
                snc.to_loihi(network)
            with pytest.raises(snc.ConversionError, match=message):
                snc.record(network, x, backend="loihi")

    @pytest.mark.parametrize(
        ("size", "layers", "at_fault", "message"),
        [
            (
                8,
                [specs.MaxPool("max", "neurons", pool_size=(2, 2)), specs.Conv("conv", "max", **CONV)],
                "max",
                r"max \(MaxPool\): .*average pooling or strides",
            ),
            (8, [specs.Conv("conv", "neurons", **CONV)], None, "or readout='spikes'"),
            (
                8,
                [
                    specs.Conv("conv", "neurons", **CONV),
                    specs.Rectifier("late", "conv"),
                    specs.Add("sum", ("late", "image")),
                    specs.Rectifier("end", "sum"),
                ],
                "end",
                "end reads the image",
            ),
            (
                65,
                [
                    specs.Flatten("flat", "neurons"),
                    specs.Dense("dense", "flat", units=2),
                    specs.Rectifier("end", "dense"),
                ],
                "end",
                "4,225 input axons of 4,096",
            ),
        ],
        ids=["maximum", "one layer", "image", "axons"],
    )
    def test_models(self, size, layers, at_fault, message):
        model = make(specs.Input("image", shape=(size, size, 1)), specs.Rectifier("neurons", "image"), *layers)
        with pytest.raises(snc.ConversionError, match=message) as caught:
            snc.to_loihi(snc.to_spiking(snc.convert(model), **zero_start()))
        assert caught.value.layer == at_fault


@needs_loihi
def test_clipping_warns(x):
    network = spiking(two_layers(), x, neuron_type=nengo.SpikingRectifiedLinear(), max_rate=2000)
    with pytest.warns(UserWarning, match="max_rate=1000"):
        snc.record(network, x[:1], n_steps=2, backend="loihi")
