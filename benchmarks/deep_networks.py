"""Deep networks in few steps: points of accuracy lost on CIFAR-10 after 1 to 16 steps, for several conversions.

    python benchmarks/deep_networks.py

Calibration sees 1,000 training images by default; all other settings are those of the functions.  Intermediate results
are kept in build/, so an interrupted run continues.
"""

import argparse
import json
import time

from results import ROOT, publish

import nengo_snnconv as snc
from nengo_snnconv._util.atomic import atomic_write
from nengo_snnconv.presets import PRETRAINED

KEPT = ROOT / "build" / "deep-networks.json"
STEPS = (1, 2, 4, 8, 16)
# title: (neuron type, calibrate, most steps)
ROWS = {
    "balanced thresholds": (snc.IntegrateAndFire, False, 16),
    "the same, signed spikes": (snc.SignedIntegrateAndFire, False, 16),
    "calibrated": (snc.IntegrateAndFire, True, 16),
    "calibrated, signed spikes": (snc.SignedIntegrateAndFire, True, 16),
    "calibrated, up to 4 signed spikes a step": (lambda: snc.SignedIntegrateAndFire(max_spikes=4), True, 4),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--test-images", type=int, default=10000)
    parser.add_argument("--calibration-images", type=int, default=1000)
    parser.add_argument("--most-steps", type=int, default=STEPS[-1])
    parser.add_argument("--restart", action="store_true", help="ignore intermediate results")
    options = parser.parse_args()
    data = snc.load_dataset("cifar-10", test=options.test_images)
    sizes = [options.test_images, options.calibration_images]
    steps = [n for n in STEPS if n <= options.most_steps]
    kept = json.loads(KEPT.read_text()) if KEPT.exists() and not options.restart else {}
    for name in PRETRAINED:
        network = snc.convert(snc.pretrained(name))
        for title, (neuron_type, calibrated, most) in ROWS.items():
            for n_steps in (n for n in steps if n <= most):
                key = f"{name}, {title}, {n_steps}"
                if kept.get(key, {}).get("sizes") != sizes:
                    kept[key] = {"sizes": sizes, **run(network, data, neuron_type(), calibrated, n_steps, options)}
                    KEPT.parent.mkdir(exist_ok=True)
                    with atomic_write(KEPT, "w") as file:
                        json.dump(kept, file)
                print(key, f"{loss(kept[key]):.2f} points lost", flush=True)
    publish("deep-networks", table(kept, steps, options), {"rows": kept})


def run(network, data, neuron_type, calibrated, n_steps, options):
    """Convert for a number of steps, evaluate, and return the results."""
    x = data.x_train[: options.calibration_images]
    started = time.perf_counter()
    snn = snc.to_spiking(snc.normalize(network, x, method="balance", n_steps=n_steps), neuron_type)
    if calibrated:
        snn = snc.calibrate(snn, x, n_steps=n_steps)
    seconds = time.perf_counter() - started
    evaluation = snc.evaluate(snn, data.x_test, data.y_test, n_steps=n_steps)
    return {"conversion_seconds": seconds, **evaluation.to_dict()}


def loss(result):
    """Return the points of accuracy lost after the last step."""
    return 100 * (result["ann_accuracy"] - result["accuracy"][-1])


def table(kept, steps, options):
    """Return the table of losses and spikes as Markdown."""
    lines = []
    for name in PRETRAINED:
        first = kept[f"{name}, {next(iter(ROWS))}, 1"]
        lines += [
            f"Points of accuracy lost by {name} ({100 * first['ann_accuracy']:.2f} % as a CNN) on "
            f"{options.test_images:,} test images, and spikes per neuron in brackets:",
            "",
            "| | " + " | ".join(f"{n} step{'s' if n > 1 else ''}" for n in steps) + " |",
            "|---" * (len(steps) + 1) + "|",
        ]
        for title, (_, _, most) in ROWS.items():
            results = [kept[f"{name}, {title}, {n}"] if n <= most else None for n in steps]
            cells = [f"{loss(r):.2f} ({r['spikes_per_neuron']:.2f})" if r else "" for r in results]
            lines.append(f"| {title} | {' | '.join(cells)} |")
        lines.append("")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
