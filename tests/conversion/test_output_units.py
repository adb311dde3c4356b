"""Outputs stay in the units of the model that was converted, however its layers are scaled."""

import dataclasses

import nengo
import numpy as np
import pytest
from keras_graphs import averages_are_dyadic, dyadic_model, random_model
from models import branched, make

import nengo_snnconv as snc
from nengo_snnconv.compat import nengo_dl, tf
from nengo_snnconv.model import Model
from nengo_snnconv.model import layers as specs
from nengo_snnconv.passes import find_units, rescale

FACTOR = 37.0  # order of magnitude of activations and outputs


def _regression(*head):
    """Return a small CNN whose outputs are far from 1."""
    model = make(
        specs.Input("image", shape=(6, 6, 2)),
        specs.Conv("conv", "image", filters=4, kernel_size=(3, 3)),
        specs.Rectifier("relu", "conv"),
        *head,
    )
    arrays = {name: FACTOR * array for name, array in model.arrays.items() if "conv" in name}
    if model.shapes["y"] == (1,):
        arrays["y/bias"] = [30 * FACTOR]  # positive, so that the output has a scale
    return model.replace(arrays=arrays)


HEADS = {
    "linear": (specs.Flatten("flat", "relu"), specs.Dense("y", "flat", units=3)),
    "one output": (specs.Flatten("flat", "relu"), specs.Dense("y", "flat", units=1)),
    "rectified": (
        specs.Flatten("flat", "relu"),
        specs.Dense("dense", "flat", units=3),
        specs.Rectifier("y", "dense"),
    ),
    "mean of neurons": (specs.GlobalAveragePool("y", "relu"),),
    "largest neuron": (specs.GlobalMaxPool("y", "relu"),),
    "mean of sums": (
        specs.Conv("more", "relu", filters=3, kernel_size=(2, 2)),
        specs.GlobalAveragePool("y", "more"),
    ),
    "largest sum": (
        specs.Conv("more", "relu", filters=3, kernel_size=(2, 2)),
        specs.GlobalMaxPool("y", "more"),
    ),
    "neurons beside sums": (
        specs.GlobalAveragePool("mean", "relu"),
        specs.Dense("dense", "mean", units=4),
        specs.Rectifier("neurons", "dense"),
        specs.Add("y", ("mean", "neurons")),
    ),
}
METHODS = {
    "data": {"percentile": 100},
    "data per channel": {"percentile": 100, "per": "channel"},
    "model": {"method": "model"},
    "balance": {"method": "balance", "n_steps": 16},
}


@pytest.fixture
def x(rng):
    return rng.random((12, 6, 6, 2), dtype=np.float32)


@pytest.fixture(params=HEADS)
def network(request):
    return snc.convert(_regression(*HEADS[request.param]))


@pytest.fixture(params=["linear", "rectified", "neurons beside sums"])
def one_of_few(request):
    return snc.convert(_regression(*HEADS[request.param]))


def outputs(network, x):
    return np.asarray(snc.rate_model(network)(x))


def normalized(network, x, **options):
    result = snc.normalize(network, x, **({"percentile": 100} | options))
    assert result.model.output_scale != 1  # otherwise the tests would show nothing
    return result


def assert_close(found, expected, relative):
    assert np.abs(found - expected).max() <= relative * np.abs(expected).max()


