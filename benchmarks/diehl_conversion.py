"""Conversion of Keras CNNs (Diehl et al. 2015): accuracy after every step, on MNIST and CIFAR-10.

    NENGO_SNNCONV_DATA=DIR python benchmarks/diehl_conversion.py

trains the ANNs if build/ does not contain them (half an hour on two cores), converts and simulates them (another hour),
and publishes the results and docs/results/diehl-conversion.png.  Intermediate results are kept in
build/diehl-conversion.json, so that an interrupted run continues; --restart starts again.
"""

import argparse
import json
import warnings

import anns
import nengo
import numpy as np
from matplotlib.figure import Figure
from results import ROOT, publish

import nengo_snnconv as snc
from nengo_snnconv._util.atomic import atomic_write

STEPS = (1, 2, 4, 8, 16, 32, 40)
KEPT = ROOT / "build" / "diehl-conversion.json"
REFERENCE = {"method": "data", "percentile": 99.9}
# in deep networks, random initial potentials keep neurons from spiking simultaneously
DEEP = {"method": "data", "percentile": 99.9, "per": "channel"}
SKIPPED = 16
BALANCE = {"method": "balance", "n_steps": 1}


def random_start():
    return snc.IntegrateAndFire(initial_state={"voltage": nengo.dists.Uniform(0, 1)})


def spiking_relu():
    return nengo.SpikingRectifiedLinear(amplitude=0.001, initial_state={"voltage": nengo.dists.Choice([0.5])})


