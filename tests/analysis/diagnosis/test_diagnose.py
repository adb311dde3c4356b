"""diagnose names deliberate faults and their layers in three architectures; losses add up exactly."""

import dataclasses
import functools

import matplotlib
import nengo
import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from keras_graphs import random_model
from models import branched, make, small_cnn
from trained_models import half_digits, trained

import nengo_snnconv as snc
from nengo_snnconv.analysis.diagnosis.responses import ChargeResponse, TableResponse, response_of
from nengo_snnconv.model import layers as specs
from nengo_snnconv.networks.native import NativeConfig
from nengo_snnconv.passes import find_units, rescale, simplify

ARCHITECTURES = ("plain", "vgg", "residual")
N_STEPS = 32


@functools.cache
def normalised(architecture):
    """Return a trained and normalized network."""
    x_train, _, _, _ = half_digits()
    return snc.normalize(snc.convert(trained(architecture)), x_train[:1000])


def third(network):
    """Return the names of the third layer of neurons and of the weighted layer before it."""
    model = network.model
    neurons = [name for name, layer in model.layers.items() if isinstance(layer, specs.Rectifier)][2]
    weighted = [name for name, layer in model.layers.items() if isinstance(layer, specs.Conv)]
    order = list(model.layers)
    return neurons, max((w for w in weighted if order.index(w) < order.index(neurons)), key=order.index)


def with_scale(network, name, factor):
    """Return the network with the scale of a layer of neurons, and of all that share it, multiplied."""
    units = find_units(network.model)
    scales = np.ones(units.n_units)
    scales[np.unique(units.labels[name])] = factor
    return network.rebuild(rescale(network.model, units, scales))


def with_weights(network, name, factor):
    """Return the network with the weights and biases of a layer multiplied."""
    arrays = {key: factor * network.model.arrays[key] for key in network.model.array_names(name)}
    return network.rebuild(network.model.replace(arrays=arrays))


def diagnosed(network, n_steps=N_STEPS, n_images=100, **options):
    _, _, x, y = half_digits()
    return snc.diagnose(network, x[:n_images], y[:n_images], n_steps=n_steps, **options)


def accuracy_with(remedy, network, n_steps=N_STEPS):
    """Return the accuracy with the remedy."""
    x_train, _, x, y = half_digits()
    changed = remedy.apply(network, x_train[:1000])
    return snc.evaluate(changed, x[:100], y[:100], **{"n_steps": n_steps, **remedy.options}).accuracy[-1]


def assert_remedy_helps(diagnosis, n_steps=N_STEPS):
    """Assert that the remedy restores at least three quarters of the loss."""
    lost = diagnosis.ann_accuracy - diagnosis.accuracy
    assert lost > 0.01
    assert accuracy_with(diagnosis.remedy, diagnosis.network, n_steps) > diagnosis.accuracy + 0.75 * lost


def first_cause(diagnosis):
    assert not diagnosis.healthy
    return diagnosis.findings[0].cause, diagnosis.findings[0].layer


