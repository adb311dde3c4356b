"""Damaged and hostile Keras files, made from valid ones."""

import json
import shutil
import warnings
import zipfile

import h5py
import numpy as np

from nengo_snnconv import errors
from nengo_snnconv.compat import keras3, tf

LIBRARIES = {"tf.keras": tf.keras, "Keras 3": keras3}
OURS = (errors.ConversionError, errors.FileFormatError)


def good_model(k):
    """Return a model with all kinds of arrays, a nested model, operators and a constant."""
    layers = k.layers
    image = k.Input((6, 6, 2), name="image")
    x = layers.Conv2D(3, 3, activation="relu", name="conv")(image)
    x = layers.BatchNormalization(name="norm")(x)
    inner = k.Sequential([k.Input((4, 4, 3)), layers.SeparableConv2D(3, 3, padding="same", name="deep")], name="inner")
    x = layers.Add(name="sum")([inner(x), layers.PReLU(shared_axes=[1, 2], name="slope")(x)])
    x = layers.AveragePooling2D(2, name="pool")(2.0 * x)
    return k.Model(image, layers.Dense(3, activation="softmax", name="scores")(layers.Flatten(name="flat")(x)))


def save(model, path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # HDF5 is an old format
        model.save(path)
    return path


def edited(good, path, change):
    """Copy a file to ``path`` with its configuration edited by ``change``, and return the path."""
    if zipfile.is_zipfile(good):
        with zipfile.ZipFile(good) as source, zipfile.ZipFile(path, "w") as archive:
            for name in source.namelist():
                content = source.read(name)
                if name == "config.json":
                    entry = json.loads(content)
                    content = json.dumps(change(entry) or entry)
                archive.writestr(name, content)
    else:
        shutil.copy(good, path)
        with h5py.File(path, "a") as file:
            entry = json.loads(file.attrs["model_config"])
            file.attrs["model_config"] = json.dumps(change(entry) or entry)
    return path


NUMBERS = [0, 1, 2**31, 2**32, 2**63, 2**64 - 1]


def mutated(content, rng):
    """Return bytes with some of them changed, removed, repeated or truncated."""
    content = bytearray(content)
    kind = rng.integers(6)
    for _ in range(int(rng.integers(1, 9))):
        # headers and tables are at the beginning and at the end
        at = int(len(content) * (rng.random() if rng.random() < 0.5 else rng.beta(0.2, 0.2)))
        at = min(at, len(content) - 9)
        if kind <= 1:
            content[at] = int(rng.integers(256))
        elif kind == 2:
            content[at : at + 8] = NUMBERS[rng.integers(len(NUMBERS))].to_bytes(8, "little")
        elif kind == 3:
            content[at : at + int(rng.integers(1, 64))] = b""
        elif kind == 4:
            content[at:at] = content[at : at + int(rng.integers(1, 64))]
        else:
            return bytes(content[: max(at, 8)])
    return bytes(content)


STRANGE = [None, True, -1, 0, 1, 3, 10**9, 1e300, float("nan"), "", "relu", "evil", [], [1], [[]], {}, {"a": 1}]
STRANGE += [["conv", 0, 0], [None, 6, 6, 2], {"class_name": "Lambda", "config": {}}, "x" * 3000, 10**30, [[1, 2], 3]]


def _places(value):
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in items:
        yield value, key
        yield from _places(child)


def mutated_config(entry, rng):
    """Return a configuration with one to three of its values replaced, removed or moved."""
    for _ in range(int(rng.integers(1, 4))):
        places = list(_places(entry))
        if not places:
            break
        parent, key = places[rng.integers(len(places))]
        kind = rng.integers(4)
        if kind == 0 and isinstance(parent, dict):
            del parent[key]
        elif kind == 1:
            other, other_key = places[rng.integers(len(places))]
            parent[key] = json.loads(json.dumps(other.get(other_key) if isinstance(other, dict) else other[other_key]))
        else:
            parent[key] = STRANGE[rng.integers(len(STRANGE))]
    return entry


def mutated_weights(path, rng):
    """Change an object of an HDF5 file: shape, type, name, a link in its place, or a wrong attribute."""
    with h5py.File(path, "a") as file:
        names = []
        file.visit(names.append)
        name = names[rng.integers(len(names))]
        kind, obj = rng.integers(7), file[name]
        if kind == 0:
            del file[name]
        elif kind == 1:
            del file[name]
            file[name] = rng.normal(size=tuple(rng.integers(0, 4, rng.integers(0, 4))))
        elif kind == 2:
            del file[name]
            file[name] = [h5py.SoftLink("/"), h5py.ExternalLink("other.h5", "/x")][rng.integers(2)]
        elif kind == 3:
            del file[name]
            file[name] = ["text", np.int8([1, 2]), np.complex64(1), True][rng.integers(4)]
        elif kind == 4:
            obj.attrs["weight_names"] = [["a", "b"], [1, 2], 3.0, ["conv/kernel"], b"\xff"][rng.integers(5)]
        elif kind == 5:
            obj.attrs["name"] = ["other", 3, b"\xff\xfe"][rng.integers(3)]
        else:
            file.move(name, name + "x")


def fuzz(good, path, rng, as_model):
    """Read a mutation of a valid file, and return an error if it is not one of nengo_snnconv."""
    kind = rng.integers(3)
    if kind == 0:
        path.write_bytes(mutated(good.read_bytes(), rng))
    elif kind == 1:
        edited(good, path, lambda entry: mutated_config(entry, rng))
    elif zipfile.is_zipfile(good):
        with zipfile.ZipFile(good) as source, zipfile.ZipFile(path, "w") as archive:
            for name in source.namelist():
                content = source.read(name)
                if name.endswith(".h5"):
                    weights = path.with_suffix(".weights")
                    weights.write_bytes(content)
                    if rng.random() < 0.5:
                        mutated_weights(weights, rng)
                        content = weights.read_bytes()
                    else:
                        content = mutated(content, rng)
                archive.writestr(name, content)
    else:
        shutil.copy(good, path)
        mutated_weights(path, rng)
    try:
        as_model(path)
    except OURS as error:
        return error if len(str(error)) > 3000 else None
    except Exception as error:
        return error
    return None
