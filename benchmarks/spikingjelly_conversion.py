"""Deep networks in few steps, beside SpikingJelly: points of accuracy lost by its recipes and ours on the same weights.

    python benchmarks/spikingjelly_conversion.py --python PATH

PATH is the Python of an environment with PyTorch and SpikingJelly (pip install torch spikingjelly), by default that of
this process; spikingjelly_process.py runs in it.  Both sides convert the same network, after folding, with the same
calibration images, and see the same test images.  No setting is chosen on test images: SpikingJelly's settings are
those of its examples.  Intermediate results are kept in build/, ours in the file of deep_networks.py, so an interrupted
run continues.
"""

import argparse
import dataclasses
import json
import math
import pathlib
import subprocess
import sys
import tempfile

import deep_networks
import numpy as np
from results import ROOT, publish, table_lines

import nengo_snnconv as snc
from nengo_snnconv._util.atomic import atomic_write
from nengo_snnconv.networks.rate_model import outputs_of, rate_model
from nengo_snnconv.presets import PRETRAINED

KEPT = ROOT / "build" / "spikingjelly-conversion.json"
PROCESS = pathlib.Path(__file__).with_name("spikingjelly_process.py")
COMPARED = 50  # images on which the outputs must be equal
OURS = (
    "balanced thresholds",
    "the same, signed spikes",
    "calibrated",
    "calibrated, signed spikes",
    "calibrated, signed spikes, first layer split into 4",
)
# title: recipe of spikingjelly.activation_based.ann2snn, and its arguments
RECIPES = {
    "SpikingJelly: largest activation": ("RateCodingRecipe", {"mode": "Max"}),
    "SpikingJelly: 99.9th percentile": ("RateCodingRecipe", {"mode": "99.9%"}),
    "SpikingJelly: half the largest activation": ("RateCodingRecipe", {"mode": 1 / 2}),
    "SpikingJelly: a quarter of the largest activation": ("RateCodingRecipe", {"mode": 1 / 4}),
    "SpikingJelly: 99.9th percentile of each channel": ("RateCodingRecipe", {"mode": "99.9%", "channel_wise": True}),
    "SpikingJelly: the same, half a threshold at the start, maxima before spikes": (
        "RateCodingRecipe",
        {"mode": "99.9%", "channel_wise": True, "pre_spike_maxpool": True, "half_threshold": True},
    ),
    "SpikingJelly: locally balanced thresholds": ("LocalThresholdBalancingRecipe", {}),
}
# images that a recipe sees, if not each once: local balancing raises thresholds a little with each batch, and
# SpikingJelly's example shows it 50,000 images
SHOWN = {"LocalThresholdBalancingRecipe": 50_000}


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--python", default=sys.executable, help="Python of an environment with PyTorch, SpikingJelly")
    parser.add_argument("--test-images", type=int, default=10000)
    parser.add_argument("--calibration-images", type=int, default=1000)
    parser.add_argument("--most-steps", type=int, default=deep_networks.STEPS[-1])
    parser.add_argument("--networks", nargs="+", default=list(PRETRAINED), choices=list(PRETRAINED))
    parser.add_argument("--restart", action="store_true", help="ignore intermediate results")
    options = parser.parse_args()
    versions = versions_of(options.python)
    if versions is None:
        print(f"skipped: {options.python} has no PyTorch and SpikingJelly; name one that does by --python")
        return
    data = snc.load_dataset("cifar-10", test=options.test_images)
    theirs = measure_spikingjelly(data, options)
    ours = deep_networks.measure(data, options, OURS)
    results = {"versions": versions, "spikingjelly": theirs, "ours": ours}
    publish("spikingjelly-conversion", table(theirs, ours, versions, options), results)


def versions_of(python):
    """Return the versions of PyTorch and SpikingJelly in the environment of ``python``; None if one is missing."""
    code = "import importlib.metadata as m; print(*(m.version(name) for name in ('torch', 'spikingjelly')))"
    found = subprocess.run([python, "-c", code], capture_output=True, text=True, check=False)
    return dict(zip(("torch", "spikingjelly"), found.stdout.split(), strict=True)) if found.returncode == 0 else None


