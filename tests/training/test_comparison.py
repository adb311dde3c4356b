"""compare: networks, tables, continuation in a folder, the command line."""

import dataclasses
import json

import nengo
import numpy as np
import pytest

import nengo_snnconv as snc
from nengo_snnconv import cli
from nengo_snnconv.training.comparison import images_of, simulated_events
from nengo_snnconv.training.comparison_result import Trained

SETTINGS = {"steps": (2, 3), "epochs": 2, "batch_size": 20}
COMMAND = ["--steps", "2", "3", "--epochs", "2", "--batch-size", "20", "--train-items", "60", "--test-items", "30"]
FIGURES = ("loss", "accuracy", "val_loss", "val_accuracy")


@pytest.fixture(scope="module")
def images():
    return snc.load_dataset("digits", train=60, test=30)


@pytest.fixture(scope="module")
def events(images):
    return simulated_events(images)


@pytest.fixture(scope="module")
def comparison(images, events):
    """A comparison without interruption."""
    return snc.compare(images, events, **SETTINGS)


@pytest.fixture(scope="module")
def interruption(images, events, tmp_path_factory):
    """The error that an interrupt in the first epoch of snn-3 raises, and the folder."""

    def on_epoch(name, epoch, figures):
        if (name, epoch) == ("snn-3", 1):
            raise KeyboardInterrupt

    folder = tmp_path_factory.mktemp("comparison")
    with pytest.raises(snc.TrainingInterrupted) as caught:
        snc.compare(images, events, **SETTINGS, folder=folder, on_epoch=on_epoch)
    return caught.value, folder


@pytest.fixture(scope="module")
def continued(images, interruption):
    """The comparison that the same call continues in the folder, and the epochs that it trains."""
    epochs = []
    comparison = snc.compare(
        images, **SETTINGS, folder=interruption[1], on_epoch=lambda *epoch: epochs.append(epoch[:2])
    )
    return comparison, epochs


def test_networks_of_the_same_layers(comparison):
    assert list(comparison.networks) == ["cnn", "snn-2", "snn-3"]
    cnn, snn = comparison.networks["cnn"], comparison.networks["snn-3"]
    assert (cnn.settings.neuron_type, snn.settings.neuron_type) == (nengo.RectifiedLinear(), snc.SurrogateLIF())
    assert list(snn.model.layers) == [*cnn.model.layers, "output_neurons"]
    shapes = [network.model.arrays["conv3/kernel"].shape for network in comparison.networks.values()]
    assert shapes == [(3, 3, 64, 64)] * 3
    assert (cnn.model.shapes["image"], snn.model.shapes["image"]) == ((28, 28, 1), (34, 34, 2))


def test_test_figures_are_those_of_the_trained_networks(comparison, images, events):
    cnn, snn = (comparison.trained[name] for name in ("cnn", "snn-3"))
    scores = snc.rate_model(cnn.network).predict(images.x_test, verbose=0)
    assert cnn.test_accuracy == np.mean(scores.argmax(axis=1) == images.y_test)
    evaluation = snc.evaluate(snn.network, events.test, events.test.labels, n_steps=3)
    assert snn.test_accuracy == pytest.approx(evaluation.accuracy[-1])
    targets = np.eye(10)[events.test.labels]
    assert snn.test_loss == pytest.approx(np.mean((evaluation.scores - targets) ** 2), rel=1e-4)


