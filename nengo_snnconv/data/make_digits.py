"""Script that makes digits.npz, the excerpt of MNIST in the package:  NENGO_SNNCONV_DATA=DIR python make_digits.py

It holds the first 1,000 images of each class of MNIST's training set and the first 200 of its test set, in their
original order.
"""

import pathlib

import numpy as np

from nengo_snnconv.data.datasets import DIGITS, load_dataset


def first_of_each_class(x, y, count):
    """Return the first ``count`` images of each class as uint8, and their classes."""
    chosen = np.sort(np.concatenate([np.flatnonzero(y == label)[:count] for label in range(10)]))
    return np.round(x[chosen, ..., 0] * 255).astype(np.uint8), y[chosen].astype(np.uint8)


if __name__ == "__main__":
    mnist = load_dataset("mnist")
    x_train, y_train = first_of_each_class(mnist.x_train, mnist.y_train, 1000)
    x_test, y_test = first_of_each_class(mnist.x_test, mnist.y_test, 200)
    np.savez_compressed(DIGITS, x_train=x_train, y_train=y_train, x_test=x_test, y_test=y_test)
    print(f"{DIGITS}: {pathlib.Path(DIGITS).stat().st_size / 1e6:.2f} MB")
