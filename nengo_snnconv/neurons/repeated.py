"""Repeated: a distribution with the same values again and again, such as initial potentials of groups of neurons."""

from __future__ import annotations

import typing

import numpy as np
from nengo.dists import Distribution
from nengo.params import NdarrayParam

from ..errors import SettingsError

if typing.TYPE_CHECKING:
    import numpy.typing as npt


class Repeated(Distribution):
    """Distribution that repeats the same values for each group of neurons: sample i is ``values[i % len(values)]``.

    Parameters
    ----------
    values : array_like, (group,)
        Values of a group.

    Raises
    ------
    SettingsError
        If there are no values, or they are not finite.
    nengo.exceptions.ValidationError
        If the values are not a sequence of numbers.

    Examples
    --------
    >>> from nengo_snnconv.neurons.repeated import Repeated
    >>> snc.IntegrateAndFire(initial_state={"voltage": Repeated((0.25, 0.75))})
    """

    values = NdarrayParam("values", shape=("*",))

    def __init__(self, values: npt.ArrayLike) -> None:
        super().__init__()
        self.values = values
        if not self.values.size or not np.isfinite(self.values).all():
            raise SettingsError(f"values must be finite numbers, at least one, got {values!r}", argument="values")

    def sample(self, n: int, d: int | None = None, rng: typing.Any = np.random) -> np.ndarray:
        samples = np.resize(self.values, n)
        return samples if d is None else np.repeat(samples[:, None], d, axis=1)
