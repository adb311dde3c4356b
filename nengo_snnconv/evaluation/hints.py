"""hints_of: what to change in a network that loses many points, where its settings tell."""

from __future__ import annotations

import typing

import nengo

from .._util.text_tables import counted
from ..model import layers as specs
from ..networks.native import NativeConfig
from ..networks.trainable_settings import TrainableConfig

if typing.TYPE_CHECKING:
    from ..networks.network import ConvNetwork
    from .result import Evaluation

MANY_POINTS = 5.0
FEWEST = 50  # images to judge whether the ANN only guesses
FEW_SPIKES = 0.15  # of a neuron; a network with fixed rates that loses many points with fewer fires too rarely
# types that drop negative current in each step, so that noise around zero makes them spike
DROPPING = (nengo.SpikingRectifiedLinear, nengo.neurons.RatesToSpikesNeuronType)


def hints_of(network: ConvNetwork, evaluation: Evaluation, synapse: typing.Any, unit_images: bool) -> tuple[str, ...]:
    """Return hints on the loss of an evaluation.

    Parameters
    ----------
    network : ConvNetwork
        Or any object with its ``model`` and ``settings``.
    evaluation : Evaluation
    synapse : nengo.synapses.Synapse, float or None
        Filter of the scores.
    unit_images : bool
        The images are in [0, 1], and nothing in the model tells whether it was trained on such images.
    """
    if ann_guesses(evaluation):
        return (_of_guesses(evaluation),)
    if evaluation.loss_points is None or evaluation.loss_points <= MANY_POINTS:
        return ()
    if isinstance(network.settings, TrainableConfig):
        return tuple(_of_fixed_rates(network, evaluation, synapse, unit_images))
    return tuple(_of_converted(network, evaluation))


def ann_guesses(evaluation: Evaluation) -> bool:
    """Return whether the ANN itself only guesses, by images that are enough to tell."""
    score = evaluation.ann_score
    return score is not None and len(evaluation.y) >= FEWEST and score < evaluation.near_chance


def _of_guesses(evaluation):
    """Return the hint on an ANN that only guesses."""
    if evaluation.head == "values":
        return (
            "the ANN itself is hardly better than the mean of the targets: check that images (--input-range) and "
            "targets are scaled as in training"
        )
    return (
        "the ANN itself is hardly better than chance: check that images are scaled (--input-range) and classes "
        "numbered as in training"
    )


def _of_fixed_rates(network, evaluation, synapse, unit_images):
    """Yield hints on a network whose firing rates follow from amplitudes and gains, not from activations."""
    settings = network.settings
    if (evaluation.spikes_per_neuron or 0) < FEW_SPIKES:
        advice = "raise them by a smaller amplitude and a larger gain, or scale_firing_rates; more steps help less"
        if unit_images:
            advice = (
                "if it was trained on pixels from 0 to 255, give such images, 255 * x (--input-range 0 255); else "
                f"{advice}"
            )
        yield f"firing rates are too low for {counted(evaluation.n_steps, 'step')}: {advice}"
    if synapse is None and not settings.accumulates:
        yield (
            "scores are the output of the last step alone: filter them, evaluate(..., synapse=0.1), or in the network, "
            "network.rebuild(output_synapse=0.1); from_nengo takes the filter of the probe"
        )
    maxima = any(isinstance(layer, specs.MaxPool | specs.GlobalMaxPool) for layer in network.model.layers.values())
    if maxima and settings.neuron_type.spiking and settings.has_rates and settings.synapse is None:
        yield (
            "max pooling passes a spike of any neuron in its window, so the rates after it are too high: filter the "
            "spikes, network.rebuild(synapse=0.005), or train with average pooling"
        )
    if settings.neuron_type.spiking and settings.has_rates and network.model.neurons:
        yield _diagnose(evaluation)


def _of_converted(network, evaluation):
    """Yield hints on a network of ``to_spiking``."""
    settings, model = network.settings, network.model
    if type(settings) is not NativeConfig or not settings.neuron_type.spiking:
        return
    for neuron_type in settings.of_types:
        if isinstance(neuron_type, DROPPING):
            name = type(neuron_type).__name__
            yield f"{name} drops negative current in each step, so it fires too often: use IntegrateAndFire()"
    if model.ann_arrays or model.filters or "quantization" in model.metadata or not model.neurons:
        return  # diagnose refuses such networks
    yield _diagnose(evaluation)


def _diagnose(evaluation):
    return (
        f"snc.diagnose(network, x, y, n_steps={evaluation.n_steps}), or nengo-snnconv diagnose, names the layers and "
        "causes of the loss, and tries remedies"
    )
