"""Images that stop early: the rule, and runs of it on every back end, which count spikes until then."""

import json
import math

import nengo
import numpy as np
import pytest
from models import branched, dyadic_images, small_cnn
from simulators import rounded

import nengo_snnconv as snc
from nengo_snnconv.evaluation import metrics
from nengo_snnconv.report.python_code import python_code

pytestmark = pytest.mark.filterwarnings("ignore:the network was not normalized")
N_STEPS = 7
DT = 2.0**-10


def spiking(model, **options):
    return snc.to_spiking(snc.convert(rounded(model)), **options)


def trained(model):
    """Network whose scores are filtered."""
    return snc.build_trainable(model, nengo.SpikingRectifiedLinear(amplitude=0.01), output_synapse=0.005)


NETWORKS = {
    "constant": lambda: spiking(branched()),
    "poisson, signed": lambda: spiking(
        branched(), neuron_type=snc.SignedIntegrateAndFire(max_spikes=2), input_coding="poisson"
    ),
    "filtered": lambda: trained(rounded(small_cnn())),
}


def images(network, n=12):
    return dyadic_images(network.model, n)


def median_rule(network, x, **options):
    """Return a rule by which some images stop in each step but the second."""
    margins = snc.evaluate(network, x, [0] * len(x), n_steps=N_STEPS, **options).margins
    limits = np.quantile(margins, 0.6, axis=1)
    limits[1] = math.inf
    return snc.MarginStop(limits)


def test_margins_of_scores():
    scores = np.array([[[1, 4, -2], [3, 3, 0]], [[-1, -5, -2], [0, 0, 0]]])
    assert metrics.margins(scores).tolist() == [[3, 0], [1, 0]]
    assert metrics.margins(scores[..., :1]).tolist() == [[math.inf] * 2] * 2


def test_images_stop_after_the_first_step_whose_margin_they_exceed():
    rule = snc.MarginStop([math.inf, 2, 1, 0.5])
    assert repr(rule) == "<MarginStop: images stop after 2 to 4 steps, margins 0.5 to 2>"
    margins = [[9, 9, 9, 9], [3, 2, 0, 1], [0, 1, 2, 1], [0, 1, 2, 0.1]]
    assert rule.stop_steps(margins).tolist() == [2, 4, 3, 4]
    assert rule.steps == [2, 3, 4]
    assert snc.MarginStop([0, 0]).stop_steps([[0, 1e-30], [0, 0]]).tolist() == [2, 1]


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("minibatch_size", [None, 4])
def test_images_stop_as_their_margins_without_a_rule_say(name, minibatch_size):
    network = NETWORKS[name]()
    x, options = images(network), {"minibatch_size": minibatch_size}
    y = np.arange(len(x)) % 3
    whole = snc.evaluate(network, x, y, n_steps=N_STEPS, **options)
    rule = median_rule(network, x, **options)
    found = snc.evaluate(network, x, y, stop=rule, **options)
    assert found.n_steps == N_STEPS
    assert len(set(found.stop_steps)) > 1
    assert np.array_equal(found.stop_steps, rule.stop_steps(whole.margins))
    for image, steps in enumerate(found.stop_steps):
        assert np.array_equal(found.step_predictions[:steps, image], whole.step_predictions[:steps, image])
        assert (found.step_predictions[steps:, image] == whole.step_predictions[steps - 1, image]).all()
        assert np.array_equal(found.margins[:steps, image], whole.margins[:steps, image])
        assert np.isnan(found.margins[steps:, image]).all()
    assert np.array_equal(found.accuracy, (found.step_predictions == y).mean(axis=1))
    assert whole.stopped(rule) == (found.mean_steps, found.accuracy[-1])
    assert found.mean_steps == found.stop_steps.mean()
    assert whole.mean_steps == N_STEPS


@pytest.mark.parametrize("name", NETWORKS)
def test_spikes_are_those_of_runs_that_end_where_each_image_stops(name):
    network = NETWORKS[name]()
    x = images(network)
    found = snc.evaluate(network, x, [0] * len(x), stop=median_rule(network, x))
    alone = [snc.record(network, x, n_steps=int(steps)) for steps in found.stop_steps]
    assert np.allclose(found.scores, [part.filtered[i, -1] for i, part in enumerate(alone)], rtol=1e-6)
    layers = {**found.layers, **({network.model.input: found.input_layer} if found.input_layer else {})}
    for layer, activity in layers.items():
        spikes = [np.abs(part.spikes[layer][i]).sum(axis=1) for i, part in enumerate(alone)]
        per_step = np.zeros(N_STEPS)
        for each in spikes:
            per_step[: len(each)] += each
        assert np.array_equal(activity.spikes_per_step * len(x), per_step), layer
        assert np.isclose(activity.spikes_per_neuron * activity.n_neurons * len(x), per_step.sum())
        seconds = found.stop_steps.sum() * found.dt
        assert np.isclose(activity.rate_hz * activity.n_neurons, per_step.sum() / seconds)


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("backend", ["tensorflow", "nengo_dl", "nengo"])
def test_back_ends_agree(name, backend):
    network = NETWORKS[name]()
    x = images(network)
    rule = median_rule(network, x)
    fast = snc.evaluate(network, x, [0] * len(x), stop=rule)
    found = snc.evaluate(network, x, [0] * len(x), stop=rule, backend=backend)
    assert np.array_equal(found.stop_steps, fast.stop_steps)
    assert np.array_equal(found.step_predictions, fast.step_predictions)
    assert found.synaptic_operations == fast.synaptic_operations
    assert found.negative_spikes_share == fast.negative_spikes_share
    for layer, activity in fast.layers.items():
        assert np.array_equal(found.layers[layer].rates_hz, activity.rates_hz)
        assert np.array_equal(found.layers[layer].spikes_per_step, activity.spikes_per_step)


