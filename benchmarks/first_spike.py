"""Time to first spike (Lopez-Randulfe, Reeb & Knoll 2022): accuracy, spikes and operations on MNIST and Fashion-MNIST.

    NENGO_SNNCONV_DATA=DIR python benchmarks/first_spike.py

trains the preset ttfs-mnist if build/ does not contain it (about an hour on two cores; an interrupted training
continues), converts it, and publishes the results.
"""

import argparse
import statistics
import time

import nengo
import numpy as np
from matplotlib.figure import Figure
from results import ROOT, publish

import nengo_snnconv as snc
from nengo_snnconv._util.atomic import atomic_write
from nengo_snnconv.evaluation.ann import ann_predictions_of_images
from nengo_snnconv.evaluation.ttfs_closed_form import ClosedForm
from nengo_snnconv.networks.stages import stages

# network: (data set, epochs, activity penalty)
RECIPES = {
    "ttfs-mnist": ("mnist", 30, 0.0),
    "ttfs-mnist-sparse": ("mnist", 30, 3.0),
    "ttfs-fashion-mnist": ("fashion-mnist", 20, 0.0),
}
TITLES = {
    "ttfs-mnist": "MNIST",
    "ttfs-mnist-sparse": "MNIST, activity penalty",
    "ttfs-fashion-mnist": "Fashion-MNIST",
}
STEPS, ALL_STEPS, THRESHOLDS = 16, (4, 8, 16, 32, 64), ("search", "percentile", "max")
PAPER = {  # table 1
    "accuracy of the ANN": "99.56 %",
    "accuracy with spikes": "99.44 %",
    "loss of conversion, points": "0.12",
    "spikes per neuron": "0.142",
    "FLOPs of the ANN": "14,316,496",
    "synaptic operations": "1,015,015",
    "FLOPs / synaptic operations": "14.1",
}


def trained(name):
    """Return a network trained on rates, and its data: (ConvNetwork, Dataset)."""
    data_name, epochs, penalty = RECIPES[name]
    data = snc.load_dataset(data_name)
    path = ROOT / "build" / f"{name}.snn.npz"
    if path.exists():
        return snc.load(path), data
    path.parent.mkdir(exist_ok=True)
    network = snc.build_trainable(snc.preset("ttfs-mnist"), nengo.RectifiedLinear())
    network = snc.train(
        network,
        data.x_train,
        data.y_train,
        epochs=epochs,
        batch_size=100,
        learning_rate=2e-3,
        schedule="cosine",
        augment=snc.random_affine(rotation_deg=10, scale=0.1, shift=1.5),
        activity_penalty=penalty,
        checkpoint=path.with_suffix(".checkpoint.npz"),
        on_epoch=lambda epoch, figures: print(name, epoch, {k: round(v, 4) for k, v in figures.items()}, flush=True),
    )
    snc.save(network, path)
    path.with_suffix(".checkpoint.npz").unlink()
    return network, data


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--test-images", type=int, default=10000)
    parser.add_argument("--calibration-images", type=int, default=2000)
    parser.add_argument("--repeats", type=int, default=7, help="number of time measurements, whose median is published")
    options = parser.parse_args()
    found = {name: results_of(name, options) for name in RECIPES}
    figures = {"networks": found, "equality": equality(options), "speed": speed(options)}
    draw(figures, options)
    publish("first-spike", table(figures, options), figures)


def converted(name, n_steps, threshold, options):
    network, data = trained(name)
    x = data.x_train[: options.calibration_images]
    return snc.to_ttfs(snc.convert(network), x, n_steps, threshold=threshold), data


def results_of(name, options):
    """Return results for each threshold with STEPS steps, and for all numbers of steps with searched thresholds."""
    results, runs = {}, [(each, STEPS) for each in THRESHOLDS] + [("search", each) for each in ALL_STEPS]
    for threshold, n_steps in [*runs, ("percentile", ALL_STEPS[0])]:
        network, data = converted(name, n_steps, threshold, options)
        x, y = data.x_test[: options.test_images], data.y_test[: options.test_images]
        evaluation = snc.evaluate(network, x, y, backend="fast")
        key = f"{threshold}, {n_steps} steps"
        rounded = ann_predictions_of_images(network, np.floor(x * n_steps + 0.5) / n_steps)
        changed = {
            "changed_predictions": int((evaluation.predictions != evaluation.ann_predictions).sum()),
            "changed_by_rounded_images": int((rounded != evaluation.ann_predictions).sum()),
        }
        results[key] = {**snc.efficiency(network, evaluation).to_dict(), **changed}
        print(name, key, f"{evaluation.loss_points:.2f} points", flush=True)
    return results


def equality(options, n_images=100, n_reference=5):
    """Count spikes whose time differs between the closed form and simulations, in a trained network."""
    network, data = converted("ttfs-mnist", STEPS, "search", options)
    fast = ClosedForm(network)
    differ = {}
    for backend, n in (("nengo_dl", n_images), ("nengo", n_reference)):
        x = data.x_test[:n]
        recording, levels = snc.record(network, x, backend=backend), fast.levels(x)
        wrong = total = 0
        for name in network.model.layers:
            if name not in recording.spikes:
                continue
            spikes = recording.spikes[name]
            last = (stages(network.model)[name] + 1) * STEPS
            level = np.where(spikes.any(axis=1), last - spikes.argmax(axis=1), 0)
            wrong += int((level != levels[name].numpy().reshape(n, -1)).sum())
            total += int(spikes.sum())
        differ[backend] = {"images": n, "differ": wrong, "spikes": total}
    return differ


