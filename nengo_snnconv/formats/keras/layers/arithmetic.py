"""Readers of sums, differences, means and products with constants, entry by entry."""

from ...shared.arithmetic import add, affine, constant_affine
from ...shared.refusals import GATE, QUOTIENT, UnsupportedLayer
from ...shared.spec_builder import Tensor
from ..config_entries import constant


def weighted_sum(*weights):
    """Return a reader that adds tensors and constants, each times its weight; the last weight is used repeatedly."""

    def read(call):
        factors = [*weights, *weights[-1:] * len(call.operands)]
        terms = list(zip(factors, call.operands, strict=False))
        tensors = [(factor, operand) for factor, operand in terms if isinstance(operand, Tensor)]
        shift = sum(factor * operand for factor, operand in terms if not isinstance(operand, Tensor))
        if len(tensors) == 1:
            (factor, tensor) = tensors[0]
            return constant_affine(call, tensor, factor, shift) if len(terms) > 1 or factor != 1 else tensor
        if len(tensors) < len(terms):
            raise UnsupportedLayer("adds a constant to several tensors: add it to one")
        return add(call, [t if factor == 1 else affine(call, t, factor, 0, suffix="_scaled") for factor, t in tensors])

    return read


def average(call):
    """Read Average."""
    total = add(call, call.operands, "_sum") if len(call.operands) > 1 else call.tensor
    return affine(call, total, 1 / len(call.operands), 0)


def multiply(call):
    """Read the product of a tensor and a constant."""
    tensor, *factors = sorted(call.operands, key=lambda operand: not isinstance(operand, Tensor))
    return _scaled(call, GATE, tensor, *factors)


def divide(call):
    """Read the quotient of a tensor and a constant."""
    numerator, denominator = call.pair
    inverse = denominator if isinstance(denominator, Tensor) else 1 / denominator
    return _scaled(call, QUOTIENT, numerator, inverse)


def _scaled(call, advice, tensor, *factors):
    """Return the tensor times the only factor; raise UnsupportedLayer with ``advice`` unless that is a constant."""
    if len(factors) != 1 or not isinstance(tensor, Tensor) or isinstance(factors[0], Tensor):
        raise UnsupportedLayer(advice)
    return constant_affine(call, tensor, factors[0], 0)


def bias_add(call):
    """Read TensorFlow's ``bias_add``, which adds a number to each channel."""
    channels_first = str(call.options.get("data_format") or "N...C").startswith("NC")
    return affine(call, call.tensor, 1, constant(call.options["bias"]), 0 if channels_first else -1)


def custom_scale_layer(call):
    """Read CustomScaleLayer, which ends a block of InceptionResNetV2: x + scale * y."""
    x, y = call.pair
    return add(call, [x, affine(call, y, call.options["scale"], 0, suffix="_scaled")])


def cast(call):
    """Read a cast to float32, in which everything is computed, so that it changes nothing."""
    dtype = call.options["dtype"]
    name = str(dtype["config"]["name"] if isinstance(dtype, dict) else dtype)
    if "float32" not in name:
        raise UnsupportedLayer(f"casts to {name}: leave that out, or cast to float32")
    return call.tensor
