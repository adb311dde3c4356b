"""Space: the settings that tune tries where a user does not say."""

from ...networks.native import NativeConfig
from ...neurons.integrate_and_fire import IntegrateAndFire

# thresholds that are balanced for more steps are much the same
MOST_BALANCED = 32


def default_space(network, max_steps):
    """The settings to try, as grids.

    Networks that ``convert`` made: scales by percentiles, and thresholds balanced for numbers of steps; where neurons
    start; a synapse, or none.  Networks that ``build_trainable`` made: the synapse between their layers.
    """
    settings = network.settings
    if not isinstance(settings, NativeConfig):
        return [{"synapse": [None, 0.001, 0.002, 0.005]}]
    starts, usual = {}, {}
    if isinstance(settings.neuron_type, IntegrateAndFire) or not settings.neuron_type.spiking:
        starts, usual = {"initial_potential": [0.25, 0.5, 0.75]}, {"initial_potential": [0.5]}
    balanced = [2**i for i in range(max_steps.bit_length()) if 2**i <= min(max_steps, MOST_BALANCED)]
    return [
        {"method": ["data"], "percentile": [99, 99.9, 100], "per": ["layer", "channel"], **starts, "synapse": [None]},
        {"method": ["balance"], "balance_steps": balanced, **starts, "synapse": [None]},
        # a synapse holds spikes back, which costs steps: tried where it may help, not beside everything
        {"method": ["data"], "percentile": [99.9], "per": ["channel"], **usual, "synapse": [0.001, 0.002]},
    ]
