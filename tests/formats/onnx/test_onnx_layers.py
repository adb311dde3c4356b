"""Each operator with its attributes, compared with onnxruntime."""

import numpy as np
import pytest
from onnx_comparison import check_equal, make_model, node, onnx

import nengo_snnconv as snc
from nengo_snnconv.model import layers as specs

RNG = np.random.default_rng(5)
IMAGE, VOLUME, SERIES, VECTOR = (3, 8, 7), (2, 5, 6, 5), (3, 9), (6,)


def normal(*shape):
    return RNG.normal(0, 0.5, shape).astype(np.float32)


def positive(*shape):
    return RNG.uniform(0.5, 2, shape).astype(np.float32)


def ints(*values):
    return np.array(values, np.int64)


def conv(kernel, *extra, shape=IMAGE, **attributes):
    arrays = {"w": normal(*kernel), **({"b": normal(kernel[0])} if "bias" in extra else {})}
    return node("Conv", " ".join(["x", *arrays]), **attributes), shape, arrays


def transposed(kernel, *extra, shape=IMAGE, **attributes):
    out = kernel[1] * attributes.get("group", 1)
    arrays = {"w": normal(*kernel), **({"b": normal(out)} if "bias" in extra else {})}
    return node("ConvTranspose", " ".join(["x", *arrays]), **attributes), shape, arrays


def pool(kind, shape=IMAGE, **attributes):
    return node(kind, "x", **attributes), shape, {}


def with_constant(kind, value, shape=IMAGE, first=False):
    return node(kind, "c x" if first else "x c"), shape, {"c": value}


def with_input(kind, shape=IMAGE, arrays=None, **attributes):
    return node(kind, " ".join(["x", *(arrays or {})]), **attributes), shape, arrays or {}


