"""Published networks by name, as untrained Keras models."""

from .compat import tf
from .exceptions import SettingsError


def _lif_mnist(add, classes):
    """The convolutional network of NengoDL's MNIST example.

    A LIF neuron's response has an infinite slope where it starts to fire.  Biases that begin below zero keep the
    neurons of the empty background off that point, which makes training faster.
    """
    for filters, strides in ((32, 1), (64, 2), (128, 2)):
        add.conv(filters, 3, strides=strides, bias_initializer=tf.keras.initializers.Constant(-0.1))
    add.dense(classes)


def _diehl_mnist(add, classes):
    """12c5-2s-64c5-2s-10o of Diehl et al. 2015 (doi 10.1109/IJCNN.2015.7280696): average pooling, no biases."""
    add.conv(12, 5, use_bias=False)
    add.average_pool(2)
    add.conv(64, 5, use_bias=False)
    add.average_pool(2)
    add.dense(classes, use_bias=False)


PRESETS = {"lif-mnist": _lif_mnist, "diehl-mnist": _diehl_mnist}


def preset(name, input_shape=(28, 28, 1), classes=10, seed=0):
    """An untrained Keras model by name.

    Parameters
    ----------
    name : "lif-mnist" or "diehl-mnist"
    input_shape : tuple of int
        Height, width and channels of the images.
    classes : int
    seed : int
        Of the initial weights.

    Returns
    -------
    tf.keras.Sequential
        Its last layer gives logits.

    Raises
    ------
    SettingsError
        If there is no such preset.
    """
    if name not in PRESETS:
        raise SettingsError(f"there is no preset {name!r}; there are {', '.join(PRESETS)}")
    stack = _Stack(name, input_shape, seed)
    PRESETS[name](stack, classes)
    return stack.model


class _Stack:
    """Adds layers with counted names and seeded initial weights to a Sequential model."""

    def __init__(self, name, input_shape, seed):
        self.model = tf.keras.Sequential([tf.keras.Input(input_shape, name="image")], name=name)
        self.seed = seed
        self.counts = {}

    def conv(self, filters, kernel_size, **options):
        name = self._name("conv")
        conv = tf.keras.layers.Conv2D
        self.model.add(
            conv(filters, kernel_size, activation="relu", name=name, kernel_initializer=self._glorot(), **options)
        )

    def average_pool(self, size):
        self.model.add(tf.keras.layers.AveragePooling2D(size, name=self._name("pool")))

    def dense(self, units, **options):
        self.model.add(tf.keras.layers.Flatten(name="flatten"))
        name = self._name("dense")
        self.model.add(tf.keras.layers.Dense(units, name=name, kernel_initializer=self._glorot(), **options))

    def _name(self, kind):
        self.counts[kind] = self.counts.get(kind, 0) + 1
        return f"{kind}{self.counts[kind]}"

    def _glorot(self):
        return tf.keras.initializers.GlorotUniform(seed=self.seed * 1000 + len(self.model.layers))
