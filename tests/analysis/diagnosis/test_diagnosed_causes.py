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
    with_scale,
    with_weights,
)
from trained_models import half_digits, trained

import nengo_snnconv as snc
from nengo_snnconv.analysis.diagnosis import remedies
from nengo_snnconv.analysis.diagnosis.explanations import _EXPLANATIONS, explain
from nengo_snnconv.model import layers as specs
from nengo_snnconv.passes import find_units

ARCHITECTURES = ("plain", "vgg", "residual")


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


def test_a_synapse_is_named():
    diagnosis = diagnosed(snc.to_spiking(normalised("plain"), synapse=0.005), n_steps=12)
    assert first_cause(diagnosis)[0] == "synapse"
    assert "synapse between layers, 0.005" in diagnosis.findings[0].text
    assert accuracy_with(diagnosis.remedy, diagnosis.network, 12) > diagnosis.accuracy + 0.5


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
        assert "SignedIntegrateAndFire" in uneven.remedy.text
        assert uneven.remedy.code == f"network = network.rebuild(neuron_type=snc.{neuron_type!r})"
        changed = uneven.remedy.apply(uneven.network, None)
        assert changed.settings.neuron_type == neuron_type
        assert changed.settings.input_coding == "poisson"

    def test_they_reduce_the_loss(self):
        """In few steps, spikes are uneven in all layers after the first."""
        network = snc.to_spiking(normalised("residual"))
        signed = remedies.take_spikes_back(network).apply(network, None)
        plain, other = (diagnosed(each, n_steps=8) for each in (network, signed))
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
            text, remedy = explain(cause, diagnosis, dataclasses.replace(layer, level=0.5))
            assert not {"reset", "min_potential"} & set(re.findall(r"[a-z_]+", remedy.text + remedy.code)), cause
            network = remedy.apply(signed, np.ones((2, *signed.model.shapes["image"])))
            assert type(network.settings.neuron_type) is snc.SignedIntegrateAndFire
        text, remedy = explain("unevenness", diagnosis, layer)
        assert "too late" in text and remedy.options
        half = {"half": 1.0, diagnosis.n_steps: 0.1}
        half = dataclasses.replace(diagnosis, predicted_accuracy=half, max_loss=1)
        code = explain("quantisation", half, dataclasses.replace(layer, level=0.5))[1].code
        assert code == "network = network.rebuild(neuron_type=snc.SignedIntegrateAndFire())"

    def test_changes_of_arguments_that_the_type_lacks_lead_to_the_other_type(self, uneven):
        signed = uneven.network.rebuild(neuron_type=snc.SignedIntegrateAndFire())
        remedy = remedies.replace_neurons("", signed, min_potential=-np.inf)
        assert remedy.apply(signed, None).settings.neuron_type == snc.IntegrateAndFire()


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
