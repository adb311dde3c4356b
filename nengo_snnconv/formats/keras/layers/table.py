"""The table of readers: Keras class, or function, -> reader.

For the keys, see :func:`..config_entries.layer_kind`.
"""

from ....model import layers as specs
from ...shared.refusals import UnsupportedLayer
from ..config_entries import layer_kind
from ..unsupported import layer_advice
from . import activations, arithmetic, convolution, normalization, pooling, reshaping, slicing, training_only
from .activations import with_activation
from .training_only import TRAINING_ONLY, unchanged

RANKS = (1, 2, 3)

KERAS_LAYERS = {
    **{f"Conv{rank}D": with_activation(convolution.convolution) for rank in RANKS},
    **{f"Conv{rank}DTranspose": with_activation(convolution.transposed_convolution) for rank in RANKS},
    **{f"DepthwiseConv{rank}D": with_activation(convolution.depthwise_convolution) for rank in (1, 2)},
    **{f"SeparableConv{rank}D": with_activation(convolution.separable_convolution) for rank in (1, 2)},
    "Dense": with_activation(convolution.dense),
    "Activation": with_activation(lambda call: call.tensor),
    **{f"AveragePooling{rank}D": pooling.pooling(specs.AveragePool) for rank in RANKS},
    **{f"MaxPooling{rank}D": pooling.pooling(specs.MaxPool) for rank in RANKS},
    **{f"GlobalAveragePooling{rank}D": pooling.global_pooling(specs.GlobalAveragePool) for rank in RANKS},
    **{f"GlobalMaxPooling{rank}D": pooling.global_pooling(specs.GlobalMaxPool) for rank in RANKS},
    **{f"ZeroPadding{rank}D": reshaping.zero_padding for rank in RANKS},
    **{f"Cropping{rank}D": reshaping.cropping for rank in RANKS},
    **{f"UpSampling{rank}D": reshaping.upsampling for rank in RANKS},
    "BatchNormalization": normalization.batch_normalization,
    "Normalization": normalization.normalization,
    "Rescaling": normalization.rescaling,
    "ReLU": activations.rectifier(),
    "LeakyReLU": activations.rectifier(),
    "PReLU": activations.prelu,
    "Softmax": activations.softmax,
    "Flatten": reshaping.flatten,
    "Reshape": reshaping.reshape,
    "Permute": reshaping.permute,
    "RepeatVector": reshaping.repeat_vector,
    "Concatenate": reshaping.concatenate,
    "Add": arithmetic.weighted_sum(1),
    "Subtract": arithmetic.weighted_sum(1, -1),
    "Average": arithmetic.average,
    "Dropout": training_only.dropout,
    "Identity": unchanged,
    "CenterCrop": reshaping.center_crop,
    "Pipeline": training_only.pipeline,
    "RandomCrop": training_only.random_crop,
    "Maximum": activations.extremum(1),
    "Minimum": activations.extremum(-1),
    **dict.fromkeys(TRAINING_ONLY, unchanged),
}

# functions that are read at the end of a model only
AT_THE_END = ("tf.math.sigmoid", "tf.nn.sigmoid", "ops.Sigmoid")

OPERATIONS = {
    **dict.fromkeys(("tf.nn.relu", "ops.Relu"), activations.rectifier()),
    **dict.fromkeys(("tf.nn.relu6", "ops.Relu6"), activations.rectifier(max_value=6)),
    **dict.fromkeys(("tf.nn.leaky_relu", "ops.LeakyRelu"), activations.rectifier(slope=activations.DEFAULT_SLOPE)),
    "ops.ReLU": activations.rectifier(),
    **dict.fromkeys(("tf.nn.softmax", "tf.nn.log_softmax", "ops.Softmax", "ops.LogSoftmax"), activations.softmax),
    **dict.fromkeys(AT_THE_END, activations.sigmoid),
    "tf.clip_by_value": activations.clipping("clip_value_min", "clip_value_max"),
    "ops.Clip": activations.clipping("x_min", "x_max"),
    **dict.fromkeys(("tf.math.maximum", "ops.Maximum"), activations.extremum(1)),
    **dict.fromkeys(("tf.math.minimum", "ops.Minimum"), activations.extremum(-1)),
    **dict.fromkeys(("tf.math.abs", "ops.Absolute", "ops.Abs"), activations.rectifier(slope=-1)),
    "tf.nn.bias_add": arithmetic.bias_add,
    **dict.fromkeys(("tf.__operators__.add", "tf.math.add", "ops.Add"), arithmetic.weighted_sum(1)),
    **dict.fromkeys(("tf.math.subtract", "ops.Subtract"), arithmetic.weighted_sum(1, -1)),
    **dict.fromkeys(("tf.math.negative", "ops.Negative"), arithmetic.weighted_sum(-1)),
    **dict.fromkeys(("tf.math.multiply", "ops.Multiply"), arithmetic.multiply),
    **dict.fromkeys(("tf.math.truediv", "tf.math.divide", "ops.TrueDivide", "ops.Divide"), arithmetic.divide),
    **dict.fromkeys(("tf.concat", "ops.Concatenate"), reshaping.concatenate),
    **dict.fromkeys(("tf.__operators__.getitem", "ops.GetItem"), slicing.getitem),
    **dict.fromkeys(("tf.stack", "ops.Stack"), slicing.stack),
    **dict.fromkeys(("tf.reverse", "ops.Flip"), slicing.flip),
    **dict.fromkeys(("tf.cast", "ops.Cast"), arithmetic.cast),
    **dict.fromkeys(("tf.identity", "tf.stop_gradient", "ops.StopGradient"), unchanged),
}

APPLICATION_LAYERS = {
    "applications.CustomScaleLayer": arithmetic.custom_scale_layer,
    "applications.LayerScale": normalization.layer_scale,
    "applications.StochasticDepth": unchanged,
}

OWN_LAYERS = {"nengo_snnconv.QCFS": activations.qcfs}

READERS = KERAS_LAYERS | OPERATIONS | APPLICATION_LAYERS | OWN_LAYERS


def find_reader(entry, role=""):
    """Return the reader of a layer; raise UnsupportedLayer, with advice, if there is none.

    Parameters
    ----------
    entry : dict
        Entry of the layer in the configuration.
    role : str
        See :class:`.LayerCall`.
    """
    kind = layer_kind(entry)
    if kind not in READERS or (kind in AT_THE_END and role != "output"):
        raise UnsupportedLayer(layer_advice(kind, role))
    return READERS[kind]
