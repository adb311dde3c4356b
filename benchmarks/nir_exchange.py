"""NIR: the spikes of the same networks in this package and in other simulators, written by us and by them.

    NENGO_SNNCONV_DATA=DIR python benchmarks/nir_exchange.py --python PATH --sinabs-python PATH

needs the package nir, N-MNIST, or a part of it, and CIFAR-10 in DIR, and two environments of other simulators:

    pip install nir==1.0.8 spikingjelly snntorch norse    (--python)
    pip install sinabs                                    (--sinabs-python; it needs nir 1.0.4)

nir_process.py runs in them.  A tool that is missing is left out.  Two networks are trained on the digits of the package
and on recordings, and kept in build/; all other weights are pretrained or random.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile

import nengo
import numpy as np
from results import ROOT, publish, table_lines

import nengo_snnconv as snc
from nengo_snnconv.neurons.arguments import replaced

BUILD = ROOT / "build"
PROCESS = pathlib.Path(__file__).with_name("nir_process.py")
# the environments of other simulators have packages of their own
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
PACKAGES = {"spikingjelly": "SpikingJelly", "snntorch": "snnTorch", "norse": "Norse", "sinabs": "sinabs"}
# length of a step with which each tool simulates
DT = {"spikingjelly": 1e-4, "snntorch": 1e-4, "norse": 1e-3, "sinabs": 1.0}
# average pooling that it reads
POOLS = {"spikingjelly": "AvgPool2d", "snntorch": "AvgPool2d", "norse": "Conv2d", "sinabs": "Conv2d"}
# title of a network: tools that have its neurons, as they read them
READERS = {
    "IF, reset to zero": ("spikingjelly", "norse"),
    "IF, reset by subtraction": ("sinabs", "spikingjelly"),
    "IF of sinabs": ("sinabs",),
    "LIF": ("spikingjelly", "snntorch", "norse"),
}
EXPLAINED = {
    ("IF, reset by subtraction", "sinabs"): "several spikes in a step, and potentials not below minus the threshold",
    ("IF, reset by subtraction", "spikingjelly"): "resets to zero, as NIR says",
}
WRITERS = (
    ("spikingjelly", "LIF"),
    ("spikingjelly", "IF"),
    ("snntorch", "LIF"),
    ("norse", "LIF and LI"),
    ("sinabs", "IF"),
)
# length of a step with which to read files of a tool, if it is not that in DT: Norse multiplies time constants by it
WRITTEN_DT = {"norse": DT["norse"] ** 2}


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--python", default=sys.executable, help="Python with nir 1.0.8, SpikingJelly, snnTorch, Norse")
    parser.add_argument("--sinabs-python", default=sys.executable, help="Python with sinabs")
    parser.add_argument("--images", type=int, default=100, help="number of test images or recordings")
    parser.add_argument("--epochs", type=int, default=12)
    options = parser.parse_args()
    BUILD.mkdir(exist_ok=True)
    versions = {name: version_of(name, options) for name in PACKAGES}
    digits, events = snc.load_dataset("digits"), snc.load_events("n-mnist")
    results = {"versions": versions, "images": options.images}
    results["read"] = read_by_others(digits, events, options, versions)
    results["written"] = written_by_others(options, versions)
    results["round_trips"] = round_trips(digits, events, options)
    results["losses"] = losses(digits, options)
    publish("nir-exchange", table(results), results)


def version_of(package, options):
    """Return the version of a package in its environment; None if it is missing."""
    code = f"import importlib.metadata as m; print(m.version({package!r}), m.version('nir'))"
    found = subprocess.run(
        [python_of(package, options), "-c", code], capture_output=True, text=True, check=False, env=ENVIRONMENT
    )
    return found.stdout.split() if found.returncode == 0 else None


def python_of(package, options):
    return options.sinabs_python if package == "sinabs" else options.python


def trained(name, make):
    path = BUILD / f"{name}.snn.npz"
    if not path.exists():
        snc.save(make(), path)
    return snc.load(path)


def diehl(digits, options):
    """Return the preset diehl-mnist, trained on the digits, with rates."""

    def make():
        network = snc.build_trainable(snc.preset("diehl-mnist"), nengo.RectifiedLinear())
        return snc.train(network, digits.x_train, digits.y_train, epochs=options.epochs)

    return snc.normalize(snc.convert(trained("nir-diehl-digits", make)), digits.x_train[:1000])


def recorded(events, options):
    """Return the preset surrogate-nmnist, trained on real recordings."""

    def make():
        keras = snc.preset("surrogate-nmnist", (34, 34, 2))
        network = snc.build_trainable(keras, snc.SurrogateLIF(), output_neurons=True)
        labels = events.train.labels
        return snc.train(network, events.train, labels, n_steps=8, epochs=options.epochs, learning_rate=3e-3)

    return snc.convert(trained("nir-nmnist", make))


def networks(digits, events, options):
    """Return networks by title: (network, inputs, labels, number of steps)."""
    rates, steps, n = diehl(digits, options), 32, options.images
    images = digits.x_test[:n], digits.y_test[:n], steps

    def spiking(**arguments):
        return snc.to_spiking(rates, snc.IntegrateAndFire(initial_potential=0.0, **arguments))

    frames = snc.EventFrames(events.test[:n], 8)
    recordings = frames.batch(slice(None)), events.test.labels[:n], 8
    return {
        "IF, reset to zero": (spiking(reset="zero"), *images),
        "IF, reset by subtraction": (spiking(), *images),
        "IF of sinabs": (spiking(max_spikes=np.inf, min_potential=-1), *images),
        "LIF": (recorded(events, options), *recordings),
    }


def read_by_others(digits, events, options, versions):
    """Return what other tools do with our files: {"network, tool": result}."""
    made, found = networks(digits, events, options), {}
    for title, tools in READERS.items():
        network, x, y, n_steps = made[title]
        # the file of neurons like those of sinabs is that of neurons with reset by subtraction
        written = made["IF, reset by subtraction"][0] if title == "IF of sinabs" else network
        frames = as_frames(x, n_steps)
        ours = run_ours(network, frames, y)
        for tool in tools:
            if versions[tool] is None:
                print(f"{PACKAGES[tool]} is missing: left out", flush=True)
                continue
            with tempfile.TemporaryDirectory() as folder:
                path = pathlib.Path(folder) / "network.nir"
                snc.write_nir(written, path, dt=DT[tool], average_pool=POOLS[tool])
                theirs = run_tool(tool, "read", frames, folder, options)
            result = compared(ours, theirs, y)
            found[f"{title}, {tool}"] = result
            print(title, tool, result, flush=True)
    return found


def written_by_others(options, versions):
    """Return what we do with files of other tools: {"tool, neurons": result}."""
    rng, found = np.random.default_rng(0), {}
    frames = (2 * rng.random((options.images, 12, 12, 12, 2))).astype(np.float32)
    for tool, kind in WRITERS:
        if versions[tool] is None:
            continue
        with tempfile.TemporaryDirectory() as folder:
            theirs = run_tool(tool, "write", frames, folder, options, neurons=kind)
            network = snc.read_nir(pathlib.Path(folder) / "network.nir", dt=WRITTEN_DT.get(tool, DT[tool]))
        is_flat = len(network.model.shapes[network.model.input]) == 1  # with the channel first
        shown = np.moveaxis(frames, -1, 2).reshape(*frames.shape[:2], -1) if is_flat else frames
        result = compared(run_ours(network, shown), theirs)
        if tool == "sinabs":  # several spikes in a step
            settings = network.settings
            types = tuple(replaced(each, max_spikes=np.inf) for each in settings.neuron_types)
            network = network.rebuild(neuron_type=types[0], neuron_types=types)
            result["several_spikes"] = compared(run_ours(network, frames), theirs)
        found[f"{tool}, {kind}"] = result
        print(tool, kind, result, flush=True)
    return found


def as_frames(x, n_steps):
    """Return images as frames, the same in each step."""
    return np.repeat(x[:, None], n_steps, axis=1) if x.ndim == 4 else x


def run_tool(tool, task, frames, folder, options, **job):
    """Run nir_process.py; return spikes (images, layers) and outputs (images, outputs)."""
    folder = pathlib.Path(folder)
    np.save(folder / "x.npy", np.ascontiguousarray(np.moveaxis(frames, -1, 2)))
    (folder / "job.json").write_text(json.dumps({"tool": tool, "task": task, "dt": DT[tool], **job}))
    command = [python_of(tool, options), str(PROCESS), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=ENVIRONMENT)
    if done.returncode:
        sys.exit(f"{PROCESS.name} failed:\n{done.stderr[-2000:]}")
    with np.load(folder / "result.npz", allow_pickle=False) as result:
        return result["counts"], result["outputs"]


def run_ours(network, frames, y=None):
    """Return spikes (images, layers) and outputs (images, outputs) of a network here."""
    counts, outputs = [], []
    for start in range(0, len(frames), 20):
        recording = snc.record(network, frames[start : start + 20], n_steps=frames.shape[1])
        counts.append(np.stack([recording.spikes[name].sum(axis=(1, 2)) for name in network.model.neurons], axis=1))
        outputs.append(recording.output.sum(axis=1))
    return np.concatenate(counts), np.concatenate(outputs)


def compared(ours, theirs, y=None):
    """Return spikes and accuracies of both sides, and how far they differ."""
    (own, own_outputs), (other, other_outputs) = ours, theirs
    result = {
        "spikes": [int(own.sum()), int(other.sum())],
        "layers_of_images": int(own.size),
        "different": int(np.sum(own != other)),
        "output_error": float(np.abs(own_outputs - other_outputs).max() / np.abs(other_outputs).max()),
        "same_class": float(np.mean(own_outputs.argmax(axis=1) == other_outputs.argmax(axis=1))),
    }
    if y is not None:
        result["accuracy"] = [float(np.mean(found.argmax(axis=1) == y)) for found in (own_outputs, other_outputs)]
    return result


def round_trips(digits, events, options):
    """Return the differences of our networks after writing and reading: {title: result}."""
    cifar = snc.load_dataset("cifar-10", train=500, test=min(options.images, 20))
    rates = snc.normalize(snc.convert(snc.pretrained("resnet14-cifar10")), cifar.x_train)
    n = options.images
    made = {
        "diehl-mnist, IF": (snc.to_spiking(diehl(digits, options)), digits.x_test[:n], digits.y_test[:n], 32),
        "surrogate-nmnist, LIF": (
            recorded(events, options),
            snc.EventFrames(events.test[:n], 8).batch(slice(None)),
            events.test.labels[:n],
            8,
        ),
        "resnet14-cifar10, IF": (snc.to_spiking(rates), cifar.x_test, cifar.y_test, 32),
    }
    found = {}
    for title, (network, x, y, n_steps) in made.items():
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "network.nir"
            snc.write_nir(network, path)
            read, size = snc.read_nir(path, seed=network.settings.seed), path.stat().st_size
        frames = as_frames(x, n_steps)
        found[title] = compared(run_ours(network, frames), run_ours(read, frames), y) | {"bytes": size}
        print(title, found[title], flush=True)
    return found


def losses(digits, options):
    """Return what a network with reset by subtraction loses in a simulator that follows NIR."""
    network = snc.to_spiking(diehl(digits, options))
    return snc.nir_losses(network, digits.x_test[: options.images], n_steps=32).to_dict()


def table(results):
    """Return the tables as Markdown."""
    versions = ", ".join(
        f"{PACKAGES[name]} {found[0]} (nir {found[1]})" for name, found in results["versions"].items() if found
    )
    columns = ["spikes here", "spikes there", "equal counts", "accuracy here", "there", "remark"]
    rows = {}
    for key, result in results["read"].items():
        title, tool = key.rsplit(", ", 1)
        network = "surrogate-nmnist" if title == "LIF" else "diehl-mnist"
        remark = EXPLAINED.get((title, tool), "")
        if title == "IF of sinabs":
            remark = "the same file, beside our neurons with `max_spikes=inf, min_potential=-1`"
        accuracies = [f"{100 * value:.0f} %" for value in result["accuracy"]]
        rows[f"{network}, {title}, in {PACKAGES[tool]}"] = [*counts(result), *accuracies, remark]
    lines = [
        f"Our files in other simulators: {versions}, on {results['images']} test images or recordings. Equal counts: "
        "pairs of a layer and an image with equally many spikes.",
        "",
        *table_lines(columns, rows),
        "",
        "Files of other simulators here: networks of three layers with random weights, written by the tool, on random "
        "frames:",
        "",
    ]
    rows = {}
    for key, result in results["written"].items():
        tool, kind = key.split(", ")
        remark = "sinabs spikes several times in a step" if tool == "sinabs" else ""
        if tool == "norse":
            remark = f"relative error of the outputs of LI, summed over time: {result['output_error']:.0e}"
        rows[f"{kind} of {PACKAGES[tool]}"] = [*counts(result), remark]
        if tool == "sinabs":
            again = counts(result["several_spikes"])
            rows[f"{kind} of {PACKAGES[tool]}, `max_spikes=inf`"] = [*again, ""]
    lines += [*table_lines(["spikes here", "spikes there", "equal counts", "remark"], rows), ""]
    lines += ["Our networks, written and read again:", ""]
    rows = {
        title: [*counts(result), f"{result['bytes'] / 1e6:.1f} MB"] for title, result in results["round_trips"].items()
    }
    lines += [*table_lines(["spikes before", "after", "equal counts", "file"], rows), ""]
    lines += [
        f"What diehl-mnist with `IntegrateAndFire()` loses in a simulator that follows NIR (`nir_losses`, "
        f"{results['images']} images, 32 steps):",
        "",
    ]
    rows = {
        loss["lost"]: [f"{100 * loss['score_error']:.1f} %", f"{loss['spike_error']}", f"{loss['changed']}"]
        for loss in results["losses"]["losses"]
    }
    lines += table_lines(["largest error of a score", "of a spike count", "images of another class"], rows)
    return "\n".join(lines)


def counts(result):
    equal = result["layers_of_images"] - result["different"]
    return [f"{n:,}" for n in result["spikes"]] + [f"{equal:,} of {result['layers_of_images']:,}"]


if __name__ == "__main__":
    main()