class TestRates:
    @pytest.mark.parametrize("how", METHODS)
    def test_rate_model_and_network(self, network, x, how):
        expected = outputs(network, x)
        scaled = normalized(network, x, **METHODS[how])
        assert_close(outputs(scaled, x), expected, 1e-5)
        assert_close(snc.record(scaled, x, n_steps=2).output[:, -1], expected, 1e-5)
        again = normalized(scaled, x, **METHODS["balance"])
        assert_close(outputs(again, x), expected, 1e-5)

    def test_activations_are_in_units_of_their_scale(self, network, x):
        scaled = normalized(network, x)
        names = [name for name, layer in scaled.model.layers.items() if isinstance(layer, specs.Rectifier)]
        before, after = (tf.nest.flatten(snc.rate_model(each, names)(x)) for each in (network, scaled))
        for name, one, other in zip(names, before, after, strict=True):
            assert_close(np.asarray(other) * scaled.model.metadata["scales"][name], np.asarray(one), 1e-5)

    @pytest.mark.parametrize("seed", range(4))
    def test_random_graphs(self, seed):
        network = snc.convert(random_model(seed, 5))
        model = network.model
        x = np.random.default_rng(seed).random((6, *model.shapes[model.input]), dtype=np.float32)
        expected = outputs(network, x)
        for scaled in (snc.normalize(network, x), snc.normalize(network, x, method="model", per="channel")):
            assert_close(outputs(scaled, x), expected, 1e-4)
            assert np.array_equal(outputs(scaled, x).argmax(axis=-1), expected.argmax(axis=-1))

    def test_of_a_keras_model(self, rng):
        layers = tf.keras.layers
        keras = tf.keras.Sequential(
            [
                tf.keras.Input((10,)),
                layers.Dense(30, activation="relu"),
                layers.Dense(5),
                layers.Rescaling(rng.random(5) * 100, offset=1.5),
            ]
        )
        x = rng.random((40, 10), dtype=np.float32)
        expected = keras.predict(x, verbose=0)
        network = snc.normalize(snc.convert(keras), x, percentile=100)
        assert_close(outputs(network, x), expected, 1e-5)
        spikes = snc.evaluate(snc.to_spiking(network), x, np.zeros(40, int), n_steps=2000)
        assert_close(spikes.scores, expected, 0.01)


class TestSpikes:
    @pytest.mark.parametrize("how", METHODS)
    def test_scores_are_those_of_the_model(self, network, x, how):
        expected = outputs(network, x)
        spiking = snc.to_spiking(normalized(network, x, **METHODS[how]))
        evaluation = snc.evaluate(spiking, x, np.zeros(len(x), int), n_steps=1000)
        bound = {"balance": 0.2}.get(how, 0.03)  # from clipping and rounding
        assert_close(evaluation.scores, expected, bound)
        assert_close(snc.record(spiking, x[:3], n_steps=1000).filtered[:, -1], expected[:3], bound)

    def test_output_spikes(self, network, x):
        expected = np.maximum(outputs(network, x), 0)
        spiking = snc.to_spiking(normalized(network, x), readout="spikes")
        assert_close(snc.evaluate(spiking, x, np.zeros(len(x), int), n_steps=1000).scores, expected, 0.03)

    def test_poisson_input(self, x):
        network = snc.convert(_regression(*HEADS["linear"]))
        spiking = snc.to_spiking(normalized(network, x), input_coding="poisson")
        evaluation = snc.evaluate(spiking, x, np.zeros(len(x), int), n_steps=3000)
        assert_close(evaluation.scores, outputs(network, x), 0.1)

    def test_filtered_scores_and_other_neurons(self, x):
        network = snc.convert(_regression(*HEADS["linear"]))
        spiking = snc.to_spiking(normalized(network, x), nengo.LIF(min_voltage=-5), max_rate=200)
        recording = snc.record(spiking, x[:3], n_steps=1000, synapse=0.1)
        assert_close(recording.filtered[:, -1], outputs(network, x[:3]), 0.2)

    def test_loihi(self, x):
        pytest.importorskip("nengo_loihi")
        hidden = (specs.Conv("more", "relu", filters=3, kernel_size=(3, 3)), specs.Rectifier("relu2", "more"))
        head = specs.Flatten("flat", "relu2"), specs.Dense("y", "flat", units=3)
        network = snc.convert(_regression(*hidden, *head))
        for readout in ("potential", "spikes"):
            spiking = snc.to_spiking(normalized(network, x), nengo.LIF(min_voltage=-5), max_rate=300, readout=readout)
            chip = snc.evaluate(spiking, x[:3], [0] * 3, n_steps=200, backend="loihi")
            expected = outputs(network, x[:3])
            assert_close(chip.scores, np.maximum(expected, 0) if readout == "spikes" else expected, 0.4)

    def test_additional_probes_and_nodes(self, x):
        network = snc.convert(_regression(*HEADS["linear"]))
        expected = outputs(network, x[:1])[0]
        spiking = snc.to_spiking(normalized(network, x))
        with spiking:
            mine = nengo.Node(size_in=3)
            nengo.Connection(spiking.output, mine, synapse=None)
            probe = nengo.Probe(mine, synapse=nengo.Alpha(0.1))
        spiking.input.output = x[0].ravel()
        for simulator in (nengo.Simulator(spiking, progress_bar=False), snc.Simulator(spiking)):
            with simulator:
                simulator.run_steps(1500)
                for each in (probe, spiking.probes["output_filtered"]):
                    assert_close(np.squeeze(simulator.data[each])[-1], expected, 0.05)


