"""Response of a network of LIF neurons to a digit."""

from networks import digits, rates

import nengo_snnconv as snc


def draw():
    data = digits()
    recording = snc.record(rates(), data.x_test[:1], n_steps=30)
    return snc.plot_image_response(recording, true_class=int(data.y_test[0]))
