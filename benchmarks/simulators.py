"""Comparison of the fast simulator with others: the same weights and images, on two networks.

    python benchmarks/simulators.py --python PATH

takes a few minutes on two otherwise idle cores, and publishes the results and docs/results/simulators.png.  PATH is the
Python of an environment with PyTorch and SpikingJelly (pip install torch spikingjelly), by default that of this
process; SpikingJelly is left out if it has none.  Each contender has a process of its own, and they take turns.

    python benchmarks/simulators.py --cpu haswell nehalem

times snc.Simulator alone, compiled for this processor and for others whose instructions it has as well.
Networks come from build/, where other benchmarks write them; missing ones are trained on the digits of the package,
which takes a minute.
"""

import argparse
import contextlib
import dataclasses
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

import contenders
import llvmlite.binding
import nengo
import numpy as np
import processors
from contenders import (
    DENSE,
    FAST,
    REFERENCE,
    SPIKINGJELLY,
    Case,
    accuracy,
    command_of,
    contenders_of,
    write_case,
)
from own_processes import ask, contender, peak_mb
from results import ROOT, median_seconds, publish
from spikingjelly_conversion import versions_of

import nengo_snnconv as snc
from nengo_snnconv._util.atomic import atomic_write
from nengo_snnconv.compat import nengo_dl
from nengo_snnconv.evaluation import metrics
from nengo_snnconv.model import connectivity
from nengo_snnconv.plots.figures import BLUE, GREY, ORANGE, Figure

LIF, CONSTANT, POISSON = "lif-mnist", "diehl-mnist, constant input", "diehl-mnist, Poisson input"
BATCHES, LIMIT_BATCHES = (10, 50, 100), (100, 300, 1000)


@dataclasses.dataclass(frozen=True)
class Options:
    """Size of the benchmark."""

    images: int = 100  # for each simulator except nengo
    reference_images: int = 2  # for nengo
    steps: int = 30
    trial_steps: int = 5  # to choose a batch size
    repeats: int = 7
    compared_images: int = 50  # to compare spikes
    accuracy_images: int = 500  # to compare precisions
    evaluated: tuple = (200, 1000)  # images of the evaluations of lif-mnist and diehl-mnist in which memory is measured
    memory_steps: tuple = (32, 1000)


# features, by their beginnings, that LLVM must not use for a type of processor, although this one may have them
LACKED = {
    "haswell": ("avx512", "avx10", "evex"),
    "nehalem": ("avx", "evex", "fma", "f16c", "bmi", "xop", "vaes", "vpclmul"),
}
QUICK = Options(20, 1, 5, 2, 1, 10, 20, (20, 40), (4, 64))


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--images", type=int, help="number of images for each simulator except nengo")
    parser.add_argument("--steps", type=int, help="number of steps for each image")
    parser.add_argument("--python", default=sys.executable, help="Python of an environment with PyTorch, SpikingJelly")
    parser.add_argument("--quick", action="store_true", help="tiny run without publication")
    parser.add_argument(
        "--cpu", nargs="+", choices=LACKED, help="also compile snc.Simulator for these, and only time it"
    )
    parser.add_argument(
        "--time", action="store_true", help=argparse.SUPPRESS
    )  # argument of the processes of by_instructions
    parser.add_argument("--measure", help=argparse.SUPPRESS)  # argument of the processes of peak_memory
    arguments = parser.parse_args()
    if arguments.measure:
        print(json.dumps(measured(**json.loads(arguments.measure))))
        return
    given = {name: getattr(arguments, name) for name in ("images", "steps") if getattr(arguments, name)}
    options = dataclasses.replace(QUICK if arguments.quick else Options(), **given)
    if arguments.cpu:
        processors.add("microseconds", by_instructions(arguments.cpu, options))
        return
    data = snc.load_dataset("digits")
    if arguments.time:
        print(json.dumps({name: fast_microseconds(Case(n), data, options) for name, n in networks(data).items()}))
        return
    versions = versions_of(arguments.python)
    python = arguments.python if versions else None
    figures = {"spikingjelly": versions, "cases": {}, "memory": {}}
    for name, network in networks(data).items():
        tell(name)
        with tempfile.TemporaryDirectory() as folder:
            found, memory = compared(name, Case(network), data, pathlib.Path(folder), python, options)
            figures["cases"][name] = found
            if memory:
                figures["memory"][name] = memory
    text = table(figures, options)
    print(text)
    picture = ROOT / ("build/simulators.png" if arguments.quick else "docs/results/simulators.png")
    draw(figures["cases"], options, picture)
    if not arguments.quick:
        publish("simulators", text, {"options": dataclasses.asdict(options), **figures}, brief(figures))
        processors.add("times_fast", ratios(figures["cases"]))