CASES = {
    "conv": conv((4, 3, 3, 3), "bias"),
    "conv_pads": conv((4, 3, 3, 3), pads=[1, 1, 1, 1]),
    "conv_uneven_pads": conv((4, 3, 3, 2), "bias", pads=[0, 2, 1, 0]),
    "conv_strides": conv((4, 3, 3, 3), "bias", pads=[1, 1, 1, 1], strides=[2, 2]),
    "conv_same_upper": conv((4, 3, 4, 2), auto_pad="SAME_UPPER", strides=[2, 3]),
    "conv_same_lower": conv((4, 3, 4, 2), auto_pad="SAME_LOWER", strides=[2, 1]),
    "conv_valid": conv((4, 3, 2, 2), auto_pad="VALID"),
    "conv_dilations": conv((4, 3, 3, 2), pads=[2, 1, 2, 1], dilations=[2, 3]),
    "conv_strides_dilations": conv((4, 3, 3, 2), "bias", strides=[2, 1], dilations=[1, 3]),
    "conv_strides_dilations_groups": conv((6, 1, 2, 3), strides=[2, 2], dilations=[2, 2], group=3, pads=[1, 0, 2, 1]),
    "conv_strides_dilations_3d": conv((4, 2, 2, 3, 2), shape=VOLUME, strides=[1, 2, 1], dilations=[2, 2, 1]),
    "conv_groups": conv((6, 1, 3, 3), "bias", group=3, kernel_shape=[3, 3]),
    "conv_1d": conv((4, 3, 3), "bias", shape=SERIES, strides=[2]),
    "conv_3d": conv((4, 2, 2, 3, 2), "bias", shape=VOLUME, pads=[1, 0, 1, 0, 0, 1]),
    "transposed": transposed((3, 4, 3, 3), "bias"),
    "transposed_strides": transposed((3, 4, 3, 2), "bias", strides=[2, 3], pads=[1, 0, 0, 1], output_padding=[1, 2]),
    "transposed_groups": transposed((3, 2, 3, 3), "bias", group=3, strides=[2, 2]),
    "transposed_dilations": transposed((3, 2, 3, 2), dilations=[2, 1], pads=[2, 0, 2, 0]),
    "transposed_shape": transposed((3, 2, 3, 3), strides=[2, 2], output_shape=[16, 14]),
    "transposed_larger_shape": transposed((3, 2, 2, 2), "bias", strides=[2, 2], output_shape=[17, 15]),
    "transposed_same_upper": transposed((3, 2, 3, 3), strides=[2, 2], auto_pad="SAME_UPPER"),
    "transposed_same_lower": transposed((3, 2, 3, 3), strides=[2, 2], auto_pad="SAME_LOWER"),
    "transposed_1d": transposed((3, 4, 3), "bias", shape=SERIES, strides=[2]),
    "transposed_3d": transposed((2, 3, 2, 2, 2), shape=VOLUME, strides=[1, 2, 2]),
    "gemm": (node("Gemm", "x w b"), VECTOR, {"w": normal(6, 4), "b": normal(4)}),
    "gemm_factors": (
        node("Gemm", "x w b", alpha=0.5, beta=2.0, transB=1),
        VECTOR,
        {"w": normal(4, 6), "b": normal(1, 4)},
    ),
    "gemm_without_bias": (node("Gemm", "x w"), VECTOR, {"w": normal(6, 4)}),
    "gemm_scalar_bias": (node("Gemm", "x w b"), VECTOR, {"w": normal(6, 4), "b": normal()}),
    "matmul": (node("MatMul", "x w"), VECTOR, {"w": normal(6, 4)}),
    "matmul_last_axis": (node("MatMul", "x w"), (5, 6), {"w": normal(6, 4)}),
    "matmul_from_left": (node("MatMul", "w x"), (5, 6), {"w": normal(4, 5)}),
    "matmul_of_image": (node("MatMul", "x w"), IMAGE, {"w": normal(1, 1, 7, 2)}),
    "batch_normalization": (
        node("BatchNormalization", "x s b m v", epsilon=1e-3),
        IMAGE,
        {"s": normal(3), "b": normal(3), "m": normal(3), "v": positive(3)},
    ),
    "batch_normalization_of_vector": (
        node("BatchNormalization", "x s b m v"),
        VECTOR,
        {"s": normal(6), "b": normal(6), "m": normal(6), "v": positive(6)},
    ),
    "relu": with_input("Relu"),
    "leaky_relu": with_input("LeakyRelu", alpha=0.3),
    "leaky_relu_default": with_input("LeakyRelu"),
    "prelu": with_constant("PRelu", normal(3, 1, 1)),
    "prelu_scalar": with_constant("PRelu", normal(1)),
    "prelu_of_vector": with_constant("PRelu", normal(6), VECTOR),
    "abs": with_input("Abs"),
    "neg": with_input("Neg"),
    "clip": with_input("Clip", arrays={"low": np.float32(-0.5), "high": np.float32(1.5)}),
    "clip_relu6": with_input("Clip", arrays={"low": np.float32(0), "high": np.float32(6)}),
    "clip_high": (node("Clip", "x  high"), IMAGE, {"high": np.float32(0.5)}),
    "clip_without_bounds": (node("Clip", "x"), IMAGE, {}),
    "max_of_number": with_constant("Max", np.float32(0.2)),
    "min_of_number": with_constant("Min", np.float32(0.2), first=True),
    "max_pool": pool("MaxPool", kernel_shape=[2, 2], strides=[2, 2]),
    "max_pool_pads": pool("MaxPool", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1]),
    "max_pool_ceil": pool("MaxPool", kernel_shape=[3, 2], strides=[2, 2], ceil_mode=1),
    "max_pool_same_upper": pool("MaxPool", kernel_shape=[3, 2], strides=[2, 1], auto_pad="SAME_UPPER"),
    "max_pool_default_strides": pool("MaxPool", kernel_shape=[3, 2]),
    "max_pool_1d": pool("MaxPool", SERIES, kernel_shape=[3], strides=[2], pads=[1, 1]),
    "max_pool_3d": pool("MaxPool", VOLUME, kernel_shape=[2, 2, 3], strides=[2, 1, 2]),
    "average_pool": pool("AveragePool", kernel_shape=[2, 3], strides=[2, 2]),
    "average_pool_pads": pool("AveragePool", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1]),
    "average_pool_uneven": pool("AveragePool", kernel_shape=[3, 2], strides=[3, 1], pads=[2, 0, 1, 1]),
    "average_pool_counts_pads": pool(
        "AveragePool", kernel_shape=[3, 3], strides=[2, 1], pads=[1, 1, 1, 1], count_include_pad=1
    ),
    "average_pool_ceil": pool("AveragePool", kernel_shape=[3, 2], strides=[2, 2], ceil_mode=1),
    # with padding that counts, onnxruntime 1.22 takes other windows than the node tests, which newer ones agree with
    "average_pool_same_lower": pool("AveragePool", kernel_shape=[2, 2], auto_pad="SAME_LOWER"),
    "average_pool_1d": pool("AveragePool", SERIES, kernel_shape=[4], strides=[2], pads=[1, 1]),
    "average_pool_3d": pool("AveragePool", VOLUME, kernel_shape=[2, 2, 2], pads=[1, 0, 1, 0, 0, 0]),
    "global_average_pool": with_input("GlobalAveragePool"),
    "global_max_pool": with_input("GlobalMaxPool", VOLUME),
    "global_average_pool_1d": with_input("GlobalAveragePool", SERIES),
    "reduce_mean": with_input("ReduceMean", arrays={"axes": ints(2, 3)}),
    "reduce_mean_without_axes_kept": with_input("ReduceMean", arrays={"axes": ints(-1, -2)}, keepdims=0),
    "reduce_mean_of_rows": with_input("ReduceMean", arrays={"axes": ints(2)}),
    "reduce_mean_of_channels": with_input("ReduceMean", arrays={"axes": ints(1)}, keepdims=0),
    "reduce_mean_of_all": with_input("ReduceMean", arrays={"axes": ints(1, 2, 3)}),
    "reduce_mean_of_vector": with_input("ReduceMean", VECTOR, {"axes": ints(1)}),
    "reduce_sum": with_input("ReduceSum", arrays={"axes": ints(2, 3)}),
    "reduce_max": with_input("ReduceMax", arrays={"axes": ints(2, 3)}, keepdims=0),
    "add_number": with_constant("Add", normal()),
    "add_channels": with_constant("Add", normal(3, 1, 1)),
    "add_channels_of_batch": with_constant("Add", normal(1, 3, 1, 1)),
    "add_columns": with_constant("Add", normal(7)),
    "add_image": with_constant("Add", normal(1, 3, 8, 7), first=True),
    "add_to_vector": with_constant("Add", normal(6), VECTOR),
    "add_and_repeat": with_constant("Add", normal(3, 8, 7), (3, 1, 7)),
    "subtract": with_constant("Sub", normal(3, 1, 1)),
    "subtract_from": with_constant("Sub", normal(3, 1, 1), first=True),
    "multiply": with_constant("Mul", normal(3, 1, 1)),
    "multiply_rows": with_constant("Mul", normal(8, 1), first=True),
    "divide": with_constant("Div", positive(3, 1, 1)),
    "flatten": with_input("Flatten", SERIES),
    "reshape": with_input("Reshape", arrays={"shape": ints(0, 3, -1)}),
    "reshape_all": with_input("Reshape", arrays={"shape": ints(-1, 12, 14)}),
    "reshape_vector": with_input("Reshape", VECTOR, {"shape": ints(0, 2, 3)}),
    "transpose": with_input("Transpose", perm=[0, 2, 3, 1]),
    "transpose_of_two": with_input("Transpose", (5, 6), perm=[0, 2, 1]),
    "squeeze": with_input("Squeeze", (3, 1, 5), {"axes": ints(2)}),
    "unsqueeze": with_input("Unsqueeze", (3, 5), {"axes": ints(-1, 1)}),
    "pad": with_input("Pad", arrays={"pads": ints(0, 0, 1, 2, 0, 0, 0, 1)}),
    "pad_channels": with_input("Pad", arrays={"pads": ints(0, 1, 0, 0, 0, 2, 0, 0)}),
    "pad_with_value": with_input("Pad", arrays={"pads": ints(0, 0, 1, 2, 0, 0, 0, 1), "v": np.float32(0.7)}),
    "pad_some_axes": (
        node("Pad", "x pads  axes"),
        IMAGE,
        {"pads": ints(1, 2), "axes": ints(-1)},
    ),
    "crop": with_input("Pad", arrays={"pads": ints(0, 0, -1, 2, 0, 0, 0, -3)}),
    "crop_with_value": with_input("Pad", arrays={"pads": ints(0, 0, -1, 2, 0, 0, 1, -3), "v": np.float32(-0.7)}),
    "slice": with_input("Slice", arrays={"starts": ints(1), "ends": ints(7), "axes": ints(2), "steps": ints(2)}),
    "slice_channels": with_input("Slice", arrays={"starts": ints(-2), "ends": ints(2**62), "axes": ints(1)}),
    "slice_backwards": with_input(
        "Slice", arrays={"starts": ints(-1), "ends": ints(-(2**62)), "axes": ints(3), "steps": ints(-1)}
    ),
    "gather": with_input("Gather", arrays={"i": ints(0, 2, 1, 5)}, axis=2),
    "gather_one": with_input("Gather", arrays={"i": np.array(-1)}, axis=1),
    "depth_to_space": with_input("DepthToSpace", (8, 3, 2), blocksize=2),
    "depth_to_space_crd": with_input("DepthToSpace", (8, 3, 2), blocksize=2, mode="CRD"),
    "space_to_depth": with_input("SpaceToDepth", (2, 6, 4), blocksize=2),
    "expand": with_input("Expand", (3, 1, 7), {"shape": ints(1, 3, 4, 7)}),
    "identity": with_input("Identity"),
    "dropout": with_input("Dropout"),
    "cast": with_input("Cast", to=1),
    "resize": (node("Resize", "x  scales"), IMAGE, {"scales": np.float32([1, 1, 2, 3])}),
    "resize_asymmetric": (
        node(
            "Resize",
            "x  scales",
            mode="nearest",
            coordinate_transformation_mode="asymmetric",
            nearest_mode="floor",
        ),
        IMAGE,
        {"scales": np.float32([1, 1, 2, 3])},
    ),
    "resize_to_sizes": (node("Resize", "x   sizes"), VOLUME, {"sizes": ints(3, 2, 10, 6, 15)}),
    "resize_down": (node("Resize", "x  scales"), IMAGE, {"scales": np.float32([1, 1, 0.5, 1])}),
    "resize_by_one": (node("Resize", "x  scales", mode="linear"), IMAGE, {"scales": np.float32([1, 1, 1, 1])}),
}