class TestTimeToFirstSpike:
    @pytest.mark.parametrize("options", [{}, {"threshold": "max"}])
    def test_scores_are_those_of_the_model(self, network, x, options):
        expected = outputs(network, x)
        for source in (network, normalized(network, x)) if options else (network,):
            snn = snc.to_ttfs(source, x, 256, **options)
            closed = snc.evaluate(snn, x, np.zeros(len(x), int))
            assert_close(closed.scores, expected, 0.05)
            assert_close(outputs(snn, x), expected, 1e-5)

    def test_step_by_step(self, one_of_few, x):
        snn = snc.to_ttfs(one_of_few, x, 32)
        closed = snc.evaluate(snn, x[:4], [0] * 4)
        for backend in ("nengo", "nengo_dl"):
            simulated = snc.record(snn, x[:4], backend=backend)
            assert_close(simulated.output[:, -1], closed.scores, 1e-5)


class TestExactness:
    @pytest.mark.parametrize("seed", range(3))
    def test_scores_agree_to_the_last_bit(self, seed):
        """With a scale that is a power of two every sum is exact, so all back ends give the same scores."""
        model = next(m for m in (dyadic_model(seed + 100 * i, 4) for i in range(50)) if averages_are_dyadic(m))
        units = find_units(model)
        scales = np.ones(units.n_units)
        scales[units.labels[model.output].max()] = 8
        scaled = snc.convert(model).rebuild(rescale(model, units, scales))
        spiking = snc.to_spiking(scaled)
        rng = np.random.default_rng(seed)
        x = rng.integers(0, 64, (3, *model.shapes[model.input])).astype(np.float32) / 64
        runs = [snc.record(spiking, x, n_steps=12, backend=name) for name in ("nengo", "nengo_dl", "fast")]
        for run in runs[1:]:
            assert np.array_equal(run.output, runs[0].output)
            for name, spikes in runs[0].spikes.items():
                assert np.array_equal(run.spikes[name], spikes)

    def test_the_output_scale_changes_no_spike(self, rng):
        images = rng.random((4, 8, 8, 2), dtype=np.float32)
        spiking = snc.to_spiking(normalized(snc.convert(branched()), images))
        other = spiking.rebuild(spiking.model.replace(metadata={}))
        one, two = (snc.record(each, images, n_steps=20) for each in (spiking, other))
        assert_close(one.output, two.output * spiking.model.output_scale, 1e-6)
        for name, spikes in one.spikes.items():
            assert np.array_equal(spikes, two.spikes[name])
        assert np.array_equal(one.filtered.argmax(-1), two.filtered.argmax(-1))


