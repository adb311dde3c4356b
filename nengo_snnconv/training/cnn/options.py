"""CNNOptions: the arguments of ``train_cnn`` other than the model and the data, validated at construction."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable

from ..._util.validation import (
    check_callable,
    check_choice,
    check_counts,
    check_flags,
    check_fraction,
    check_not_negative,
    check_optional_counts,
    check_positive,
    check_progress,
    check_seed,
    check_whole,
)
from ...inputs import check_pair
from ..checkpoint import check_checkpoint
from ..precision import PRECISIONS

LARGEST_SHIFT = 2**10
# for each image of a batch: of airbench94, and for the fine-tuning of trained networks
LEARNING_RATE_PER_IMAGE = 0.0015
FINE_TUNING_RATE_PER_IMAGE = 0.0003


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class CNNOptions:
    """Arguments of :func:`nengo_snnconv.train_cnn` other than the model and the data; explained there.

    Raises
    ------
    SettingsError
        If a value is invalid.
    """

    epochs: int
    batch_size: int
    learning_rate: float | None
    weight_decay: float
    label_smoothing: float
    flip: bool
    shift: int
    levels: int | None
    precision: str
    validation_data: tuple | None
    checkpoint: str | os.PathLike | None
    seed: int
    progress: bool | None
    on_epoch: Callable[[int, dict], object] | None

    @property
    def peak_rate_per_image(self) -> float:
        """Largest learning rate for each image of a batch, if ``learning_rate`` is not given."""
        return LEARNING_RATE_PER_IMAGE if self.levels is None else FINE_TUNING_RATE_PER_IMAGE

    def __post_init__(self) -> None:
        check_counts(epochs=self.epochs, batch_size=self.batch_size)
        if self.learning_rate is not None:
            check_positive(learning_rate=self.learning_rate)
        check_not_negative(weight_decay=self.weight_decay)
        check_fraction(label_smoothing=self.label_smoothing)
        check_flags(flip=self.flip)
        check_whole(0, LARGEST_SHIFT, shift=self.shift)
        check_optional_counts(levels=self.levels)
        check_choice(PRECISIONS, precision=self.precision)
        check_checkpoint(self.checkpoint)
        if self.validation_data is not None:
            check_pair(self.validation_data, "validation_data")
        check_seed(self.seed)
        check_progress(self.progress)
        check_callable(on_epoch=self.on_epoch)
