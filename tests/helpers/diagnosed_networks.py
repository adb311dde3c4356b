"""Trained networks with deliberate faults, and their diagnoses."""

import functools

import numpy as np
from trained_models import half_digits, trained

import nengo_snnconv as snc
from nengo_snnconv.model import layers as specs
from nengo_snnconv.passes import find_units, rescale

N_STEPS = 32


@functools.cache
def normalised(architecture):
    """Return a trained and normalized network."""
    x_train, _, _, _ = half_digits()
    return snc.normalize(snc.convert(trained(architecture)), x_train[:1000])


def third(network):
    """Return the names of the third layer of neurons and of the weighted layer before it."""
    model = network.model
    neurons = [name for name, layer in model.layers.items() if isinstance(layer, specs.Rectifier)][2]
    weighted = [name for name, layer in model.layers.items() if isinstance(layer, specs.Conv)]
    order = list(model.layers)
    return neurons, max((w for w in weighted if order.index(w) < order.index(neurons)), key=order.index)


def with_scale(network, name, factor):
    """Return the network with the scale of a layer of neurons, and of all that share it, multiplied."""
    units = find_units(network.model)
    scales = np.ones(units.n_units)
    scales[np.unique(units.labels[name])] = factor
    return network.rebuild(rescale(network.model, units, scales))


def with_weights(network, name, factor):
    """Return the network with the weights and biases of a layer multiplied."""
    arrays = {key: factor * network.model.arrays[key] for key in network.model.array_names(name)}
    return network.rebuild(network.model.replace(arrays=arrays))


def diagnosed(network, n_steps=N_STEPS, n_images=100, **options):
    x_train, _, x, y = half_digits()
    options = {"x_calibration": x_train[:300], **options}
    return snc.diagnose(network, x[:n_images], y[:n_images], n_steps=n_steps, **options)


def accuracy_with(remedy, network, n_steps=N_STEPS):
    """Return the accuracy with the remedy."""
    x_train, _, x, y = half_digits()
    changed = remedy.apply(network, x_train[:300])
    return snc.evaluate(changed, x[:100], y[:100], **{"n_steps": n_steps, **remedy.options}).accuracy[-1]


def was_tried(diagnosis, words):
    """Return whether a change whose text or code contains some words was tried, and helps."""
    return any(words in remedy.text + remedy.code and remedy.helps for remedy in diagnosis.tried)


def assert_remedy_helps(diagnosis, n_steps=N_STEPS):
    """Assert that the remedy restores at least three quarters of the loss."""
    lost = diagnosis.ann_accuracy - diagnosis.accuracy
    assert lost > 0.01
    assert diagnosis.remedy.accuracy > diagnosis.accuracy + 0.75 * lost
    assert diagnosis.remedy.accuracy == accuracy_with(diagnosis.remedy, diagnosis.network, n_steps)


def first_cause(diagnosis):
    assert not diagnosis.healthy
    return diagnosis.findings[0].cause, diagnosis.findings[0].layer
