"""Models with several inputs and outputs: what is read computes the same, by name, whatever the source."""

import keras
import numpy as np
import pytest

import nengo_snnconv as snc
from nengo_snnconv.model.ports import joined, split

# Keras 3 with NumPy 2
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword")
rng = np.random.default_rng(0)
IMAGE, FACTS = (rng.random(shape, dtype=np.float32) for shape in ((5, 6, 6, 1), (5, 3)))


def outputs_of(source, inputs, **options):
    """Return the outputs of the network of a model by name."""
    network = snc.convert(source, **options)
    model = network.model
    vectors = joined(inputs, model.inputs, 1).reshape(-1, *model.shapes[model.input])
    return split(np.asarray(snc.rate_model(network)(vectors)), model.outputs)


def branches():
    """Return the input tensors and the output tensors of a Keras model."""
    layers = keras.layers
    image, facts = keras.Input((6, 6, 1), name="image"), keras.Input((3,), name="facts")
    pixels = layers.Flatten(name="flat")(layers.Conv2D(2, 3, activation="relu", name="conv")(image))
    hidden = layers.Dense(5, activation="relu", name="hidden")(layers.Concatenate(name="both")([pixels, facts]))
    kind = layers.Dense(4, activation="softmax", name="kind")(hidden)
    odd = layers.Dense(1, activation="sigmoid", name="odd", bias_initializer="ones")(hidden)
    picture = layers.Reshape((2, 3, 1), name="picture")(layers.Dense(6, name="dense")(hidden))
    return [image, facts], [kind, odd, picture]


def test_keras_lists():
    model = keras.Model(*branches())
    found = outputs_of(model, {"image": IMAGE, "facts": FACTS})
    kind, odd, picture = (keras.ops.convert_to_numpy(each) for each in model([IMAGE, FACTS]))
    assert list(found) == ["kind", "odd", "picture"]
    np.testing.assert_allclose(np.exp(found["kind"]) / np.exp(found["kind"]).sum(1, keepdims=True), kind, atol=1e-5)
    np.testing.assert_allclose(1 / (1 + np.exp(-found["odd"])), odd, atol=1e-5)
    np.testing.assert_allclose(found["picture"], picture, atol=1e-5)
    assert picture.shape == (5, 2, 3, 1)
    read = snc.as_model(model)
    assert [port.function for port in read.outputs.values()] == ["softmax", "sigmoid", None]
    assert {row["status"] for row in snc.inspect_model(model)} == {"exact", "approximated"}


def test_keras_dicts_and_files(tmp_path):
    (image, facts), (kind, _, picture) = branches()
    model = keras.Model({"image": image, "facts": facts}, {"what": kind, "drawn": picture})
    found = outputs_of(model, {"image": IMAGE, "facts": FACTS})
    expected = model({"image": IMAGE, "facts": FACTS})
    assert set(found) == {"what", "drawn"}
    np.testing.assert_allclose(found["drawn"], keras.ops.convert_to_numpy(expected["drawn"]), atol=1e-5)
    model.save(tmp_path / "model.keras")
    of_file = outputs_of(tmp_path / "model.keras", {"image": IMAGE, "facts": FACTS})
    for name, values in found.items():
        np.testing.assert_array_equal(of_file[name], values)


def test_two_inputs_through_the_same_layers():
    layers = keras.layers
    left, right = (keras.Input((6, 6, 1), name=name) for name in ("left", "right"))
    encoder = keras.Sequential(
        [keras.Input((6, 6, 1)), layers.Conv2D(2, 3, activation="relu"), layers.Flatten(), layers.Dense(4)], name="code"
    )
    difference = layers.Subtract()([encoder(left), encoder(right)])
    model = keras.Model([left, right], [layers.Dense(1, name="same")(layers.ReLU()(difference)), difference])
    found = outputs_of(model, {"left": IMAGE, "right": IMAGE[::-1].copy()})
    for values, expected in zip(found.values(), model([IMAGE, IMAGE[::-1].copy()]), strict=True):
        np.testing.assert_allclose(values, keras.ops.convert_to_numpy(expected), atol=1e-5)


def test_a_layer_with_two_outputs():
    (image, _), _ = branches()
    dense = keras.layers.Dense(3, name="dense")
    once = dense(keras.layers.Flatten()(image))
    model = keras.Model(image, [once, dense(keras.layers.Dense(36)(once))])
    found = outputs_of(model, {"image": IMAGE})
    assert list(found) == ["dense", "dense_1"]
    np.testing.assert_allclose(found["dense_1"], keras.ops.convert_to_numpy(model(IMAGE)[1]), atol=1e-5)


def test_a_sigmoid_that_another_output_needs():
    (image, _), _ = branches()
    share = keras.layers.Dense(3, activation="sigmoid", name="share")(keras.layers.Flatten()(image))
    model = keras.Model(image, [share, keras.layers.Dense(2, name="more")(share)])
    with pytest.raises(snc.ConversionError, match="sigmoid in the middle") as caught:
        snc.convert(model)
    assert caught.value.layer == "share"