@pytest.mark.parametrize("architecture", ARCHITECTURES)
class TestBrokenOnPurpose:
    def test_a_healthy_network_has_no_findings(self, architecture):
        diagnosis = diagnosed(snc.to_spiking(normalised(architecture)), n_images=300)
        assert diagnosis.healthy and diagnosis.findings == []
        assert diagnosis.remedy is None and diagnosis.first_failing is None
        assert "healthy" in diagnosis.summary()

    def test_a_scale_far_too_small_is_clipping_in_that_layer(self, architecture):
        network = normalised(architecture)
        neurons, _ = third(network)
        diagnosis = diagnosed(snc.to_spiking(with_scale(network, neurons, 0.02)))
        cause, layer = first_cause(diagnosis)
        assert cause == "clipping"
        units = find_units(network.model)
        assert np.array_equal(np.unique(units.labels[layer]), np.unique(units.labels[neurons]))
        assert diagnosis.first_failing == layer
        assert diagnosis.layers[layer].level > 30 and diagnosis.layers[layer].saturated > 0.3
        assert_remedy_helps(diagnosis)

    def test_too_few_steps_are_quantisation(self, architecture):
        diagnosis = diagnosed(snc.to_spiking(normalised(architecture)), n_steps=2)
        assert first_cause(diagnosis)[0] == "quantisation"
        assert diagnosis.remedy.options["n_steps"] > 4
        assert_remedy_helps(diagnosis, n_steps=2)

    def test_weights_that_were_scaled_are_named_at_their_layer(self, architecture):
        network = normalised(architecture)
        neurons, weighted = third(network)
        diagnosis = diagnosed(snc.to_spiking(with_weights(network, weighted, 10)))
        assert first_cause(diagnosis) == ("weights", neurons)

    def test_a_layer_without_activity_is_dead(self, architecture):
        network = normalised(architecture)
        first = next(name for name, layer in network.model.layers.items() if isinstance(layer, specs.Conv))
        neurons = next(name for name, layer in network.model.layers.items() if isinstance(layer, specs.Rectifier))
        diagnosis = diagnosed(snc.to_spiking(with_weights(network, first, 0)), n_steps=8, n_images=100)
        assert first_cause(diagnosis) == ("dead", neurons)
        assert diagnosis.layers[neurons].silent == 1

    def test_a_layer_that_never_spikes_is_dead(self, architecture):
        network = normalised(architecture)
        neurons, _ = third(network)
        diagnosis = diagnosed(snc.to_spiking(with_scale(network, neurons, 500)))
        cause, layer = first_cause(diagnosis)
        assert cause == "dead" and diagnosis.first_failing == layer
        units = find_units(network.model)
        assert np.array_equal(np.unique(units.labels[layer]), np.unique(units.labels[neurons]))
        assert_remedy_helps(diagnosis)

    def test_poisson_spikes_that_are_too_rare_are_the_inputs_fault(self, architecture):
        network = snc.to_spiking(normalised(architecture), input_coding="poisson", input_threshold=30)
        diagnosis = diagnosed(network)
        assert first_cause(diagnosis) == ("input", "image")
        assert diagnosis.first_failing == "image"
        assert "input_threshold=1" in diagnosis.remedy.text
        assert_remedy_helps(diagnosis)

    def test_reset_to_zero_is_named(self, architecture):
        neuron_type = snc.IntegrateAndFire(reset="zero", initial_potential=0)
        diagnosis = diagnosed(snc.to_spiking(normalised(architecture), neuron_type))
        assert first_cause(diagnosis)[0] == "reset"
        assert accuracy_with(diagnosis.remedy, diagnosis.network) > diagnosis.accuracy


def test_neurons_without_negative_input_are_uneven():
    neuron_type = nengo.SpikingRectifiedLinear(amplitude=0.001)
    diagnosis = diagnosed(snc.to_spiking(normalised("vgg"), neuron_type))
    assert first_cause(diagnosis)[0] == "unevenness"
    assert "SpikingRectifiedLinear forgets" in diagnosis.findings[0].text
    assert_remedy_helps(diagnosis)


def test_the_points_add_up_to_the_loss():
    for options in ({}, {"input_coding": "poisson", "input_threshold": 3}, {"readout": "spikes"}):
        diagnosis = diagnosed(snc.to_spiking(normalised("vgg"), **options), n_steps=5, n_images=50)
        assert sum(diagnosis.points().values()) == pytest.approx(diagnosis.loss_points, abs=1e-6)
        assert diagnosis.evaluation.ann_accuracy == diagnosis.ann_accuracy


def test_the_last_layer_with_its_rates_has_the_accuracy_of_the_spiking_network():
    """The read-out is linear, so the ANN that continues with the last rates is the spiking network."""
    diagnosis = diagnosed(snc.to_spiking(normalised("plain")), n_steps=6)
    assert list(diagnosis.layers.values())[-1].accuracy == pytest.approx(diagnosis.accuracy, abs=0.006)
    assert diagnosis.readout_points == pytest.approx(0, abs=0.6)


def test_late_accuracy_is_that_of_skipped_steps():
    network = snc.to_spiking(normalised("plain"))
    _, _, x, y = half_digits()
    diagnosis = diagnosed(network, n_steps=8)
    later = snc.evaluate(network, x[:100], y[:100], n_steps=8, skip_steps=4)
    assert diagnosis.late_accuracy == pytest.approx(later.accuracy[-1], abs=1e-9)


