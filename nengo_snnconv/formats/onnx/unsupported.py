"""Operators of ONNX that cannot be read: advice on what to do instead."""

NONLINEAR = "computes a function that spiking neurons cannot: train the model with ReLU instead"
RECURRENT = "is recurrent, which is not supported: train a model of convolutions instead"
ATTENTION = "is attention, which is not supported: train a model of convolutions and dense layers"
NORMALIZATION = "computes statistics of each item, which neurons cannot: train the model with batch normalization"
QUANTIZED = "is quantized: export the model as it was before quantization"
CONTROL = "chooses at run time what is computed: export the model with constant shapes, or simplify it"
DECISION = "is applied to the scores, which evaluate does itself: export the model without it"
POSITIONS = (
    "takes entries by an array of positions, which is not supported: leave it out; if adaptive pooling made it, use an "
    "output size that divides the size of its input"
)
UNKNOWN = "is not supported: replace it by supported operators (in the documentation, see 'From PyTorch')"

ADVICE = {
    **dict.fromkeys(("LSTM", "GRU", "RNN"), RECURRENT),
    **dict.fromkeys(("Attention", "RotaryEmbedding"), ATTENTION),
    **dict.fromkeys(
        ("InstanceNormalization", "LayerNormalization", "GroupNormalization", "RMSNormalization"), NORMALIZATION
    ),
    **dict.fromkeys(("LpNormalization", "MeanVarianceNormalization", "LRN"), NORMALIZATION),
    **dict.fromkeys(
        ("Elu", "Selu", "Celu", "Gelu", "HardSigmoid", "HardSwish", "Mish", "Softplus", "Softsign", "Swish", "Tanh"),
        NONLINEAR,
    ),
    **dict.fromkeys(("Erf", "Exp", "Log", "Sqrt", "Pow", "Sin", "Cos", "ThresholdedRelu", "Reciprocal"), NONLINEAR),
    **dict.fromkeys(
        ("QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "QLinearConv", "QLinearMatMul", "ConvInteger"),
        QUANTIZED,
    ),
    "MatMulInteger": QUANTIZED,
    **dict.fromkeys(("If", "Loop", "Scan"), CONTROL),
    **dict.fromkeys(("ArgMax", "ArgMin", "TopK", "NonMaxSuppression"), DECISION),
    **dict.fromkeys(("GatherND", "GatherElements", "ScatterND", "ScatterElements", "Where", "Compress"), POSITIONS),
    "LpPool": "is not supported: train the model with average or max pooling",
    "Upsample": "is an operator of opset 9: export the model with opset 13 or newer",
}


def operator_advice(domain, kind):
    """Return what to do about an operator that has no reader."""
    if domain:
        return (
            f"is an operator of {domain[:80]!r}, not one of ONNX itself: export the model again, without optimization "
            "for a runtime and without custom operators"
        )
    return ADVICE.get(kind, UNKNOWN)