def tell(*what):
    """Show progress."""
    print(*what, flush=True)


def networks(data):
    """Return the spiking networks: {name: ConvNetwork}."""
    lif, keras = ROOT / "build" / "lif-mnist.snn.npz", ROOT / "build" / "diehl-mnist.keras"
    network = snc.load(lif) if lif.exists() else briefly_trained("lif-mnist", None, data)
    source = keras if keras.exists() else briefly_trained("diehl-mnist", nengo.RectifiedLinear(), data)
    converted = snc.normalize(snc.convert(source), data.x_train[:1000], percentile=99.9)
    return {
        LIF: network.rebuild(synapse=None),
        CONSTANT: snc.to_spiking(converted),
        POISSON: snc.to_spiking(converted, input_coding="poisson"),
    }


def briefly_trained(preset, neuron_type, data):
    """Return a trained preset from build/, or train it for a few epochs on the digits of the package."""
    path = ROOT / "build" / f"{preset}-digits.snn.npz"
    if not path.exists():
        network = snc.build_trainable(snc.preset(preset), neuron_type)
        settings = {"epochs": 4, "batch_size": 100, "learning_rate": 3e-3, "schedule": "cosine"}
        path.parent.mkdir(exist_ok=True)
        snc.save(snc.train(network, data.x_train, data.y_train, **settings), path)
    return snc.load(path)


def compared(title, case, data, folder, python, options):
    """Return results for a network, and memory: time on each simulator, differing spikes, and accuracy by precision.

    ``python`` is that of SpikingJelly, None without it.
    """
    every = len(data.x_test) // options.images
    x, y = data.x_test[::every][: options.images], data.y_test[::every][: options.images]
    write_case(case, x, y, options.steps, folder)
    names = list(contenders_of(case))
    if python:
        names.insert(names.index(DENSE), SPIKINGJELLY)
    times = timed({name: command_of(name, folder, python) for name in names}, len(x), folder, options)
    found = {
        "neurons": sum(map(case.network.model.size, case.network.model.neurons)),
        "multiply_accumulates": sum(connectivity.multiply_accumulates(case.network.model).values()),
        "simulators": times,
        "differing": differing(case, data.x_test[: options.compared_images], options.steps),
        "precision": precisions(case, data, options),
    }
    return found, peak_memory(title, times, folder, python, options)


# time


def timed(commands, n_images, folder, options):
    """Measure each contender with its best batch size, in turns: {name: dict}.

    ``commands`` start their processes, {name: command}.
    """
    found, results, processes, jobs = {}, {}, {}, {}
    with contextlib.ExitStack() as opened:
        for name, command in commands.items():
            processes[name] = opened.enter_context(contender(command, folder / f"{len(processes)}.log"))
            shown = min(n_images, options.reference_images) if name == REFERENCE else n_images
            batch, tries = best_batch(processes[name], shown, batches_for(name, shown), options)
            jobs[name] = {"batch": batch, "steps": options.steps, "n_images": shown}
            found[name] = {"batch": batch, "images": shown, "microseconds_of_batches": tries}
        for _ in range(options.repeats):
            for name, job in jobs.items():
                results.setdefault(name, []).append(ask(processes[name], job))
    for name, row in found.items():
        seconds = statistics.median(result["seconds"] for result in results[name])
        row["microseconds"] = 1e6 * seconds / (row["images"] * options.steps)
        row["times_fast"] = row["microseconds"] / found[FAST]["microseconds"]
        row["images_per_second"] = row["images"] / seconds
        row["accuracy"] = results[name][-1]["accuracy"]
        tell(f"{name}: batch {row['batch']}, {row['microseconds']:.1f} µs, {row['accuracy']}")
    return found