def measure_spikingjelly(data, options):
    """Return the results of SpikingJelly's recipes, {"network, recipe": result}."""
    kept = json.loads(KEPT.read_text()) if KEPT.exists() and not options.restart else {}
    sizes = [options.test_images, options.calibration_images]
    wanted = [f"{name}, {title}" for name in options.networks for title in RECIPES]
    for name in options.networks:
        pending = [title for title in RECIPES if not is_done(kept.get(f"{name}, {title}"), sizes, options)]
        if pending:
            network = snc.convert(snc.pretrained(name))
            for title, result in run(network, pending, data, options):
                kept[f"{name}, {title}"] = {"sizes": sizes, **result}
                KEPT.parent.mkdir(exist_ok=True)
                with atomic_write(KEPT, "w") as file:
                    json.dump(kept, file)
                print(f"{name}, {title}: {losses(result, options)} points lost", flush=True)
    return {key: kept[key] for key in wanted}


def is_done(result, sizes, options):
    return result is not None and result["sizes"] == sizes and len(result["accuracy"]) >= options.most_steps


def write_network(network, data, options, folder):
    """Write a network, images and the outputs to compare for spikingjelly_process.py."""
    model = network.model
    layers = [
        {"kind": type(layer).__name__, "shape": model.shapes[name], **dataclasses.asdict(layer)}
        for name, layer in model.layers.items()
    ]
    (folder / "network.json").write_text(json.dumps({"layers": layers, "output": model.output}))
    np.savez(folder / "arrays.npz", **model.arrays)
    compared = data.x_train[:COMPARED]
    np.savez(
        folder / "images.npz",
        x_compared=compared,
        outputs=outputs_of(rate_model(network), compared),
        x_calibration=data.x_train[: options.calibration_images],
        x_test=data.x_test,
        y_test=data.y_test,
    )


def run(network, titles, data, options):
    """Let SpikingJelly convert and evaluate a network; yield the results of recipes, (title, result)."""
    recipes = {title: job_of(*RECIPES[title], options.calibration_images) for title in titles}
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        write_network(network, data, options, folder)
        (folder / "job.json").write_text(json.dumps({"recipes": recipes, "n_steps": options.most_steps}))
        command = [options.python, str(PROCESS), str(folder)]
        pipes = {"stdout": subprocess.PIPE, "stderr": (folder / "log.txt").open("w")}
        with pipes["stderr"], subprocess.Popen(command, text=True, **pipes) as process:
            yield from map(json.loads, process.stdout)
        if process.returncode:
            sys.exit(f"{PROCESS.name} failed:\n{(folder / 'log.txt').read_text()[-2000:]}")


def job_of(name, arguments, n_images):
    """Return a recipe for spikingjelly_process.py, with the number of passes through the calibration images."""
    return {"name": name, "arguments": arguments, "passes": max(1, math.ceil(SHOWN.get(name, 0) / n_images))}


def losses(result, options):
    """Return points of accuracy lost, {steps: points}."""
    steps = [n for n in deep_networks.STEPS if n <= options.most_steps]
    return {n: round(100 * (result["ann_accuracy"] - result["accuracy"][n - 1]), 2) for n in steps}


def table(theirs, ours, versions, options):
    """Return the tables of losses and spikes as Markdown."""
    steps = [n for n in deep_networks.STEPS if n <= options.most_steps]
    lines = []
    for name in options.networks:
        first = theirs[f"{name}, {next(iter(RECIPES))}"]
        lines += [
            f"Points of accuracy lost by {name} ({100 * first['ann_accuracy']:.2f} % as a CNN) on "
            f"{options.test_images:,} test images, and spikes per neuron of the CNN in brackets; "
            f"{options.calibration_images:,} calibration images; SpikingJelly {versions['spikingjelly']} on "
            f"PyTorch {versions['torch']}, whose outputs as a CNN differ from ours by at most "
            f"{first['largest_error']:.0e} of the largest:",
            "",
        ]
        rows = {}
        for title in RECIPES:
            result = theirs[f"{name}, {title}"]
            rows[title] = [
                cell(lost, result["spikes_per_neuron"][n - 1]) for n, lost in losses(result, options).items()
            ]
        for title in OURS:
            results = [ours.get(f"{name}, {title}, {n}") for n in steps]
            rows[title] = [cell(deep_networks.loss(r), r["spikes_per_neuron"]) if r else "" for r in results]
        lines += [*table_lines(deep_networks.titles_of(steps), rows), ""]
    return "\n".join(lines)


def cell(lost, spikes):
    return f"{lost:.2f} ({spikes:.2f})"


if __name__ == "__main__":
    main()
