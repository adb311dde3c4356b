import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest

import nengo_snnconv as snc
from nengo_snnconv import cli

SMALL = ["--train-images", "100", "--test-images", "20", "--steps", "3", "--epochs", "1"]


def test_demo(tmp_path, capsys):
    folder = tmp_path / "demo"
    assert cli.main(["demo", "--output", str(folder), "--json", str(tmp_path / "figures.json"), *SMALL]) == 0
    printed = capsys.readouterr().out
    assert "epoch 1: loss" in printed
    assert "loss from spiking" in printed
    assert str(folder / "report.html") in printed
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert figures["images"] == 20
    assert len(figures["accuracy"]) == 3
    assert len(figures["history"]["loss"]) == 1
    assert (folder / "report.html").read_text().startswith("<!doctype html>")
    assert isinstance(snc.load(folder / "lif-digits.snn.npz"), snc.ConvNetwork)


def test_train_then_evaluate(tmp_path, capsys):
    network, report = tmp_path / "network.snn.npz", tmp_path / "report.html"
    options = ["--preset", "diehl-mnist", "--neuron", "spiking-relu", "--train-images", "100", "--epochs", "2"]
    assert cli.main(["train", str(network), *options]) == 0
    assert list(tmp_path.iterdir()) == [network]
    figures = tmp_path / "figures.json"
    options = ["--test-images", "20", "--steps", "5", "--report", str(report), "--json", str(figures)]
    assert cli.main(["evaluate", str(network), *options]) == 0
    assert f"accuracy after 5 steps     {100 * json.loads(figures.read_text())['accuracy'][-1]:.2f} %" in (
        capsys.readouterr().out
    )
    assert report.exists()


def test_train_continues_from_its_checkpoint(tmp_path, capsys):
    def train(name, epochs, *options):
        path = tmp_path / name
        arguments = ["train", str(path), "--preset", "diehl-mnist", "--train-images", "100", "--no-augment"]
        assert cli.main([*arguments, "--epochs", str(epochs), *options]) == 0
        return snc.load(path).history["loss"]

    checkpoint = ["--checkpoint", str(tmp_path / "run.npz")]
    first = train("network.npz", 2, *checkpoint)
    capsys.readouterr()
    assert train("network.npz", 2, *checkpoint) == first
    assert "epoch" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["evaluate", "missing.npz"], "there is no file missing.npz"),
        (["train", "x.npz", "--preset", "lenet"], "no preset 'lenet'; there are lif-mnist"),
        (["train", "x.npz", "--data", "imagenet"], "no data set 'imagenet'; there are digits"),
        (["train", "x.npz", "--max-rate", "600", "--train-images", "10"], "below 500 Hz"),
        (["demo", "--train-images", "20000"], "train must be between 1 and 10000"),
    ],
)
def test_errors_in_one_line(arguments, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert cli.main(arguments) == 1
    printed = capsys.readouterr().err
    assert printed.startswith(f"nengo-snnconv {arguments[0]}: ")
    assert message in printed
    assert len(printed.splitlines()) == 1


def test_demo_checks_its_folder_before_it_trains(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert cli.main(["demo", "--output", str(tmp_path / "file")]) == 1
    printed = capsys.readouterr()
    assert "File exists" in printed.err
    assert "epoch" not in printed.out


def test_evaluate_keeps_the_neurons_that_were_trained(tmp_path, capsys):
    import nengo

    settings = {"neuron_type": nengo.LIF(amplitude=0.01), "max_rates": nengo.dists.Uniform(50, 100), "seed": 7}
    snc.save(snc.build_trainable(snc.preset("diehl-mnist"), **settings), tmp_path / "n.npz")
    arguments = ["evaluate", str(tmp_path / "n.npz"), "--test-images", "20", "--steps", "2"]
    assert cli.main([*arguments, "--json", str(tmp_path / "f.json")]) == 0
    data = snc.load_dataset("digits", test=20)
    expected = snc.evaluate(snc.load(tmp_path / "n.npz"), data.x_test, data.y_test, n_steps=2)
    assert json.loads((tmp_path / "f.json").read_text())["accuracy"] == expected.accuracy.tolist()
    assert cli.main([*arguments, "--seed", "1"]) == 1
    assert "--seed would draw other max_rates" in capsys.readouterr().err


def test_debug_shows_where_an_error_comes_from():
    with pytest.raises(FileNotFoundError):
        cli.main(["evaluate", "missing.npz", "--debug"])


def test_a_bug_is_called_one(monkeypatch, capsys):
    monkeypatch.setattr(snc, "load", lambda path: 1 / 0)
    assert cli.main(["evaluate", "x.npz"]) == 1
    assert "ZeroDivisionError: division by zero (a bug: see it whole with --debug)" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [[], ["fly"], ["demo", "--epochs", "0"], ["demo", "--seed", "-1"]])
def test_wrong_usage(arguments):
    with pytest.raises(SystemExit) as stop:
        cli.main(arguments)
    assert stop.value.code == 2


def test_a_network_of_another_shape_than_the_data(tmp_path, trained, capsys, data_folder):
    snc.save(trained, tmp_path / "network.npz")
    assert cli.main(["evaluate", str(tmp_path / "network.npz"), "--data", "cifar-10"]) == 1
    assert "x must have shape (images, 28, 28, 1), got (10000, 32, 32, 3)" in capsys.readouterr().err


def test_installed_command():
    command = pathlib.Path(sys.executable).with_name("nengo-snnconv")
    found = subprocess.run([command, "--version"], capture_output=True, text=True, check=True)
    assert found.stdout == f"nengo-snnconv {snc.__version__}\n"


def test_interrupted_training_exits_with_130_and_can_be_continued(tmp_path):
    arguments = ["train", "network.npz", "--preset", "diehl-mnist", "--train-images", "200", "--epochs", "1000"]
    command = [sys.executable, "-m", "nengo_snnconv.cli", *arguments]
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    checkpoint = tmp_path / "network.npz.checkpoint.npz"
    deadline = time.monotonic() + 120
    while not checkpoint.exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    os.kill(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert len(errors.splitlines()) == 1
    assert "to continue from network.npz.checkpoint.npz" in errors
    assert len(snc.load(checkpoint).history["loss"]) >= 1