def test_a_start_at_half_the_threshold_is_recommended():
    network = snc.to_spiking(normalised("plain"), snc.IntegrateAndFire(initial_potential=0))
    diagnosis = diagnosed(network, n_steps=10)
    half = diagnosis.predicted_accuracy["half"]
    assert half > diagnosis.predicted_accuracy[10]
    if half >= diagnosis.ann_accuracy - 0.01:
        assert "initial_potential=0.5" in diagnosis.remedy.text
    else:
        assert diagnosis.remedy.options["n_steps"] > 10


def test_a_clipped_layer_is_named_although_only_the_next_one_loses_accuracy():
    """After a clipped layer activations are small, and too few spikes express them."""
    network = normalised("plain")
    first, second, *_ = (name for name, layer in network.model.layers.items() if isinstance(layer, specs.Rectifier))
    diagnosis = diagnosed(snc.to_spiking(with_scale(network, first, 0.01)), n_steps=16)
    assert first_cause(diagnosis) == ("clipping", first)
    lost = sum(sum(layer.points.values()) for layer in diagnosis.layers.values())
    layers = {n: dataclasses.replace(a, points=dict.fromkeys(a.points, 0.0)) for n, a in diagnosis.layers.items()}
    layers[second] = dataclasses.replace(layers[second], points={"clipping": 0.0, "quantisation": lost})
    starved = dataclasses.replace(diagnosis, layers=layers)
    assert starved.points()["steps"] == lost and starved.points()["clipping"] == 0
    assert first_cause(starved) == ("clipping", first)
    assert starved.findings[0].points == pytest.approx(lost)


def test_a_low_percentile_everywhere_is_clipping():
    x_train, _, _, _ = half_digits()
    network = snc.normalize(snc.convert(trained("vgg")), x_train[:500], percentile=40)
    diagnosis = diagnosed(snc.to_spiking(network))
    assert first_cause(diagnosis)[0] == "clipping"
    assert_remedy_helps(diagnosis)


def test_scales_by_weights_alone_need_more_steps_or_data():
    network = snc.normalize(snc.convert(trained("plain")), method="model")
    diagnosis = diagnosed(snc.to_spiking(network), n_steps=16)
    assert first_cause(diagnosis)[0] in ("quantisation", "dead")
    assert "snc.normalize(" in diagnosis.remedy.code
    assert_remedy_helps(diagnosis, n_steps=16)


def test_skipped_steps_and_random_starts_are_taken_into_account():
    neuron_type = snc.IntegrateAndFire(initial_state={"voltage": nengo.dists.Uniform(0, 1)})
    diagnosis = diagnosed(snc.to_spiking(normalised("vgg"), neuron_type), skip_steps=16, n_images=300)
    assert diagnosis.healthy
    first = next(iter(diagnosis.layers.values()))
    # its input is a constant current, so its only errors are clipping and quantization
    assert first.causes["unevenness"] < 0.005
    assert "transient" not in first.causes


def test_both_back_ends_give_the_same_diagnosis():
    """With dyadic weights and images, all sums are exact in both precisions."""
    model = branched()
    model = model.replace(arrays={name: np.round(8 * array) / 16 for name, array in model.arrays.items()})
    with pytest.warns(UserWarning, match="was not normalized"):
        network = snc.to_spiking(snc.convert(model))
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 17, (5, 8, 8, 2)) / 16, rng.integers(0, 3, 5)
    one, other = (snc.diagnose(network, x, y, n_steps=8, backend=backend) for backend in ("nengo_dl", "nengo"))
    for name in one.layers:
        for field in ("error", "accuracy", "level", "dead", "saturated", "largest_error"):
            assert getattr(one.layers[name], field) == pytest.approx(getattr(other.layers[name], field), rel=1e-6)
        assert one.layers[name].causes == pytest.approx(other.layers[name].causes, abs=1e-6)


def test_chunks_and_minibatches_make_no_difference():
    network = snc.to_spiking(normalised("vgg"))
    whole = diagnosed(network, n_steps=6, n_images=50)
    parts = diagnosed(network, n_steps=6, n_images=50, minibatch_size=20, memory_mb=1)
    for name in whole.layers:
        assert whole.layers[name].causes == pytest.approx(parts.layers[name].causes, abs=1e-5)
    assert whole.points() == pytest.approx(parts.points())


