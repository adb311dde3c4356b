"""One or two steps on MNIST: points of accuracy lost by the network of Diehl et al. 2015, converted for so many steps.

    NENGO_SNNCONV_DATA=DIR python benchmarks/diehl_few_steps.py

trains the ANN of diehl_conversion.py if build/ does not contain it.  Conversions are compared on training images that
are not used for calibration, to choose one, and on the test images.
"""

import argparse
import dataclasses

import anns
import deep_networks
from results import publish

import nengo_snnconv as snc

STEPS = (1, 2)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--test-images", type=int, default=10000, help="also the number of training images")
    parser.add_argument("--calibration-images", type=int, default=5000)
    options = parser.parse_args()
    keras, data = anns.trained("diehl-mnist")
    network, rows = snc.convert(keras), {}
    for n_steps in STEPS:
        for title, (neuron_type, calibrated, _) in deep_networks.ROWS.items():
            for images, shown in parts(data, options).items():
                key = f"{title}, {n_steps}, {images}"
                rows[key] = deep_networks.run(network, shown, neuron_type(), calibrated, n_steps, options)
                print(key, f"{deep_networks.loss(rows[key]):.2f} points lost", flush=True)
    publish("diehl-few-steps", table(rows, options), {"rows": rows})


def parts(data, options):
    """Return the images for evaluation, as data sets whose test images they are: {"training": ..., "test": ...}."""
    held_out = slice(options.calibration_images, options.calibration_images + options.test_images)
    training = dataclasses.replace(data, x_test=data.x_train[held_out], y_test=data.y_train[held_out])
    x, y = data.x_test[: options.test_images], data.y_test[: options.test_images]
    return {"training": training, "test": dataclasses.replace(data, x_test=x, y_test=y)}


def table(rows, options):
    """Return the table of losses and spikes as Markdown."""
    first = {images: rows[f"{next(iter(deep_networks.ROWS))}, 1, {images}"] for images in ("training", "test")}
    lines = [
        f"Points of accuracy lost on {options.test_images:,} test images of MNIST "
        f"({100 * first['test']['ann_accuracy']:.2f} % as a CNN) and on as many training images "
        f"({100 * first['training']['ann_accuracy']:.2f} %), and spikes per neuron on test images in brackets; "
        f"calibrated on {options.calibration_images:,} other training images:",
        "",
        "| | 1 step, training | 1 step, test | 2 steps, training | 2 steps, test |",
        "|---|---|---|---|---|",
    ]
    for title in deep_networks.ROWS:
        cells = []
        for n_steps in STEPS:
            training, test = (rows[f"{title}, {n_steps}, {images}"] for images in ("training", "test"))
            cells.append(f"{deep_networks.loss(training):.2f}")
            cells.append(f"{deep_networks.loss(test):.2f} ({test['spikes_per_neuron']:.2f})")
        lines.append(f"| {title} | {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
