"""Time to first spike: the paper's equations, one spike at most, the same on every back end and in closed form."""

import nengo
import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from keras_graphs import averages_are_dyadic, dyadic_model
from models import branched, dyadic_images, make, meeting_late, small_cnn

import nengo_snnconv as snc
from nengo_snnconv.compat import nengo_dl
from nengo_snnconv.evaluation.ttfs_closed_form import ClosedForm
from nengo_snnconv.model import layers as specs
from nengo_snnconv.networks.stages import stages
from nengo_snnconv.neurons.time_to_first_spike import FirstSpikeInput

T = 16


def spike_steps(recording, name):
    """Return the step in which each neuron spikes, (images, neurons); -1 if it does not spike."""
    spikes = recording.spikes[name]
    assert spikes.sum(axis=1).max() <= 1
    return np.where(spikes.any(axis=1), spikes.argmax(axis=1), -1)


def computed_steps(network, x):
    """Return the same for all layers from the closed form, and the scores after each step of the last stage."""
    form, stage = ClosedForm(network), stages(network.model)
    levels = form.levels(x)
    steps = {}
    for name, level in levels.items():
        level = np.abs(level.numpy()).reshape(len(x), -1)
        steps[name] = np.where(level > 0, (stage[name] + 1) * form.n_steps - level, -1)
    return steps, np.moveaxis(form.outputs(levels).numpy(), 0, 1)


def assert_same(network, x):
    """Assert that spike times and scores are equal on all back ends and in closed form."""
    recordings = [snc.record(network, x, backend=backend) for backend in ("nengo_dl", "nengo", "fast", "tensorflow")]
    steps, scores = computed_steps(network, x)
    for recording in recordings:
        for name in recording.spikes:
            assert np.array_equal(spike_steps(recording, name), steps[name]), name
        last = recording.output[:, -network.settings.stage_steps :]
        np.testing.assert_allclose(last, scores.reshape(last.shape), atol=1e-6)
        assert not recording.output[:, : -network.settings.stage_steps].any()
    return recordings[0]


@pytest.mark.parametrize("offset", [0, 0.5])
def test_a_neuron_follows_the_papers_equations(offset):
    """u(t_max) = sum of w (t_max - t), and a spike when u + u_th t / t_max reaches u_th."""
    rng = np.random.default_rng(1)
    weights, times, threshold = rng.integers(-8, 12, (40, 5)) / 8, rng.integers(0, T, 5), 2.0
    with nengo.Network() as network:
        source = nengo.Node(lambda t: (np.rint(t / 0.001) - 1 == times) / 0.001 * 0.001)
        neuron_type = snc.TimeToFirstSpike(T, threshold=threshold, offset=offset)
        neurons = nengo.Ensemble(40, 1, neuron_type=neuron_type, gain=np.ones(40), bias=np.zeros(40)).neurons
        nengo.Connection(source, neurons, transform=weights, synapse=None)
        probe, potential = nengo.Probe(neurons), nengo.Probe(neurons, "voltage")
    with nengo.Simulator(network, progress_bar=False) as simulator:
        simulator.run_steps(3 * T)
    potentials = weights @ (T - times)
    np.testing.assert_allclose(simulator.data[potential][T - 1], potentials)
    # the first step k of the spiking stage with potentials + (k + offset) threshold >= threshold T
    expected = np.maximum(np.ceil(T - offset - potentials / threshold), 0)
    spikes = simulator.data[probe] > 0
    assert spikes.sum(axis=0).max() == 1
    assert ((potentials <= 0) <= ~spikes.any(axis=0)).all()
    fired = spikes.any(axis=0)
    assert np.array_equal(fired, expected < T)
    assert np.array_equal(spikes.argmax(axis=0)[fired], T + expected[fired])
    assert 5 < fired.sum() < 35


@pytest.mark.parametrize("signed", [False, True])
def test_the_input_spikes_at_the_papers_time(signed):
    x, x_max = np.linspace(-3, 3, 61), 2.0
    with nengo.Network() as network:
        neuron_type = FirstSpikeInput(T, stage=1, x_max=x_max, signed=signed)
        neurons = nengo.Ensemble(61, 1, neuron_type=neuron_type, gain=np.ones(61), bias=np.zeros(61)).neurons
        nengo.Connection(nengo.Node(x), neurons, synapse=None)
        probe = nengo.Probe(neurons)
    with nengo.Simulator(network, progress_bar=False) as simulator:
        simulator.run_steps(3 * T)
    spikes = simulator.data[probe]
    seen = np.abs(x) if signed else np.maximum(x, 0)
    time = T / x_max * (x_max - np.minimum(seen, x_max))
    expected = np.ceil(time - 0.5)  # rounded to the nearest step; ties to the larger value
    fires = expected < T
    assert np.array_equal((spikes != 0).sum(axis=0), fires)
    assert np.array_equal((spikes != 0).argmax(axis=0)[fires], T + expected[fires])
    assert set(np.unique(spikes)) == ({-x_max, 0, x_max} if signed else {0, x_max})


