"""Diagnoses of networks that were broken on purpose: first finding, cost, and accuracy with the best remedy.

    NENGO_SNNCONV_DATA=DIR python benchmarks/diagnosis.py

breaks three networks in seven ways each, and publishes the results and docs/results/diagnosis.png.  Takes about twenty
minutes on two cores.  Intermediate results are kept in build/diagnosis.json, so that an interrupted run continues;
--restart starts again.
"""

import argparse
import json
import time
import warnings

import anns
import nengo
import numpy as np
from results import ROOT, publish

import nengo_snnconv as snc
from nengo_snnconv._util.atomic import atomic_write
from nengo_snnconv.model import layers as specs
from nengo_snnconv.passes import find_units, rescale

KEPT = ROOT / "build" / "diagnosis.json"
IMAGES = {"diehl-mnist": 500, "airbench-cifar10": 200, "resnet14-cifar10": 200}


def middle(model, kind):
    """Return the middle layer of a kind."""
    names = [name for name, layer in model.layers.items() if isinstance(layer, kind)]
    return names[(len(names) - 1) // 2]


def scaled(network, factor):
    """Multiply the scale of the middle layer of neurons, and of all layers that share it."""
    units = find_units(network.model)
    scales = np.ones(units.n_units)
    scales[np.unique(units.labels[middle(network.model, specs.Rectifier)])] = factor
    return network.rebuild(rescale(network.model, units, scales))


def weighted(network, factor):
    """Multiply the weights of the middle convolution."""
    model = network.model
    names = model.array_names(middle(model, specs.Conv))
    return network.rebuild(model.replace(arrays={name: factor * model.arrays[name] for name in names}))


def as_it_is(network):
    return network


RUN = {"n_steps": 32}
RANDOM_START = {"neuron_type": snc.IntegrateAndFire(initial_state={"voltage": nengo.dists.Uniform(0, 1)})}
POISSON = {"input_coding": "poisson", "input_threshold": 30}
ZERO = {"neuron_type": snc.IntegrateAndFire(reset="zero", initial_potential=0)}
SPIKING_RELU = {"neuron_type": nengo.SpikingRectifiedLinear(amplitude=0.001)}
STEPS = ("quantisation", "transient", "unevenness", "maxima")
# change: (function of the network, arguments of to_spiking, arguments of evaluate, correct causes)
CASES = {
    "nothing": (as_it_is, {}, RUN, STEPS),
    "nothing, random start, 16 steps skipped": (as_it_is, RANDOM_START, {**RUN, "skip_steps": 16}, STEPS),
    "scale of one layer 50 times too small": (lambda n: scaled(n, 0.02), {}, RUN, ("clipping",)),
    "2 steps": (as_it_is, {}, {"n_steps": 2}, STEPS),
    "weights of one layer times 10": (lambda n: weighted(n, 10), {}, RUN, ("weights",)),
    "scale of one layer 500 times too large": (lambda n: scaled(n, 500), {}, RUN, ("dead",)),
    "Poisson input, a spike worth 30": (as_it_is, POISSON, RUN, ("input",)),
    "reset to zero": (as_it_is, ZERO, RUN, ("reset",)),
    "nengo.SpikingRectifiedLinear": (as_it_is, SPIKING_RELU, RUN, ("unevenness",)),
}


def result(preset, case):
    """Break, evaluate and diagnose a network, apply the remedy and evaluate again; return a row and the diagnosis."""
    change, options, run, _ = CASES[case]
    ann, data = anns.trained(preset)
    x, y, calibration = data.x_test[: IMAGES[preset]], data.y_test[: IMAGES[preset]], data.x_train[:1000]
    network = snc.to_spiking(change(snc.normalize(snc.convert(ann), calibration)), **options)
    snc.diagnose(network, x[:20], y[:20], n_steps=1)  # the first run in TensorFlow is slow
    started = time.perf_counter()
    snc.evaluate(network, x, y, **run)
    evaluated = time.perf_counter()
    diagnosis = snc.diagnose(network, x, y, x_calibration=calibration, **run)
    done = time.perf_counter()
    named = [f"{finding.layer}: {finding.cause}" for finding in diagnosis.findings] or ["healthy"]
    row = {
        "ann": diagnosis.ann_accuracy,
        "accuracy": diagnosis.accuracy,
        "named": named[0],
        "cause": named[0].rpartition(" ")[2],
        "cost": (done - evaluated) / (evaluated - started),
        "seconds": done - evaluated,
        "remedy": diagnosis.remedy and diagnosis.remedy.text,
        "mended": diagnosis.remedy and diagnosis.remedy.accuracy,
        "errors": {n: [layer.largest_error, layer.bound, layer.own_bound] for n, layer in diagnosis.layers.items()},
    }
    return row, diagnosis


def is_right(case, row):
    """Return whether the first finding is the change that was made; without a loss, "healthy" is correct."""
    if row["cause"] != "healthy":
        return "yes" if row["cause"] in CASES[case][3] else "no"
    lost = row["ann"] - row["accuracy"]
    return "no" if lost > 0.0101 else "yes" if case.startswith("nothing") else "no loss"


def table(rows):
    lines = []
    for preset, n_images in IMAGES.items():
        lines += [
            "",
            f"{preset}, {n_images} test images, {100 * rows[preset]['nothing']['ann']:.1f} % as a CNN:",
            "",
            "| change | accuracy | first finding of `diagnose` | correct | accuracy with the best remedy | cost |",
            "|---|---|---|---|---|---|",
        ]
        for case in CASES:
            row = rows[preset][case]
            right = is_right(case, row)
            mended = "" if row["mended"] is None else f"{100 * row['mended']:.1f} %"
            lines.append(
                f"| {case} | {100 * row['accuracy']:.1f} % | {row['named']} | {right} | {mended} | {row['cost']:.1f} |"
            )
    lines += [
        "",
        "Cost: time of `diagnose`, with all changes that it tries, divided by that of `evaluate`, for the same images "
        "and steps. For 2 steps, most of it is the calibration.",
    ]
    lines += [
        "",
        f"Largest difference between rate and activation in the unchanged networks, {RUN['n_steps']} steps, and "
        "its bound (`error_bounds`):",
        "",
        "| | measured | bound | part of the layer itself |",
        "|---|---|---|---|",
    ]
    for preset in IMAGES:
        for name, (largest, bound, own) in rows[preset]["nothing"]["errors"].items():
            lines.append(f"| {preset}, {name} | {largest:.4f} | {bound:.4f} | {own:.4f} |")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--restart", action="store_true", help="ignore intermediate results")
    options = parser.parse_args()
    warnings.filterwarnings("ignore", message=".*(clips its membrane potential|was not normalized)")
    kept = json.loads(KEPT.read_text()) if KEPT.exists() and not options.restart else {}
    picture = ROOT / "docs" / "results" / "diagnosis.png"
    for preset in IMAGES:
        for case in CASES:
            if case not in kept.setdefault(preset, {}):
                kept[preset][case], diagnosis = result(preset, case)
                print(preset, case, kept[preset][case], flush=True)
                with atomic_write(KEPT, "w") as file:
                    json.dump(kept, file, indent=1, default=float)
                if (preset, case) == ("airbench-cifar10", "scale of one layer 50 times too small"):
                    with atomic_write(picture, "wb") as file:
                        diagnosis.plot()[0].figure.savefig(file, format="png", dpi=90)
    publish("diagnosis", table(kept), {"rows": kept})


if __name__ == "__main__":
    main()