def batches_for(name, n_images):
    """Return the batch sizes to try."""
    if name == DENSE:
        return LIMIT_BATCHES
    return (1,) if name == REFERENCE else [size for size in BATCHES if n_images % size == 0] or [n_images]


def best_batch(process, n_images, batches, options):
    """Return the fastest batch size, and microseconds per image and step for each: (int, {int: float})."""
    found = {}
    for batch in batches if len(batches) > 1 else ():
        job = {"batch": batch, "steps": options.trial_steps, "n_images": n_images}
        seconds = min(ask(process, job)["seconds"] for _ in range(3))
        found[batch] = 1e6 * seconds / (n_images * options.trial_steps)
    return min(batches, key=found.get) if found else batches[0], found


# processors


def ratios(cases):
    """Return how many times as long each simulator takes as snc.Simulator, {network: {simulator: float}}."""
    return {
        case: {name: row["times_fast"] for name, row in found["simulators"].items()} for case, found in cases.items()
    }


def by_instructions(names, options, rounds=3):
    """Return microseconds per image and step of snc.Simulator on each network: {type of processor: {network: float}}.

    Each type has processes of its own, which take turns.
    """
    times = {}
    for _ in range(rounds):
        for name in (None, *names):
            environment = dict(os.environ) if name is None else {**os.environ, **compiling_for(name)}
            command = [
                sys.executable,
                __file__,
                "--time",
                "--images",
                str(options.images),
                "--steps",
                str(options.steps),
            ]
            output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment).stdout
            for network, value in json.loads(output.splitlines()[-1]).items():
                times.setdefault(name or processors.OWN, {}).setdefault(network, []).append(value)
            tell(name or "this processor", output.splitlines()[-1])
    return {
        name: {network: statistics.median(values) for network, values in found.items()} for name, found in times.items()
    }


def compiling_for(name):
    """Return the environment variables with which Numba compiles for a type of processor."""
    uses = {
        feature: has and not feature.startswith(LACKED[name])
        for feature, has in llvmlite.binding.get_host_cpu_features().items()
    }
    features = ",".join(f"{'+' if used else '-'}{feature}" for feature, used in uses.items())
    return {"NUMBA_CPU_NAME": name, "NUMBA_CPU_FEATURES": features}


def fast_microseconds(case, data, options):
    """Return microseconds per image and step of snc.Simulator."""
    x = data.x_test[: options.images]
    with contenders_of(case)[FAST](case, x, len(x), options.steps) as run:
        seconds = median_seconds({"run": run}, options.repeats)["run"]
    return 1e6 * seconds / (len(x) * options.steps)


# spikes


def differing(case, x, n_steps, batch=10):
    """Count spikes, by neuron and step, that differ between nengo_dl and the fast simulator."""
    network = case.network
    names = [*([network.model.input] if case.poisson else []), *network.model.neurons]
    network = network.rebuild(probe_layers=tuple(names))
    amplitude, found = network.settings.spike_amplitude, {"counts": 0, "spikes": 0, "differ": 0}
    with (
        snc.Simulator(network, minibatch_size=batch, progress_bar=False) as one,
        nengo_dl.Simulator(network, minibatch_size=batch, progress_bar=False) as other,
    ):
        for start in range(0, len(x), batch):
            images = x[start : start + batch]
            still = np.repeat(images.reshape(len(images), 1, -1), n_steps, axis=1)
            one.reset()
            one.run_steps(n_steps, data={network.input: images})
            seen = other.predict_on_batch({network.input: still}, n_steps=n_steps, stateful=False)
            for probe in (network.probes[f"layer/{name}"] for name in names):
                ours, theirs = (metrics.spike_counts(v[probe], amplitude, contenders.DT) for v in (one.data, seen))
                found["counts"] += ours.size
                found["spikes"] += int(theirs.sum())
                found["differ"] += int((ours != theirs).sum())
    return {"images": len(x), **found}


