"""The table of readers: operator -> reader."""

from ....model import layers as specs
from ...shared.refusals import UnsupportedLayer
from . import activations, pooling, reshaping, scaling, weights


def unchanged(call):
    """Read a node that returns its input."""
    return call.tensor


def dropout(call):
    """Read Dropout, which stays in the model, for training."""
    rate = call.scalar(1, "a ratio")
    call.attributes.ignore("seed")
    rate = call.attributes.number("ratio", 0.5) if rate is None else rate
    if call.scalar(2, "a mode"):
        raise UnsupportedLayer("is in training mode: call model.eval() before the export")
    tensor = call.tensor
    if not 0 <= rate < 1:
        return tensor
    return scaling.like(tensor, call.add_spec(specs.Dropout, tensor.spec, order=tensor.axes, rate=rate))


READERS = {
    "Abs": activations.absolute,
    "Add": scaling.addition(1),
    "AveragePool": pooling.average_pooling,
    "BatchNormalization": scaling.batch_normalization,
    "Cast": scaling.cast,
    "Clip": activations.clipping,
    "Concat": reshaping.concatenate,
    "Conv": weights.convolution,
    "ConvTranspose": weights.transposed_convolution,
    "DepthToSpace": reshaping.depth_to_space,
    "Div": scaling.divide,
    "Dropout": dropout,
    "Expand": reshaping.expand,
    "Flatten": reshaping.flatten,
    "Gather": reshaping.gather,
    "Gemm": weights.gemm,
    "GlobalAveragePool": pooling.global_pooling(specs.GlobalAveragePool),
    "GlobalMaxPool": pooling.global_pooling(specs.GlobalMaxPool),
    "Identity": unchanged,
    "LeakyRelu": activations.leaky_relu,
    "LogSoftmax": activations.softmax,
    "MatMul": weights.matmul,
    "Max": activations.extremum(1),
    "MaxPool": pooling.max_pooling,
    "Mean": scaling.mean,
    "Min": activations.extremum(-1),
    "Mul": scaling.multiply,
    "Neg": scaling.addition(-1),
    "PRelu": activations.prelu,
    "Pad": reshaping.padding,
    "ReduceMax": pooling.reduction("max"),
    "ReduceMean": pooling.reduction("mean"),
    "ReduceSum": pooling.reduction("sum"),
    "Relu": activations.relu,
    "Reshape": reshaping.reshape,
    "Resize": reshaping.resize,
    "Sigmoid": activations.sigmoid,
    "Slice": reshaping.slicing,
    "Softmax": activations.softmax,
    "SpaceToDepth": reshaping.space_to_depth,
    "Split": reshaping.splitting,
    "Squeeze": reshaping.squeeze,
    "Sub": scaling.addition(1, -1),
    "Sum": scaling.addition(1),
    "Transpose": reshaping.transpose,
    "Unsqueeze": reshaping.unsqueeze,
}
