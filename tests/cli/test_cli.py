import json
import os
import pathlib
import signal
import subprocess
import sys
import time
import warnings

import nengo
import numpy as np
import pytest
from models import make

import nengo_snnconv as snc
from nengo_snnconv import cli
from nengo_snnconv.cli.options import BACKENDS as CHOICES
from nengo_snnconv.compat import tf
from nengo_snnconv.evaluation.backends import BACKENDS
from nengo_snnconv.model import layers as specs
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


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["evaluate", "missing.npz"], "there is no file missing.npz"),
        (["train", "x.npz", "--preset", "lenet"], "no preset 'lenet'; there are lif-mnist"),
        (["train", "x.npz", "--data", "imagenet"], "no data set 'imagenet'; there are digits"),
        (["train", "x.npz", "--max-rate", "600", "--train-images", "10"], "below 500 Hz"),
        (["demo", "--train-images", "20000"], "train must be between 1 and 10000"),
        (["convert", "missing.keras", "x.npz"], "there is no file missing.keras"),
        (["convert", "missing.npz", "x.npz"], "there is no file missing.npz"),
        (["convert", "missing.keras", "."], ". is a folder: name a file in it"),
        (["convert", "missing.keras", "x.npz", "--reset", "zero", "--max-spikes", "2"], "max_spikes must be 1"),
    ],
)
def test_errors_in_one_line(arguments, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert cli.main(arguments) == 1
    printed = capsys.readouterr().err
    assert printed.startswith(f"nengo-snnconv {arguments[0]}: ")
    assert message in printed
    assert len(printed.splitlines()) == 1


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
        assert "train must be between 1 and 20 recordings, got 30" in capsys.readouterr().err


def test_demo_checks_its_folder_before_it_trains(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert cli.main(["demo", "--output", str(tmp_path / "file")]) == 1
    printed = capsys.readouterr()
    assert "File exists" in printed.err
    assert "epoch" not in printed.out


def test_evaluate_keeps_the_neurons_that_were_trained(tmp_path, capsys):
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


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["fly"],
        ["demo", "--epochs", "0"],
        ["demo", "--seed", "-1"],
        ["convert", "a.keras", "b.npz", "--input-threshold", "0"],
        ["convert", "a.keras", "b.npz", "--max-spikes", "many"],
    ],
)
def test_wrong_usage(arguments):
    with pytest.raises(SystemExit) as stop:
        cli.main(arguments)
    assert stop.value.code == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--method", "model", "--percentile", "99"], "--percentile goes with --method data, not with --method model"),
        (["--method", "none", "--per", "channel"], "--per goes with --method data or --method model or --method bal"),
        (["--neuron", "lif", "--reset", "zero"], "--reset goes with --neuron if, not with --neuron lif"),
        (["--neuron", "lif", "--initial-potential", "0"], "--initial-potential goes with --neuron if"),
        (["--input-threshold", "2"], "--input-threshold goes with --input poisson, not with --input constant"),
        (["--balance-steps", "8"], "--balance-steps goes with --method balance, not with --method data"),
        (["--no-evaluate", "--report", "r.html"], "--report does not go with --no-evaluate"),
        (["--no-evaluate", "--backend", "nengo"], "--backend does not go with --no-evaluate"),
        (["--no-evaluate", "--minibatch-size", "5"], "--minibatch-size does not go with --no-evaluate"),
        (["--no-evaluate", "--skip-steps", "5"], "--skip-steps does not go with --no-evaluate"),
        (["--no-evaluate", "--steps", "5"], "--steps does not go with --no-evaluate"),
    ],
)
def test_options_that_would_change_nothing_are_wrong_usage(options, message, capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(["convert", "a.keras", "b.npz", *options])
    assert stop.value.code == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["convert", "a.keras"], "OUTPUT is needed"),
        (["train", "a.npz", "--neuron", "relu", "--max-rate", "300"], "--max-rate goes with --neuron lif or --neuron"),
        (["train", "a.npz", "--neuron", "surrogate-lif", "--max-rate", "300"], "--max-rate goes with --neuron lif or"),
        (["train", "a.npz", "--steps", "8"], "--steps goes with --neuron surrogate-lif, not with --neuron lif"),
        (["train", "a.npz", "--data", "n-mnist"], "--data n-mnist goes with --neuron surrogate-lif, not with --neuron"),
        (["train", "a.npz", "--neuron", "relu", "--events"], "--events goes with --neuron surrogate-lif, not with"),
        (
            ["train", "a.npz", "--neuron", "surrogate-lif", "--data", "n-mnist", "--events"],
            "--events goes with --data that are images: n-mnist is events already",
        ),
        (["evaluate", "a.npz", "--data", "n-mnist", "--events", "--steps", "4"], "n-mnist is events already"),
        (["gui", "a.npz", "--write-script", "a.py", "--port", "8080"], "--port does not go with --write-script"),
        (["gui", "a.npz", "--write-script", "a.py", "--no-browser"], "--no-browser does not go with --write-script"),
        (["to-ttfs", "a.keras", "b.npz", "--no-evaluate", "--backend", "nengo"], "--backend does not go with"),
    ],
)
def test_other_wrong_usage(arguments, message, capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(arguments)
    assert stop.value.code == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["convert", "a.keras", "./a.keras"], "output is the same file as source"),
        (["convert", "a.keras", "b.npz", "--report", "b.npz"], "report is the same file as output"),
        (["evaluate", "a.npz", "--json", "a.npz"], "json is the same file as network"),
    ],
)
def test_no_file_is_overwritten_by_another(arguments, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit):
        cli.main(arguments)
    assert message in capsys.readouterr().err


