"""Keras 3 objects where Keras 2 is needed: they are refused by name, or rebuilt in Keras 2."""

from __future__ import annotations

import functools
import inspect
import sys
import types
from typing import Any

from .. import compat
from ..errors import CompatibilityError, SettingsError

# base class in Keras 3: (noun, module of Keras 2 with the classes of this kind)
KINDS = {
    "Model": ("a model", "models"),
    "Layer": ("a layer", "layers"),
    "Optimizer": ("an optimizer", "optimizers"),
    "LearningRateSchedule": ("a learning rate schedule", "optimizers.schedules"),
    "Loss": ("a loss", "losses"),
    "Metric": ("a metric", "metrics"),
    "Callback": ("a callback", "callbacks"),
}
# settings of optimizers that Keras 2 lacks; they are unset by default
ONLY_IN_KERAS3 = ("loss_scale_factor", "gradient_accumulation_steps")

# arguments that nengo_dl passes to Keras 2, {module: [(class, method, arguments)]}; losses of Keras 3 work there
GUARDED: dict[str, list[tuple[str, str, tuple[str, ...]]]] = {
    "nengo_dl.tensor_node": [("TensorFuncParam", "coerce", ("value",))],
    "nengo_dl.converter": [("Converter", "__init__", ("model",))],
    "nengo_dl.simulator": [
        ("Simulator", "compile", ("args", "metrics", "kwargs")),
        ("Simulator", "fit", ("kwargs",)),
        ("Simulator", "evaluate", ("kwargs",)),
        ("Simulator", "predict", ("kwargs",)),
    ],
}


def add_guards(module: types.ModuleType) -> None:
    """Make a module of nengo_dl refuse Keras 3 objects, which would fail deep inside Keras 2."""
    for owner, name, arguments in GUARDED.get(module.__name__, ()):
        cls = getattr(module, owner)
        setattr(cls, name, _guarded(getattr(cls, name), arguments))


def _guarded(method, names):
    signature = inspect.signature(method)

    @functools.wraps(method)
    def guarded(*arguments, **options):
        try:
            given = signature.bind(*arguments, **options).arguments
        except TypeError:  # the method raises it, too
            given = {}
        refuse_keras3(*(given.get(name) for name in names))
        return method(*arguments, **options)

    return guarded


def refuse_keras3(*values: Any) -> None:
    """Raise CompatibilityError for the first Keras 3 object, also in nested lists and dicts."""
    for value in values:
        if isinstance(value, dict):
            refuse_keras3(*value.values())
        elif isinstance(value, list | tuple):
            refuse_keras3(*value)
        elif _kind(value) is not None:
            name = getattr(value, "name", None)
            subject = f"{type(value).__name__} {name!r}" if isinstance(name, str) else type(value).__name__
            noun, _ = KINDS[_kind(value)]
            raise CompatibilityError(f"NengoDL needs Keras 2, and {subject} is {noun} of Keras 3: {_advice(value)}")


def as_keras2(value: Any) -> Any:
    """Return a Keras 3 optimizer or learning rate schedule rebuilt in Keras 2; return other objects unchanged.

    Losses of Keras 3 are returned unchanged, too: Keras 2 can call them, and some cannot be rebuilt, since their
    configuration lacks settings (Huber).

    Raises
    ------
    SettingsError
        If Keras 2 lacks the class or a setting.
    """
    kind = _kind(value)
    if kind not in ("Optimizer", "LearningRateSchedule"):
        return value
    noun, home = KINDS[kind]
    cls = getattr(_keras2(home), type(value).__name__, None) if _of_keras3(type(value)) else None
    if cls is None:
        raise SettingsError(f"{type(value).__name__} is {noun} of Keras 3 that Keras 2 lacks: {_advice(value)}")
    config = value.get_config()
    for name in ONLY_IN_KERAS3:
        if config.get(name) is None:
            config.pop(name, None)
    try:
        return cls.from_config(config)
    except (TypeError, ValueError) as error:
        raise SettingsError(
            f"{type(value).__name__}, {noun} of Keras 3, has a setting that Keras 2 lacks "
            f"({compat.first_line(error)}): {_advice(value)}"
        ) from error


def _kind(value):
    """Return the key of KINDS for a Keras 3 object, or None for other objects."""
    return next((cls.__name__ for cls in type(value).__mro__ if cls.__name__ in KINDS and _of_keras3(cls)), None)


def _of_keras3(cls):
    return cls.__module__.partition(".")[0] == "keras"  # Keras 2 is tf_keras


def _keras2(home):
    return functools.reduce(getattr, home.split("."), compat.tensorflow_with_keras2().keras)


def _advice(value):
    kind, name = _kind(value), type(value).__name__
    home = KINDS[kind][1]
    if kind == "Model":
        return "build it in Keras 2 (`import tf_keras`), or use nengo_snnconv.convert, which reads both"
    known = hasattr(_keras2(home), name)
    use = f"use {{}}.{home}.{name}" if known else f"use one of {{}}.{home}, or derive one from its {kind}"
    if compat.tensorflow_with_keras2() is sys.modules["tensorflow"]:
        return use.format("tf.keras")
    return (
        f"{use.format('tf_keras')} (`import tf_keras`), or import nengo_snnconv before tf.keras is first used "
        "(with TF_USE_LEGACY_KERAS unset), which makes tf.keras Keras 2"
    )
