"""Builders of NengoDL: parameters of merged ensembles, and copies of neuron types."""

import nengo
import numpy as np
import pytest
from neuron_runs import DT, dyadic, run_both

import nengo_snnconv as snc
from nengo_snnconv.compat import nengo_dl
from nengo_snnconv.neurons.arguments import arguments_of, replaced
from nengo_snnconv.neurons.max_gate import MaxGate
from nengo_snnconv.neurons.poisson_input import PoissonInput


@pytest.mark.parametrize(
    "neuron_types",
    [
        [snc.IntegrateAndFire(), snc.IntegrateAndFire(threshold=0.5, reset="zero", tau=0.002)],
        [MaxGate(2), MaxGate(5), MaxGate(5, cumulative=False)],
        [PoissonInput(seed=1), PoissonInput(threshold=0.5, seed=2)],
    ],
    ids=lambda types: type(types[0]).__name__,
)
def test_merged_ensembles_keep_their_parameters(neuron_types, rng):
    current = dyadic(rng, 30, 20)
    with nengo.Network(seed=0) as network:
        source = nengo.Node(nengo.processes.PresentInput(current, DT))
        probes = []
        for neuron_type in neuron_types:
            options = {"neuron_type": neuron_type, "gain": np.ones(20), "bias": np.zeros(20)}
            ensemble = nengo.Ensemble(20, 1, **options)
            nengo.Connection(source, ensemble.neurons, synapse=None)
            probes.append(nengo.Probe(ensemble.neurons))
    with nengo_dl.Simulator(network, dt=DT, progress_bar=False) as simulator:
        simulator.run_steps(30)
        for neuron_type, probe in zip(neuron_types, probes, strict=True):
            assert np.array_equal(simulator.data[probe], run_both(neuron_type, current)[0][0])


def test_arguments_make_an_equal_object():
    for neuron_type in (snc.IntegrateAndFire(threshold=2, max_spikes=3), nengo.LIF(tau_rc=0.03), MaxGate(4)):
        assert type(neuron_type)(**arguments_of(neuron_type)) == neuron_type
    assert replaced(nengo.LIF(tau_rc=0.03), amplitude=2.0) == nengo.LIF(tau_rc=0.03, amplitude=2.0)
