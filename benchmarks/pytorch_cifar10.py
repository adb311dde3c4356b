"""A CNN trained in PyTorch on CIFAR-10, converted to spikes from PyTorch, from its files, and from Keras, side by side.

    NENGO_SNNCONV_DATA=DIR python benchmarks/pytorch_cifar10.py

needs PyTorch, the packages onnx and onnxscript, and CIFAR-10 in DIR.  The network is trained once, with a checkpoint
after each epoch.  An ONNX file and a Keras model with the same weights are converted by one command each; the module
and the exported program in memory with the same settings.  Everything is kept in build/, so an interrupted run
continues.
"""

import argparse
import json
import os
import subprocess
import sys

import numpy as np

# waiting OpenMP threads would occupy cores that other programs need
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
import torch
from results import ROOT, publish, table_lines
from torch import nn

import nengo_snnconv as snc
from nengo_snnconv._util.atomic import atomic_write
from nengo_snnconv.plots.figures import BLUE, GREY, ORANGE, Figure

BUILD = ROOT / "build"
CHECKPOINT = BUILD / "pytorch-cifar10.pt"
FILES = {"ONNX file": BUILD / "pytorch-cifar10.onnx", "Keras file": BUILD / "pytorch-cifar10.keras"}
PROGRAM = BUILD / "pytorch-cifar10.pt2"
SHAPE, CLASSES, BATCH = (3, 32, 32), 10, 100
CALIBRATION_IMAGES = 1000
LIVE, EXPORTED = "module in memory", "exported program (`.pt2`)"


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--threads", type=int, default=1, help="threads of PyTorch")
    parser.add_argument("--steps", type=int, default=32)
    parser.add_argument("--test-images", type=int, default=10000)
    parser.add_argument("--restart", action="store_true", help="ignore intermediate results")
    options = parser.parse_args()
    BUILD.mkdir(exist_ok=True)
    torch.set_num_threads(options.threads)
    data = snc.load_dataset("cifar-10", test=options.test_images)
    module = trained(data, options)
    write_files(module)
    scores = scores_of(module, data.x_test)
    results = {
        "versions": {"torch": torch.__version__},
        "epochs": options.epochs,
        "test_images": len(data.x_test),
        "steps": options.steps,
        "parameters": sum(p.numel() for p in module.parameters()),
        "pytorch_accuracy": float(np.mean(scores.argmax(1) == data.y_test)),
        "sources": {},
    }
    for title in (LIVE, EXPORTED, *FILES):
        results["sources"][title] = kept(title, options, lambda: measured(title, module, data, scores, options))  # noqa: B023
        print(title, results["sources"][title], flush=True)
    publish("pytorch-cifar10", table(results), results)
    with atomic_write(ROOT / "docs" / "results" / "pytorch-cifar10.png") as file:
        figure(results).savefig(file, format="png", dpi=100)


def make():
    """Return an untrained network in the manner of VGG, with batch normalization."""

    def block(inside, outside):
        return nn.Conv2d(inside, outside, 3, padding=1, bias=False), nn.BatchNorm2d(outside), nn.ReLU()

    return nn.Sequential(
        *block(3, 24),
        nn.MaxPool2d(2),
        *block(24, 48),
        *block(48, 48),
        nn.MaxPool2d(2),
        *block(48, 96),
        *block(96, 96),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(4 * 4 * 96, CLASSES),
    )


