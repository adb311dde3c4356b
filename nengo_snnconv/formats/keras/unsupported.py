"""Layers of Keras that cannot be read: advice on what to do instead.

Each piece of advice is tried in tests/formats/keras/test_keras_unsupported.py.
"""

from ..shared.refusals import GATE, WITHOUT_GATES
from .other_frameworks import COPY_WEIGHTS

GATE_ACTIVATIONS = ("sigmoid", "hard_sigmoid", "softmax", "tanh")
RECURRENT = "is recurrent, which is not supported: train a model with causal Conv1D layers instead"
ATTENTION = "is attention, which is not supported: train a model of convolutions and dense layers"
NORMALIZATION = "computes statistics of each item, which neurons cannot: train the model with BatchNormalization"
PREPROCESSING = "changes images at inference, which is not supported: apply it to them before they enter the model"
NONLINEAR = "is not supported: train the model with ReLU instead"
SLICES = "is not supported: use slices, as in x[..., 0:2]"
BEFORE_SCALING = "before layers that only scale the output: train the model without it"
UNKNOWN = "is not supported: replace it by supported layers (in the documentation, see 'What is read')"

ADVICE = {
    "Lambda": "holds Python code, which is not read: express the computation by layers, for example Rescaling",
    "TimeDistributed": "is not supported: use Dense itself for Dense, Conv3D with a kernel (1, h, w) for Conv2D",
    "Embedding": "is not supported: look up the vectors before they enter the model, and begin it with the next layer",
    "Dot": GATE,
    "Multiply": GATE,
    "TFSMLayer": f"holds a SavedModel, which does not list its layers: {COPY_WEIGHTS}",
    "Resizing": "is not supported: resize the images before they enter the model",
    "ThresholdedReLU": NONLINEAR,
    **dict.fromkeys(("GRU", "LSTM", "SimpleRNN", "RNN", "Bidirectional", "ConvLSTM1D", "ConvLSTM2D"), RECURRENT),
    "ConvLSTM3D": RECURRENT,
    **dict.fromkeys(("tf.reshape", "ops.Reshape"), "is not supported: use a Reshape or Flatten layer"),
    **dict.fromkeys(
        ("tf.transpose", "tf.compat.v1.transpose", "ops.Transpose"), "is not supported: use a Permute layer"
    ),
    **dict.fromkeys(
        ("tf.math.reduce_mean", "ops.Mean"), "is not supported: use GlobalAveragePooling1D, 2D or 3D instead"
    ),
    **dict.fromkeys(("tf.compat.v1.pad", "ops.Pad"), "is not supported: use ZeroPadding1D, 2D or 3D instead"),
    **dict.fromkeys(("tf.split", "tf.unstack", "ops.Split", "ops.Unstack"), SLICES),
    **dict.fromkeys(("tf.math.reduce_max", "ops.Max"), "is not supported: use GlobalMaxPooling1D, 2D or 3D instead"),
    **dict.fromkeys(("Attention", "AdditiveAttention", "MultiHeadAttention", "GroupQueryAttention"), ATTENTION),
    **{f"{kind}Normalization": NORMALIZATION for kind in ("Layer", "Group", "Unit", "RMS")},
    **dict.fromkeys(("AutoContrast", "ContrastLimitedAdaptiveHistogramEqualization", "Equalization"), PREPROCESSING),
}

# nonlinear functions that exist as activations, TensorFlow functions and operations
FUNCTIONS = (
    *("sigmoid", "tanh", "silu", "swish", "gelu", "elu", "selu", "celu", "softplus", "softsign", "mish", "exp"),
    *("exponential", "hard_sigmoid", "hard_silu", "hard_swish", "hard_tanh", "log_sigmoid", "square", "sqrt"),
)
_BY_SHORT_NAME = {name.replace("_", ""): name for name in FUNCTIONS}


def layer_advice(kind, role):
    """Return what to do about a kind of layer that has no reader.

    Parameters
    ----------
    kind : str
        See :func:`.config_entries.layer_kind`.
    role : str
        See :class:`.layer_call.LayerCall`.
    """
    if kind in ADVICE:
        return ADVICE[kind]
    name = _BY_SHORT_NAME.get(kind.rpartition(".")[2].lower().replace("_", ""))
    if name is None:
        return UNKNOWN
    if role == "gate" and name in GATE_ACTIVATIONS:
        return f"computes {name!r} for a gate, {WITHOUT_GATES}"
    if role == "scaled output":
        end = "end the model with the layer before it"
        return f"computes {name!r} {BEFORE_SCALING}, or {end}, and apply {name} and the scaling to the scores yourself"
    if role != "output":
        return f"computes {name!r}, which spiking neurons cannot: train the model with ReLU instead"
    parts = "operations" if kind.startswith("ops.") else "layers"
    example = f"keras.Model(model.input, model.{parts}[-1].input)"
    return f"ends the model with {name!r}: leave it out, as in {example}, and apply {name} to the scores yourself"


def activation_advice(name, role):
    """Return what to do about an activation of Keras that spiking neurons cannot compute."""
    if role == "gate" and name in GATE_ACTIVATIONS:
        return f"has activation {name!r} for a gate, {WITHOUT_GATES}"
    if role == "scaled output":
        end = "end the model with this layer, set its activation to keras.activations.linear"
        apply = f"and apply {name} and the scaling to the scores yourself"
        return f"has activation {name!r} {BEFORE_SCALING}, or {end}, {apply}"
    if role == "output":
        solution = "set its activation to keras.activations.linear"
        advice = f"leave it out ({solution}), and apply {name} to the scores yourself"
        return f"ends the model with activation {name!r}: {advice}"
    return f"has activation {name!r}, which spiking neurons cannot compute: train the model with 'relu' instead"
