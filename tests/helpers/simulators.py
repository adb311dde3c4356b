"""Helpers for tests of the fast simulator: the same network run by nengo, by nengo_dl and by the fast simulator."""

import warnings

import nengo
import numpy as np
from hypothesis import Phase, settings
from models import make

import nengo_snnconv as snc
from nengo_snnconv.compat import nengo_dl
from nengo_snnconv.model import layers as specs
from nengo_snnconv.networks.nengo_objects import direct_neurons
from nengo_snnconv.neurons.max_gate import MaxGate
from nengo_snnconv.neurons.poisson_input import PoissonInput
from nengo_snnconv.neurons.staged_integrate_and_fire import StagedIntegrateAndFire, StagedReadout, StageGate
from nengo_snnconv.neurons.time_to_first_spike import (
    ConstantInput,
    FirstSpikeInput,
    FirstSpikeReadout,
    TimeToFirstSpike,
)
from nengo_snnconv.simulator import Simulator

# a power of two, so that the heights of spikes and products with currents are exact
DT = 2.0**-10
# relative error: nengo computes in double precision, float32 has 24 bits
ROUNDING = 2.0**-20

# filters with factors that are powers of two, so that they are exact for some steps
LOWPASS = nengo.LinearFilter([0.5], [1, -0.5], analog=False)
SECOND_ORDER = nengo.LinearFilter([0.25, 0], [1, -0.5, 0.25], analog=False)
FED_THROUGH = nengo.LinearFilter([0.5, 0.25], [1, -0.5], analog=False)
FACTOR = nengo.LinearFilter([2], [1], analog=False)

NEURONS = [
    snc.IntegrateAndFire(amplitude=DT, tau=DT),
    snc.IntegrateAndFire(amplitude=DT, tau=2 * DT, threshold=0.75, reset="zero"),
    snc.IntegrateAndFire(amplitude=DT, tau=DT, threshold=0.5, max_spikes=3, min_potential=-0.25),
    snc.IntegrateAndFire(amplitude=DT / 2, tau=DT, initial_potential=0, max_spikes=np.inf),
    nengo.SpikingRectifiedLinear(amplitude=2 * DT),
    snc.SurrogateLIF(amplitude=DT),
    snc.SurrogateLIF(amplitude=DT, tau=4, threshold=0.5, reset="subtract", reset_potential=-0.25),
    nengo.RectifiedLinear(amplitude=0.5),
    MaxGate(1),
    MaxGate(2, cumulative=False),
    MaxGate(3),
    PoissonInput(threshold=2, seed=5),
    FirstSpikeInput(n_steps=4, stage=1, x_max=2, signed=True, amplitude=DT),
    ConstantInput(n_steps=4, stage=1, amplitude=DT),
    TimeToFirstSpike(n_steps=2, stage=1, threshold=0.5, amplitude=DT),
    FirstSpikeReadout(n_steps=4, stage=1, amplitude=DT),
    StageGate(n_steps=3, stage=1, amplitude=DT),
    StagedIntegrateAndFire(n_steps=2, stage=0, n_stages=2, initial_potential=0.25, amplitude=DT),
    StagedReadout(n_steps=4, stage=1, amplitude=DT),
]


def dyadic(rng, *shape):
    """Return random multiples of 1/4 from -1 to 1."""
    return rng.integers(-4, 5, shape) / 4


def neurons_of(neuron_type, size, gain=1.0, bias=0.0):
    """Create neurons; Nengo's types get the gain at which an input of 1 causes a spike in each step of DT."""
    if isinstance(neuron_type, nengo.SpikingRectifiedLinear):
        gain, bias = gain / DT, bias / DT
    return direct_neurons(neuron_type, size, "neurons", gain, bias)


def _n_items(data):
    return len(next(iter(data.values()))) if data else 1


def run_fast(network, n_steps, data=None, dt=0.001, **options):
    """Return the samples of each probe in the fast simulator, (items, samples, size)."""
    with Simulator(network, dt=dt, minibatch_size=_n_items(data), progress_bar=False, **options) as simulator:
        simulator.run_steps(n_steps, data=data)
        return dict(simulator.data)


