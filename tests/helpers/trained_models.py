"""Small deep Keras models of three architectures, trained on the digits at half resolution."""

import functools

import nengo_snnconv as snc
from nengo_snnconv.compat import tf

layers = tf.keras.layers


@functools.cache
def half_digits():
    """Return the digits averaged over 2 x 2 pixels: (x_train, y_train, x_test, y_test)."""
    data = snc.load_dataset("digits")

    def halved(x):
        return x.reshape(len(x), 14, 2, 14, 2, 1).mean(axis=(2, 4))

    return halved(data.x_train), data.y_train, halved(data.x_test), data.y_test


@functools.cache
def trained(architecture):
    """Return a trained Keras model: "plain" (average pooling, biases), "vgg" (batch norm., maxima) or "residual"."""
    tf.keras.utils.set_random_seed(0)
    image = tf.keras.Input((14, 14, 1), name="image")
    model = tf.keras.Model(image, {"plain": _plain, "vgg": _vgg, "residual": _residual}[architecture](image))
    model.compile(tf.keras.optimizers.Adam(5e-3), tf.losses.SparseCategoricalCrossentropy(from_logits=True))
    x, y, _, _ = half_digits()
    model.fit(x, y, epochs=2, batch_size=50, verbose=0)
    return model


def _plain(x):
    for i, filters in enumerate((8, 8, 16, 16, 24, 24)):
        x = layers.Conv2D(filters, 3, padding="same", activation="relu", name=f"conv{i + 1}")(x)
        if i in (1, 3):
            x = layers.AveragePooling2D(2, padding="same", name=f"pool{i + 1}")(x)
    return layers.Dense(10, name="scores")(layers.Flatten(name="flat")(x))


def _vgg(x):
    for i, filters in enumerate((8, 8, 16, 16, 24, 24)):
        x = _normalised(x, filters, i + 1)
        x = layers.ReLU(name=f"relu{i + 1}")(x)
        if i in (1, 3):
            x = layers.MaxPooling2D(2, padding="same", name=f"pool{i + 1}")(x)
    return layers.Dense(10, name="scores")(layers.Flatten(name="flat")(x))


def _residual(x):
    x = layers.ReLU(name="relu0")(_normalised(x, 8, 0))
    for i, (filters, strides) in enumerate(((8, 1), (16, 2), (24, 2))):
        inner = layers.ReLU(name=f"relu{i + 1}a")(_normalised(x, filters, f"{i + 1}a", strides=strides))
        inner = _normalised(inner, filters, f"{i + 1}b")
        x = x if strides == 1 else _normalised(x, filters, f"{i + 1}c", strides=strides)
        x = layers.ReLU(name=f"relu{i + 1}b")(layers.Add(name=f"add{i + 1}")([inner, x]))
    return layers.Dense(10, name="scores")(layers.GlobalAveragePooling2D(name="mean")(x))


def _normalised(x, filters, name, **options):
    x = layers.Conv2D(filters, 3, padding="same", use_bias=False, name=f"conv{name}", **options)(x)
    return layers.BatchNormalization(momentum=0.9, name=f"norm{name}")(x)
