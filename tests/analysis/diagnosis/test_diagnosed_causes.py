"""diagnose names deliberate faults and their layers in three architectures."""

import dataclasses
import re

import nengo
import numpy as np
import pytest
from diagnosed_networks import (
    accuracy_with,
    assert_remedy_helps,
    diagnosed,
    first_cause,
    normalised,
    third,
    was_tried,
    with_scale,
    with_weights,
)
from models import meeting_late
from trained_models import half_digits, trained

import nengo_snnconv as snc
from nengo_snnconv.analysis.diagnosis import remedies
from nengo_snnconv.analysis.diagnosis.explanations import _EXPLANATIONS, explain
from nengo_snnconv.analysis.diagnosis.partial_ann import PartialANN
from nengo_snnconv.analysis.diagnosis.shared_scales import shared_scales
from nengo_snnconv.model import layers as specs
from nengo_snnconv.model.connectivity import maxima_over
from nengo_snnconv.passes import find_units, rescale

ARCHITECTURES = ("plain", "vgg", "residual")


@pytest.mark.parametrize("architecture", ARCHITECTURES)
class TestBrokenOnPurpose:
    def test_a_healthy_network_has_no_findings(self, architecture):
        diagnosis = diagnosed(snc.to_spiking(normalised(architecture)), n_images=300)
        assert diagnosis.healthy and diagnosis.findings == []
        assert diagnosis.remedy is None and diagnosis.first_failing is None
        largest = max(layer.error for layer in diagnosis.layers.values())
        healthy = f"healthy: the errors of the layers, up to {100 * largest:.1f} %, cost at most 1 point of accuracy"
        assert healthy in diagnosis.summary() and f"{100 * largest:.1f} %" in str(diagnosis.rows())

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
        assert was_tried(diagnosis, "run more steps")
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
        assert was_tried(diagnosis, "input_threshold=1")
        assert_remedy_helps(diagnosis)

    def test_reset_to_zero_is_named(self, architecture):
        neuron_type = snc.IntegrateAndFire(reset="zero", initial_potential=0)
        diagnosis = diagnosed(snc.to_spiking(normalised(architecture), neuron_type))
        assert first_cause(diagnosis)[0] == "reset"
        assert diagnosis.findings[0].remedies[0].accuracy > diagnosis.accuracy


def test_neurons_without_negative_input_are_uneven():
    neuron_type = nengo.SpikingRectifiedLinear(amplitude=0.001)
    diagnosis = diagnosed(snc.to_spiking(normalised("vgg"), neuron_type))
    assert first_cause(diagnosis)[0] == "unevenness"
    assert "SpikingRectifiedLinear forgets" in diagnosis.findings[0].text
    assert_remedy_helps(diagnosis)


def test_a_start_at_half_the_threshold_is_recommended():
    network = snc.to_spiking(normalised("plain"), snc.IntegrateAndFire(initial_potential=0))
    diagnosis = diagnosed(network, n_steps=10)
    assert diagnosis.predicted_accuracy["half"] > diagnosis.predicted_accuracy[10]
    assert was_tried(diagnosis, "initial_potential=0.5")


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
    assert was_tried(diagnosis, "snc.normalize(")
    assert_remedy_helps(diagnosis, n_steps=16)


def test_skipped_steps_and_random_starts_are_taken_into_account():
    neuron_type = snc.IntegrateAndFire(initial_state={"voltage": nengo.dists.Uniform(0, 1)})
    diagnosis = diagnosed(snc.to_spiking(normalised("vgg"), neuron_type), skip_steps=16, n_images=300)
    assert diagnosis.healthy
    first = next(iter(diagnosis.layers.values()))
    # its input is a constant current, so its only errors are clipping and quantization
    assert first.causes["unevenness"] < 0.005
    assert "transient" not in first.causes


def test_a_synapse_is_named():
    diagnosis = diagnosed(snc.to_spiking(normalised("plain"), synapse=0.005), n_steps=12)
    assert first_cause(diagnosis)[0] == "synapse"
    assert "synapse between layers, 0.005" in diagnosis.findings[0].text
    assert accuracy_with(diagnosis.remedy, diagnosis.network, 12) > diagnosis.accuracy + 0.5