@pytest.mark.parametrize("name", CASES)
def test_operator_equals_onnxruntime(name, rng):
    nodes, shape, arrays = CASES[name]
    check_equal(make_model(nodes, shape, arrays, batch=3), rng, shape)


@pytest.mark.parametrize("opset", [11, 12, 13, 14, 16, 21, 22])
@pytest.mark.parametrize(
    "name", ["conv_strides", "gemm", "relu", "clip", "leaky_relu", "add_channels", "max_pool_pads"]
)
def test_operators_of_all_opsets(name, opset, rng):
    nodes, shape, arrays = CASES[name]
    check_equal(make_model(nodes, shape, arrays, opset=opset), rng, shape)


def test_mean_along_no_axes(rng):
    """onnxruntime 1.22 computes the mean along all axes."""
    model = make_model(node("ReduceMean", "x", noop_with_empty_axes=1), IMAGE)
    check_equal(model, rng, IMAGE, expected=lambda x: x)


OLD = {  # inputs of newer opsets were attributes
    "squeeze": (node("Squeeze", "x", axes=[2]), (3, 1, 5), {}),
    "unsqueeze": (node("Unsqueeze", "x", axes=[1]), (3, 5), {}),
    "reduce_mean": (node("ReduceMean", "x", axes=[2, 3]), IMAGE, {}),
    "reduce_sum": (node("ReduceSum", "x", axes=[2, 3], keepdims=0), IMAGE, {}),
    "dropout": (node("Dropout", "x", ratio=0.3), IMAGE, {}),
}


