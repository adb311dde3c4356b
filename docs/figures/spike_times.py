"""Spike times of each layer in a network with time to first spike."""

from networks import digits, first_spikes

import nengo_snnconv as snc


def draw():
    network, data = first_spikes(), digits()
    return snc.plot_spike_times(network, snc.evaluate(network, data.x_test, data.y_test))
