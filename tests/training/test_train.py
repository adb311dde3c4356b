"""train: both trainers agree, arguments work, checkpoints continue, errors name the argument."""

import contextlib
import os
import signal
import threading

import nengo
import numpy as np
import pytest
from models import branched, make, small_cnn

import nengo_snnconv as snc
from nengo_snnconv.compat import tf
from nengo_snnconv.model import layers as specs
from nengo_snnconv.training.activity_penalty import count_active
from nengo_snnconv.training.optimizers import copy_optimizer
from nengo_snnconv.training.trainers import TRAINERS

LIF = nengo.LIF(amplitude=0.01)


@pytest.fixture
def problem(rng):
    """Images of four classes; the class is the bright corner."""
    y = rng.integers(0, 4, 120)
    x = rng.random((120, 6, 6, 2), dtype=np.float32) * 0.2
    for image, label in zip(x, y, strict=True):
        image[3 * (label // 2) :, 3 * (label % 2) :][:3, :3] += 0.8
    return x, y


def train(problem, model=None, **options):
    network = snc.build_trainable(small_cnn() if model is None else model, LIF)
    settings = {"epochs": 3, "batch_size": 20, "learning_rate": 0.01} | options
    return snc.train(network, *problem, **settings)


def same(first, second):
    """Return whether arrays are equal up to rounding, since threads may change the order of sums."""
    return all(np.allclose(a, second.model.arrays[name], 1e-4, 1e-5) for name, a in first.model.arrays.items())


class TestTrainers:
    """A step in plain Keras changes every array as a step in NengoDL does."""

    @pytest.mark.parametrize("optimizer", ["sgd", "adam", "rmsprop"])
    @pytest.mark.parametrize("neuron_type", [nengo.SpikingRectifiedLinear(amplitude=0.01), LIF], ids=repr)
    @pytest.mark.parametrize("model", [small_cnn(), branched()], ids=["chain", "branches"])
    def test_one_step(self, model, neuron_type, optimizer, rng):
        x = rng.random((20, *model.shapes["image"]), dtype=np.float32)
        y = rng.integers(0, 3, 20)
        # away from zero, where LIF's response has an infinite slope and rounding decides
        network = snc.build_trainable(model, neuron_type, lif_smoothing=0.05)
        keras, reference = (
            snc.train(network, x, y, epochs=1, batch_size=20, optimizer=optimizer, learning_rate=0.01, engine=engine)
            for engine in ("keras", "nengo_dl")
        )
        for name, before in network.model.arrays.items():
            change = reference.model.arrays[name] - before
            difference = keras.model.arrays[name] - reference.model.arrays[name]
            assert np.abs(change).max() > 1e-5, name
            assert np.abs(difference).max() <= 2e-3 * np.abs(change).max(), name

    def test_losses_over_epochs(self, problem):
        losses = [train(problem, engine=engine).history["loss"] for engine in ("keras", "nengo_dl")]
        assert np.allclose(*losses, rtol=0.02)

    @pytest.mark.parametrize("rows", [False, True])
    @pytest.mark.parametrize("engine", TRAINERS)
    def test_steps_are_traced_once(self, engine, rows, problem):
        x, y = problem
        network, loss = snc.build_trainable(small_cnn(), LIF), tf.keras.losses.MeanSquaredError()
        with contextlib.closing(TRAINERS[engine](network, copy_optimizer(None), loss, 40, target_rows=rows)) as trainer:
            for _ in range(2):
                trainer.fit(x, np.eye(4)[y] if rows else y, [])
            assert trainer.keras.train_tf_function.experimental_get_tracing_count() == 1

    def test_nengo_dl_trains_networks_with_synapses(self, problem):
        network = snc.build_trainable(small_cnn(), LIF, synapse=0.01)
        trained = snc.train(network, *problem, epochs=1, engine="nengo_dl")
        assert trained.settings.synapse == network.settings.synapse


class TestTrain:
    def test_learns(self, problem):
        history = train(problem, epochs=15).history
        assert history["loss"][-1] < 0.5 * history["loss"][0]
        assert history["accuracy"][-1] > 0.9
        assert set(history) == {"loss", "accuracy", "learning_rate", "seconds"}

    def test_leaves_its_arguments_alone(self, problem):
        x, y = (array.copy() for array in problem)
        network = snc.build_trainable(small_cnn(), LIF)
        before = dict(network.model.arrays)
        optimizer = tf.keras.optimizers.SGD(0.1)
        snc.train(network, x, y, epochs=1, optimizer=optimizer)
        assert np.array_equal(x, problem[0])
        assert np.array_equal(y, problem[1])
        assert network.model.arrays == before
        assert int(optimizer.iterations) == 0

    def test_same_seed_same_result(self, problem):
        first, again, other = (train(problem, seed=seed) for seed in (1, 1, 2))
        assert same(first, again)
        assert not same(first, other)

    def test_one_hot_targets(self, problem):
        x, y = problem
        one, other = (train((x, targets)).history for targets in (y, np.eye(4)[y]))
        assert np.allclose(one["loss"], other["loss"], rtol=1e-4)
        assert np.allclose(one["accuracy"], other["accuracy"], atol=1 / 120)

    @pytest.mark.parametrize("loss", ["sparse_categorical_crossentropy", tf.keras.losses.MeanSquaredError()])
    def test_other_losses(self, problem, loss):
        x, y = problem
        history = train((x, y if isinstance(loss, str) else np.eye(4)[y]), loss=loss, epochs=5).history
        assert history["loss"][-1] < history["loss"][0]

    def test_validation_split_takes_the_last_images(self, problem):
        x, y = problem
        split = train(problem, validation_split=0.25).history
        given = train((x[:90], y[:90]), validation_data=(x[90:], y[90:])).history
        assert np.allclose(split["val_loss"], given["val_loss"], rtol=1e-4)
        assert np.allclose(split["loss"], given["loss"], rtol=1e-4)
        assert 0 <= split["val_accuracy"][-1] <= 1

    def test_validation_figures_are_those_of_the_returned_network(self, problem):
        x, y = problem
        network = train((x[:90], y[:90]), validation_data=(x[90:], y[90:]))
        scores = snc.rate_model(network).predict(x[90:], verbose=0)
        assert network.history["val_accuracy"][-1] == (scores.argmax(axis=1) == y[90:]).mean()

    def test_cosine_schedule_falls_to_zero(self, problem):
        rates = train(problem, epochs=4, schedule="cosine").history["learning_rate"]
        assert rates == pytest.approx(
            [0.01 * (1 + np.cos(np.pi * step / 24)) / 2 for step in (5, 11, 17, 23)], rel=1e-4
        )

    def test_schedule_as_a_function(self, problem):
        rates = train(problem, schedule=lambda epoch: 0.01 / (epoch + 1)).history["learning_rate"]
        assert rates == pytest.approx([0.01, 0.005, 0.01 / 3])

    def test_keras_schedule(self, problem):
        decay = tf.keras.optimizers.schedules.ExponentialDecay(0.01, 6, 0.5)
        rates = train(problem, learning_rate=decay).history["learning_rate"]
        assert rates == pytest.approx([0.01 * 0.5 ** (step / 6) for step in (5, 11, 17)])

    def test_early_stopping_returns_the_best_epoch(self, problem):
        x, y = problem
        options = {"validation_data": (x[90:], (y[90:] + 1) % 4), "early_stopping": 2, "epochs": 30}
        stopped = train((x[:90], y[:90]), **options)
        losses = stopped.history["val_loss"]
        best = int(np.argmin(losses))
        assert len(losses) == best + 3 < 30
        until_best = train((x[:90], y[:90]), validation_data=options["validation_data"], epochs=best + 1)
        assert same(stopped, until_best)

    def test_early_stopping_on_a_plateau(self, problem):
        constant = tf.keras.losses.MeanSquaredError()
        options = {"learning_rate": 1e-30, "early_stopping": 2, "epochs": 6, "loss": constant}
        x, targets = problem[0], np.eye(4)[problem[1]]
        history = train((x, targets), validation_data=(x, targets), **options).history
        assert len(history["loss"]) == 3

    def test_unknown_neuron_types(self, problem):
        class Own(nengo.LIF):
            pass

        network = snc.build_trainable(small_cnn(), Own(amplitude=0.01))
        assert snc.train(network, *problem, epochs=1).history["loss"]

    def test_fewer_images_than_a_batch(self, problem):
        x, y = problem
        assert train((x[:40], y[:40]), batch_size=200, validation_split=0.2).history["loss"]

    def test_augmentation_is_seeded_and_changes_the_result(self, problem):
        augment = snc.random_affine(shift=1)
        first, again = (train(problem, augment=augment) for _ in range(2))
        assert same(first, again)
        assert not same(first, train(problem))

    def test_training_again_extends_the_history(self, problem):
        first = train(problem, epochs=2)
        second = snc.train(first, *problem, epochs=1)
        assert second.history["loss"][:2] == first.history["loss"]
        assert len(second.history["loss"]) == 3
        third = snc.train(second, *problem, epochs=1, validation_split=0.5)
        assert third.history["val_loss"][:3] == [None] * 3
        assert len(third.history["val_loss"]) == 4
        snc.plot_history(third.history)
        assert len(first.history["loss"]) == 2

    def test_on_epoch_is_called_after_each_epoch(self, problem):
        calls = []
        network = train(problem, on_epoch=lambda epoch, figures: calls.append((epoch, figures["loss"])))
        assert calls == list(enumerate(network.history["loss"], start=1))

    def test_dropout(self, problem):
        model = make(
            specs.Input("image", shape=(6, 6, 2)),
            specs.Flatten("flat", "image"),
            specs.Dense("hidden", "flat", units=20),
            specs.Rectifier("neurons", "hidden"),
            specs.Dropout("drop", "neurons", rate=0.3),
            specs.Dense("scores", "drop", units=4),
        )
        first, again = (train(problem, model, epochs=5) for _ in range(2))
        assert same(first, again)
        assert first.history["loss"][-1] < first.history["loss"][0]


class TestCheckpoint:
    @pytest.mark.parametrize("engine", ["keras", "nengo_dl"])
    def test_resumed_equals_uninterrupted(self, problem, tmp_path, engine):
        path = tmp_path / "run.npz"
        options = {"augment": snc.random_affine(shift=1), "engine": engine, "validation_split": 0.2}
        whole = train(problem, epochs=4, **options)
        train(problem, epochs=2, checkpoint=path, **options)
        resumed = train(problem, epochs=4, checkpoint=path, **options)
        assert same(whole, resumed)
        assert np.allclose(resumed.history["loss"], whole.history["loss"], rtol=1e-4)

    def test_early_stopping_continues(self, problem, tmp_path):
        x, y = problem
        options = {"validation_data": (x[90:], (y[90:] + 1) % 4), "early_stopping": 2}
        whole = train((x[:90], y[:90]), epochs=30, **options)
        for epochs in (1, 2, 30, 30):
            resumed = train((x[:90], y[:90]), epochs=epochs, checkpoint=tmp_path / "run.npz", **options)
        assert same(whole, resumed)

    def test_loads_as_a_network(self, problem, tmp_path):
        network = train(problem, checkpoint=tmp_path / "run.npz")
        assert same(snc.load(tmp_path / "run.npz"), network)

    def test_of_another_training_is_refused(self, problem, tmp_path):
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

    def test_of_another_schedule_or_longer_training(self, problem, tmp_path):
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

    def test_a_cosine_schedule_cannot_be_extended(self, problem, tmp_path):
        train(problem, checkpoint=tmp_path / "run.npz", schedule="cosine")
        with pytest.raises(snc.SettingsError, match="was 3, is 5"):
            train(problem, checkpoint=tmp_path / "run.npz", schedule="cosine", epochs=5)

    def test_a_network_is_not_overwritten(self, problem, tmp_path):
        path = tmp_path / "network.npz"
        snc.save(snc.build_trainable(small_cnn(), LIF), path)
        with pytest.raises(snc.SettingsError, match="not a checkpoint"):
            train(problem, checkpoint=path)

    def test_interrupting_loses_at_most_one_epoch(self, problem, tmp_path):
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


class TestErrors:
    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"seed": None}, "seed must be"),
            ({"early_stopping": 0, "validation_split": 0.5}, "early_stopping must be"),
            ({"epochs": 0}, "epochs must be"),
            ({"batch_size": 2.5}, "batch_size must be"),
            ({"engine": "torch"}, "engine must be .* 'nengo_dl'"),
            ({"validation_split": 1}, "validation_split must be"),
            ({"learning_rate": -1}, "learning_rate must be"),
            ({"loss": lambda y, scores: scores[:, 0] * np.nan}, "NaN in epoch 1"),
            ({"validation_split": 0.5, "validation_data": (0, 0)}, "not both"),
        ],
    )
    def test_settings(self, problem, options, message):
        with pytest.raises(snc.SettingsError, match=message):
            train(problem, **options)

    @pytest.mark.parametrize(
        ("options", "argument"),
        [
            ({"optimizer": "adamm"}, "optimizer"),
            ({"optimizer": tf.keras.optimizers.SGD(0.0), "learning_rate": None}, "learning_rate"),
            ({"loss": "mze"}, "loss"),
            ({"loss": "sparse_mze"}, "loss"),
            ({"schedule": "step"}, "schedule"),
            ({"schedule": "cosine", "learning_rate": tf.keras.optimizers.schedules.CosineDecay(0.1, 5)}, "schedule"),
            ({"validation_data": 5}, "validation_data"),
            ({"validation_split": 0.999}, "validation_split"),
            ({"early_stopping": 3}, "early_stopping"),
            ({"early_stopping": 3, "validation_split": 0.001}, "early_stopping"),
            ({"checkpoint": "."}, "checkpoint"),
            ({"n_steps": 4}, "n_steps"),
            ({"augment": lambda x, rng: x[:, 1:]}, "augment"),
        ],
    )
    def test_the_error_names_the_argument(self, problem, options, argument):
        with pytest.raises(snc.SettingsError) as caught:
            train(problem, **options)
        assert caught.value.argument == argument

    def test_wording(self, problem):
        with pytest.raises(snc.SettingsError) as caught:
            train(problem, loss="mse")
        assert str(caught.value) == (
            "loss='mse' needs targets of shape (images, classes), but y holds class numbers: use one-hot rows"
        )

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            (lambda x, y: (x[..., :1], y), "x must have shape"),
            (lambda x, y: (x[:5], y), "5 and 120"),
            (lambda x, y: (x[:0], y[:0]), r"\(0, 6, 6, 2\)"),
            (lambda x, y: ((255 * x).astype(np.uint8), y), "by 255"),
            (lambda x, y: (x, y + 1), "4 outputs"),
            (lambda x, y: (x, y / 2), "float64"),
            (lambda x, y: (x, np.eye(3)[y % 3]), "y must have shape"),
            (lambda x, y: (x * np.nan, y), "NaN"),
        ],
    )
    def test_data(self, problem, change, message):
        with pytest.raises(snc.SettingsError, match=message):
            train(change(*problem))

    def test_output_of_another_shape(self, problem):
        model = make(specs.Input("image", shape=(6, 6, 2)), specs.Dense("dense", "image", units=4))
        with pytest.raises(snc.SettingsError, match="with Flatten"):
            train(problem, model)

    def test_other_networks(self, problem):
        with pytest.raises(snc.SettingsError, match="made by build_trainable") as caught:
            snc.train(nengo.Network(), *problem)
        assert caught.value.argument == "network"