def precisions(case, data, options):
    """Return accuracy and seconds for each precision of weights."""
    x, y = data.x_test[: options.accuracy_images], data.y_test[: options.accuracy_images]
    batch, found = min(100, len(x)), {}
    for precision in ("float32", "bfloat16"):
        with contenders.fast(case, x, batch, options.steps, precision=precision) as run:
            run()
            started = time.perf_counter()
            scores = run()
            found[precision] = {"accuracy": accuracy(scores, y), "seconds": time.perf_counter() - started}
    return {"images": len(x), **found}


# memory


def peak_memory(title, times, folder, python, options):
    """Measure peak memory of evaluations and contenders, each in a separate process: {name: {steps: dict}}."""
    evaluated, few, found = dict(zip((LIF, CONSTANT), options.evaluated, strict=True)), min(options.memory_steps), {}
    if title not in evaluated:
        return found
    path, images = str(folder / "network.snn.npz"), evaluated[title]
    for backend, n_steps in [*(("fast", n_steps) for n_steps in options.memory_steps), ("nengo_dl", few)]:
        job = {"path": path, "backend": backend, "images": images, "n_steps": n_steps}
        found.setdefault(backend, {})[n_steps] = {"images": images, **in_own_process(job)}
        tell(title, backend, n_steps, found[backend][n_steps])
    # one network is enough for the others
    for name, row in times.items() if title == CONSTANT else ():
        if name not in (FAST, DENSE):
            job = {"batch": row["batch"], "steps": few, "n_images": row["images"]}
            with contender(command_of(name, folder, python), folder / "memory.log") as process:
                result = ask(process, job)
            memory = {
                "before_mb": result["before_mb"],
                "peak_mb": result["peak_mb"],
                "seconds": result["first_seconds"],
            }
            found[name] = {few: {"images": row["images"], **memory}}
            tell(title, name, few, found[name][few])
    return found


def in_own_process(job):
    command = [sys.executable, __file__, "--measure", json.dumps(job)]
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    return json.loads(output.splitlines()[-1])


def measured(path, backend, images, n_steps):
    """Return peak memory of this process in MB before and after an evaluation, and seconds of the simulation."""
    network, data = snc.load(path), snc.load_dataset("digits")
    x, y = data.x_test[:images], data.y_test[:images]
    before = peak_mb()
    seconds = snc.evaluate(network, x, y, n_steps=n_steps, backend=backend).seconds
    return {"before_mb": before, "peak_mb": peak_mb(), "seconds": seconds}


# text


def table(figures, options):
    text = f"""
Three networks on the CPU for {options.steps} steps: the same weights and the same {options.images} test images for all
({options.reference_images} for nengo), class scores after every step, and the fastest batch size for each simulator,
which runs in a process of its own; medians of {options.repeats} turns:
"""
    for name, found in figures["cases"].items():
        text += f"""
{name}, {found["neurons"]:,} neurons, {found["multiply_accumulates"] / 1e6:.2f} million products per image and step:

| | batch | µs per image and step | relative time | images per second | accuracy |
|---|---|---|---|---|---|
"""
        text += "".join(map(row_of, found["simulators"], found["simulators"].values()))
    versions = figures["spikingjelly"]
    jelly = f"SpikingJelly is {versions['spikingjelly']} on PyTorch {versions['torch']}." if versions else ""
    text += f"""
"Dense products alone" is the time of the convolutions and dense layers, as dense arithmetic in float32 in TensorFlow:
all images and steps in batches of the given size, without pooling, neurons and spikes, and the first layer only once
for a constant image. Other differences: networks of the Converter have SpikingRectifiedLinear instead of
IntegrateAndFire, which may spike more than once per step, or LIF neurons that start from other random potentials;
SpikingJelly's LIF neurons have no refractory period. snc.Simulator and the network of to_spiking generate Poisson
spikes; the others receive them as data, and that time is not included. {jelly}

Spikes (per neuron and step) that differ between snc.Simulator and nengo_dl:

| | differ | spikes | share of all neurons and steps |
|---|---|---|---|
"""
    for name, found in figures["cases"].items():
        row = found["differing"]
        share = f"{row['differ'] / row['counts']:.1e}" if row["differ"] else "0"
        text += f"| {name}, {row['images']} images | {row['differ']:,} | {row['spikes']:,} | {share} |\n"
    return text + precision_table(figures["cases"]) + memory_table(figures["memory"], options)


