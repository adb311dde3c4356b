"""Default search space of tune."""

from ...networks.native import NativeConfig
from ...neurons.integrate_and_fire import IntegrateAndFire

# largest balance_steps: thresholds balanced for more steps are almost the same
MOST_BALANCED = 32


def default_space(network, max_steps):
    """Return the default search space, as a list of grids.

    For networks made by ``convert``: scales by percentiles, thresholds balanced for numbers of steps, the initial
    potential, and the synapse.  For networks made by ``build_trainable``: the synapse between layers.
    """
    settings = network.settings
    if not isinstance(settings, NativeConfig):
        return [{"synapse": [None, 0.001, 0.002, 0.005]}]
    potentials, default_potential = {}, {}
    if isinstance(settings.neuron_type, IntegrateAndFire) or not settings.neuron_type.spiking:
        potentials, default_potential = {"initial_potential": [0.25, 0.5, 0.75]}, {"initial_potential": [0.5]}
    balanced = [2**i for i in range(max_steps.bit_length()) if 2**i <= min(max_steps, MOST_BALANCED)]
    return [
        {
            "method": ["data"],
            "percentile": [99, 99.9, 100],
            "per": ["layer", "channel"],
            **potentials,
            "synapse": [None],
        },
        {"method": ["balance"], "balance_steps": balanced, **potentials, "synapse": [None]},
        # a synapse delays spikes, which costs steps, so it is tried with only one combination of the other parameters
        {"method": ["data"], "percentile": [99.9], "per": ["channel"], **default_potential, "synapse": [0.001, 0.002]},
    ]
