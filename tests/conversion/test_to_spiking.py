"""Spiking networks: the same spikes on every back end, and rates that approach those of the ANN."""

import nengo
import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from keras_graphs import averages_are_dyadic, dyadic_model
from models import branched, make, small_cnn

import nengo_snnconv as snc
from nengo_snnconv.model import layers as specs


def quiet(model, **options):
    """Return a spiking network of a model that was not normalized."""
    with pytest.warns(UserWarning, match="was not normalized"):
        return snc.to_spiking(snc.convert(model), **options)


def spikes_of(network, x, backend, n_steps=6):
    recording = snc.record(network, x, n_steps=n_steps, backend=backend)
    return {**recording.spikes, "output": recording.output}


def assert_same_spikes(network, x):
    one, other = (spikes_of(network, x, backend) for backend in ("nengo_dl", "nengo"))
    assert one.keys() == other.keys()
    for name in one:
        assert np.array_equal(one[name], other[name]), name
    return one


@given(st.integers(0, 2**32 - 1), st.integers(2, 7), st.booleans(), st.sampled_from(["potential", "spikes"]))
@settings(max_examples=8, deadline=None, derandomize=True, phases=[Phase.generate])
def test_back_ends_agree_spike_for_spike_on_random_graphs(seed, n_layers, poisson, readout):
    model = dyadic_model(seed, n_layers)
    if not averages_are_dyadic(model):
        return
    options = {"input_coding": "poisson" if poisson else "constant", "readout": readout, "seed": seed % 1000}
    x = (np.random.default_rng(seed).integers(-8, 17, (3, *model.shapes[model.input])) / 16).astype(np.float32)
    spikes = assert_same_spikes(quiet(model, **options), x)
    direct = assert_same_spikes(quiet(model, direct=True, **options), x)
    assert all(np.array_equal(direct[name], spikes[name]) for name in spikes)


@pytest.mark.parametrize(
    "neuron_type",
    [
        snc.IntegrateAndFire(reset="zero"),
        snc.IntegrateAndFire(threshold=0.5, initial_potential=0, max_spikes=4),
        snc.IntegrateAndFire(min_potential=-0.25),
    ],
    ids=str,
)
def test_back_ends_agree_for_every_variant(neuron_type, rng):
    model = branched().replace(arrays={name: np.round(8 * array) / 16 for name, array in branched().arrays.items()})
    network = quiet(model, neuron_type=neuron_type) if neuron_type.max_spikes == 1 else None
    network = network or snc.to_spiking(snc.convert(model), neuron_type)
    spikes = assert_same_spikes(network, (rng.integers(0, 17, (3, 8, 8, 2)) / 16).astype(np.float32))
    assert spikes["c_neurons"].any()


class TestRates:
    @pytest.mark.parametrize("input_coding", ["constant", "poisson"])
    @pytest.mark.parametrize("readout", ["potential", "spikes"])
    def test_scores_approach_the_ann(self, input_coding, readout, rng):
        x = rng.random((4, 6, 6, 2), dtype=np.float32)
        network = snc.normalize(snc.convert(small_cnn()), x, percentile=100)
        expected = snc.rate_model(network).predict(x, verbose=0)
        if readout == "spikes":
            expected = np.maximum(expected, 0)
        spiking = snc.to_spiking(network, input_coding=input_coding, readout=readout)
        errors = [np.abs(snc.record(spiking, x, n_steps=n).filtered[:, -1] - expected).max() for n in (10, 640)]
        # errors are proportional to 1 / n for constant input, to its square root for Poisson input
        assert errors[1] < (0.02 if input_coding == "constant" else 0.15)
        assert errors[1] < errors[0]

    def test_one_layer_is_within_half_a_spike(self, rng):
        model = make(specs.Input("image", shape=(200,)), specs.Rectifier("neurons", "image"))
        x = rng.uniform(-1, 1, (2, 200)).astype(np.float32)
        recording = snc.record(quiet(model), x, n_steps=20)
        assert np.abs(recording.spikes["neurons"].sum(axis=1) - 20 * np.maximum(x, 0)).max() <= 0.5 + 1e-4

    def test_maxima_of_spikes_are_exact_counts(self, rng):
        model = make(
            specs.Input("image", shape=(6, 6, 2)),
            specs.Rectifier("neurons", "image"),
            specs.MaxPool("max", "neurons", pool_size=(3, 3), strides=1, padding="same"),
        )
        x = rng.random((3, 6, 6, 2), dtype=np.float32)
        recording = snc.record(quiet(model), x, n_steps=15)
        counts = recording.spikes["neurons"].cumsum(axis=1).reshape(3, 15, 6, 6, 2)
        entries = model.layers["max"].windows((6, 6, 2))
        largest = counts.reshape(3, 15, -1)[..., entries].max(axis=-1)
        assert np.array_equal(recording.output.cumsum(axis=1), largest)

    def test_other_neuron_types(self, rng):
        x = rng.random((4, 6, 6, 2), dtype=np.float32)
        network = snc.normalize(snc.convert(small_cnn()), x, percentile=100)
        expected = snc.rate_model(network).predict(x, verbose=0)
        for neuron_type in (
            nengo.SpikingRectifiedLinear(),
            nengo.LIF(min_voltage=-5),
            nengo.RegularSpiking(nengo.RectifiedLinear()),
        ):
            spiking = snc.to_spiking(network, neuron_type, max_rate=100)
            scores = snc.record(spiking, x, n_steps=400).filtered[:, -1]
            assert np.abs(scores - expected).max() < 0.1 * np.abs(expected).max(), neuron_type


