"""Signal: the output of a node."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class Signal:
    """The output of a node.

    Attributes
    ----------
    spec : str
        Name of the spec that holds its entries: images with the channel last, where NIR has it first.
    image : tuple of int or None
        Shape of the image of which it is the flattened form, if NIR has its entries in another order: that of the
        channel first.
    """

    spec: str
    image: tuple[int, ...] | None = None
