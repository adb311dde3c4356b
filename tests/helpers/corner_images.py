"""A small training problem: images of four classes, and its training."""

import nengo
import numpy as np
from models import small_cnn

import nengo_snnconv as snc

LIF = nengo.LIF(amplitude=0.01)


def corner_images(rng):
    """Return 120 images and their classes; the class is the bright corner."""
    y = rng.integers(0, 4, 120)
    x = rng.random((120, 6, 6, 2), dtype=np.float32) * 0.2
    for image, label in zip(x, y, strict=True):
        image[3 * (label // 2) :, 3 * (label % 2) :][:3, :3] += 0.8
    return x, y


def train(problem, model=None, **options):
    """Return a network of LIF neurons, trained for three epochs unless ``options`` say otherwise."""
    network = snc.build_trainable(small_cnn() if model is None else model, LIF)
    settings = {"epochs": 3, "batch_size": 20, "learning_rate": 0.01} | options
    return snc.train(network, *problem, **settings)


def same(first, second):
    """Return whether two networks have equal arrays up to rounding, since threads may change the order of sums."""
    return all(np.allclose(a, second.model.arrays[name], 1e-4, 1e-5) for name, a in first.model.arrays.items())
