"""TrainingOptions: the arguments of ``train`` other than the network and the data, validated at construction."""

from __future__ import annotations

import dataclasses
import math
import os
import typing
from collections.abc import Callable

from .._util.validation import (
    check_callable,
    check_choice,
    check_counts,
    check_fraction,
    check_optional_counts,
    check_positive,
    check_progress,
    check_seed,
    is_number,
    shown,
)
from ..compat import tf
from ..errors import SettingsError
from ..inputs import check_pair
from .checkpoint import check_checkpoint
from .losses import check_loss_weights
from .precision import PRECISIONS
from .trainers import TRAINERS


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class TrainingOptions:
    """Arguments of :func:`nengo_snnconv.train` other than the network and the data; explained there.

    Raises
    ------
    SettingsError
        If a value is invalid, or two of them cannot be combined.
    """

    n_steps: int | None
    levels: int | None
    epochs: int
    batch_size: int
    optimizer: typing.Any
    loss: typing.Any
    loss_weights: typing.Any
    learning_rate: typing.Any
    schedule: str | Callable[[int], float] | None
    validation_split: float
    validation_data: tuple | None
    early_stopping: int | None
    teacher: Callable | None
    augment: Callable | None
    activity_penalty: float
    checkpoint: str | os.PathLike | None
    engine: str
    precision: str
    seed: int
    progress: bool | None
    on_epoch: Callable[[int, dict], object] | None

    def __post_init__(self) -> None:
        check_counts(epochs=self.epochs, batch_size=self.batch_size)
        check_optional_counts(early_stopping=self.early_stopping, levels=self.levels)
        check_seed(self.seed)
        check_choice(TRAINERS, engine=self.engine)
        check_choice(PRECISIONS, precision=self.precision)
        check_progress(self.progress)
        check_callable(teacher=self.teacher, augment=self.augment, on_epoch=self.on_epoch)
        self._check_penalty()
        self._check_learning_rate()
        self._check_validation()
        check_checkpoint(self.checkpoint)
        check_loss_weights(self.loss_weights)

    def _check_penalty(self) -> None:
        if not is_number(self.activity_penalty) or not 0 <= self.activity_penalty < math.inf:
            raise SettingsError(
                f"activity_penalty must be a finite number, 0 or more; got {shown(self.activity_penalty)}",
                argument="activity_penalty",
            )

    def _check_learning_rate(self) -> None:
        keras_schedule = isinstance(self.learning_rate, tf.keras.optimizers.schedules.LearningRateSchedule)
        if self.learning_rate is not None and not keras_schedule:
            check_positive(learning_rate=self.learning_rate)
        known = self.schedule is None or (isinstance(self.schedule, str) and self.schedule == "cosine")
        if not known and not callable(self.schedule):
            raise SettingsError(
                f"schedule must be 'cosine', a function of the epoch, or None; got {shown(self.schedule)}",
                argument="schedule",
            )

    def _check_validation(self) -> None:
        check_fraction(validation_split=self.validation_split)
        if self.validation_data is not None:
            if self.validation_split:
                raise SettingsError("give validation_split or validation_data, not both")
            check_pair(self.validation_data, "validation_data")
        elif self.early_stopping is not None and not self.validation_split:
            raise SettingsError(
                "early_stopping needs validation data: give validation_split or validation_data",
                argument="early_stopping",
            )
