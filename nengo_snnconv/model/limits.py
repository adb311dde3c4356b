"""Size limits of models, since small specs can ask for any amount of memory, such as repeating an entry 10**9 times.

A network takes up to 50 bytes for each entry while it is built, so models within the limits take some gigabytes.
VGG16 has 80 million entries; InceptionResNetV2, one of the largest models of Keras, 200 million.
"""

from __future__ import annotations

import math

from ..errors import ModelError

LAYERS = 10_000
INPUTS = 40_000  # of all layers
RANK = 12
ENTRIES_OF_LAYER = 2**24  # 512 x 512 x 64
ENTRIES_OF_WORKSPACE = 2**25  # intermediate results of a layer, such as its windows or a padded input
ENTRIES_OF_KERNEL = 2**27  # including the zeros of dilation
ENTRIES_OF_MODEL = 2**28  # sum of the inputs, outputs and workspaces of all layers


def check_rank(layer, shape):
    """Check that NumPy and TensorFlow support the number of axes of a layer's output."""
    if not 1 <= len(shape) <= RANK:
        raise ModelError(f"{layer} must have an output of 1 to {RANK} axes, got {len(shape)}", layer=layer.name)


def check_entries(layer, array, *factors, limit=ENTRIES_OF_LAYER):
    """Check that an array of a layer has at most ``limit`` entries.

    Parameters
    ----------
    layer : Layer
    array : str
        Description of the array for messages, such as "a padded input".
    factors : int
        Numbers whose product is the number of entries.
    limit : int
    """
    if (n_entries := math.prod(factors)) > limit:
        size = f"{n_entries:,}" if n_entries < 10**15 else "more than 10**15"
        raise ModelError(
            f"{layer} would make {array} of {size} entries; the limit is {limit:,}: use smaller inputs, or a smaller "
            "size or factor of this layer",
            layer=layer.name,
        )
