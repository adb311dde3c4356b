"""ONNX files: arrays beside them, damaged and hostile files, and the command line."""

import contextlib
import sys
import tracemalloc

import numpy as np
import pytest
from onnx_comparison import check_equal, make_model, node, onnx, refused

import nengo_snnconv as snc
from nengo_snnconv import cli
from nengo_snnconv.compat import tf
from nengo_snnconv.formats.onnx.files import wire_format

OURS = (snc.ConversionError, snc.FileFormatError)
SHAPE = (3, 8, 7)


@pytest.fixture
def model(rng):
    """A small CNN."""
    arrays = {
        "k": rng.normal(size=(4, 3, 3, 3)).astype(np.float32),
        "w": rng.normal(size=(24, 5)).astype(np.float32),
        "b": rng.normal(size=5).astype(np.float32),
    }
    nodes = [
        node("Conv", "x k", "1"),
        node("Relu", "1", "2"),
        node("MaxPool", "2", "3", kernel_shape=[2, 2], strides=[2, 2]),
        node("Flatten", "3", "4"),
        node("Gemm", "4 w b"),
    ]
    return make_model(nodes, SHAPE, arrays)


@pytest.fixture
def path(model, tmp_path):
    onnx.save(model, tmp_path / "model.onnx")
    return tmp_path / "model.onnx"


@pytest.fixture
def external(model, tmp_path):
    """A model whose arrays are in a file beside it."""
    onnx.save(model, tmp_path / "model.onnx", save_as_external_data=True, location="arrays.bin", size_threshold=0)
    return tmp_path / "model.onnx"


def edited(path, change):
    """Change the message of a file, without its external data, and return the path."""
    model = onnx.load(path, load_external_data=False)
    change(model)
    path.write_bytes(model.SerializeToString())
    return path


def message_for(source, error=OURS):
    with pytest.raises(error) as caught:
        snc.as_model(source)
    text = str(caught.value)
    assert "\n" not in text and len(text) < 400
    return text


class TestReading:
    def test_files_and_models_in_memory(self, path, model, rng):
        read = check_equal(path, rng, SHAPE)
        assert np.array_equal(read.arrays["conv_1/kernel"], snc.as_model(model).arrays["conv_1/kernel"])
        assert np.array_equal(read.arrays["conv_1/kernel"], snc.as_model(str(path)).arrays["conv_1/kernel"])

    def test_external_data(self, external, rng):
        check_equal(external, rng, SHAPE)

    def test_types_of_arrays(self, model, rng):
        expected = snc.as_model(model)
        for kind in (np.float16, np.float64):
            for tensor in model.graph.initializer:
                array = onnx.numpy_helper.to_array(tensor).astype(kind)
                tensor.CopyFrom(onnx.numpy_helper.from_array(array, tensor.name))
            for name, array in snc.as_model(model).arrays.items():
                assert np.allclose(array, expected.arrays[name], rtol=2e-3, atol=2e-3)

    @pytest.mark.parametrize("kind", ["FLOAT", "DOUBLE", "FLOAT16", "BFLOAT16"])
    def test_arrays_that_are_not_stored_as_bytes(self, kind, model):
        kernel = onnx.numpy_helper.to_array(model.graph.initializer[0])
        rounded = np.round(8 * kernel) / 8
        made = onnx.helper.make_tensor("k", getattr(onnx.TensorProto, kind), kernel.shape, rounded.ravel())
        model.graph.initializer[0].CopyFrom(made)
        assert np.array_equal(snc.as_model(model).arrays["conv_1/kernel"], rounded.transpose(2, 3, 1, 0))

    def test_half_precision_is_reported(self, model):
        model.graph.input[0].type.tensor_type.elem_type = onnx.TensorProto.FLOAT16
        assert snc.inspect_model(model)[0]["remark"] == "computed in float32, not in float16"

    def test_files_of_earlier_versions_list_arrays_as_inputs(self, model, rng):
        for tensor in model.graph.initializer:
            model.graph.input.append(onnx.helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims))
        check_equal(model, rng, SHAPE)

    def test_same_network_as_from_keras(self, rng):
        """A network that computes the same is the same, whatever it was read from."""
        layers = tf.keras.layers
        keras = tf.keras.Sequential(
            [
                tf.keras.Input((8, 7, 3), name="x"),
                layers.Conv2D(4, 3, activation="relu", padding="same", name="conv"),
                layers.MaxPooling2D(2, name="pool"),
                layers.Flatten(name="flat"),
                layers.Dense(5, name="scores"),
            ]
        )
        keras.set_weights([rng.normal(size=w.shape) for w in keras.get_weights()])
        kernel, bias, dense, offset = keras.get_weights()
        arrays = {"k": kernel.transpose(3, 2, 0, 1), "b": bias, "o": offset}
        arrays["w"] = dense.reshape(4, 3, 4, 5).transpose(2, 0, 1, 3).reshape(48, 5)
        nodes = [
            node("Conv", "x k b", "1", pads=[1, 1, 1, 1]),
            node("Relu", "1", "2"),
            node("MaxPool", "2", "3", kernel_shape=[2, 2], strides=[2, 2]),
            node("Flatten", "3", "4"),
            node("MatMul", "4 w", "5"),
            node("Add", "5 o"),
        ]
        expected = snc.convert(keras).model
        got = snc.convert(make_model(nodes, SHAPE, arrays)).model
        assert [type(layer) for layer in got.layers.values()] == [type(layer) for layer in expected.layers.values()]
        assert list(got.shapes.values()) == list(expected.shapes.values())
        for array, other in zip(got.arrays.values(), expected.arrays.values(), strict=True):
            assert np.array_equal(array, other)


