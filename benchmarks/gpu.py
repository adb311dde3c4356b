"""Speed of simulators on the GPU at hand, or on the CPU if there is none: the same weights and images for all.

    python benchmarks/gpu.py --spikingjelly ~/jelly/bin/python

publishes a table that names the device.  Each simulator runs in a process of its own.  SpikingJelly is left out without
``--spikingjelly``, the Python of an environment with PyTorch and SpikingJelly.  Networks come from the package and from
build/, as for simulators.py; the ResNet-50 has random weights and random images of 224 x 224 pixels.
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

import numpy as np
from own_processes import ask, contender
from results import publish, table_lines
from spikingjelly_conversion import versions_of

import nengo_snnconv as snc

DT = 0.001
JELLY = pathlib.Path(__file__).with_name("spikingjelly_speed.py")


@dataclasses.dataclass(frozen=True)
class Size:
    """Size of the measurement of a network.

    Attributes
    ----------
    images : int
    batches : tuple of int
        Numbers of images that are simulated together; the fastest counts.
    steps : int
    """

    images: int
    batches: tuple
    steps: int = 30


NETWORKS = {
    "lif-mnist": Size(1000, (200, 1000)),
    "diehl-mnist": Size(1000, (200, 1000)),
    "airbench-cifar10": Size(200, (50, 200)),
    "resnet-50": Size(16, (4, 16)),
}
FAST, TENSORFLOW, NENGO_DL, SPIKINGJELLY = "fast", "tensorflow", "NengoDL", "SpikingJelly"


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    parser.add_argument("--images", type=int, help="number of images, all simulated together")
    parser.add_argument("--steps", type=int, help="number of steps for each image")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--image-size", type=int, default=224, help="height and width of the images of the ResNet-50")
    parser.add_argument("--memory-mb", type=float, default=8000, help="memory that the back ends of snc may take")
    parser.add_argument("--spikingjelly", metavar="PYTHON", help="Python of an environment with SpikingJelly")
    parser.add_argument("--no-publication", action="store_true")
    parser.add_argument("--job", help=argparse.SUPPRESS)  # argument of the processes of this script
    options = parser.parse_args()
    if options.job:
        job = json.loads(options.job)
        print(json.dumps({"prepare": prepare, "measure": measure}[job.pop("do")](**job)))
        return
    versions = versions_of(options.spikingjelly) if options.spikingjelly else None
    if options.spikingjelly and versions is None:
        sys.exit(f"{options.spikingjelly} has no PyTorch and SpikingJelly: name another one, or none")
    found = {name: measure_network(name, sized(NETWORKS[name], options), options) for name in options.networks}
    text = table(found, versions)
    print(text)
    if not options.no_publication:
        publish("gpu", text, {"networks": found, "spikingjelly": versions})


def sized(size, options):
    """Return a Size with the numbers that the command line gives."""
    changes = {"images": options.images, "batches": options.images and (options.images,), "steps": options.steps}
    return dataclasses.replace(size, **{name: value for name, value in changes.items() if value})


def measure_network(name, size, options):
    """Return facts about a network, and the result of each simulator, {name: dict}."""
    with tempfile.TemporaryDirectory() as folder:
        facts = own_process(
            do="prepare", name=name, folder=folder, images=size.images, steps=size.steps, image_size=options.image_size
        )
        results = {}
        for contender in (FAST, TENSORFLOW, NENGO_DL, *([SPIKINGJELLY] if options.spikingjelly else [])):
            results[contender] = fastest(contender, folder, size, options)
            print(f"{name}, {contender}: {results[contender]}", flush=True)
    return {**facts, **dataclasses.asdict(size), "simulators": results}


def fastest(name, folder, size, options):
    """Return the result of a simulator with its fastest batch size; an error if it fails with all of them."""
    found = []
    for batch in size.batches:
        try:
            if name == SPIKINGJELLY:
                result = in_spikingjelly(folder, batch, size, options)
            else:
                arguments = {"folder": folder, "batch": batch, "steps": size.steps, "repeats": options.repeats}
                result = own_process(do="measure", contender=name, memory_mb=options.memory_mb, **arguments)
        except (subprocess.CalledProcessError, EOFError) as error:
            messages = str(getattr(error, "stderr", error)).strip().splitlines()
            found.append({"error": messages[-1][:200], "seconds": np.inf})
            continue
        found.append({**result, "batch": batch, "microseconds": 1e6 * result["seconds"] / (size.images * size.steps)})
    best = min(found, key=lambda result: result["seconds"])
    return {"error": best["error"]} if "error" in best else best


def in_spikingjelly(folder, batch, size, options):
    """Return the result of SpikingJelly, as :func:`measure` does for the others."""
    command = [options.spikingjelly, str(JELLY), folder]
    job = {"batch": batch, "steps": size.steps, "n_images": size.images}
    with contender(command, pathlib.Path(folder) / "spikingjelly.log") as process:
        results = [ask(process, job) for _ in range(options.repeats)]
    seconds = statistics.median(result["seconds"] for result in results)
    return {key: results[-1][key] for key in ("device", "first_seconds", "accuracy")} | {"seconds": seconds}


def own_process(**job):
    """Run a job of this script in a process of its own, and return its result."""
    return run([sys.executable, __file__, "--job", json.dumps(job)])


def run(command):
    """Return what a command prints as the last line, in JSON."""
    # TensorFlow would otherwise take all memory of a GPU
    environment = {**os.environ, "TF_FORCE_GPU_ALLOW_GROWTH": "true"}
    found = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    return json.loads(found.stdout.splitlines()[-1])


# in processes of their own


def prepare(name, folder, images, steps, image_size):
    """Write a spiking network and images for all simulators into a folder; return facts about the network."""
    from contenders import Case, write_for_pytorch

    from nengo_snnconv.model import connectivity

    network, x, y = spiking_network(name, images, image_size)
    folder, model = pathlib.Path(folder), network.model
    snc.save(network, folder / "network.snn.npz")
    np.savez(folder / "images.npz", x=x, y=y)
    write_for_pytorch(Case(network), folder)
    counted = snc.evaluate(network, x[:4], y[:4], n_steps=steps)
    return {
        "neurons": sum(map(model.size, model.neurons)),
        "products": sum(connectivity.multiply_accumulates(model).values()),
        "spikes_per_neuron_and_step": counted.spikes_per_neuron / steps,
    }


def spiking_network(name, n_images, image_size):
    """Return a spiking network and images with their classes."""
    if name in ("lif-mnist", "diehl-mnist"):
        import simulators

        data = snc.load_dataset("digits")
        network = simulators.networks(data)[simulators.LIF if name == "lif-mnist" else simulators.CONSTANT]
        repeated = np.arange(n_images) % len(data.x_test)
        return network, data.x_test[repeated], data.y_test[repeated]
    if name == "airbench-cifar10":
        data = snc.load_dataset("cifar-10", test=n_images)
        return spiking(snc.pretrained(name), data.x_train[:200]), data.x_test, data.y_test
    from nengo_snnconv.compat import tf

    tf.keras.utils.set_random_seed(0)
    keras = tf.keras.applications.ResNet50(weights=None, input_shape=(image_size, image_size, 3))
    x = np.random.default_rng(0).random((n_images, image_size, image_size, 3), dtype=np.float32)
    return spiking(keras, x[:4]), x, np.zeros(n_images, int)


def spiking(keras, x_calibration):
    return snc.to_spiking(snc.normalize(snc.convert(keras), x_calibration))


def measure(contender, folder, batch, steps, repeats, memory_mb):
    """Return device, seconds of a run, seconds of the first one with building, and the accuracy of a simulator."""
    folder = pathlib.Path(folder)
    network, images = snc.load(folder / "network.snn.npz"), np.load(folder / "images.npz")
    x, y = images["x"], images["y"]
    started = time.perf_counter()
    simulate = in_nengo_dl if contender == NENGO_DL else in_back_end
    with simulate(contender, network, x, min(batch, len(x)), steps, memory_mb) as simulation:
        simulation()
        first, times = time.perf_counter() - started, []
        for _ in range(repeats):
            started = time.perf_counter()
            scores = simulation()
            times.append(time.perf_counter() - started)
    correct = float(np.mean(scores.mean(axis=1).argmax(axis=-1) == y))
    return {
        "device": device_of(contender),
        "seconds": statistics.median(times),
        "first_seconds": first,
        "accuracy": correct,
    }


@contextlib.contextmanager
def in_back_end(backend, network, x, batch, steps, memory_mb):
    from nengo_snnconv.evaluation.backends import open_backend

    # scores only: no layer is counted
    simulator = open_backend(backend, network, (), batch, DT, hints={"counted": {}, "memory_mb": memory_mb})
    flat = x.reshape(len(x), 1, -1)

    def scores(begin):
        simulator.start(flat[begin : begin + batch], 0)
        return simulator.run(steps)["output"]

    yield lambda: np.concatenate([scores(begin) for begin in range(0, len(x), batch)])
    simulator.close()


def in_nengo_dl(_, network, x, batch, steps, memory_mb):
    from contenders import Case, nengo_dl_layers

    return nengo_dl_layers(Case(network), x, batch, steps)


def device_of(contender):
    """Return the name of the device that a simulator of this package or NengoDL runs on."""
    from nengo_snnconv._util.system_info import n_cores, processor
    from nengo_snnconv.compat import tf

    gpus = [] if contender == FAST else tf.config.list_physical_devices("GPU")
    if gpus:
        return tf.config.experimental.get_device_details(gpus[0]).get("device_name", gpus[0].name)
    return f"{n_cores()} cores of {processor()}"


# text


def table(found, versions):
    """Return the results as Markdown."""
    devices = {row["device"] for facts in found.values() for row in facts["simulators"].values() if "device" in row}
    jelly = f"; SpikingJelly {versions['spikingjelly']} on PyTorch {versions['torch']}" if versions else ""
    lines = [
        f"Microseconds per image and step on {' and '.join(sorted(devices))}{jelly}. Each simulator returns the class "
        "scores of all steps, with the fastest of the given batch sizes; seconds in brackets are those of the first "
        "run, with building and compiling.",
        "",
    ]
    columns = list(dict.fromkeys(name for facts in found.values() for name in facts["simulators"]))
    rows = {}
    for name, facts in found.items():
        size = f"{facts['neurons'] / 1e3:,.0f} thousand neurons, {facts['products'] / 1e6:,.0f} million products"
        activity = f"{facts['spikes_per_neuron_and_step']:.2f} spikes a neuron and step"
        title = f"{name}: {size}, {activity}; {facts['images']:,} images, {facts['steps']} steps"
        rows[title] = [cell(facts["simulators"].get(column)) for column in columns]
    lines += table_lines(columns, rows)
    lines += ["", "*fast* always runs on the CPU; the others run on the GPU if there is one."]
    return "\n".join(lines)


def cell(row):
    if row is None:
        return ""
    if "error" in row:
        return f"failed: {row['error']}"
    return f"{row['microseconds']:,.1f} (batch {row['batch']:,}; {row['first_seconds']:.0f} s)"


if __name__ == "__main__":
    main()
