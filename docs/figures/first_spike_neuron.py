"""Two stages of TimeToFirstSpike neurons with different activations."""

import matplotlib.pyplot as plt
import nengo
import numpy as np

import nengo_snnconv as snc

STEPS, ACTIVATIONS = 16, (0.9, 0.5, 0.2, -0.3)


def draw():
    size = len(ACTIVATIONS)
    neuron_type = snc.TimeToFirstSpike(n_steps=STEPS, offset=0.5)
    with nengo.Network() as network:
        neurons = nengo.Ensemble(size, 1, neuron_type=neuron_type, gain=np.ones(size), bias=np.zeros(size)).neurons
        # one spike in the first step, of the largest value that there is, through weights that are the activations
        first = nengo.Node(lambda t: np.array(ACTIVATIONS) * (t < 0.0015))
        nengo.Connection(first, neurons, synapse=None)
        spikes, potentials = nengo.Probe(neurons), nengo.Probe(neurons, "voltage")
    with nengo.Simulator(network, progress_bar=False) as simulator:
        simulator.run_steps(2 * STEPS, progress_bar=False)

    figure, ax = plt.subplots(figsize=(8, 3.8), layout="tight")
    steps = np.arange(1, 2 * STEPS + 1)
    for i, activation in enumerate(ACTIVATIONS):
        (line,) = ax.plot(
            steps, simulator.data[potentials][:, i] / STEPS, ".-", lw=1, label=f"activation {activation:g}"
        )
        for step in steps[simulator.data[spikes][:, i] > 0]:
            ax.axvline(step, color=line.get_color(), lw=2, ymax=0.12)
    ax.axvline(STEPS + 0.5, color="gray", lw=0.8)
    ax.text(STEPS / 2, 1.12, "silent stage", ha="center")
    ax.text(1.5 * STEPS, 1.12, "spiking stage", ha="center")
    ax.axhline(1, color="black", lw=0.8, ls=":")
    ax.set(xlabel="step", ylabel="membrane potential / threshold", ylim=(-0.5, 1.25))
    ax.legend(fontsize=8, loc="lower right")
    ax.spines[["top", "right"]].set_visible(False)
    plt.close(figure)
    return figure