class TestRefusals:
    """Refusals name the part of the model, with the way out."""

    @pytest.mark.parametrize(
        ("made", "advice"),
        [
            (node("Tanh", "x"), "computes a function that spiking neurons cannot: train the model with ReLU instead"),
            (node("LayerNormalization", "x c"), "train the model with batch normalization"),
            (node("LRN", "x", size=3), "train the model with batch normalization"),
            (node("Mul", "x x"), "multiplies tensors, which spiking neurons cannot compute: train"),
            (node("Div", "c x"), "divides by a tensor"),
            (node("Upsample", "x c"), "export the model with opset 13 or newer"),
            (node("ArgMax", "x"), "export the model without it"),
            (node("Einsum", "x", equation="nchw->nc"), "replace it by supported operators"),
            (node("Own", "x", domain="com.own"), "is an operator of 'com.own', not one of ONNX itself"),
            (node("Pad", "x p", mode="reflect"), "train the model with zeros"),
            (node("Resize", "x  s", mode="linear"), "use 'nearest', which only repeats entries"),
            (node("Resize", "x  h"), "resize by whole numbers, with mode 'nearest'"),
            (node("Concat", "x x", axis=0), "the batch axis: use another axis"),
            (node("Transpose", "x", perm=[1, 0, 2, 3]), "moves the batch axis: keep it first"),
            (node("Reshape", "x flat"), "keep the batch as the first axis"),
            (node("Softmax", "x", axis=0), "the batch axis: use another axis"),
            (node("Relu", "x", alpha=1.0), "has the attributes ['alpha'], which are not supported"),
            (node("MaxPool", "x", kernel_shape=[2, 2], dilations=[2, 2]), "train the model without it"),
            (node("MaxPool", "x", kernel_shape=[2, 2], pads=[1, 1, 1, 1]), "put a Relu before it"),
            (node("Conv", "x x"), "train a model with constant weights"),
            (node("Add", "x nan"), "holds NaN or infinity: its training diverged"),
            (node("PRelu", "x slopes"), "train the model with one for each channel"),
        ],
    )
    def test_advice(self, made, advice):
        arrays = {"c": np.float32([1]), "p": np.array([0, 0, 1, 1, 0, 0, 1, 1]), "flat": np.array([-1, 4])}
        arrays |= {"s": np.float32([1, 1, 2, 2]), "h": np.float32([1, 1, 1.5, 1]), "nan": np.float32([np.nan])}
        arrays["slopes"] = np.ones((3, 8, 7), np.float32)
        model = make_model([node("Relu", "x", "r"), made], SHAPE, arrays)
        (remark,) = refused(model).values()
        assert advice in remark
        assert made.op_type in message_for(model)

    def test_all_nodes_are_checked(self):
        nodes = [node("Tanh", "x", "1"), node("Conv", "1 k", "2"), node("Selu", "2", "3"), node("Relu", "3")]
        model = make_model(nodes, SHAPE, {"k": np.ones((2, 3, 3, 3), np.float32)})
        assert list(refused(model)) == ["tanh_1", "selu_3"]

    def test_softmax_in_the_middle(self):
        model = make_model([node("Softmax", "x", "1"), node("Relu", "1")], SHAPE)
        assert refused(model) == {
            "softmax_1": "has a softmax in the middle of the model, before 'relu_y': it can only be at the end"
        }

    def test_no_input_and_an_open_second_input(self, model):
        more = onnx.ModelProto.FromString(model.SerializeToString())
        more.graph.input.append(onnx.helper.make_tensor_value_info("z", onnx.TensorProto.FLOAT, [1, "m"]))
        assert "open axis" in message_for(more)
        del model.graph.input[:]
        assert "has no input" in message_for(model)

    @pytest.mark.parametrize("version", [9, 10, 99])
    def test_versions_of_operators(self, version, model):
        model.opset_import[0].version = version
        assert f"needs version {version} of the operators, and 11 to" in message_for(model)

    def test_advice_on_versions_works(self, model, rng):
        model.opset_import[0].version = 10
        check_equal(onnx.version_converter.convert_version(model, 18), rng, SHAPE)

    def test_functions(self, model, rng):
        function = onnx.helper.make_function(
            "own", "Double", ["a"], ["b"], [node("Add", "a a", "b")], [onnx.helper.make_opsetid("", 18)]
        )
        nodes = [node("Double", "x", "1", domain="own"), node("Relu", "1")]
        with_function = make_model(nodes, SHAPE)
        with_function.functions.append(function)
        with_function.opset_import.append(onnx.helper.make_opsetid("own", 1))
        assert "onnx.inliner.inline_local_functions" in message_for(with_function)
        from onnx import inliner

        check_equal(inliner.inline_local_functions(with_function), rng, SHAPE)

    def test_missing_package(self, path, monkeypatch):
        monkeypatch.setitem(sys.modules, "onnx", None)
        with pytest.raises(snc.CompatibilityError, match=r"reading ONNX models needs the package onnx: pip install"):
            snc.as_model(path)