def test_figures_come_from_the_histories():
    history = {"loss": [3.0, 2.0, 0.125], "accuracy": [0.1, 0.5, 0.75], "val_loss": [4.0, 3.0, 0.25]}
    history |= {"val_accuracy": [0.2, 0.4, 0.5], "seconds": [60.0, 11.0, 12.0], "val_seconds": [20.0, 1.0, 3.0]}
    network = snc.build_trainable(snc.preset("diehl-mnist"))
    network = network.rebuild(network.model.replace(metadata={"history": history}))
    comparison = snc.Comparison({"cnn": Trained(network, None, 2000, 500), "snn-8": Trained(network, 8, 400, 50)}, {})
    results, seconds = ([" ".join(line.split()) for line in text.splitlines()] for text in comparison.tables())
    assert results[1] == "CNN cross-entropy 0.1250 0.2500 75.00 % 50.00 %"
    assert results[2] == "SNN, 8 steps squared error of rates 0.1250 0.2500 75.00 % 50.00 %"
    # the medians of 40, 10 and 9, and of 20, 1 and 3
    assert seconds[1] == "CNN 2,000 10.00 s 5.000 s 500 3.00 s 6.000 s"
    assert seconds[2] == "SNN, 8 steps 400 10.00 s 25.000 s 50 3.00 s 60.000 s"
    figures = comparison.to_dict()["networks"]["snn-8"]
    assert figures["train_seconds_per_thousand"] == 25
    assert figures["test_seconds_per_thousand"] == 60
    assert figures["history"] == history
    assert "| CNN | cross-entropy | 0.1250 | 0.2500 | 75.00 % | 50.00 % |" in comparison.tables(markdown=True)[0]


def test_an_interruption_says_how_to_continue(interruption):
    error, folder = interruption
    assert f"after 1 of 2 epochs of snn-3; run it again to continue in {folder}" in str(error)
    assert len(error.network.history["loss"]) == 1
    assert sorted(path.name for path in folder.glob("*.npz")) == ["cnn.snn.npz", "snn-2.snn.npz"]


def test_finished_trainings_are_not_repeated(continued):
    assert continued[1] == [("snn-3", 2)]


def test_continued_equals_uninterrupted(continued, comparison):
    """Dropout in the epoch after the interruption is different."""
    for name, history in comparison.histories.items():
        n_same = 1 if name == "snn-3" else 2
        for figure in FIGURES:
            found = continued[0].histories[name][figure]
            assert len(found) == 2
            assert found[:n_same] == pytest.approx(history[figure][:n_same], rel=1e-3, abs=1e-6), (name, figure)


def test_saved_networks_are_those_of_the_comparison(continued, interruption):
    for name, network in continued[0].networks.items():
        saved = snc.load(interruption[1] / f"{name}.snn.npz")
        assert saved.history == network.history
        assert all(np.array_equal(array, network.model.arrays[key]) for key, array in saved.model.arrays.items())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"learning_rate": 0.01}, r"learning_rate \(was 0.003"),
        ({"seed": 1}, "different training"),
        ({"augment": None}, r"augmented \(was True"),
    ],
)
def test_a_folder_of_other_settings(changes, message, images, events, continued, interruption):
    with pytest.raises(snc.SettingsError, match=message):
        snc.compare(images, events, folder=interruption[1], **(SETTINGS | changes))


def test_a_folder_of_other_recordings(images, events, continued, interruption):
    others = dataclasses.replace(events, test=events.test[::-1])
    with pytest.raises(snc.SettingsError, match="snn-2.npz .* validation data"):
        snc.compare(images, others, folder=interruption[1], **SETTINGS)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("steps", 16),
        ("steps", ()),
        ("steps", (4, 4)),
        ("steps", (4, 0)),
        ("epochs", 0),
        ("batch_size", 2.5),
        ("learning_rate", 0),
        ("learning_rate", "fast"),
        ("augment", 3),
        ("seed", -1),
        ("images", np.zeros((3, 28, 28, 1))),
        ("events", "n-mnist"),
    ],
)
def test_wrong_arguments_are_refused_before_anything_is_written(name, value, images, tmp_path):
    arguments = {"images": images, "folder": tmp_path / "folder"} | {name: value}
    with pytest.raises(snc.SettingsError, match=f"{name} must be"):
        snc.compare(**arguments)
    assert not list(tmp_path.iterdir())