@given(
    st.integers(0, 2**32 - 1),
    st.integers(2, 8),
    st.sampled_from([4, 7, 16]),
    st.booleans(),
    st.sampled_from(["spikes", "constant"]),
)
@settings(max_examples=5, deadline=None, derandomize=True, phases=[Phase.generate])
def test_every_neuron_spikes_at_the_same_time_on_every_back_end_and_in_closed_form(
    seed, n_layers, n_steps, signed, coding
):
    model = dyadic_model(seed, n_layers)
    if not averages_are_dyadic(model):
        return
    if coding == "constant" and n_steps == 7:
        n_steps = 8  # the products of pixels and steps are exact
    x = dyadic_images(model, 3, low=-256 if signed else 0)
    threshold = 2.0 if _scalable(model) else 1.0
    network = snc.to_ttfs(snc.convert(model), x, n_steps, threshold=threshold, x_max=1, input_coding=coding)
    assert_same(network, x)


@pytest.mark.parametrize("n_steps", [1, 4])
def test_a_constant_input_is_not_rounded(n_steps):
    """The image is added to neurons, pooled, and read by the output as well."""
    joined = specs.Concatenate("both", ("sum", "image"))
    pooled = specs.MaxPool("pooled", "both", pool_size=(2, 2))
    model = meeting_late(joined, pooled, specs.Flatten("flat", "pooled"), specs.Dense("scores", "flat", units=3))
    model = model.replace(arrays={name: np.round(8 * array) / 8 for name, array in model.arrays.items()})
    x = dyadic_images(model, 5, low=-256)
    network = snc.to_ttfs(snc.convert(model), x, n_steps, threshold=4.0, input_coding="constant")
    assert_same(network, x)
    assert "ConstantInput" in network.report()
    fast, slow = (snc.evaluate(network, x, [0] * 5, backend=backend) for backend in ("fast", "nengo_dl"))
    assert fast.input_layer is None and fast.input_operations > 0
    assert fast.synaptic_operations == slow.synaptic_operations
    for name in fast.layers:
        assert np.array_equal(fast.layers[name].spikes_per_step, slow.layers[name].spikes_per_step), name


def test_a_single_layer_of_a_constant_input_is_exact():
    model = make(
        specs.Input("image", shape=(4, 4, 1)),
        specs.GlobalMaxPool("max", "image"),
        specs.Dense("scores", "max", units=3),
    )
    x = np.random.default_rng(0).random((6, 4, 4, 1)).astype(np.float32)
    network = snc.to_ttfs(snc.convert(model), x, 2, input_coding="constant")
    expected = snc.rate_model(network).predict(x, verbose=0)
    for backend in ("fast", "tensorflow", "nengo_dl", "nengo"):
        np.testing.assert_allclose(snc.record(network, x, backend=backend).output[:, -1], expected, atol=1e-6)
    np.testing.assert_allclose(snc.evaluate(network, x, [0] * 6).scores, expected, atol=1e-6)


def _scalable(model):
    """Return whether activations can be scaled, which they cannot if the image is added to them."""
    try:
        snc.to_ttfs(snc.convert(model), dyadic_images(model, 1), threshold=2.0)
    except snc.SettingsError:
        return False
    return True


def test_branches_that_meet_late_are_aligned_and_counted():
    """A layer is added to one two stages later, and concatenated with the image."""
    joined = specs.Concatenate("both", ("sum", "image"))
    model = meeting_late(joined, specs.Flatten("flat", "both"), specs.Dense("scores", "flat", units=3), seed=3)
    model = model.replace(arrays={name: np.round(8 * array) / 8 for name, array in model.arrays.items()})
    x = dyadic_images(model, 5)
    network = snc.to_ttfs(snc.convert(model), x, T, threshold=2.0)
    assert stages(network.model)["scores"] == 3
    recording = assert_same(network, x)
    assert "sent again in 2 more stages" in network.report()
    assert network.settings.relay_stages(network.model) == {"a_neurons": 2, "b_neurons": 0, "c_neurons": 0}
    evaluation = snc.evaluate(network, x, np.zeros(5, int))
    assert evaluation.n_steps == 4 * T
    # spikes of a_neurons are repeated in two stages, with one addition each
    assert evaluation.other_operations == pytest.approx(2 * recording.spikes["a_neurons"].sum() / 5)


