"""Training of several outputs: the losses are added, and the measures are means."""

import numpy as np
import pytest
from models import several_ports

import nengo_snnconv as snc
from nengo_snnconv.compat import tf
from nengo_snnconv.training.losses import as_loss
from nengo_snnconv.training.targets import as_targets, keras_measure, measure_name, measured, outputs_as_targets

MODEL, N = several_ports(), 20
rng = np.random.default_rng(0)
X = {"image": rng.random((N, 6, 6, 1), dtype=np.float32), "facts": rng.random((N, 3), dtype=np.float32)}
Y = {"kind": rng.integers(0, 4, N), "odd": rng.integers(0, 2, N), "size": rng.normal(size=(N, 2)).astype(np.float32)}
OUTPUTS = rng.normal(size=(N, 7)).astype(np.float32)
HEAD, TARGETS = as_targets(MODEL, N, Y)


def losses():
    """Loss of each output, computed by NumPy."""
    kind, odd, size = OUTPUTS[:, :4].astype(float), OUTPUTS[:, 4].astype(float), OUTPUTS[:, 5:].astype(float)
    own = kind[np.arange(N), Y["kind"]]
    entropy = (np.log(np.exp(kind).sum(axis=1)) - own).mean()
    binary = (np.log1p(np.exp(odd)) - Y["odd"] * odd).mean()
    return entropy, binary, np.square(size - Y["size"]).mean()


def test_targets_are_rows_of_all_outputs():
    np.testing.assert_array_equal(TARGETS[:, :4], np.eye(4)[Y["kind"]])
    np.testing.assert_array_equal(TARGETS[:, 4], Y["odd"])
    np.testing.assert_array_equal(TARGETS[:, 5:], Y["size"])
    rows = as_targets(MODEL, N, {**Y, "kind": np.eye(4)[Y["kind"]]})[1]
    np.testing.assert_array_equal(rows, TARGETS)
    with pytest.raises(snc.SettingsError, match="y must be a dict with the keys 'kind', 'odd', 'size'"):
        as_targets(MODEL, N, None)


def test_losses_are_added():
    entropy, binary, squared = losses()
    added = as_loss(None, True, head=HEAD)(tf.constant(TARGETS), tf.constant(OUTPUTS))
    assert float(added) == pytest.approx(entropy + binary + squared, rel=1e-5)
    given = {"kind": "sparse_categorical_crossentropy", "size": lambda y, outputs: 0 * outputs + 3.0}
    mixed = as_loss(given, True, head=HEAD)(tf.constant(TARGETS), tf.constant(OUTPUTS))
    assert float(mixed) == pytest.approx(entropy + binary + 3, rel=1e-5)
    for wrong in ("mse", {"sort": "mse"}):
        with pytest.raises(snc.SettingsError, match="a dict by output"):
            as_loss(wrong, True, head=HEAD)
    with pytest.raises(snc.SettingsError, match="for several outputs"):
        as_loss({"kind": "mse"}, True)


def test_accuracy_is_the_mean_of_those_that_decide():
    right = OUTPUTS[:, :4].argmax(axis=1) == Y["kind"], (OUTPUTS[:, 4] > 0) == Y["odd"]
    assert measure_name(HEAD) == "accuracy"
    assert measured(HEAD, OUTPUTS, TARGETS) == pytest.approx(np.mean(right))
    found = keras_measure(HEAD)(tf.constant(TARGETS), tf.constant(OUTPUTS))
    assert float(tf.reduce_mean(found)) == pytest.approx(np.mean(right), rel=1e-6)


def test_the_ann_as_teacher():
    targets = outputs_as_targets(HEAD, tf.constant(OUTPUTS)).numpy()
    odds = np.exp(OUTPUTS[:, :4])
    np.testing.assert_allclose(targets[:, :4], odds / odds.sum(axis=1, keepdims=True), atol=1e-6)
    np.testing.assert_allclose(targets[:, 4], 1 / (1 + np.exp(-OUTPUTS[:, 4])), atol=1e-6)
    np.testing.assert_array_equal(targets[:, 5:], OUTPUTS[:, 5:])


def test_train():
    network = snc.build_trainable(MODEL, snc.IntegrateAndFire())
    before = snc.rate_model(network)(network.join_inputs(X)).numpy()
    options = {"epochs": 1, "batch_size": N, "progress": False, "learning_rate": 1e-3}
    trained = snc.train(network, X, Y, **options)
    expected = float(as_loss(None, True, head=HEAD)(tf.constant(TARGETS), tf.constant(before)))
    assert trained.history["loss"] == [pytest.approx(expected, rel=1e-5)]
    assert trained.history["accuracy"] == [pytest.approx(measured(HEAD, before, TARGETS), rel=1e-5)]
    losses = trained.model.metadata["training"][-1]["loss"]
    assert losses == {"kind": "categorical_crossentropy", "odd": "binary_crossentropy", "size": "mean_squared_error"}
    assert list(snc.convert(trained).model.outputs) == ["kind", "odd", "size"]
