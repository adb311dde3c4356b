"""Default search space of tune."""

from ...conversion.calibrate import NEURON_TYPES
from ...networks.native import NativeConfig
from ...neurons.integrate_and_fire import IntegrateAndFire

# largest balance_steps: thresholds balanced for more steps are almost the same; and largest calibrate_steps
MOST_BALANCED, MOST_CALIBRATED = 32, 16
# largest number of spikes a step
MANY_SPIKES = 4
# numbers of steps that class scores leave out
SKIPPED = (2, 4, 8)
# back ends that run only some neurons
LIMITED = ("loihi",)


def default_space(network, max_steps, backend=None):
    """Return the default search space, as a list of grids.

    For networks made by ``convert``: scales by percentiles, thresholds balanced for numbers of steps, the initial
    potential, signed spikes, several spikes a step, skipped steps, calibration, and the synapse.  Networks made by
    ``to_spiking`` keep their neurons.  For networks made by ``build_trainable``: the synapse between layers.
    """
    settings = network.settings
    if not isinstance(settings, NativeConfig):
        return [{"synapse": [None, 0.001, 0.002, 0.005]}]
    rates, none = not settings.neuron_type.spiking, {"synapse": [None]}
    balanced = {"method": ["balance"], "balance_steps": powers_of_two(min(max_steps, MOST_BALANCED)), **none}
    potentials, default_potential = {}, {}
    one_type = len(settings.of_types) == 1
    if rates or (one_type and isinstance(settings.neuron_type, IntegrateAndFire)):
        potentials, default_potential = {"initial_potential": [0.25, 0.5, 0.75]}, {"initial_potential": [0.5]}
    data = {"method": ["data"], "percentile": [99, 99.9, 100], "per": ["layer", "channel"]}
    space = [{**data, **default_potential, **none}, {**balanced, **potentials}]
    # some parameters are tried with few combinations of the others; a synapse delays spikes, which costs steps
    one_way = {"method": ["data"], "percentile": [99.9], "per": ["channel"], **default_potential}
    space.append({**one_way, "synapse": [0.001, 0.002]})
    signed = {"signed": [False, True]} if rates and backend not in LIMITED else {}
    if skipped := [n for n in SKIPPED if n < max_steps]:
        steps = {"balance_steps": [min(MOST_BALANCED, max_steps)]}
        space.append({**balanced, **steps, **default_potential, "skip_steps": skipped, **signed})
    if signed:
        few = {"balance_steps": powers_of_two(min(max_steps, 8))}
        space.append({**balanced, **default_potential, "signed": [True]})
        space.append({**balanced, **few, **default_potential, "max_spikes": [MANY_SPIKES], **signed})
    return space + _calibrated(settings, max_steps, rates, none) * (backend not in LIMITED)


def _calibrated(settings, max_steps, rates, none):
    """Return the grids of calibrated networks; none if the network cannot be calibrated."""
    if settings.input_coding != "constant":
        return []
    if not (rates or all(isinstance(each, NEURON_TYPES) for each in settings.of_types)):
        return []
    calibrated = {"calibrate": [True], "calibrate_steps": powers_of_two(min(max_steps, MOST_CALIBRATED)), **none}
    if not rates:
        return [calibrated]
    # the fewest negative spikes and spikes a step first: the others are tried for fewer steps only
    return [
        {**calibrated, "signed": [False]},
        {**calibrated, "signed": [True]},
        {**calibrated, "signed": [True], "max_spikes": [MANY_SPIKES]},
    ]


def powers_of_two(most):
    """Return the powers of two up to a number."""
    return [2**i for i in range(int(most).bit_length())]