@pytest.mark.parametrize("make_model", [small_cnn, branched])
@pytest.mark.parametrize("threshold", ["search", "max", "percentile"])
def test_scores_approach_the_anns_with_more_steps(make_model, threshold):
    network = snc.convert(make_model())
    x = dyadic_images(network.model, 30)
    ann = snc.rate_model(network)(x).numpy()
    errors, options = [], {"percentile": 100} if threshold == "percentile" else {}
    for n_steps in (8, 64, 512):
        snn = snc.to_ttfs(network, x, n_steps, threshold=threshold, **options)
        scores = snc.evaluate(snn, x, np.zeros(30, int), backend="fast").scores
        errors.append(np.abs(scores - ann).mean() / np.abs(ann).mean())
    assert errors[1] < errors[0] / 3
    assert errors[2] < errors[0] / 20
    assert errors[2] < 0.02


def test_the_largest_possible_activation_is_not_clipped():
    model = small_cnn()
    network = snc.to_ttfs(snc.convert(model), dyadic_images(model, 4), threshold="max")
    kernel = network.model.arrays["conv/kernel"]
    # in units of the threshold, the largest sum of positive weights and bias is 1
    sums = np.maximum(kernel, 0).sum(axis=(0, 1, 2)) + network.model.arrays["conv/bias"]
    assert sums.max() == pytest.approx(1, rel=1e-5)


def test_the_search_finds_thresholds_with_less_error_than_others():
    network = snc.convert(branched())
    x = dyadic_images(network.model, 60)
    ann = snc.rate_model(network)(x).numpy()

    def error(threshold):
        snn = snc.to_ttfs(network, x, 8, threshold=threshold)
        scores = snc.evaluate(snn, x, np.zeros(60, int), backend="fast").scores
        return np.square(scores - ann).mean()

    assert error("search") < error("percentile") < error("max")


def test_thresholds_can_be_given():
    network = snc.convert(small_cnn())
    x = dyadic_images(network.model, 4)
    assert snc.to_ttfs(network, x, threshold=1.5).model.metadata["scales"]["neurons"] == [1.5] * 3
    given = {"neurons": [1.0, 2.0, 0.5]}
    assert snc.to_ttfs(network, x, threshold=given).model.metadata["scales"]["neurons"] == given["neurons"]
    assert snc.to_ttfs(network, threshold={"neurons": 2}, x_max=1).settings.x_max == 1


def test_maxima_over_sums_get_neurons():
    model = make(
        specs.Input("image", shape=(6, 6, 1)),
        specs.Conv("conv", "image", filters=3, kernel_size=(3, 3)),
        specs.MaxPool("max", "conv", pool_size=(2, 2)),
        specs.Flatten("flat", "max"),
        specs.Dense("scores", "flat", units=3),
    )
    network = snc.convert(model)
    x = dyadic_images(model, 20)
    snn = snc.to_ttfs(network, x, 256)
    ann = snc.rate_model(network)(x).numpy()
    assert ann.min() < 0
    scores = snc.evaluate(snn, x, np.zeros(20, int)).scores
    assert np.abs(scores - ann).max() < 0.02 * np.abs(ann).max()
    assert isinstance(snn.model.layers["max_neurons"], specs.Rectifier)
    assert "of neurons that were put in front" in snn.report()
    # the ANN has no neurons in front of maxima
    np.testing.assert_allclose(snc.rate_model(snn)(x - 5), snc.rate_model(network)(x - 5), rtol=1e-4)
    with pytest.raises(snc.SettingsError, match="takes maxima of sums"):
        snc.to_ttfs(network, threshold="max", x_max=1)


def test_time_steps_of_any_length_give_the_same_spikes():
    model = small_cnn()
    network = snc.to_ttfs(snc.convert(model), dyadic_images(model, 4), threshold=1.0)
    x = dyadic_images(model, 2)
    for backend in ("nengo", "nengo_dl"):
        one, other = (snc.record(network, x, backend=backend, dt=dt) for dt in (0.001, 0.002))
        assert np.array_equal(one.spikes["neurons"], other.spikes["neurons"])
        np.testing.assert_allclose(one.output, other.output, atol=1e-6)


