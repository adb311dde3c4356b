"""Time to first spike in a deep network: accuracy lost and spikes on CIFAR-10, for several conversions.

    NENGO_SNNCONV_DATA=DIR python benchmarks/first_spike_deep.py

``--fashion-mnist`` adds the same layers for Fashion-MNIST; it trains them first if build/ does not contain the network
(an interrupted training continues).  Intermediate results are kept in build/, so an interrupted run continues.
"""

import argparse
import json
import time

from results import ROOT, publish, table_lines

import nengo_snnconv as snc
from nengo_snnconv._util.atomic import atomic_write
from nengo_snnconv._util.digests import digest
from nengo_snnconv.compat import tf

KEPT = ROOT / "build" / "first-spike-deep.json"
STEPS = (4, 8, 16, 32)
FASHION = "airbench-fashion-mnist"
# title: (arguments of to_ttfs, calibrate)
ROWS = {
    "percentile": ({"threshold": "percentile"}, False),
    "search": ({}, False),
    "search, calibrated": ({}, True),
    "percentile, constant input": ({"threshold": "percentile", "input_coding": "constant"}, False),
    "search, constant input": ({"input_coding": "constant"}, False),
    "search, constant input, calibrated": ({"input_coding": "constant"}, True),
}
# rows and steps for Fashion-MNIST
FASHION_ROWS, FASHION_STEPS = ("search, constant input", "search, constant input, calibrated"), (32,)


def fashion_network(epochs):
    """Return the Keras model for Fashion-MNIST, trained if build/ does not contain it."""
    path = ROOT / "build" / f"{FASHION}.keras"
    if path.exists():
        return tf.keras.models.load_model(path)
    path.parent.mkdir(exist_ok=True)
    data = snc.load_dataset("fashion-mnist")
    model = snc.train_cnn(
        snc.preset("airbench-cifar10", data.x_train.shape[1:]),
        data.x_train,
        data.y_train,
        epochs=epochs,
        checkpoint=path.with_suffix(".checkpoint.npz"),
        on_epoch=lambda epoch, values: print(FASHION, epoch, values, flush=True),
    )
    model.save(path)
    path.with_suffix(".checkpoint.npz").unlink()
    return model


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--test-images", type=int, default=10000)
    parser.add_argument("--calibration-images", type=int, default=1000)
    parser.add_argument("--fashion-mnist", action="store_true", help="add a network for Fashion-MNIST")
    parser.add_argument("--epochs", type=int, default=6, help="epochs of training on Fashion-MNIST")
    parser.add_argument("--restart", action="store_true", help="ignore intermediate results")
    options = parser.parse_args()
    networks = {"airbench-cifar10": (snc.pretrained("airbench-cifar10"), "cifar-10")}
    if options.fashion_mnist:
        networks[FASHION] = fashion_network(options.epochs), "fashion-mnist"
    kept = json.loads(KEPT.read_text()) if KEPT.exists() and not options.restart else {}
    for name, (model, data_name) in networks.items():
        data, network = snc.load_dataset(data_name, test=options.test_images), snc.convert(model)
        origin = [options.test_images, options.calibration_images, digest(*network.model.arrays.values())]
        for title in rows_of(name):
            arguments, calibrated = ROWS[title]
            for n_steps in steps_of(name):
                key = f"{name}, {title}, {n_steps}"
                if kept.get(key, {}).get("origin") != origin:
                    result = run(network, data, n_steps, arguments, calibrated, options.calibration_images)
                    kept[key] = {"origin": origin, **result}
                    KEPT.parent.mkdir(exist_ok=True)
                    with atomic_write(KEPT, "w") as file:
                        json.dump(kept, file)
                print(key, f"{loss(kept[key]):.2f} points lost", flush=True)
    publish("first-spike-deep", table(networks, kept, options), {"rows": kept})


def rows_of(name):
    """Return the rows of the table of a network."""
    return FASHION_ROWS if name == FASHION else tuple(ROWS)


def steps_of(name):
    """Return the numbers of steps a stage for which a network is measured."""
    return FASHION_STEPS if name == FASHION else STEPS


def run(network, data, n_steps, arguments, calibrated, n_calibration):
    """Convert to time to first spike, evaluate, and return the results."""
    x, started = data.x_train[:n_calibration], time.perf_counter()
    snn = snc.to_ttfs(network, x, n_steps, **arguments)
    if calibrated:
        snn = snc.calibrate(snn, x)
    seconds = time.perf_counter() - started
    evaluation = snc.evaluate(snn, data.x_test, data.y_test)
    return {
        "conversion_seconds": seconds,
        "changed_predictions": int((evaluation.predictions != evaluation.ann_predictions).sum()),
        **snc.efficiency(snn, evaluation).to_dict(),
    }


def loss(result):
    """Return the points of accuracy lost."""
    return 100 * (result["ann_accuracy"] - result["accuracy"])


def table(networks, kept, options):
    """Return the tables of losses and spikes as Markdown."""
    lines = []
    for name in networks:
        first = kept[f"{name}, {rows_of(name)[0]}, {steps_of(name)[0]}"]
        lines += [
            f"Points of accuracy lost by {name} ({100 * first['ann_accuracy']:.2f} % as a CNN) on "
            f"{options.test_images:,} test images, and spikes per neuron in brackets:",
            "",
        ]
        rows = {}
        for title in rows_of(name):
            results = [kept[f"{name}, {title}, {n}"] for n in steps_of(name)]
            rows[title] = [f"{loss(result):.2f} ({result['spikes_per_neuron']:.3f})" for result in results]
        lines += [*table_lines([f"{n} steps a stage" for n in steps_of(name)], rows), ""]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
