"""Networks that learn the outputs of a teacher."""

import nengo
import numpy as np
import pytest
from scipy.special import softmax

import nengo_snnconv as snc
from nengo_snnconv.compat import tf


def keras_model(activation=None, units=4):
    tf.keras.utils.set_random_seed(0)
    layers = tf.keras.layers
    return tf.keras.Sequential(
        [
            tf.keras.Input((6, 6, 2)),
            layers.Conv2D(6, 3, activation="relu"),
            layers.Flatten(),
            layers.Dense(units, activation=activation),
        ]
    )


@pytest.fixture(scope="module")
def trained_model(problem):
    model = keras_model("softmax")
    model.compile("adam", "sparse_categorical_crossentropy")
    model.fit(*problem, epochs=20, batch_size=20, verbose=0)
    return model


@pytest.fixture(scope="module")
def spiking(problem, trained_model):
    return snc.to_spiking(snc.normalize(snc.convert(trained_model), problem[0], method="balance", n_steps=2))


def train(network, x, **options):
    return snc.train(network, x, **{"epochs": 10, "batch_size": 20, "learning_rate": 0.005, **options})


def test_learns_from_a_teacher_that_is_not_its_ann(spiking, problem, trained_model):
    """The teacher calls each class by the number of the next one, and the network follows it."""
    x, y = problem
    trained = train(spiking, x, n_steps=2, epochs=25, teacher=lambda images: np.roll(trained_model(images), 1, axis=-1))
    assert snc.evaluate(spiking, x, (y + 1) % 4, n_steps=2).accuracy[-1] < 0.2
    assert snc.evaluate(trained, x, (y + 1) % 4, n_steps=2).accuracy[-1] > 0.8
    assert trained.history["accuracy"][-1] > 0.8  # the agreement with the teacher
    assert trained.model.metadata["training"][0]["targets"] == "teacher"


def test_its_own_ann_as_the_teacher(spiking, problem):
    ann = snc.rate_model(snc.convert(spiking.model))
    expected = train(spiking, problem[0], n_steps=2, epochs=1)
    found = train(spiking, problem[0], n_steps=2, epochs=1, teacher=lambda x: softmax(ann(x), axis=-1))
    for name, array in expected.model.arrays.items():
        assert np.allclose(found.model.arrays[name], array, atol=1e-5), name


@pytest.mark.parametrize("make", ["rates", "through time", "convert"])
def test_a_keras_model_teaches_networks_of_every_kind(make, problem, trained_model):
    x, y = problem
    network = {
        "rates": lambda: snc.build_trainable(keras_model(), nengo.RectifiedLinear()),
        "through time": lambda: snc.build_trainable(keras_model(), snc.SurrogateLIF()),
        "convert": lambda: snc.convert(keras_model()),
    }[make]()
    n_steps = 4 if make == "through time" else None
    trained = train(network, x, n_steps=n_steps, epochs=30, teacher=trained_model)
    assert trained.history["accuracy"][-1] > 0.8
    assert trained.history["loss"][-1] < trained.history["loss"][0]


def test_the_teacher_sees_augmented_images(spiking, problem):
    seen = []

    def teacher(images):
        seen.append(images)
        return np.full((len(images), 4), 0.25)

    train(spiking, problem[0], n_steps=2, epochs=1, teacher=teacher, augment=lambda images, rng: np.zeros_like(images))
    first, *others = seen  # the first two images as they are, to check the teacher
    assert len(first) == 2
    assert first.any()
    assert len(others) == len(problem[0]) // 20
    assert not any(images.any() for images in others)


def test_labels_in_a_data_set_are_ignored(spiking, problem, trained_model):
    x, y = problem
    options = {"n_steps": 2, "epochs": 1, "teacher": trained_model}
    found = train(spiking, tf.data.Dataset.from_tensor_slices((x, (y + 1) % 4)).batch(10), **options)
    for name, array in train(spiking, x, **options).model.arrays.items():
        assert np.array_equal(found.model.arrays[name], array), name


def test_values(problem):
    """A regression learns values, which need not be probabilities."""
    x = problem[0]
    network = snc.build_trainable(keras_model(units=1), nengo.RectifiedLinear())
    trained = train(network, x, epochs=30, teacher=lambda images: 3 - images.mean(axis=(1, 2, 3))[:, None] * 8)
    assert trained.history["error"][-1] < trained.history["error"][0] / 2


@pytest.mark.parametrize(
    ("teacher", "message"),
    [
        (lambda x: np.zeros((len(x), 3)), r"must return an array of shape \(2, 4\)"),
        (lambda x: np.zeros((len(x), 4)), "whose sum is 1"),
        (lambda x: np.tile([3, -1, 0, -1], (len(x), 1)), "apply a softmax"),
        (lambda x: np.full((len(x), 4), np.nan), "result of teacher"),
        (lambda x: None, "teacher"),
    ],
)
def test_refuses_outputs_before_it_trains(spiking, problem, teacher, message):
    with pytest.raises(snc.SettingsError, match=message):
        train(spiking, problem[0], n_steps=2, teacher=teacher)


def test_refuses_what_does_not_go_together(spiking, problem, trained_model):
    x, y = problem
    with pytest.raises(snc.SettingsError, match="y or a teacher"):
        snc.train(spiking, x, y, n_steps=2, teacher=trained_model)
    network = snc.build_trainable(keras_model(), nengo.RectifiedLinear())
    with pytest.raises(snc.SettingsError, match='engine="keras"'):
        train(network, x, teacher=trained_model, engine="nengo_dl")
    with pytest.raises(snc.SettingsError, match="validation_split"):
        train(network, x, teacher=trained_model, validation_split=0.2)
    frames = np.repeat(x[:, None], 4, axis=1)
    with pytest.raises(snc.SettingsError, match="images, not for frames"):
        train(snc.build_trainable(keras_model(), snc.SurrogateLIF()), frames, teacher=trained_model)
