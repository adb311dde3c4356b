"""One digit on its way through a converted network."""

from networks import digits, normalized

import nengo_snnconv as snc


def draw():
    data = digits()
    spiking = snc.to_spiking(normalized(), input_coding="poisson")
    recording = snc.record(spiking, data.x_test[:1], n_steps=30, potentials=True)
    return snc.plot_life(recording, true_class=int(data.y_test[0]))
