"""Other tools beside this package: one CNN, its weights and images, made to spike by each of them.

    python benchmarks/other_tools.py --python PATH --sinabs-python PATH

needs two environments with PyTorch:

    pip install spikingjelly snntorch norse    (--python)
    pip install sinabs                         (--sinabs-python)

The CNN is the preset diehl-mnist, trained for a few epochs on the digits of the package.  Each tool runs in a process
of its own; other_tools_process.py runs in those with PyTorch.  A tool that is missing is left out.  Tools with a
converter get the CNN; for the others, layers of neurons are built by hand, with weights that ``snc.normalize`` scaled.
Takes a few minutes; times need idle cores.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

import nengo
import numpy as np
from nir_exchange import ENVIRONMENT
from results import ROOT, publish, table_lines

import nengo_snnconv as snc
from nengo_snnconv._util.system_info import versions
from nengo_snnconv.model import layers as specs

PROCESS = pathlib.Path(__file__).with_name("other_tools_process.py")
TOOLS = {"SpikingJelly": "spikingjelly", "sinabs": "sinabs", "snnTorch": "snntorch", "Norse": "norse"}
OURS = {"nengo_snnconv": "nengo-snnconv", "NengoDL": "nengo-dl"}
STEPS = (1, 2, 4, 8, 16, 32)
# points of accuracy that a network may lose to have reached that of the CNN
ALLOWED_LOSS = 0.1
BATCH, REPEATS, CALIBRATION_IMAGES = 100, 3, 1000


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--python", default=sys.executable, help="Python with SpikingJelly, snnTorch and Norse")
    parser.add_argument("--sinabs-python", default=sys.executable, help="Python with sinabs")
    parser.add_argument("--test-images", type=int, default=2000)
    parser.add_argument("--measure", choices=OURS, help=argparse.SUPPRESS)  # argument of the processes with TensorFlow
    parser.add_argument("--folder", type=pathlib.Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        save_runs({"nengo_snnconv": ours, "NengoDL": nengo_dl_converter}[options.measure](options), options.folder)
        return
    results = {"test_images": options.test_images, "steps": STEPS, "load": os.getloadavg()[0], "tools": {}}
    with tempfile.TemporaryDirectory() as folder:
        results["cnn_accuracy"], labels = write_job(pathlib.Path(folder), options)
        for tool in (*OURS, *TOOLS):
            results["tools"][tool] = found = measured(tool, folder, labels, options)
            print(tool, json.dumps(found), flush=True)
    publish("other-tools", table(results), results)


def cnn():
    """Return the trained CNN as a network of rates, from build/ if it is there, and the digits."""
    digits, path = snc.load_dataset("digits"), ROOT / "build" / "diehl-mnist-digits.snn.npz"
    if not path.exists():
        network = snc.build_trainable(snc.preset("diehl-mnist"), nengo.RectifiedLinear())
        settings = {"epochs": 4, "batch_size": 100, "learning_rate": 3e-3, "schedule": "cosine"}
        path.parent.mkdir(exist_ok=True)
        snc.save(snc.train(network, digits.x_train, digits.y_train, **settings), path)
    return snc.convert(snc.load(path)), digits


def write_job(folder, options):
    """Write the CNN and the images for processes with PyTorch; return the accuracy of the CNN, and the labels."""
    network, digits = cnn()
    x, y = digits.x_test[: options.test_images], digits.y_test[: options.test_images]
    scores = np.asarray(snc.rate_model(network)(x))
    scaled = snc.normalize(network, digits.x_train[:CALIBRATION_IMAGES], percentile=99.9)
    layers, arrays = in_pytorch(network.model), {}
    for title, model in (("cnn", network.model), ("scaled", scaled.model)):
        arrays |= {f"{title}/{name}": array for name, array in pytorch_arrays(model).items()}
    images = {"x_test": x, "x_calibration": digits.x_train[:CALIBRATION_IMAGES]}
    arrays |= {name: np.moveaxis(array, -1, 1).copy() for name, array in images.items()}
    np.savez(folder / "arrays.npz", scores=scores, **arrays)
    job = {"layers": layers, "n_steps": max(STEPS), "batch": BATCH, "repeats": REPEATS}
    (folder / "job.json").write_text(json.dumps(job))
    return float(np.mean(scores.argmax(1) == y)), y


def in_pytorch(model):
    """Return the layers of a model for ``other_tools_process.py``: [kind, name, arguments]."""
    found = []
    for layer in list(model.layers.values())[1:]:
        if isinstance(layer, specs.Conv):
            channels = model.shapes[layer.inputs[0]][-1]
            found.append(["Conv2d", layer.name, [channels, layer.filters, layer.kernel_size, layer.strides]])
        elif isinstance(layer, specs.Dense):
            found.append(["Linear", layer.name, [model.size(layer.inputs[0]), layer.units]])
        elif isinstance(layer, specs.AveragePool):
            found.append(["AvgPool2d", layer.name, [layer.pool_size, layer.strides]])
        else:
            kind = {specs.Rectifier: "ReLU", specs.Flatten: "Flatten", specs.Dropout: "Identity"}[type(layer)]
            found.append([kind, layer.name, []])
    return found


def pytorch_arrays(model):
    """Return weights and biases in PyTorch's order, with the channel first: {"layer/weight": array}."""
    arrays, image = {}, None
    for layer in model.layers.values():
        if isinstance(layer, specs.Flatten):
            image = model.shapes[layer.inputs[0]]
        if isinstance(layer, specs.Conv | specs.Dense):
            kernel, bias = model.arrays[f"{layer.name}/kernel"], model.arrays_of(layer.name).get("bias")
            if isinstance(layer, specs.Dense) and image is not None:
                kernel = np.moveaxis(kernel.reshape(*image, -1), 2, 0).reshape(kernel.shape)
                image = None
            weight = np.moveaxis(kernel, (-1, -2), (0, 1))
            arrays[f"{layer.name}/weight"] = np.ascontiguousarray(weight, np.float32)
            outputs = kernel.shape[-1]
            arrays[f"{layer.name}/bias"] = np.zeros(outputs, np.float32) if bias is None else bias
    return arrays


