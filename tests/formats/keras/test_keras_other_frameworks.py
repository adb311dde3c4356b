"""Models of other frameworks are refused with advice, and the advice works."""

import contextlib
import re
import types

import documents
import numpy as np
import pytest
from keras_comparison import LIBRARIES, check_close, forward, randomise

import nengo_snnconv as snc
from nengo_snnconv.compat import keras3, tf
from nengo_snnconv.formats.keras import as_model, inspect_keras

PAGE = documents.DOCS / "how-to" / "models-from-elsewhere.md"
PYTORCH = np.load(documents.ROOT / "tests" / "files" / "pytorch_model.npz")


def small(k):
    layers = k.layers
    conv = layers.Conv2D(4, 3, activation="relu", name="conv")
    return k.Sequential([k.Input((6, 6, 2)), conv, layers.BatchNormalization(), layers.Flatten(), layers.Dense(3)])


def images(rng):
    return rng.normal(size=(3, 6, 6, 2)).astype(np.float32)


def message_for(source):
    with pytest.raises(snc.ConversionError) as error:
        as_model(source)
    message = str(error.value)
    assert "\n" not in message and len(message) < 320
    with pytest.raises(snc.ConversionError, match=f"^{re.escape(message)}$"):
        inspect_keras(source)
    return message


def test_pytorch_recipe_reproduces_pytorch(tmp_path, monkeypatch):
    """Run the code of the page with the weights of a PyTorch model; PyTorch itself computed the expected output."""
    monkeypatch.chdir(tmp_path)
    blocks = [block for block in documents.blocks_of(PAGE.read_text(encoding="utf-8")) if block.kind == "python"]
    first, rest = blocks[0], blocks[1:]
    assert "np.savez" in first.text  # writes a file, which is replaced by a real one here
    (tmp_path / "weights.npz").write_bytes((documents.ROOT / "tests" / "files" / "pytorch_model.npz").read_bytes())
    until = next(i for i, block in enumerate(rest) if "tensorflow" in block.text)
    names = documents.run(PAGE, [documents.Block("python", "import numpy as np\n", 1), *rest[:until]])
    x = np.moveaxis(PYTORCH["images"], 1, -1)
    check_close(names["model"].predict(x, verbose=0), PYTORCH["scores"])
    check_close(np.asarray(snc.rate_model(names["network"])(x)), PYTORCH["scores"])


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("model.tflite", "TensorFlow Lite"),
        ("graph.pb", "TensorFlow graph"),
    ],
)
def test_files_are_named(name, kind, tmp_path):
    (tmp_path / name).write_bytes(b"anything")
    message = message_for(tmp_path / name)
    assert kind in message and "build the same model in Keras and copy its weights" in message
    assert "see 'Models from elsewhere'" in message
    assert PAGE.read_text(encoding="utf-8").startswith("# Models from elsewhere\n")
    assert ("that it was made from" in message) == (kind == "TensorFlow Lite")


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("model.pt", "pass the module, as in convert(module, input_shape=(3, 32, 32))"),
        ("MODEL.PTH", "pass the module, as in convert(module, input_shape=(3, 32, 32))"),
        ("model.pt2", "load it with torch.export.load if you trust it, and pass the result"),
        ("model.ort", "pass the .onnx file that it was made from"),
    ],
)
def test_files_that_are_not_read_come_with_advice(name, advice, tmp_path):
    (tmp_path / name).write_bytes(b"anything")
    assert advice in message_for(tmp_path / name)


@pytest.mark.parametrize(
    ("module", "name", "kind"),
    [
        ("torch._tensor", "Tensor", "an object of PyTorch"),
        ("flax.linen.module", "Module", "a Flax model"),
        ("tensorflow.lite.python.interpreter", "Interpreter", "a TensorFlow Lite interpreter"),
    ],
)
def test_objects_are_named(module, name, kind):
    base = type(name, (), {"__module__": module})
    for cls in (base, type("Own", (base,), {"__module__": "own"})):
        assert f"got {kind} ({cls.__name__}), not a Keras model: " in message_for(cls())


