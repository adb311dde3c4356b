import json

import pytest

import nengo_snnconv as snc
from nengo_snnconv import cli
from nengo_snnconv.compat import tf
from nengo_snnconv.training.cnn.start import load_start

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


def test_fine_tunes_a_trained_model(tmp_path, capsys):
    start, fine = tmp_path / "cnn.keras", tmp_path / "fine.keras"
    options = ["--epochs", "1", "--batch-size", "50", "--no-flip", "--shift", "0"]
    assert cli.main(["train-cnn", str(start), *SMALL, *options]) == 0
    data = [option for option in SMALL if option not in ("--preset", "resnet-cifar10")]
    assert cli.main(["train-cnn", str(fine), "--start", str(start), "--levels", "4", *data, *options]) == 0
    assert "accuracy on 50 test images" in capsys.readouterr().out
    model = snc.convert(fine).model
    assert set(model.levels.values()) == {4}
    assert len(model.levels) == len(model.neurons)


def test_start_by_name():
    assert load_start("airbench-cifar10").output_shape == (None, 10)
    with pytest.raises(FileNotFoundError):
        load_start("missing.keras")


@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file")
def test_start_refuses_layers_with_code(tmp_path):
    layers = tf.keras.layers
    model = tf.keras.Sequential([layers.Dense(3, input_shape=(4,)), layers.Lambda(lambda x: x)])
    model.save(tmp_path / "lambda.h5")
    with pytest.raises(snc.ConversionError, match="Lambda"):
        load_start(str(tmp_path / "lambda.h5"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--start", "cnn.keras", "--preset", "vgg-cifar10"], "--start and --preset exclude each other"),
        (["--levels", "0"], "--levels"),
    ],
)
def test_refuses_options(tmp_path, capsys, options, message):
    with pytest.raises(SystemExit):
        cli.main(["train-cnn", str(tmp_path / "new.keras"), "--data", "digits", *options])
    assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_does_not_overwrite_the_start(tmp_path, capsys):
    with pytest.raises(SystemExit):
        cli.main(["train-cnn", str(tmp_path / "cnn.keras"), "--start", str(tmp_path / "cnn.keras")])
    assert "same file" in capsys.readouterr().err
