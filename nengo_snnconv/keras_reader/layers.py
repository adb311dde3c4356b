"""What becomes of each kind of Keras layer: the table of readers, and the readers that only move entries about.

A kind is the name of a Keras class; "tf.nn.relu" is a TensorFlow function in a functional model of Keras 2,
"ops.Relu" an operation in one of Keras 3.
"""

import math

from ..model import layers as specs
from . import pointwise, windows
from .builder import Refused, Tensor
from .calls import is_operation, is_own_class
from .windows import per_axis, put_spatially


def dense(use):
    config = use.config
    arrays = use.arrays("kernel", *(["bias"] if config["use_bias"] else []))
    end = use.build.arranged(use.tensor)
    return use.put(specs.Dense, end, arrays=arrays, units=config["units"], use_bias=config["use_bias"])


def flatten(use):
    # Keras flattens a channels-first image as if it were channels-last
    return use.put(specs.Flatten, use.build.arranged(use.tensor, windows.channels_last_order(use)))


def reshape(use):
    target = tuple(use.config["target_shape"])
    if -1 in target:
        known = math.prod(n for n in target if n != -1)
        target = tuple(math.prod(use.shape) // known if n == -1 else n for n in target)
    return use.put(specs.Reshape, use.build.arranged(use.tensor), shape=target)


def permute(use):
    order = [dim - 1 for dim in use.config["dims"]]
    end = use.build.arranged(use.tensor, order, use.name)
    return Tensor(end, tuple(range(len(order))))


def repeat_vector(use):
    row = use.put(specs.Reshape, use.build.arranged(use.tensor), "_row", shape=(1, *use.shape))
    return use.put(specs.Upsample, row.end, size=(use.config["n"], 1))


def zero_padding(use):
    before, after = _sides(use, "padding")
    return put_spatially(use, use.tensor, specs.Pad, before=before, after=after)


def cropping(use):
    before, after = ([-n for n in side] for side in _sides(use, "cropping"))
    return put_spatially(use, use.tensor, specs.Pad, before=before, after=after)


def _sides(use, key):
    """What comes before and after each spatial axis; Keras writes one axis as a plain pair."""
    pairs = use.config[key]
    pairs = [pairs] if isinstance(pairs[0], int) else pairs
    return zip(*pairs, strict=True)


def upsampling(use):
    interpolation = use.config.get("interpolation", "nearest")
    if interpolation != "nearest":
        raise Refused(f"has interpolation={interpolation!r}: use 'nearest', which only repeats entries")
    size = per_axis(use.config["size"], len(use.tensor.axes) - 1)
    return put_spatially(use, use.tensor, specs.Upsample, rest=1, size=size)


def concatenate(use):
    if not all(isinstance(operand, Tensor) for operand in use.operands):
        raise Refused("joins a constant: join tensors only")
    axis = use.axis(use.config["axis"], len(use.operands[0].axes))
    if len(use.operands) == 1:
        return use.tensor
    ends, order = use.build.in_one_order(use.operands)
    return use.put(specs.Concatenate, ends, order=order, axis=order[axis])


def dropout(use):
    use.config.ignore("seed", "noise_shape")
    return use.put(specs.Dropout, use.tensor.end, order=use.tensor.axes, rate=use.config["rate"])


def nothing(use):
    """What a layer does that changes data while it trains, and not afterwards."""
    use.config.ignore()
    return use.tensor


VANISHING = {
    "ActivityRegularization",
    "AlphaDropout",
    "GaussianDropout",
    "GaussianNoise",
    "RandomBrightness",
    "RandomContrast",
    "RandomFlip",
    "RandomRotation",
    "RandomTranslation",
    "RandomZoom",
    *(f"SpatialDropout{rank}D" for rank in (1, 2, 3)),
}

RANKS = (1, 2, 3)
CONVOLUTIONS = {
    **{f"Conv{rank}D": windows.convolution for rank in RANKS},
    **{f"Conv{rank}DTranspose": windows.transposed for rank in RANKS},
    **{f"DepthwiseConv{rank}D": windows.depthwise for rank in (1, 2)},
    **{f"SeparableConv{rank}D": windows.separable for rank in (1, 2)},
}


def activated(read):
    """A reader of a layer that has an activation as its argument."""
    return lambda use: pointwise.activate(use, read(use))


KERAS_LAYERS = {
    **{kind: activated(read) for kind, read in CONVOLUTIONS.items()},
    "Dense": activated(dense),
    "Activation": activated(lambda use: use.tensor),
    **{f"AveragePooling{rank}D": windows.pool(specs.AveragePool) for rank in RANKS},
    **{f"MaxPooling{rank}D": windows.pool(specs.MaxPool) for rank in RANKS},
    **{f"GlobalAveragePooling{rank}D": windows.global_pool(specs.GlobalAveragePool) for rank in RANKS},
    **{f"GlobalMaxPooling{rank}D": windows.global_pool(specs.GlobalMaxPool) for rank in RANKS},
    **{f"ZeroPadding{rank}D": zero_padding for rank in RANKS},
    **{f"Cropping{rank}D": cropping for rank in RANKS},
    **{f"UpSampling{rank}D": upsampling for rank in RANKS},
    "BatchNormalization": pointwise.batch_normalization,
    "Normalization": pointwise.normalization,
    "Rescaling": pointwise.rescaling,
    "ReLU": pointwise.rectifier(),
    "LeakyReLU": pointwise.rectifier(),
    "PReLU": pointwise.prelu,
    "Softmax": pointwise.softmax,
    "Flatten": flatten,
    "Reshape": reshape,
    "Permute": permute,
    "RepeatVector": repeat_vector,
    "Concatenate": concatenate,
    "Add": pointwise.weighted_sum(1),
    "Subtract": pointwise.weighted_sum(1, -1),
    "Average": pointwise.average,
    "Dropout": dropout,
    "Identity": nothing,
    **dict.fromkeys(VANISHING, nothing),
}

OPERATIONS = {
    **dict.fromkeys(("tf.nn.relu", "ops.Relu"), pointwise.rectifier()),
    **dict.fromkeys(("tf.nn.relu6", "ops.Relu6"), pointwise.rectifier(max_value=6)),
    **dict.fromkeys(("tf.nn.leaky_relu", "ops.LeakyRelu"), pointwise.rectifier(slope=pointwise.SLOPE)),
    "ops.ReLU": pointwise.rectifier(),
    **dict.fromkeys(("tf.nn.softmax", "ops.Softmax"), pointwise.softmax),
    **dict.fromkeys(("tf.__operators__.add", "tf.math.add", "ops.Add"), pointwise.weighted_sum(1)),
    **dict.fromkeys(("tf.math.subtract", "ops.Subtract"), pointwise.weighted_sum(1, -1)),
    **dict.fromkeys(("tf.math.negative", "ops.Negative"), pointwise.weighted_sum(-1)),
    **dict.fromkeys(("tf.math.multiply", "ops.Multiply"), pointwise.multiply),
    **dict.fromkeys(("tf.math.truediv", "tf.math.divide", "ops.TrueDivide", "ops.Divide"), pointwise.divide),
    **dict.fromkeys(("tf.concat", "ops.Concatenate"), concatenate),
}

READERS = KERAS_LAYERS | OPERATIONS

ADVICE = {
    "Lambda": "holds Python code, which is not read: put what it computes into layers, for example Rescaling",
    "LayerNormalization": "is not supported: use BatchNormalization",
    "GroupNormalization": "is not supported: use BatchNormalization",
    "UnitNormalization": "is not supported: use BatchNormalization",
    "Maximum": "is not supported: use Add or Concatenate",
    "Minimum": "is not supported: use Add or Concatenate",
    "Multiply": "is not supported: use Add or Concatenate",
    "ELU": "is not supported: use ReLU",
    "ThresholdedReLU": "is not supported: use ReLU",
    "Resizing": "is not supported: resize the images before they enter the model",
    "CenterCrop": "is not supported: use Cropping2D",
}
SUPPORTED = ", ".join(sorted(KERAS_LAYERS))


def kind_of(entry):
    """The kind of layer that an entry of a configuration is; Refused where it is a class of the user's own."""
    name = entry["class_name"]
    if is_own_class(entry):
        owner = entry.get("module") or "your own"
        raise Refused(f"is a class of {owner}, not one of Keras: put layers of Keras in its place")
    if name == "TFOpLambda":
        return f"tf.{entry['config']['function']}"
    if is_operation(entry):
        return f"ops.{name}"
    return name


def reader_of(entry):
    """The function that makes specs of a layer; Refused where there is none."""
    kind = kind_of(entry)
    if kind not in READERS:
        raise Refused(ADVICE.get(kind, f"is not supported; supported are {SUPPORTED}"))
    return READERS[kind]