class TestReadOut:
    def test_the_first_class_with_the_most_spikes_is_predicted(self, rng):
        model = make(specs.Input("image", shape=(3,)), specs.Dense("scores", "image", units=3, use_bias=False))
        network = quiet(model.replace(arrays={"scores/kernel": np.eye(3)}), readout="spikes")
        x = np.array([[0.0, 0.0, 0.0], [0.0, 0.75, 0.75], [0.25, 0.5, 1.0]], np.float32)
        evaluation = snc.evaluate(network, x, np.array([0, 1, 2]), n_steps=4)
        assert evaluation.step_predictions[-1].tolist() == [0, 1, 2]
        assert np.allclose(4 * evaluation.scores, [[0, 0, 0], [0, 3, 3], [1, 2, 4]])

    def test_potential_sums_the_current(self, rng):
        x = rng.random((4, 6, 6, 2), dtype=np.float32)
        network = snc.to_spiking(snc.normalize(snc.convert(small_cnn()), x))
        recording = snc.record(network, x, n_steps=9)
        steps = np.arange(1, 10)[:, None]
        assert np.allclose(recording.filtered, recording.output.cumsum(axis=1) / steps, rtol=1e-5, atol=1e-6)
        evaluation = snc.evaluate(network, x, np.zeros(4, int), n_steps=9)
        assert np.array_equal(evaluation.step_predictions.T, recording.filtered.argmax(axis=-1))

    @pytest.mark.parametrize("memory_mb", [500, 0.02, 0.005])
    def test_skipped_steps(self, memory_mb, rng):
        x, y = rng.random((4, 6, 6, 2), dtype=np.float32), np.zeros(4, int)
        network = snc.to_spiking(snc.normalize(snc.convert(small_cnn()), x))
        output = snc.record(network, x, n_steps=12).output
        evaluation = snc.evaluate(network, x, y, n_steps=12, skip_steps=5, memory_mb=memory_mb)
        expected = [output[:, : n + 1] if n < 5 else output[:, 5 : n + 1] for n in range(12)]
        predictions = [part.sum(axis=1).argmax(axis=1) for part in expected]
        assert np.array_equal(evaluation.step_predictions, predictions)
        assert np.allclose(evaluation.scores, output[:, 5:].mean(axis=1), rtol=1e-5)
        with pytest.raises(snc.SettingsError, match="skip_steps must be"):
            snc.evaluate(network, x, y, n_steps=5, skip_steps=5)
        with pytest.raises(snc.SettingsError, match="for averaged scores") as caught:
            snc.evaluate(network, x, y, n_steps=5, skip_steps=1, synapse=0.1)
        assert caught.value.argument == "skip_steps"

    def test_chunks_of_time_change_nothing(self, rng):
        x, y = rng.random((5, 6, 6, 2), dtype=np.float32), np.arange(5) % 4
        network = snc.to_spiking(snc.normalize(snc.convert(small_cnn()), x), input_coding="poisson")
        whole = snc.evaluate(network, x, y, n_steps=30)
        for backend in ("nengo_dl", "nengo"):
            parts = snc.evaluate(network, x, y, n_steps=30, memory_mb=0.005, backend=backend)
            assert np.array_equal(parts.step_predictions, whole.step_predictions)
            assert np.allclose(parts.scores, whole.scores, atol=1e-5)
            assert parts.synaptic_operations == pytest.approx(whole.synaptic_operations)


class TestInput:
    def test_poisson_spikes_are_those_of_poisson_spikes(self, rng):
        x = 0.5 * rng.random((3, 6, 6, 2), dtype=np.float32)
        network = snc.normalize(snc.convert(small_cnn()), x)
        spiking = snc.to_spiking(network, input_coding="poisson", input_threshold=0.5, seed=9)
        for backend in ("nengo_dl", "nengo"):
            recorded = snc.record(spiking, x, n_steps=7, backend=backend).spikes["image"]
            assert np.array_equal(recorded.reshape(3, 7, 6, 6, 2), snc.poisson_spikes(x, 7, 0.5, 9))

    def test_operations_of_input_spikes_are_counted(self, rng):
        x, y = rng.random((5, 6, 6, 2), dtype=np.float32), np.arange(5) % 4
        network = snc.normalize(snc.convert(small_cnn()), x)
        spiking = snc.to_spiking(network, input_coding="poisson")
        evaluation = snc.evaluate(spiking, x, y, n_steps=10)
        spikes = snc.poisson_spikes(x, 10)
        assert evaluation.input_layer.spikes_per_neuron == pytest.approx(spikes.mean(axis=(0, 2, 3, 4)).sum())
        # a pixel reaches 3 filters at each position of the 3 x 3 kernel that covers it
        cover = np.outer([1, 2, 3, 3, 2, 1], [1, 2, 3, 3, 2, 1])[..., None] * 3
        expected = (spikes.sum(axis=(0, 1)) * cover).sum() / 5
        assert evaluation.input_layer.synaptic_operations == pytest.approx(expected)
        assert evaluation.input_operations == 0
        assert evaluation.synaptic_operations > expected
        assert "spikes per input" in evaluation.summary()
        assert snc.evaluate(snc.to_spiking(network), x, y, n_steps=3).input_layer is None


