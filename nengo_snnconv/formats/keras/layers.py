"""What becomes of each kind of Keras layer: the table of readers, and the readers that only move entries about.

A kind is the name of a Keras class; "tf.nn.relu" is a TensorFlow function in a functional model of Keras 2,
"ops.Relu" an operation in one of Keras 3, "applications.LayerScale" a layer that keras.applications defines.
"""

import math

from ...errors import listed
from ...model import layers as specs
from . import pointwise, slices, windows
from .advice import advice_on
from .builder import Refused, Tensor
from .calls import is_layer_of_applications, is_operation, is_own_class
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


def cast(use):
    """Read a cast, which changes nothing where it is to the precision in which all is computed."""
    dtype = use.config["dtype"]
    name = str(dtype["config"]["name"] if isinstance(dtype, dict) else dtype)
    if "float32" not in name:
        raise Refused(f"casts to {name}: leave that out, or cast to float32")
    return use.tensor


def center_crop(use):
    """Read CenterCrop where it crops; of smaller images it resizes parts."""
    order = windows.channels_last_order(use)[:2]
    before, after = [], []
    for axis, size in zip(order, (use.config["height"], use.config["width"]), strict=True):
        surplus = use.shape[axis] - size
        if surplus < 0:
            raise Refused("resizes images that are smaller than its target: resize them before they enter the model")
        before.append(-(surplus // 2))
        after.append(surplus // 2 - surplus)
    return put_spatially(use, use.tensor, specs.Pad, before=before, after=after)


def random_crop(use):
    """Read RandomCrop of images that have its size; at inference, Keras 2 resizes others and Keras 3 keeps them."""
    order = windows.channels_last_order(use)[:2]
    if [use.shape[axis] for axis in order] != [use.config["height"], use.config["width"]]:
        raise Refused("does not crop at inference: leave it out of the model, and give it images of the cropped size")
    return nothing(use)


def pipeline(use):
    """Read a Pipeline of layers that do nothing at inference."""
    others = [entry["class_name"] for entry in use.config["layers"] if kind_of(entry) not in VANISHING]
    if others:
        raise Refused(f"holds {listed(others)}, which change images at inference: put its layers into the model")
    return nothing(use)


# those that change images at inference too are not among them: AutoContrast, for example
VANISHING = {
    "ActivityRegularization",
    "AlphaDropout",
    "AugMix",
    "CutMix",
    "GaussianDropout",
    "GaussianNoise",
    "MaxNumBoundingBoxes",
    "MixUp",
    "RandAugment",
    "RandomBrightness",
    "RandomColorDegeneration",
    "RandomColorJitter",
    "RandomContrast",
    "RandomElasticTransform",
    "RandomErasing",
    "RandomFlip",
    "RandomGaussianBlur",
    "RandomGrayscale",
    "RandomHeight",
    "RandomHue",
    "RandomInvert",
    "RandomPerspective",
    "RandomPosterization",
    "RandomRotation",
    "RandomSaturation",
    "RandomSharpness",
    "RandomShear",
    "RandomTranslation",
    "RandomWidth",
    "RandomZoom",
    "Solarization",
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
    "CenterCrop": center_crop,
    "Pipeline": pipeline,
    "RandomCrop": random_crop,
    "Maximum": pointwise.extreme(1),
    "Minimum": pointwise.extreme(-1),
    **dict.fromkeys(VANISHING, nothing),
}

OPERATIONS = {
    **dict.fromkeys(("tf.nn.relu", "ops.Relu"), pointwise.rectifier()),
    **dict.fromkeys(("tf.nn.relu6", "ops.Relu6"), pointwise.rectifier(max_value=6)),
    **dict.fromkeys(("tf.nn.leaky_relu", "ops.LeakyRelu"), pointwise.rectifier(slope=pointwise.SLOPE)),
    "ops.ReLU": pointwise.rectifier(),
    **dict.fromkeys(("tf.nn.softmax", "tf.nn.log_softmax", "ops.Softmax", "ops.LogSoftmax"), pointwise.softmax),
    "tf.clip_by_value": pointwise.clipping("clip_value_min", "clip_value_max"),
    "ops.Clip": pointwise.clipping("x_min", "x_max"),
    **dict.fromkeys(("tf.math.maximum", "ops.Maximum"), pointwise.extreme(1)),
    **dict.fromkeys(("tf.math.minimum", "ops.Minimum"), pointwise.extreme(-1)),
    **dict.fromkeys(("tf.math.abs", "ops.Absolute", "ops.Abs"), pointwise.rectifier(slope=-1)),
    "tf.nn.bias_add": pointwise.bias_add,
    **dict.fromkeys(("tf.__operators__.add", "tf.math.add", "ops.Add"), pointwise.weighted_sum(1)),
    **dict.fromkeys(("tf.math.subtract", "ops.Subtract"), pointwise.weighted_sum(1, -1)),
    **dict.fromkeys(("tf.math.negative", "ops.Negative"), pointwise.weighted_sum(-1)),
    **dict.fromkeys(("tf.math.multiply", "ops.Multiply"), pointwise.multiply),
    **dict.fromkeys(("tf.math.truediv", "tf.math.divide", "ops.TrueDivide", "ops.Divide"), pointwise.divide),
    **dict.fromkeys(("tf.concat", "ops.Concatenate"), concatenate),
    **dict.fromkeys(("tf.__operators__.getitem", "ops.GetItem"), slices.slicing),
    **dict.fromkeys(("tf.stack", "ops.Stack"), slices.stack),
    **dict.fromkeys(("tf.reverse", "ops.Flip"), slices.flip),
    **dict.fromkeys(("tf.cast", "ops.Cast"), cast),
    **dict.fromkeys(("tf.identity", "tf.stop_gradient", "ops.StopGradient"), nothing),
}

APPLICATIONS = {
    "applications.CustomScaleLayer": pointwise.custom_scale,
    "applications.LayerScale": pointwise.layer_scale,
    "applications.StochasticDepth": nothing,
}

READERS = KERAS_LAYERS | OPERATIONS | APPLICATIONS


def kind_of(entry):
    """The kind of layer that an entry of a configuration is; Refused where it is a class of the user's own."""
    name = entry["class_name"]
    if is_layer_of_applications(entry):
        return f"applications.{name}"
    if is_own_class(entry):
        owner = entry.get("module") or "your own"
        raise Refused(f"is a class of {owner}, not one of Keras: put layers of Keras in its place")
    if name in ("TFOpLambda", "SlicingOpLambda"):
        return f"tf.{entry['config']['function']}"
    if is_operation(entry):
        return f"ops.{name}"
    return name


def reader_of(entry, role=""):
    """The function that makes specs of a layer; Refused where there is none.

    The ``role`` of the layer, see :class:`Use`, matters for what is advised.
    """
    kind = kind_of(entry)
    if kind not in READERS:
        raise Refused(advice_on(kind, role))
    return READERS[kind]
