"""Predictions of the ANN, and reading of images a batch at a time."""

import gc

import numpy as np
import pytest
from models import small_cnn

import nengo_snnconv as snc
from nengo_snnconv.evaluation import ann
from nengo_snnconv.inputs import CHECKED_TOGETHER, Images, as_inputs
from nengo_snnconv.networks.rate_model import rate_model

pytestmark = pytest.mark.filterwarnings("ignore:the network was not normalized")
N_IMAGES = 1207  # more than are read together


@pytest.fixture
def x(rng):
    return rng.random((N_IMAGES, 6, 6, 2), dtype=np.float32)


@pytest.fixture
def network():
    return snc.to_spiking(snc.convert(small_cnn()), input_coding="poisson")


@pytest.fixture
def predicted(monkeypatch):
    """Numbers of images for which the ANN was computed."""
    numbers, predict = [], ann._predict

    def counting(network, inputs, *others):
        numbers.append(len(inputs))
        return predict(network, inputs, *others)

    monkeypatch.setattr(ann, "_predict", counting)
    return numbers


@pytest.mark.parametrize("batch_size", [None, 7, 5000])
def test_predictions_are_those_of_keras(network, x, batch_size):
    found = ann.ann_predictions(network, as_inputs(network.model, x), batch_size)
    assert np.array_equal(found, rate_model(network).predict(x, verbose=0).argmax(axis=-1))


def test_predictions_are_kept_until_the_images_change(network, x, predicted):
    y = np.zeros(60, int)
    first = snc.evaluate(network, x[:60], y, n_steps=2)
    first.ann_predictions[:] = -1  # belongs to the caller
    again = snc.evaluate(network, x[:60].astype(np.float64), y, n_steps=3, backend="nengo_dl")
    assert predicted == [60, 60]  # images of another type are other ones
    expected = rate_model(network)(x[:60]).numpy().argmax(axis=-1)
    assert np.array_equal(again.ann_predictions, expected)
    third = snc.evaluate(network, x[:60].astype(np.float64), y, n_steps=1)
    assert predicted == [60, 60]
    assert np.array_equal(third.ann_predictions, expected)
    changed = 1 - x[:60]
    changed[:, :3] = 0
    fourth = snc.evaluate(network, changed, y, n_steps=1)
    assert predicted == [60, 60, 60]
    assert np.array_equal(fourth.ann_predictions, rate_model(network)(changed).numpy().argmax(axis=-1))
    other = snc.to_spiking(snc.convert(small_cnn()))
    snc.evaluate(other, changed, y, n_steps=1)
    assert predicted == [60] * 4


@pytest.mark.parametrize("batch_size", [None, 2])
def test_a_changed_network_is_still_refused(network, x, batch_size):
    ann.ann_predictions(network, Images(x[:5]), batch_size)
    with network:
        network.output.output = lambda t, x: 2 * x
    for images in (x[:5], x[5:10]):
        with pytest.raises(snc.SettingsError):
            ann.ann_predictions(network, Images(images), batch_size)


def test_the_graph_of_the_last_network_is_kept(network, x, monkeypatch):
    built = []
    monkeypatch.setattr(ann, "rate_model", lambda network: built.append(network) or rate_model(network))
    for images in (x[:600], 1 - x[:600]):
        found = ann.ann_predictions(network, Images(images), 100)
        assert np.array_equal(found, rate_model(network).predict(images, verbose=0).argmax(axis=-1))
    assert built == [network]
    other = snc.to_spiking(snc.convert(small_cnn()))
    ann.ann_predictions(other, Images(x[:200]), 100)
    assert list(ann._traced) == [other]
    built.clear()
    del other
    gc.collect()
    assert not ann._traced, "it is not kept longer than the network"


@pytest.mark.parametrize("dtype", [np.float32, np.float64, bool])
@pytest.mark.parametrize("make", ["spiking", "ttfs"])
def test_images_are_read_a_batch_at_a_time(network, x, dtype, make, monkeypatch):
    if make == "ttfs":
        network = snc.to_ttfs(snc.convert(small_cnn()), np.round(x[:50]), n_steps=4)
    sizes, batch = [], Images.batch

    def counting(self, indices):
        found = batch(self, indices)
        sizes.append(len(found))
        return found

    monkeypatch.setattr(Images, "batch", counting)
    shown = (x > 0.5).astype(dtype)
    steps = {} if make == "ttfs" else {"n_steps": 1}
    evaluation = snc.evaluate(network, shown, np.zeros(N_IMAGES, int), **steps)
    assert max(sizes) <= CHECKED_TOGETHER
    monkeypatch.undo()
    whole = snc.evaluate(network, shown.astype(np.float32), np.zeros(N_IMAGES, int), **steps)
    assert np.array_equal(evaluation.scores, whole.scores)
    assert np.array_equal(evaluation.ann_predictions, whole.ann_predictions)
    as_floats = as_inputs(network.model, shown.astype(np.float32))
    assert as_inputs(network.model, shown).checksum() == as_floats.checksum()


def test_a_share_of_clipped_pixels_is_that_of_all_images(network, x):
    x[:, 0, 0, 0] = 0.5
    x[N_IMAGES - 3 :, 0, 0, 0] = 1.25
    share = 100 * 3 / x.size
    with pytest.warns(snc.errors.SnnConvWarning, match=rf"^{share:.2g} % of the input .*input_threshold=1\.25"):
        snc.evaluate(network, x, np.zeros(N_IMAGES, int), n_steps=1)
