"""Training through time beside SpikingJelly: the same layers, weights and batches, milliseconds of a training step.

    python benchmarks/training_through_time.py --python PATH

PATH is the Python of an environment with PyTorch and SpikingJelly (pip install torch spikingjelly), by default that of
this process; spikingjelly_training.py runs in it.  Each contender has a process of its own.  They take turns of a few
steps on the same cores, so that other programs slow down all of them.  Results of each number of steps are kept in
build/, so an interrupted run continues.
"""

import argparse
import contextlib
import json
import pathlib
import statistics
import sys
import tempfile
import time

import numpy as np
from own_processes import ask, contender
from results import ROOT, publish, table_lines
from spikingjelly_conversion import versions_of

import nengo_snnconv as snc
from nengo_snnconv._util.atomic import atomic_write
from nengo_snnconv.compat import tf
from nengo_snnconv.model import layers as specs
from nengo_snnconv.passes.drop_dropout import drop_dropout
from nengo_snnconv.training.losses import FiringRateError
from nengo_snnconv.training.optimizers import copy_optimizer
from nengo_snnconv.training.precision import PRECISIONS, products_in
from nengo_snnconv.training.trainers import KerasTrainer

BATCH_SIZE, N_BATCHES = 50, 4
KEPT = ROOT / "build" / "training-through-time.json"
PROCESS = pathlib.Path(__file__).with_name("spikingjelly_training.py")
OURS = {"nengo_snnconv, float32": "float32", "nengo_snnconv, bfloat16": "bfloat16"}
THEIRS = {
    "SpikingJelly, float32": "multi-step",
    "SpikingJelly, float32, channels last": "multi-step, channels last",
    "SpikingJelly, bfloat16": "multi-step, bfloat16",
    "SpikingJelly, float32, torch.compile": "multi-step, compiled",
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--python", default=sys.executable, help="Python of an environment with PyTorch, SpikingJelly")
    parser.add_argument("--steps", type=int, nargs="+", default=[4, 8, 16], help="numbers of time steps")
    parser.add_argument("--turns", type=int, default=10, help="turns of each contender")
    parser.add_argument("--restart", action="store_true", help="ignore intermediate results")
    parser.add_argument("--train", nargs=2, metavar=("FOLDER", "PRECISION"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.train:
        serve(pathlib.Path(options.train[0]), options.train[1])
        return
    versions = versions_of(options.python)
    if versions is None:
        print(f"skipped: {options.python} has no PyTorch and SpikingJelly; name one that does by --python")
        return
    kept = json.loads(KEPT.read_text()) if KEPT.exists() and not options.restart else {}
    for n_steps in options.steps:
        if str(n_steps) not in kept:
            kept[str(n_steps)] = measure(n_steps, options)
            KEPT.parent.mkdir(exist_ok=True)
            with atomic_write(KEPT, "w") as file:
                json.dump(kept, file)
    results = {n_steps: kept[str(n_steps)] for n_steps in options.steps}
    publish("training-through-time", table(results, versions), {"versions": versions, "steps": results})


def spiking_network():
    """Return the network of the preset "surrogate-nmnist"; without dropout, which is random."""
    model = snc.build_trainable(snc.preset("surrogate-nmnist", (34, 34, 2)), snc.SurrogateLIF()).model
    return snc.build_trainable(drop_dropout(model), snc.SurrogateLIF(), output_neurons=True)


def write_problem(folder, n_steps):
    """Write weights, and batches of frames of simulated recordings."""
    model = spiking_network().model
    np.savez(folder / "network.npz", **model.arrays)
    strides = {name: layer.strides for name, layer in model.layers.items() if isinstance(layer, specs.Conv)}
    (folder / "strides.json").write_text(json.dumps(strides))
    digits, n = snc.load_dataset("digits"), BATCH_SIZE * N_BATCHES
    recordings = snc.simulate_recordings(digits.x_train[:n], digits.y_train[:n])
    frames = recordings.frames(n_steps)
    y = np.reshape(recordings.labels, (N_BATCHES, BATCH_SIZE)).astype(np.int64)
    np.savez(folder / "batches.npz", x=frames.reshape(N_BATCHES, BATCH_SIZE, *frames.shape[1:]), y=y)


class Batches(tf.keras.utils.Sequence):
    """As many batches as the next turn has steps."""

    def __init__(self, path):
        arrays = np.load(path, allow_pickle=False)
        self.x, self.y, self.done, self.n = arrays["x"], arrays["y"], 0, 0

    def __len__(self):
        return self.n

    def __getitem__(self, number):
        batch = (self.done + number) % N_BATCHES
        return self.x[batch], self.y[batch]


def serve(folder, precision):
    """Train as ``train`` does, in the way of spikingjelly_training.py."""
    assert precision in PRECISIONS
    batches = Batches(folder / "batches.npz")
    with products_in(precision):
        trainer = KerasTrainer(
            spiking_network(), copy_optimizer(None), FiringRateError(), BATCH_SIZE, n_steps=batches.x.shape[2]
        )
        print(json.dumps(first_gradients(trainer, *batches[0])), flush=True)
        for line in sys.stdin:
            batches.n = int(line)
            seconds, processor = time.perf_counter(), time.process_time()
            trainer.fit(batches, None, [])
            result = {"seconds": time.perf_counter() - seconds, "processor": time.process_time() - processor}
            batches.done += batches.n
            print(json.dumps(result), flush=True)


def first_gradients(trainer, x, y):
    """Return the loss and the norms of the gradients of kernels and biases, before any step."""

    @tf.function
    def gradients():
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(FiringRateError()(y, trainer.keras(x, training=True)))
        return loss, [tf.norm(g) for g in tape.gradient(loss, trainer.keras.trainable_weights)]

    loss, norms = gradients()
    return {"loss": float(loss), "norms": [float(norm) for norm in norms]}


def measure(n_steps, options):
    """Let the contenders train in turns; return their results, {name: result}."""
    here = [sys.executable, __file__]
    found = {}
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        folder = pathlib.Path(folder)
        write_problem(folder, n_steps)
        commands = {name: [*here, "--train", str(folder), precision] for name, precision in OURS.items()}
        commands |= {name: [options.python, str(PROCESS), str(folder), variant] for name, variant in THEIRS.items()}
        processes = {}
        for name, command in commands.items():
            process = stack.enter_context(contender(command, folder / f"{len(processes)}.log"))
            with contextlib.suppress(EOFError):  # torch.compile needs a compiler
                found[name] = {**ask(process), "turns": []}
                ask(process, 3)
                processes[name] = process
        steps_of_turn = max(1, 48 // n_steps)
        for _ in range(options.turns):
            for name, process in processes.items():
                result = ask(process, steps_of_turn)
                found[name]["turns"].append([1000 * result[key] / steps_of_turn for key in ("seconds", "processor")])
    found = {name: summary(result) for name, result in found.items() if result["turns"]}
    for name, result in found.items():
        print(n_steps, name, {key: value for key, value in result.items() if key != "turns"}, flush=True)
    check_same(found)
    return found


def summary(result):
    """Add medians of the milliseconds of a step to a result: of the clock, and of all processors together."""
    seconds, processor = zip(*result["turns"], strict=True)
    return {
        **result,
        "ms": statistics.median(seconds),
        "least_ms": min(seconds),
        "cpu_ms": statistics.median(processor),
    }


def check_same(found):
    """Stop if losses and gradients of the first step differ in float32."""
    exact = [result for name, result in found.items() if "float32" in name]
    for key in ("loss", "norms"):
        values = np.array([result[key] for result in exact])
        if not np.allclose(values, values[0], rtol=0.01):
            sys.exit(f"the contenders do not compute the same {key}: {values.tolist()}")


def fastest(found, prefix):
    return min((name for name in found if name.startswith(prefix)), key=lambda name: found[name]["ms"])


def ratio(found, theirs, ours):
    """Return how many times as long a contender takes as ours, by the clock and in processor time."""
    by_clock, processor = (found[theirs][key] / found[ours][key] for key in ("ms", "cpu_ms"))
    return f"{by_clock:.1f} ({processor:.1f})"


def table(results, versions):
    columns = [f"{n_steps} steps" for n_steps in results]
    rows = {}
    for name in [*OURS, *THEIRS]:
        cells = [results[n].get(name) for n in results]
        if any(cells):
            rows[name] = [f"{c['ms']:.0f} ({c['cpu_ms']:.0f})" if c else "" for c in cells]
    rows["SpikingJelly / nengo_snnconv, both float32"] = [
        ratio(found, "SpikingJelly, float32", "nengo_snnconv, float32") for found in results.values()
    ]
    for name in OURS:
        cells = [ratio(found, fastest(found, "SpikingJelly"), name) for found in results.values()]
        rows[f"fastest SpikingJelly / {name}"] = cells
    largest = max(largest_difference(found) for found in results.values())
    text = f"""
Milliseconds of a training step of {BATCH_SIZE} simulated recordings, medians; in brackets those of the processor time
of all cores together, which depends less on other programs. SpikingJelly {versions["spikingjelly"]} on PyTorch
{versions["torch"]}. The losses and the norms of the gradients of the first step differ in float32 by at most
{largest:.0e} of their values.
"""
    return "\n".join([text, *table_lines(columns, rows)])


def largest_difference(found):
    """Return the largest relative difference of the loss and the norms of gradients in float32."""
    values = np.array([[result["loss"], *result["norms"]] for name, result in found.items() if "float32" in name])
    largest = values.max(axis=0)
    return float((np.ptp(values, axis=0)[largest > 0] / largest[largest > 0]).max())


if __name__ == "__main__":
    main()
