"""Options that do not fit together end with a usage error."""

import pytest

from nengo_snnconv import cli


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
        (["--method", "model", "--percentile", "99"], "--percentile applies to --method data, not to --method model"),
        (["--method", "none", "--per", "channel"], "--per applies"),
        (["--neuron", "lif", "--reset", "zero"], "--reset applies"),
        (["--neuron", "signed-if", "--reset", "zero"], "--reset applies to --neuron if, not to --neuron signed-if"),
        (["--neuron-of", "conv1=relu"], "must be LAYER=TYPE, with a type of if, "),
        (["--neuron", "lif", "--initial-potential", "0"], "--initial-potential applies to --neuron if or --neuron sig"),
        (["--input-threshold", "2"], "--input-threshold applies"),
        (["--balance-steps", "8"], "--balance-steps applies"),
        (["--no-evaluate", "--report", "r.html"], "--report does not apply with --no-evaluate"),
        (["--no-evaluate", "--backend", "nengo"], "--backend does not apply"),
        (["--no-evaluate", "--minibatch-size", "5"], "--minibatch-size does not apply"),
        (["--no-evaluate", "--skip-steps", "5"], "--skip-steps does not apply"),
        (["--no-evaluate", "--steps", "5"], "--steps applies"),
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
        (["convert", "a.keras"], "OUTPUT"),
        (["train", "a.npz", "--neuron", "relu", "--max-rate", "300"], "--max-rate applies"),
        (["train", "a.npz", "--neuron", "surrogate-lif", "--max-rate", "300"], "--max-rate applies"),
        (["train", "a.npz", "--steps", "8"], "--steps applies"),
        (["train", "a.npz", "--data", "n-mnist"], "--data n-mnist applies"),
        (["train", "a.npz", "--neuron", "relu", "--events"], "--events applies"),
        (["train", "a.npz", "--neuron", "surrogate-lif", "--data", "n-mnist", "--events"], "recordings already"),
        (["evaluate", "a.npz", "--data", "n-mnist", "--events", "--steps", "4"], "recordings already"),
        (["gui", "a.npz", "--write-script", "a.py", "--port", "8080"], "--port does not apply"),
        (["gui", "a.npz", "--write-script", "a.py", "--no-browser"], "--no-browser does not apply"),
        (["to-ttfs", "a.keras", "b.npz", "--no-evaluate", "--backend", "nengo"], "--backend does not apply"),
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


@pytest.mark.parametrize("command", ["convert", "to-ttfs", "tune", "train"])
def test_a_network_is_not_named_as_a_file_of_another_format(command, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    source = [] if command == "train" else ["a.keras"]
    assert cli.main([command, *source, "b.onnx"]) == 1
    assert "b.onnx would not be an ONNX file" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
