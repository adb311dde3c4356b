"""Layers of the fast simulator with random weights and spikes of any density, beside dense products in TensorFlow.

    python benchmarks/densities.py

takes about five minutes on a core, and publishes the results.  Both sides have one thread, and count with the fastest
of several repetitions in turns.  The input of a layer are spikes of Poisson input, each pixel with the same probability
in each step.  Times of the layer are those of ``snc.profile`` for its weighted sums alone; TensorFlow's are those of
the same convolution or dense layer for as many images.
"""

import argparse
import time

import numpy as np
from results import publish, table_lines

import nengo_snnconv as snc
from nengo_snnconv.compat import tf
from nengo_snnconv.model import layers as specs
from nengo_snnconv.networks.keras_layers import keras_layer
from nengo_snnconv.presets import PRETRAINED

DENSITIES = (0.01, 0.03, 0.1, 0.3, 0.6, 1.0)
NETWORKS = ("lif-mnist", "diehl-mnist", *PRETRAINED)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    parser.add_argument("--images", type=int, default=8)
    parser.add_argument("--steps", type=int, default=32)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    rows = []
    for name in options.networks:
        rows += measured(name, options)
    if options.networks == list(NETWORKS):
        publish("densities", table(rows), {"rows": rows})
    else:
        print(table(rows))


def measured(name, options):
    """Return the times of the layers with weights of a network, for each density: a list of dicts."""
    preset = snc.pretrained(name) if name in PRETRAINED else snc.preset(name)
    model, found, seen = snc.convert(preset).model, [], set()
    for layer in model.layers.values():
        if not isinstance(layer, specs.Conv | specs.Dense):
            continue
        shape = model.shapes[layer.inputs[0]]
        kernel = model.arrays_of(layer.name)["kernel"].shape
        if (shape, kernel) in seen:
            continue
        seen.add((shape, kernel))
        row = {"network": name, "layer": layer.name, "input": shape, "kernel": kernel, "times": {}}
        for density in DENSITIES:
            row["times"][density] = times_of(layer, shape, kernel, density, options)
        print(row, flush=True)
        found.append(row)
    return found


def times_of(layer, shape, kernel, density, options):
    """Return microseconds for an image and step: of the layer in the fast simulator, and in TensorFlow."""
    rng = np.random.default_rng(0)
    arrays = {"kernel": (rng.normal(size=kernel) / np.sqrt(np.prod(kernel[:-1]))).astype(np.float32)}
    arrays["bias"] = np.zeros(kernel[-1], np.float32)
    alone, image = keras_layer(layer, arrays), tf.keras.Input(shape)
    converted = snc.convert(tf.keras.Model(image, tf.keras.layers.ReLU(name="neurons")(alone(image))))
    x = np.full((options.images, *shape), density, np.float32)
    network = snc.to_spiking(snc.normalize(converted, x), input_coding="poisson")
    product = tf.function(alone)
    batch = tf.constant(rng.random((options.images * options.steps, *shape), np.float32))
    product(batch)
    ours, theirs = [], []
    for _ in range(options.repeats):
        layers = snc.profile(network, x, n_steps=options.steps).layers
        ours.append(1e6 * layers["neurons"].connections)
        started = time.perf_counter()
        product(batch)
        theirs.append(1e6 * (time.perf_counter() - started) / len(batch))
    return {"fast": float(min(ours)), "dense": min(theirs)}


def table(rows):
    """Return how many times as fast as dense products each layer is, as Markdown."""
    cells = {}
    for row in rows:
        sizes = ["x".join(map(str, row[name])) for name in ("input", "kernel")]
        title = f"{row['network']}, {row['layer']}: {sizes[0]}, kernel {sizes[1]}"
        cells[title] = [f"{times['dense'] / times['fast']:.2f}" for times in row["times"].values()]
    columns = [f"{100 * density:.0f} %" for density in DENSITIES]
    text = "How many times as fast as the dense product the sums of a layer are, by the share of inputs that spike:\n\n"
    return text + "\n".join(table_lines(columns, cells))


if __name__ == "__main__":
    main()
