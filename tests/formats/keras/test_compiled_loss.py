"""The loss with which a Keras model was compiled tells what its outputs are, also in files."""

import warnings

import numpy as np
import pytest

import nengo_snnconv as snc
from nengo_snnconv.compat import tf
from nengo_snnconv.formats.keras import as_model
from nengo_snnconv.formats.keras.compiled_loss import with_compiled_loss

keras = tf.keras


def two_outputs():
    image = keras.Input((4, 4, 1), name="image")
    flat = keras.layers.Flatten()(image)
    outputs = {"kind": keras.layers.Dense(3)(flat), "price": keras.layers.Dense(2)(flat)}
    return keras.Model(image, outputs)


@pytest.mark.parametrize("suffix", [".keras", ".h5", None])
def test_models_and_files(tmp_path, suffix):
    model = keras.Sequential([keras.Input((4, 4, 1)), keras.layers.Flatten(), keras.layers.Dense(2)])
    assert "targets" not in as_model(model).metadata
    for loss, expected in (
        ("mse", "values"),
        (keras.losses.Huber(), "values"),
        (keras.losses.SparseCategoricalCrossentropy(from_logits=True), "classes"),
        (keras.losses.BinaryCrossentropy(from_logits=True), "labels"),
        (keras.losses.BinaryCrossentropy(), None),
        (lambda y, outputs: outputs, None),
    ):
        model.compile("sgd", loss)
        source = model
        if suffix is not None:
            if expected is None:
                continue
            source = tmp_path / f"model{suffix}"
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # Keras calls HDF5 legacy
                model.save(source)
        assert as_model(source).metadata.get("targets") == expected
    network = snc.convert(model)
    assert snc.evaluate(network, np.zeros((2, 4, 4, 1)), n_steps=1).head == "classes"


@pytest.mark.parametrize("n_outputs", [1, 3])
def test_a_sigmoid_in_the_loss(n_outputs):
    """As Keras' ``image_dataset_from_directory(label_mode="binary")``, with float labels."""
    x = np.random.default_rng(0).random((40, 4, 4, 1), dtype=np.float32)
    model = keras.Sequential([keras.Input((4, 4, 1)), keras.layers.Flatten(), keras.layers.Dense(n_outputs)])
    model.compile("sgd", keras.losses.BinaryCrossentropy(from_logits=True))
    y = (model.predict(x, verbose=0) > 0).astype(np.float32)
    network, expected = snc.convert(model), "binary" if n_outputs == 1 else "labels"
    for targets in (y, None):
        evaluation = snc.evaluate(network, x, targets, n_steps=1)
        assert evaluation.head == expected
        assert evaluation.score[-1] == 1
    trained = snc.train(snc.build_trainable(model), x, 1 - y, epochs=1, learning_rate=0.01)
    assert trained.history["loss"][0] > 0.69  # cross-entropy of wrong predictions
    model.compile("sgd", "mse")
    assert snc.evaluate(snc.convert(model), x, y, n_steps=1).head == ("values" if n_outputs == 1 else "labels")


def test_several_outputs():
    model = two_outputs()
    losses = {"kind": keras.losses.CategoricalCrossentropy(from_logits=True), "price": "mae"}
    model.compile("sgd", losses, loss_weights={"kind": 1, "price": 0.02})
    ports = snc.convert(model).model.outputs
    assert [(port.targets, port.loss_weight) for port in ports.values()] == [("classes", 1.0), ("values", 0.02)]
    x = np.random.default_rng(0).random((4, 4, 4, 1), dtype=np.float32)
    assert snc.evaluate(snc.convert(model), x, n_steps=1).heads["price"].head == "values"


def test_what_is_not_understood_is_ignored():
    model = as_model(two_outputs())
    for config in (None, 5, {}, {"loss": 5}, {"loss": {"kind": [1]}, "loss_weights": {"kind": "a", "price": -1}}):
        assert {port.targets for port in with_compiled_loss(model, config).outputs.values()} == {None}
        assert {port.loss_weight for port in with_compiled_loss(model, config).outputs.values()} == {None}