def test_the_choices_are_the_back_ends():
    assert tuple(BACKENDS) == CHOICES


def test_a_network_of_another_shape_than_the_data(tmp_path, trained, capsys, data_folder):
    snc.save(trained, tmp_path / "network.npz")
    assert cli.main(["evaluate", str(tmp_path / "network.npz"), "--data", "cifar-10"]) == 1
    assert "x must have shape (images, 28, 28, 1), got (10000, 32, 32, 3)" in capsys.readouterr().err


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A file with a small model for images of the digits."""
    model = make(
        specs.Input("image", shape=(28, 28, 1)),
        specs.Conv("conv", "image", filters=4, kernel_size=(5, 5), strides=4),
        specs.Rectifier("neurons", "conv"),
        specs.Flatten("flat", "neurons"),
        specs.Dense("scores", "flat", units=10),
    )
    path = tmp_path_factory.mktemp("small") / "model.npz"
    snc.save(model, path)
    return path


class TestConvert:
    def test_after_train(self, tmp_path, capsys):
        ann, output = tmp_path / "ann.npz", tmp_path / "new" / "spiking.snn.npz"
        options = ["--preset", "diehl-mnist", "--neuron", "relu", "--train-images", "200", "--epochs", "1"]
        assert cli.main(["train", str(ann), *options]) == 0
        settings = snc.load(ann).settings
        assert (settings.neuron_type, settings.synapse) == (nengo.RectifiedLinear(), None)
        capsys.readouterr()
        options = ["--calibration-images", "50", "--test-images", "10", "--steps", "3"]
        assert cli.main(["convert", str(ann), str(output), *options, "--json", str(tmp_path / "f.json")]) == 0
        figures, printed = json.loads((tmp_path / "f.json").read_text()), capsys.readouterr().out
        assert f"scale of conv1_relu        {figures['scales']['conv1_relu'][0]:.4g}\n" in printed
        assert f"accuracy after 3 steps     {100 * figures['accuracy'][-1]:.2f} %" in printed
        assert printed.endswith(cli.evaluation.accuracy_over_time(figures["accuracy"]) + "\n")
        assert {row["layer"] for row in figures["reading"]} >= {"conv1", "pool1", "dense1"}
        assert snc.load(output).model.metadata["scales"] == figures["scales"]

    def test_report_then_evaluate(self, small, tmp_path, capsys):
        def run(*arguments):
            assert cli.main([*arguments, "--test-images", "5", "--steps", "6", "--json", str(tmp_path / "f.json")]) == 0
            return json.loads((tmp_path / "f.json").read_text())["input_spikes_per_neuron"]

        output, report = str(tmp_path / "out.npz"), tmp_path / "report.html"
        expected = run("convert", str(small), output, "--input", "poisson", "--report", str(report))
        assert str(report) in capsys.readouterr().out
        assert '<th scope="row">percentile</th><td>99.9</td>' in report.read_text()
        assert run("evaluate", output) == expected > 0
        assert run("evaluate", output, "--backend", "nengo", "--seed", "0") == pytest.approx(expected)
        assert run("evaluate", output, "--seed", "1") != expected

    def test_a_dry_run_does_not_write_over_its_source(self, small):
        before = small.read_bytes()
        with pytest.raises(SystemExit):
            cli.main(["convert", str(small), "--dry-run", "--json", str(small)])
        assert small.read_bytes() == before

    def test_what_is_no_ordinary_file_stays(self, small, tmp_path, capsys):
        pipe = tmp_path / "pipe"
        os.mkfifo(pipe)
        assert cli.main(["convert", str(small), str(pipe), "--method", "model", "--no-evaluate"]) == 1
        assert "is no ordinary file" in capsys.readouterr().err
        assert pipe.is_fifo()

    def test_skipped_steps(self, small, tmp_path):
        output, figures = tmp_path / "out.npz", tmp_path / "f.json"
        arguments = ["--steps", "6", "--skip-steps", "3", "--test-images", "30", "--json", str(figures)]
        assert cli.main(["convert", str(small), str(output), *arguments]) == 0
        data = snc.load_dataset("digits", test=30)
        expected = snc.evaluate(snc.load(output), data.x_test, data.y_test, n_steps=6, skip_steps=3)
        assert json.loads(figures.read_text())["accuracy"] == expected.accuracy.tolist()

    def test_neurons_and_input(self, small, tmp_path):
        def settings(*options):
            path = tmp_path / "out.npz"
            assert cli.main(["convert", str(small), str(path), "--method", "model", "--no-evaluate", *options]) == 0
            return snc.load(path).settings

        assert settings().neuron_type == snc.IntegrateAndFire()
        assert settings("--reset", "zero", "--initial-potential", "-0.5").neuron_type == snc.IntegrateAndFire(
            reset="zero", initial_potential=-0.5
        )
        assert settings("--max-spikes", "inf").neuron_type == snc.IntegrateAndFire(max_spikes=np.inf)
        assert settings("--max-spikes", "3").neuron_type == snc.IntegrateAndFire(max_spikes=3)
        assert settings("--neuron", "lif").neuron_type == nengo.LIF(min_voltage=-5)
        assert settings("--neuron", "spiking-relu").neuron_type == nengo.SpikingRectifiedLinear(amplitude=0.001)
        poisson = settings("--input", "poisson", "--input-threshold", "2", "--readout", "spikes", "--seed", "3")
        assert (poisson.input_coding, poisson.input_threshold, poisson.readout, poisson.seed) == (
            "poisson",
            2.0,
            "spikes",
            3,
        )

    @pytest.mark.parametrize(
        ("options", "arguments"),
        [
            (["--percentile", "90", "--per", "channel"], {"percentile": 90, "per": "channel"}),
            (["--method", "balance", "--steps", "8"], {"method": "balance", "n_steps": 8}),
            (["--method", "balance", "--balance-steps", "4", "--steps", "8"], {"method": "balance", "n_steps": 4}),
        ],
    )
    def test_scaling(self, options, arguments, small, tmp_path):
        fixed = ["--calibration-images", "30", "--no-evaluate"]
        assert cli.main(["convert", str(small), str(tmp_path / "out.npz"), *fixed, *options]) == 0
        data = snc.load_dataset("digits", train=30)
        expected = snc.normalize(snc.convert(snc.load(small)), data.x_train, **arguments).model
        model = snc.load(tmp_path / "out.npz").model
        assert model.metadata["scales"] == expected.metadata["scales"]
        assert all(np.array_equal(array, expected.arrays[name]) for name, array in model.arrays.items())

    @pytest.mark.filterwarnings("default:the network was not normalised")
    def test_no_scaling_warns_in_one_line(self, small, tmp_path, capsys, monkeypatch):
        # as Python does it; pytest has its own way
        monkeypatch.setattr(warnings, "showwarning", lambda *a: sys.stderr.write(warnings.formatwarning(*a[:4])))
        output = tmp_path / "out.npz"
        assert cli.main(["convert", str(small), str(output), "--method", "none", "--no-evaluate"]) == 0
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith("nengo-snnconv convert: warning: the network was not normalised")
        assert np.array_equal(snc.load(output).model.arrays["conv/kernel"], snc.load(small).arrays["conv/kernel"])

    def test_a_converted_network_is_a_source_under_any_name(self, small, tmp_path, capsys):
        options = ["--method", "model", "--no-evaluate"]
        assert cli.main(["convert", str(small), str(tmp_path / "first.snn"), *options]) == 0
        run = ["--neuron", "lif", "--method", "none", "--steps", "3", "--test-images", "5", "--backend", "nengo"]
        assert cli.main(["convert", str(tmp_path / "first.snn"), str(tmp_path / "second.snn"), *run]) == 0
        assert "s on nengo\n" in capsys.readouterr().out
        first, second = (snc.load(tmp_path / name) for name in ("first.snn", "second.snn"))
        assert first.model.metadata["scales"] == second.model.metadata["scales"]

    def test_dry_run(self, tmp_path, small, capsys):
        snc.preset("vgg-cifar10", (32, 32, 3)).save(tmp_path / "model.keras")
        assert cli.main(["convert", str(tmp_path / "model.keras"), str(tmp_path / "out.npz"), "--dry-run"]) == 0
        printed = capsys.readouterr().out
        assert printed == snc.convert(tmp_path / "model.keras").report() + "\n"
        assert "folded back into conv1" in printed
        assert cli.main(["convert", str(small), "--dry-run"]) == 0
        assert "Ensemble (RectifiedLinear)" in capsys.readouterr().out
        assert [path.name for path in tmp_path.iterdir()] == ["model.keras"]

    def test_dry_run_of_what_is_refused(self, tmp_path, capsys):
        image = tf.keras.Input((28, 28, 1))
        x = tf.keras.layers.Flatten(name="flat")(tf.keras.layers.Conv2D(2, 3, activation="tanh", name="bent")(image))
        tf.keras.Model(image, tf.keras.layers.Dense(10, name="scores")(x)).save(tmp_path / "model.keras")
        figures = tmp_path / "f.json"
        assert cli.main(["convert", str(tmp_path / "model.keras"), "--dry-run", "--json", str(figures)]) == 1
        lines = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()}
        assert "refused" in lines["bent"]
        assert "exact" in lines["scores"]
        assert json.loads(figures.read_text())["refused"] == ["bent"]
        assert cli.main(["convert", str(tmp_path / "model.keras"), str(tmp_path / "out.npz")]) == 1
        assert "layer 'bent' (Conv2D)" in capsys.readouterr().err
        assert not (tmp_path / "out.npz").exists()

    def test_a_network_with_another_response(self, small, tmp_path, capsys):
        snc.save(snc.build_trainable(snc.load(small)), tmp_path / "lif.npz")
        for rest in ([str(tmp_path / "out.npz")], ["--dry-run"]):
            assert cli.main(["convert", str(tmp_path / "lif.npz"), *rest]) == 1
            assert "trained with the response of LIF" in capsys.readouterr().err

    @pytest.mark.parametrize("method", ["data", "model"])
    def test_data_of_another_shape_are_found_before_anything_is_done(self, method, tmp_path, capsys):
        snc.preset("diehl-mnist", (20, 20, 1)).save(tmp_path / "model.keras")
        assert cli.main(["convert", str(tmp_path / "model.keras"), str(tmp_path / "o.npz"), "--method", method]) == 1
        printed = capsys.readouterr()
        assert "the data set digits does not fit" in printed.err
        assert "x must have shape (images, 20, 20, 1), got" in printed.err
        assert not printed.out
        assert not (tmp_path / "o.npz").exists()

    def test_more_classes_than_outputs(self, tmp_path, capsys):
        snc.preset("diehl-mnist", classes=4).save(tmp_path / "model.keras")
        assert cli.main(["convert", str(tmp_path / "model.keras"), str(tmp_path / "o.npz")]) == 1
        assert "the classes in y go from 0 to 9, the network has 4 outputs" in capsys.readouterr().err

    def test_files_that_cannot_be_written_are_found_before_anything_is_done(self, small, tmp_path, capsys):
        (tmp_path / "file").write_text("")
        for arguments, message in (
            ([str(tmp_path / "file" / "out.npz")], "File exists"),
            ([str(tmp_path)], "is a folder: name a file in it"),
            ([str(tmp_path / "out.npz"), "--report", str(tmp_path)], "is a folder: name a file in it"),
        ):
            assert cli.main(["convert", str(small), *arguments]) == 1
            printed = capsys.readouterr()
            assert message in printed.err
            assert not printed.out

    @pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut short", b"no file of anything"])
    @pytest.mark.parametrize("name", ["source.npz", "source.keras", "source"])
    def test_damaged_sources(self, content, name, tmp_path, capsys):
        (tmp_path / name).write_bytes(content)
        assert cli.main(["convert", str(tmp_path / name), str(tmp_path / "out.npz")]) == 1
        (line,) = capsys.readouterr().err.splitlines()
        assert name in line
        assert "a bug" not in line


class TestToTtfs:
    def test_after_training_with_a_penalty(self, tmp_path, capsys):
        ann, output, figures = tmp_path / "ann.npz", tmp_path / "new" / "ttfs.snn.npz", tmp_path / "f.json"
        options = ["--preset", "ttfs-mnist", "--neuron", "relu", "--train-images", "200", "--epochs", "2"]
        assert cli.main(["train", str(ann), *options, "--activity-penalty", "0.5"]) == 0
        assert len(snc.load(ann).history["active"]) == 2
        capsys.readouterr()
        options = ["--calibration-images", "50", "--test-images", "40", "--stage-steps", "8", "--json", str(figures)]
        assert cli.main(["to-ttfs", str(ann), str(output), *options, "--threshold", "percentile"]) == 0
        printed, found = capsys.readouterr().out, json.loads(figures.read_text())
        assert f"threshold of conv1_relu    {found['scales']['conv1_relu'][0]:.4g}\n" in printed
        assert "synaptic operations" in printed
        assert found["n_steps"] == 8 * 4
        assert found["efficiency"]["synaptic_operations"] == pytest.approx(found["synaptic_operations"])
        network, data = snc.load(output), snc.load_dataset("digits", test=40)
        expected = snc.evaluate(network, data.x_test, data.y_test, backend="fast")
        assert found["accuracy"] == expected.accuracy.tolist()

    def test_report_then_evaluate(self, small, tmp_path):
        output, report = str(tmp_path / "out.npz"), tmp_path / "report.html"
        arguments = ["--test-images", "5", "--json", str(tmp_path / "f.json")]
        assert cli.main(["to-ttfs", str(small), output, *arguments, "--threshold", "2", "--report", str(report)]) == 0
        first = json.loads((tmp_path / "f.json").read_text())
        assert first["scales"]["neurons"] == [2.0] * 4
        assert report.exists()
        for backend in ("nengo", "nengo_dl", "fast"):
            assert cli.main(["evaluate", output, *arguments, "--backend", backend]) == 0
            found = json.loads((tmp_path / "f.json").read_text())
            assert found["accuracy"] == first["accuracy"]

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            (["--threshold", "most"], "must be search, percentile, max or a number, got most"),
            (["--percentile", "99"], "--percentile goes with --threshold percentile, not with --threshold search"),
            (["--threshold", "1.5", "--per", "channel"], "--per goes with --threshold search or --threshold"),
            (["--no-evaluate", "--test-images", "3"], "--test-images does not go with --no-evaluate"),
            (["--report", "b.npz"], "report is the same file as output"),
            (["--steps", "3"], "unrecognized arguments: --steps"),
        ],
    )
    def test_wrong_usage(self, options, message, capsys, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        with pytest.raises(SystemExit) as stop:
            cli.main(["to-ttfs", "a.keras", "b.npz", *options])
        assert stop.value.code == 2
        assert message in capsys.readouterr().err

    def test_steps_that_it_does_not_take(self, small, tmp_path, capsys):
        output = str(tmp_path / "out.npz")
        assert cli.main(["to-ttfs", str(small), output, "--no-evaluate"]) == 0
        assert cli.main(["evaluate", output, "--steps", "30", "--test-images", "5"]) == 1
        assert "takes 32 steps, got 30" in capsys.readouterr().err


@pytest.mark.parametrize(("n_steps", "shown"), [(1, [1]), (2, [1, 2]), (5, [1, 2, 4, 5]), (8, [1, 2, 4, 8])])
def test_accuracy_is_shown_at_powers_of_two_and_the_end(n_steps, shown):
    accuracy = np.arange(1, n_steps + 1) / 100
    steps, values = cli.evaluation.accuracy_over_time(accuracy).splitlines()
    assert steps.removeprefix("after steps").split() == [str(step) for step in shown]
    assert values.removeprefix("accuracy in %").split() == [f"{step:.2f}" for step in shown]


def test_evaluate_of_a_model_names_the_way_out(small, capsys):
    assert cli.main(["evaluate", str(small)]) == 1
    assert "make a network of it with 'nengo-snnconv convert'" in capsys.readouterr().err


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


@pytest.fixture(scope="module")
def spiking_file(tmp_path_factory, digits):
    """A small converted network in a file, trained briefly; its scales are far too small, so it clips."""
    ann = snc.build_trainable(snc.preset("diehl-mnist"), nengo.RectifiedLinear())
    ann = snc.train(ann, digits.x_train, digits.y_train, epochs=3, batch_size=50, learning_rate=3e-3)
    network = snc.normalize(snc.convert(ann), digits.x_train[:200], percentile=5)
    path = tmp_path_factory.mktemp("networks") / "clipping.snn.npz"
    snc.save(snc.to_spiking(network), path)
    return path


def test_diagnose_prints_draws_and_reports(spiking_file, tmp_path, capsys):
    picture, report, figures = (tmp_path / name for name in ("picture.png", "report.html", "figures.json"))
    files = ["--picture", str(picture), "--report", str(report), "--json", str(figures)]
    options = ["--steps", "4", "--test-images", "20", "--max-loss", "0.5", "--try-remedy"]
    assert cli.main(["diagnose", str(spiking_file), *options, *files]) == 0
    printed = capsys.readouterr().out
    figures = json.loads(figures.read_text())
    assert "conv1_relu" in printed and "clipping" in printed
    assert figures["findings"][0]["cause"] == "clipping"
    assert "recommendation: normalize again" in printed
    assert f"tried: {100 * figures['tried']['accuracy']:.2f} %" in printed
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert "<h2>Diagnosis</h2>" in report.read_text() and "Diagnosis, layer by layer" in report.read_text()


def test_diagnose_refuses_before_it_runs(spiking_file, tmp_path, capsys):
    assert cli.main(["diagnose", str(spiking_file), "--picture", str(tmp_path / "picture.bmp")]) == 1
    assert "--picture draws .png, .svg or .pdf, got picture.bmp" in capsys.readouterr().err
    trainable = tmp_path / "trainable.npz"
    snc.save(snc.build_trainable(snc.preset("diehl-mnist")), trainable)
    assert cli.main(["diagnose", str(trainable), "--test-images", "5"]) == 1
    assert "diagnose needs a network made by to_spiking" in capsys.readouterr().err
    with pytest.raises(SystemExit) as wrong:
        cli.main(["diagnose", str(spiking_file), "--picture", "a.png", "--report", "a.png"])
    assert wrong.value.code == 2


def test_every_option_has_a_help_text():
    missing = [
        (name, action.dest) for name, parser in cli.commands().items() for action in parser._actions if not action.help
    ]
    assert missing == []