class TestRandomAffine:
    def test_zero_is_the_identity(self, problem, rng):
        images = problem[0]
        assert np.allclose(snc.random_affine(0, 0, 0)(images, rng), images, atol=1e-6)

    def test_shift_moves_the_centre(self, rng):
        images = np.zeros((500, 28, 28, 1), np.float32)
        images[:, 12:16, 12:16] = 1
        moved = snc.random_affine(0, 0, 3)(images, rng)
        grid = np.arange(28)
        rows = (moved[..., 0].sum(axis=2) * grid).sum(axis=1) / moved.sum(axis=(1, 2, 3))
        assert rows.min() < 11
        assert rows.max() > 16
        assert abs(rows.mean() - 13.5) < 0.3
        assert np.abs(rows - 13.5).max() < 3.01

    def test_scale_and_rotation_keep_the_centre(self, rng):
        images = np.zeros((200, 28, 28, 1), np.float32)
        images[:, 8:20, 12:16] = 1
        moved = snc.random_affine(20, 0.2, 0)(images, rng)
        sizes = moved.sum(axis=(1, 2, 3)) / images[0].sum()
        assert 0.6 < sizes.min() < 0.8
        assert 1.2 < sizes.max() < 1.5
        rows = (moved[..., 0].sum(axis=2) * np.arange(28)).sum(axis=1) / moved.sum(axis=(1, 2, 3))
        assert np.abs(rows - 13.5).max() < 0.1

    def test_refused(self):
        with pytest.raises(snc.SettingsError, match="scale must be"):
            snc.random_affine(scale=1.5)