@pytest.mark.parametrize(
    ("layers", "code"),
    [
        ({"a_neurons": nengo.LIF(min_voltage=-5)}, "neuron_type={'a_neurons': snc.SignedIntegrateAndFire()}"),
        ({"*": nengo.LIF(min_voltage=-5)}, "neuron_type=snc.IntegrateAndFire(), max_rate=None"),
    ],
    ids=("one layer", "all layers"),
)
def test_neurons_of_other_types_are_replaced(layers, code):
    rates = snc.normalize(snc.convert(meeting_late(specs.Dense("scores", "sum", units=3))), method="model")
    network = snc.to_spiking(rates, {"*": snc.SignedIntegrateAndFire(), **layers})
    x = np.random.default_rng(0).random((20, 4, 4, 2), dtype=np.float32)
    diagnosis = dataclasses.replace(snc.diagnose(network, x, n_steps=4, try_remedies=False), max_loss=-100)
    layer = diagnosis.layers["a_neurons"]
    for cause in ("clipping", "response", "quantisation", "unevenness", "maxima"):
        codes = [remedy.code for remedy in explain(cause, diagnosis, layer)[1]]
        assert codes.count(f"network = network.rebuild({code})") == 1
    (remedy,) = remedies.integrate_and_fire(diagnosis)
    namespace = {"network": network, "snc": snc}
    exec(remedy.code, namespace)
    changed = remedy.apply(network, x)
    assert changed.settings == namespace["network"].settings
    assert all(isinstance(each, snc.IntegrateAndFire) for each in changed.settings.of_types)
    assert not remedies.integrate_and_fire(dataclasses.replace(diagnosis, network=changed))


class TestNegativeSpikes:
    @pytest.fixture(scope="class")
    def uneven(self):
        neuron_type = snc.IntegrateAndFire(threshold=2.0, initial_potential=0.25, max_spikes=2)
        diagnosis = diagnosed(snc.to_spiking(normalised("vgg"), neuron_type, input_coding="poisson"), n_steps=16)
        # all layers lose accuracy by unevenness alone
        layers = {
            name: dataclasses.replace(layer, causes={"unevenness": 0.4}, points={"unevenness": 9.0})
            for name, layer in diagnosis.layers.items()
        }
        evaluation = dataclasses.replace(diagnosis.evaluation, input_layer=None)
        return dataclasses.replace(diagnosis, layers=layers, evaluation=evaluation, max_loss=-100)

    def test_they_are_the_remedy_for_unevenness(self, uneven):
        assert first_cause(uneven)[0] == "unevenness"
        neuron_type = snc.SignedIntegrateAndFire(threshold=2.0, initial_potential=0.25, max_spikes=2)
        (remedy,) = [each for each in uneven.findings[0].remedies if "SignedIntegrateAndFire" in each.text]
        assert remedy.code == f"network = network.rebuild(neuron_type=snc.{neuron_type!r})"
        changed = remedy.apply(uneven.network, None)
        assert changed.settings.neuron_type == neuron_type
        assert changed.settings.input_coding == "poisson"

    def test_they_reduce_the_loss(self):
        """In few steps, spikes are uneven in all layers after the first."""
        network = snc.to_spiking(normalised("residual"))
        signed = network.rebuild(neuron_type=snc.SignedIntegrateAndFire())
        plain, other = (diagnosed(each, n_steps=8, try_remedies=False) for each in (network, signed))
        last = list(plain.layers)[-1]
        assert other.layers[last].error < 0.8 * plain.layers[last].error
        assert other.accuracy >= plain.accuracy
        assert all("transient" not in layer.causes for layer in other.layers.values())
        assert all(layer.largest_error <= layer.bound + 1e-4 for layer in other.layers.values())

    def test_remedies_name_no_argument_that_the_type_lacks(self, uneven):
        signed = uneven.network.rebuild(neuron_type=snc.SignedIntegrateAndFire(initial_potential=0))
        diagnosis = dataclasses.replace(uneven, network=signed, starts=(0.0, 0.0))
        layer = next(iter(diagnosis.layers.values()))
        assert diagnosis.keeps_charge
        for cause in _EXPLANATIONS.keys() - {"response", "reset"}:  # these neurons cannot have those
            for remedy in explain(cause, diagnosis, dataclasses.replace(layer, level=0.5))[1]:
                assert not {"reset", "min_potential"} & set(re.findall(r"[a-z_]+", remedy.text + remedy.code)), cause
                network = remedy.apply(signed, np.ones((2, *signed.model.shapes["image"])))
                assert type(network.settings.neuron_type) is snc.SignedIntegrateAndFire
        text, found = explain("unevenness", diagnosis, layer)
        assert "too late" in text and any(remedy.options for remedy in found)
        found = explain("quantisation", diagnosis, dataclasses.replace(layer, level=0.5))[1]
        half = [remedy.code for remedy in found if "initial_potential=0.5" in remedy.text]
        assert half == ["network = network.rebuild(neuron_type=snc.SignedIntegrateAndFire())"]

    def test_changes_of_arguments_that_the_type_lacks_lead_to_the_other_type(self, uneven):
        signed = uneven.network.rebuild(neuron_type=snc.SignedIntegrateAndFire())
        remedy = remedies.replace_neurons("", signed, min_potential=-np.inf)
        assert remedy.apply(signed, None).settings.neuron_type == snc.IntegrateAndFire()