def trained(data, options):
    """Return the trained module, from its checkpoint if there is one."""
    torch.manual_seed(0)
    module = make().to(memory_format=torch.channels_last)
    images, labels = in_torch(data.x_train), torch.tensor(data.y_train, dtype=torch.long)
    batches = len(images) // BATCH
    optimizer = torch.optim.SGD(module.parameters(), 0.1, 0.9, weight_decay=5e-4, nesterov=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.2, options.epochs * batches)
    epoch = 0
    if CHECKPOINT.exists() and not options.restart:
        state = torch.load(CHECKPOINT, weights_only=True)
        if state["epochs"] == options.epochs:
            module.load_state_dict(state["module"])
            optimizer.load_state_dict(state["optimizer"])
            schedule.load_state_dict(state["schedule"])
            epoch = state["epoch"]
    for number in range(epoch, options.epochs):
        torch.manual_seed(number)
        total = 0.0
        module.train()
        for chosen in torch.randperm(len(images)).split(BATCH)[:batches]:
            with torch.autocast("cpu", torch.bfloat16):
                loss = nn.functional.cross_entropy(module(augmented(images[chosen])).float(), labels[chosen])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            total += loss.item()
        print(f"epoch {number + 1} of {options.epochs}: loss {total / batches:.3f}", flush=True)
        parts = {"module": module, "optimizer": optimizer, "schedule": schedule}
        with atomic_write(CHECKPOINT) as file:
            states = {name: part.state_dict() for name, part in parts.items()}
            torch.save({"epochs": options.epochs, "epoch": number + 1, **states}, file)
    return module.eval().to(memory_format=torch.contiguous_format)


def in_torch(images):
    """Return images channels-last as a tensor with the channel first."""
    return torch.tensor(np.moveaxis(images, -1, 1))


def augmented(images):
    """Return a batch, half of it mirrored, and shifted by up to 3 pixels."""
    images = torch.where(torch.rand(len(images), 1, 1, 1) < 0.5, images.flip(-1), images)
    padded = nn.functional.pad(images, (3, 3, 3, 3))
    down, right = torch.randint(0, 7, (2,)).tolist()
    cut = padded[..., down : down + images.shape[-2], right : right + images.shape[-1]]
    return cut.contiguous(memory_format=torch.channels_last)


def scores_of(module, images):
    with torch.no_grad():
        return np.concatenate([module(in_torch(part)).numpy() for part in np.array_split(images, 20)])


def write_files(module):
    """Write the module as an ONNX file, as an exported program, and as a Keras model built by hand."""
    torch.onnx.export(module, torch.zeros(2, *SHAPE), FILES["ONNX file"], dynamo=False)
    torch.export.save(torch.export.export(module, (torch.zeros(2, *SHAPE),)), PROGRAM)
    in_keras(module).save(FILES["Keras file"])


def in_keras(module):
    """Return a Keras model with the layers and weights of the module, built layer by layer."""
    import keras

    layers, weights = [keras.Input((*SHAPE[1:], SHAPE[0]))], []
    for part in module:
        arrays = [array.detach().numpy() for array in (*part.parameters(), *part.buffers())]
        if isinstance(part, nn.Conv2d):
            layers.append(keras.layers.Conv2D(part.out_channels, 3, padding="same", use_bias=False))
            weights.append(np.moveaxis(arrays[0], (0, 1), (-1, -2)))
        elif isinstance(part, nn.BatchNorm2d):
            layers.append(keras.layers.BatchNormalization(epsilon=part.eps))
            weights += arrays[:4]
        elif isinstance(part, nn.ReLU):
            layers.append(keras.layers.ReLU())
        elif isinstance(part, nn.MaxPool2d):
            layers.append(keras.layers.MaxPooling2D(2))
        elif isinstance(part, nn.Flatten):
            layers += [keras.layers.Permute((3, 1, 2)), keras.layers.Flatten()]
        else:
            layers.append(keras.layers.Dense(part.out_features))
            weights += [arrays[0].T, arrays[1]]
    model = keras.Sequential(layers)
    model.set_weights(weights)
    return model


def kept(title, options, measure):
    """Return a result from build/ if it was measured with the same settings; else measure it and keep it."""
    path = BUILD / "pytorch-cifar10.json"
    known = json.loads(path.read_text()) if path.exists() else {}
    settings = [options.epochs, options.steps, options.test_images]
    if options.restart or known.get(title, {}).get("settings") != settings:
        known[title] = {"settings": settings, **measure()}
        with atomic_write(path, "w") as file:
            json.dump(known, file)
    return known[title]


