"""exact_products: convolutions and matrix products in float32 on every device."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from . import tf


@contextlib.contextmanager
def exact_products() -> Iterator[None]:
    """Let TensorFlow compute products in float32 within the block.

    On GPUs of Nvidia, TensorFlow by default rounds the factors to 11 bits (TensorFloat-32), which is faster.
    """
    before = tf.config.experimental.tensor_float_32_execution_enabled()
    tf.config.experimental.enable_tensor_float_32_execution(False)
    try:
        yield
    finally:
        tf.config.experimental.enable_tensor_float_32_execution(before)