def test_all_inputs_are_checked():
    image, text = keras.Input((4, 4, 1), name="image"), keras.Input((None, 3), name="text")
    mean = keras.layers.GlobalAveragePooling1D(name="mean")(text)
    model = keras.Model([image, text], keras.layers.Concatenate()([keras.layers.Flatten()(image), mean]))
    with pytest.raises(snc.ConversionError, match="open axis") as caught:
        snc.convert(model)
    assert caught.value.layer == "text"


def test_metadata_of_files_are_checked():
    model = snc.as_model(keras.Model(*branches()))
    ports = [{"name": "image", "shape": [6, 6, 1]}, {"name": "facts", "shape": [4]}]
    with pytest.raises(snc.ModelError, match="other sizes"):
        model.replace(metadata={**model.metadata, "inputs": ports})


class TestOnnx:
    @pytest.fixture
    def model(self):
        """Image and vector with the batch first, the channel second; class scores and an image."""
        onnx = pytest.importorskip("onnx")
        made, helper, floats = onnx.numpy_helper, onnx.helper, onnx.TensorProto.FLOAT
        arrays = {
            "k": rng.normal(size=(3, 2, 3, 3)),
            "w": rng.normal(size=(3 * 4 * 5, 4)),
            "v": rng.normal(size=(2, 4)),
        }
        graph = helper.make_graph(
            [
                helper.make_node("Conv", ["image", "k"], ["drawn"]),
                helper.make_node("Relu", ["drawn"], ["r"]),
                helper.make_node("Flatten", ["r"], ["f"]),
                helper.make_node("MatMul", ["f", "w"], ["a"]),
                helper.make_node("MatMul", ["facts", "v"], ["b"]),
                helper.make_node("Add", ["a", "b"], ["scores"]),
            ],
            "graph",
            [
                helper.make_tensor_value_info("image", floats, ["n", 2, 6, 7]),
                helper.make_tensor_value_info("facts", floats, ["n", "m"]),
            ],
            [helper.make_tensor_value_info(name, floats, None) for name in ("scores", "drawn")],
            [made.from_array(value.astype(np.float32), name) for name, value in arrays.items()],
        )
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)

    def test_outputs(self, model):
        onnxruntime = pytest.importorskip("onnxruntime")
        x = {"image": rng.random((4, 2, 6, 7), np.float32), "facts": rng.random((4, 2), np.float32)}
        session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
        expected = session.run(["scores", "drawn"], x)
        options = {"input_shape": {"facts": (2,)}}
        found = outputs_of(model, {**x, "image": np.moveaxis(x["image"], 1, -1)}, **options)
        np.testing.assert_allclose(found["scores"], expected[0], atol=1e-4)
        np.testing.assert_allclose(found["drawn"], np.moveaxis(expected[1], 1, -1), atol=1e-4)
        # images with the channel first are what the model itself takes
        network = snc.convert(model, input_shape=[(2, 6, 7), (2,)])
        np.testing.assert_array_equal(
            network.join_inputs(x), network.join_inputs({**x, "image": np.moveaxis(x["image"], 1, -1)})
        )

    @pytest.mark.parametrize("shapes, problem", [({"fact": (2,)}, "has 'fact'"), ([(2, 6, 7)], "has one shape")])
    def test_shapes_that_do_not_fit(self, model, shapes, problem):
        with pytest.raises(snc.ConversionError, match=problem):
            snc.convert(model, input_shape=shapes)

    def test_an_output_without_input(self, model):
        model.graph.output.append(onnx_value("k"))
        with pytest.raises(snc.ConversionError, match="output 'k' of the ONNX model does not depend"):
            snc.convert(model, input_shape=[(2, 6, 7), (2,)])


def onnx_value(name):
    onnx = pytest.importorskip("onnx")
    return onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None)


def test_pytorch():
    torch = pytest.importorskip("torch")
    pytest.importorskip("onnx")

    class Module(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.kind, self.size = torch.nn.Conv2d(1, 2, 3), torch.nn.Linear(35, 4), torch.nn.Linear(35, 1)

        def forward(self, image, facts):
            both = torch.cat([torch.relu(self.conv(image)).flatten(1), facts], dim=1)
            return {"kind": self.kind(both), "size": self.size(both)}

    module, images = Module(), torch.as_tensor(IMAGE.transpose(0, 3, 1, 2).copy())
    expected = module.eval()(images, torch.as_tensor(FACTS))
    for shapes in ({"facts": (3,), "image": (1, 6, 6)}, [(1, 6, 6), (3,)]):
        found = outputs_of(module, {"image": IMAGE, "facts": FACTS}, input_shape=shapes)
        for name, values in expected.items():
            np.testing.assert_allclose(found[name], values.detach().numpy(), atol=1e-5)