def brief(figures):
    """Return the short table for README."""
    cases = figures["cases"]
    names = dict.fromkeys(name for found in cases.values() for name in found["simulators"])
    text = f"Time per image and step, relative to snc.Simulator:\n\n| | {' | '.join(cases)} |\n"
    text += "|---" * (len(cases) + 1) + "|\n"
    for name in names:
        rows = (found["simulators"].get(name) for found in cases.values())
        shown = (f"{row['times_fast']:.2f}" if row else "" for row in rows)
        text += f"| {name} | {' | '.join(shown)} |\n"
    differ, spikes = (sum(found["differing"][key] for found in cases.values()) for key in ("differ", "spikes"))
    return f"{text}\nSpikes that differ from those of nengo_dl: {differ:,} of {spikes:,}."


def row_of(name, row):
    correct = "" if row["accuracy"] is None else f"{100 * row['accuracy']:.0f} %"
    speed, rate = f"{row['microseconds']:,.1f}", f"{row['images_per_second']:,.1f}"
    return f"| {name} | {row['batch']} | {speed} | {row['times_fast']:,.2f} | {rate} | {correct} |\n"


def precision_table(cases):
    text = "\n| weights of snc.Simulator | float32 | bfloat16 |\n|---|---|---|\n"
    for name, found in cases.items():
        rows = [found["precision"][precision] for precision in ("float32", "bfloat16")]
        cells = " | ".join(f"{100 * row['accuracy']:.2f} %, {row['seconds']:.2f} s" for row in rows)
        text += f"| {name}, {found['precision']['images']:,} images | {cells} |\n"
    return text


def memory_table(memory, options):
    few, many = options.memory_steps
    text = """
Peak memory of a process, and its memory before simulators were built:

| | images | steps | peak | before | seconds |
|---|---|---|---|---|---|
"""
    ratios = []
    for title, found in memory.items():
        for name, rows in found.items():
            label = f"{title}: evaluate, backend={name!r}" if name in ("fast", "nengo_dl") else f"{title}: {name}"
            for steps, row in rows.items():
                numbers = f"{row['peak_mb']:,.0f} MB | {row['before_mb']:,.0f} MB | {row['seconds']:.1f}"
                text += f"| {label} | {row['images']:,} | {steps:,} | {numbers} |\n"
        ratios.append(f"{found['fast'][many]['peak_mb'] / found['fast'][few]['peak_mb']:.2f} ({title})")
    return text + (
        f"\nThe peak of an evaluation with {many:,} steps is that of {few} steps times {' and '.join(ratios)}.\n"
        "`evaluate` counts the spikes of all neurons, and its seconds exclude building; those of the others include "
        "building and compiling.\n"
    )


def draw(cases, options, path):
    """Draw a bar for each simulator in a panel for each network."""
    heights = [len(found["simulators"]) for found in cases.values()]
    figure = Figure(figsize=(9, 1.2 + 0.36 * sum(heights)), layout="constrained")
    panels = figure.subplots(len(cases), 1, sharex=True, height_ratios=heights)
    colours = {FAST: BLUE, DENSE: ORANGE}
    for axes, (name, found) in zip(panels, cases.items(), strict=True):
        values = {simulator: row["microseconds"] for simulator, row in found["simulators"].items()}
        bars = axes.barh(
            list(values), list(values.values()), color=[colours.get(simulator, GREY) for simulator in values]
        )
        axes.bar_label(bars, list(map(label_of, found["simulators"].values())), padding=4, fontsize=9)
        axes.invert_yaxis()
        axes.set_xscale("log")
        axes.set_title(name, loc="left", fontsize=10)
        axes.spines[["top", "right"]].set_visible(False)
    times = [row["microseconds"] for found in cases.values() for row in found["simulators"].values()]
    panels[-1].set(
        xlabel=f"microseconds per image and step, {options.steps} steps", xlim=(min(times) / 2, 5 * max(times))
    )
    with atomic_write(path) as file:
        figure.savefig(file, format="png", dpi=100)


def label_of(row):
    ratio = row["times_fast"]
    return f"{row['microseconds']:,.0f} µs, {ratio:,.{0 if ratio >= 20 else 1}f} x"


if __name__ == "__main__":
    main()
