"""error_bounds: largest possible errors of firing rates, known before any simulation."""

from __future__ import annotations

import numpy as np
from nengo.dists import Choice, Uniform

from .._util.validation import check_run
from ..errors import ConversionError
from ..model import layers as specs
from ..networks.edits import check_unedited
from ..networks.keras_layers import keras_layer
from ..networks.native import is_native_network
from ..networks.network import ConvNetwork, check_not_own_network
from ..networks.neuron_types import replacing
from ..networks.staged import StagedConfig
from ..neurons.integrate_and_fire import IntegrateAndFire


def error_bounds(
    network: ConvNetwork, n_steps: int, *, skip_steps: int = 0, dt: float = 0.001
) -> dict[str, np.ndarray]:
    """Return the largest possible difference between firing rate and activation, for every neuron.

    Consider a neuron that integrates a signed current without losing charge, from an initial membrane potential of v_0
    thresholds.  The number N(t) of its spikes of height h after t steps satisfies ::

        |h N(t) - t a| <= d,    d = sum_j |W_j| d_j + h max(v_0, 1 - v_0),

    where a is its activation in the ANN, clipped at the largest firing rate, and d_j is the same bound for its
    presynaptic neurons; d_j = 0 for an image as constant current.  So rates averaged over n_steps differ from
    activations by at most d / n_steps, however unevenly spikes arrive.  The contribution of each layer,
    h max(v_0, 1 - v_0) / n_steps with h and v_0 of its neurons, is its quantization error; the sum over ``|W_j|`` is
    the worst-case effect of uneven spikes from earlier layers, so the bound grows with depth.

    Proof: without a limit of spikes per step, N(t) is the maximum of floor(v_0 + Z(s)) over s <= t, where Z is the
    accumulated input charge, and ``|Z(s) - s z| <= sum_j |W_j| d_j``; a limit of spikes per step only delays them.
    The spikes of ``SignedIntegrateAndFire``, negative ones subtracted, follow max(floor(v_0 + Z(t)), 0) by at most
    ``max_spikes`` in a step, faster than t a changes, so they stay within the same distance.
    The maximum over a pooling window differs by no more than its entries do.  Moser & Lunglmayr 2023 (arXiv 2305.05772)
    measure distances of spike trains by the same partial sums.

    Parameters
    ----------
    network : ConvNetwork
        Network made by ``to_spiking``.
    n_steps : int
        Number of time steps.
    skip_steps : int
        Number of first steps that are left out of the average, as in ``evaluate``.
    dt : float
        Seconds per step.

    Returns
    -------
    dict of str to ndarray
        Bounds for each layer of neurons and for the output, with the shape of the layer's output.  Bounds of neurons
        are in the network's own units, in which one spike per step is an activation of 1 by default; those of the
        output are in the units of ``Evaluation.scores``.  No bound of neurons exceeds the largest firing rate, because
        rates and clipped activations lie between 0 and that rate; or twice that, for neurons with negative spikes, some
        of which take back spikes of skipped steps.

    Raises
    ------
    ConversionError
        If the theory does not hold: for neurons other than ``IntegrateAndFire`` and ``SignedIntegrateAndFire``; for
        reset to zero or a floor of the membrane potential, which lose charge; for Poisson input, which is random; for
        synapses, which delay charge.
    SettingsError
        If ``n_steps``, ``skip_steps`` or ``dt`` is invalid.

    Examples
    --------
    >>> bounds = snc.error_bounds(snn, n_steps=32)
    >>> {name: bound.max() for name, bound in bounds.items()}
    """
    check_run(n_steps, skip_steps, dt)
    check_not_own_network(network, ConversionError)
    if isinstance(network, ConvNetwork):
        check_unedited(network)
    reason = why_unbounded(network)
    if reason:
        raise ConversionError(f"there is no error bound for this network: {reason}")
    bounds, model = activity_bounds(network, n_steps, skip_steps=skip_steps, dt=dt), network.model
    return {**bounds, model.output: bounds[model.output] * np.float32(model.output_scale)}


def activity_bounds(
    network: ConvNetwork, n_steps: int, *, skip_steps: int = 0, dt: float = 0.001
) -> dict[str, np.ndarray]:
    """Return :func:`error_bounds` without checks, with the output in the network's own units."""
    model, distances = network.model, dict[str, np.ndarray]()
    for name, layer in model.layers.items():
        inputs = [distances[i] for i in layer.inputs]
        if isinstance(layer, specs.Input):
            distances[name] = np.zeros((1, *layer.shape), np.float32)
        elif isinstance(layer, specs.Rectifier):
            distances[name] = inputs[0] + quantization_bound(network, name, 1, dt=dt)
        else:
            distances[name] = np.asarray(_absolute_layer(layer, model)(inputs if len(inputs) > 1 else inputs[0]))
    return {
        name: np.minimum(
            distances[name][0] * _mean_factor(n_steps, skip_steps), _largest_error(network, name, skip_steps, dt)
        )
        for name, layer in model.layers.items()
        if isinstance(layer, specs.Rectifier) or name == model.output
    }