def measured(tool, folder, labels, options):
    """Run a tool in a process; return its version and, for each way of conversion, accuracies and time."""
    folder = pathlib.Path(folder)
    if tool in OURS:
        command = [sys.executable, __file__, "--measure", tool, "--folder", folder]
        command += ["--test-images", str(options.test_images)]
        version, environment = versions((OURS[tool],)).get(OURS[tool]), os.environ
    else:
        python = options.sinabs_python if tool == "sinabs" else options.python
        code = f"import importlib.metadata as m; print(m.version({TOOLS[tool]!r}))"
        asked = subprocess.run([python, "-c", code], capture_output=True, text=True, check=False, env=ENVIRONMENT)
        if asked.returncode:
            print(f"{tool} is missing: left out", flush=True)
            return None
        version, environment = asked.stdout.strip(), ENVIRONMENT
        command = [python, str(PROCESS), folder, TOOLS[tool]]
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        sys.exit(f"{tool} failed:\n{done.stderr[-3000:]}")
    with np.load(folder / "result.npz", allow_pickle=False) as found:
        seconds = found["seconds"]
        runs = {name: found[name] for name in found.files if name != "seconds"}
    ways = {}
    for (title, classes), time_taken in zip(runs.items(), seconds, strict=True):
        accuracies = {n: float(np.mean(classes[:, n - 1] == labels)) for n in STEPS}
        ways[title] = {"accuracy": accuracies, "microseconds": 1e6 * time_taken / (BATCH * max(STEPS))}
    return {"version": version, "ways": ways}


def save_runs(runs, folder):
    """Write {title: (classes after each step, seconds)} as ``other_tools_process.py`` does."""
    np.savez(
        folder / "result.npz",
        seconds=[seconds for _, seconds in runs.values()],
        **{title: classes for title, (classes, _) in runs.items()},
    )


def seconds_of(run):
    """Return the median time of a function that simulates a batch, without its first run, which compiles."""
    times = []
    for _ in range(REPEATS + 1):
        started = time.perf_counter()
        run()
        times.append(time.perf_counter() - started)
    return float(np.median(times[1:]))


def classes_of(outputs):
    """Return the class with the largest sum of scores after each step, for (images, steps, classes)."""
    return np.cumsum(outputs, axis=1).argmax(axis=2)