@pytest.mark.parametrize("name", OLD)
def test_operators_of_the_oldest_opset(name, rng):
    nodes, shape, arrays = OLD[name]
    check_equal(make_model(nodes, shape, arrays, opset=11), rng, shape)


@pytest.mark.parametrize(
    ("opset", "arrays", "attributes"),
    [(11, {}, {"split": [1, 2]}), (13, {"s": ints(1, 2)}, {}), (18, {}, {"num_outputs": 2})],
)
def test_parts_of_a_split(opset, arrays, attributes, rng):
    channels = 3 if opset < 18 else 4
    nodes = [
        node("Split", " ".join(["x", *arrays]), "a b", axis=1, **attributes),
        node("GlobalMaxPool", "a", "p"),
        node("GlobalAveragePool", "b", "q"),
        node("Concat", "q p", axis=1),
    ]
    check_equal(make_model(nodes, (channels, 4, 5), arrays, opset=opset), rng, (channels, 4, 5))


def test_batch_normalization_of_version_9(rng):
    arrays = {"s": normal(3), "b": normal(3), "m": normal(3), "v": positive(3)}
    check_equal(make_model(node("BatchNormalization", "x s b m v", momentum=0.9), IMAGE, arrays, opset=11), rng, IMAGE)


TWO = {
    "add": node("Add", "a b"),
    "subtract": node("Sub", "a b"),
    "sum": node("Sum", "a b a"),
    "mean": node("Mean", "a b"),
    "max": node("Max", "a b"),
    "min": node("Min", "b a c"),
    "concat": node("Concat", "a b a", axis=1),
    "concat_rows": node("Concat", "a b", axis=-2),
}