# rows of a table: {row: (preset, arguments of normalize, arguments of to_spiking)}
IF = snc.IntegrateAndFire
MNIST = {
    "constant input, balanced for one step": ("diehl-mnist", BALANCE, {}),
    "constant input, 99.9th percentile": ("diehl-mnist", REFERENCE, {}),
    "Poisson input, balanced for eight steps": ("diehl-mnist", {**BALANCE, "n_steps": 8}, {"input_coding": "poisson"}),
    "Poisson input, 99.9th percentile, most output spikes win (the example)": (
        "diehl-mnist",
        REFERENCE,
        {"input_coding": "poisson", "readout": "spikes"},
    ),
}
CIFAR = {
    "vgg-cifar10": ("vgg-cifar10", DEEP, {"neuron_type": random_start}),
    "resnet-cifar10": ("resnet-cifar10", DEEP, {"neuron_type": random_start}),
}
ABLATIONS = {
    "the defaults: subtract, start at half, signed": ("diehl-mnist", REFERENCE, {}),
    "reset to zero": ("diehl-mnist", REFERENCE, {"neuron_type": lambda: IF(reset="zero")}),
    "start at zero": ("diehl-mnist", REFERENCE, {"neuron_type": lambda: IF(initial_potential=0)}),
    "nengo.SpikingRectifiedLinear, start at half": ("diehl-mnist", REFERENCE, {"neuron_type": spiking_relu}),
    "a scale for each channel": ("diehl-mnist", {**REFERENCE, "per": "channel"}, {}),
    "the largest activation (algorithm 2)": ("diehl-mnist", {"percentile": 100}, {}),
    "weights only (algorithm 1)": ("diehl-mnist", {"method": "model"}, {}),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--test-images", type=int, default=10000)
    parser.add_argument("--calibration-images", type=int, default=5000)
    parser.add_argument("--cifar-images", type=int, default=1000)
    parser.add_argument("--ablation-images", type=int, default=2000)
    parser.add_argument("--restart", action="store_true", help="ignore intermediate results")
    options = parser.parse_args()
    kept = json.loads(KEPT.read_text()) if KEPT.exists() and not options.restart else {}
    sizes = [options.test_images, options.cifar_images, options.ablation_images]
    for rows, n_test in zip((MNIST, CIFAR, ABLATIONS), sizes, strict=True):
        arguments = [n_test, options.calibration_images]
        for title, (preset, scaling, spiking) in rows.items():
            if kept.get(title, {}).get("arguments") != arguments:
                kept[title] = {"arguments": arguments, **run(preset, scaling, spiking, *arguments)}
                keep(kept)
            print(title, figures_of(kept[title]), flush=True)
    kept["equality"] = kept.get("equality") or same_on_nengo()
    keep(kept)
    draw(kept)
    publish("diehl-conversion", table(kept, options), kept)


def keep(kept):
    """Write intermediate results."""
    KEPT.parent.mkdir(exist_ok=True)
    with atomic_write(KEPT, "w") as file:
        json.dump(kept, file)


def run(preset, scaling, spiking, n_test, n_calibration):
    """Convert, normalize and simulate a network; return the results of the evaluation."""
    keras, data = anns.trained(preset)
    network = snc.normalize(snc.convert(keras), data.x_train[:n_calibration], **scaling)
    spiking = {**spiking, "neuron_type": spiking["neuron_type"]()} if "neuron_type" in spiking else spiking
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # some ablations cause warnings on purpose
        network = snc.to_spiking(network, **spiking)
    skipped = SKIPPED if scaling is DEEP else 0
    evaluation = snc.evaluate(
        network, data.x_test[:n_test], data.y_test[:n_test], n_steps=STEPS[-1], skip_steps=skipped
    )
    return evaluation.to_dict()


def same_on_nengo(n_images=5, n_steps=8):
    """Count spikes that differ between nengo, in double precision, and nengo_dl, in a trained network."""
    keras, data = anns.trained("diehl-mnist")
    shares = {}
    for input_coding in ("constant", "poisson"):
        network = snc.normalize(snc.convert(keras), data.x_train[:1000], **REFERENCE)
        network = snc.to_spiking(network, input_coding=input_coding)
        one, other = (
            snc.record(network, data.x_test[:n_images], n_steps=n_steps, backend=b) for b in ("nengo", "nengo_dl")
        )
        differ = sum(int((one.spikes[name] != other.spikes[name]).sum()) for name in one.spikes)
        shares[input_coding] = {"differ": differ, "spikes": sum(int(one.spikes[name].sum()) for name in one.spikes)}
    return {"images": n_images, "steps": n_steps, **shares}


def losses(result):
    """Return the loss of accuracy in percentage points after each step."""
    return 100 * (result["ann_accuracy"] - np.array(result["accuracy"]))


def figures_of(result):
    return {n: round(float(losses(result)[n - 1]), 2) for n in STEPS}


def table(kept, options):
    first, equality = kept[next(iter(MNIST))], kept["equality"]
    parts = [f"{equality[c]['differ']} of {equality[c]['spikes']:,} with {c} input" for c in ("constant", "poisson")]
    return f"""
Loss of accuracy by spiking, in percentage points, by number of steps (negative: gain).

12c5-2s-64c5-2s-10o without biases, all {options.test_images:,} test images of MNIST;
{100 * first["ann_accuracy"]:.2f} % as a CNN:

{rows_of(MNIST, kept)}
Networks with batch normalization, first {options.cifar_images:,} test images of CIFAR-10, constant input,
99.9th percentile of each channel, random initial potentials, scores from step {SKIPPED + 1} on; vgg has maxima of
spikes, resnet residual blocks; {accuracies(CIFAR, kept)} as CNNs:

{rows_of(CIFAR, kept)}
Effect of the defaults: MNIST's first {options.ablation_images:,} test images, constant input,
99.9th percentile, with one change:

{rows_of(ABLATIONS, kept)}
One evaluation of MNIST's test images over {STEPS[-1]} steps took {first["seconds"] / 60:.1f} minutes on nengo_dl.
Spikes that differ between nengo (double precision) and nengo_dl, {equality["images"]} images,
{equality["steps"]} steps: {", ".join(parts)}.
"""


def accuracies(rows, kept):
    return ", ".join(f"{title} {100 * kept[title]['ann_accuracy']:.2f} %" for title in rows)


def rows_of(rows, kept):
    text = f"| | {' | '.join(map(str, STEPS))} | largest from step 4 on | spikes per neuron |\n"
    text += f"|---|{'---|' * (len(STEPS) + 2)}\n"
    for title in rows:
        loss = losses(kept[title])
        cells = " | ".join(f"{loss[n - 1]:.2f}" for n in STEPS)
        text += f"| {title} | {cells} | {loss[3:].max():.2f} | {kept[title]['spikes_per_neuron']:.2f} |\n"
    return text


def draw(kept):
    """Draw the loss over time, with a curve for each row."""
    panels = Figure(figsize=(12, 6.5), layout="constrained").subplots(1, 2, sharey=True)
    groups = ({**MNIST, **CIFAR}, ABLATIONS)
    for axes, rows, title in zip(panels, groups, ("Conversions", "One change each"), strict=True):
        for name in rows:
            loss = losses(kept[name])
            axes.plot(np.arange(1, len(loss) + 1), loss, label=name, lw=1.2)
        axes.axhline(0, color="gray", lw=0.8)
        axes.set(xlabel="time step", title=title, xscale="log", yscale="symlog")
        axes.set_yscale("symlog", linthresh=0.1)
        axes.set_xticks(STEPS, STEPS)
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.12))
    panels[0].set_ylabel("accuracy lost in percentage points")
    with atomic_write(ROOT / "docs" / "results" / "diehl-conversion.png") as file:
        panels[0].figure.savefig(file, format="png", dpi=100)


if __name__ == "__main__":
    main()
