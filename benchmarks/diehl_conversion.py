"""Conversion of Keras CNNs (Diehl et al. 2015): accuracy after every step, on MNIST and CIFAR-10.

    NENGO_SNNCONV_DATA=DIR python benchmarks/diehl_conversion.py

trains the CNN of MNIST if build/ does not contain it, converts and simulates it and the pretrained networks, and
publishes the results and docs/results/diehl-conversion.png.  Takes about half an hour on two cores.  Intermediate
results are kept in build/diehl-conversion.json, so that an interrupted run continues; --restart starts again.
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
from nengo_snnconv.presets import PRETRAINED

STEPS = (1, 2, 4, 8, 16, 32, 40)
KEPT = ROOT / "build" / "diehl-conversion.json"
REFERENCE = {"method": "data", "percentile": 99.9}
BALANCE = {"method": "balance", "n_steps": 1}


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
# deep networks: {row: (arguments of normalize, neuron type, whether to calibrate for each number of steps)}
PER_CHANNEL = {"method": "data", "percentile": 99.9, "per": "channel"}
CIFAR = {
    "99.9th percentile": (PER_CHANNEL, snc.IntegrateAndFire, False),
    "the same, signed spikes": (PER_CHANNEL, snc.SignedIntegrateAndFire, False),
    "balanced for four steps, signed spikes": ({**BALANCE, "n_steps": 4}, snc.SignedIntegrateAndFire, False),
    "calibrated for each number of steps, signed spikes": (PER_CHANNEL, snc.SignedIntegrateAndFire, True),
}
CALIBRATED_STEPS = (1, 2, 4, 8, 16)
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
    parser.add_argument("--cifar-calibration-images", type=int, default=500)
    parser.add_argument("--ablation-images", type=int, default=2000)
    parser.add_argument("--restart", action="store_true", help="ignore intermediate results")
    options = parser.parse_args()
    kept = json.loads(KEPT.read_text()) if KEPT.exists() and not options.restart else {}
    for rows, n_test in ((MNIST, options.test_images), (ABLATIONS, options.ablation_images)):
        arguments = [n_test, options.calibration_images]
        for title, (preset, scaling, spiking) in rows.items():
            if kept.get(title, {}).get("arguments") != arguments:
                kept[title] = {"arguments": arguments, **run(preset, scaling, spiking, *arguments)}
                keep(kept)
            print(title, figures_of(kept[title]), flush=True)
    run_cifar(kept, options)
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
    return snc.evaluate(network, data.x_test[:n_test], data.y_test[:n_test], n_steps=STEPS[-1]).to_dict()


def run_cifar(kept, options):
    """Run the pretrained networks: once for most steps, or for each number of steps if they are calibrated for it."""
    arguments = [options.cifar_images, options.cifar_calibration_images]
    data = snc.load_dataset("cifar-10", train=arguments[1], test=arguments[0])
    for name in PRETRAINED:
        network = snc.convert(snc.pretrained(name))
        for title, (scaling, neuron_type, calibrated) in CIFAR.items():
            for n_steps in CALIBRATED_STEPS if calibrated else STEPS[-1:]:
                key = cifar_key(name, title, n_steps)
                if kept.get(key, {}).get("arguments") != arguments:
                    snn = snc.to_spiking(snc.normalize(network, data.x_train, **scaling), neuron_type())
                    snn = snc.calibrate(snn, data.x_train, n_steps=n_steps) if calibrated else snn
                    evaluation = snc.evaluate(snn, data.x_test, data.y_test, n_steps=n_steps)
                    kept[key] = {"arguments": arguments, **evaluation.to_dict()}
                    keep(kept)
                print(key, f"{losses(kept[key])[-1]:.2f} points lost", flush=True)


def cifar_key(name, title, n_steps):
    return f"{name}, {title}, {n_steps} steps"


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
{cifar_tables(kept, options)}
Effect of the defaults: MNIST's first {options.ablation_images:,} test images, constant input,
99.9th percentile, with one change:

{rows_of(ABLATIONS, kept)}
One evaluation of MNIST's test images over {STEPS[-1]} steps took {first["seconds"]:.0f} seconds.
Spikes that differ between nengo (double precision) and nengo_dl, {equality["images"]} images,
{equality["steps"]} steps: {", ".join(parts)}.
"""


def cifar_tables(kept, options):
    """Return a table for each pretrained network; each calibrated network has a run for each number of steps."""
    tables = []
    for name in PRETRAINED:
        ann = kept[cifar_key(name, next(iter(CIFAR)), STEPS[-1])]["ann_accuracy"]
        lines = [
            f"Deep network {name} ([`pretrained`](../how-to/deep-networks.md)), first {options.cifar_images:,} test "
            f"images of CIFAR-10, constant input, a threshold for each channel; {100 * ann:.2f} % as a CNN:",
            "",
            f"| | {' | '.join(map(str, STEPS))} |",
            f"|---|{'---|' * len(STEPS)}",
        ]
        for title, (*_, calibrated) in CIFAR.items():
            lines.append(f"| {title} | {' | '.join(cifar_cell(kept, name, title, n, calibrated) for n in STEPS)} |")
        tables.append("\n".join(lines))
    return "\n\n".join(tables) + "\n"


def cifar_cell(kept, name, title, n_steps, calibrated):
    """Return the loss after a number of steps; empty if no network was calibrated for it."""
    result = kept.get(cifar_key(name, title, n_steps if calibrated else STEPS[-1]))
    return f"{losses(result)[n_steps - 1]:.2f}" if result else ""


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
    deep = {
        cifar_key(name, title, STEPS[-1]): None for name in PRETRAINED for title, row in CIFAR.items() if not row[2]
    }
    groups = ({**MNIST, **deep}, ABLATIONS)
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
