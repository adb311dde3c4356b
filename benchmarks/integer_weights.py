"""Accuracy of pretrained networks with integer weights, rounded to the nearest and fitted to images.

    python benchmarks/integer_weights.py

takes about ten minutes on two cores, and publishes the results.  Networks are calibrated for 8 steps on 500 training
images of CIFAR-10, the first 200 of which the integers are fitted to.
"""

import argparse

from results import publish, table_lines

import nengo_snnconv as snc
from nengo_snnconv.presets import PRETRAINED

BITS, N_STEPS, CALIBRATION_IMAGES, FIT_IMAGES = (8, 6, 4, 3), 8, 500, 200


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--networks", nargs="+", choices=PRETRAINED, default=list(PRETRAINED))
    parser.add_argument("--images", type=int, default=2000, help="number of test images")
    options = parser.parse_args()
    data = snc.load_dataset("cifar-10", train=CALIBRATION_IMAGES, test=options.images)
    rows = {}
    for name in options.networks:
        network = snc.normalize(snc.convert(snc.pretrained(name)), data.x_train, method="balance", n_steps=N_STEPS)
        spiking = snc.calibrate(
            snc.to_spiking(network, snc.SignedIntegrateAndFire()), data.x_train, n_steps=N_STEPS, progress=False
        )
        found = rows[name] = {"float": result(spiking, data)}
        for bits in BITS:
            found[f"{bits} nearest"] = result(snc.quantize_weights(spiking, bits=bits), data)
            fitted = snc.quantize_weights(spiking, data.x_train[:FIT_IMAGES], bits=bits)
            found[f"{bits} fitted"] = result(fitted, data)
        print(name, found, flush=True)
    if options.networks == list(PRETRAINED):
        publish("integer-weights", table(rows, options.images), {"images": options.images, "rows": rows})
    else:
        print(table(rows, options.images))


def result(network, data):
    """Return the accuracy of a network, of its ANN, and its spikes."""
    evaluation = snc.evaluate(network, data.x_test, data.y_test, n_steps=N_STEPS, progress=False)
    return {
        "accuracy": float(evaluation.accuracy[-1]),
        "ann_accuracy": evaluation.ann_accuracy,
        "spikes_per_neuron": evaluation.spikes_per_neuron,
    }


def table(rows, n_images):
    """Return the accuracies as Markdown."""
    cells = {}
    for name, found in rows.items():
        for kind in ("nearest", "fitted"):
            title = f"{name}, {'nearest integers' if kind == 'nearest' else 'fitted to images'}"
            accuracies = [found["float"], *(found[f"{bits} {kind}"] for bits in BITS)]
            cells[title] = [f"{100 * each['accuracy']:.2f} %" for each in accuracies]
    text = f"Accuracy after {N_STEPS} steps on {n_images:,} test images of CIFAR-10, by the bits of weights:\n\n"
    return text + "\n".join(table_lines(["float32", *(f"{bits} bits" for bits in BITS)], cells))


if __name__ == "__main__":
    main()
