"""Accuracy of a network trained on rates, after each step with spikes."""

from networks import digits, rates

import nengo_snnconv as snc


def draw():
    data = digits()
    return snc.plot_accuracy(snc.evaluate(rates(), data.x_test, data.y_test, n_steps=30))
