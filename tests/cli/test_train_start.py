"""The command train with --start, and the files that it does not replace."""

import json

import nengo
import pytest
from models import small_digits_cnn

import nengo_snnconv as snc
from nengo_snnconv import cli
from nengo_snnconv.model.metadata import _TRAINING

FEW = ["--train-images", "40", "--epochs", "1", "--no-augment", "--batch-size", "20"]


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Network files by name: rates, spiking, of build_trainable, and through time; none was trained."""
    folder, model = tmp_path_factory.mktemp("start"), small_digits_cnn()
    rates = snc.normalize(snc.convert(model), method="model")
    networks = {
        "rates": rates,
        "mixed": snc.to_spiking(rates, {model.neurons[0]: nengo.LIF(min_voltage=-5), "*": snc.IntegrateAndFire()}),
        "trainable": snc.build_trainable(model, nengo.RectifiedLinear()),
        "time": snc.build_trainable(model, snc.SurrogateLIF()),
    }
    for name, network in networks.items():
        snc.save(network, folder / f"{name}.npz")
    return {name: folder / f"{name}.npz" for name in networks}


@pytest.mark.parametrize(("kind", "n_steps"), [("rates", None), ("mixed", 2), ("trainable", None), ("time", 3)])
def test_what_is_trained(kind, n_steps, files, tmp_path, monkeypatch):
    """``train`` gets the network of the file, and the same command may replace the result."""
    calls, run = [], {**dict.fromkeys(_TRAINING), **({"n_steps": n_steps} if n_steps else {})}

    def train(network, x, y, **options):
        calls.append((network.settings, len(x), len(y), options["n_steps"], options["learning_rate"]))
        metadata = {**network.model.metadata, "training": [*network.model.metadata.get("training", []), run]}
        return network.rebuild(network.model.replace(metadata=metadata))

    monkeypatch.setattr(snc, "train", train)
    steps = ["--steps", str(n_steps)] if n_steps else []
    for _ in range(2):
        assert cli.main(["train", str(tmp_path / "n.npz"), "--start", str(files[kind]), *FEW, *steps]) == 0
    assert calls == 2 * [(snc.load(files[kind]).settings, 40, 40, n_steps, 2e-4)]
    # steps of a training through time are those of the last one
    last = ["train", str(tmp_path / "m.npz"), "--start", str(tmp_path / "n.npz"), *FEW]
    assert cli.main(last + steps * (kind == "mixed")) == 0
    assert calls[-1] == calls[0]


def test_trains_on(files, tmp_path):
    output, figures = tmp_path / "n.npz", tmp_path / "f.json"
    assert cli.main(["train", str(output), "--start", str(files["rates"]), *FEW, "--json", str(figures)]) == 0
    start, trained = snc.load(files["rates"]), snc.load(output)
    assert trained.settings == start.settings
    assert trained.model.shapes == start.model.shapes
    assert trained.model.metadata["training"][0]["images"] == 40
    assert len(json.loads(figures.read_text())["history"]["loss"]) == 1


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        ("rates", ["--preset", "lif-mnist", "--max-rate", "300"], "--preset and --max-rate: with --start, the layers"),
        ("rates", ["--neuron", "lif"], "--neuron: with --start, the layers and neurons are those of"),
        ("rates", ["--steps", "4"], "rates.npz is trained on its rates: leave it out"),
        ("mixed", [], "mixed.npz spikes in training: give the number of time steps, as --steps 4"),
        ("trainable", ["--events"], "event recordings train networks of SurrogateLIF neurons"),
        (None, ["--input-range", "0", "255"], "--input-range is for the network of --start"),
    ],
)
def test_wrong_usage(kind, options, message, files, tmp_path, capsys):
    start = ["--start", str(files[kind])] if kind else []
    with pytest.raises(SystemExit) as stop:
        cli.main(["train", str(tmp_path / "n.npz"), *start, *options])
    assert stop.value.code == 2
    assert message in capsys.readouterr().err


class TestExistingFiles:
    """A file that the same training did not write is not replaced."""

    @pytest.mark.parametrize("kind", ["rates", "mixed", "trainable"])
    def test_a_network_of_another_command(self, kind, files, capsys):
        before = files[kind].read_bytes()
        assert cli.main(["train", str(files[kind]), "--preset", "diehl-mnist", "--neuron", "relu", *FEW]) == 1
        (line,) = capsys.readouterr().err.splitlines()
        assert f"name another output file and give --start {files[kind]}" in line
        assert files[kind].read_bytes() == before

    def test_a_network_converted_from_the_start(self, files, capsys):
        assert cli.main(["train", str(files["mixed"]), "--start", str(files["rates"]), *FEW]) == 1
        assert "is not a result of this training" in capsys.readouterr().err

    def test_the_start_itself(self, files, capsys):
        with pytest.raises(SystemExit):
            cli.main(["train", str(files["rates"]), "--start", str(files["rates"]), *FEW])
        assert "start is the same file as output" in capsys.readouterr().err

    def test_a_model(self, small, capsys):
        assert cli.main(["train", str(small), *FEW]) == 1
        assert "name another file" in capsys.readouterr().err
