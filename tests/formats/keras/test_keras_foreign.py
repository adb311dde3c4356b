"""Models that are not Keras' are refused, by name, with a way out; and each way out works."""

import contextlib
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
    with pytest.raises(snc.ConversionError):
        inspect_keras(source)
    return message


def test_the_recipe_for_pytorch_gives_what_pytorch_does(tmp_path, monkeypatch):
    """The code of the page runs with the weights of a real model, of which PyTorch itself computed the output."""
    monkeypatch.chdir(tmp_path)
    blocks = [block for block in documents.blocks_of(PAGE.read_text(encoding="utf-8")) if block.kind == "python"]
    first, rest = blocks[0], blocks[1:]
    assert "np.savez" in first.text  # it makes a file, which here is the real one
    (tmp_path / "weights.npz").write_bytes((documents.ROOT / "tests" / "files" / "pytorch_model.npz").read_bytes())
    until = next(i for i, block in enumerate(rest) if "tensorflow" in block.text)
    names = documents.run(PAGE, [documents.Block("python", "import numpy as np\n", 1), *rest[:until]])
    x = np.moveaxis(PYTORCH["images"], 1, -1)
    check_close(names["model"].predict(x, verbose=0), PYTORCH["scores"])
    check_close(np.asarray(snc.rate_model(names["network"])(x)), PYTORCH["scores"])


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("model.pt", "PyTorch"),
        ("model.pth", "PyTorch"),
        ("MODEL.PT", "PyTorch"),
        ("model.onnx", "ONNX"),
        ("model.tflite", "TensorFlow Lite"),
        ("graph.pb", "TensorFlow graph"),
    ],
)
def test_files(name, kind, tmp_path):
    (tmp_path / name).write_bytes(b"anything")
    message = message_for(tmp_path / name)
    assert kind in message and "build the same model in Keras and copy its weights" in message
    assert "see 'Models from elsewhere'" in message
    assert PAGE.read_text(encoding="utf-8").startswith("# Models from elsewhere\n")
    assert ("that it was made from" in message) == (kind == "TensorFlow Lite")


@pytest.mark.parametrize(
    ("module", "name", "kind"),
    [
        ("torch.nn.modules.container", "Sequential", "a PyTorch model"),
        ("onnx.onnx_ml_pb2", "ModelProto", "an ONNX model"),
        ("flax.linen.module", "Module", "a Flax model"),
        ("tensorflow.lite.python.interpreter", "Interpreter", "a TensorFlow Lite interpreter"),
    ],
)
def test_objects(module, name, kind):
    base = type(name, (), {"__module__": module})
    for cls in (base, type("Own", (base,), {"__module__": "own"})):
        assert f"got {kind} ({cls.__name__}), not one of Keras: " in message_for(cls())


@pytest.mark.parametrize("source", [3, None, [1, 2], types.SimpleNamespace(layers=[])])
def test_objects_of_no_known_kind(source):
    expected = "expected a Keras model, a file of one or a nengo_snnconv Model, got "
    assert message_for(source) == expected + type(source).__name__


def test_names_that_only_begin_alike():
    cls = type("Own", (), {"__module__": "torchlight.models"})
    assert "PyTorch" not in message_for(cls())


@pytest.mark.filterwarnings("ignore")  # of TensorFlow, about the formats that it writes
class TestSavedModel:
    def test_of_tf_keras(self, tmp_path, rng):
        model = randomise(small(tf.keras), rng)
        model.save(tmp_path / "model", save_format="tf")
        message = message_for(tmp_path / "model")
        assert "a SavedModel folder of tf.keras: give tf.keras.models.load_model(" in message
        loaded = eval(message.partition("give ")[2], {"tf": tf})
        check_close(forward(as_model(loaded), x := images(rng)), model(x))

    @pytest.mark.parametrize("library", LIBRARIES)
    def test_of_others(self, library, tmp_path, rng):
        keras, folder = LIBRARIES[library], str(tmp_path / "model")
        model = randomise(small(keras), rng)
        if keras is keras3:
            model.export(folder, verbose=False)
        else:
            tf.saved_model.save(model, folder)
            (tmp_path / "model" / "keras_metadata.pb").unlink(missing_ok=True)
        assert "a SavedModel folder, which does not tell its layers: build the same model" in message_for(folder)
        loaded, again = tf.saved_model.load(folder), small(keras)
        again.set_weights([variable.numpy() for variable in loaded.variables])
        check_close(forward(as_model(again), x := images(rng)), model(x))
        assert "got a SavedModel that was loaded without Keras" in message_for(loaded)

    def test_layer_around_it(self, tmp_path, rng):
        folder = str(tmp_path / "model")
        randomise(small(keras3), rng).export(folder, verbose=False)
        layer = keras3.layers.TFSMLayer(folder, call_endpoint="serve")
        with pytest.raises(snc.ConversionError, match=r"'.*' .TFSMLayer. .*build the same model in Keras and copy"):
            as_model(keras3.Sequential([keras3.Input((6, 6, 2)), layer]))

    def test_folder_of_something_else(self, tmp_path):
        assert "is a folder, not a file: give a .keras or .h5 file" in message_for(tmp_path)


@pytest.mark.filterwarnings("ignore")
def test_constants_of_a_frozen_graph(rng):
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    model = randomise(small(tf.keras), rng)
    function = tf.function(model).get_concrete_function(tf.TensorSpec((None, 6, 6, 2)))
    frozen = convert_variables_to_constants_v2(function).graph.as_graph_def().SerializeToString()
    graph = tf.compat.v1.GraphDef.FromString(frozen)
    weights = {node.name: tf.make_ndarray(node.attr["value"].tensor) for node in graph.node if node.op == "Const"}
    for wanted in model.get_weights():
        assert any(array.shape == wanted.shape and np.array_equal(array, wanted) for array in weights.values())


@pytest.mark.filterwarnings("ignore")
def test_constants_of_tensorflow_lite(rng):
    model = randomise(small(tf.keras), rng)
    interpreter = tf.lite.Interpreter(model_content=tf.lite.TFLiteConverter.from_keras_model(model).convert())
    interpreter.allocate_tensors()
    constants = {}
    for each in interpreter.get_tensor_details():
        with contextlib.suppress(ValueError):  # of tensors that are computed
            constants[each["index"]] = interpreter.get_tensor(each["index"])
    kernel, dense = model.get_weights()[0], model.get_weights()[-2]
    assert any(np.array_equal(np.moveaxis(array, 0, -1), kernel) for array in constants.values() if array.ndim == 4)
    assert any(np.array_equal(array.T, dense) for array in constants.values() if array.ndim == 2)