class TestRefused:
    def test_rates(self):
        with pytest.raises(snc.ConversionError, match="does not spike"):
            snc.to_spiking(snc.convert(small_cnn()), nengo.RectifiedLinear())

    def test_trainable_networks(self):
        with pytest.raises(snc.ConversionError, match="network that convert made"):
            snc.to_spiking(snc.build_trainable(small_cnn(), nengo.LIF(amplitude=0.01)))

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"input_coding": "rate"}, "input_coding must be one of"),
            ({"readout": "votes"}, "readout must be one of"),
            ({"input_threshold": 0}, "input_threshold must be above 0"),
            ({"input_threshold": np.inf}, "input_threshold must be above 0"),
            ({"seed": -1}, "seed must be"),
            ({"neuron_type": nengo.LIF}, "must be an instance"),
            ({"neuron_type": nengo.LIF(min_voltage=-5), "max_rate": 700}, "below 500 Hz"),
        ],
    )
    def test_settings(self, options, message):
        network = snc.normalize(snc.convert(small_cnn()), method="model")
        with pytest.raises(snc.SettingsError, match=message):
            snc.to_spiking(network, **options)

    def test_warnings(self, rng):
        network = snc.normalize(snc.convert(small_cnn()), method="model")
        with pytest.warns(UserWarning, match="forgets negative input.*min_voltage=-5"):
            snc.to_spiking(network, nengo.LIF())
        x = rng.random((2, 6, 6, 2), dtype=np.float32)
        with pytest.warns(UserWarning, match="above 0.5: use dt=0.001"):
            snc.evaluate(snc.to_spiking(network), x, np.zeros(2, int), n_steps=2, dt=0.002)

    def test_input_outside_the_range_of_poisson_spikes(self, rng):
        x = 2 * rng.random((2, 6, 6, 2), dtype=np.float32)
        network = snc.to_spiking(snc.normalize(snc.convert(small_cnn()), x), input_coding="poisson")
        with pytest.warns(UserWarning, match="-1 to 1 .*input_threshold="):
            snc.record(network, x, n_steps=2)


def test_networks_run_in_a_plain_nengo_simulator(rng):
    x = rng.random((1, 6, 6, 2), dtype=np.float32)
    network = snc.to_spiking(snc.normalize(snc.convert(small_cnn()), x))
    network.input.output = x.ravel()
    with network:
        probe = nengo.Probe(network.layers["neurons"])
        scores = nengo.Probe(network.output)
    with nengo.Simulator(network, progress_bar=False) as simulator:
        simulator.run_steps(10)
    recording = snc.record(network, x, n_steps=10)
    assert np.array_equal(simulator.data[probe], recording.spikes["neurons"][0])
    assert np.allclose(simulator.data[scores], recording.output[0], atol=1e-5)


@pytest.mark.filterwarnings("ignore::nengo_snnconv.errors.SnnConvWarning")
@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from([0.3125, 0.75, 1.25, 1.5, 2.75, 3.0]),
    st.sampled_from([None, 125.0, 500.0, 2000.0]),
    st.sampled_from([1, 3, np.inf]),
    st.sampled_from(["potential", "spikes"]),
)
@settings(max_examples=10, deadline=None, derandomize=True)
def test_back_ends_agree_for_any_threshold_and_rate(seed, threshold, max_rate, max_spikes, readout):
    """Also if the threshold and the height of a spike are not 1.

    Warnings say that neurons cannot reach some activations.
    """
    model = next(m for m in (dyadic_model(seed + i, 4) for i in range(200)) if averages_are_dyadic(m))
    neuron_type = snc.IntegrateAndFire(threshold, max_spikes=max_spikes)
    network = snc.to_spiking(snc.convert(model), neuron_type, max_rate=max_rate, readout=readout)
    x = np.random.default_rng(seed).integers(-32, 64, (3, *model.shapes[model.input])).astype(np.float32) / 64
    expected = snc.record(network, x, n_steps=15, backend="nengo")
    for backend in ("nengo_dl", "fast"):
        found = snc.record(network, x, n_steps=15, backend=backend)
        for name, spikes in expected.spikes.items():
            assert np.array_equal(found.spikes[name], spikes), (backend, name)
        assert np.array_equal(found.output, expected.output), backend
