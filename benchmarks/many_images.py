"""Evaluations of many images: memory, one and two processes, and time beside the simulation.

    python benchmarks/many_images.py

takes about ten minutes on two cores, and publishes the results.  Ratios of times are medians of pairs that were
measured in turns.  Networks come from build/, as for benchmarks/simulators.py; the package distributed is needed.
"""

import argparse
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile
import threading
import time

import distributed
import numpy as np
from results import publish, table_lines
from simulators import CONSTANT, LIF, networks

import nengo_snnconv as snc
from nengo_snnconv.evaluation import ann
from nengo_snnconv.evaluation.run_counts import count_run
from nengo_snnconv.evaluation.run_options import RunOptions
from nengo_snnconv.inputs import as_inputs

MEMORY_RUNS = ((1000, 4), (10_000, 4), (100_000, 4), (10_000, 64))
# back end, images, steps and minibatch of the runs on one and two processes
DASK_RUN = {"backend": "fast", "n_steps": 200, "shards": 8}
NENGO_RUN = {"backend": "nengo", "n_steps": 30}


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="tiny run without publication")
    parser.add_argument("--measure", help=argparse.SUPPRESS)  # argument of the processes that measure memory
    arguments = parser.parse_args()
    if arguments.measure:
        print(json.dumps(memory_of(**json.loads(arguments.measure))))
        return
    quick, data = arguments.quick, snc.load_dataset("digits")
    chosen = networks(data)
    found = {
        "memory": memory(chosen[CONSTANT], MEMORY_RUNS[:1] if quick else MEMORY_RUNS),
        "one_step": one_step(chosen, data, *((200, 2) if quick else (2000, 7))),
        "processes": processes(chosen[CONSTANT], data, *((400, 8, 1) if quick else (2000, 1000, 5))),
    }
    text = table(found)
    print(text)
    if not quick:
        publish("many-images", text, found)


def tell(*what):
    """Show progress."""
    print(*what, flush=True)


# memory


def memory(network, runs):
    """Return the memory of evaluations, each in a process of its own: a list of dicts."""
    found = []
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "network.snn.npz"
        snc.save(network, path)
        for images, n_steps in runs:
            job = json.dumps({"path": str(path), "images": images, "n_steps": n_steps})
            command = [sys.executable, __file__, "--measure", job]
            output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
            found.append({"images": images, "n_steps": n_steps, **json.loads(output.splitlines()[-1])})
            tell("memory", found[-1])
    return found


