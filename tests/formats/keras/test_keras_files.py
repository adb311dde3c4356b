"""Files of Keras: those that it writes are read, and all others are refused with the way out."""

import json
import pathlib
import shutil
import subprocess
import sys
import warnings
import zipfile

import h5py
import numpy as np
import pytest
from documents import ROOT
from keras_comparison import LIBRARIES, check_close, forward, randomise
from keras_graphs import random_model, random_nested_model

import nengo_snnconv as snc
from nengo_snnconv import FileFormatError
from nengo_snnconv.compat import tf
from nengo_snnconv.formats.keras import as_model, inspect_keras


@pytest.fixture(params=LIBRARIES)
def keras(request):
    return LIBRARIES[request.param]


@pytest.fixture(params=[".keras", ".h5", ".hdf5"])
def suffix(request):
    return request.param


def save(model, path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # HDF5 is an old format; a model of Lambda is unsafe
        model.save(path)
    return path


def small(k):
    layers = k.layers
    image = k.Input((6, 6, 2), name="image")
    x = layers.Conv2D(3, 3, name="conv")(image)
    x = layers.BatchNormalization(name="norm")(x)
    inner = k.Sequential([k.Input((4, 4, 3)), layers.Conv2D(3, 3, padding="same", name="conv")], name="inner")
    x = layers.Add(name="sum")([inner(x), layers.ReLU(name="relu")(x)])
    return k.Model(image, layers.Dense(3, name="scores")(layers.Flatten(name="flat")(x)))


def with_code(k):
    layers = [k.layers.Dense(3, name="before"), k.layers.Lambda(lambda x: 2 * x, name="code")]
    inner = k.Sequential([k.Input((4,)), *layers], name="inner")
    return k.Sequential([k.Input((4,)), inner, k.layers.ReLU(name="r")])


@pytest.mark.parametrize("kind", [str, pathlib.Path])
def test_round_trip(keras, suffix, kind, tmp_path, rng):
    original = randomise(small(keras), rng)
    path = save(original, tmp_path / f"model{suffix}")
    model, direct = as_model(kind(path)), as_model(original)
    assert list(model.layers.values()) == list(direct.layers.values())
    assert all(np.array_equal(model.arrays[name], array) for name, array in direct.arrays.items())
    assert model.metadata == direct.metadata
    x = rng.normal(size=(3, 6, 6, 2)).astype(np.float32)
    check_close(forward(model, x), original(x, training=False))
    assert inspect_keras(kind(path)) == model.metadata["reading"]


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("make", [random_model, random_nested_model])
def test_files_hold_what_the_model_does(keras, make, seed, tmp_path):
    """Every array of a random model, in a model in a model too, is found in its files, and is the right one."""
    original = make(seed, keras=keras)
    direct = as_model(original)
    for suffix in (".keras", ".h5"):
        model = as_model(save(original, tmp_path / f"model{suffix}"))
        assert list(model.layers.values()) == list(direct.layers.values())
        assert model.arrays.keys() == direct.arrays.keys()
        assert all(np.array_equal(model.arrays[name], array) for name, array in direct.arrays.items())
        assert model.metadata == direct.metadata


EARLIER = ROOT / "tests" / "files" / "keras"


@pytest.mark.parametrize("path", sorted(EARLIER.glob("*.[kh]*")), ids=lambda path: path.name)
def test_files_of_earlier_versions(path):
    with np.load(EARLIER / "outputs.npz") as outputs:
        check_close(forward(as_model(path), outputs[f"{path.name}-x"]), outputs[f"{path.name}-y"])


def test_layers_whose_arrays_cannot_be_told_apart(tmp_path):
    """In .h5, the arrays of a nested model are one list; names that do not fit its layers are no guess's business."""
    keras = LIBRARIES["tf.keras"]
    inner = keras.Sequential([keras.Input((4,)), keras.layers.Dense(4, name="a"), keras.layers.Dense(4, name="b")])
    path = save(keras.Sequential([keras.Input((4,)), inner]), tmp_path / "model.h5")
    assert as_model(path).layers
    with h5py.File(path, "a") as file:
        (group,) = (file["model_weights"][name] for name in file["model_weights"] if name.startswith("seq"))
        group.attrs["weight_names"] = list(group.attrs["weight_names"])[::-1]
    with pytest.raises(snc.ConversionError, match="nested model whose arrays the file does not tell apart: load the f"):
        as_model(path)


def test_normalization_keeps_what_it_was_adapted_to(keras, suffix, tmp_path, rng):
    layer = keras.layers.Normalization()
    layer.adapt(rng.normal(3, 2, (20, 4)).astype(np.float32))
    original = keras.Sequential([keras.Input((4,)), layer])
    x = rng.normal(size=(3, 4)).astype(np.float32)
    check_close(forward(as_model(save(original, tmp_path / f"model{suffix}")), x), original(x))


def test_code_is_refused_and_not_run(keras, suffix, tmp_path):
    path = save(with_code(keras), tmp_path / f"model{suffix}")
    with pytest.raises(snc.ConversionError, match="layer 'inner.code' .Lambda. holds Python code, which is not read"):
        as_model(path)
    rows = {row["layer"]: row["status"] for row in inspect_keras(path)}
    assert (rows["inner.before"], rows["inner.code"], rows["r"]) == ("exact", "refused", "not checked")


def test_own_layers(keras, suffix, tmp_path):
    class Own(keras.layers.Layer):
        def call(self, inputs):
            return 2 * inputs

    path = save(keras.Sequential([keras.Input((4,)), Own(name="l")]), tmp_path / f"model{suffix}")
    # a .keras file tells whose class it is
    message = "'l' .Own. is a class of .*, not one of Keras" if suffix == ".keras" else "'l' .Own. is not supported"
    with pytest.raises(snc.ConversionError, match=message):
        as_model(path)


def test_own_parts(keras, suffix, tmp_path):
    """What makes initial weights, and the loss, do not matter once there are weights."""

    class Own(keras.initializers.Constant):
        pass

    dense = keras.layers.Dense(3, kernel_initializer=Own(1), name="l")
    model = keras.Sequential([keras.Input((4,)), dense])
    for source in (model, save(model, tmp_path / f"model{suffix}")):
        assert np.array_equal(as_model(source).arrays["l/kernel"], np.ones((4, 3)))


def test_code_in_an_activation(tmp_path):
    keras = LIBRARIES["Keras 3"]
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, activation=lambda x: x, name="l")])
    with pytest.raises(snc.ConversionError, match="'l' .Dense. has activation '__lambda__'|of your own"):
        as_model(save(model, tmp_path / "model.keras"))


