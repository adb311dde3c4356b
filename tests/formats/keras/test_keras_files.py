"""Keras files are read, and all other files are refused with advice."""

import json
import os
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
        warnings.simplefilter("ignore")  # Keras warns that HDF5 is an old format and that Lambda is unsafe
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
def test_files_of_random_models(keras, make, seed, tmp_path):
    """Every array of a random model, nested models included, is read from its files."""
    original = make(seed, keras=keras)
    direct = as_model(original)
    for suffix in (".keras", ".h5"):
        model = as_model(save(original, tmp_path / f"model{suffix}"))
        assert list(model.layers.values()) == list(direct.layers.values())
        assert model.arrays.keys() == direct.arrays.keys()
        assert all(np.array_equal(model.arrays[name], array) for name, array in direct.arrays.items())
        assert model.metadata == direct.metadata


EARLIER_VERSIONS = ROOT / "tests" / "files" / "keras"


@pytest.mark.parametrize("path", sorted(EARLIER_VERSIONS.glob("*.[kh]*")), ids=lambda path: path.name)
def test_files_of_earlier_versions(path):
    with np.load(EARLIER_VERSIONS / "outputs.npz") as outputs:
        check_close(forward(as_model(path), outputs[f"{path.name}-x"]), outputs[f"{path.name}-y"])


def test_ambiguous_arrays_of_a_nested_model(tmp_path):
    """In .h5, the arrays of a nested model are in one list; names that do not fit its layers are refused."""
    keras = LIBRARIES["tf.keras"]
    inner = keras.Sequential([keras.Input((4,)), keras.layers.Dense(4, name="a"), keras.layers.Dense(4, name="b")])
    path = save(keras.Sequential([keras.Input((4,)), inner]), tmp_path / "model.h5")
    assert as_model(path).layers
    with h5py.File(path, "a") as file:
        (group,) = (file["model_weights"][name] for name in file["model_weights"] if name.startswith("seq"))
        group.attrs["weight_names"] = list(group.attrs["weight_names"])[::-1]
    with pytest.raises(snc.ConversionError, match="cannot be assigned"):
        as_model(path)


def test_adapted_normalization(keras, suffix, tmp_path, rng):
    layer = keras.layers.Normalization()
    layer.adapt(rng.normal(3, 2, (20, 4)).astype(np.float32))
    original = keras.Sequential([keras.Input((4,)), layer])
    x = rng.normal(size=(3, 4)).astype(np.float32)
    check_close(forward(as_model(save(original, tmp_path / f"model{suffix}")), x), original(x))


def test_lambda_is_refused(keras, suffix, tmp_path):
    path = save(with_code(keras), tmp_path / f"model{suffix}")
    with pytest.raises(snc.ConversionError, match="holds Python code") as caught:
        as_model(path)
    assert caught.value.layer == "inner.code"
    rows = {row["layer"]: row["status"] for row in inspect_keras(path)}
    assert (rows["inner.before"], rows["inner.code"], rows["r"]) == ("exact", "refused", "not checked")


def test_custom_layer_is_refused(keras, suffix, tmp_path):
    class Own(keras.layers.Layer):
        def call(self, inputs):
            return 2 * inputs

    path = save(keras.Sequential([keras.Input((4,)), Own(name="l")]), tmp_path / f"model{suffix}")
    # a .keras file also contains the module of the class
    message = "is a class of" if suffix == ".keras" else "is not supported"
    with pytest.raises(snc.ConversionError, match=message) as caught:
        as_model(path)
    assert caught.value.layer == "l"


def test_custom_initializer_is_ignored(keras, suffix, tmp_path):
    """Initializers do not affect trained weights."""

    class Own(keras.initializers.Constant):
        pass

    dense = keras.layers.Dense(3, kernel_initializer=Own(1), name="l")
    model = keras.Sequential([keras.Input((4,)), dense])
    for source in (model, save(model, tmp_path / f"model{suffix}")):
        assert np.array_equal(as_model(source).arrays["l/kernel"], np.ones((4, 3)))


def test_lambda_as_activation_is_refused(tmp_path):
    keras = LIBRARIES["Keras 3"]
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, activation=lambda x: x, name="l")])
    with pytest.raises(snc.ConversionError, match="activation '__lambda__'|of your own") as caught:
        as_model(save(model, tmp_path / "model.keras"))
    assert caught.value.layer == "l"


def test_code_outside_of_the_layers_is_ignored(tmp_path):
    good, path = save(small(tf.keras), tmp_path / "good.keras"), tmp_path / "model.keras"
    with zipfile.ZipFile(good) as source, zipfile.ZipFile(path, "w") as archive:
        entry = json.loads(source.read("config.json"))
        entry["config"]["extra"] = {"class_name": "Lambda", "config": {}}
        archive.writestr("config.json", json.dumps(entry))
        for name in ("metadata.json", "model.weights.h5"):
            archive.writestr(name, source.read(name))
    assert list(as_model(path).layers) == list(as_model(good).layers)


def test_custom_activation_is_refused(keras, suffix, tmp_path):
    def own(x):
        return 2 * x

    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, activation=own, name="l")])
    with pytest.raises(snc.ConversionError, match="of your own, 'own'") as caught:
        as_model(save(model, tmp_path / f"model{suffix}"))
    assert caught.value.layer == "l"


