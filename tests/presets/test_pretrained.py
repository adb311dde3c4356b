import numpy as np
import pytest

import nengo_snnconv as snc
from nengo_snnconv.presets import PRETRAINED, write_pretrained
from nengo_snnconv.presets.trained_presets import FOLDER

# accuracy on the 10,000 test images in docs/results/pretrained.json, less three standard errors for 1,000 images
LOWEST_ACCURACY = {"airbench-cifar10": 0.911, "resnet14-cifar10": 0.895}


@pytest.mark.parametrize("name", PRETRAINED)
def test_accuracy(name, data_folder):
    data = snc.load_dataset("cifar-10", train=1, test=1000)
    scores = snc.pretrained(name).predict(data.x_test, batch_size=250, verbose=0)
    assert (scores.argmax(axis=1) == data.y_test).mean() > LOWEST_ACCURACY[name]


def test_all_are_small():
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) < 10e6


@pytest.mark.parametrize("name", ["airbench", None, 3])
def test_unknown_name(name):
    with pytest.raises(snc.SettingsError, match="airbench-cifar10") as caught:
        snc.pretrained(name)
    assert caught.value.argument == "name"


def test_round_trip_in_half_precision(tmp_path, monkeypatch):
    model = snc.preset("airbench-cifar10", (32, 32, 3), seed=4)
    write_pretrained("airbench-cifar10", model, tmp_path)
    monkeypatch.setattr("nengo_snnconv.presets.trained_presets.FOLDER", tmp_path)
    for read, written in zip(snc.pretrained("airbench-cifar10").get_weights(), model.get_weights(), strict=True):
        assert np.array_equal(read, written.astype(np.float16).astype(np.float32))
    (tmp_path / "airbench-cifar10.npz").write_bytes(b"PK")
    with pytest.raises(snc.FileFormatError, match="install nengo_snnconv again"):
        snc.pretrained("airbench-cifar10")
