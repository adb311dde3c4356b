"""The command convert."""

import json
import os
import re
import sys
import warnings

import nengo
import numpy as np
import pytest
from models import make

import nengo_snnconv as snc
from nengo_snnconv import cli
from nengo_snnconv.compat import tf
from nengo_snnconv.evaluation.measures import Measure
from nengo_snnconv.model import layers as specs


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
        assert printed.endswith(
            cli.evaluation.measures_over_time([Measure("accuracy", np.array(figures["accuracy"]), None)]) + "\n"
        )
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
        assert "not a regular file" in capsys.readouterr().err
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
        assert settings("--neuron", "signed-if").neuron_type == snc.SignedIntegrateAndFire()
        signed = settings("--neuron", "signed-if", "--max-spikes", "2", "--initial-potential", "0.25").neuron_type
        assert signed == snc.SignedIntegrateAndFire(initial_potential=0.25, max_spikes=2)
        assert settings("--neuron", "lif").neuron_type == nengo.LIF(min_voltage=-5)
        assert settings("--neuron", "spiking-relu").neuron_type == nengo.SpikingRectifiedLinear(amplitude=0.001)
        mixed = settings("--neuron-of", "conv=signed-if", "--neuron", "lif")
        assert (mixed.neuron_type, mixed.neuron_types[0]) == (nengo.LIF(min_voltage=-5), snc.SignedIntegrateAndFire())
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

    @pytest.mark.parametrize("method", ["balance", "model"])
    def test_calibration(self, method, small, tmp_path):
        options = ["--neuron", "signed-if", "--method", method, "--steps", "3", "--calibrate", "--no-evaluate"]
        assert cli.main(["convert", str(small), str(tmp_path / "out.npz"), *options]) == 0
        x = snc.load_dataset("digits", train=1000).x_train
        arguments = {"method": "balance", "n_steps": 3} if method == "balance" else {"method": "model"}
        network = snc.normalize(snc.convert(snc.load(small)), x if method == "balance" else None, **arguments)
        expected = snc.calibrate(snc.to_spiking(network, snc.SignedIntegrateAndFire()), x, n_steps=3).model
        model = snc.load(tmp_path / "out.npz").model
        assert model.metadata["calibration"] == expected.metadata["calibration"]
        assert all(np.allclose(array, expected.arrays[name], 1e-4, 1e-5) for name, array in model.arrays.items())

    @pytest.mark.parametrize("method", ["data", "model"])
    def test_integer_weights(self, method, small, tmp_path, capsys):
        options = ["--method", method, "--bits", "4", "--no-evaluate", "--json", str(tmp_path / "f.json")]
        assert cli.main(["convert", str(small), str(tmp_path / "out.npz"), *options]) == 0
        figures, model = json.loads((tmp_path / "f.json").read_text()), snc.load(tmp_path / "out.npz").model
        x = snc.load_dataset("digits", train=1000).x_train if method == "data" else None
        network = snc.to_spiking(snc.normalize(snc.convert(snc.load(small)), x, method=method))
        expected = snc.quantize_weights(network, None if x is None else x[:200], bits=4).model
        assert figures["quantization"] == model.metadata["quantization"]
        assert model.metadata["quantization"]["scales"] == expected.metadata["quantization"]["scales"]
        assert ("output" in model.metadata["quantization"]["errors"]["conv"]) == (method == "data")
        assert all(np.array_equal(array, expected.arrays[name]) for name, array in model.arrays.items())
        assert "weights of 4 bits" in capsys.readouterr().out

    def test_split(self, small, tmp_path):
        options = ["--neuron", "signed-if", "--steps", "2", "--calibrate", "--no-evaluate", "--split", "3"]
        assert cli.main(["convert", str(small), str(tmp_path / "out.npz"), *options]) == 0
        x = snc.load_dataset("digits", train=1000).x_train
        network = snc.normalize(snc.convert(snc.load(small)), x)
        first = network.model.neurons[0]
        several, one = snc.SignedIntegrateAndFire(max_spikes=3), snc.SignedIntegrateAndFire()
        expected = snc.calibrate(snc.to_spiking(network, {first: several, "*": one}), x, n_steps=2)
        expected, split = snc.split_neurons(expected), snc.load(tmp_path / "out.npz")
        assert split.settings == expected.settings
        assert split.model.shapes[first][-1] == 3 * network.model.shapes[first][-1]
        for name, array in split.model.arrays.items():
            assert np.allclose(array, expected.model.arrays[name], 1e-4, 1e-5)

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            (["--input", "poisson"], "leave --input poisson out"),
            (["--neuron", "lif"], "--neuron if or signed-if"),
            (["--reset", "zero"], "reset by subtraction"),
            (["--neuron-of", "conv=lif"], "leave --neuron-of out"),
        ],
    )
    def test_split_needs_neurons_with_several_spikes(self, options, message, small, tmp_path, capsys):
        with pytest.raises(SystemExit):
            cli.main(["convert", str(small), str(tmp_path / "out.npz"), "--split", "4", *options, "--calibrate"])
        assert message in capsys.readouterr().err

    def test_split_needs_calibration(self, small, tmp_path, capsys):
        with pytest.raises(SystemExit):
            cli.main(["convert", str(small), str(tmp_path / "out.npz"), "--split", "4"])
        assert "--split needs --calibrate" in capsys.readouterr().err

    def test_calibration_needs_constant_input(self, small, tmp_path, capsys):
        with pytest.raises(SystemExit):
            cli.main(["convert", str(small), str(tmp_path / "out.npz"), "--calibrate", "--input", "poisson"])
        assert "leave --input poisson out" in capsys.readouterr().err

    def test_pretrained_model_by_name(self, capsys):
        assert cli.main(["convert", "airbench-cifar10", "--dry-run"]) == 0
        assert "whitening" in capsys.readouterr().out

    @pytest.mark.filterwarnings("default:the network was not normalized")
    def test_no_scaling_warns_in_one_line(self, small, tmp_path, capsys, monkeypatch):
        # Python's own function, which pytest replaces
        monkeypatch.setattr(warnings, "showwarning", lambda *a: sys.stderr.write(warnings.formatwarning(*a[:4])))
        output = tmp_path / "out.npz"
        assert cli.main(["convert", str(small), str(output), "--method", "none", "--no-evaluate"]) == 0
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith("nengo-snnconv convert: warning: the network was not normalized")
        assert np.array_equal(snc.load(output).model.arrays["conv/kernel"], snc.load(small).arrays["conv/kernel"])

    def test_a_converted_network_is_a_source_under_any_name(self, small, tmp_path, capsys):
        options = ["--method", "model", "--no-evaluate"]
        assert cli.main(["convert", str(small), str(tmp_path / "first.snn"), *options]) == 0
        run = ["--neuron", "lif", "--method", "none", "--steps", "3", "--test-images", "5", "--backend", "nengo"]
        assert cli.main(["convert", str(tmp_path / "first.snn"), str(tmp_path / "second.snn"), *run]) == 0
        assert re.search(r"\d s .*\bnengo\b", capsys.readouterr().out)
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
            assert "it has the response of LIF" in capsys.readouterr().err

    @pytest.mark.parametrize("method", ["data", "model"])
    def test_data_of_another_shape_are_found_before_anything_is_done(self, method, tmp_path, capsys):
        snc.preset("diehl-mnist", (20, 20, 1)).save(tmp_path / "model.keras")
        assert cli.main(["convert", str(tmp_path / "model.keras"), str(tmp_path / "o.npz"), "--method", method]) == 1
        printed = capsys.readouterr()
        assert "the data set digits does not fit" in printed.err
        assert not printed.out
        assert not (tmp_path / "o.npz").exists()

    def test_more_classes_than_outputs(self, tmp_path, capsys):
        snc.preset("diehl-mnist", classes=4).save(tmp_path / "model.keras")
        assert cli.main(["convert", str(tmp_path / "model.keras"), str(tmp_path / "o.npz")]) == 1
        assert "4 outputs" in capsys.readouterr().err

    def test_files_that_cannot_be_written_are_found_before_anything_is_done(self, small, tmp_path, capsys):
        (tmp_path / "file").write_text("")
        for arguments, message in (
            ([str(tmp_path / "file" / "out.npz")], "File exists"),
            ([str(tmp_path)], "is a folder"),
            ([str(tmp_path / "out.npz"), "--report", str(tmp_path)], "is a folder"),
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


def test_neurons_of_a_spiking_source_are_not_replaced_silently(tmp_path, capsys):
    model = make(
        specs.Input("image", shape=(28, 28, 1)),
        specs.AveragePool("pool", "image", pool_size=(14, 14)),
        specs.Flatten("flat", "pool"),
        specs.Dense("d1", "flat", units=3),
        specs.Rectifier("n1", "d1"),
        specs.Dense("d2", "n1", units=3),
        specs.Rectifier("n2", "d2"),
        specs.Dense("scores", "n2", units=10),
    )
    source, output = tmp_path / "mixed.npz", tmp_path / "n.npz"
    network = snc.normalize(snc.convert(model), method="model")
    types = {"n1": nengo.LIF(min_voltage=-5), "*": snc.IntegrateAndFire()}
    snc.save(snc.to_spiking(network, types), source)
    command = ["convert", str(source), str(output), "--method", "none", "--no-evaluate"]
    assert cli.main(command) == 0
    printed = capsys.readouterr().out
    assert f"{'neurons':<27}IntegrateAndFire\n" in printed
    assert "replace those of mixed.npz, LIF in n1, IntegrateAndFire elsewhere: --neuron and --neuron-of set" in printed
    assert "normalized anew" not in printed
    assert cli.main([*command, "--neuron-of", "n1=lif"]) == 0
    printed = capsys.readouterr().out
    assert f"{'neurons':<27}LIF in n1, IntegrateAndFire elsewhere\n" in printed
    assert "they replace" not in printed
    assert snc.load(output).settings == snc.load(source).settings
    assert cli.main(["convert", str(source), str(output), "--method", "model", "--no-evaluate"]) == 0
    assert "weights of mixed.npz were normalized anew: --method none keeps them" in capsys.readouterr().out
