"""Batch normalization is trained with the statistics of batches, and keeps moving averages of them."""

import nengo
import numpy as np
import pytest
from corner_images import same
from models import make, small_cnn

import nengo_snnconv as snc
from nengo_snnconv.compat import tf
from nengo_snnconv.model import layers as specs
from nengo_snnconv.networks.keras_layers import keras_layer
from nengo_snnconv.training.trainers import TRAINERS

BATCH = 40
RATE = 0.05


def sgd():
    return tf.keras.optimizers.SGD(RATE, momentum=0.9)


@pytest.fixture
def keras():
    """A Keras model with batch normalization of images and of vectors, one of them without scale."""
    layers = tf.keras.layers
    tf.keras.utils.set_random_seed(0)
    return tf.keras.Sequential(
        [
            layers.Input((6, 6, 2), name="image"),
            layers.Conv2D(3, 3, use_bias=False, name="conv"),
            layers.BatchNormalization(momentum=0.7, epsilon=0.01, name="norm"),
            layers.ReLU(name="conv_neurons"),
            layers.AveragePooling2D(name="pool"),
            layers.Flatten(name="flat"),
            layers.Dense(5, name="dense"),
            layers.BatchNormalization(momentum=0.5, scale=False, name="dense_norm"),
            layers.ReLU(name="dense_neurons"),
            layers.Dense(4, name="scores"),
        ]
    )


def train(network, problem, **options):
    settings = {"epochs": 1, "batch_size": BATCH, "optimizer": sgd()} | options
    return snc.train(network, *problem, **settings)


@pytest.mark.parametrize("engine", TRAINERS)
def test_an_epoch_is_that_of_keras(keras, problem, engine):
    x, y = problem
    network = snc.build_trainable(keras, nengo.RectifiedLinear())
    trained = train(network, problem, engine=engine)
    order = np.random.default_rng([0, 0]).permutation(len(x))  # of the first epoch with seed 0
    keras.compile(sgd(), tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    keras.fit(x[order], y[order], batch_size=BATCH, shuffle=False, verbose=0)
    expected = snc.as_model(keras)
    for name, before in network.model.arrays.items():
        change = np.abs(expected.arrays[name] - before).max()
        # the bias in front of a normalization has no effect on it
        assert change > 1e-3 or name == "dense/bias", name
        assert np.allclose(trained.model.arrays[name], expected.arrays[name], atol=1e-5), name
    assert np.allclose(snc.rate_model(trained)(x), keras(x), atol=1e-4)


def test_a_training_continues_with_the_moving_averages(keras, problem, tmp_path):
    network = snc.build_trainable(keras, nengo.RectifiedLinear())
    whole = train(network, problem, epochs=2)
    for epochs in (1, 2):
        resumed = train(network, problem, epochs=epochs, checkpoint=tmp_path / "run.npz")
    assert same(whole, resumed)


def test_the_trained_network_runs_everywhere(keras, problem, tmp_path):
    trained = train(snc.build_trainable(keras, nengo.RectifiedLinear()), problem)
    converted = snc.convert(trained)
    assert "norm" not in converted.model.layers
    expected = snc.rate_model(trained)(problem[0]).numpy()
    snc.save(trained, tmp_path / "trained.snn.npz")
    for network in (converted, snc.load(tmp_path / "trained.snn.npz")):
        assert np.allclose(snc.rate_model(network)(problem[0]), expected, atol=1e-5)
    fast, reference = (snc.record(trained, problem[0][:3], n_steps=1, backend=name) for name in ("fast", "nengo_dl"))
    assert np.allclose(fast.output, reference.output, atol=1e-5)
    assert np.allclose(fast.output[:, 0], expected[:3], atol=1e-5)


def test_levels_fix_the_statistics(keras, problem):
    trained = train(snc.build_trainable(keras, nengo.RectifiedLinear()), problem, levels=4)
    assert isinstance(trained.model.layers["norm"], specs.Affine)
    assert trained.model.levels == {"conv_neurons": 4, "dense_neurons": 4}


class TestThroughTime:
    def network(self):
        layers = list(small_cnn().layers.values())
        layers[2] = specs.Rectifier("neurons", "norm")
        model = make(*layers[:2], specs.BatchNormalization("norm", "conv", momentum=0.5), *layers[2:])
        model = model.replace(arrays={"norm/variance": np.ones(3), "norm/gamma": np.ones(3)})
        return snc.build_trainable(model, snc.SurrogateLIF())

    def test_statistics_are_those_of_all_steps(self, problem):
        x, y = problem
        frames = np.stack([x, np.roll(x, 1, axis=1)], axis=1)
        trained = train(self.network(), (frames, y), batch_size=len(x), learning_rate=1e-9, optimizer="sgd")
        model = self.network().model
        conv = keras_layer(model.layers["conv"], model.arrays_of("conv"))
        currents = conv(frames.reshape(-1, *x.shape[1:])).numpy()
        expected = (model.arrays["norm/mean"] + currents.mean((0, 1, 2))) / 2
        assert np.allclose(trained.model.arrays["norm/mean"], expected, atol=1e-6)

    def test_engines_differ(self, problem):
        with pytest.raises(snc.SettingsError, match="engine='keras'") as caught:
            train(self.network(), problem, n_steps=2, engine="nengo_dl")
        assert caught.value.argument == "engine"