class TestActivityPenalty:
    def test_measure_counts_equally_active_neurons(self):
        activity = np.zeros((4, 3, 5, 2), np.float32)
        activity[1, 0, 0, 0] = 7
        activity[2, :, 1] = 0.5
        activity[3] = 1e-3
        np.testing.assert_allclose(count_active(tf.constant(activity))[:, 0], [0, 1, 6, 30], rtol=1e-5)

    def test_fewer_neurons_are_active(self, problem):
        plain, sparse = (train(problem, activity_penalty=weight, epochs=8) for weight in (0.0, 3.0))
        x = problem[0]
        names = [name for name, layer in plain.model.layers.items() if isinstance(layer, specs.Rectifier)]
        shares = [np.mean([(a > 0).mean() for a in as_list(snc.rate_model(n, names)(x))]) for n in (plain, sparse)]
        assert shares[1] < 0.7 * shares[0]
        assert "active" not in plain.history
        assert sparse.history["active"][-1] < sparse.history["active"][0]

    def test_trainers_make_the_same_steps(self, problem):
        one, other = (train(problem, activity_penalty=1.0, epochs=2, engine=e).history for e in ("keras", "nengo_dl"))
        for name in ("loss", "accuracy", "active"):
            np.testing.assert_allclose(one[name], other[name], rtol=1e-4)

    def test_early_stopping_waits_for_the_final_weight(self, problem):
        options = {"validation_data": problem, "early_stopping": 1, "learning_rate": 1e-9}  # no improvement
        assert len(train(problem, epochs=8, **options).history["loss"]) < 4
        penalised = train(problem, epochs=8, activity_penalty=1.0, **options)
        assert 4 <= len(penalised.history["loss"]) <= 6

    def test_a_network_without_neurons_is_refused(self, problem):
        model = make(specs.Input("image", shape=(6, 6, 2)), specs.Flatten("f", "image"), specs.Dense("d", "f", units=4))
        with pytest.raises(snc.SettingsError, match="has none") as caught:
            train(problem, model, activity_penalty=1.0)
        assert caught.value.argument == "activity_penalty"

    @pytest.mark.parametrize("weight", [-1, np.inf, np.nan, "1", True])
    def test_refused(self, problem, weight):
        with pytest.raises(snc.SettingsError) as caught:
            train(problem, activity_penalty=weight)
        assert caught.value.argument == "activity_penalty"


def as_list(activity):
    return [each.numpy() for each in (activity if isinstance(activity, list) else [activity])]