def measured(title, module, data, scores, options):
    """Convert a source to spikes, and return the accuracy after each step and the error of reading it."""
    source = {LIVE: module, EXPORTED: PROGRAM}.get(title, FILES.get(title))
    if title == EXPORTED:
        source = torch.export.load(source)
    network = snc.convert(source, input_shape=SHAPE) if title == LIVE else snc.convert(source)
    found = np.asarray(snc.rate_model(network)(data.x_test[:500]))
    error = float(np.abs(found - scores[:500]).max() / np.abs(scores[:500]).max())
    run = by_command(source, options) if title in FILES else in_memory(network, data, options)
    return {"reading_error": error, **run}


def in_memory(network, data, options):
    """Convert a network to spikes with the settings of the command, and evaluate it."""
    network = snc.normalize(network, data.x_train[:CALIBRATION_IMAGES], method="balance", n_steps=options.steps)
    evaluation = snc.evaluate(snc.to_spiking(network), data.x_test, data.y_test, n_steps=options.steps)
    return _result(evaluation.to_dict())


def by_command(path, options):
    """Convert a file to spikes and evaluate it, by the command convert."""
    found = path.with_suffix(".json")
    command = [sys.executable, "-m", "nengo_snnconv", "convert", str(path), str(path) + ".snn.npz"]
    command += ["--data", "cifar-10", "--method", "balance", "--steps", str(options.steps)]
    command += ["--test-images", str(options.test_images), "--json", str(found)]
    subprocess.run(command, check=True)
    return _result(json.loads(found.read_text()))


def _result(evaluation):
    return {key: evaluation[key] for key in ("accuracy", "ann_accuracy", "spikes_per_neuron", "confusion")}


def table(results):
    """Return the table of sources as Markdown."""
    steps = [n for n in (4, 8, 16, 32, 64) if n <= results["steps"]]
    sources = results["sources"]
    reference = np.array(sources["Keras file"]["confusion"])
    rows = {}
    for title, row in sources.items():
        accuracies = [f"{100 * row['accuracy'][n - 1]:.2f} %" for n in steps]
        moved = int(np.abs(np.array(row["confusion"]) - reference).sum()) // 2
        rows[title] = [
            f"{row['reading_error']:.1e}",
            f"{100 * row['ann_accuracy']:.2f} %",
            *accuracies,
            f"{row['spikes_per_neuron']:.4f}",
            f"{moved}",
        ]
    columns = [
        "error of scores",
        "CNN",
        *(f"{n} steps" for n in steps),
        "spikes per neuron",
        "images of another class than from Keras",
    ]
    text = (
        f"A network of six layers with batch normalization, {results['parameters']:,} parameters, trained for "
        f"{results['epochs']} epochs in PyTorch {results['versions']['torch']}: "
        f"{100 * results['pytorch_accuracy']:.2f} % of {results['test_images']:,} test images there."
    )
    return "\n".join([text, "", *table_lines(columns, rows)])


def figure(results):
    """Return a figure of the accuracy after each step, from PyTorch and from Keras."""
    drawn = Figure(figsize=(7, 3.6), layout="constrained")
    ax, steps = drawn.subplots(), np.arange(1, results["steps"] + 1)
    ax.axhline(100 * results["pytorch_accuracy"], color=GREY, linestyle="--", label="CNN in PyTorch")
    styles = {"lw": 5, "alpha": 0.4, "color": ORANGE}, {"lw": 1.5, "color": BLUE}
    for title, style in zip(("Keras file", LIVE), styles, strict=True):
        accuracy = 100 * np.array(results["sources"][title]["accuracy"])
        ax.plot(steps, accuracy, label=f"spikes, from {'Keras' if title != LIVE else 'PyTorch'}", **style)
    ax.set(xlabel="time steps", ylabel=f"accuracy on {results['test_images']:,} images (%)", xlim=(1, steps[-1]))
    ax.set_ylim(bottom=0)
    ax.grid(alpha=0.3)
    ax.legend(loc="lower right")
    return drawn


if __name__ == "__main__":
    main()
