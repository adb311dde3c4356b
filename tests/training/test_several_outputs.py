"""Training of several outputs: the losses are added, and the measures are means."""

import numpy as np
import pytest
from models import several_ports

import nengo_snnconv as snc
from nengo_snnconv.compat import tf
from nengo_snnconv.training.losses import as_loss, loss_weights
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
    weights = {"size": 1 / Y["size"].var(axis=0).mean()}
    loss = as_loss(None, True, head=HEAD, weights=weights)
    expected = float(loss(tf.constant(TARGETS), tf.constant(before)))
    assert sum(trained.history[f"{name}_loss"][0] for name in Y) == pytest.approx(expected, rel=1e-5)
    assert trained.history["loss"] == [pytest.approx(expected, rel=1e-5)]
    assert trained.history["accuracy"] == [pytest.approx(measured(HEAD, before, TARGETS), rel=1e-5)]
    losses = trained.model.metadata["training"][-1]["loss"]
    assert losses == {"kind": "categorical_crossentropy", "odd": "binary_crossentropy", "size": "mean_squared_error"}
    assert list(snc.convert(trained).model.outputs) == ["kind", "odd", "size"]


def test_loss_weights():
    network = snc.build_trainable(MODEL, snc.IntegrateAndFire())
    run = {"epochs": 1, "batch_size": N, "progress": False, "learning_rate": 1e-9}
    kind, odd, size = (float(value) for value in losses_of(network))
    trained = snc.train(network, X, Y, loss_weights={"odd": 3}, **run)
    expected = kind + 3 * odd + size / Y["size"].var(axis=0).mean()
    assert trained.history["loss"] == [pytest.approx(expected, rel=1e-5)]
    assert trained.history["odd_loss"] == [pytest.approx(3 * odd, rel=1e-5)]
    assert loss_weights([1, 2, 0], None, MODEL, HEAD, None) == {"kind": 1, "odd": 2, "size": 0}
    assert trained.model.metadata["training"][-1]["loss_weights"]["odd"] == 3
    for weights, message in (
        ({"sort": 1}, "loss_weights has 'sort', but the outputs are 'kind', 'odd', 'size'"),
        ([1, 2], "must hold 3 numbers"),
        ({"kind": -1}, "must be a dict by output"),
        ([0, 0, 0], "not all 0"),
    ):
        with pytest.raises(snc.SettingsError, match=message) as caught:
            snc.train(network, X, Y, loss_weights=weights)
        assert caught.value.argument == "loss_weights"


def losses_of(network):
    """Loss of each output of a network, without weights."""
    outputs, targets = tf.constant(snc.rate_model(network)(network.join_inputs(X)).numpy()), tf.constant(TARGETS)
    for name in Y:
        yield as_loss(None, True, head=HEAD, weights={other: float(other == name) for other in Y})(targets, outputs)


def test_weights_of_the_keras_model_and_of_the_ann():
    declared = [{**port, "loss_weight": 0.25} for port in MODEL.metadata["outputs"]]
    model = MODEL.replace(metadata={**MODEL.metadata, "outputs": declared})
    size = TARGETS[:, HEAD.entries["size"]]
    assert loss_weights({"odd": 2}, None, model, HEAD, None) == {"kind": 0.25, "odd": 2, "size": 0.25}
    found = loss_weights(None, None, MODEL, HEAD, {"size": size}.get)
    assert found == {"kind": 1, "odd": 1, "size": pytest.approx(1 / size.var(axis=0).mean())}
    assert loss_weights(None, {"size": "mae"}, MODEL, HEAD, None)["size"] == 1
    declared = [{**port, "targets": "values"} for port in MODEL.metadata["outputs"]]
    model = MODEL.replace(metadata={**MODEL.metadata, "outputs": declared})
    snn = snc.to_spiking(snc.normalize(snc.convert(model), X))
    taught = snc.train(snn, X, n_steps=2, epochs=1, batch_size=N, progress=False)
    ann = snc.evaluate(snn, X, n_steps=1).ann_predictions["size"]
    weights = taught.model.metadata["training"][-1]["loss_weights"]
    assert weights["size"] == pytest.approx(1 / ann.var(axis=0).mean(), rel=1e-4)