def test_largest_errors_stay_within_their_bounds():
    diagnosis = diagnosed(snc.to_spiking(normalised("residual")), n_steps=16, n_images=50)
    for layer in diagnosis.layers.values():
        assert layer.largest_error <= layer.bound + 1e-5
        assert layer.own_bound == 0.5 / 16
    unbounded = diagnosed(snc.to_spiking(normalised("residual"), nengo.LIF(min_voltage=-5)), n_steps=4, n_images=20)
    assert all(layer.bound is None for layer in unbounded.layers.values())


@pytest.mark.parametrize("skip_steps", [0, 5])
@pytest.mark.parametrize(
    "neuron_type",
    [
        snc.IntegrateAndFire(),
        snc.IntegrateAndFire(initial_potential=0, max_spikes=3),
        snc.IntegrateAndFire(threshold=0.5, tau=0.002, amplitude=0.002),
        nengo.LIF(min_voltage=-5),
        nengo.SpikingRectifiedLinear(amplitude=0.001),
        nengo.RegularSpiking(nengo.LIFRate()),
    ],
    ids=str,
)
def test_responses_are_the_mean_output_for_constant_input(neuron_type, skip_steps):
    coding = NativeConfig(neuron_type)
    current = np.random.default_rng(0).uniform(-0.5, 3.5, 300).astype(np.float32)
    with nengo.Network(seed=1) as network:
        neurons = coding.make_neurons(300, "neurons")
        nengo.Connection(nengo.Node(current), neurons, synapse=None)
        probe = nengo.Probe(neurons)
    with nengo.Simulator(network, progress_bar=False) as simulator:
        start = simulator.model.sig[neurons]["voltage"].initial_value
        simulator.run_steps(20, progress_bar=False)
        emitted = simulator.data[probe][skip_steps:].mean(axis=0)
    response = response_of(coding, 0.001, start, current.min(), current.max())
    off = np.abs(response.mean_output(current[None], 20, skip_steps)[0] - emitted) > 1e-3
    # tables round input and initial potential, which may delay a spike beyond the end of the run
    assert off.mean() <= (0.05 if isinstance(response, TableResponse) else 0)
    settled = response.clipped(current) if isinstance(response, ChargeResponse) else response.long_run
    assert settled.min() == 0 and settled.max() == pytest.approx(min(response.largest, current.max()), rel=0.5)


def test_a_change_of_input_is_a_transient():
    """The mean input is zero, but positive in the first half, in which neurons spike."""
    response = ChargeResponse(snc.IntegrateAndFire(), 0.001, np.full(1, 0.5))
    stages = dict(response.stages(np.zeros((1, 1)), np.ones((1, 1)), 10, 0))
    assert stages["quantisation"] == 0
    assert stages["transient"] == pytest.approx(0.5)


@pytest.mark.parametrize(
    "change, error, word",
    [
        ({"network": "a network"}, snc.ConversionError, "to_spiking"),
        ({"n_steps": 0}, snc.SettingsError, "n_steps"),
        ({"max_loss": -1}, snc.SettingsError, "max_loss must be a number of percentage points, 0 or more; got -1"),
        ({"max_loss": float("nan")}, snc.SettingsError, "max_loss"),
        ({"max_loss": "1"}, snc.SettingsError, "max_loss"),
        ({"n_steps": True}, snc.SettingsError, "n_steps"),
        ({"x": np.zeros((3, 6, 6, 1))}, snc.SettingsError, "x must have shape"),
        ({"y": np.zeros(2, int)}, snc.SettingsError, "equally many"),
        ({"y": np.zeros((3, 4))}, snc.SettingsError, "class numbers"),
        ({"backend": "abacus"}, snc.ConversionError, "abacus"),
    ],
)
def test_bad_arguments_are_named(change, error, word):
    network = snc.to_spiking(snc.normalize(snc.convert(small_cnn()), method="model"))
    arguments = {"network": network, "x": np.zeros((3, 6, 6, 2)), "y": np.zeros(3, int), **change}
    with pytest.raises(error, match=word):
        snc.diagnose(**arguments)


