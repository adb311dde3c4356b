"""Training of networks with other heads than classes: default losses, measures, engines, and the ANN as teacher."""

import nengo
import numpy as np
import pytest
from models import make

import nengo_snnconv as snc
from nengo_snnconv.model import layers as specs

N = 40
RNG = np.random.default_rng(0)
X = RNG.random((N, 4, 4, 1), dtype=np.float32)
SUMS = X.sum(axis=(1, 2, 3))
TARGETS = {
    "binary": (SUMS > 8).astype(int),
    "labels": np.stack([SUMS > 8, X[:, 0, 0, 0] > 0.5, X[:, 1, 1, 0] > 0.5], axis=1),
    "regression": np.stack([SUMS, X[:, 0, 0, 0]], axis=1),
    "image": X,
}


def model(head):
    layers = [
        specs.Input("image", shape=(4, 4, 1)),
        specs.Conv("conv", "image", filters=4, kernel_size=(3, 3), padding="same"),
        specs.Rectifier("neurons", "conv"),
    ]
    if head == "image":
        layers.append(specs.Conv("out", "neurons", filters=1, kernel_size=(3, 3), padding="same"))
    else:
        units = {"binary": 1, "labels": 3, "regression": 2}[head]
        layers += [specs.Flatten("flat", "neurons"), specs.Dense("out", "flat", units=units)]
    found = make(*layers, seed=2)
    return found if head == "regression" else found.replace(metadata={"head": "sigmoid"})


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def expected(head, network):
    """Return the default loss of a network, and its accuracy or error, by hand."""
    outputs = np.asarray(snc.rate_model(network)(X), np.float64).reshape(N, -1)
    y = TARGETS[head].reshape(N, -1)
    if head in ("binary", "labels"):
        p = sigmoid(outputs)
        return -np.mean(y * np.log(p) + (1 - y) * np.log(1 - p)), np.mean((outputs > 0) == y)
    values = sigmoid(outputs) if head == "image" else outputs
    return np.mean((values - y) ** 2), np.abs(values - y).mean()


@pytest.mark.parametrize(
    ("head", "engine"), [*((head, "keras") for head in TARGETS), ("labels", "nengo_dl"), ("regression", "nengo_dl")]
)
def test_loss_and_measure(head, engine):
    network = snc.build_trainable(model(head), nengo.RectifiedLinear())
    run = {"epochs": 1, "batch_size": N, "learning_rate": 1e-9, "engine": engine, "progress": False}
    trained = snc.train(network, X, TARGETS[head], validation_data=(X, TARGETS[head]), **run)
    loss, measure = expected(head, network)
    name = "accuracy" if head in ("binary", "labels") else "error"
    history = trained.history
    assert history["loss"] == pytest.approx([loss], rel=1e-4)
    assert history["val_loss"] == pytest.approx([loss], rel=1e-4)
    assert history[name] == pytest.approx([measure], rel=1e-4)
    assert history[f"val_{name}"] == pytest.approx([measure], rel=1e-4)
    snc.plot_history(history)


@pytest.mark.parametrize("head", ["labels", "image"])
def test_training_improves_the_measure(head):
    network = snc.build_trainable(model(head), nengo.RectifiedLinear())
    trained = snc.train(network, X, TARGETS[head], epochs=20, batch_size=20, learning_rate=0.02, progress=False)
    before, after = (
        snc.evaluate(each, X, TARGETS[head], n_steps=1, synapse=None).score[-1] for each in (network, trained)
    )
    assert after > before


@pytest.mark.parametrize(
    ("head", "taught"),
    [("binary", True), ("regression", False)],
)
def test_training_on_spikes(head, taught):
    """The ANN teaches its outputs: probabilities, or values."""
    network = snc.to_spiking(snc.normalize(snc.convert(model(head)), X), snc.SignedIntegrateAndFire())
    y = None if taught else TARGETS[head]
    run = {"n_steps": 3, "batch_size": 20, "progress": False}
    trained = snc.train(network, X, y, epochs=10, learning_rate=0.003, **run)
    assert trained.history["loss"][-1] < trained.history["loss"][0]
    assert ("accuracy" in trained.history) == (head in ("binary", "labels"))
    assert np.isfinite(snc.evaluate(trained, X, y, n_steps=3).score).all()


def test_probabilities_are_targets_of_classes():
    """As before, rows that add up to 1 are class probabilities, and others are values."""
    network = snc.build_trainable(model("regression"), nengo.RectifiedLinear())
    run = {"epochs": 1, "batch_size": N, "progress": False}
    rows = np.stack([X[:, 0, 0, 0], 1 - X[:, 0, 0, 0]], axis=1)
    assert "accuracy" in snc.train(network, X, rows, **run).history
    assert "error" in snc.train(network, X, 2 * rows, **run).history


def test_validation_data_of_another_kind():
    network = snc.build_trainable(model("regression"), nengo.RectifiedLinear())
    with pytest.raises(snc.SettingsError, match="validation_data must have targets like .* values; got classes"):
        snc.train(network, X, TARGETS["regression"], validation_data=(X, TARGETS["binary"]))
