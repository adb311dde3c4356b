import dataclasses
import json
import pickle

import numpy as np
import pytest
from models import branched, make, small_cnn

from nengo_snnconv import FileFormatError, ModelError
from nengo_snnconv.compat import tf
from nengo_snnconv.model import Model, archive, files, read_model, write_model
from nengo_snnconv.model import layers as specs
from nengo_snnconv.networks.keras_layers import keras_layer


class TestShapes:
    @pytest.mark.parametrize("padding", ["valid", "same"])
    @pytest.mark.parametrize("dilation", [1, 2])
    @pytest.mark.parametrize("rank", [1, 2, 3])
    @pytest.mark.parametrize("strides", [1, 2, 3])
    def test_convolution_as_keras(self, rank, strides, padding, dilation):
        if strides > 1 and dilation > 1:
            pytest.skip("Keras does not combine strides and dilation")
        shape = (*(9, 8, 7)[:rank], 4)
        ours = specs.Conv(
            "c", "x", filters=6, kernel_size=(3,) * rank, strides=strides, padding=padding, dilation=dilation, groups=2
        )
        keras = getattr(tf.keras.layers, f"Conv{rank}D")(
            6, 3, strides=strides, padding=padding, dilation_rate=dilation, groups=2
        )
        assert ours.output_shape(shape) == tuple(keras.compute_output_shape((None, *shape)))[1:]
        keras.build((None, *shape))
        assert list(ours.array_shapes(shape).values()) == [tuple(weight.shape) for weight in keras.weights]

    @pytest.mark.parametrize("padding", ["valid", "same"])
    @pytest.mark.parametrize(("size", "strides"), [(2, None), (3, 2), (2, 3)])
    def test_pooling_as_keras(self, size, strides, padding):
        ours = specs.AveragePool("p", "x", pool_size=(size, size), strides=strides, padding=padding)
        keras = tf.keras.layers.AveragePooling2D(size, strides, padding)
        assert ours.output_shape((7, 9, 2)) == tuple(keras.compute_output_shape((None, 7, 9, 2)))[1:]

    def test_of_a_branched_model(self):
        shapes = branched().shapes
        assert shapes["both"] == (8, 8, 8)
        assert shapes["max"] == (4, 4, 8)
        assert shapes["c"] == (2, 2, 4)
        assert shapes["mean"] == (4,)


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (
            lambda: specs.Conv("c", "x", filters=0, kernel_size=3),
            "layer 'c' .Conv. filters must be a positive integer",
        ),
        (lambda: specs.Conv("c", "x", filters=3, kernel_size=(3, 3), padding="full"), "padding must be one of"),
        (lambda: specs.Conv("c", "x", filters=3, kernel_size=(3, 3), strides=(1, 0)), "strides must hold 2 positive"),
        (lambda: specs.Conv("c", "x", filters=3, kernel_size=(3, 3), groups=2), "3 filters for 2 groups"),
        (lambda: specs.Conv("c", "x", filters=3, kernel_size=(3,) * 4), "1, 2 or 3 entries"),
        (lambda: specs.Dense("d", "x", units=True), "units must be a positive integer"),
        (lambda: specs.Add("a", "x"), "needs at least two inputs"),
        (lambda: specs.Flatten("f", ("x", "y")), "needs 1 input"),
        (lambda: specs.Dropout("d", "x", rate=1), "rate must be in"),
        (lambda: specs.Flatten("a/b", "x"), "name must be"),
        (lambda: specs.Input("x"), "needs a shape"),
        (lambda: specs.Permute("p", "x", axes=(1, 2)), "axes must hold each"),
        (lambda: specs.Permute("p", "x"), "axes must hold"),
        (
            lambda: specs.Pad("p", "x", before=(1, 1), after=(1,)),
            "after must hold",
        ),
        (lambda: specs.Pad("p", "x", before=(1.5,), after=(1,)), "before must hold"),
        (lambda: specs.Pad("p", "x"), "before must hold"),
        (lambda: specs.Pad("p", "x", before=(1,), after=(1,), between=(-1,)), "between must not be negative"),
        (lambda: specs.Upsample("u", "x", size=(2, 0)), "size must hold 2 positive"),
    ],
)
def test_wrong_specs_are_refused_by_name(layer, message):
    with pytest.raises(ModelError, match=message) as caught:
        layer()
    assert message == "name must be" or f"layer {caught.value.layer!r} (" in str(caught.value)


IMAGE = specs.Input("image", shape=(4, 4, 2))


