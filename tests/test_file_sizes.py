"""Small files that ask for too much memory are refused before it is allocated."""

import resource
import zipfile

import numpy as np
import pytest
from models import small_cnn

import nengo_snnconv as snc
from nengo_snnconv.errors import SnnConvError
from nengo_snnconv.model import Model, archive, limits
from nengo_snnconv.model import layers as specs


class TestSizes:
    @pytest.fixture(autouse=True)
    def little_memory(self):
        with open("/proc/self/statm") as file:
            taken = int(file.read().split()[0]) * resource.getpagesize()
        limits_before = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (taken + 2**29, limits_before[1]))
        yield
        resource.setrlimit(resource.RLIMIT_AS, limits_before)

    def test_zeros_that_shrink(self, tmp_path):
        path = tmp_path / "bomb.npz"
        description = np.frombuffer(b'{"format": "nengo_snnconv", "version": 1}', np.uint8)
        zeros = np.broadcast_to(np.float32(0), (300, 1000, 1000))
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as opened:
            for name, array in ((archive.DESCRIPTION, description), ("a", zeros)):
                with opened.open(f"{name}.npy", "w") as member:
                    header = {"descr": array.dtype.str, "fortran_order": False, "shape": array.shape}
                    np.lib.format.write_array_header_1_0(member, header)
                    for part in np.atleast_2d(array):
                        member.write(part.tobytes())
        assert path.stat().st_size < 2_000_000
        with pytest.raises(snc.FileFormatError, match=r"would take at least 1,200,\d+,\d+ bytes"):
            snc.load(path)

    def test_many_zeros_are_written_so_that_they_can_be_read(self, tmp_path, monkeypatch):
        monkeypatch.setattr(archive, "MEMORY_LIMIT", 10_000)
        archive.write_arrays(tmp_path / "a.npz", {}, {"a": np.zeros(5000, np.float32)})
        assert archive.read_arrays(tmp_path / "a.npz")[1]["a"].shape == (5000,)

    def test_a_header_that_declares_more(self, tmp_path):
        snc.save(small_cnn(), tmp_path / "good.npz")
        with zipfile.ZipFile(tmp_path / "good.npz") as good, zipfile.ZipFile(tmp_path / "bad.npz", "w") as bad:
            for name in good.namelist():
                bad.writestr(name, good.read(name).replace(b"'shape': (4,)", b"'shape': (9999999999,)", 1))
        with pytest.raises(snc.FileFormatError, match=r"array of shape .9999999999,."):
            snc.load(tmp_path / "bad.npz")

    def test_a_description_that_is_too_long(self, tmp_path):
        with pytest.raises(snc.FileFormatError, match="settings and metadata take"):
            archive.write_arrays(tmp_path / "a.npz", {"a": "x" * archive.DESCRIPTION_LIMIT}, {})
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize(
        "layer",
        [
            {"type": "Upsample", "size": [10**4, 10**4, 1]},
            {"type": "Upsample", "size": [10**19, 10**19, 10**19]},
            {"type": "Pad", "before": [10**8, 0, 0], "after": [0, 0, 0]},
            {"type": "Pad", "before": [-7 * 10**8, 0, 0], "after": [0, 0, 0], "between": [10**8, 0, 0]},
            {"type": "MaxPool", "pool_size": [10**9, 10**9], "strides": [1, 1], "padding": "same"},
            {"type": "AveragePool", "pool_size": [10**5, 10**5], "strides": [9, 9], "padding": "same"},
            {"type": "Conv", "filters": 1, "kernel_size": [2, 2], "dilation": [10**6, 10**6], "padding": "same"},
            {"type": "Reshape", "shape": [2, 8, 8] + [1] * 60},
        ],
        ids=str,
    )
    def test_layers(self, layer, tmp_path):
        layers = [
            {"type": "Input", "name": "image", "shape": [8, 8, 2]},
            {"name": "large", "inputs": ["image"], **layer},
        ]
        if layer["type"] == "Conv":
            arrays = {"model/large/kernel": np.zeros((2, 2, 2, 1)), "model/large/bias": np.zeros(1)}
        else:
            arrays = {}
        description = {"model": {"layers": layers, "output": "large", "metadata": {}}}
        archive.write_arrays(tmp_path / "small.npz", description, arrays)
        with pytest.raises(snc.FileFormatError, match="layer 'large'.*(limit is|axes, got)"):
            snc.load(tmp_path / "small.npz")

    def test_many_layers_of_a_size_that_one_may_have(self):
        large = [specs.Input("x", shape=(1,)), specs.Upsample("0", "x", size=(limits.ENTRIES_OF_LAYER,))]
        more = [specs.Rectifier(str(i), str(i - 1)) for i in range(1, 10)]
        with pytest.raises(snc.ModelError, match="more than 268,435,456 entries") as caught:
            Model([*large, *more], {})
        assert caught.value.layer in map(str, range(10))

    def test_many_layers(self):
        layers = [specs.Input("0", shape=(1,)), *(specs.Rectifier(str(i), str(i - 1)) for i in range(1, 10_001))]
        with pytest.raises(snc.ModelError, match="at most 10,000 layers"):
            Model(layers, {})
        add = specs.Add("sum", ("x",) * 50_000)
        with pytest.raises(snc.ModelError, match="at most 40,000 inputs"):
            Model([specs.Input("x", shape=(1,)), add], {})

    def test_layers_of_keras_models_are_named(self):
        from nengo_snnconv.compat import tf

        image = tf.keras.Input((4, 4, 1))
        model = tf.keras.Model(image, tf.keras.layers.UpSampling2D(10**4, name="up")(image))
        with pytest.raises(SnnConvError, match="'up'.*limit is 16,777,216"):
            snc.convert(model)
