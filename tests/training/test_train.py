"""train: arguments, results and errors."""

import nengo
import numpy as np
import pytest
from corner_images import LIF, same, train
from models import make, small_cnn

import nengo_snnconv as snc
from nengo_snnconv.compat import tf
from nengo_snnconv.model import layers as specs


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
        assert rates == [0.01, 0.005, 0.00333333]  # six digits of float32

    def test_rates_are_those_that_were_given_not_in_float32(self, problem):
        network = train(problem, epochs=1, learning_rate=1e-4)
        assert network.history["learning_rate"] == [1e-4]
        assert network.model.metadata["training"][0]["learning_rate"] == 1e-4

    def test_keras_schedule(self, problem):
        decay = tf.keras.optimizers.schedules.ExponentialDecay(0.01, 6, 0.5)
        rates = train(problem, learning_rate=decay).history["learning_rate"]
        assert rates == pytest.approx([0.01 * 0.5 ** (step / 6) for step in (5, 11, 17)], rel=1e-5)  # six digits

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
        with pytest.raises(snc.SettingsError, match="read it with snc.from_nengo") as caught:
            snc.train(nengo.Network(), *problem)
        assert caught.value.argument == "network"


class TestConvertedNetworks:
    def test_the_same_as_the_cnn(self, rng):
        """Training a converted network is training its model with rates; normalization changes nothing but scales."""
        x, y = rng.random((40, 6, 6, 2), dtype=np.float32), rng.integers(0, 3, 40)
        converted = snc.convert(small_cnn())
        options = {"epochs": 2, "batch_size": 10, "optimizer": {"class_name": "SGD", "config": {"learning_rate": 0.01}}}
        trained = snc.train(converted, x, y, **options)
        assert type(trained.settings) is type(converted.settings) and not trained.settings.neuron_type.spiking
        assert len(trained.history["loss"]) == 2
        expected = snc.train(snc.build_trainable(small_cnn(), nengo.RectifiedLinear()), x, y, **options)
        outputs = [snc.rate_model(network)(x).numpy() for network in (trained, expected, converted)]
        assert np.allclose(outputs[0], outputs[1], rtol=1e-5, atol=1e-6)
        assert not np.allclose(outputs[0], outputs[2], rtol=1e-3)
        spiking = snc.to_spiking(snc.normalize(trained, x))
        assert snc.evaluate(spiking, x, y, n_steps=64).loss_points < 10

    def test_normalized(self, rng):
        x, y = rng.random((20, 6, 6, 2), dtype=np.float32), rng.integers(0, 3, 20)
        normalized = snc.normalize(snc.convert(small_cnn(), seed=5), x)
        trained = snc.train(normalized, x, y, epochs=1, learning_rate=1e-9)
        assert trained.settings.seed == 5
        before, after = (snc.rate_model(network)(x).numpy() for network in (normalized, trained))
        assert np.allclose(after, before, rtol=1e-4, atol=1e-5)
