"""Random Keras models: any layers in any order, with branches that are merged."""

import itertools

import numpy as np

import nengo_snnconv as snc
from nengo_snnconv.compat import tf
from nengo_snnconv.model import layers as specs
from nengo_snnconv.passes import simplify


def random_model(seed, n_layers=6, spatial=None, keras=None):
    """Return a functional model, of tf.keras by default, with random layers, weights, biases and moving averages."""
    rng = np.random.default_rng(seed)
    keras = keras or tf.keras
    layers = keras.layers
    rank = spatial or int(rng.choice([1, 2, 2, 2, 3]))
    shape = tuple(int(n) for n in rng.integers(5, 8, rank)) + (int(rng.integers(1, 4)),)
    image = keras.Input(shape, name="image")
    tensors = [image]
    for i in range(n_layers):
        tensors.append(_random_layer(layers, rng, rank, tensors, f"layer{i}"))
    end = tensors[-1]
    if rng.random() < 0.5 and len(end.shape) > 2:
        end = layers.Flatten(name="flat")(end)
    model = keras.Model(image, layers.Dense(3, name="scores")(end))
    model.set_weights([_random_weight(rng, w) for w in model.weights])
    return model


def random_nested_model(seed, keras):
    """Return a model of nested Sequential and functional models, with some layers not trainable."""
    rng, names = np.random.default_rng(seed), (f"layer{i}" for i in itertools.count())
    layers, shape, made = keras.layers, (5, 5, 2), []

    def block(depth):
        kind, name = rng.integers(3 if depth < 2 else 1), next(names)
        if kind == 0:
            layer = weighted(name)
        elif kind == 1:
            start = [keras.Input(shape)] if rng.random() < 0.5 else []
            layer = keras.Sequential([*start, *(block(depth + 1) for _ in range(rng.integers(1, 4)))], name=name)
        else:
            start = end = keras.Input(shape)
            for _ in range(rng.integers(1, 4)):
                end = block(depth + 1)(end)
            layer = keras.Model(start, layers.Add(name=f"{name}_sum")([start, end]), name=name)
        made.append(layer)
        return layer

    def weighted(name):
        use_bias, center, scale = (bool(n) for n in rng.integers(2, size=3))
        choices = [
            lambda: layers.Conv2D(2, 3, padding="same", use_bias=use_bias, name=name),
            lambda: layers.Conv2DTranspose(2, 3, padding="same", name=name),
            lambda: layers.DepthwiseConv2D(3, padding="same", use_bias=use_bias, name=name),
            lambda: layers.SeparableConv2D(2, 3, padding="same", name=name),
            lambda: layers.BatchNormalization(center=center, scale=scale, name=name),
            lambda: layers.PReLU(shared_axes=[1, 2], name=name),
            lambda: layers.Dense(2, activation="relu", name=name),
            lambda: layers.Dropout(0.2, name=name),
        ]
        return choices[rng.integers(len(choices))]()

    image = end = keras.Input(shape, name="image")
    for _ in range(4):
        end = block(0)(end)
    model = keras.Model(image, layers.Dense(3, name="scores")(layers.Flatten(name="flat")(end)))
    for layer in made:
        layer.trainable = rng.random() < 0.75
    model.set_weights([_random_weight(rng, w) for w in model.weights])
    return model


def _random_weight(rng, weight):
    if "variance" in weight.name:
        return rng.uniform(0.5, 2, weight.shape)
    spread = 0.5 if len(weight.shape) < 2 else 1 / np.sqrt(np.prod(weight.shape[:-1]))
    return rng.normal(0, spread, weight.shape)


def _random_layer(layers, rng, rank, tensors, name):
    """Apply a random layer to the last tensor, or to it and an earlier one of the same shape."""
    x = tensors[-1]
    choices = [_batch_norm, _relu, _dense]
    if len(x.shape) == rank + 2:
        choices += [_conv, _conv, _conv, _pool, _pool, _move]
        if len(_partners(tensors)) > 0:
            choices += [_merge] * 3
    return choices[rng.integers(len(choices))](layers, rng, rank, tensors, name)


def _partners(tensors):
    return [t for t in tensors[:-1] if t.shape == tensors[-1].shape]


