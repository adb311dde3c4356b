"""diagnose explains the loss of networks whose firing rates are trained, those of build_trainable and from_nengo."""

import functools
import re

import nengo
import numpy as np
import pytest
from diagnosed_networks import diagnosed, first_cause, normalised, was_tried
from models import small_cnn
from trained_models import half_digits

import nengo_snnconv as snc
from nengo_snnconv.analysis.diagnosis.explanations import explain
from nengo_snnconv.analysis.diagnosis.maxima_of_spikes import MaximaOfSpikes
from nengo_snnconv.compat import nengo_dl, tf

RECTIFYING = nengo.SpikingRectifiedLinear(amplitude=0.01)


@functools.cache
def trained(architecture, neuron_type=RECTIFYING, **options):
    """Return a network that was trained with rectifiers, whose neurons have such rates or similar ones."""
    return snc.build_trainable(normalised(architecture).model, neuron_type, **options)


def types_by_layer():
    first, *others = normalised("vgg").model.neurons
    return {first: nengo.LIF(amplitude=0.01), **dict.fromkeys(others, RECTIFYING)}


@pytest.mark.parametrize(
    ("neuron_type", "options"),
    [
        (RECTIFYING, {}),
        (RECTIFYING, {"synapse": 0.005, "output_synapse": None}),
        (RECTIFYING, {"tensor_nodes": False}),
        (nengo.LIF(amplitude=0.01), {"lif_smoothing": 0.05}),
        (nengo.LIF(amplitude=0.01), {"max_rates": nengo.dists.Uniform(100, 200), "intercepts": 0.05}),
        (nengo.PoissonSpiking(nengo.RectifiedLinear(), amplitude=0.01), {}),
        (nengo.RegularSpiking(nengo.LIFRate(), amplitude=0.01), {"max_rates": 100}),
        (snc.IntegrateAndFire(amplitude=0.002), {}),
    ],
    ids=str,
)
def test_the_points_add_up_to_the_loss(neuron_type, options):
    network = trained("vgg", neuron_type, **options)
    diagnosis = diagnosed(network, n_steps=15, n_images=40, try_remedies=False)
    assert sum(diagnosis.points().values()) == pytest.approx(diagnosis.loss_points, abs=1e-6)
    assert diagnosis.trained
    _, _, x, y = half_digits()
    evaluation = snc.evaluate(network, x[:40], y[:40], n_steps=15)
    assert (diagnosis.accuracy, diagnosis.ann_accuracy) == (evaluation.accuracy[-1], evaluation.ann_accuracy)
    for layer in diagnosis.layers.values():
        assert layer.error > 0 and layer.bound is None and layer.saturated == 0
    assert diagnosis.plot() is not None and diagnosis.to_dict()["layers"]


@pytest.mark.parametrize(
    "neuron_type",
    [
        RECTIFYING,
        nengo.LIF(amplitude=0.01),
        nengo.LIF(amplitude=0.01, min_voltage=-5),
        nengo.RegularSpiking(nengo.RectifiedLinear(), amplitude=0.01),
    ],
    ids=str,
)
def test_the_first_layer_has_errors_of_quantisation_only(neuron_type):
    """Its input is constant, so its neurons emit what the table says, up to the rounding of the table."""
    layer = next(
        iter(diagnosed(trained("plain", neuron_type, max_rates=100), 20, 40, try_remedies=False).layers.values())
    )
    assert layer.causes["quantisation"] > 0.05
    assert layer.causes["unevenness"] < 0.3 * layer.causes["quantisation"]
    assert layer.error == pytest.approx(layer.causes["quantisation"], rel=0.05)


def test_neurons_of_several_types_have_responses_of_their_own():
    diagnosis = diagnosed(trained("vgg").rebuild(neuron_type=types_by_layer()), n_steps=15, n_images=40)
    assert sum(diagnosis.points().values()) == pytest.approx(diagnosis.loss_points, abs=1e-6)


def test_too_few_spikes_are_quantisation():
    diagnosis = diagnosed(trained("plain", snc.IntegrateAndFire(amplitude=0.01)), n_steps=20)
    assert first_cause(diagnosis)[0] == "quantisation"
    assert re.search(r"[\d.]+ Hz, is [\d.]+ spikes in 20 steps", diagnosis.findings[0].text)
    assert was_tried(diagnosis, "n_steps=80") and was_tried(diagnosis, "to_spiking(normalize(convert(network)")
    diagnosis = diagnosed(trained("plain", nengo.SpikingRectifiedLinear(amplitude=0.005)), n_steps=15)
    assert was_tried(diagnosis, "4 times the firing rates")


def test_neurons_that_cannot_spike_in_time_are_dead():
    with pytest.warns(UserWarning, match="fire at 2 Hz"):
        diagnosis = diagnosed(trained("plain", nengo.SpikingRectifiedLinear(amplitude=0.5)), n_steps=1)
    assert first_cause(diagnosis)[0] == "dead"
    assert "Hz" in diagnosis.findings[0].text and "scale" not in diagnosis.findings[0].text
    assert was_tried(diagnosis, "128 times the firing rates")  # 2 Hz become 256
    assert all("normalize(network" not in remedy.code for remedy in diagnosis.tried)


def test_maxima_of_spikes_are_named_and_a_filter_helps():
    diagnosis = diagnosed(trained("vgg", snc.IntegrateAndFire()), n_steps=40)
    assert first_cause(diagnosis) == ("maxima", "relu2")
    assert "any neuron in its window" in diagnosis.findings[0].text
    assert was_tried(diagnosis, "synapse=0.002") and diagnosis.remedy.helps


