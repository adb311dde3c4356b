"""Response of LIF neurons: firing rate, slope, and fit to the rectifier."""

import matplotlib.pyplot as plt
import nengo
import numpy as np

from nengo_snnconv.neurons.response import match_rectifier


def draw():
    lif, currents = nengo.LIF(), np.linspace(0.5, 4, 1001)
    rates = lif.rates(currents, gain=[1], bias=[0])[:, 0]
    match = match_rectifier(nengo.LIF(min_voltage=-5))
    activations = np.linspace(-0.5, 1, 301)
    fitted = match.neuron_type.rates(activations, [match.gain], [match.bias])[:, 0]

    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(10, 3.2), layout="tight")
    left.plot(currents, rates)
    left.set(xlabel="current", ylabel="Hz", title="Firing rate")
    middle.semilogy(currents[:-1], np.diff(rates) / np.diff(currents))
    middle.set(xlabel="current", ylabel="Hz per unit of current", title="Slope of the firing rate")
    right.plot(activations, np.maximum(activations, 0), color="gray", lw=1, label="rectifier")
    right.plot(activations, fitted, label=f"nengo.LIF, deviation up to {match.deviation:.3f}")
    right.set(xlabel="activation", ylabel="mean output", title="Fitted by to_spiking")
    right.legend(fontsize=8)
    for ax in (left, middle, right):
        ax.spines[["top", "right"]].set_visible(False)
    plt.close(figure)
    return figure
