"""Examples of an evaluation for a report: the first images, and one that is wrong."""

import numpy as np
import pytest
from models import make, small_cnn

import nengo_snnconv as snc
from nengo_snnconv.model import layers as specs

rng = np.random.default_rng(0)
X = rng.random((12, 6, 6, 2)).astype(np.float32)


@pytest.fixture(scope="module")
def network():
    return snc.convert(small_cnn())


@pytest.fixture(scope="module")
def classes(network):
    """Classes that the network predicts."""
    return snc.evaluate(network, X, n_steps=1).predictions


def test_a_wrong_image_takes_the_place_of_the_last_one(network, classes):
    assert snc.evaluate(network, X, classes, n_steps=1).examples().tolist() == [0, 1, 2, 3]
    y = (classes + (np.arange(12) == 7)) % 4
    evaluation = snc.evaluate(network, X, y, n_steps=1)
    assert evaluation.examples().tolist() == [0, 1, 2, 7]
    assert evaluation.examples(1).tolist() == [7]
    assert evaluation.examples(8).tolist() == list(range(8))
    assert evaluation.examples(100).tolist() == list(range(12))
    with pytest.raises(snc.SettingsError):
        evaluation.examples(0)


def test_what_spikes_lose_comes_first(network, classes):
    """Image 5 is wrong with spikes and with the ANN, image 9 with spikes only."""
    snn = snc.to_spiking(snc.normalize(network, X))
    spiking = snc.evaluate(snn, X, classes, n_steps=64)
    assert (spiking.predictions == classes).all()
    y = (classes + np.isin(np.arange(12), (5, 9))) % 4
    evaluation = snc.evaluate(snn, X, y, n_steps=64)
    evaluation.task.ann[9] = y[9]
    assert evaluation.examples().tolist() == [0, 1, 2, 9]


def test_the_largest_error_of_a_regression(tmp_path):
    model = make(
        specs.Input("image", shape=(6, 6, 2)), specs.Flatten("flat", "image"), specs.Dense("out", "flat", units=2)
    )
    network = snc.convert(model)
    y = snc.evaluate(network, X, n_steps=1).scores.astype(float)
    y[6] += 3
    evaluation = snc.evaluate(network, X, y, n_steps=1)
    shown = evaluation.examples(2)
    assert shown.tolist() == [0, 6]
    recording = snc.record(network, X[shown], n_steps=1)
    snc.write_report(tmp_path / "a.html", network, evaluation, recording=recording, images=shown)
    text = (tmp_path / "a.html").read_text()
    assert "Image 7: target" in text
    assert text.count("the largest error of all") == 1


def test_a_report_names_the_wrong_image(network, classes, tmp_path):
    y = (classes + (np.arange(12) == 7)) % 4
    evaluation = snc.evaluate(network, X, y, n_steps=1)
    shown = evaluation.examples(2)
    recording = snc.record(network, X[shown], n_steps=1)
    snc.write_report(
        tmp_path / "a.html", network, evaluation, recording=recording, images=shown, class_names=("a", "b", "c", "d")
    )
    text = (tmp_path / "a.html").read_text()
    names = np.array(list("abcd"))
    assert f"Image 1: {names[y[0]]}, classified as {names[y[0]]}: correct" in text
    wrong = names[classes[7]]
    assert f"Image 8: {names[y[7]]}, classified as {wrong}: wrong ({wrong} by the ANN)" in text
    for images in ([0], [0, 12], [0, -1], "01", [0.0, 1.0]):
        with pytest.raises(snc.SettingsError) as caught:
            snc.write_report(tmp_path / "a.html", network, evaluation, recording=recording, images=images)
        assert caught.value.argument == "images"
