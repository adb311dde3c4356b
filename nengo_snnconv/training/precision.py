"""products_in: the precision of products during a training."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from .._util.system_info import multiplies_bfloat16
from ..compat import tf
from ..compat.exact_products import exact_products

PRECISIONS = ("auto", "float32", "bfloat16")


@contextlib.contextmanager
def products_in(precision: str) -> Iterator[None]:
    """Let TensorFlow compute convolutions and matrix products in a precision, within the block.

    Parameters
    ----------
    precision : "auto", "float32" or "bfloat16"
        "auto" is the fastest: bfloat16 on processors with instructions for it, TensorFlow's setting on a GPU, which is
        TensorFloat-32 on those of Nvidia.  "bfloat16" concerns CPUs only.
    """
    reduced = precision == "bfloat16" or (precision == "auto" and multiplies_bfloat16())
    name = "auto_mixed_precision_onednn_bfloat16"
    before = tf.config.optimizer.get_experimental_options().get(name, False)
    tf.config.optimizer.set_experimental_options({name: reduced or before})
    try:
        with exact_products() if precision == "float32" else contextlib.nullcontext():
            yield
    finally:
        tf.config.optimizer.set_experimental_options({name: before})
