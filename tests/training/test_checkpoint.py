"""Checkpoints: continuation, refusal of other trainings, interrupts, files of earlier versions."""

import os
import pathlib
import signal
import threading

import numpy as np
import pytest
from corner_images import LIF, same, train
from models import small_cnn

import nengo_snnconv as snc
from nengo_snnconv.model.archive import read_arrays
from nengo_snnconv.training.checkpoint import Checkpoint, check_same_run

FILES = pathlib.Path(__file__).parent.parent / "files" / "checkpoints"


@pytest.mark.parametrize("engine", ["keras", "nengo_dl"])
def test_resumed_equals_uninterrupted(problem, tmp_path, engine):
    path = tmp_path / "run.npz"
    options = {"augment": snc.random_affine(shift=1), "engine": engine, "validation_split": 0.2}
    whole = train(problem, epochs=4, **options)
    train(problem, epochs=2, checkpoint=path, **options)
    resumed = train(problem, epochs=4, checkpoint=path, **options)
    assert same(whole, resumed)
    assert np.allclose(resumed.history["loss"], whole.history["loss"], rtol=1e-4)


def test_early_stopping_continues(problem, tmp_path):
    x, y = problem
    options = {"validation_data": (x[90:], (y[90:] + 1) % 4), "early_stopping": 2}
    whole = train((x[:90], y[:90]), epochs=30, **options)
    for epochs in (1, 2, 30, 30):
        resumed = train((x[:90], y[:90]), epochs=epochs, checkpoint=tmp_path / "run.npz", **options)
    assert same(whole, resumed)


def test_loads_as_a_network(problem, tmp_path):
    network = train(problem, checkpoint=tmp_path / "run.npz")
    assert same(snc.load(tmp_path / "run.npz"), network)


def test_of_another_training_is_refused(problem, tmp_path):
    path = tmp_path / "run.npz"
    train(problem, checkpoint=path)
    content = path.read_bytes()
    with pytest.raises(snc.SettingsError) as caught:
        train(problem, checkpoint=path, batch_size=10)
    assert caught.value.argument == "checkpoint"
    assert str(caught.value) == (
        f"the checkpoint {path} belongs to a different training: batch_size (was 20, is 10). "
        "Use the same settings to continue it, remove the file, or choose another path"
    )
    with pytest.raises(snc.SettingsError, match="different training: training data"):
        train((problem[0] + 1, problem[1]), checkpoint=path)
    assert path.read_bytes() == content


def test_of_an_earlier_version():
    """It has the learning rate in all digits of a float32."""
    run = {"learning_rate": 0.001, "batch_size": 20}
    check_same_run("run.npz", {**run, "learning_rate": float(np.float32(0.001))}, run)
    with pytest.raises(snc.SettingsError, match="learning_rate"):
        check_same_run("run.npz", {**run, "learning_rate": 0.0011}, run)


def test_of_another_schedule_or_longer_training(problem, tmp_path):
    path = tmp_path / "run.npz"
    train(problem, checkpoint=path)
    with pytest.raises(snc.SettingsError, match="was None, is cosine"):
        train(problem, checkpoint=path, schedule="cosine")
    with pytest.raises(snc.SettingsError, match="more than epochs=2") as caught:
        train(problem, checkpoint=path, epochs=2)
    assert caught.value.argument == "epochs"
    with pytest.raises(snc.SettingsError, match=r"validation data \(was None"):
        train(problem, checkpoint=path, validation_data=(problem[0][:30], problem[1][:30]))
    with pytest.raises(snc.SettingsError, match=r"epochs before \(was 0"):
        snc.train(train(problem, epochs=1), *problem, epochs=3, batch_size=20, learning_rate=0.01, checkpoint=path)


def test_a_cosine_schedule_cannot_be_extended(problem, tmp_path):
    train(problem, checkpoint=tmp_path / "run.npz", schedule="cosine")
    with pytest.raises(snc.SettingsError, match="was 3, is 5"):
        train(problem, checkpoint=tmp_path / "run.npz", schedule="cosine", epochs=5)


def test_a_network_is_not_overwritten(problem, tmp_path):
    path = tmp_path / "network.npz"
    snc.save(snc.build_trainable(small_cnn(), LIF), path)
    with pytest.raises(snc.SettingsError, match="not a checkpoint"):
        train(problem, checkpoint=path)


def test_interrupting_loses_at_most_one_epoch(problem, tmp_path):
    path = tmp_path / "run.npz"

    def interrupt(epoch, figures):
        if epoch == 2:  # a Control-C during the third epoch
            threading.Timer(0.02, os.kill, (os.getpid(), signal.SIGINT)).start()

    options = {"epochs": 2000, "checkpoint": path}
    with pytest.raises(snc.TrainingInterrupted, match=r"after \d+ of 2000") as stop:
        train(problem, on_epoch=interrupt, **options)
    done = len(stop.value.network.history["loss"])
    assert done >= 2
    assert same(stop.value.network, snc.load(path))
    assert same(train(problem, epochs=done), stop.value.network)
    assert same(train(problem, epochs=done + 1, checkpoint=path), train(problem, epochs=done + 1))


@pytest.mark.parametrize("name", ["rates", "through-time"])
def test_files_of_earlier_versions_are_read(name):
    """They were written after two epochs, when ``train`` was a single function."""
    path = FILES / f"{name}.npz"
    run = read_arrays(path)[0]["training"]["run"]
    saved = Checkpoint(path, run).read()
    assert saved.progress["epoch"] == 2 == len(saved.progress["history"]["loss"])
    assert (saved.best_arrays is None) == (name == "through-time")
    assert snc.load(path).model.arrays.keys() == saved.arrays.keys()
