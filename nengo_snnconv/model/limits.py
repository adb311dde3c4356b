"""The largest model that is built: small specs can ask for any amount of memory, as repeating an entry 10**9 times.

An entry costs a network up to 50 bytes while it is built, so that no model takes more than some gigabytes.  Of the
ENTRIES_OF_MODEL, VGG16 takes 80 million, and InceptionResNetV2, one of the largest models of Keras, 200 million.
"""

import math

from ..errors import ModelError

LAYERS = 10_000
INPUTS = 40_000  # of all layers
RANK = 12
ENTRIES_OF_LAYER = 2**24  # 512 x 512 x 64
ENTRIES_OF_WORKSPACE = 2**25  # what a layer makes on the way to its output, such as its windows or a padded input
ENTRIES_OF_KERNEL = 2**27  # with the zeros that dilation puts in between
ENTRIES_OF_MODEL = 2**28  # all of these, and the inputs of each layer


def check_rank(layer, shape):
    """Raise ModelError for an output of no axes, or of more than NumPy and TensorFlow work on."""
    if not 1 <= len(shape) <= RANK:
        raise ModelError(f"{layer} must have an output of 1 to {RANK} axes, got {len(shape)}")


def check_entries(layer, what, *factors, limit=ENTRIES_OF_LAYER):
    """Raise ModelError where a layer makes more entries than are built; ``what`` they are, for the message."""
    if (n_entries := math.prod(factors)) > limit:
        found = f"{n_entries:,}" if n_entries < 10**15 else "more than 10**15"
        raise ModelError(
            f"{layer} would make {what} of {found} entries, and at most {limit:,} are built: use smaller inputs, or a "
            "smaller size or factor of this layer"
        )