class TestMaxima:
    def test_those_of_inexact_sums_are_too_large(self, rng):
        """The gate passes on at least the sum of the neuron with the largest activation."""
        ann = PartialANN(normalised("vgg"))
        (pool,) = maxima_over(ann.model, "relu2")
        exact = rng.random((2, *ann.model.shapes["relu2"]), dtype=np.float32)
        noisy = exact + rng.normal(0, 0.3, exact.shape).astype(np.float32)
        chosen = ann.passed_on(pool, noisy, exact).numpy()
        largest = ann.linear_layers[pool](noisy).numpy()
        assert (chosen <= largest).all() and chosen.mean() < largest.mean()
        np.testing.assert_allclose(ann.passed_on(pool, exact, exact), ann.linear_layers[pool](exact))

    def test_they_are_a_cause(self):
        diagnosis = diagnosed(snc.to_spiking(normalised("vgg")), n_steps=6, try_remedies=False)
        before_pools = {name for name, layer in diagnosis.layers.items() if "maxima" in layer.causes}
        assert before_pools == {"relu2", "relu4"}
        assert all(diagnosis.layers[name].causes["maxima"] > 0 for name in before_pools)
        assert sum(diagnosis.points().values()) == pytest.approx(diagnosis.loss_points, abs=1e-6)
        layers = {
            n: dataclasses.replace(a, points={"maxima": 9.0 * (n == "relu4")}) for n, a in diagnosis.layers.items()
        }
        biased = dataclasses.replace(diagnosis, layers=layers, max_loss=-100)
        assert first_cause(biased) == ("maxima", "relu4")
        assert "pool4 takes maxima of sums of spikes" in biased.findings[0].text


class TestSharedScales:
    @pytest.fixture(scope="class")
    def tied(self):
        """Residual network in which the first shortcut has no scale of its own."""
        network = snc.convert(trained("residual"))
        units = find_units(network.model)
        x = half_digits()[0][:100]
        names = network.model.neurons
        scales = np.ones(units.n_units)
        for name, activity in zip(names, snc.rate_model(network, list(names)).predict(x, verbose=0), strict=True):
            np.maximum.at(scales, np.unique(units.labels[name]), np.percentile(activity[activity > 0], 99.9))
        return network.rebuild(rescale(network.model, units, scales))

    def test_layers_that_a_shortcut_joins_share_one(self, tied):
        assert shared_scales(tied.model) == {"relu0": ("relu1b",), "relu1b": ("relu0",)}
        assert shared_scales(normalised("residual").model) == {}
        assert shared_scales(normalised("plain").model) == {}

    def test_they_are_a_cause(self, tied):
        diagnosis = diagnosed(snc.to_spiking(tied), n_steps=4, try_remedies=False)
        assert sum(diagnosis.points().values()) == pytest.approx(diagnosis.loss_points, abs=1e-6)
        layers = {
            n: dataclasses.replace(a, points={"quantisation": 9.0 * (n == "relu0")})
            for n, a in diagnosis.layers.items()
        }
        layers["relu0"] = dataclasses.replace(layers["relu0"], level=0.6)
        held_back = dataclasses.replace(diagnosis, layers=layers, max_loss=-100)
        assert first_cause(held_back) == ("shared scale", "relu0")
        assert "share a scale with relu1b" in held_back.findings[0].text
        assert held_back.points()["shared scale"] == 9


def test_changes_that_do_not_help_are_not_recommended():
    """One may even cost accuracy, so each is measured on the images of the diagnosis."""
    diagnosis = diagnosed(snc.to_spiking(normalised("plain")), n_steps=1)
    assert {remedy.code for finding in diagnosis.findings for remedy in finding.remedies} == {
        remedy.code for remedy in diagnosis.tried
    }
    for remedy in diagnosis.tried:
        assert remedy.accuracy == accuracy_with(remedy, diagnosis.network, n_steps=1)
        assert not remedy.helps or remedy.accuracy > diagnosis.accuracy
        assert f"tried: {100 * remedy.accuracy:.2f} % with this change: {remedy.text}" in diagnosis.summary()
    useless = tuple(dataclasses.replace(remedy, helps=False) for remedy in diagnosis.tried)
    in_vain = dataclasses.replace(diagnosis, tried=useless)
    assert in_vain.remedy is None and in_vain.findings[0].remedy is None
    assert "none of these changes helps" in in_vain.summary()


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
    assert was_tried(diagnosis, "network = network.rebuild(neuron_type=snc.IntegrateAndFire())")
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
    evaluation = dataclasses.replace(diagnosis.evaluation, ann_score=0.5)
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
    evaluation = dataclasses.replace(diagnosis.evaluation, ann_score=0.98, score=np.array([0.97]))
    layers = {name: dataclasses.replace(layer, accuracy=0.97) for name, layer in diagnosis.layers.items()}
    just = dataclasses.replace(diagnosis, evaluation=evaluation, layers=layers)
    assert just.loss_points > 1 and just.healthy and just.first_failing is None
