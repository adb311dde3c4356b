"""The command show."""

import json

import numpy as np
from models import small_cnn

import nengo_snnconv as snc
from nengo_snnconv.cli import main


def test_networks_and_models(tmp_path, capsys):
    model, x = small_cnn(), np.random.default_rng(0).random((4, 6, 6, 2), dtype=np.float32)
    network = snc.to_spiking(snc.normalize(snc.convert(model), x), snc.SignedIntegrateAndFire())
    snc.save(network, tmp_path / "network.npz")
    snc.save(model, tmp_path / "model.npz")
    assert main(["show", str(tmp_path / "network.npz"), "--json", str(tmp_path / "n.json")]) == 0
    text = capsys.readouterr().out
    assert "SignedIntegrateAndFire" in text and "made by" in text and "percentile" in text
    assert all(name in text for name in model.layers)
    results = json.loads((tmp_path / "n.json").read_text())
    assert results["layers"] == {name: list(shape) for name, shape in network.model.shapes.items()}
    assert main(["show", str(tmp_path / "model.npz")]) == 0
    text = capsys.readouterr().out
    assert "a model" in text and all(name in text for name in model.layers)


def test_a_missing_file(tmp_path, capsys):
    assert main(["show", str(tmp_path / "none.npz")]) == 1
    assert "none.npz" in capsys.readouterr().err
