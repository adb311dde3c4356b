"""Frames of a simulated recording of a digit."""

import nengo_snnconv as snc


def draw():
    data = snc.load_dataset("digits", train=1, test=1)
    recordings = snc.simulate_recordings(data.x_test, data.y_test, seed=1)
    return snc.plot_event_frames(recordings.frames(8)[0])