def moved():
    """Return a model with layers that scale and that rearrange entries."""
    return make(
        IMAGE,
        specs.Affine("scaled", "image"),
        specs.Permute("turned", "scaled", axes=(2, 0, 1)),
        specs.Pad("padded", "turned", before=(0, 1, -1), after=(0, 1, 0), between=(0, 1, 2)),
        specs.Upsample("grown", "padded", size=(1, 2, 1)),
    )


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ([IMAGE, specs.Conv("c", "image", filters=2, kernel_size=(5, 5))], "window .* larger than its input"),
        ([IMAGE, specs.Conv("c", "image", filters=2, kernel_size=3)], "works on 1 spatial axes"),
        ([IMAGE, specs.Conv("c", "image", filters=3, kernel_size=(3, 3), groups=3)], "3 groups for 2 input channels"),
        ([IMAGE, specs.Reshape("r", "image", shape=(3,))], r"cannot reshape"),
        ([IMAGE, specs.Flatten("f", "image"), specs.Add("a", ("f", "image"))], "different shapes"),
        ([IMAGE, specs.Flatten("f", "image"), specs.Concatenate("a", ("image", "f"))], "differ in other axes"),
        ([IMAGE, specs.Flatten("image", "image")], "two layers are named 'image'"),
        ([IMAGE, specs.Input("more", shape=(2,))], "exactly one Input"),
        ([IMAGE, specs.GlobalAveragePool("g", "image"), specs.GlobalMaxPool("h", "g")], "needs spatial axes"),
        ([IMAGE, specs.Permute("p", "image", axes=(1, 0))], "permutes 2 axes"),
        ([IMAGE, specs.Pad("p", "image", before=(1,), after=(1,))], "pads 1 axes"),
        ([IMAGE, specs.Pad("p", "image", before=(-2, 0, 0), after=(-2, 0, 0))], "crops all entries"),
        ([IMAGE, specs.Upsample("u", "image", size=(2,))], "repeats 1 axes"),
        ([IMAGE, specs.Concatenate("c", ("image", "image"), axis=3)], "has no axis 3"),
    ],
)
def test_layers_that_do_not_fit_are_refused_by_name(layers, message):
    with pytest.raises(ModelError, match=message) as caught:
        make(*layers)
    assert caught.value.layer in (None if "exactly one" in message else layers[-1].name, "g")


class TestSelections:
    """Layers that rearrange entries, compared with results by hand and with Keras."""

    @pytest.mark.parametrize(
        ("layer", "expected"),
        [
            (specs.Flatten("s", "x"), [0, 1, 2, 3, 4, 5]),
            (specs.Reshape("s", "x", shape=(3, 2)), [[0, 1], [2, 3], [4, 5]]),
            (specs.Permute("s", "x", axes=(1, 0)), [[0, 3], [1, 4], [2, 5]]),
            (specs.Pad("s", "x", before=(1, 0), after=(0, 2)), [[9] * 5, [0, 1, 2, 9, 9], [3, 4, 5, 9, 9]]),
            (specs.Pad("s", "x", before=(0, -1), after=(-1, 0)), [[1, 2]]),
            (specs.Pad("s", "x", before=(0, 0), after=(0, 0), between=(0, 1)), [[0, 9, 1, 9, 2], [3, 9, 4, 9, 5]]),
            (specs.Pad("s", "x", before=(0, -1), after=(-2, 1), between=(1, 1)), [[9, 1, 9, 2, 9]]),
            (specs.Upsample("s", "x", size=(2, 1)), [[0, 1, 2], [0, 1, 2], [3, 4, 5], [3, 4, 5]]),
            (specs.Upsample("s", "x", size=(1, 2)), [[0, 0, 1, 1, 2, 2], [3, 3, 4, 4, 5, 5]]),
        ],
    )
    def test_by_hand(self, layer, expected):
        item = np.arange(6).reshape(2, 3)
        selected = layer.select(item, fill=9)
        assert selected.tolist() == expected
        assert selected.shape == layer.output_shape(item.shape)
        assert item.tolist() == [[0, 1, 2], [3, 4, 5]]

    @pytest.mark.parametrize("axis", [0, 1, -1])
    def test_concatenation(self, axis):
        items = np.arange(6).reshape(2, 3), np.arange(10, 16).reshape(2, 3)
        layer = specs.Concatenate("s", ("x", "y"), axis=axis)
        expected = [[0, 1, 2], [3, 4, 5], [10, 11, 12], [13, 14, 15]] if axis == 0 else None
        expected = expected or [[0, 1, 2, 10, 11, 12], [3, 4, 5, 13, 14, 15]]
        assert layer.select(*items).tolist() == expected
        assert np.shape(expected) == layer.output_shape(*(item.shape for item in items))

    @pytest.mark.parametrize(
        ("ours", "keras"),
        [
            (specs.Permute("s", "x", axes=(2, 0, 1)), tf.keras.layers.Permute((3, 1, 2))),
            (
                specs.Pad("s", "x", before=(1, 3, 0), after=(2, 4, 0)),
                tf.keras.layers.ZeroPadding2D(((1, 2), (3, 4))),
            ),
            (
                specs.Pad("s", "x", before=(-1, 0, 0), after=(-2, -1, 0)),
                tf.keras.layers.Cropping2D(((1, 2), (0, 1))),
            ),
            (specs.Upsample("s", "x", size=(2, 3, 1)), tf.keras.layers.UpSampling2D((2, 3))),
        ],
    )
    def test_as_keras(self, ours, keras, rng):
        item = rng.normal(size=(5, 4, 3)).astype(np.float32)
        expected = keras(item[None]).numpy()[0]
        assert np.array_equal(ours.select(item), expected)
        assert np.array_equal(keras_layer(ours, {})(item[None]).numpy()[0], expected)
        assert ours.output_shape(item.shape) == expected.shape


