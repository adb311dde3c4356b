"""Filter: the layer spec of delays and low-pass filters over time."""

from __future__ import annotations

import dataclasses

from .spec import Layer, is_int

MOST_FILTERS, MOST_DELAY = 2, 64  # of a Filter; each unit keeps its inputs of the delay


@dataclasses.dataclass(frozen=True)
class Filter(Layer):
    """Delay and low-pass filters over time; the identity for an input that does not change.

    In each step, y <- keep y + (1 - keep) x for each share in ``keeps``, one filter after another; the first reads the
    input of ``delay`` steps before.  All values are 0 before the first step.
    """

    keeps: tuple = ()
    delay: int = 0

    def __post_init__(self):
        super().__post_init__()
        is_sequence = isinstance(self.keeps, tuple | list) and len(self.keeps) <= MOST_FILTERS
        self._require(
            is_sequence and all(isinstance(keep, int | float) and 0 <= keep < 1 for keep in self.keeps),
            f"keeps must hold at most {MOST_FILTERS} numbers in [0, 1), got {self.keeps!r}",
        )
        self._set("keeps", tuple(float(keep) for keep in self.keeps))
        self._require(
            is_int(self.delay) and 0 <= self.delay <= MOST_DELAY,
            f"delay must be a whole number of steps from 0 to {MOST_DELAY}, got {self.delay!r}",
        )