def memory_of(path, images, n_steps):
    """Return the memory of this process before an evaluation, its peak, and the size of the results, in MB.

    The images are those of the digits, repeated, in a memory-mapped file, whose pages are not counted.
    """
    network, data = snc.load(path), snc.load_dataset("digits")
    repeats = -(-images // len(data.x_test))
    y = np.tile(data.y_test, repeats)[:images]
    file = pathlib.Path(path).with_suffix(f".{images}.npy")
    x = np.lib.format.open_memmap(file, "w+", np.float16, (images, *data.x_test.shape[1:]))
    for start in range(0, images, len(data.x_test)):
        x[start : start + len(data.x_test)] = data.x_test[: images - start]
    x.flush()
    x = np.load(file, mmap_mode="r")
    snc.evaluate(network, data.x_test[:600], data.y_test[:600], n_steps=n_steps)  # loads and compiles everything
    with PeakMemory() as peak:
        evaluation = snc.evaluate(network, x, y, n_steps=n_steps, progress=False)
    arrays = [value for value in vars(evaluation).values() if isinstance(value, np.ndarray)]
    results = sum(array.nbytes for array in arrays) / 1e6
    return {"before_mb": peak.before, "peak_mb": peak.value, "results_mb": results, "seconds": evaluation.seconds}


class PeakMemory:
    """Measures the peak of the memory that this process has to itself, without files, in MB."""

    def __enter__(self):
        self.before = self.value = self.now()
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self.watch, daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.thread.join()

    def watch(self):
        while not self.ended.wait(0.005):
            self.value = max(self.value, self.now())

    @staticmethod
    def now():
        status = pathlib.Path("/proc/self/status").read_text()
        return int(status.partition("RssAnon:")[2].split()[0]) * 1024 / 1e6


# time


def in_turns(functions, repeats):
    """Return the seconds of functions called in turns, {name: list}, after a turn that does not count."""
    seconds = {name: [] for name in functions}
    for _ in range(repeats + 1):
        for name, function in functions.items():
            started = time.perf_counter()
            function()
            seconds[name].append(time.perf_counter() - started)
    return {name: values[1:] for name, values in seconds.items()}


def ratio(seconds, one, other):
    """Return the median, smallest and largest ratio of the times of two functions, turn by turn."""
    ratios = [a / b for a, b in zip(seconds[one], seconds[other], strict=True)]
    return {"median": statistics.median(ratios), "lowest": min(ratios), "highest": max(ratios)}


def one_step(chosen, data, n_images, repeats):
    """Return the time of evaluate relative to that of its simulation, for one step: {network: dict}."""
    x, y, found = data.x_test[:n_images], data.y_test[:n_images], {}
    for name in (LIF, CONSTANT):
        network = chosen[name]

        def anew(network=network):
            ann._kept.clear()
            snc.evaluate(network, x, y, n_steps=1)

        functions = {
            "simulation": lambda network=network: count_run(network, as_inputs(network.model, x), 1, RunOptions()),
            "other images": anew,
            "same images": lambda network=network: snc.evaluate(network, x, y, n_steps=1),
            "ann=False": lambda network=network: snc.evaluate(network, x, y, n_steps=1, ann=False),
        }
        seconds = in_turns(functions, repeats)
        ratios = {each: ratio(seconds, each, "simulation") for each in list(functions)[1:]}
        found[name] = {"images": n_images, "seconds": seconds, "ratios": ratios}
        tell("one step", name, ratios)
    return found


def processes(network, data, n_dask, n_nengo, repeats):
    """Return how many times faster two processes are than one: {title: dict}."""
    x, y = data.x_test[:n_dask], data.y_test[:n_dask]
    options = {"threads_per_worker": 1, "processes": True, "dashboard_address": ":0", "silence_logs": "CRITICAL"}
    with (
        distributed.LocalCluster(n_workers=1, **options) as one,
        distributed.LocalCluster(n_workers=2, **options) as two,
    ):
        dask = {
            name: lambda cluster=cluster: snc.sweep(network, x, y, dask=cluster.scheduler_address, **DASK_RUN)
            for name, cluster in {"one": one, "two": two}.items()
        }
        seconds = {"sweep on Dask workers": in_turns(dask, repeats)}
    tell(seconds)
    few = {
        name: lambda n_jobs=n_jobs: snc.evaluate(network, x[:n_nengo], y[:n_nengo], n_jobs=n_jobs, **NENGO_RUN)
        for name, n_jobs in {"one": 1, "two": 2}.items()
    }
    seconds["evaluate on nengo's simulator"] = in_turns(few, repeats)
    tell(seconds)
    return {title: {"seconds": pair, "ratio": ratio(pair, "one", "two")} for title, pair in seconds.items()}


# text


def table(found):
    """Return the results as Markdown."""
    rows = {
        f"{run['images']:,} images, {run['n_steps']} steps": [
            f"{run['peak_mb'] - run['before_mb']:.0f} MB",
            f"{run['results_mb']:.1f} MB",
        ]
        for run in found["memory"]
    }
    lines = ["Memory of an evaluation of diehl-mnist, from a memory-mapped array:", ""]
    lines += table_lines(["memory above that before", "of which results"], rows)
    rows = {
        title: [f"{statistics.median(row['seconds']['one']):.0f}", spread(row["ratio"])]
        for title, row in found["processes"].items()
    }
    title = "How many times faster two processes are than one; those of `evaluate` start in this time, too:"
    lines += ["", title, "", *table_lines(["seconds in one", "times (pairs)"], rows)]
    rows = {name: [spread(each) for each in row["ratios"].values()] for name, row in found["one_step"].items()}
    lines += [
        "",
        "Time of `evaluate` for a single step, relative to its simulation: with a pass of the ANN, with its kept "
        "predictions, and without the ANN:",
    ]
    return "\n".join([*lines, "", *table_lines(["other images", "same images again", "`ann=False`"], rows)])


def spread(values):
    return f"{values['median']:.2f} ({values['lowest']:.2f} to {values['highest']:.2f})"


if __name__ == "__main__":
    main()