def test_evaluations_agree_step_by_step_with_the_closed_form():
    model = branched()
    x, y = dyadic_images(model, 23), np.random.default_rng(0).integers(0, 3, 23)
    network = snc.to_ttfs(snc.convert(model), x, 8)
    fast, slow = (snc.evaluate(network, x, y, backend=backend, minibatch_size=10) for backend in ("fast", "nengo_dl"))
    assert np.array_equal(fast.step_predictions, slow.step_predictions)
    np.testing.assert_allclose(fast.scores, slow.scores, atol=1e-5)
    assert fast.layers.keys() == slow.layers.keys()
    for name in fast.layers:
        assert np.array_equal(fast.layers[name].spikes_per_step, slow.layers[name].spikes_per_step)
        assert np.array_equal(fast.layers[name].rates_hz, slow.layers[name].rates_hz)
    assert np.array_equal(fast.input_layer.spikes_per_step, slow.input_layer.spikes_per_step)
    assert fast.synaptic_operations == slow.synaptic_operations
    assert fast.spikes_per_neuron == slow.spikes_per_neuron <= 1
    assert fast.n_steps == 8 * 4


def test_runs_in_a_plain_nengo_dl_simulator():
    model = small_cnn()
    x = dyadic_images(model, 2)
    network = snc.to_ttfs(snc.convert(model), x, 8)
    n_steps = network.settings.total_steps(network.model)
    with nengo_dl.Simulator(network, minibatch_size=2, progress_bar=False) as simulator:
        simulator.run_steps(n_steps, data={network.input: np.repeat(x.reshape(2, 1, -1), n_steps, axis=1)})
        scores = simulator.data[network.probes["output"]][:, -1]
    np.testing.assert_allclose(scores, snc.evaluate(network, x, [0, 0], backend="fast").scores, atol=1e-5)


def test_saves_and_loads(tmp_path):
    model = small_cnn()
    x = dyadic_images(model, 5)
    network = snc.to_ttfs(snc.convert(model), x, 8, seed=3)
    snc.save(network, tmp_path / "ttfs.snn.npz")
    loaded = snc.load(tmp_path / "ttfs.snn.npz")
    assert loaded.settings == network.settings
    one, other = (snc.evaluate(each, x, [0] * 5, backend="fast").scores for each in (network, loaded))
    assert np.array_equal(one, other)


def test_report():
    network = snc.to_ttfs(snc.convert(small_cnn()), dyadic_images(small_cnn(), 5), 8)
    report = network.report()
    for text in ("FirstSpikeInput", "in 8 steps", "TimeToFirstSpike", "multiples of 1 / 8", "FirstSpikeReadout"):
        assert text in report


def test_filtered_scores_are_simulated_step_by_step():
    model = small_cnn()
    x = dyadic_images(model, 4)
    snn = snc.to_ttfs(snc.convert(model), x, T)
    fast, slow = (snc.evaluate(snn, x, [0] * 4, backend=backend, synapse=0.01) for backend in ("fast", "nengo_dl"))
    np.testing.assert_allclose(fast.scores, slow.scores, atol=1e-5)
    assert np.array_equal(fast.step_predictions, slow.step_predictions)
    for name in fast.layers:
        assert np.array_equal(fast.layers[name].spikes_per_step, slow.layers[name].spikes_per_step)
    assert fast.backend == "fast" and fast.synaptic_operations == slow.synaptic_operations > 0


def test_maxima_of_large_images_are_counted_in_levels():
    model = make(
        specs.Input("image", shape=(6, 6, 1)),
        specs.MaxPool("max", "image", pool_size=(2, 2)),
        specs.Flatten("flat", "max"),
        specs.Dense("hidden", "flat", units=4),
        specs.Rectifier("neurons", "hidden"),
        specs.Dense("scores", "neurons", units=3),
    )
    x = 255 * dyadic_images(model, 9, low=-256)
    network = snc.to_ttfs(snc.convert(model), x, T)
    fast, slow = (snc.evaluate(network, x, [0] * 9, backend=backend) for backend in ("fast", "nengo_dl"))
    np.testing.assert_allclose(fast.scores, slow.scores, rtol=1e-4, atol=1e-4)
    assert fast.relay_operations == pytest.approx(slow.relay_operations)
