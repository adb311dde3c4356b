"""Trained ANNs for conversion: trained with plain Keras on first use, and kept in build/."""

import numpy as np
from results import ROOT

import nengo_snnconv as snc
from nengo_snnconv.compat import tf
from nengo_snnconv.presets import PRETRAINED

# preset: (data set, epochs, batch size, learning rate)
RECIPES = {
    "diehl-mnist": ("mnist", 30, 100, 2e-3),
    "vgg-cifar10": ("cifar-10", 8, 100, 3e-3),
    "resnet-cifar10": ("cifar-10", 5, 100, 3e-3),
}


def trained(name):
    """Return the trained CNN of a preset, for ``convert``, and its data."""
    if name in PRETRAINED:
        return snc.pretrained(name), snc.load_dataset("cifar-10")
    data_name, epochs, batch_size, learning_rate = RECIPES[name]
    data = snc.load_dataset(data_name)
    path = ROOT / "build" / f"{name}.keras"
    if path.exists():
        return tf.keras.models.load_model(path), data
    tf.keras.utils.set_random_seed(0)
    model = snc.preset(name, data.x_train.shape[1:])
    steps = epochs * (len(data.x_train) // batch_size)
    model.compile(
        tf.keras.optimizers.Adam(tf.keras.optimizers.schedules.CosineDecay(learning_rate, steps)),
        tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    model.fit(_Augmented(name, data, batch_size), epochs=epochs, verbose=2, validation_data=(data.x_test, data.y_test))
    path.parent.mkdir(exist_ok=True)
    model.save(path)
    return model, data


class _Augmented(tf.keras.utils.Sequence):
    """Shuffled batches, with digits slightly rotated, scaled and shifted, and photographs mirrored and shifted."""

    def __init__(self, name, data, batch_size):
        self.digits = name.endswith("mnist")
        self.data, self.batch_size = data, batch_size
        self.rng = np.random.default_rng(0)
        self.on_epoch_end()

    def on_epoch_end(self):
        self.order = self.rng.permutation(len(self.data.x_train))
        self.x = snc.random_affine()(self.data.x_train, self.rng) if self.digits else self.data.x_train

    def __len__(self):
        return len(self.order) // self.batch_size

    def __getitem__(self, i):
        batch = self.order[i * self.batch_size : (i + 1) * self.batch_size]
        return (self.x[batch] if self.digits else self._mirrored(self.x[batch])), self.data.y_train[batch]

    def _mirrored(self, x):
        flip = self.rng.random(len(x)) < 0.5
        x = np.where(flip[:, None, None, None], x[:, :, ::-1], x)
        padded = np.pad(x, [(0, 0), (3, 3), (3, 3), (0, 0)])
        dy, dx = self.rng.integers(0, 7, 2)
        return padded[:, dy : dy + x.shape[1], dx : dx + x.shape[2]]


if __name__ == "__main__":
    for name in RECIPES:
        trained(name)
