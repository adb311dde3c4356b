"""Random events."""

import numpy as np

from nengo_snnconv import events as ev


def random_events(rng, n, shape=(34, 34), duration_us=300_000):
    events = np.zeros(n, ev.EVENT)
    events["x"], events["y"] = rng.integers(0, shape[1], n), rng.integers(0, shape[0], n)
    events["polarity"] = rng.random(n) < 0.5
    events["t"] = np.sort(rng.integers(1000, 1000 + duration_us, n))
    return events


def event(x, y, t, polarity=True):
    return np.array([(x, y, polarity, t)], ev.EVENT)