def ours(options):
    """Convert and simulate with this package."""
    network, digits = cnn()
    x, calibration = digits.x_test[: options.test_images], digits.x_train[:CALIBRATION_IMAGES]

    def outputs(snn, images, n_steps):
        with snc.Simulator(snn, minibatch_size=len(images), progress_bar=False) as simulator:
            simulator.run_steps(n_steps, data={snn.input: images})
            return simulator.data[snn.probes["output"]]

    def all_outputs(snn, n_steps):
        return np.concatenate([outputs(snn, x[i : i + BATCH], n_steps) for i in range(0, len(x), BATCH)])

    percentile = snc.to_spiking(snc.normalize(network, calibration, percentile=99.9))
    balanced, several = np.zeros((2, len(x), max(STEPS)), int)
    for n in STEPS:
        scaled = snc.normalize(network, calibration, method="balance", n_steps=n)
        snn, calibrated = snc.to_spiking(scaled), snc.to_spiking(scaled, snc.IntegrateAndFire(max_spikes=4))
        calibrated = snc.calibrate(calibrated, calibration, n_steps=n, progress=False)
        for found, each in ((balanced, snn), (several, calibrated)):
            found[:, n - 1] = classes_of(all_outputs(each, n))[:, -1]
    networks = (percentile, snn, calibrated)
    seconds = [seconds_of(lambda snn=each: outputs(snn, x[:BATCH], max(STEPS))) for each in networks]
    return {
        "converted, 99.9th percentile": (classes_of(all_outputs(percentile, max(STEPS))), seconds[0]),
        "converted, balanced for the steps": (balanced, seconds[1]),
        "the same, calibrated, up to 4 spikes a step": (several, seconds[2]),
    }


def nengo_dl_converter(options):
    """Convert by NengoDL's Converter, as it is, and with one spike in a step for activations of 1."""
    from contenders import keras_model

    from nengo_snnconv.compat import nengo_dl, tf

    network, digits = cnn()
    x = digits.x_test[: options.test_images]
    keras, found = keras_model(network.model), {}
    shown = np.repeat(x.reshape(len(x), 1, -1), max(STEPS), axis=1)
    for scale in (1, 1000):
        swap = {tf.nn.relu: nengo.SpikingRectifiedLinear()}
        converter = nengo_dl.Converter(keras, swap_activations=swap, scale_firing_rates=scale)
        node, probe = converter.inputs[keras.input], converter.outputs[keras.output]
        with nengo_dl.Simulator(converter.net, minibatch_size=BATCH, progress_bar=False) as simulator:

            def outputs(part, simulator=simulator, node=node, probe=probe):
                return simulator.predict_on_batch({node: part}, n_steps=max(STEPS), stateful=False)[probe]

            classes = classes_of(np.concatenate([outputs(shown[i : i + BATCH]) for i in range(0, len(x), BATCH)]))
            seconds = seconds_of(lambda outputs=outputs: outputs(shown[:BATCH]))
        found[f"converted, `scale_firing_rates={scale}`"] = classes, seconds
    return found


def steps_to(accuracies, cnn_accuracy):
    """Return the first number of steps from which on the accuracy is as good as that of the CNN; None if none is."""
    good = [accuracies[n] >= cnn_accuracy - ALLOWED_LOSS / 100 - 1e-9 for n in STEPS]
    return next((n for i, n in enumerate(STEPS) if all(good[i:])), None)


def table(results):
    """Return the table of tools as Markdown."""
    rows = {}
    for tool, found in results["tools"].items():
        for title, way in (found or {"ways": {}})["ways"].items():
            reached = steps_to(way["accuracy"], results["cnn_accuracy"])
            cells = [f"{100 * way['accuracy'][n]:.1f} %" for n in STEPS] + [f"{way['microseconds']:.1f}"]
            rows[f"{tool} {found['version']}: {title}"] = [
                *cells,
                f"{reached * way['microseconds']:.0f} ({reached})" if reached else "not reached",
            ]
    columns = [*(f"{n} step{'s' * (n > 1)}" for n in STEPS), "μs per image and step", "μs per image (steps)"]
    text = (
        f"Accuracy on {results['test_images']:,} test images; that of the CNN is {100 * results['cnn_accuracy']:.1f} %."
        f" Times are those of {BATCH} images and {max(STEPS)} steps together, on all cores. The last column is the "
        f"time for the steps from which on the accuracy is that of the CNN less at most {ALLOWED_LOSS} points."
    )
    if results["load"] > 0.5:
        text += (
            f" **Other programs used the machine during this run** (load average {results['load']:.1f} before it), so "
            "the times are rough."
        )
    return "\n".join([text, "", *table_lines(columns, rows)])


if __name__ == "__main__":
    main()
