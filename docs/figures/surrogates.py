"""Membrane potentials of SurrogateLIF neurons, and the surrogates for their step function."""

import matplotlib.pyplot as plt
import nengo
import numpy as np

import nengo_snnconv as snc
from nengo_snnconv.neurons.surrogates import SURROGATES


def draw():
    with nengo.Network() as network:
        neurons = nengo.Ensemble(2, 1, neuron_type=snc.SurrogateLIF(), gain=np.ones(2), bias=np.zeros(2)).neurons
        nengo.Connection(nengo.Node([1.4, 0.9]), neurons, synapse=None)
        spikes, potentials = nengo.Probe(neurons), nengo.Probe(neurons, "voltage")
    with nengo.Simulator(network, progress_bar=False) as simulator:
        simulator.run_steps(16, progress_bar=False)

    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(10.5, 3.2), layout="tight")
    steps, x = np.arange(1, 17), np.linspace(-2, 2, 401, dtype=np.float32)
    for i, current in enumerate((1.4, 0.9)):
        (line,) = left.plot(steps, simulator.data[potentials][:, i], ".-", lw=1, label=f"current {current:g}")
        left.plot(
            steps[simulator.data[spikes][:, i] > 0],
            [1.08] * int(simulator.data[spikes][:, i].sum()),
            "|",
            color=line.get_color(),
            ms=9,
        )
    left.axhline(1, color="black", lw=0.8, ls=":")
    left.set(xlabel="step", title="Potential (spikes on top)", ylim=(-0.05, 1.2))
    left.legend(fontsize=8, loc="lower right")
    middle.step(x, x >= 0, color="black", lw=1, label="step function")
    for name, (function, derivative, slope) in SURROGATES.items():
        middle.plot(x, function(x, slope), label=name)
        right.plot(x, derivative(x, slope), label=name)
    middle.set(xlabel="potential - threshold", title="Step function and surrogates")
    middle.legend(fontsize=8)
    right.set(xlabel="potential - threshold", title="Derivatives")
    for ax in (left, middle, right):
        ax.spines[["top", "right"]].set_visible(False)
    plt.close(figure)
    return figure