def test_code_beside_the_layers(tmp_path):
    """It is not looked at: only layers are."""
    good, path = save(small(tf.keras), tmp_path / "good.keras"), tmp_path / "model.keras"
    with zipfile.ZipFile(good) as source, zipfile.ZipFile(path, "w") as archive:
        entry = json.loads(source.read("config.json"))
        entry["config"]["extra"] = {"class_name": "Lambda", "config": {}}
        archive.writestr("config.json", json.dumps(entry))
        for name in ("metadata.json", "model.weights.h5"):
            archive.writestr(name, source.read(name))
    assert list(as_model(path).layers) == list(as_model(good).layers)


def test_own_activation(keras, suffix, tmp_path):
    def own(x):
        return 2 * x

    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, activation=own, name="l")])
    with pytest.raises(snc.ConversionError, match="'l' .Dense. has an activation of your own, 'own': use 'relu'"):
        as_model(save(model, tmp_path / f"model{suffix}"))


@pytest.mark.filterwarnings("ignore:__array__ implementation")
def test_a_function_of_tensorflow_as_activation(tmp_path):
    """Keras 3 writes no more than its short name, so that only the live model tells what it is."""
    keras, path = LIBRARIES["Keras 3"], tmp_path / "model.keras"
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, activation=tf.nn.softmax, name="l")])
    with pytest.raises(snc.ConversionError, match="'softmax_v2': .* load the file in Keras with custom_objects"):
        as_model(save(model, path))
    live = keras.models.load_model(path, custom_objects={"softmax_v2": tf.nn.softmax})
    assert as_model(live).metadata["reading"][-1]["status"] == "approximated"


