"""Deep networks in few steps: points of accuracy lost on CIFAR-10 after 1 to 16 steps, for several conversions.

    python benchmarks/deep_networks.py
    python benchmarks/deep_networks.py --by-stages

Calibration sees 1,000 training images by default; all other settings are those of the functions.  Intermediate results
are kept in build/, so an interrupted run continues.
"""

import argparse
import json
import time

import numpy as np
from results import ROOT, publish

import nengo_snnconv as snc
from nengo_snnconv._util.atomic import atomic_write
from nengo_snnconv.passes import quantize
from nengo_snnconv.presets import PRETRAINED

KEPT = ROOT / "build" / "deep-networks.json"
STEPS = (1, 2, 4, 8, 16)
COMPARED = 100  # images whose spike counts are compared with the quantized ANN
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
    parser.add_argument("--by-stages", action="store_true", help="measure networks that run in stages instead")
    options = parser.parse_args()
    if options.by_stages:
        publish_stages(options)
        return
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


def publish_stages(options):
    """Publish the results of networks that run in stages, beside those of as many ordinary steps."""
    data = snc.load_dataset("cifar-10", test=options.test_images)
    rows = []
    for name in PRETRAINED:
        network = snc.convert(snc.pretrained(name))
        for n_steps in (n for n in STEPS if 1 < n <= options.most_steps):
            rows.append({"network": name, "steps": n_steps, **measure_stages(network, data, n_steps, options)})
            print(rows[-1], flush=True)
    lines = [
        f"Points of accuracy lost on {options.test_images:,} test images, and spike counts that differ from the "
        f"quantized ANN on the first {COMPARED}; no count differs if weights are rounded to multiples of 2^-12 and "
        "pixels to multiples of 2^-8:",
        "",
        "| network | steps a stage | steps | points lost | spikes per neuron | differing counts | seconds | the same "
        "steps without stages: points lost | seconds |",
        "|---" * 9 + "|",
    ]
    for row in rows:
        assert row["differing_if_rounded"] == 0
        lines.append(
            f"| {row['network']} | {row['steps']} | {row['total_steps']} | {row['points_lost']:.2f} | "
            f"{row['spikes_per_neuron']:.2f} | {row['differing']:,} of {row['counts']:,} | {row['seconds']:.0f} | "
            f"{row['ordinary_points_lost']:.2f} | {row['ordinary_seconds']:.0f} |"
        )
    publish("deep-networks-by-stages", "\n".join(lines), {"rows": rows})


def measure_stages(network, data, n_steps, options):
    """Return the results of ``n_steps`` steps a stage, and of as many ordinary steps."""
    normalized = snc.normalize(network, data.x_train[: options.calibration_images], method="balance", n_steps=n_steps)
    staged, ordinary = snc.to_spiking(normalized, stage_steps=n_steps), snc.to_spiking(normalized)
    evaluation = snc.evaluate(staged, data.x_test, data.y_test)
    plain = snc.evaluate(ordinary, data.x_test, data.y_test, n_steps=n_steps)
    # sums of these are exact in float32
    arrays = {name: np.round(2**12 * array) / 2**12 for name, array in normalized.model.arrays.items()}
    rounded = snc.to_spiking(normalized.rebuild(normalized.model.replace(arrays=arrays)), stage_steps=n_steps)
    x = data.x_test[:COMPARED]
    differing, n_counts = differing_counts(staged, x)
    return {
        "total_steps": evaluation.n_steps,
        "points_lost": 100 * (evaluation.ann_accuracy - evaluation.accuracy[-1]),
        "ordinary_points_lost": 100 * (plain.ann_accuracy - plain.accuracy[-1]),
        "spikes_per_neuron": evaluation.spikes_per_neuron,
        "ordinary_spikes_per_neuron": plain.spikes_per_neuron,
        "seconds": evaluation.seconds,
        "ordinary_seconds": plain.seconds,
        "differing": differing,
        "differing_if_rounded": differing_counts(rounded, np.round(2**8 * x) / np.float32(2**8))[0],
        "counts": n_counts,
    }


def differing_counts(network, x, batch=10):
    """Return how many spike counts differ from the quantized ANN, and how many there are."""
    n_steps, names = network.settings.stage_steps, network.model.neurons
    ann = snc.rate_model(network.rebuild(quantize(network.model, n_steps)), names)
    differing = n_counts = 0
    for first in range(0, len(x), batch):
        images = x[first : first + batch]
        recording = snc.record(network, images)
        for name, activity in zip(names, ann(images), strict=True):
            counts = recording.spikes[name].sum(axis=1)
            differing += int((counts != np.rint(n_steps * np.reshape(activity, counts.shape))).sum())
            n_counts += counts.size
    return differing, n_counts


if __name__ == "__main__":
    main()