def _conv(layers, rng, rank, tensors, name):
    channels = int(tensors[-1].shape[-1])
    groups = channels if rng.random() < 0.3 and rank < 3 else 1
    options = {"activation": rng.choice([None, "relu"]), "use_bias": bool(rng.random() < 0.7), "name": name}
    options |= {"padding": str(rng.choice(["same", "same", "valid"])) if min(tensors[-1].shape[1:-1]) > 3 else "same"}
    options |= {"strides" if rng.random() < 0.5 else "dilation_rate": int(rng.integers(1, 3))}
    if options["padding"] == "valid":
        options.pop("dilation_rate", None)
    size = tuple(int(n) for n in rng.integers(1, 4, rank))
    return getattr(layers, f"Conv{rank}D")(groups * int(rng.integers(1, 4)), size, groups=groups, **options)(
        tensors[-1]
    )


def _pool(layers, rng, rank, tensors, name):
    x = tensors[-1]
    family = str(rng.choice(["Average", "Max"]))
    if rng.random() < 0.15:
        return getattr(layers, f"Global{family}Pooling{rank}D")(name=name)(x)
    options = {"strides": int(rng.integers(1, 3)), "padding": "same" if min(x.shape[1:-1]) < 3 else "valid"}
    if rng.random() < 0.5:
        options["padding"] = "same"
    return getattr(layers, f"{family}Pooling{rank}D")(int(rng.integers(2, 4)), name=name, **options)(x)


def _batch_norm(layers, rng, rank, tensors, name):
    return layers.BatchNormalization(name=name)(tensors[-1])


def _relu(layers, rng, rank, tensors, name):
    return layers.ReLU(name=name)(tensors[-1])


def _dense(layers, rng, rank, tensors, name):
    return layers.Dense(int(rng.integers(2, 5)), activation=rng.choice([None, "relu"]), name=name)(tensors[-1])


def _move(layers, rng, rank, tensors, name):
    """Apply a random layer that only rearranges entries."""
    x, axes = tensors[-1], rng.permutation(rank) + 1
    small = max(x.shape[1:-1]) < 6
    choices = [
        lambda: getattr(layers, f"ZeroPadding{rank}D")(1, name=name),
        lambda: layers.Permute((*(int(a) for a in axes), rank + 1), name=name),
        lambda: layers.Dropout(0.5, name=name),
        lambda: getattr(layers, f"UpSampling{rank}D")(2 if small else 1, name=name),
    ]
    return choices[rng.integers(len(choices))]()(x)


def _merge(layers, rng, rank, tensors, name):
    partners = _partners(tensors)
    other = partners[rng.integers(len(partners))]
    kind = [layers.Add, layers.Average, layers.Concatenate][rng.integers(3)]
    return kind(name=name)([tensors[-1], other])


def dyadic_model(seed, n_layers):
    """Return a random model whose weights are small multiples of 1/16, for exact sums."""
    model = simplify(snc.as_model(random_model(seed, n_layers)))
    return model.replace(arrays={name: np.round(8 * array) / 16 for name, array in model.arrays.items()})


def averages_are_dyadic(model):
    """Return whether all averages are over 1, 2, 4 or 8 entries, which keeps sums exact."""
    for layer in model.layers.values():
        shape = model.shapes[layer.inputs[0]] if layer.inputs else ()
        if isinstance(layer, specs.AveragePool) and (set(layer.pool_size) - {1, 2, 4} or layer.padding == "same"):
            return False
        if isinstance(layer, specs.GlobalAveragePool) and set(shape[:-1]) - {1, 2, 4, 8}:
            return False
        if isinstance(layer, specs.Affine) and layer.name.endswith("_scaled"):
            continue
    return True


def gated(k, gate=True):
    """Return a model with a squeeze-and-excite block, or without it."""
    make = k.layers
    image = k.Input((6, 6, 2))
    x = make.Conv2D(4, 3, activation="relu", name="conv")(image)
    if gate:
        y = make.GlobalAveragePooling2D(keepdims=True, name="squeeze")(x)
        y = make.Conv2D(2, 1, activation="relu", name="reduce")(y)
        y = make.Conv2D(4, 1, activation="sigmoid", name="expand")(y)
        x = make.Multiply(name="excite")([x, y])
    x = make.Conv2D(4, 3, activation="relu", name="next")(x)
    return k.Model(image, make.Dense(3, name="scores")(make.Flatten(name="flat")(x)))