def run_nengo(network, n_steps, data=None, dt=0.001):
    """Return the samples of each probe in nengo, which runs item by item."""
    data = data or {}
    items = [
        {node: values[k].reshape(-1, node.size_out) for node, values in data.items()} for k in range(_n_items(data))
    ]
    current = dict(items[0])
    for node in data:
        node.output = lambda t, node=node: current[node][min(round(t / dt), len(current[node])) - 1]
    # with nengo's optimizer, results differ occasionally if views of signals are filtered
    model = nengo.builder.Model(dt=dt)
    samples = {probe: [] for probe in network.all_probes}
    with nengo.Simulator(network, dt=dt, model=model, progress_bar=False, optimize=False) as simulator:
        for number, item in enumerate(items):
            simulator.reset()
            current.update(item)
            for ensemble in network.all_ensembles:
                if isinstance(ensemble.neuron_type, PoissonInput):
                    simulator.signals[model.sig[ensemble.neurons]["item"]][...] = number
            simulator.run_steps(n_steps)
            for probe, values in samples.items():
                values.append(simulator.data[probe].copy())
    for node in data:
        node.output = np.zeros(node.size_out)
    return {probe: np.reshape(values, (len(items), -1, probe.size_in)) for probe, values in samples.items()}


def run_nengo_dl(network, n_steps, data, dt=0.001):
    """Return the samples of each probe in nengo_dl."""
    steps = {node: values.reshape(_n_items(data), -1, node.size_out) for node, values in data.items()}
    steps = {node: np.repeat(values, n_steps // values.shape[1], axis=1) for node, values in steps.items()}
    with nengo_dl.Simulator(network, dt=dt, minibatch_size=_n_items(data), progress_bar=False) as simulator:
        simulator.run_steps(n_steps, data=steps)
        return {probe: simulator.data[probe] for probe in network.all_probes}


def assert_equal(seen, expected, rtol=0.0):
    """Check that outputs differ by at most ``rtol`` times the largest value, and all other samples by rounding only."""
    assert seen.keys() == expected.keys()
    for probe, values in seen.items():
        other, name = expected[probe], f"{probe.attr} of {probe.obj}, filtered by {probe.synapse}"
        assert values.shape == other.shape, name
        exact = probe.attr in ("output", "input") and not getattr(probe.synapse, "analog", False)
        tolerance = rtol if exact else max(rtol, ROUNDING)
        largest = np.abs(other).max(initial=1.0)
        np.testing.assert_allclose(values, other, rtol=0, atol=tolerance * largest, err_msg=name)


def probed(network):
    """Add probes to all layers of a network."""
    with network:
        for obj in set(network.layers.values()):
            nengo.Probe(obj)
    return network


def spiking_network(model, *arguments, **options):
    """Convert a model to a spiking network without normalization, and without the warning about it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return snc.to_spiking(snc.convert(model), *arguments, **options)


def rounded(model):
    """Round the arrays of a model to small multiples of 1/16, so that sums of spikes are exact."""
    return model.replace(arrays={name: np.round(8 * array) / 16 for name, array in model.arrays.items()})


def random_images(model, rng, n_items=3, n_steps=None):
    shape = (n_items, *model.shapes[model.input]) if n_steps is None else (n_items, n_steps, model.size(model.input))
    return (rng.integers(-8, 17, shape) / 16).astype(np.float32)


GRAPHS = settings(max_examples=20, deadline=None, derandomize=True, phases=[Phase.generate])


def keras_like():
    """Make a model with layers that only trainable networks have: dropout, and maxima of single steps."""
    return rounded(
        make(
            specs.Input("image", shape=(6, 6, 2)),
            specs.Conv("a", "image", filters=4, kernel_size=(3, 3), padding="same"),
            specs.Rectifier("a_neurons", "a"),
            specs.Dropout("dropped", "a_neurons", rate=0.5),
            specs.Conv("b", "a_neurons", filters=4, kernel_size=(3, 3), padding="same", groups=2),
            specs.Rectifier("b_neurons", "b"),
            specs.Add("sum", ("dropped", "b_neurons")),
            specs.Concatenate("both", ("sum", "a_neurons")),
            specs.MaxPool("max", "both", pool_size=(2, 2)),
            specs.AveragePool("mean", "max", pool_size=(1, 1)),
            specs.Flatten("flat", "mean"),
            specs.Affine("moved", "flat"),
            specs.Dense("scores", "moved", units=3),
        )
    )


def two_nodes(**options):
    """Return a network of two nodes, connected with these options."""
    with nengo.Network() as network:
        nodes = nengo.Node([1.0, 2.0], label="one"), nengo.Node(size_in=2, label="two")
        nengo.Connection(*nodes, label="link", **{"synapse": None, **options})
        nengo.Probe(nodes[1])
    return network