@pytest.mark.filterwarnings("ignore:__array__ implementation")
def test_weights_only(keras, tmp_path):
    model = small(keras)
    model.save_weights(tmp_path / "model.weights.h5")
    with pytest.raises(snc.ConversionError, match="holds weights only.*load_weights, and pass the model"):
        as_model(tmp_path / "model.weights.h5")


@pytest.mark.parametrize("share", [0.02, 0.5, 0.95])
def test_cut_short(keras, suffix, share, tmp_path):
    path = save(small(keras), tmp_path / f"model{suffix}")
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(FileFormatError, match="damaged"):
        as_model(path)


def test_weights_that_do_not_fit(keras, tmp_path):
    path = save(small(keras), tmp_path / "model.h5")
    with h5py.File(path, "a") as file:
        file.attrs["model_config"] = file.attrs["model_config"].replace('"units": 3', '"units": 4')
    with pytest.raises(snc.ConversionError, match=r"'scores' .Dense. has a kernel of shape .48, 3., expected .48, 4."):
        as_model(path)


class TestOtherFiles:
    def test_missing(self, tmp_path):
        with pytest.raises(FileNotFoundError, match="there is no file .*model.keras"):
            as_model(tmp_path / "model.keras")
        with pytest.raises(FileNotFoundError, match="there is no file"):
            inspect_keras("lif-mnist")

    def test_our_own(self, tmp_path):
        snc.save(as_model(small(tf.keras)), tmp_path / "model.npz")
        with pytest.raises(snc.ConversionError, match="is a file of nengo_snnconv: open it with load"):
            as_model(tmp_path / "model.npz")

    def test_saved_model(self, tmp_path):
        (tmp_path / "model").mkdir()
        with pytest.raises(snc.ConversionError, match="is a folder, not a file"):
            as_model(tmp_path / "model")
        (tmp_path / "model" / "saved_model.pb").write_bytes(b"")
        with pytest.raises(snc.ConversionError, match="is a SavedModel folder, .* build the same model"):
            as_model(tmp_path / "model")

    @pytest.mark.parametrize("content", [b"", b"hello", b"PK\x03\x04 no archive", b"\x89HDF\r\n\x1a\n no file"])
    def test_foreign(self, content, tmp_path):
        path = tmp_path / "model.keras"
        path.write_bytes(content)
        with pytest.raises(FileFormatError, match=r"model\.keras is .*damaged"):
            as_model(path)

    def test_foreign_archive(self, tmp_path):
        path = tmp_path / "model.keras"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("readme.txt", "hello")
        with pytest.raises(FileFormatError, match="zip archive, but not one of Keras"):
            as_model(path)

    def test_archive_without_weights(self, keras, tmp_path):
        good, path = save(small(keras), tmp_path / "good.keras"), tmp_path / "model.keras"
        with zipfile.ZipFile(good) as source, zipfile.ZipFile(path, "w") as archive:
            for name in ("config.json", "metadata.json"):
                archive.writestr(name, source.read(name))
        with pytest.raises(FileFormatError, match=r"model\.keras is damaged, .*it has no model\.weights\.h5"):
            as_model(path)

    def test_archive_whose_description_is_no_json(self, tmp_path):
        path = tmp_path / "model.keras"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("config.json", "{")
            archive.writestr("metadata.json", json.dumps({"keras_version": "3.0.0"}))
        with pytest.raises(FileFormatError, match="damaged"):
            as_model(path)

    def test_wrong_name(self, keras, tmp_path):
        for good, wrong in (("model.keras", "model.zip"), ("model.h5", "model.data")):
            shutil.copy(save(small(keras), tmp_path / good), tmp_path / wrong)
            with pytest.raises(FileFormatError, match=f"whose name must end in {pathlib.Path(good).suffix}"):
                as_model(tmp_path / wrong)


def test_no_keras_is_needed(keras, suffix, tmp_path):
    """Files are data: neither Keras, TensorFlow nor the HDF5 library sees them."""
    path = save(small(keras), tmp_path / f"model{suffix}")
    code = (
        "import sys; from nengo_snnconv.formats.keras import as_model, inspect_keras\n"
        "assert as_model(sys.argv[1]).layers and inspect_keras(sys.argv[1])\n"
        "print(sorted({'keras', 'tf_keras', 'tensorflow', 'h5py'} & set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