def test_networks_in_nir_are_read_by_other_functions(tmp_path):
    (tmp_path / "a.nir").write_bytes(b"anything")
    assert "a NIR file, not a Keras file" in message_for(tmp_path / "a.nir")
    assert "read it with read_nir" in message_for(tmp_path / "a.nir")
    assert "pass it to from_nir" in message_for(type("NIRGraph", (), {"__module__": "nir.ir.graph"})())
    with pytest.raises(snc.FileFormatError, match="a NIR file: read it with snc.read_nir"):
        snc.load(tmp_path / "a.nir")


@pytest.mark.parametrize("source", [3, None, [1, 2], types.SimpleNamespace(layers=[])])
def test_other_objects(source):
    expected = "expected a model of Keras, ONNX or PyTorch, a file of one, or a nengo_snnconv Model, got "
    assert message_for(source) == expected + type(source).__name__


def test_module_whose_name_only_begins_with_torch():
    cls = type("Own", (), {"__module__": "torchlight.models"})
    assert message_for(cls()).startswith("expected a model of")


@pytest.mark.filterwarnings("ignore")  # TensorFlow warns about its formats
class TestSavedModel:
    def test_folder_of_tf_keras(self, tmp_path, rng):
        model = randomise(small(tf.keras), rng)
        model.save(tmp_path / "model", save_format="tf")
        message = message_for(tmp_path / "model")
        assert "a SavedModel folder of tf.keras: pass tf.keras.models.load_model(" in message
        loaded = eval(message.partition("pass ")[2], {"tf": tf})
        check_close(forward(as_model(loaded), x := images(rng)), model(x))

    @pytest.mark.parametrize("library", LIBRARIES)
    def test_folder_of_other_libraries(self, library, tmp_path, rng):
        keras, folder = LIBRARIES[library], str(tmp_path / "model")
        model = randomise(small(keras), rng)
        if keras is keras3:
            model.export(folder, verbose=False)
        else:
            tf.saved_model.save(model, folder)
            (tmp_path / "model" / "keras_metadata.pb").unlink(missing_ok=True)
        assert "a SavedModel folder, which does not list its layers: build the same model" in message_for(folder)
        loaded, again = tf.saved_model.load(folder), small(keras)
        again.set_weights([variable.numpy() for variable in loaded.variables])
        check_close(forward(as_model(again), x := images(rng)), model(x))
        assert "got a SavedModel that was loaded without Keras" in message_for(loaded)

    def test_layer_that_wraps_it(self, tmp_path, rng):
        folder = str(tmp_path / "model")
        randomise(small(keras3), rng).export(folder, verbose=False)
        layer = keras3.layers.TFSMLayer(folder, call_endpoint="serve")
        with pytest.raises(snc.ConversionError, match="holds a SavedModel") as caught:
            as_model(keras3.Sequential([keras3.Input((6, 6, 2)), layer]))
        assert caught.value.layer == layer.name

    def test_other_folder(self, tmp_path):
        assert "is a folder, not a file: pass a .keras or .h5 file" in message_for(tmp_path)


@pytest.mark.filterwarnings("ignore")
def test_frozen_graph_holds_the_weights(rng):
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    model = randomise(small(tf.keras), rng)
    function = tf.function(model).get_concrete_function(tf.TensorSpec((None, 6, 6, 2)))
    frozen = convert_variables_to_constants_v2(function).graph.as_graph_def().SerializeToString()
    graph = tf.compat.v1.GraphDef.FromString(frozen)
    weights = {node.name: tf.make_ndarray(node.attr["value"].tensor) for node in graph.node if node.op == "Const"}
    for weight in model.get_weights():
        assert any(array.shape == weight.shape and np.array_equal(array, weight) for array in weights.values())


@pytest.mark.filterwarnings("ignore")
def test_tensorflow_lite_holds_the_weights(rng):
    model = randomise(small(tf.keras), rng)
    interpreter = tf.lite.Interpreter(model_content=tf.lite.TFLiteConverter.from_keras_model(model).convert())
    interpreter.allocate_tensors()
    constants = {}
    for each in interpreter.get_tensor_details():
        with contextlib.suppress(ValueError):  # raised for computed tensors
            constants[each["index"]] = interpreter.get_tensor(each["index"])
    kernel, dense = model.get_weights()[0], model.get_weights()[-2]
    assert any(np.array_equal(np.moveaxis(array, 0, -1), kernel) for array in constants.values() if array.ndim == 4)
    assert any(np.array_equal(array.T, dense) for array in constants.values() if array.ndim == 2)