class TestModels:
    def test_the_scale_is_saved(self, one_of_few, x, tmp_path):
        spiking = snc.to_spiking(normalized(one_of_few, x))
        snc.save(spiking, tmp_path / "network.snn.npz")
        loaded = snc.load(tmp_path / "network.snn.npz")
        one, two = (snc.evaluate(each, x, np.zeros(len(x), int), n_steps=20).scores for each in (spiking, loaded))
        assert np.array_equal(one, two)

    def test_files_of_earlier_versions_have_scale_1_for_entries_that_are_zero(self, x):
        model = make(
            specs.Input("image", shape=(6, 6, 2)),
            specs.Dense("dense", "image", units=1),
            specs.Pad("y", "dense", before=(0, 0, 0), after=(0, 0, 2)),
        )
        scales = {"y": [4.0, 1.0, 1.0]}
        assert model.replace(metadata={"scales": scales}).output_scale == 4
        assert normalized(snc.convert(model), x).model.metadata["scales"]["y"][1] != 1

    @pytest.mark.parametrize("scale", [[0.0, 0.0, 0.0], [-1.0] * 3, [2.0, 3.0, 4.0], [float("inf")] * 3])
    def test_invalid_scales(self, scale):
        model = _regression(*HEADS["linear"]).replace(metadata={"scales": {"y": scale}})
        with pytest.raises(snc.ModelError, match="one scale"):
            snc.convert(model)

    @pytest.mark.parametrize("scales", [[1, 2], {"y": "two"}, {"y": [[1], [1, 2]]}, 3])
    def test_scales_that_are_not_numbers(self, scales):
        with pytest.raises(snc.ModelError, match="scales must be numbers"):
            snc.convert(_regression(*HEADS["linear"]).replace(metadata={"scales": scales}))

    @pytest.mark.parametrize("neurons", [False, True])
    def test_training_starts_in_the_units_of_the_model(self, one_of_few, x, neurons):
        model = normalized(one_of_few, x).model
        trainable = snc.build_trainable(model, nengo.RectifiedLinear(), output_neurons=neurons)
        expected = outputs(one_of_few, x)
        assert_close(outputs(trainable, x), np.maximum(expected, 0) if neurons else expected, 1e-5)
        assert trainable.model.output_scale == 1

    def test_other_builders_use_the_scale(self, one_of_few, x):
        """Networks that are rebuilt with a rescaled model."""
        model = normalized(one_of_few, x).model
        expected = outputs(one_of_few, x)
        trainable = snc.build_trainable(one_of_few.model, nengo.RectifiedLinear()).rebuild(model)
        assert_close(outputs(trainable, x), expected, 1e-5)
        for backend in ("nengo_dl", "fast"):
            assert_close(snc.record(trainable, x, n_steps=1, backend=backend).output[:, -1], expected, 1e-5)
        with nengo_dl.Simulator(trainable, minibatch_size=1, progress_bar=False) as simulator:
            simulator.run_steps(1, data={trainable.input: x[:1].reshape(1, 1, -1)})
            assert_close(simulator.data[trainable.probes["output"]][0, -1], expected[:1], 1e-5)

    def test_a_pass_that_changes_the_output_keeps_its_scale(self, x):
        """Converting a rescaled model again removes its last layer."""
        model = _regression(*HEADS["linear"])
        layers = [*model.layers.values(), specs.Dropout("dropped", "y")]
        doubled = Model(layers, model.arrays, metadata={"scales": {"dropped": [2.0] * 3}})
        network = snc.convert(doubled)
        assert network.model.output == "y"
        assert_close(outputs(network, x), 2 * outputs(snc.convert(model), x), 1e-6)

    def test_sweeps_and_tuning(self, x):
        network = snc.convert(_regression(*HEADS["linear"]))
        expected = outputs(network, x)
        y = expected.argmax(axis=1)
        grid = {"method": ["data"], "percentile": [100], "per": ["layer", "channel"]}
        for trial in snc.sweep(network, x, y, grid, x_calibration=x, n_steps=500, progress=False).trials:
            assert_close(trial.evaluation.scores, expected, 0.05)

    def test_bounds_are_in_the_units_of_scores(self, x):
        network = snc.convert(_regression(*HEADS["linear"]))
        spiking = snc.to_spiking(normalized(network, x))
        scores = snc.evaluate(spiking, x, np.zeros(len(x), int), n_steps=64).scores
        error = np.abs(scores - outputs(network, x)).max(axis=0)
        bound = snc.error_bounds(spiking, 64)["y"]
        assert (error <= bound).all()
        assert (bound < 1000 * error).all()

    def test_a_normalized_network_is_diagnosed_as_healthy(self, x):
        network = snc.convert(_regression(*HEADS["linear"]))
        y = outputs(network, x).argmax(axis=1)
        diagnosis = snc.diagnose(snc.to_spiking(normalized(network, x)), x, y, n_steps=200, progress=False)
        assert diagnosis.healthy, diagnosis.summary()
        assert diagnosis.output_level == pytest.approx(1, rel=0.1)


def test_settings_are_frozen(x):
    """Settings, on which the scale depends, cannot be changed after a network is built."""
    network = normalized(snc.convert(_regression(*HEADS["linear"])), x)
    with pytest.raises(dataclasses.FrozenInstanceError):
        network.settings.readout = "spikes"