def test_networks_that_do_not_spike_are_refused():
    rates = snc.convert(small_cnn())
    with pytest.raises(snc.ConversionError, match="rates"):
        snc.diagnose(rates, np.zeros((3, 6, 6, 2)), np.zeros(3, int))


def test_black_images_and_single_images_are_diagnosed():
    network = snc.to_spiking(snc.normalize(snc.convert(small_cnn()), method="model"))
    for n_images, n_steps in ((1, 1), (3, 2), (3, 3)):
        diagnosis = snc.diagnose(network, np.zeros((n_images, 6, 6, 2)), np.zeros(n_images, int), n_steps=n_steps)
        assert np.isfinite([layer.error for layer in diagnosis.layers.values()]).all()
        assert diagnosis.summary()


def test_results_are_json_and_the_plot_shows_every_layer():
    import json

    diagnosis = diagnosed(snc.to_spiking(normalised("residual")), n_steps=2, n_images=50)
    figures = json.loads(json.dumps(diagnosis.to_dict()))
    assert figures["findings"][0]["cause"] == "quantisation"
    assert figures["layers"].keys() == diagnosis.layers.keys()
    axes = diagnosis.plot()
    assert len(axes) == 2 + len(diagnosis.layers)
    assert all(isinstance(ax, matplotlib.axes.Axes) for ax in axes)
    for ax, (name, layer) in zip(axes[2:], diagnosis.layers.items(), strict=True):
        assert ax.get_title().startswith(f"{name}\n")
        dots = [line for line in ax.lines if line.get_marker() == "."][0]
        assert np.array_equal(dots.get_xydata(), layer.pairs)
    widths = [bar.get_width() for bar in axes[0].patches]
    assert widths == pytest.approx(
        [100 * diagnosis.ann_accuracy, *(100 * a.accuracy for a in diagnosis.layers.values())]
    )


def test_a_diagnosis_is_not_changed():
    diagnosis = diagnosed(snc.to_spiking(normalised("vgg")), n_steps=2, n_images=20)
    with pytest.raises(dataclasses.FrozenInstanceError):
        diagnosis.max_loss = 2


@given(st.integers(0, 2**32 - 1), st.integers(2, 7), st.sampled_from([1, 2, np.inf]), st.sampled_from([1, 2, 5]))
@settings(max_examples=8, deadline=None, derandomize=True, phases=[Phase.generate])
def test_random_graphs_are_diagnosed_and_their_points_add_up(seed, n_layers, max_spikes, n_steps):
    model = simplify(snc.as_model(random_model(seed, n_layers)))
    if not any(isinstance(layer, specs.Rectifier) for layer in model.layers.values()):
        return
    if len(model.shapes[model.output]) != 1:
        return
    rng = np.random.default_rng(seed)
    x = rng.uniform(-0.5, 1, (6, *model.shapes[model.input])).astype(np.float32)
    y = rng.integers(0, model.size(model.output), 6)
    network = snc.normalize(snc.convert(model), x)
    network = snc.to_spiking(network, snc.IntegrateAndFire(max_spikes=max_spikes))
    diagnosis = snc.diagnose(network, x, y, n_steps=n_steps)
    assert sum(diagnosis.points().values()) == pytest.approx(diagnosis.loss_points, abs=1e-6)
    for layer in diagnosis.layers.values():
        assert np.isfinite([layer.error, *layer.causes.values(), *layer.points.values()]).all()
        assert layer.largest_error <= layer.bound + 1e-4
    assert diagnosis.summary()


def test_consecutive_layers_of_neurons_are_diagnosed():
    model = make(
        specs.Input("image", shape=(4, 4, 1)),
        specs.Conv("conv", "image", filters=2, kernel_size=(3, 3)),
        specs.Rectifier("one", "conv"),
        specs.Rectifier("two", "one"),
        specs.Flatten("flat", "two"),
        specs.Dense("scores", "flat", units=3),
    )
    network = snc.to_spiking(snc.normalize(snc.convert(model), method="model"))
    diagnosis = snc.diagnose(network, np.full((2, 4, 4, 1), 0.5), np.zeros(2, int), n_steps=4)
    assert list(diagnosis.layers) == ["one", "two"]


