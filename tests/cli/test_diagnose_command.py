"""The command diagnose."""

import json

import nengo
import pytest

import nengo_snnconv as snc
from nengo_snnconv import cli


@pytest.fixture(scope="module")
def spiking_file(tmp_path_factory, digits):
    """File of a small, briefly trained and converted network; its scales are too small, so activations are clipped."""
    ann = snc.build_trainable(snc.preset("diehl-mnist"), nengo.RectifiedLinear())
    ann = snc.train(ann, digits.x_train, digits.y_train, epochs=3, batch_size=50, learning_rate=3e-3)
    network = snc.normalize(snc.convert(ann), digits.x_train[:200], percentile=5)
    path = tmp_path_factory.mktemp("networks") / "clipping.snn.npz"
    snc.save(snc.to_spiking(network), path)
    return path


def test_diagnose_prints_draws_and_reports(spiking_file, tmp_path, capsys):
    picture, report, figures = (tmp_path / name for name in ("picture.png", "report.html", "figures.json"))
    files = ["--picture", str(picture), "--report", str(report), "--json", str(figures)]
    options = ["--steps", "4", "--test-images", "20", "--max-loss", "0.5"]
    assert cli.main(["diagnose", str(spiking_file), *options, *files]) == 0
    printed = capsys.readouterr().out
    figures = json.loads(figures.read_text())
    assert "conv1_relu" in printed and "clipping" in printed
    assert figures["findings"][0]["cause"] == "clipping"
    (tried,) = figures["findings"][0]["tried"]
    assert f"tried: {100 * tried['accuracy']:.2f} % with this change: normalize again" in printed
    # these few images lose nothing, so no change can help
    assert figures["findings"][0]["remedy"] is None and "none of these changes helps" in printed
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert "<h2>Diagnosis</h2>" in report.read_text() and "Diagnosis, layer by layer" in report.read_text()


def test_diagnose_reads_networks_that_were_trained_on_firing_rates(tmp_path, capsys):
    trainable, report = tmp_path / "trainable.npz", tmp_path / "report.html"
    snc.save(snc.build_trainable(snc.preset("diehl-mnist"), nengo.LIF(amplitude=0.0025)), trainable)
    options = ["--test-images", "20", "--steps", "6", "--report", str(report)]
    assert cli.main(["diagnose", str(trainable), *options]) == 0
    printed = capsys.readouterr().out
    assert "conv1_relu" in printed and "unevenness" in printed
    assert "Diagnosis, layer by layer" in report.read_text()


def test_diagnose_runs_a_tuned_network_for_its_number_of_steps(spiking_file, tmp_path, capsys):
    network, tuned = snc.load(spiking_file), tmp_path / "tuned.npz"
    snc.save(network.rebuild(network.model.replace(metadata={**network.model.metadata, "n_steps": 5})), tuned)
    assert cli.main(["diagnose", str(tuned), "--test-images", "5", "--no-remedies"]) == 0
    assert "with spikes after 5 steps" in capsys.readouterr().out


def test_diagnose_refuses_before_it_runs(spiking_file, tmp_path, capsys):
    assert cli.main(["diagnose", str(spiking_file), "--test-images", "5", "--steps", "1", "--no-remedies"]) == 0
    assert "tried:" not in capsys.readouterr().out
    assert cli.main(["diagnose", str(spiking_file), "--picture", str(tmp_path / "picture.bmp")]) == 1
    assert "--picture must end in" in capsys.readouterr().err
    through_time = tmp_path / "through-time.npz"
    snc.save(snc.build_trainable(snc.preset("diehl-mnist"), snc.SurrogateLIF()), through_time)
    assert cli.main(["diagnose", str(through_time), "--test-images", "5"]) == 1
    assert "spikes as it was trained" in capsys.readouterr().err
    with pytest.raises(SystemExit) as wrong:
        cli.main(["diagnose", str(spiking_file), "--picture", "a.png", "--report", "a.png"])
    assert wrong.value.code == 2