def _largest_error(network, name, skip_steps, dt):
    """Return the largest possible difference between two values that neurons of a layer can take; inf for others."""
    if not isinstance(network.model.layers[name], specs.Rectifier):
        return np.inf
    neuron_type = _neuron_type(network, name)
    most = neuron_type.max_spikes * neuron_type.amplitude / dt
    # with negative spikes, the mean of the steps that are not skipped may be negative
    return 2 * most if neuron_type.negative and skip_steps else most


def _neuron_type(network, name):
    """Return the neuron type of a layer, with the amplitude that it has in the network."""
    return network.settings.of_layer(network.model, name).match.neuron_type


def quantization_bound(
    network: ConvNetwork, name: str, n_steps: int, *, skip_steps: int = 0, dt: float = 0.001
) -> float:
    """Return the contribution of the layer of neurons ``name`` to its bound: h max(v_0, 1 - v_0) / n_steps."""
    neuron_type = _neuron_type(network, name)
    low, high = _initial_potentials(neuron_type)
    return neuron_type.amplitude / dt * max(high, 1 - low, 0) * _mean_factor(n_steps, skip_steps)


def _mean_factor(n_steps, skip_steps):
    """Return the factor from the error of a sum over steps to that of the mean.

    With skipped steps the mean comes from the difference of two sums, each of which has the error.
    """
    return (2 if skip_steps else 1) / (n_steps - skip_steps)


def why_unbounded(network: ConvNetwork) -> str:
    """Return why :func:`error_bounds` do not hold for a network, with a way out; an empty string if they hold."""
    if isinstance(getattr(network, "settings", None), StagedConfig):
        return "it runs in stages, use a network without stage_steps"
    if not is_native_network(network):
        return "it was not made by to_spiking"
    if "split" in network.model.metadata:
        return "its neurons are split into several, use the network before split_neurons"
    if network.model.ann_arrays:
        return "calibrate, quantize_weights or train changed its weights, use the network before that"
    if network.model.levels:
        return "its ANN has QCFS layers, which round activations as well, use a network with rectifiers"
    settings = network.settings
    # without layers of neurons, the type is that of output neurons
    for name in network.model.neurons:
        if reason := _why_neurons_unbounded(_neuron_type(network, name)):
            of_one_type = len(settings.of_types) == 1
            return reason if of_one_type else f"{reason}: {replacing(name, 'IntegrateAndFire()')}"
    if settings.input_coding != "constant":
        return "Poisson input is random, use input_coding='constant'"
    if settings.synapse is not None:
        return "a synapse delays charge, leave out synapse"
    if network.model.filters:
        return "filters over time delay charge, read a graph without LI, CubaLI and Delay nodes"
    if settings.readout == "spikes" and not isinstance(network.model.layers[network.model.output], specs.Rectifier):
        return "output spikes cannot represent negative scores, use readout='potential'"
    return ""


def _why_neurons_unbounded(neuron_type):
    """Return why neurons of a type do not keep to the bounds; an empty string if they do."""
    if not isinstance(neuron_type, IntegrateAndFire):
        return f"{type(neuron_type).__name__} loses charge, use IntegrateAndFire"
    if neuron_type.reset != "subtract":
        return "reset to zero loses charge, use reset='subtract'"
    if neuron_type.min_potential > -np.inf:
        return "a floor of the membrane potential loses charge, leave out min_potential"
    try:
        _initial_potentials(neuron_type)
    except ConversionError as error:
        return str(error)
    return ""


def _initial_potentials(neuron_type):
    """Return the lowest and the highest initial membrane potential, in thresholds."""
    start = (neuron_type.initial_state or {}).get("voltage")
    if start is None:
        low = high = neuron_type.initial_potential * neuron_type.threshold
    elif isinstance(start, Uniform):
        low, high = start.low, start.high
    elif isinstance(start, Choice | np.ndarray | list | tuple | int | float):
        values = np.asarray(start.options if isinstance(start, Choice) else start)
        low, high = values.min(), values.max()
    else:
        raise ConversionError(
            f"the range of the initial membrane potential {start} is unknown, use nengo.dists.Uniform(0, 1)"
        )
    return float(low) / neuron_type.threshold, float(high) / neuron_type.threshold


def _absolute_layer(layer, model):
    """Return the Keras layer with absolute weights and no bias, from bounds of its inputs to those of its output."""
    arrays = {
        name: np.zeros_like(a) if name == "bias" else np.abs(a) for name, a in model.arrays_of(layer.name).items()
    }
    return keras_layer(layer, arrays)
