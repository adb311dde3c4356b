"""Small networks for the figures, each trained once for a few seconds."""

import functools

import nengo

import nengo_snnconv as snc

IMAGES, EPOCHS = 3000, 3


@functools.cache
def digits():
    """Return training images from the digits of the package, and 300 test images."""
    return snc.load_dataset("digits", train=IMAGES, test=300)


def _trained(network, x, y, **options):
    settings = {"epochs": EPOCHS, "batch_size": 50, "learning_rate": 3e-3, "schedule": "cosine"}
    return snc.train(network, x, y, **{**settings, **options})


@functools.cache
def rates():
    """Return lif-mnist, trained on the firing rates of its LIF neurons."""
    network = snc.build_trainable(snc.preset("lif-mnist"), nengo.LIF(amplitude=0.0025, min_voltage=-5), synapse=0.002)
    return _trained(network, digits().x_train, digits().y_train)


@functools.cache
def ann(preset="diehl-mnist"):
    """Return a trained CNN with rectifiers."""
    network = snc.build_trainable(snc.preset(preset), nengo.RectifiedLinear())
    return _trained(network, digits().x_train, digits().y_train)


@functools.cache
def normalized():
    """Return diehl-mnist, converted and normalized."""
    return snc.normalize(snc.convert(ann()), digits().x_train[:500])


@functools.cache
def first_spikes(n_steps=16):
    """Return ttfs-mnist with time to first spike."""
    return snc.to_ttfs(snc.convert(ann("ttfs-mnist")), digits().x_train[:500], n_steps=n_steps)


@functools.cache
def recordings():
    """Return simulated recordings of digits, (train, test)."""
    data, n = digits(), min(600, IMAGES)
    train = snc.simulate_recordings(data.x_train[:n], data.y_train[:n])
    return train, snc.simulate_recordings(data.x_test[:20], data.y_test[:20], seed=1)


@functools.cache
def learner():
    """Return surrogate-nmnist, trained through time on recordings."""
    network = snc.build_trainable(snc.preset("surrogate-nmnist", (34, 34, 2)), snc.SurrogateLIF(), output_neurons=True)
    train, _ = recordings()
    return _trained(network, train, train.labels, n_steps=8, epochs=2 * EPOCHS)
