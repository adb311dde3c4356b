"""Optimizers, schedules and losses of Keras 3 become those of Keras 2."""

import functools
import inspect

import numpy as np
import pytest
import session_checks

import nengo_snnconv as snc
from nengo_snnconv import SettingsError, compat
from nengo_snnconv.compat.keras_versions import ONLY_IN_KERAS3, as_keras2


class TestKeras3Objects:
    def test_same_settings_in_keras2(self):
        keras, keras2 = compat.keras3, compat.tf.keras
        schedule = keras.optimizers.schedules.PiecewiseConstantDecay([5], [0.5, 0.25])
        given = keras.optimizers.Adam(schedule, beta_1=0.5, clipnorm=2.0, weight_decay=0.125)
        made = as_keras2(given)
        assert type(made) is keras2.optimizers.Adam
        assert (made.beta_1, made.clipnorm, made.weight_decay) == (0.5, 2.0, 0.125)
        assert made.get_config()["learning_rate"]["class_name"] == "PiecewiseConstantDecay"
        assert [float(as_keras2(schedule)(step)) for step in (0, 10)] == [0.5, 0.25]

    @pytest.mark.parametrize("home", ["optimizers", "optimizers.schedules"])
    def test_every_setting_of_every_class(self, home):
        keras3, keras2 = (
            functools.reduce(getattr, home.split("."), keras) for keras in (compat.keras3, compat.tf.keras)
        )
        base = "LearningRateSchedule" if home.endswith("schedules") else "Optimizer"
        names = [
            name
            for name, cls in vars(keras3).items()
            if inspect.isclass(cls) and hasattr(keras2, name) and name not in (base, "LossScaleOptimizer")
        ]
        assert len(names) >= 6
        for name in names:
            settings = unusual_settings(getattr(keras3, name))
            found = as_keras2(getattr(keras3, name)(**settings)).get_config()
            assert {key: found[key] for key in settings} == pytest.approx(settings), name

    @pytest.mark.parametrize("engine", ["keras", "nengo_dl"])
    def test_losses_are_called_as_they_are(self, engine, rng):
        keras, keras2 = compat.keras3, compat.tf.keras
        network = snc.build_trainable(session_checks.small_model(keras2))
        x, y = rng.random((8, 4, 4, 1), dtype=np.float32), np.eye(2, dtype=np.float32)[[0, 1] * 4]
        first, second = (
            snc.train(network, x, y, epochs=2, batch_size=4, loss=loss, validation_split=0.5, engine=engine).history
            for loss in (keras.losses.Huber(delta=0.25), keras2.losses.Huber(delta=0.25))
        )
        for name in ("loss", "val_loss"):
            assert first[name] == pytest.approx(second[name], rel=1e-5)

    def test_other_objects_stay_the_same(self):
        for value in (None, "adam", {"class_name": "SGD"}, compat.tf.keras.optimizers.SGD(), compat.tf.nn.relu):
            assert as_keras2(value) is value

    def test_what_keras2_does_not_have(self):
        keras = compat.keras3

        class Own(keras.optimizers.SGD):
            pass

        for optimizer, message in [
            (
                Own(),
                "Own is an optimizer of Keras 3 that Keras 2 lacks: use one of tf.keras.optimizers",
            ),
            (keras.optimizers.SGD(gradient_accumulation_steps=2), "SGD, .*a setting that Keras 2 lacks"),
        ]:
            with pytest.raises(SettingsError, match=message) as error:
                as_keras2(optimizer)
            assert "\n" not in str(error.value)


def unusual_settings(cls):
    """Return non-default values of all arguments that Keras 2 and 3 share."""
    settings = {}
    for parameter in inspect.signature(cls).parameters.values():
        default, name = parameter.default, parameter.name
        if name in ("name", "kwargs", "clipnorm", "clipvalue", *ONLY_IN_KERAS3):  # one kind of clipping at a time
            continue
        if isinstance(default, bool):
            settings[name] = not default
        elif isinstance(default, int | float):
            settings[name] = default / 2 or 0.25
        elif default is None:
            settings[name] = 3 if name == "ema_overwrite_frequency" else 0.125
        else:
            settings[name] = {"boundaries": [5], "values": [0.5, 0.25]}.get(name, 8)
    return settings
