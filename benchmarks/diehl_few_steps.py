"""One or two steps on MNIST: points of accuracy lost by the network of Diehl et al. 2015, converted for so many steps.

    NENGO_SNNCONV_DATA=DIR python benchmarks/diehl_few_steps.py

trains the ANN of diehl_conversion.py if build/ does not contain it.  Conversions are compared on training images that
are not used for calibration, to choose one, and on the test images.
"""

import argparse

import anns
import numpy as np
from results import publish

import nengo_snnconv as snc

STEPS = (1, 2)
# title: (neuron type, what follows conversion)
ROWS = {
    "balanced thresholds": (snc.IntegrateAndFire, None),
    "the same, signed spikes": (snc.SignedIntegrateAndFire, None),
    "the same, trained on spikes": (snc.SignedIntegrateAndFire, "train"),
    "calibrated": (snc.IntegrateAndFire, "calibrate"),
    "calibrated, signed spikes": (snc.SignedIntegrateAndFire, "calibrate"),
    "calibrated, up to 4 signed spikes a step": (lambda: snc.SignedIntegrateAndFire(max_spikes=4), "calibrate"),
}
TRAINING = {"epochs": 4, "batch_size": 100, "learning_rate": 3e-4, "schedule": "cosine", "precision": "auto"}


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--test-images", type=int, default=10000, help="also the number of training images")
    parser.add_argument("--calibration-images", type=int, default=5000)
    options = parser.parse_args()
    keras, data = anns.trained("diehl-mnist")
    network, rows = snc.convert(keras), {}
    for n_steps in STEPS:
        for title in ROWS:
            snn = converted(network, data.x_train, title, n_steps, options)
            for images, (x, y) in parts(data, options).items():
                key = f"{title}, {n_steps}, {images}"
                rows[key] = snc.evaluate(snn, x, y, n_steps=n_steps).to_dict()
                print(key, f"{loss(rows[key]):.2f} points lost", flush=True)
    publish("diehl-few-steps", table(rows, options), {"rows": rows})


def converted(network, x, title, n_steps, options):
    """Return the network of a row of the table, converted for a number of steps, from all training images."""
    neuron_type, then = ROWS[title]
    some = x[: options.calibration_images]
    snn = snc.to_spiking(snc.normalize(network, some, method="balance", n_steps=n_steps), neuron_type())
    if then == "train":
        others = np.delete(x, held_out(options), axis=0)
        return snc.train(snn, others, n_steps=n_steps, **TRAINING)
    return snc.calibrate(snn, some, n_steps=n_steps) if then == "calibrate" else snn


def held_out(options):
    """Return the training images on which accuracy is measured."""
    return slice(options.calibration_images, options.calibration_images + options.test_images)


def loss(result):
    """Return the points of accuracy lost after the last step."""
    return 100 * (result["ann_accuracy"] - result["accuracy"][-1])


def parts(data, options):
    """Return the images for evaluation, {"training": (x, y), "test": (x, y)}."""
    n_test = options.test_images
    return {
        "training": (data.x_train[held_out(options)], data.y_train[held_out(options)]),
        "test": (data.x_test[:n_test], data.y_test[:n_test]),
    }


def table(rows, options):
    """Return the table of losses and spikes as Markdown."""
    first = {images: rows[f"{next(iter(ROWS))}, 1, {images}"] for images in ("training", "test")}
    lines = [
        f"Points of accuracy lost on {options.test_images:,} test images of MNIST "
        f"({100 * first['test']['ann_accuracy']:.2f} % as a CNN) and on as many training images "
        f"({100 * first['training']['ann_accuracy']:.2f} %), and spikes per neuron on test images in brackets; "
        f"calibrated on {options.calibration_images:,} other training images, trained without labels on all others:",
        "",
        "| | 1 step, training | 1 step, test | 2 steps, training | 2 steps, test |",
        "|---|---|---|---|---|",
    ]
    for title in ROWS:
        cells = []
        for n_steps in STEPS:
            training, test = (rows[f"{title}, {n_steps}, {images}"] for images in ("training", "test"))
            cells.append(f"{loss(training):.2f}")
            cells.append(f"{loss(test):.2f} ({test['spikes_per_neuron']:.2f})")
        lines.append(f"| {title} | {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