@pytest.mark.filterwarnings("ignore:__array__ implementation")
def test_tensorflow_function_as_activation(tmp_path):
    """Keras 3 writes its short name only, so the function is known from the live model only."""
    keras, path = LIBRARIES["Keras 3"], tmp_path / "model.keras"
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, activation=tf.nn.softmax, name="l")])
    with pytest.raises(snc.ConversionError, match="load the file"):
        as_model(save(model, path))
    live = keras.models.load_model(path, custom_objects={"softmax_v2": tf.nn.softmax})
    assert as_model(live).metadata["reading"][-1]["status"] == "approximated"


@pytest.mark.filterwarnings("ignore:__array__ implementation")
def test_weights_only(keras, tmp_path):
    model = small(keras)
    model.save_weights(tmp_path / "model.weights.h5")
    with pytest.raises(snc.ConversionError, match="holds weights only"):
        as_model(tmp_path / "model.weights.h5")


@pytest.mark.parametrize("fraction", [0.02, 0.5, 0.95])
def test_truncated_file(keras, suffix, fraction, tmp_path):
    path = save(small(keras), tmp_path / f"model{suffix}")
    path.write_bytes(path.read_bytes()[: int(fraction * path.stat().st_size)])
    with pytest.raises(FileFormatError, match="damaged"):
        as_model(path)


def test_kernel_of_wrong_shape(keras, tmp_path):
    path = save(small(keras), tmp_path / "model.h5")
    with h5py.File(path, "a") as file:
        file.attrs["model_config"] = file.attrs["model_config"].replace('"units": 3', '"units": 4')
    with pytest.raises(snc.ConversionError, match=r"shape \(48, 3\), expected") as caught:
        as_model(path)
    assert caught.value.layer == "scores"


class TestOtherFiles:
    def test_missing(self, tmp_path):
        with pytest.raises(FileNotFoundError, match="no file .*model.keras"):
            as_model(tmp_path / "model.keras")
        with pytest.raises(FileNotFoundError, match="there is no file"):
            inspect_keras("lif-mnist")

    def test_file_of_nengo_snnconv(self, tmp_path):
        snc.save(as_model(small(tf.keras)), tmp_path / "model.npz")
        with pytest.raises(snc.ConversionError, match="a file of nengo_snnconv"):
            as_model(tmp_path / "model.npz")

    def test_saved_model(self, tmp_path):
        (tmp_path / "model").mkdir()
        with pytest.raises(snc.ConversionError, match="is a folder"):
            as_model(tmp_path / "model")
        (tmp_path / "model" / "saved_model.pb").write_bytes(b"")
        with pytest.raises(snc.ConversionError, match="is a SavedModel folder"):
            as_model(tmp_path / "model")

    @pytest.mark.parametrize("content", [b"", b"hello", b"PK\x03\x04 no archive", b"\x89HDF\r\n\x1a\n no file"])
    def test_other_content(self, content, tmp_path):
        path = tmp_path / "model.keras"
        path.write_bytes(content)
        with pytest.raises(FileFormatError, match=r"model\.keras is .*damaged"):
            as_model(path)

    def test_other_archive(self, tmp_path):
        path = tmp_path / "model.keras"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("readme.txt", "hello")
        with pytest.raises(FileFormatError, match="zip archive, but not"):
            as_model(path)

    def test_archive_without_weights(self, keras, tmp_path):
        good, path = save(small(keras), tmp_path / "good.keras"), tmp_path / "model.keras"
        with zipfile.ZipFile(good) as source, zipfile.ZipFile(path, "w") as archive:
            for name in ("config.json", "metadata.json"):
                archive.writestr(name, source.read(name))
        with pytest.raises(FileFormatError, match=r"damaged.*no model\.weights\.h5"):
            as_model(path)

    def test_archive_with_invalid_json(self, tmp_path):
        path = tmp_path / "model.keras"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("config.json", "{")
            archive.writestr("metadata.json", json.dumps({"keras_version": "3.0.0"}))
        with pytest.raises(FileFormatError, match="damaged"):
            as_model(path)

    def test_wrong_suffix(self, keras, tmp_path):
        for good, wrong in (("model.keras", "model.zip"), ("model.h5", "model.data")):
            shutil.copy(save(small(keras), tmp_path / good), tmp_path / wrong)
            with pytest.raises(FileFormatError, match=f"must end in {pathlib.Path(good).suffix}"):
                as_model(tmp_path / wrong)


def test_libraries_are_not_imported(keras, suffix, tmp_path):
    """Neither Keras, TensorFlow nor the HDF5 library reads the file."""
    path = save(small(keras), tmp_path / f"model{suffix}")
    code = (
        "import sys; from nengo_snnconv.formats.keras import as_model, inspect_keras\n"
        "assert as_model(sys.argv[1]).layers and inspect_keras(sys.argv[1])\n"
        "print(sorted({'keras', 'tf_keras', 'tensorflow', 'h5py'} & set(sys.modules)))"
    )
    process = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    assert process.stdout.strip() == "[]"


class TestPaths:
    def test_pipe(self, tmp_path):
        os.mkfifo(tmp_path / "model.keras")
        with pytest.raises(snc.ConversionError, match="device or a pipe"):
            as_model(tmp_path / "model.keras")

    def test_device(self):
        with pytest.raises(snc.ConversionError, match="device or a pipe"):
            as_model("/dev/zero")

    def test_impossible_names(self):
        with pytest.raises(FileNotFoundError, match="there is no file"):
            as_model("a\0b.keras")
        with pytest.raises(snc.ConversionError, match="is a folder"):
            as_model("")
