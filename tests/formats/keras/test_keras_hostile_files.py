"""Hostile and damaged Keras files: nothing that they name is run or imported, and their memory is limited."""

import json
import os
import pathlib
import subprocess
import sys
import tracemalloc
import zipfile

import h5py
import numpy as np
import pytest
from damaged_keras_files import LIBRARIES, OURS, edited, fuzz, good_model, save

import nengo_snnconv as snc
from nengo_snnconv.formats.keras import as_model, inspect_keras

FORMATS = [(name, suffix) for name in LIBRARIES for suffix in (".keras", ".h5")]


@pytest.fixture(scope="module")
def good_files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("good")
    return {
        (name, suffix): save(good_model(LIBRARIES[name]), folder / f"{name}{suffix}".replace(" ", ""))
        for name, suffix in FORMATS
    }


@pytest.fixture(params=FORMATS, ids="".join)
def good(request, good_files):
    return good_files[request.param]


@pytest.fixture
def trap(tmp_path, monkeypatch):
    """Create a module in the current folder that writes a file when imported; check that the file is not written."""
    mark = tmp_path / "mark"
    (tmp_path / "evilmod.py").write_text(
        f"open({str(mark)!r}, 'w').close()\nclass Functional: pass\nConv2D = Functional"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield mark
    assert not mark.exists()
    assert "evilmod" not in sys.modules


def operator(kind, function, **keywords):
    """Return a change that replaces the layer "flat" by an operator of Keras 2."""

    def change(entry):
        for layer in entry["config"]["layers"]:
            if layer["config"]["name"] == "flat":
                layer.update(class_name=kind, module="keras.layers", registered_name=None)
                layer["config"] = {"name": "flat", "trainable": True, "dtype": "float32", "function": function}
                layer["config"]["symbol"] = function
                layer["inbound_nodes"] = [["_CONSTANT_VALUE", -1, keywords.pop("first", 1.0), keywords]]

    return change


def write_file(mark):
    return operator("TFOpLambda", "io.write_file", first=str(mark), contents="written")


def model_from_json(mark):
    code = ["4wEAAAAAAAAA", None, None]
    inner = {"class_name": "Lambda", "config": {"name": "l", "function": code, "function_type": "lambda"}}
    text = json.dumps({"class_name": "Sequential", "config": {"name": "s", "layers": [inner]}})
    return operator("TFOpLambda", "keras.models.model_from_json", first=text)


def at(path, **values):
    """Return a change of the dict at a path in the configuration; a key in a list is the name of a layer."""

    def change(entry):
        for key in path:
            if isinstance(entry, list):
                entry = next(layer for layer in entry if layer["config"]["name"] == key)
            else:
                entry = entry[key]
        entry.update(values)

    return change


def evil(kind, **config):
    return {"module": "evilmod", "class_name": kind, "config": config, "registered_name": kind}


LAYERS = ("config", "layers")
CONV = (*LAYERS, "conv")
CODE = {
    "class_name": "__lambda__",
    "config": {"value": ["4wEAAAAAAAAA", None, None]},
}
REFUSED = {
    "write_file": write_file,
    "model_from_json": model_from_json,
    **{
        kind: lambda mark, kind=kind: operator(kind, "write_bytes", first=str(mark))
        for kind in ("ClassMethod", "InstanceMethod", "InstanceProperty", "SlicingOpLambda")
    },
    "Lambda": lambda mark: at(
        CONV, class_name="Lambda", config={"name": "conv", "function": CODE, "module": "evilmod"}
    ),
    "own layer": lambda mark: at(CONV, module="evilmod", registered_name="Conv2D"),
    "registered layer": lambda mark: at(CONV, class_name="evilmod>Conv2D", registered_name="evilmod>Conv2D"),
    "nested model": lambda mark: at((*LAYERS, "inner"), module="evilmod"),
    "layer in a nested model": lambda mark: at((*LAYERS, "inner", *LAYERS, "deep"), module="evilmod"),
    "own operation": lambda mark: at((*LAYERS, "flat"), module="evilmod.ops", class_name="Relu"),
    "the whole model": lambda mark: at((), module="evilmod"),
    "the whole model's class": lambda mark: at((), class_name="Net"),
    "activation": lambda mark: at((*CONV, "config"), activation=evil("function")),
    "code as activation": lambda mark: at((*CONV, "config"), activation=CODE),
    "activation layer": lambda mark: at((*CONV, "config"), activation=evil("ReLU", max_value=1)),
    "data type": lambda mark: at((*CONV, "config"), dtype=evil("Policy", name="float32")),
}
IGNORED = {
    "initializer": lambda mark: at((*CONV, "config"), kernel_initializer=evil("Ones")),
    "code as initializer": lambda mark: at((*CONV, "config"), kernel_initializer=CODE),
    "compilation": lambda mark: at((), compile_config={"loss": evil("Loss"), "optimizer": evil("Adam")}),
}


@pytest.mark.parametrize("make", REFUSED.values(), ids=REFUSED)
def test_nothing_is_run_or_imported(make, good, trap, tmp_path):
    path = edited(good, tmp_path / f"bad{good.suffix}", make(trap))
    with pytest.raises(snc.ConversionError) as caught:
        as_model(path)
    try:
        assert caught.value.layer == next(row["layer"] for row in inspect_keras(path) if row["status"] == "refused")
    except snc.ConversionError:  # the class of the whole model, which has no row
        assert make in (REFUSED["the whole model"], REFUSED["the whole model's class"])


@pytest.mark.parametrize("make", IGNORED.values(), ids=IGNORED)
def test_ignored_entries_are_not_run_either(make, good, trap, tmp_path):
    path = edited(good, tmp_path / f"bad{good.suffix}", make(trap))
    assert as_model(path).arrays.keys() == as_model(good).arrays.keys()


@pytest.mark.parametrize(("suffix", "make"), [(".h5", write_file), (".keras", REFUSED["the whole model"])])
def test_the_command_line_runs_nothing(suffix, make, good_files, trap, tmp_path):
    path = edited(good_files["tf.keras", suffix], tmp_path / f"bad{suffix}", make(trap))
    command = [sys.executable, "-m", "nengo_snnconv.cli", "convert", str(path), "--dry-run"]
    paths = os.pathsep.join([str(pathlib.Path(snc.__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
    process = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"PYTHONPATH": paths})
    assert process.returncode != 0 or "refused" in process.stdout
    assert "Traceback" not in process.stderr


class TestMemory:
    """Small files that ask for much memory are refused before it is allocated."""

    @pytest.fixture(autouse=True)
    def limit(self):
        tracemalloc.start()
        yield
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 150e6

    def test_archive_bomb(self, good_files, tmp_path):
        path = tmp_path / "bad.keras"
        good = good_files["Keras 3", ".keras"]
        with zipfile.ZipFile(good) as source, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name in ("config.json", "metadata.json"):
                archive.writestr(name, source.read(name))
            with archive.open("model.weights.h5", "w") as file:
                for _ in range(300):
                    file.write(bytes(2**20))
        with pytest.raises(snc.FileFormatError, match="unpack to 314572800"):
            as_model(path)

    def test_configuration_bomb(self, tmp_path):
        path = tmp_path / "bad.keras"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("config.json", b"[" + b"1," * 2**25)
            archive.writestr("metadata.json", "{}")
        with pytest.raises(snc.FileFormatError, match=r"config.json would unpack to"):
            as_model(path)

    @pytest.mark.parametrize("options", [{}, {"chunks": (1024, 1024), "compression": "gzip"}])
    def test_array_without_data(self, options, good_files, tmp_path):
        path = save_with_array(good_files["tf.keras", ".h5"], tmp_path, shape=(30000, 30000), dtype="f4", **options)
        with pytest.raises(snc.FileFormatError, match="not stored|unpacks to 3600000000"):
            as_model(path)

    def test_array_with_extreme_compression(self, good_files, tmp_path):
        path = save_with_array(
            good_files["tf.keras", ".h5"], tmp_path, data=np.zeros((5000, 5000), np.float32), compression="gzip"
        )
        with pytest.raises(snc.FileFormatError, match="unpacks to 101605376 bytes"):
            as_model(path)

    def test_many_compressed_arrays(self, good_files, tmp_path):
        path = tmp_path / "bad.h5"
        path.write_bytes(good_files["tf.keras", ".h5"].read_bytes())
        with h5py.File(path, "a") as file:
            group = file["model_weights/conv"]
            for i in range(10):
                group.create_dataset(f"{i}", data=np.zeros(2**21, np.float32), compression="gzip", chunks=(2**20,))
            group.attrs["weight_names"] = [f"{i}" for i in range(10)]
        with pytest.raises(snc.FileFormatError, match="unpacks to 8388608 bytes"):
            as_model(path)

    def test_many_names_of_one_array(self, good_files, tmp_path):
        path = tmp_path / "bad.h5"
        path.write_bytes(good_files["tf.keras", ".h5"].read_bytes())
        with h5py.File(path, "a") as file:
            group = file["model_weights/conv"]
            group["big"] = np.zeros(2**21, np.float32)
            for i in range(100):
                group[f"{i}"] = group["big"]
            group.attrs["weight_names"] = [f"{i}" for i in range(100)]
        with pytest.raises(snc.FileFormatError, match="declare more|parts overlap"):
            as_model(path)

    @pytest.mark.parametrize(
        "change",
        [
            at((*LAYERS, "pool"), class_name="UpSampling2D", config={"name": "pool", "size": [10**8, 10**8]}),
            at((*LAYERS, "pool"), class_name="ZeroPadding2D", config={"name": "pool", "padding": [[10**9, 0], [0, 0]]}),
            at((*LAYERS, "image", "config"), batch_input_shape=[None, 10**9, 10**9, 2]),
        ],
    )
    def test_layers_with_huge_output(self, change, good_files, tmp_path):
        path = edited(good_files["tf.keras", ".keras"], tmp_path / "bad.keras", change)
        with pytest.raises(snc.ConversionError, match="output of .*entries") as caught:
            as_model(path)
        assert caught.value.layer in ("image", "pool")

    def test_calls_that_double_at_each_level(self, tmp_path, good_files):
        """Nest 30 models, each of which calls the next twice."""
        model = {"class_name": "ReLU", "module": "keras.layers", "config": {"name": "m", "dtype": "float32"}}
        for level in range(30):
            image = {"class_name": "InputLayer", "config": {"name": "i", "batch_shape": [None, 4]}, "inbound_nodes": []}
            nodes = [[["i", 0, 0, {}]], [["m", 0, 0, {}]]]
            layers = [{**image, "name": "i"}, {**model, "name": "m", "inbound_nodes": nodes}]
            config = {"name": "m", "layers": layers, "input_layers": [["i", 0, 0]], "output_layers": [["m", 1, 0]]}
            model = {"class_name": "Functional", "module": "keras", "config": config}
            if level:
                layers[1]["inbound_nodes"] = [[["i", 0, 0, {}]], [["m", 1, 0, {}]]]
                config["output_layers"] = [["m", 2, 0]]
        path = edited(good_files["tf.keras", ".keras"], tmp_path / "bad.keras", lambda entry: model)
        with pytest.raises(snc.ConversionError, match="more than 10000 times"):
            as_model(path)


def save_with_array(good, tmp_path, **options):
    """Copy an .h5 file with another array as a kernel."""
    path = tmp_path / "bad.h5"
    path.write_bytes(good.read_bytes())
    with h5py.File(path, "a") as file:
        group = file["model_weights/conv/conv"]
        del group["kernel:0"]
        group.create_dataset("kernel:0", **options)
    return path


class TestHDF5:
    """Features of HDF5, most of which Keras does not use."""

    @pytest.mark.parametrize("link", [h5py.SoftLink("/model_weights"), h5py.ExternalLink("other.h5", "/x")])
    def test_links(self, link, good_files, tmp_path):
        path = tmp_path / "bad.h5"
        path.write_bytes(good_files["tf.keras", ".h5"].read_bytes())
        with h5py.File(path, "a") as file:
            del file["model_weights/conv"]
            file["model_weights/conv"] = link
        with pytest.raises(snc.FileFormatError, match="a link|of a kind"):
            as_model(path)

    def test_data_in_another_file(self, good_files, tmp_path):
        (tmp_path / "secret").write_bytes(bytes(1000))
        outside = [(str(tmp_path / "secret"), 0, 216)]
        path = save_with_array(
            good_files["tf.keras", ".h5"], tmp_path, shape=(3, 3, 2, 3), dtype="f4", external=outside
        )
        with pytest.raises(snc.FileFormatError, match="is in another file"):
            as_model(path)

    def test_virtual_data(self, good_files, tmp_path):
        path = tmp_path / "bad.h5"
        path.write_bytes(good_files["tf.keras", ".h5"].read_bytes())
        layout = h5py.VirtualLayout((3, 3, 2, 3), "f4")
        layout[...] = h5py.VirtualSource("other.h5", "x", (3, 3, 2, 3))
        with h5py.File(path, "a") as file:
            del file["model_weights/conv/conv/kernel:0"]
            file["model_weights/conv/conv"].create_virtual_dataset("kernel:0", layout)
        with pytest.raises(snc.FileFormatError, match="Keras does not"):
            as_model(path)

    def test_newest_format(self, good_files, tmp_path):
        path = tmp_path / "bad.h5"
        with h5py.File(good_files["tf.keras", ".h5"]) as source, h5py.File(path, "w", libver="latest") as file:
            source.copy("model_weights", file)
            file.attrs.update(source.attrs)
        with pytest.raises(snc.FileFormatError, match="superblock, which Keras does"):
            as_model(path)

    @pytest.mark.parametrize("options", [{}, {"compression": "gzip"}, {"compression": "gzip", "shuffle": True}])
    def test_chunks(self, options, good_files, tmp_path, rng):
        kernel = rng.normal(size=(3, 3, 2, 3)).astype(np.float32)
        good = good_files["tf.keras", ".h5"]
        path = save_with_array(good, tmp_path, data=kernel, chunks=(2, 3, 2, 2), fletcher32=True, **options)
        assert np.array_equal(as_model(path).arrays["conv/kernel"], kernel)

    @pytest.mark.parametrize("dtype", [">f4", "f8", "f2", "i4"])
    def test_types(self, dtype, good_files, tmp_path, rng):
        kernel = rng.normal(0, 10, (3, 3, 2, 3)).astype(dtype)
        path = save_with_array(good_files["tf.keras", ".h5"], tmp_path, data=kernel)
        assert np.array_equal(as_model(path).arrays["conv/kernel"], kernel.astype(np.float32))

    def test_bfloat16(self, tmp_path, rng):
        keras = LIBRARIES["Keras 3"]
        model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, dtype="bfloat16", name="l")])
        kernel = np.asarray(model.get_weights()[0], np.float32)
        path = save(model, tmp_path / "model.keras")
        assert np.array_equal(as_model(path).arrays["l/kernel"], kernel)


@pytest.mark.parametrize("seed", range(240))
def test_damaged_files_raise_errors_of_the_package(seed, good_files, tmp_path):
    good = good_files[FORMATS[seed % len(FORMATS)]]
    error = fuzz(good, tmp_path / f"bad{good.suffix}", np.random.default_rng(seed), as_model)
    if error is not None:
        raise error


def test_errors_name_the_file(good, tmp_path):
    path = tmp_path / f"cut{good.suffix}"
    path.write_bytes(good.read_bytes()[:-2000])
    with pytest.raises(OURS, match=rf"cut\{good.suffix} "):
        as_model(path)