class TestCommandLine:
    def test_dry_run(self, path, capsys):
        assert cli.main(["convert", str(path), "--dry-run"]) == 0
        assert "gemm_y" in capsys.readouterr().out

    def test_conversion(self, path, tmp_path, capsys):
        output = tmp_path / "network.snn.npz"
        assert cli.main(["convert", str(path), str(output), "--method", "model", "--no-evaluate"]) == 0
        assert snc.load(output).model.shapes["x"] == (8, 7, 3)

    def test_refusal(self, tmp_path, capsys):
        onnx.save(make_model(node("Tanh", "x"), SHAPE), tmp_path / "model.onnx")
        assert cli.main(["convert", str(tmp_path / "model.onnx"), "--dry-run"]) == 1
        assert "train the model with ReLU" in capsys.readouterr().out


class TestHostileFiles:
    """A file is data: nothing in it is run, and sizes are checked before memory is allocated."""

    @contextlib.contextmanager
    def limited(self, megabytes=80):
        tracemalloc.start()
        try:
            yield
            assert tracemalloc.get_traced_memory()[1] < megabytes * 2**20
        finally:
            tracemalloc.stop()

    @pytest.mark.parametrize("location", ["../secret.bin", "/etc/passwd", "a/../../secret.bin", "..\\secret.bin", ""])
    def test_external_data_outside_of_the_folder(self, location, external):
        (external.parent.parent / "secret.bin").write_bytes(bytes(10**4))
        edited(external, lambda model: _set_entry(model, "location", location))
        assert "outside of the model's folder" in message_for(external, snc.FileFormatError)

    def test_external_data_behind_a_link(self, external):
        secret = external.parent.parent / "secret2.bin"
        secret.write_bytes(bytes(10**4))
        (external.parent / "arrays.bin").unlink()
        (external.parent / "arrays.bin").symlink_to(secret)
        assert "outside of the model's folder" in message_for(external, snc.FileFormatError)

    @pytest.mark.parametrize(
        ("key", "value"), [("offset", "-5"), ("offset", str(10**15)), ("length", "4"), ("offset", "x")]
    )
    def test_external_data_that_does_not_fit(self, key, value, external):
        edited(external, lambda model: _set_entry(model, key, value))
        assert "model.onnx" in message_for(external, snc.FileFormatError)

    def test_external_data_that_is_missing_or_short(self, external):
        arrays = external.parent / "arrays.bin"
        arrays.write_bytes(arrays.read_bytes()[:50])
        assert "was cut short" in message_for(external, snc.FileFormatError)
        arrays.unlink()
        with pytest.raises((FileNotFoundError, snc.FileFormatError)):
            snc.as_model(external)

    def test_external_data_of_a_model_in_memory(self, external):
        model = onnx.load(external, load_external_data=False)
        assert "pass the path of the model's file, not the ModelProto" in message_for(model)

    def test_external_data_that_is_used_again_and_again(self, model, tmp_path):
        (tmp_path / "arrays.bin").write_bytes(bytes(4 * 10**6))
        nodes = []
        del model.graph.initializer[:]
        for i in range(200):
            tensor = onnx.TensorProto(name=f"c{i}", data_type=1, dims=[10**6], data_location=1)
            for key, value in (("location", "arrays.bin"), ("length", str(4 * 10**6))):
                tensor.external_data.add(key=key, value=value)
            model.graph.initializer.append(tensor)
            nodes.append(node("Identity", f"c{i}", f"d{i}"))
        del model.graph.node[:]
        model.graph.node.extend([*nodes, node("Relu", "x")])
        (tmp_path / "bad.onnx").write_bytes(model.SerializeToString())
        with self.limited(60):
            assert "declare more bytes than" in message_for(tmp_path / "bad.onnx")

    def test_arrays_larger_than_the_file(self, path):
        edited(path, lambda model: model.graph.initializer[0].dims.__setitem__(0, 10**12))
        with self.limited():
            assert "bytes, expected" in message_for(path, snc.FileFormatError)

    @pytest.mark.parametrize(
        "made",
        [
            node("ConstantOfShape", "huge", "c"),
            node("Expand", "one huge", "c"),
            node("Tile", "one huge", "c"),
            node("Range", "zero many step", "c"),
        ],
    )
    def test_constants_that_grow(self, made):
        arrays = {"huge": np.array([10**6, 10**6]), "one": np.float32([[1]]), "zero": np.array(0), "step": np.array(1)}
        model = make_model([made, node("Add", "x c")], SHAPE, arrays | {"many": np.array(10**12)})
        with self.limited():
            assert "would make a constant of more than" in message_for(model)

    def test_parts_that_no_output_takes(self):
        model = make_model([node("Split", "x", "a", axis=1, num_outputs=10**12), node("Relu", "a")], SHAPE)
        with self.limited():
            assert "another num_outputs than its 1 outputs" in message_for(model)

    def test_constants_that_double(self):
        nodes = [node("Concat", f"c{i} c{i}", f"c{i + 1}", axis=0) for i in range(60)]
        model = make_model([*nodes, node("Add", "x c60")], SHAPE, {"c0": np.ones(1000, np.float32)})
        assert "make the model smaller" in message_for(model)

    @pytest.mark.parametrize(
        "made",
        [
            node("Resize", "x  scales"),
            node("Pad", "x pads"),
            node("ConvTranspose", "x k", strides=[10**6, 10**6]),
            node("Expand", "x wide"),
            node("DepthToSpace", "x", blocksize=10**9),
            node("MaxPool", "x", kernel_shape=[10**9, 10**9], pads=[10**8] * 4),
        ],
    )
    def test_tensors_that_grow(self, made):
        arrays = {"scales": np.float32([1, 1, 1e9, 1e9]), "pads": np.array([0, 0, 10**9, 10**9, 0, 0, 0, 0])}
        arrays |= {"k": np.ones((3, 2, 2, 2), np.float32), "wide": np.array([1, 3, 10**6, 10**6])}
        shape = SHAPE if made.op_type != "Expand" else (3, 1, 1)
        with self.limited():
            message_for(make_model([node("Relu", "x", "r"), made], shape, arrays))

    def test_arrays_that_are_copied_again_and_again(self):
        arrays = {"k": np.zeros((64, 64, 3, 3), np.float32)}
        nodes = [node("Conv", f"{i or 'x'} k", str(i + 1), pads=[1] * 4) for i in range(9000)]
        model = make_model(nodes, (64, 3, 3), arrays, output="9000")
        assert "share more than" in message_for(model)

    def test_many_nodes(self):
        nodes = [node("Relu", str(i or "x"), str(i + 1)) for i in range(10_001)]
        assert "more than 10,000 nodes" in message_for(make_model(nodes, SHAPE, output="10001"))

    def test_many_fields(self, tmp_path, monkeypatch):
        monkeypatch.setattr(wire_format, "MAX_FIELDS", 1000)
        content = b"\x0a\x00" * 1000  # nodes without contents
        length = bytes([len(content) & 127 | 128, len(content) >> 7])
        (tmp_path / "model.onnx").write_bytes(b"\x08\x08\x3a" + length + content)
        assert "more than 1,000 fields" in message_for(tmp_path / "model.onnx", snc.FileFormatError)

    def test_deep_nesting(self, tmp_path):
        graph = b"\x0a\x01g"
        for _ in range(2000):
            attribute = b"\x32" + _length(graph) + graph  # a graph that is an attribute of a node
            inner = b"\x2a" + _length(attribute) + attribute
            graph = b"\x0a" + _length(inner) + inner
        (tmp_path / "model.onnx").write_bytes(b"\x08\x08\x3a" + _length(graph) + graph)
        message_for(tmp_path / "model.onnx", snc.FileFormatError)

    @pytest.mark.parametrize("content", [b"", b"\x00" * 100, b"text that is no model", b"PK\x03\x04" * 30])
    def test_other_contents(self, content, tmp_path):
        (tmp_path / "model.onnx").write_bytes(content)
        assert "not an ONNX file" in message_for(tmp_path / "model.onnx", snc.FileFormatError)

    def test_unsorted_nodes(self, path):
        def swap(model):
            nodes = [onnx.NodeProto.FromString(each.SerializeToString()) for each in model.graph.node]
            del model.graph.node[:]
            model.graph.node.extend(nodes[::-1])

        assert "before it is computed" in message_for(edited(path, swap))

    def test_names_are_no_paths(self, path):
        def rename(model):
            model.graph.node[0].name = "/../../conv/" + "x" * 10**5
            model.graph.node[1].name = "\x1b[2J"

        names = [row["layer"] for row in snc.inspect_model(edited(path, rename))]
        assert not any("/" in name or len(name) > 250 for name in names)

    @pytest.mark.parametrize("seed", range(150))
    def test_damaged_files_raise_errors_of_the_package(self, seed, path):
        rng = np.random.default_rng(seed)
        content = bytearray(path.read_bytes())
        for _ in range(int(rng.integers(1, 6))):
            at = int(rng.integers(len(content)))
            if rng.random() < 0.7:
                content[at] = int(rng.integers(256))
            else:
                content[at : at + int(rng.integers(1, 30))] = content[: int(rng.integers(10))]
        path.write_bytes(bytes(content[: len(content) if rng.random() < 0.8 else int(rng.integers(len(content)))]))
        with contextlib.suppress(*OURS):
            snc.as_model(path)


def _set_entry(model, key, value):
    (tensor,) = (each for each in model.graph.initializer if each.name == "k")
    entries = [entry for entry in tensor.external_data if entry.key == key] or [tensor.external_data.add(key=key)]
    entries[0].value = value


def _length(content):
    """Return the length of bytes in the form of a protocol buffer."""
    n, out = len(content), bytearray()
    while True:
        out.append(n & 127 | (128 if n > 127 else 0))
        n >>= 7
        if not n:
            return bytes(out)