def test_wording_of_errors(images):
    with pytest.raises(snc.SettingsError) as caught:
        snc.compare(images, steps=(4, 4))
    assert caught.value.argument == "steps"
    assert str(caught.value) == (
        "steps must be one or more different numbers of time steps, such as (4, 8, 16, 32); got (4, 4)"
    )
    with pytest.raises(snc.SettingsError) as caught:
        snc.compare(images.x_train)
    assert caught.value.argument == "images"
    assert str(caught.value) == "images must be a Dataset, got ndarray: load_dataset returns one"


def test_recordings_of_other_classes_are_refused(images, events):
    letters = dataclasses.replace(events, class_names=("a", "b"))
    with pytest.raises(snc.SettingsError, match="the classes a, b"):
        snc.compare(images, letters)
    unfit = dataclasses.replace(images, class_names=("0", "1"))
    with pytest.raises(snc.SettingsError, match="2 outputs"):
        snc.compare(unfit)


def test_test_recordings_are_not_those_of_training(images):
    same = dataclasses.replace(images, x_test=images.x_train, y_test=images.y_train)
    first, other = simulated_events(same), simulated_events(same, seed=1)
    assert first.train.checksum() != first.test.checksum()
    assert first.train.checksum() != other.train.checksum()
    assert first.test.checksum() == other.test.checksum()


def test_images_that_recordings_show(images, events):
    events = dataclasses.replace(events, train=events.train[[7, 3]], test=events.test[5:8])
    found = images_of(events, images)
    assert np.array_equal(found.x_train, images.x_train[[7, 3]])
    assert np.array_equal(found.y_test, images.y_test[5:8])
    others = dataclasses.replace(images, y_train=(images.y_train + 1) % 10)
    with pytest.raises(snc.SettingsError, match="the training recordings"):
        images_of(events, others)
    with pytest.raises(snc.SettingsError, match="the test recordings"):
        images_of(events, dataclasses.replace(images, x_test=images.x_test[:6], y_test=images.y_test[:6]))


def test_plot(comparison):
    axes = comparison.plot()
    assert [len(ax.get_lines()) for ax in axes] == [2, 4, 7]
    line = next(line for line in axes[2].get_lines() if line.get_label() == "SNN, 3 steps")
    assert list(line.get_ydata()) == [100 * share for share in comparison.histories["snn-3"]["val_accuracy"]]
    low, high = axes[2].get_ylim()
    assert all(low <= value <= high for line in axes[2].get_lines() for value in line.get_ydata())


def test_command(continued, interruption, capsys, tmp_path):
    """In a folder whose networks are trained, with the same settings as words of the command line."""
    folder = interruption[1]
    assert cli.main(["compare", str(folder), *COMMAND, "--json", str(tmp_path / "f.json")]) == 0
    printed = capsys.readouterr().out
    for text in continued[0].tables():
        assert text in printed
    assert "epoch 1" not in printed
    figures = json.loads((folder / "comparison.json").read_text())
    assert figures == json.loads(json.dumps(continued[0].to_dict())) == json.loads((tmp_path / "f.json").read_text())
    assert (folder / "comparison.png").read_bytes().startswith(b"\x89PNG")
    document = (folder / "comparison.md").read_text()
    assert continued[0].markdown() in document
    assert "- recordings: simulated from digits\n" in document


def test_command_in_a_folder_of_other_settings(continued, interruption, capsys):
    assert cli.main(["compare", str(interruption[1]), *COMMAND, "--no-augment"]) == 1
    assert "augmented (was True, is False)" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--steps", "4", "4"], "--steps must be distinct numbers"),
        (["--steps", "0"], "must be 1 or more"),
        (["--learning-rate", "0"], "must be above 0"),
        (["--json", "folder/snn-4.snn.npz"], "json is the same file as snn-4.snn.npz"),
    ],
)
def test_wrong_usage_of_the_command(options, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stop:
        cli.main(["compare", "folder", *options])
    assert stop.value.code == 2
    assert message in capsys.readouterr().err
    assert not any(path.is_file() for path in tmp_path.rglob("*"))
