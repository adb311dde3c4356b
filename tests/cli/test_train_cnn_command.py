import json

import pytest

import nengo_snnconv as snc
from nengo_snnconv import cli

SMALL = ["--data", "digits", "--preset", "resnet-cifar10", "--train-images", "200", "--test-images", "50"]


def test_train_then_convert(tmp_path, capsys):
    path, results = tmp_path / "cnn.keras", tmp_path / "results.json"
    options = [*SMALL, "--epochs", "1", "--batch-size", "50", "--no-flip", "--shift", "1", "--json", str(results)]
    assert cli.main(["train-cnn", str(path), *options]) == 0
    printed = capsys.readouterr().out
    assert "epoch 1: loss" in printed
    assert "accuracy on 50 test images" in printed
    assert sorted(tmp_path.iterdir()) == [path, results]
    figures = json.loads(results.read_text())
    assert len(figures["history"]["loss"]) == 1
    assert snc.convert(path).model.shapes["image"] == (28, 28, 1)


def test_output_must_be_a_keras_file(tmp_path, capsys):
    with pytest.raises(SystemExit):
        cli.main(["train-cnn", str(tmp_path / "cnn.npz"), *SMALL])
    assert "must end in .keras or .h5" in capsys.readouterr().err
