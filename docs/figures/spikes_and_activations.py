"""Spikes of three neurons with a constant current, and spikes per step as estimates of it."""

import matplotlib.pyplot as plt
import nengo
import numpy as np

import nengo_snnconv as snc

ACTIVATIONS, STEPS = (0.83, 0.4, 0.12), 30


def draw():
    with nengo.Network() as network:
        neurons = nengo.Ensemble(3, 1, neuron_type=snc.IntegrateAndFire(), gain=np.ones(3), bias=np.zeros(3)).neurons
        nengo.Connection(nengo.Node(ACTIVATIONS), neurons, synapse=None)
        probe = nengo.Probe(neurons)
    with nengo.Simulator(network, progress_bar=False) as simulator:
        simulator.run_steps(STEPS, progress_bar=False)
    spikes = simulator.data[probe]  # 1 where a neuron spikes: the height is amplitude / dt
    steps = np.arange(1, STEPS + 1)

    figure, (above, below) = plt.subplots(2, 1, figsize=(7, 4.2), sharex=True, height_ratios=(1, 2.4), layout="tight")
    for i, (activation, colour) in enumerate(zip(ACTIVATIONS, ("C0", "C1", "C2"), strict=True)):
        above.eventplot(steps[spikes[:, i] > 0], lineoffsets=-i, linelengths=0.7, colors=colour)
        below.step(steps, np.cumsum(spikes[:, i]) / steps, where="mid", color=colour)
        below.axhline(activation, color=colour, ls=":", lw=1)
        below.fill_between(steps, activation - 0.5 / steps, activation + 0.5 / steps, color=colour, alpha=0.12, lw=0)
        below.text(STEPS + 0.6, activation, f"{activation:g}", color=colour, va="center")
    above.set(yticks=[], title="spikes")
    below.set(ylim=(0, 1.05), xlim=(0.5, STEPS + 0.5), xlabel="step (1 ms)", ylabel="spikes per step so far")
    for ax in (above, below):
        ax.spines[["top", "right"]].set_visible(False)
    plt.close(figure)
    return figure
