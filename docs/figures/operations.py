"""Operations of an ANN and of spikes in each layer."""

from networks import digits, first_spikes

import nengo_snnconv as snc


def draw():
    network, data = first_spikes(), digits()
    evaluation = snc.evaluate(network, data.x_test, data.y_test)
    return snc.plot_operations(snc.efficiency(network, evaluation))
