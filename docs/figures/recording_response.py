"""Response of a network to a recording of a digit."""

from networks import learner, recordings

import nengo_snnconv as snc


def draw():
    _, test = recordings()
    recording = snc.record(learner(), test[:1], n_steps=8)
    return snc.plot_image_response(recording, true_class=int(test.labels[0]))