def test_a_smoothed_response_is_named():
    network = trained("plain", nengo.LIF(amplitude=0.005, min_voltage=-5), lif_smoothing=0.1)
    diagnosis = diagnosed(network, n_steps=10, try_remedies=False)
    assert all(layer.causes["response"] > 0 for layer in diagnosis.layers.values())
    text, found = explain("response", diagnosis, next(iter(diagnosis.layers.values())))
    assert "lif_smoothing=0.1" in text and not found


def test_scores_of_the_last_step_alone_are_the_readout():
    network = trained("plain", snc.IntegrateAndFire(), output_synapse=None)
    diagnosis = diagnosed(network, n_steps=40)
    assert first_cause(diagnosis) == ("readout", network.model.output)
    assert was_tried(diagnosis, "output_synapse=0.1") and "last step alone" in diagnosis.findings[0].text
    diagnosis = diagnosed(network.rebuild(output_synapse=0.002), n_steps=10, try_remedies=False)
    text, found = explain("readout", diagnosis, None)
    assert "Lowpass(tau=0.002)" in text and any("output_synapse=0.004" in remedy.code for remedy in found)


@pytest.mark.parametrize(
    ("neuron_type", "kept"),
    [
        (nengo.LIF(amplitude=0.005), "nengo.LIF(min_voltage=-5.0, amplitude=0.005)"),
        (nengo.SpikingRectifiedLinear(amplitude=0.002), "snc.IntegrateAndFire(amplitude=0.002)"),
    ],
    ids=str,
)
def test_neurons_that_drop_negative_input_can_keep_it(neuron_type, kept):
    network = trained("plain", neuron_type)
    diagnosis = diagnosed(network, n_steps=20)
    (remedy,) = (each for each in diagnosis.tried if kept in each.code)
    assert "negative input" in remedy.text and remedy.accuracy > diagnosis.accuracy
    namespace = {"snc": snc, "nengo": nengo, "network": network}
    exec(remedy.code, namespace)
    _, _, x, y = half_digits()
    assert snc.evaluate(namespace["network"], x[:100], y[:100], n_steps=20).accuracy[-1] == remedy.accuracy


def test_a_synapse_between_layers_is_a_cause():
    diagnosis = diagnosed(trained("plain", nengo.SpikingRectifiedLinear(amplitude=0.001), synapse=0.02), n_steps=20)
    assert first_cause(diagnosis)[0] == "synapse" and "unevenness" not in diagnosis.points()
    assert "Lowpass(tau=0.02)" in diagnosis.findings[0].text
    assert was_tried(diagnosis, "synapse=None") and was_tried(diagnosis, "synapse=0.005")


def test_chunks_and_minibatches_make_no_difference():
    network = trained("vgg", synapse=0.005)
    whole = diagnosed(network, n_steps=9, n_images=30, try_remedies=False)
    parts = diagnosed(network, n_steps=9, n_images=30, try_remedies=False, minibatch_size=20, memory_mb=0.5)
    for name in whole.layers:
        assert whole.layers[name].causes == pytest.approx(parts.layers[name].causes, rel=1e-3)
    assert whole.points() == pytest.approx(parts.points())


@pytest.mark.parametrize("synapse", [None, 0.003])
def test_maxima_are_those_that_the_network_passes_on(synapse):
    network = trained("vgg", synapse=synapse)
    maxima = MaximaOfSpikes(network, 0.001)
    (source, pool), *_ = ((name, pool) for pool, name in maxima.sources.items())
    with network:
        probes = [nengo.Probe(network.layers[name]) for name in (source, pool)]
    _, _, x, _ = half_digits()
    with nengo_dl.Simulator(network, minibatch_size=3, progress_bar=False) as simulator:
        simulator.run_steps(12, data={network.input: np.repeat(x[:3].reshape(3, 1, -1), 12, axis=1)})
        spikes, passed = (simulator.data[probe] for probe in probes)
    network.probes.remove(probes[0]), network.probes.remove(probes[1])
    maxima.sources = {pool: source}
    found = [maxima.of({source: spikes[:, part]}, part.start == 0)[pool] for part in (slice(0, 5), slice(5, 12))]
    found = np.concatenate(found, axis=1)
    assert found.any() and np.allclose(found, passed, atol=1e-3 * passed.max())


def test_networks_of_from_nengo_are_diagnosed():
    with nengo.Network(seed=0) as net:
        nengo_dl.configure_settings(trainable=False)
        net.config[nengo.Connection].synapse = None
        image = nengo.Node(np.zeros(64))
        hidden = nengo_dl.Layer(nengo.LIF(amplitude=0.01))(nengo_dl.Layer(tf.keras.layers.Dense(20))(image))
        out = nengo_dl.Layer(tf.keras.layers.Dense(10))(hidden)
    network = snc.from_nengo(net, image, out)
    x, y = np.random.default_rng(0).random((20, 64)), np.zeros(20, int)
    diagnosis = snc.diagnose(network, x, y, n_steps=20, try_remedies=False)
    assert list(diagnosis.layers) == network.model.neurons
    assert sum(diagnosis.points().values()) == pytest.approx(diagnosis.loss_points, abs=1e-6)


@pytest.mark.parametrize(
    ("neuron_type", "words"),
    [(snc.SurrogateLIF(), "spikes as it was trained"), (nengo.LIFRate(amplitude=0.01), r"neuron_type=\.\.\.")],
)
def test_networks_without_spikes_or_without_an_ann_are_refused(neuron_type, words):
    network = snc.build_trainable(small_cnn(), neuron_type)
    with pytest.raises(snc.ConversionError, match=words):
        snc.diagnose(network, np.zeros((3, 6, 6, 2)), np.zeros(3, int))