def test_frames_and_time_to_first_spike():
    network = spiking(small_cnn())
    x = np.repeat(images(network)[:, None], N_STEPS, axis=1) * (np.arange(N_STEPS) % 2)[:, None, None, None]
    whole = snc.evaluate(network, x, [0] * len(x))
    rule = snc.MarginStop(np.quantile(whole.margins, 0.7, axis=1))
    found = snc.evaluate(network, x, [0] * len(x), stop=rule)
    assert np.array_equal(found.stop_steps, rule.stop_steps(whole.margins))
    even = (found.stop_steps // 2 * np.count_nonzero(x[:, 1], axis=(1, 2, 3))).sum()
    assert np.isclose(found.input_layer.spikes_per_step.sum() * len(x), even)

    network = snc.to_ttfs(snc.convert(small_cnn()), images(network), n_steps=8)
    x = images(network)
    whole = snc.evaluate(network, x, [0] * len(x))
    rule = snc.MarginStop([math.inf] * (whole.n_steps - 8) + [1.0001 * float(np.median(whole.margins[-5]))] * 8)
    found = snc.evaluate(network, x, [0] * len(x), stop=rule)
    assert np.array_equal(found.stop_steps, rule.stop_steps(whole.margins))
    assert whole.n_steps - 8 < found.mean_steps < whole.n_steps
    costs = snc.efficiency(network, found)
    assert costs.idle_updates >= 0


def test_all_images_may_stop_at_once_and_none_needs_to():
    network = spiking(small_cnn())
    x = images(network)
    whole = snc.evaluate(network, x, [0] * len(x), n_steps=N_STEPS)
    never = snc.evaluate(network, x, [0] * len(x), stop=snc.MarginStop([math.inf] * N_STEPS))
    assert (never.stop_steps == N_STEPS).all()
    assert never.synaptic_operations == whole.synaptic_operations
    assert np.array_equal(never.scores, whole.scores)
    sure = x[whole.margins[0] > 0]
    assert len(sure)
    once = snc.evaluate(network, sure, [0] * len(sure), stop=snc.MarginStop([0] * N_STEPS))
    first = snc.evaluate(network, sure, [0] * len(sure), n_steps=1)
    assert once.mean_steps == 1
    assert once.synaptic_operations == first.synaptic_operations
    assert np.array_equal(once.scores, first.scores)


def test_results_name_the_steps():
    network = spiking(small_cnn())
    x = images(network)
    rule = median_rule(network, x)
    found = snc.evaluate(network, x, [0] * len(x), stop=rule)
    assert f"{found.mean_steps:.2f} of {N_STEPS}" in found.summary()
    values = json.loads(json.dumps(found.to_dict()))
    assert values["mean_steps"] == found.mean_steps
    assert values["stop"]["margins"][1] is None
    assert "mean_steps" not in snc.evaluate(network, x, [0] * len(x), n_steps=2).to_dict()
    costs = snc.efficiency(network, found)
    assert costs.neuron_updates == round(costs.n_neurons * found.mean_steps)
    code = python_code(network, found)
    assert "n_steps=7" in code
    assert "stop=snc.MarginStop([" in code
    rebuilt = eval(code[code.index("snc.MarginStop") :].rpartition(")")[0].partition("])")[0] + "])")  # noqa: S307
    assert np.array_equal(np.float32(rebuilt.margins), np.float32(rule.margins))


def test_tradeoff_has_the_points_of_single_rules():
    network = spiking(branched())
    x = images(network, 30)
    y = np.arange(30) % 3
    whole = snc.evaluate(network, x, y, n_steps=N_STEPS)
    steps, accuracy = whole.stop_tradeoff(power=0, n_points=5)
    assert (np.diff(steps) >= 0).all()
    assert accuracy[-1] == whole.accuracy[-1]
    rule = snc.MarginStop([0] * N_STEPS)
    assert (steps[0], accuracy[0]) == whole.stopped(rule)


def test_a_rule_belongs_to_a_number_of_steps():
    network = spiking(small_cnn())
    x, y = images(network, 9), [0] * 9
    with pytest.raises(snc.SettingsError, match="margins for 2 steps, but n_steps=3: leave") as caught:
        snc.evaluate(network, x, y, n_steps=3, stop=snc.MarginStop([1, 1]))
    assert caught.value.argument == "stop"
    with pytest.raises(snc.SettingsError, match="shape"):
        snc.MarginStop([1, 1]).stop_steps(np.ones((3, 4)))
    stopped = snc.evaluate(network, x, y, stop=snc.MarginStop([1, 1]))
    for function in (stopped.stop_tradeoff, lambda: stopped.stopped(snc.MarginStop([1, 1]))):
        with pytest.raises(snc.SettingsError, match="stopped early"):
            function()
