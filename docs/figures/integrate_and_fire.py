"""Kinds of reset: membrane potentials, and spikes per step against the current."""

import matplotlib.pyplot as plt
import nengo
import numpy as np

import nengo_snnconv as snc

NEURONS = {
    "reset by subtraction, start at 1/2": snc.IntegrateAndFire(),
    "reset by subtraction, start at 0": snc.IntegrateAndFire(initial_potential=0),
    "reset to zero, start at 0": snc.IntegrateAndFire(reset="zero", initial_potential=0),
}


def run(neuron_type, currents, n_steps):
    """Return spikes and membrane potentials, each (steps, currents)."""
    size = len(currents)
    with nengo.Network() as network:
        neurons = nengo.Ensemble(size, 1, neuron_type=neuron_type, gain=np.ones(size), bias=np.zeros(size)).neurons
        nengo.Connection(nengo.Node(currents), neurons, synapse=None)
        probes = nengo.Probe(neurons), nengo.Probe(neurons, "voltage")
    with nengo.Simulator(network, progress_bar=False) as simulator:
        simulator.run_steps(n_steps, progress_bar=False)
    return [simulator.data[probe] for probe in probes]


def draw():
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.6), layout="tight")
    steps, currents = np.arange(1, 21), np.linspace(-0.2, 1.3, 301)
    for (name, neuron_type), style in zip(NEURONS.items(), ("-", "--", "-."), strict=True):
        spikes, potentials = run(neuron_type, [0.4], len(steps))
        left.plot(steps, potentials[:, 0], style, label=f"{name}: {spikes.sum():.0f} spikes")
        counts, _ = run(neuron_type, currents, 8)
        right.plot(currents, counts.mean(axis=0), style, label=name)
    left.axhline(1, color="black", lw=0.8, ls=":")
    left.set(xlabel="step", ylabel="potential at the end of a step", title="Current of 0.4", ylim=(-0.05, 1.6))
    left.legend(fontsize=8)
    right.plot(currents, np.clip(currents, 0, 1), color="gray", lw=1, label="rectifier, clipped at 1")
    right.set(xlabel="current", ylabel="spikes per step (8 steps)", title="All currents")
    right.legend(fontsize=8)
    for ax in (left, right):
        ax.spines[["top", "right"]].set_visible(False)
    plt.close(figure)
    return figure
