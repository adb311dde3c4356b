"""The command to-ttfs."""

import json

import pytest

import nengo_snnconv as snc
from nengo_snnconv import cli


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
            (["--threshold", "most"], "must be search, percentile"),
            (["--percentile", "99"], "--percentile applies"),
            (["--threshold", "1.5", "--per", "channel"], "--per applies"),
            (["--no-evaluate", "--test-images", "3"], "--test-images does not apply"),
            (["--report", "b.npz"], "the same file"),
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