def test_a_synapse_is_named():
    diagnosis = diagnosed(snc.to_spiking(normalised("plain"), synapse=0.005), n_steps=12)
    assert first_cause(diagnosis)[0] == "synapse"
    assert "synapse between layers, 0.005" in diagnosis.findings[0].text
    assert accuracy_with(diagnosis.remedy, diagnosis.network, 12) > diagnosis.accuracy + 0.5


def test_neurons_without_negative_input_are_named_with_poisson_input():
    neuron_type = nengo.SpikingRectifiedLinear(amplitude=0.001)
    diagnosis = diagnosed(snc.to_spiking(normalised("residual"), neuron_type, input_coding="poisson"), n_steps=24)
    assert first_cause(diagnosis)[0] == "unevenness"
    assert "forgets negative input" in diagnosis.findings[0].text
    assert_remedy_helps(diagnosis, n_steps=24)


def test_steps_that_are_too_long_are_named():
    with pytest.warns(UserWarning, match="use dt=0.001"):
        diagnosis = diagnosed(snc.to_spiking(normalised("plain")), n_steps=16, dt=0.004)
    assert first_cause(diagnosis)[0] == "clipping"
    assert diagnosis.remedy.options == {"dt": 0.001}
    assert_remedy_helps(diagnosis, n_steps=16)


@pytest.mark.parametrize("start", [nengo.dists.Uniform(-4, 5), nengo.dists.Choice([-3.0])], ids=str)
def test_unfavorable_initial_potentials_are_named(start):
    neuron_type = snc.IntegrateAndFire(initial_state={"voltage": start})
    diagnosis = diagnosed(snc.to_spiking(normalised("plain"), neuron_type), n_steps=24)
    assert first_cause(diagnosis)[0] == "quantisation"
    assert "neurons start at -" in diagnosis.findings[0].text
    assert diagnosis.remedy.code == "network = network.rebuild(neuron_type=snc.IntegrateAndFire())"
    assert_remedy_helps(diagnosis, n_steps=24)


def test_an_ann_that_guesses_is_not_called_healthy():
    network = normalised("plain")
    _, weighted = third(network)
    diagnosis = diagnosed(snc.to_spiking(with_weights(network, weighted, -1)), n_steps=8)
    assert first_cause(diagnosis)[0] == "ann"
    _, _, x, y = half_digits()
    black = snc.diagnose(snc.to_spiking(network), 0 * x[:20], y[:20], n_steps=4)
    assert first_cause(black)[0] == "ann" and "black" in black.findings[0].text


def test_an_ann_that_is_worse_than_its_spikes_is_at_fault():
    """As with a bias so large that the ANN always predicts the same class, but clipped neurons do not."""
    diagnosis = diagnosed(snc.to_spiking(normalised("plain")), n_steps=16)
    evaluation = dataclasses.replace(diagnosis.evaluation, ann_accuracy=0.5)
    assert first_cause(dataclasses.replace(diagnosis, evaluation=evaluation))[0] == "ann"


def test_two_faults_are_both_named():
    network = normalised("plain")
    neurons = [name for name, layer in network.model.layers.items() if isinstance(layer, specs.Rectifier)]
    broken = with_scale(with_scale(network, neurons[1], 0.02), neurons[4], 500)
    diagnosis = diagnosed(snc.to_spiking(broken))
    layers = {finding.cause: finding.layer for finding in diagnosis.findings}
    assert layers["dead"] == neurons[4]
    assert diagnosis.layers[neurons[1]].points["clipping"] < 1 or layers["clipping"] == neurons[1]


def test_a_loss_at_the_limit_is_healthy():
    diagnosis = diagnosed(snc.to_spiking(normalised("plain")), n_steps=24)
    evaluation = dataclasses.replace(diagnosis.evaluation, ann_accuracy=0.98, accuracy=np.array([0.97]))
    layers = {name: dataclasses.replace(layer, accuracy=0.97) for name, layer in diagnosis.layers.items()}
    just = dataclasses.replace(diagnosis, evaluation=evaluation, layers=layers)
    assert just.loss_points > 1 and just.healthy and just.first_failing is None
