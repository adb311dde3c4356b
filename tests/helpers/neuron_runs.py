"""Runs of neuron types on Nengo and NengoDL with inputs whose sums are exact."""

import nengo
import numpy as np

from nengo_snnconv.compat import nengo_dl
from nengo_snnconv.neurons.integrate_and_fire import IntegrateAndFire

DT = 0.001


def dyadic(rng, *shape, low=-256, high=512):
    """Return random multiples of 1/256, whose sums are exact in float32."""
    return rng.integers(low, high, shape) / 256


def run_both(neuron_type, current):
    """Run neurons on Nengo and on NengoDL.

    Parameters
    ----------
    neuron_type : nengo.neurons.NeuronType
    current : ndarray, (steps, neurons)

    Returns
    -------
    list of list of ndarray, (steps, neurons)
        For each of both, the output and, for IntegrateAndFire, the membrane potential.
    """
    n_steps, size = current.shape
    with nengo.Network(seed=0) as network:
        source = nengo.Node(nengo.processes.PresentInput(current, DT))
        ensemble = nengo.Ensemble(size, 1, neuron_type=neuron_type, gain=np.ones(size), bias=np.zeros(size))
        nengo.Connection(source, ensemble.neurons, synapse=None)
        probes = [nengo.Probe(ensemble.neurons)]
        if isinstance(neuron_type, IntegrateAndFire):
            probes.append(nengo.Probe(ensemble.neurons, "voltage"))
    results = []
    with nengo.Simulator(network, dt=DT, progress_bar=False) as simulator:
        simulator.run_steps(n_steps)
        results.append([simulator.data[probe] for probe in probes])
    with nengo_dl.Simulator(network, dt=DT, progress_bar=False) as simulator:
        simulator.run_steps(n_steps)
        results.append([simulator.data[probe] for probe in probes])
    return results


def argument_of(error):
    """Return the name of the argument that an error of this package or of Nengo is about."""
    return error.attr if isinstance(error, nengo.exceptions.ValidationError) else error.argument
