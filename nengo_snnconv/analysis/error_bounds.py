"""error_bounds: how far firing rates can be from activations, known before any simulation."""

import numpy as np
from nengo.dists import Choice, Uniform

from .._util.validation import check_run
from ..errors import ConversionError
from ..model import layers as specs
from ..networks.edits import check_unedited
from ..networks.keras_layers import keras_layer
from ..networks.native import is_native_network
from ..networks.network import ConvNetwork
from ..neurons.integrate_and_fire import IntegrateAndFire


def error_bounds(network, n_steps, *, skip_steps=0, dt=0.001):
    """The largest difference between rate and activation that steps, thresholds and starts allow, in every neuron.

    A neuron that integrates a signed current, loses no charge and starts at v_0 thresholds, has after any number t of
    steps emitted N(t) spikes of height h with ::

        |h N(t) - t a| <= d,    d = sum_j |W_j| d_j + h max(v_0, 1 - v_0),

    where a is its activation in the ANN, clipped at what a neuron can emit in a step, and d_j is the same bound for the
    neurons that drive it; d_j = 0 for an image as constant current.  So rates averaged over n_steps differ from
    activations by d / n_steps at most, however unevenly spikes arrive.  What each layer adds by itself,
    h max(v_0, 1 - v_0) / n_steps, is its quantisation error; the sum over ``|W_j|`` is what unevenness of the layers
    before can make of theirs in the worst case, so the bound grows with depth.

    It follows from the running maximum: without a limit per step N(t) is the largest floor(v_0 + Z(s)), s <= t, of the
    charge Z that has come in, and ``|Z(s) - s z| <= sum_j |W_j| d_j``; a limit of spikes per step only delays them.
    The maximum of a window differs by no more than its entries do.  Distances of partial sums are what Moser &
    Lunglmayr 2023 (arXiv 2305.05772) measure spike trains by.

    Parameters
    ----------
    network : ConvNetwork
        Made by ``to_spiking``.
    n_steps : int
    skip_steps : int
        Rates are averaged over the steps after so many, as ``evaluate`` does it.
    dt : float
        Seconds per step.

    Returns
    -------
    dict of str to ndarray
        For each layer of neurons and for the output, with the shape of the layer's output.  Layers of neurons are in
        the network's own units, in which one spike per step is an activation of 1 by default; the output is in the
        units of ``Evaluation.scores``.  Where neurons cannot differ by more, because rates and clipped activations both
        lie between 0 and the largest rate, it is that rate.

    Raises
    ------
    ConversionError
        If the theory does not hold: neurons other than ``IntegrateAndFire``, reset to zero or a floor of the membrane
        potential, which lose charge; Poisson input, whose spikes are random; synapses, which delay charge.
    SettingsError
        If a number of steps cannot work.
    """
    check_run(n_steps, skip_steps, dt)
    if isinstance(network, ConvNetwork):
        check_unedited(network)
    reason = why_unbounded(network)
    if reason:
        raise ConversionError(f"there is no error bound for this network: {reason}")
    bounds, model = activity_bounds(network, n_steps, skip_steps=skip_steps, dt=dt), network.model
    return {**bounds, model.output: bounds[model.output] * np.float32(model.output_scale)}


def activity_bounds(network, n_steps, *, skip_steps=0, dt=0.001):
    """Return :func:`error_bounds`, where they hold, with the output in the network's own units too."""
    neuron_type = network.settings.match.neuron_type
    own = quantisation_bound(network, 1, dt=dt)
    distances = {}
    for name, layer in network.model.layers.items():
        inputs = [distances[i] for i in layer.inputs]
        if isinstance(layer, specs.Input):
            distances[name] = np.zeros((1, *layer.shape), np.float32)
        elif isinstance(layer, specs.Rectifier):
            distances[name] = inputs[0] + own
        else:
            distances[name] = np.asarray(_magnified(layer, network.model)(inputs if len(inputs) > 1 else inputs[0]))
    largest = {
        name: neuron_type.max_spikes * neuron_type.amplitude / dt if isinstance(layer, specs.Rectifier) else np.inf
        for name, layer in network.model.layers.items()
    }
    return {
        name: np.minimum(distances[name][0] * _share(n_steps, skip_steps), largest[name])
        for name, layer in network.model.layers.items()
        if isinstance(layer, specs.Rectifier) or name == network.model.output
    }


def quantisation_bound(network, n_steps, *, skip_steps=0, dt=0.001):
    """What a layer adds to :func:`error_bounds` by itself, h max(v_0, 1 - v_0) / n_steps, where they hold."""
    neuron_type = network.settings.match.neuron_type
    low, high = _starts(neuron_type)
    return neuron_type.amplitude / dt * max(high, 1 - low, 0) * _share(n_steps, skip_steps)


def _share(n_steps, skip_steps):
    """A mean over steps is off by so much of a sum over them; a difference of two sums may be off twice."""
    return (2 if skip_steps else 1) / (n_steps - skip_steps)


def why_unbounded(network):
    """Why :func:`error_bounds` has nothing to say about a network, and what would help; empty where it has."""
    if not is_native_network(network):
        return "to_spiking makes networks that have one"
    settings, neuron_type = network.settings, network.settings.match.neuron_type
    if not isinstance(neuron_type, IntegrateAndFire):
        return f"{type(neuron_type).__name__} does not keep all charge, use IntegrateAndFire"
    if neuron_type.reset != "subtract":
        return "reset to zero loses charge, use reset='subtract'"
    if neuron_type.min_potential > -np.inf:
        return "a floor of the membrane potential loses charge, leave out min_potential"
    if settings.input_coding != "constant":
        return "Poisson input is random, use input_coding='constant'"
    if settings.synapse is not None:
        return "a synapse delays charge, leave out synapse"
    try:
        _starts(neuron_type)
    except ConversionError as error:
        return str(error)
    if settings.readout == "spikes" and not isinstance(network.model.layers[network.model.output], specs.Rectifier):
        return "output spikes drop negative scores, use readout='potential'"
    return ""


def _starts(neuron_type):
    """Lowest and highest membrane potential at the start, in thresholds."""
    start = (neuron_type.initial_state or {}).get("voltage")
    if start is None:
        low = high = neuron_type.initial_potential * neuron_type.threshold
    elif isinstance(start, Uniform):
        low, high = start.low, start.high
    elif isinstance(start, Choice | np.ndarray | list | tuple | int | float):
        values = np.asarray(start.options if isinstance(start, Choice) else start)
        low, high = values.min(), values.max()
    else:
        raise ConversionError(f"the range of {start} is not known, start from nengo.dists.Uniform(0, 1)")
    return float(low) / neuron_type.threshold, float(high) / neuron_type.threshold


def _magnified(layer, model):
    """A Keras layer that makes of distances of its inputs the largest distance that its output can have."""
    arrays = {
        name: np.zeros_like(a) if name == "bias" else np.abs(a) for name, a in model.arrays_of(layer.name).items()
    }
    return keras_layer(layer, arrays)
