"""Keras layers with channels first."""

import numpy as np
import pytest
from keras_comparison import LIBRARIES, check_close, forward, randomise

import nengo_snnconv as snc
from nengo_snnconv.model import layers as specs


@pytest.fixture(params=LIBRARIES)
def keras(request):
    """Library that creates the models."""
    return LIBRARIES[request.param]


def every_layer(k, order):
    """Return a model with every layer that has a channel axis, for one order of axes."""
    make, channel = k.layers, 1 if order == "channels_first" else -1
    spatial = [2, 3] if channel == 1 else [1, 2]
    options = {"data_format": order}
    image = k.Input((3, 8, 8) if channel == 1 else (8, 8, 3), name="image")
    x = make.Conv2D(4, 3, padding="same", activation="relu", name="a", **options)(image)
    y = make.Conv2D(4, 3, padding="same", name="b", **options)(x)
    y = make.BatchNormalization(axis=channel)(y)
    y = make.PReLU(shared_axes=spatial)(y)
    x = make.Add()([x, y])
    x = make.Concatenate(axis=channel)([x, y])
    x = make.Dropout(0.5)(x)
    x = make.ZeroPadding2D(((1, 0), (2, 1)), **options)(x)
    x = make.MaxPooling2D(2, **options)(x)
    x = make.SeparableConv2D(4, 3, padding="same", activation="relu6", **options)(x)
    x = make.DepthwiseConv2D(2, **options)(x)
    x = make.Conv2DTranspose(4, 3, strides=2, **options)(x)
    x = make.Cropping2D(1, **options)(x)
    x = make.UpSampling2D(2, **options)(x)
    x = make.AveragePooling2D(2, **options)(x)
    mean = make.GlobalAveragePooling2D(**options)(x)
    peak = make.Flatten(**options)(make.GlobalMaxPooling2D(keepdims=True, **options)(x))
    flat = make.Flatten(**options)(x)
    return k.Model(image, make.Dense(3, name="scores")(make.Concatenate()([mean, peak, flat])))


class TestChannelsFirst:
    """Comparison with a channels-last twin of the same weights, since TensorFlow has no such convolutions on a CPU."""

    def twins(self, make, rng):
        ours, twin = make("channels_first"), make("channels_last")
        randomise(ours, rng)
        weights = zip(ours.get_weights(), twin.get_weights(), strict=True)
        twin.set_weights([weight.reshape(other.shape) for weight, other in weights])
        model = snc.as_model(ours)
        x = rng.normal(size=(3, *model.shapes[model.input])).astype(np.float32)
        return model, forward(model, x), twin(np.moveaxis(x, 1, -1), training=False)

    def test_every_layer(self, keras, rng):
        model, got, expected = self.twins(lambda order: every_layer(keras, order), rng)
        check_close(got, expected)
        # the axes are permuted once, at the input
        assert [layer.name for layer in model.layers.values() if isinstance(layer, specs.Permute)] == ["image_permuted"]
        assert model.layers["a_relu"].inputs == ("a",)

    @pytest.mark.parametrize("rank", [1, 2, 3])
    def test_input_and_output_keep_keras_order(self, keras, rank, rng):
        def make(order):
            shape = (5, 6, 7)[:rank]
            conv = getattr(keras.layers, f"Conv{rank}D")(2, 3, data_format=order, name="conv")
            pool = getattr(keras.layers, f"MaxPooling{rank}D")(2, data_format=order)
            image = keras.Input((3, *shape) if order == "channels_first" else (*shape, 3))
            return keras.Sequential([image, conv, pool])

        model, got, expected = self.twins(make, rng)
        assert model.shapes[model.input] == (3, 5, 6, 7)[: rank + 1]
        check_close(got, np.moveaxis(expected, -1, 1))

    def test_flatten_uses_keras_order(self, keras, rng):
        def make(order):
            make = keras.layers
            conv = make.Conv2D(2, 3, data_format=order)
            if order == "channels_first":
                return keras.Sequential([keras.Input((3, 5, 6)), conv, make.Flatten(), make.Dense(4)])
            permute = make.Permute((3, 1, 2))
            return keras.Sequential([keras.Input((5, 6, 3)), conv, permute, make.Flatten(), make.Dense(4)])

        _, got, expected = self.twins(make, rng)
        check_close(got, expected)

    def test_sum_of_branches_in_different_order(self, keras, rng):
        def make(order):
            make = keras.layers
            image = keras.Input((4, 5, 4) if order == "channels_first" else (5, 4, 4))
            one = make.Conv2D(4, 1, data_format=order)(image)
            other = make.ReLU()(image)
            return keras.Model(image, make.Add()([one, other]))

        _, got, expected = self.twins(make, rng)
        check_close(got, np.moveaxis(expected, -1, 1))