def speed(options):
    """Measure the ANN's predictions in Keras and the closed form for all test images, in seconds."""
    network, data = converted("ttfs-mnist", STEPS, "search", options)
    x, y = data.x_test[: options.test_images], data.y_test[: options.test_images]
    rates = snc.rate_model(network)
    seconds = {"ann": [], "fast": []}
    for repeat in range(options.repeats + 1):
        started = time.perf_counter()
        rates.predict(x, batch_size=200, verbose=0)
        ann = time.perf_counter() - started
        fast = snc.evaluate(network, x, y, backend="fast", progress=False).seconds
        if repeat:  # the first run is slower
            seconds["ann"].append(ann)
            seconds["fast"].append(fast)
    ratio = statistics.median(f / a for f, a in zip(seconds["fast"], seconds["ann"], strict=True))
    return {**{name: statistics.median(values) for name, values in seconds.items()}, "ratio": ratio}


def table(figures, options):
    main = f"search, {STEPS} steps"
    rows = {
        "accuracy of the ANN": lambda r: f"{100 * r['ann_accuracy']:.2f} %",
        "accuracy with spikes": lambda r: f"{100 * r['accuracy']:.2f} %",
        "loss of conversion, points": lambda r: f"{100 * (r['ann_accuracy'] - r['accuracy']):.2f}",
        "predictions that changed": lambda r: f"{r['changed_predictions']} of {options.test_images:,}",
        "changed by the ANN for rounded images": lambda r: str(r["changed_by_rounded_images"]),
        "spikes per neuron": lambda r: f"{r['spikes_per_neuron']:.3f}",
        "FLOPs of the ANN": lambda r: f"{r['flops']:,}",
        "synaptic operations": lambda r: f"{r['synaptic_operations']:,.0f}",
        "FLOPs / synaptic operations": lambda r: f"{r['flops'] / r['synaptic_operations']:.1f}",
        "additions inside neurons": lambda r: f"{r['neuron_updates']:,}",
    }
    lines = [f"| {STEPS} steps per stage | paper, MNIST | {' | '.join(TITLES[name] for name in RECIPES)} |"]
    lines.append(f"|---|---|{'---|' * len(RECIPES)}")
    for title, cell in rows.items():
        cells = " | ".join(cell(figures["networks"][name][main]) for name in RECIPES)
        lines.append(f"| {title} | {PAPER.get(title, '')} | {cells} |")
    steps = ["| points lost | " + " | ".join(TITLES[name] for name in RECIPES) + " |", f"|---|{'---|' * len(RECIPES)}"]
    for key in figures["networks"]["ttfs-mnist"]:
        lost = [figures["networks"][name][key] for name in RECIPES]
        cells = " | ".join(f"{100 * (r['ann_accuracy'] - r['accuracy']):.2f}" for r in lost)
        steps.append(f"| {key} | {cells} |")
    same = ", ".join(
        f"{each['differ']} of {each['spikes']:,} on {backend} ({each['images']} images)"
        for backend, each in figures["equality"].items()
    )
    timing = figures["speed"]
    newline = "\n"
    return f"""
Two convolutions, two maxima, two dense layers (the preset `ttfs-mnist`), all {options.test_images:,} test images,
thresholds searched on {options.calibration_images:,} training images:

{newline.join(lines)}

Other thresholds and numbers of steps (negative: gain):

{newline.join(steps)}

Spikes whose time differs between the closed form and a simulation step by step: {same}.
All {options.test_images:,} test images in closed form took {timing["fast"]:.1f} s, the ANN's predictions in Keras
{timing["ann"]:.1f} s, side by side (medians of {options.repeats}); {timing["ratio"]:.2f} times as long.
"""


def draw(figures, options):
    """Draw loss against steps, and the paper's figure 2: error against threshold and steps."""
    left, right = Figure(figsize=(12, 4.5), layout="constrained").subplots(1, 2)
    for name in RECIPES:
        lost = [figures["networks"][name][f"search, {n} steps"] for n in (*ALL_STEPS,)]
        left.plot(ALL_STEPS, [100 * (r["ann_accuracy"] - r["accuracy"]) for r in lost], "o-", label=TITLES[name])
    left.axhline(0, color="gray", lw=0.8)
    left.set(xscale="log", xlabel="steps a stage", ylabel="accuracy lost in percentage points")
    left.set_xticks(ALL_STEPS, ALL_STEPS)
    left.set_xticks([], minor=True)
    left.set_yscale("symlog", linthresh=0.1)
    left.yaxis.set_major_formatter("{x:g}")
    left.set_title("Loss, thresholds searched")
    left.grid(alpha=0.3)
    left.legend()
    network, data = trained("ttfs-mnist")
    x = data.x_train[: options.calibration_images]
    snc.plot_threshold_errors(snc.threshold_errors(snc.convert(network), x), right)
    with atomic_write(ROOT / "docs" / "results" / "first-spike.png") as file:
        left.figure.savefig(file, format="png", dpi=100)


if __name__ == "__main__":
    main()
