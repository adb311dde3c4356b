"""Layer names that Keras 3 allows and TensorFlow does not always support."""

import itertools
import warnings

import numpy as np
import pytest

import nengo_snnconv as snc
from nengo_snnconv.compat import keras3
from nengo_snnconv.networks.keras_layers import keras_name

NAMES = ["conv 1", "été", "_first", "a&b", "x>y", ".dot", "日本", "<b>", "q\"'", "a:b", "-x", "conv_1", "in\\out"]


def named_model():
    layers, name = keras3.layers, iter(NAMES)
    image = keras3.Input((6, 6, 1), name=next(name))
    x = layers.Conv2D(2, 3, activation="relu", name=next(name))(image)
    y = layers.ReLU(name=next(name))(layers.BatchNormalization(name=next(name))(x))
    x = layers.AveragePooling2D(2, name=next(name))(layers.Add(name=next(name))([x, y]))
    x = layers.ZeroPadding2D(1, name=next(name))(x)
    x = layers.Dense(4, activation="relu", name=next(name))(layers.Flatten(name=next(name))(x))
    x = layers.Dense(4, name=next(name))(layers.ReLU(name=next(name))(layers.Dense(3, name=next(name))(x)))
    return keras3.Model(image, layers.Softmax(name=next(name))(x))


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("names") / "model.keras"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        named_model().save(path)
    return snc.as_model(path)


@pytest.fixture
def images(rng):
    return rng.random((12, 6, 6, 1)).astype(np.float32)


@pytest.fixture
def labels(rng):
    return rng.integers(0, 4, 12)


def test_names_are_kept(model):
    assert set(NAMES) - set(model.layers) == {"in\\out"}  # the softmax, which is read out as logits


def test_rates(model, images):
    network = snc.convert(model)
    normalized = snc.normalize(network, images)
    assert set(normalized.model.layers) >= set(network.model.layers)  # with scales on shortcuts
    assert snc.rate_model(network, ["conv 1"]).predict(images, verbose=0).shape[0] == 12


@pytest.mark.parametrize("backend", ["nengo_dl", "nengo", "fast"])
def test_spikes(model, images, labels, backend):
    network = snc.to_spiking(snc.normalize(snc.convert(model), images))
    found = snc.evaluate(network, images, labels, n_steps=4, backend=backend)
    assert "_first" in found.layers


def test_reports(model, images, labels, tmp_path):
    network = snc.to_spiking(snc.normalize(snc.convert(model), images))
    snc.write_report(tmp_path / "report.html", network, snc.evaluate(network, images, labels, n_steps=4))
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "&lt;b&gt;" in text
    assert "<b>" not in text


@pytest.mark.parametrize("backend", ["nengo_dl", "fast"])
def test_first_spikes(model, images, labels, backend):
    network = snc.to_ttfs(snc.normalize(snc.convert(model), images), images, n_steps=8)
    assert snc.evaluate(network, images, labels, backend=backend).predictions.shape == (12,)


@pytest.mark.parametrize("engine", ["keras", "nengo_dl"])
def test_training(model, images, labels, engine):
    network = snc.build_trainable(model)
    trained = snc.train(network, images, labels, epochs=1, batch_size=6, engine=engine)
    assert trained.model.arrays.keys() == model.arrays.keys()


def test_training_through_time(model, images, labels):
    network = snc.build_trainable(model, snc.SurrogateLIF(), synapse=None)
    trained = snc.train(network, images, labels, epochs=1, batch_size=6, n_steps=3)
    assert trained.model.arrays.keys() == model.arrays.keys()


def test_files(model, tmp_path):
    network = snc.convert(model)
    snc.save(network, tmp_path / "model.snn.npz")
    loaded = snc.load(tmp_path / "model.snn.npz")
    assert list(loaded.model.layers.values()) == list(network.model.layers.values())
    assert str(loaded.report()) == str(network.report())


def test_names_for_tensorflow_stay_apart():
    parts = ["a", "_", "-", "x", "-x", "2d", "é", " ", ">", "0", ".", "-x20-", "0-x-"]
    names = {"".join(name) for n in range(1, 4) for name in itertools.product(parts, repeat=n)}
    assert len({keras_name(name) for name in names}) == len(names)
    for name in ("conv1", "inner.conv_1", "block-2", ".dot"):
        assert keras_name(name) == name
