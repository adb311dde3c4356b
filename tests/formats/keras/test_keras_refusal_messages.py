"""Reports and error messages for unsupported layers: every layer is checked, and messages are short."""

import pytest
from keras_comparison import LIBRARIES, refused
from keras_graphs import gated

import nengo_snnconv as snc
from nengo_snnconv.compat import tf
from nengo_snnconv.errors import listed
from nengo_snnconv.formats.keras import as_model, inspect_keras
from nengo_snnconv.formats.keras.files.stored_layers import StoredLayer
from nengo_snnconv.formats.keras.model_reader import ModelReader


@pytest.fixture(params=LIBRARIES)
def keras(request):
    return LIBRARIES[request.param]


class TestEveryLayerIsChecked:
    @pytest.mark.parametrize("name", ["EfficientNetB0", "MobileNetV3Small", "ConvNeXtTiny"])
    def test_large_models(self, keras, name):
        model = getattr(keras.applications, name)(weights=None, input_shape=(64, 64, 3))
        rows = inspect_keras(model)
        assert "not checked" not in {row["status"] for row in rows}
        assert len(refused(model)) > 10
        with pytest.raises(snc.ConversionError) as error:
            as_model(model)
        assert error.value.layer == next(iter(refused(model)))
        check_short(str(error.value))

    def test_layer_with_several_outputs(self, keras):
        image = keras.Input((8, 4))
        outcome, state, _ = keras.layers.LSTM(3, return_state=True, name="lstm")(image)
        joined = keras.layers.Concatenate(name="joined")([outcome, keras.layers.Dense(3, name="d")(state)])
        found = {row["layer"]: row["status"] for row in inspect_keras(keras.Model(image, joined))}
        assert found["lstm"] == "refused"
        assert found["joined"] in ("exact", "not checked")

    @pytest.mark.parametrize("make", [gated, lambda k: chain(k), lambda k: operations(k)])
    def test_report_without_live_layers(self, keras, make):
        """The report is the same for layers of a file, which are not Keras objects."""
        model = make(keras)
        layers = [StoredLayer(layer.name, weights=layer.get_weights()) for layer in model.layers]
        report = ModelReader(model.get_config(), StoredLayer("model", layers)).report
        assert list(report.rows.values()) == inspect_keras(model)

    def test_unknown_shape(self):
        class Custom(tf.keras.layers.Layer):
            def call(self, inputs):
                return inputs

        layers = [tf.keras.layers.Dense(3, name="a"), Custom(name="custom"), tf.keras.layers.Dense(3, name="b")]
        end = tf.keras.layers.Dense(3, activation="tanh", name="c")
        model = tf.keras.Sequential([tf.keras.Input((4,)), *layers, end])
        config = model.get_config()
        for entry in config["layers"]:  # as in an HDF5 file
            entry.pop("build_config", None)
        layers = [StoredLayer(layer.name, weights=layer.get_weights()) for layer in model.layers]
        rows = ModelReader(config, StoredLayer("model", layers)).report.rows
        statuses = ["exact", "refused", "not checked", "refused"]
        assert [rows[name]["status"] for name in ("a", "custom", "b", "c")] == statuses
        assert rows["b"]["remark"] == "the output shape of 'custom' is unknown"
        assert "ends the model with activation 'tanh'" in rows["c"]["remark"]


def chain(k):
    make = k.layers
    layers = [make.Conv1D(3, 3, activation="silu"), make.LSTM(5, return_sequences=True), make.LayerNormalization()]
    layers += [make.Dense(4, activation="tanh"), make.GRU(3), make.Dense(4), make.ELU()]
    layers.append(make.Dense(2, activation="tanh"))
    return k.Sequential([k.Input((8, 4)), *layers])


def operations(k):
    image = k.Input((6, 4))
    exponential = tf.exp if k is tf.keras else k.ops.exp
    x = k.layers.Dense(4, name="d")(exponential(image))
    return k.Model(image, k.layers.Conv1D(2, 3, name="conv")(x * image))


def check_short(message):
    assert 1 <= message.count("\n") + 1 <= 3
    assert all(len(line) < 320 for line in message.splitlines()), message


class TestShortMessages:
    def test_many_reasons(self, keras):
        names = ["tanh", "sigmoid", "elu", "selu", "gelu", "softplus"]
        layers = [keras.layers.Dense(4, activation=name, name=name) for name in names]
        model = keras.Sequential([keras.Input((4,)), *layers, keras.layers.Dense(2)])
        with pytest.raises(snc.ConversionError) as error:
            as_model(model)
        assert error.value.layer == "tanh"
        lines = str(error.value).splitlines()
        assert [line.partition(" has")[0] for line in lines[:2]] == ["layer 'tanh' (Dense)", "layer 'sigmoid' (Dense)"]
        assert lines[2] == "and 4 more layers, for other reasons: inspect_model lists all"
        assert list(refused(model)) == names

    def test_one_reason(self, keras):
        layers = [keras.layers.LayerNormalization(name=f"norm{i}") for i in range(12)]
        with pytest.raises(snc.ConversionError) as error:
            as_model(keras.Sequential([keras.Input((4,)), *layers, keras.layers.Dense(2)]))
        assert error.value.layer == "norm0"
        check_short(str(error.value))
        assert str(error.value).endswith("(also 'norm1', 'norm2' and 9 more)")

    def test_unknown_layer(self, keras):
        model = keras.Sequential([keras.Input((4,)), keras.layers.CategoryEncoding(3, name="l")])
        with pytest.raises(snc.ConversionError, match="'What is read'") as error:
            as_model(model)
        assert error.value.layer == "l"
        check_short(str(error.value))

    def test_many_outputs(self, keras):
        image, layers = keras.Input((4,)), keras.layers
        model = keras.Model(image, [layers.Dense(3, activation="tanh", name=f"out{i}")(image) for i in range(40)])
        with pytest.raises(snc.ConversionError, match="and 37 more") as error:
            as_model(model)
        assert error.value.layer == "out0"
        check_short(str(error.value))

    def test_listed(self):
        assert listed("ab") == "'a', 'b'"
        assert listed("abcde") == "'a', 'b' and 3 more"
        assert listed(iter("ab"), shown=1) == "'a' and 1 more"