@pytest.mark.parametrize("name", TWO)
def test_operators_of_two_tensors(name, rng):
    nodes = [node("Relu", "x", "a"), node("Mul", "x f", "b"), TWO[name]]
    check_equal(make_model(nodes, IMAGE, {"f": normal(3, 1, 1), "c": np.float32(0.3)}), rng, IMAGE)


def test_tensors_are_broadcast(rng):
    nodes = [node("GlobalAveragePool", "x", "p"), node("Sub", "x p")]
    check_equal(make_model(nodes, IMAGE), rng, IMAGE)


class TestFlattenedImages:
    """Weights behind Flatten follow the order of the entries, without specs that rearrange these."""

    @pytest.mark.parametrize("kind", ["Flatten", "Reshape"])
    def test_dense(self, kind, rng):
        arrays = {"k": normal(4, 3, 3, 3), "w": normal(120, 5), "b": normal(5), "shape": ints(0, -1)}
        flat = node("Flatten", "c", "f") if kind == "Flatten" else node("Reshape", "c shape", "f")
        nodes = [node("Conv", "x k", "c"), flat, node("Gemm", "f w b")]
        model = check_equal(make_model(nodes, IMAGE, arrays), rng, IMAGE)
        assert [type(layer) for layer in model.layers.values()] == [specs.Input, specs.Conv, specs.Flatten, specs.Dense]

    def test_operators_in_between(self, rng):
        arrays = {"k": normal(4, 3, 3, 3), "w": normal(120, 5), "a": normal(120), "p": normal(120)}
        arrays |= {name: normal(120) for name in "sbm"} | {"v": positive(120)}
        nodes = [
            node("Conv", "x k", "1"),
            node("Flatten", "1", "2"),
            node("Add", "2 a", "3"),
            node("PRelu", "3 p", "4"),
            node("BatchNormalization", "4 s b m v", "5"),
            node("Relu", "5", "6"),
            node("MatMul", "6 w"),
        ]
        model = check_equal(make_model(nodes, IMAGE, arrays), rng, IMAGE)
        assert not any(isinstance(layer, specs.Permute) for layer in model.layers.values())

    def test_sum_of_two(self, rng):
        nodes = [
            node("Flatten", "x", "1"),
            node("Relu", "1", "2"),
            node("Add", "1 2", "3"),
            node("Gemm", "3 w"),
        ]
        check_equal(make_model([node("Relu", "x", "r"), *nodes], IMAGE, {"w": normal(168, 5)}), rng, IMAGE)

    def test_sum_with_a_vector_in_another_order(self, rng):
        arrays = {"k": normal(4, 3, 1, 1), "w": normal(8, 8)}
        nodes = [
            node("Conv", "x k", "c"),
            node("Flatten", "c", "1"),
            node("MatMul", "1 w", "2"),
            node("Add", "1 2"),
        ]
        check_equal(make_model(nodes, (3, 2, 1), arrays), rng, (3, 2, 1))

    @pytest.mark.parametrize("kind", ["Reshape", "Concat", "Slice", "output", "MatMul"])
    def test_other_readers(self, kind, rng):
        arrays = {"k": normal(4, 3, 2, 2), "shape": ints(0, 4, -1), "same": ints(0, 12, 14), "w": normal(14, 3)}
        arrays |= {"starts": ints(3), "ends": ints(100), "axes": ints(1)}
        last = {
            "Reshape": [node("Reshape", "f shape")],
            "Concat": [node("Concat", "f f", axis=1)],
            "Slice": [node("Slice", "f starts ends axes")],
            "output": [node("Identity", "f")],
            "MatMul": [node("Reshape", "f same", "r"), node("MatMul", "r w")],
        }[kind]
        nodes = [node("Conv", "x k", "c"), node("Flatten", "c", "f"), *last]
        check_equal(make_model(nodes, (3, 7, 8), arrays), rng, (3, 7, 8))


