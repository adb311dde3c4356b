"""The commands demo and train."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

import nengo_snnconv as snc
from nengo_snnconv import cli
from nengo_snnconv.training.comparison import simulated_events

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


def test_demo_checks_its_folder_before_it_trains(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert cli.main(["demo", "--output", str(tmp_path / "file")]) == 1
    printed = capsys.readouterr()
    assert "File exists" in printed.err
    assert "epoch" not in printed.out


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


class TestEvents:
    """Training and evaluation of SurrogateLIF networks."""

    def test_train_on_simulated_recordings_then_evaluate(self, tmp_path, capsys):
        network, report, figures = (tmp_path / name for name in ("n.snn.npz", "report.html", "f.json"))
        options = ["--neuron", "surrogate-lif", "--events", "--steps", "3", "--train-images", "40", "--epochs", "1"]
        assert cli.main(["train", str(network), *options, "--batch-size", "20"]) == 0
        trained = snc.load(network)
        assert trained.settings.neuron_type == snc.SurrogateLIF()
        assert trained.model.shapes["image"] == (34, 34, 2)
        assert list(trained.model.layers)[-1] == "output_neurons"
        options = ["--events", "--steps", "3", "--test-images", "6", "--report", str(report), "--json", str(figures)]
        assert cli.main(["evaluate", str(network), *options]) == 0
        events = simulated_events(snc.load_dataset("digits", train=1, test=6)).test
        expected = snc.evaluate(trained, events, events.labels, n_steps=3)
        assert json.loads(figures.read_text())["accuracy"] == expected.accuracy.tolist()
        assert "accuracy after 3 steps" in capsys.readouterr().out
        assert "simulated from digits" in report.read_text()

    def test_without_events_images_stand_still(self, tmp_path, digits):
        network, figures = tmp_path / "n.snn.npz", tmp_path / "f.json"
        options = ["--neuron", "surrogate-lif", "--steps", "2", "--train-images", "40", "--epochs", "1", "--no-augment"]
        assert cli.main(["train", str(network), *options, "--json", str(figures)]) == 0
        keras = snc.preset("surrogate-nmnist")
        expected = snc.build_trainable(keras, snc.SurrogateLIF(), output_neurons=True)
        settings = {"n_steps": 2, "epochs": 1, "batch_size": 100, "learning_rate": 3e-3, "schedule": "cosine"}
        expected = snc.train(expected, digits.x_train[:40], digits.y_train[:40], **settings)
        assert json.loads(figures.read_text())["history"]["loss"] == pytest.approx(expected.history["loss"], rel=1e-4)

    def test_recordings_of_a_folder(self, tmp_path, monkeypatch, capsys, digits):
        events = snc.simulate_recordings(digits.x_test[:30], digits.y_test[:30])
        for part, recordings in (("Train", events[:20]), ("Test", events[20:])):
            snc.write_recordings(tmp_path / "data" / "N-MNIST" / part, recordings)
        monkeypatch.setenv("NENGO_SNNCONV_DATA", str(tmp_path / "data"))
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
        network, figures = tmp_path / "n.snn.npz", tmp_path / "f.json"
        data = ["--data", "n-mnist", "--steps", "2"]
        options = ["--preset", "surrogate-nmnist", "--neuron", "surrogate-lif", "--epochs", "1", *data]
        assert cli.main(["train", str(network), *options]) == 0
        assert cli.main(["evaluate", str(network), *data, "--json", str(figures)]) == 0
        found = json.loads(figures.read_text())
        assert (found["images"], found["n_steps"], len(snc.load(network).history["loss"])) == (10, 2, 1)
        assert cli.main(["train", str(network), *options, "--train-images", "30"]) == 1
        assert "20 recordings" in capsys.readouterr().err