def test_affine_scales_and_shifts_the_last_axis(rng):
    layer = specs.Affine("a", "x")
    assert layer.array_shapes((4, 4, 2)) == {"scale": (2,), "bias": (2,)}
    assert layer.output_shape((4, 4, 2)) == (4, 4, 2)
    x = rng.normal(size=(1, 4, 4, 2)).astype(np.float32)
    made = keras_layer(layer, {"scale": np.float32([2, -1]), "bias": np.float32([0, 3])})(x)
    assert np.array_equal(made, np.stack([2 * x[..., 0], 3 - x[..., 1]], axis=-1))
    with pytest.raises(ModelError, match="'a/scale' must have shape") as caught:
        Model([IMAGE, specs.Affine("a", "image")], {"a/scale": np.ones(3), "a/bias": np.zeros(2)})
    assert caught.value.layer == "a"


def test_layers_come_after_their_inputs():
    with pytest.raises(ModelError, match="reads 'nothing'") as caught:
        Model([IMAGE, specs.Flatten("f", "nothing")], {})
    assert caught.value.layer == "f"


class TestModel:
    def test_is_immutable(self):
        model = small_cnn()
        with pytest.raises(TypeError):
            model.arrays["conv/kernel"] = 0
        with pytest.raises(ValueError, match="read-only"):
            model.arrays["conv/kernel"][:] = 0
        with pytest.raises(dataclasses.FrozenInstanceError):
            model.layers["conv"].filters = 5

    def test_copies_its_arrays(self):
        model = small_cnn()
        arrays = {name: array.copy() for name, array in model.arrays.items()}
        copy = model.replace(arrays=arrays)
        arrays["conv/bias"][:] = 7
        assert not (copy.arrays["conv/bias"] == 7).any()

    def test_replace_changes_only_what_is_named(self):
        model = small_cnn()
        changed = model.replace(arrays={"conv/bias": np.ones(3)})
        assert (changed.arrays["conv/bias"] == 1).all()
        assert np.array_equal(changed.arrays["conv/kernel"], model.arrays["conv/kernel"])
        assert not (model.arrays["conv/bias"] == 1).all()

    @pytest.mark.parametrize(
        ("arrays", "layer", "message"),
        [
            ({"conv/bias": np.ones(4)}, "conv", r"'conv/bias' must have shape \(3,\), got \(4,\)"),
            ({"conv/bias": np.full(3, np.nan)}, "conv", "'conv/bias' holds NaN"),
            ({"conv/slope": np.ones(3)}, None, "arrays: conv/slope"),
        ],
    )
    def test_refuses_wrong_arrays(self, arrays, layer, message):
        with pytest.raises(ModelError, match=message) as caught:
            small_cnn().replace(arrays=arrays)
        assert caught.value.layer == layer

    def test_refuses_missing_arrays(self):
        model = small_cnn()
        with pytest.raises(ModelError, match="missing: conv/bias, conv/kernel") as caught:
            Model(model.layers.values(), {n: a for n, a in model.arrays.items() if "conv" not in n})
        assert caught.value.layer == "conv"

    def test_pickles(self):
        model = small_cnn()
        copy = pickle.loads(pickle.dumps(model))
        assert list(copy.layers.values()) == list(model.layers.values())
        assert all(np.array_equal(copy.arrays[name], model.arrays[name]) for name in model.arrays)

    def test_first_neurons(self):
        assert branched().first_neurons == ["a_neurons", "b_neurons"]
        filtered = make(
            specs.Input("image", shape=(3,)),
            specs.Rectifier("first", "image"),
            specs.Filter("filter", "image", keeps=(0.5,)),
            specs.Rectifier("behind_filter", "filter"),
            specs.Concatenate("all", ("first", "behind_filter")),
        )
        assert filtered.first_neurons == ["first"]

    def test_unknown_output(self):
        with pytest.raises(ModelError, match="'nothing' does not exist"):
            small_cnn().replace(output="nothing")

    def test_summary_counts_parameters(self):
        lines = small_cnn().summary().splitlines()
        assert lines[2].split()[-1] == str(3 * 3 * 2 * 3 + 3)