def test_channels_are_shuffled_in_place(rng):
    """Groups of channels exchange their places, as in ShuffleNet, without moving the spatial axes."""
    arrays = {"k": normal(6, 3, 3, 3), "split": ints(0, 2, 3, 6, 5), "merge": ints(0, 6, 6, 5)}
    nodes = [
        node("Conv", "x k", "1"),
        node("Reshape", "1 split", "2"),
        node("Transpose", "2", "3", perm=[0, 2, 1, 3, 4]),
        node("Reshape", "3 merge"),
    ]
    check_equal(make_model(nodes, IMAGE, arrays), rng, IMAGE)


def test_global_pooling_and_flattening_are_one_spec(rng):
    for last in (node("Flatten", "p"), node("Reshape", "p shape"), node("Squeeze", "p axes")):
        arrays = {"shape": ints(0, -1), "axes": ints(2, 3)}
        model = make_model([node("Relu", "x", "r"), node("GlobalAveragePool", "r", "p"), last], IMAGE, arrays)
        read = check_equal(model, rng, IMAGE)
        assert [type(layer) for layer in read.layers.values()][2:] == [specs.GlobalAveragePool]


def test_maximum_is_padded_with_zeros_behind_a_rectifier(rng):
    pooled = node("MaxPool", "r", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
    model = check_equal(make_model([node("Relu", "x", "r"), pooled], (3, 8, 8)), rng, (3, 8, 8))
    assert [type(layer) for layer in model.layers.values()][2:] == [specs.Pad, specs.MaxPool]


@pytest.mark.parametrize("kind", ["Softmax", "LogSoftmax", "Sigmoid"])
def test_last_function_is_left_out(kind, rng):
    nodes = [node("Gemm", "x w", "s"), node(kind, "s")]
    w = normal(6, 4)
    model = check_equal(make_model(nodes, VECTOR, {"w": w}), rng, VECTOR, expected=lambda x: x @ w)
    (row,) = (row for row in model.metadata["reading"] if row["class"] == kind)
    assert row["status"] == "approximated"
    assert ("a score above 0" in row["remark"]) == (kind == "Sigmoid")
    assert model.metadata["head"] == ("sigmoid" if kind == "Sigmoid" else "softmax")


def test_sigmoid_of_an_image_at_the_end(rng):
    """Nodes that rearrange its entries may follow, as in decoders that were exported from other formats."""
    nodes = [
        node("Conv", "x k", "s"),
        node("Sigmoid", "s", "p"),
        node("Transpose", "p", "t", perm=[0, 2, 3, 1]),
        node("Flatten", "t"),
    ]
    read = snc.as_model(make_model(nodes, IMAGE, {"k": normal(2, 3, 3, 3)}))
    assert read.metadata["head"] == "sigmoid"
    refused = make_model([*nodes[:2], node("Relu", "p")], IMAGE, {"k": normal(2, 3, 3, 3)})
    with pytest.raises(snc.ConversionError, match="has a sigmoid in the middle of the model, before 'relu_y'"):
        snc.as_model(refused)


def test_constants_are_folded(rng):
    """Shapes and weights that are computed from constants, as PyTorch's exporter writes them."""
    arrays = {
        "zero": np.array(0),
        "minus": ints(-1),
        "k": normal(3, 4, 3, 3),
        "g": positive(4, 1, 1, 1),
        "axes": ints(0),
    }
    nodes = [
        node("Transpose", "k", "kt", perm=[1, 0, 2, 3]),
        node("Mul", "kt g", "kg"),
        node("Conv", "x kg", "c"),
        node("Shape", "c", "s"),
        node("Gather", "s zero", "n", axis=0),
        node("Unsqueeze", "n axes", "nu"),
        node("Concat", "nu minus", "shape", axis=0),
        node("Reshape", "c shape"),
    ]
    check_equal(make_model(nodes, IMAGE, arrays), rng, IMAGE)


@pytest.mark.parametrize("opset", [11, 13, 18])
def test_constant_nodes(opset, rng):
    value = normal(3, 1, 1)
    constant = onnx.helper.make_node("Constant", [], ["c"], value=onnx.numpy_helper.from_array(value))
    check_equal(make_model([constant, node("Add", "x c")], IMAGE, opset=opset), rng, IMAGE)


class TestInputLayout:
    """The input of the Model has its channels last, whatever axis they are in ONNX."""

    @pytest.mark.parametrize("shape", [(3, 8, 7), (3, 9), (2, 5, 6, 5)])
    def test_channels_first(self, shape, rng):
        kernel = normal(4, shape[0], *[2] * (len(shape) - 1))
        nodes = [node("Add", "x c", "a"), node("Conv", "a k")]
        model = snc.as_model(make_model(nodes, shape, {"c": normal(), "k": kernel}))
        assert model.shapes[model.input] == (*shape[1:], shape[0])
        assert not any(isinstance(layer, specs.Permute) for layer in model.layers.values())

    def test_channels_last(self, rng):
        """TensorFlow's exporter keeps channels last, and transposes images in front of convolutions."""
        arrays = {"k": normal(4, 3, 3, 3)}
        nodes = [
            node("Transpose", "x", "t", perm=[0, 3, 1, 2]),
            node("Conv", "t k", "c"),
            node("Transpose", "c", perm=[0, 2, 3, 1]),
        ]
        model = check_equal(make_model(nodes, (8, 7, 3), arrays), rng, (8, 7, 3))
        assert [type(layer) for layer in model.layers.values()] == [specs.Input, specs.Conv]

    @pytest.mark.parametrize(("shape", "expected"), [((1, 5, 5), (5, 5, 1)), ((5, 5, 1), (5, 5, 1)), ((5, 6), (5, 6))])
    def test_images_that_no_operator_reads(self, shape, expected, rng):
        n = int(np.prod(shape))
        nodes = [node("Flatten", "x", "f"), node("Gemm", "f w")]
        model = check_equal(make_model(nodes, shape, {"w": normal(n, 4)}), rng, shape)
        assert model.shapes[model.input] == expected

    def test_report_tells_the_order(self):
        rows = snc.inspect_model(make_model(node("Conv", "x k"), IMAGE, {"k": normal(4, 3, 3, 3)}))
        assert rows[0]["remark"] == "(3, 8, 7) in ONNX; the network takes (8, 7, 3), the channel last"

    def test_open_axes(self, rng):
        nodes = [node("Conv", "x k", "c"), node("GlobalAveragePool", "c")]
        model = make_model(nodes, (3, "h", "w"), {"k": normal(4, 3, 3, 3)})
        with pytest.raises(snc.ConversionError, match=r"\(3, '\?', '\?'\), with an open axis: give it in Python"):
            snc.as_model(model)
        assert snc.as_model(model, input_shape=(3, 6, 5)).shapes["x"] == (6, 5, 3)
        with pytest.raises(snc.ConversionError, match=r"input_shape=\(4, 6, 5\) does not fit"):
            snc.as_model(model, input_shape=(4, 6, 5))
