"""products_in: the precision of products during a training."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from .._util.system_info import multiplies_bfloat16
from ..compat import tf

PRECISIONS = ("auto", "float32", "bfloat16")


@contextlib.contextmanager
def products_in(precision: str) -> Iterator[None]:
    """Let TensorFlow compute convolutions and matrix products on a CPU in a precision, within the block.

    Parameters
    ----------
    precision : "auto", "float32" or "bfloat16"
        "auto" is bfloat16 on processors with instructions for it, where it is faster than float32.
    """
    reduced = precision == "bfloat16" or (precision == "auto" and multiplies_bfloat16())
    name = "auto_mixed_precision_onednn_bfloat16"
    before = tf.config.optimizer.get_experimental_options().get(name, False)
    tf.config.optimizer.set_experimental_options({name: reduced or before})
    try:
        yield
    finally:
        tf.config.optimizer.set_experimental_options({name: before})