class TestFiles:
    @pytest.mark.parametrize("model", [small_cnn(), branched(), moved()], ids=["chain", "branches", "selections"])
    def test_round_trip(self, model, tmp_path):
        model = model.replace(metadata={"history": {"loss": [1.0, 0.5]}})
        write_model(tmp_path / "m.npz", model, extra={"a": 1})
        read, sections = read_model(tmp_path / "m.npz")
        assert list(read.layers.values()) == list(model.layers.values())
        assert read.output == model.output
        assert read.metadata == model.metadata
        assert sections == {"extra": {"a": 1}}
        assert all(np.array_equal(read.arrays[name], model.arrays[name]) for name in model.arrays)

    def test_holds_no_pickle(self, tmp_path):
        write_model(tmp_path / "m.npz", small_cnn())
        with np.load(tmp_path / "m.npz", allow_pickle=False) as opened:
            assert all(opened[name].dtype != object for name in opened.files)
            assert json.loads(opened[archive.DESCRIPTION].tobytes())["format"] == "nengo_snnconv"

    def test_missing(self, tmp_path):
        with pytest.raises(FileNotFoundError, match="there is no file"):
            read_model(tmp_path / "m.npz")

    @pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
    def test_cut_short(self, tmp_path, share):
        path = tmp_path / "m.npz"
        write_model(path, branched())
        path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
        with pytest.raises(FileFormatError, match="damaged"):
            read_model(path)

    def test_any_flipped_byte_is_noticed_or_harmless(self, tmp_path, rng):
        path = tmp_path / "m.npz"
        model = small_cnn()
        write_model(path, model)
        good = path.read_bytes()
        noticed = 0
        for place in rng.integers(0, len(good), 200):
            path.write_bytes(good[:place] + bytes([good[place] ^ 0x10]) + good[place + 1 :])
            try:
                read, _ = read_model(path)
            except FileFormatError:
                noticed += 1
            else:
                assert all(np.array_equal(read.arrays[name], model.arrays[name]) for name in model.arrays)
        assert noticed > 100

    @pytest.mark.parametrize("content", [b"", b"hello", b"\x89HDF\r\n", b"PK\x03\x04 no archive"])
    def test_foreign(self, tmp_path, content):
        path = tmp_path / "m.npz"
        path.write_bytes(content)
        with pytest.raises(FileFormatError, match=r"m\.npz"):
            read_model(path)

    @pytest.mark.parametrize(
        "save",
        [
            lambda path: np.savez(path, a=np.ones(3)),
            lambda path: np.savez(path, **{archive.DESCRIPTION: np.frombuffer(b'{"format": "other"}', np.uint8)}),
            lambda path: np.savez(path, a=np.array([{}], dtype=object)),
        ],
    )
    def test_foreign_archive(self, tmp_path, save):
        save(tmp_path / "m.npz")
        with pytest.raises(FileFormatError, match="not a nengo_snnconv file"):
            read_model(tmp_path / "m.npz")

    def test_newer_version(self, tmp_path, monkeypatch):
        monkeypatch.setattr(archive, "VERSION", archive.VERSION + 1)
        write_model(tmp_path / "m.npz", small_cnn())
        monkeypatch.undo()
        with pytest.raises(FileFormatError, match="newer nengo_snnconv"):
            read_model(tmp_path / "m.npz")

    def test_inconsistent(self, tmp_path):
        model = small_cnn()
        description = {"model": files.model_to_json(model)}
        arrays = {f"model/{name}": array for name, array in model.arrays.items() if name != "conv/bias"}
        archive.write_arrays(tmp_path / "m.npz", description, arrays)
        with pytest.raises(FileFormatError, match="damaged.*missing: conv/bias"):
            read_model(tmp_path / "m.npz")

    def test_a_failed_write_keeps_the_old_file(self, tmp_path):
        path = tmp_path / "m.npz"
        write_model(path, small_cnn())
        with pytest.raises(TypeError):
            write_model(path, branched(), extra=object())
        with pytest.raises(ValueError, match="JSON"):
            write_model(path, branched().replace(metadata={"loss": float("nan")}))
        assert "conv" in read_model(path)[0].layers
        assert list(tmp_path.iterdir()) == [path]
