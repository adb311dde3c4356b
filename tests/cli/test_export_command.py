"""The command export, and evaluate on the file that it writes."""

import json

import numpy as np
import pytest
from models import small_digits_cnn
from nir_interpreter import chain, write_hdf5

import nengo_snnconv as snc
from nengo_snnconv import cli


def test_export_and_evaluate(tmp_path, capsys):
    pytest.importorskip("nir", reason="the package nir is not installed")
    data = snc.load_dataset("digits", train=100, test=20)
    network = snc.to_spiking(snc.normalize(snc.convert(small_digits_cnn()), data.x_train))
    snc.save(network, tmp_path / "n.npz")
    arguments = ["export", str(tmp_path / "n.npz"), str(tmp_path / "n.nir"), "--step", "1e-4"]
    assert cli.main([*arguments, "--json", str(tmp_path / "e.json")]) == 0
    assert "reset by subtraction" in capsys.readouterr().out
    assert len(json.loads((tmp_path / "e.json").read_text())["lost"]) == 2
    assert snc.read_nir(tmp_path / "n.nir").settings == network.settings
    files = ["--json", str(tmp_path / "f.json")]
    assert cli.main(["evaluate", str(tmp_path / "n.nir"), "--test-images", "20", "--steps", "8", *files]) == 0
    expected = snc.evaluate(network, data.x_test, data.y_test, n_steps=8)
    assert json.loads((tmp_path / "f.json").read_text())["accuracy"] == expected.accuracy.tolist()


def test_files_without_the_length_of_a_step(tmp_path, capsys):
    neurons = {name: np.ones(4) for name in ("r", "v_threshold")}
    ends = {"shape": np.array([4])}
    graph = chain(input={"type": "Input", **ends}, n={"type": "IF", **neurons}, output={"type": "Output", **ends})
    write_hdf5(tmp_path / "a.nir", graph)
    assert cli.main(["evaluate", str(tmp_path / "a.nir")]) == 1
    assert "how long a time step is" in capsys.readouterr().err
