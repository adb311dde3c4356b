"""The command evaluate."""

import json

import nengo
import numpy as np
import pytest

import nengo_snnconv as snc
from nengo_snnconv import cli
from nengo_snnconv.evaluation.measures import Measure


def test_evaluate_keeps_the_neurons_that_were_trained(tmp_path, capsys):
    settings = {"neuron_type": nengo.LIF(amplitude=0.01), "max_rates": nengo.dists.Uniform(50, 100), "seed": 7}
    snc.save(snc.build_trainable(snc.preset("diehl-mnist"), **settings), tmp_path / "n.npz")
    arguments = ["evaluate", str(tmp_path / "n.npz"), "--test-images", "20", "--steps", "2"]
    assert cli.main([*arguments, "--json", str(tmp_path / "f.json")]) == 0
    data = snc.load_dataset("digits", test=20)
    expected = snc.evaluate(snc.load(tmp_path / "n.npz"), data.x_test, data.y_test, n_steps=2)
    assert json.loads((tmp_path / "f.json").read_text())["accuracy"] == expected.accuracy.tolist()
    assert cli.main([*arguments, "--seed", "1"]) == 1
    assert "--seed would change" in capsys.readouterr().err


def test_a_network_of_another_shape_than_the_data(tmp_path, trained, capsys, data_folder):
    snc.save(trained, tmp_path / "network.npz")
    assert cli.main(["evaluate", str(tmp_path / "network.npz"), "--data", "cifar-10"]) == 1
    assert "its images have shape (32, 32, 3), and the network takes (28, 28, 1)" in capsys.readouterr().err


@pytest.mark.parametrize(("n_steps", "shown"), [(1, [1]), (2, [1, 2]), (5, [1, 2, 4, 5]), (8, [1, 2, 4, 8])])
def test_accuracy_is_shown_at_powers_of_two_and_the_end(n_steps, shown):
    measures = [
        Measure(name, np.arange(1, n_steps + 1) / 100, None, name == "accuracy") for name in ("accuracy", "MSE")
    ]
    steps, values, errors = cli.evaluation.measures_over_time(measures).splitlines()
    assert errors.removeprefix("MSE").split() == [f"{step / 100:g}" for step in shown]
    assert steps.removeprefix("after steps").split() == [str(step) for step in shown]
    assert values.removeprefix("accuracy (%)").split() == [f"{step:.2f}" for step in shown]


def test_evaluate_of_a_model_names_the_way_out(small, capsys):
    assert cli.main(["evaluate", str(small)]) == 1
    assert "convert it with 'nengo-snnconv convert'" in capsys.readouterr().err


def test_images_stop_early(tmp_path, trained, capsys):
    snc.save(trained, tmp_path / "n.npz")
    arguments = ["evaluate", str(tmp_path / "n.npz"), "--steps", "12", "--test-images"]
    files = ["--json", str(tmp_path / "f.json"), "--report", str(tmp_path / "r.html")]
    assert cli.main([*arguments, "200", "--stop", "10", *files]) == 0
    assert "of 12 steps, chosen on 100 other test images" in capsys.readouterr().out
    data = snc.load_dataset("digits", train=1, test=200)
    rule = snc.choose_stop(snc.evaluate(trained, data.x_test[100:], data.y_test[100:], n_steps=12), max_loss=10)
    expected = snc.evaluate(trained, data.x_test[:100], data.y_test[:100], stop=rule)
    found = json.loads((tmp_path / "f.json").read_text())
    assert found["accuracy"] == expected.accuracy.tolist()
    assert found["mean_steps"] == expected.mean_steps < 12
    assert snc.read_report(tmp_path / "r.html")["evaluation"]["mean_steps"] == expected.mean_steps
    assert cli.main([*arguments, "20", "--stop", "1"]) == 1
    assert "--stop 1 needs at least 736 test images, half of them to choose the rule, got 20" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        cli.main([*arguments, "20", "--stop", "10", "--folder", str(tmp_path)])
    assert "--stop cannot be combined with --dask or --folder" in capsys.readouterr().err


def test_processes(tmp_path, trained, capsys):
    snc.save(trained, tmp_path / "n.npz")
    arguments = ["evaluate", str(tmp_path / "n.npz"), "--steps", "6", "--test-images", "200", "--stop", "10"]
    found = []
    for jobs in ((), ("--jobs", "2")):
        assert cli.main([*arguments, *jobs, "--json", str(tmp_path / "f.json")]) == 0
        results = json.loads((tmp_path / "f.json").read_text())
        found.append({name: value for name, value in results.items() if "seconds" not in name})
    assert found[0] == found[1]


def test_profile(tmp_path, trained, capsys):
    snc.save(trained, tmp_path / "n.npz")
    arguments = ["evaluate", str(tmp_path / "n.npz"), "--steps", "3", "--test-images", "60", "--profile"]
    assert cli.main([*arguments, "--json", str(tmp_path / "f.json")]) == 0
    assert "50 images, 3 steps" in capsys.readouterr().out
    layers = json.loads((tmp_path / "f.json").read_text())["profile"]["layers"]
    assert set(trained.model.neurons) <= set(layers)
    with pytest.raises(SystemExit):
        cli.main([*arguments, "--backend", "nengo_dl"])
    assert "leave --backend out" in capsys.readouterr().err
