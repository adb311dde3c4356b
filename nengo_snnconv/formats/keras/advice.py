"""What to do about layers that cannot be read; each advice was tried in tests/formats/keras/test_keras_advice.py."""

from .foreign import COPY

WITHOUT_GATES = "which spiking neurons cannot compute: train a model without gates and squeeze-and-excite blocks"
GATE = f"multiplies tensors, {WITHOUT_GATES}"
GATES = ("sigmoid", "hard_sigmoid", "softmax", "tanh")
QUOTIENT = "divides by a tensor, which spiking neurons cannot: train a model that divides by constants only"
RECURRENT = "is recurrent, which is not supported: train a model with causal Conv1D layers in its place"
ATTENTION = "is attention, which is not supported: train a model of convolutions and dense layers"
NORMALIZATION = "computes statistics of each item, which neurons cannot: train the model with BatchNormalization"
BEFORE = "changes images at inference too, and is not supported: apply it to the images before they enter the model"
NONLINEAR = "is not supported: train the model with ReLU instead"
SLICES = "is not supported: use slices, as in x[..., 0:2]"
UNKNOWN = "is not supported: put layers in its place that are (in the documentation, see 'What is read')"

ADVICE = {
    "Lambda": "holds Python code, which is not read: put what it computes into layers, for example Rescaling",
    "TimeDistributed": "is not supported: use Dense itself for Dense, Conv3D with a kernel (1, h, w) for Conv2D",
    "Embedding": "is not supported: look the vectors up before they enter the model, and begin it with what reads them",
    "Dot": GATE,
    "Multiply": GATE,
    "TFSMLayer": f"holds a SavedModel, which does not tell its layers: {COPY}",
    "Resizing": "is not supported: resize the images before they enter the model",
    "ThresholdedReLU": NONLINEAR,
    **dict.fromkeys(("GRU", "LSTM", "SimpleRNN", "RNN", "Bidirectional", "ConvLSTM1D", "ConvLSTM2D"), RECURRENT),
    "ConvLSTM3D": RECURRENT,
    **dict.fromkeys(("tf.reshape", "ops.Reshape"), "is not supported: use the layer Reshape or Flatten, which are"),
    **dict.fromkeys(
        ("tf.transpose", "tf.compat.v1.transpose", "ops.Transpose"), "is not supported: use a Permute layer"
    ),
    **dict.fromkeys(("tf.math.reduce_mean", "ops.Mean"), "is not supported: use a layer GlobalAveragePooling1D to 3D"),
    **dict.fromkeys(("tf.compat.v1.pad", "ops.Pad"), "is not supported: use a layer ZeroPadding1D to 3D"),
    **dict.fromkeys(("tf.split", "tf.unstack", "ops.Split", "ops.Unstack"), SLICES),
    **dict.fromkeys(("tf.math.reduce_max", "ops.Max"), "is not supported: use a layer GlobalMaxPooling1D to 3D"),
    **dict.fromkeys(("Attention", "AdditiveAttention", "MultiHeadAttention", "GroupQueryAttention"), ATTENTION),
    **{f"{kind}Normalization": NORMALIZATION for kind in ("Layer", "Group", "Unit", "RMS")},
    **dict.fromkeys(("AutoContrast", "ContrastLimitedAdaptiveHistogramEqualization", "Equalization"), BEFORE),
}

# nonlinear functions of one number, which are TensorFlow functions and operations too
FUNCTIONS = ("sigmoid", "tanh", "silu", "swish", "gelu", "elu", "selu", "celu", "softplus", "softsign", "mish", "exp")
FUNCTIONS += ("exponential", "hard_sigmoid", "hard_silu", "hard_swish", "hard_tanh", "log_sigmoid", "square", "sqrt")
_BY_SHORT_NAME = {name.replace("_", ""): name for name in FUNCTIONS}


def advice_on(kind, role):
    """Return what to do about a kind of layer for which there is no reader.

    Parameters
    ----------
    kind : str
        As :func:`.layers.kind_of` gives it.
    role : str
        See :class:`.use.Use`.
    """
    if kind in ADVICE:
        return ADVICE[kind]
    name = _BY_SHORT_NAME.get(kind.rpartition(".")[2].lower().replace("_", ""))
    if name is None:
        return UNKNOWN
    if role == "gate" and name in GATES:
        return f"computes {name!r} for a gate, {WITHOUT_GATES}"
    if role != "end":
        return f"computes {name!r}, which spiking neurons cannot: train the model with ReLU instead"
    parts = "operations" if kind.startswith("ops.") else "layers"
    way = f"keras.Model(model.input, model.{parts}[-1].input)"
    return f"ends the model with {name!r}: leave it out, as in {way}{_afterwards(name)}"


def advice_on_activation(name, role):
    """Return what to do about a layer's activation, which is known to Keras but not to spiking neurons."""
    if role == "gate" and name in GATES:
        return f"has activation {name!r} for a gate, {WITHOUT_GATES}"
    if role == "end":
        way = "set its activation to keras.activations.linear"
        return f"ends the model with activation {name!r}: leave it out ({way}){_afterwards(name)}"
    return f"has activation {name!r}, which spiking neurons cannot compute: train the model with 'relu' instead"


def _afterwards(name):
    if name == "sigmoid":
        return ", and take scores above 0 where it was above 0.5"
    return f", and apply {name} to the scores yourself"
