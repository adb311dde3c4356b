"""The part of spikingjelly_conversion.py that runs in a process with PyTorch and SpikingJelly, without TensorFlow.

    python benchmarks/spikingjelly_process.py FOLDER

builds the network of FOLDER/network.json and FOLDER/arrays.npz in PyTorch, compares its outputs with those of
nengo_snnconv, converts it by each recipe of FOLDER/job.json, and prints the results, a line of JSON for each recipe.
"""

import copy
import functools
import json
import operator
import pathlib
import sys
import time

import numpy as np
import torch
from spikingjelly.activation_based import ann2snn, functional, neuron
from torch import nn

BATCH_SIZE = 100  # of SpikingJelly's example for CIFAR-10


class Network(nn.Module):
    """A network of nengo_snnconv in PyTorch.

    Parameters
    ----------
    layers : list of dict
        Fields of the layer specs, with "kind", the name of the class, and "shape", the shape of the output; the input
        comes first.
    arrays : mapping of str to ndarray
        Arrays by "layer/array".
    """

    def __init__(self, layers, output, arrays):
        super().__init__()
        by_name = {layer["name"]: layer for layer in layers}
        self.output, self.parts = output, nn.ModuleDict()
        self.inputs = {name: layer["inputs"] for name, layer in by_name.items()}
        for name, layer in by_name.items():
            if layer["kind"] not in ("Input", "Add"):
                shape = by_name[layer["inputs"][0]]["shape"]
                self.parts[name] = MODULES[layer["kind"]](layer, shape, arrays).requires_grad_(False)

    def forward(self, x):
        values = {}
        for name, inputs in self.inputs.items():
            value = functools.reduce(operator.add, [values[i] for i in inputs]) if inputs else x
            values[name] = self.parts[name](value) if name in self.parts else value
        return values[self.output]


class Flatten(nn.Module):
    """Flatten images with the channel as the last axis, as in TensorFlow."""

    def forward(self, x):
        return x.permute(0, 2, 3, 1).flatten(1)


def convolution(layer, shape, arrays):
    """Return a convolution; a kernel that begins with zeros replaces padding that is larger at the end.

    "same" padding in TensorFlow is not symmetric if the total is odd, and PyTorch's always is.
    """
    if layer["dilation"] != [1, 1]:
        sys.exit(f"layer {layer['name']!r} is dilated, which this benchmark does not support")
    kernel = arrays[f"{layer['name']}/kernel"].transpose(3, 2, 0, 1)
    first, last = zip(*padding(layer, shape, layer["kernel_size"]), strict=True)
    kernel = np.pad(kernel, [(0, 0), (0, 0), *((end - begin, 0) for begin, end in zip(first, last, strict=True))])
    bias = torch.tensor(arrays[f"{layer['name']}/bias"]) if layer["use_bias"] else None
    n_filters, n_channels, *size = kernel.shape
    module = nn.Conv2d(
        n_channels * layer["groups"],
        n_filters,
        size,
        layer["strides"],
        last,
        groups=layer["groups"],
        bias=layer["use_bias"],
    )
    return with_weights(module, kernel, bias)


def dense(layer, shape, arrays):
    """Return a fully connected layer."""
    kernel = arrays[f"{layer['name']}/kernel"]
    bias = torch.tensor(arrays[f"{layer['name']}/bias"]) if layer["use_bias"] else None
    return with_weights(nn.Linear(*kernel.shape, bias=layer["use_bias"]), kernel.T, bias)


def with_weights(module, weight, bias):
    module.weight = nn.Parameter(torch.tensor(np.ascontiguousarray(weight)))
    if bias is not None:
        module.bias = nn.Parameter(bias)
    return module


def pooling(kind, **options):
    """Return the function that makes a pooling layer; at the end, windows reach over the border as far as needed."""

    def make(layer, shape, arrays):
        first = [begin for begin, _ in padding(layer, shape, layer["pool_size"])]
        ceil = layer["padding"] == "same"
        return kind(layer["pool_size"], layer["strides"], first, ceil_mode=ceil, **options)

    return make


def padding(layer, shape, size):
    """Return the entries before and after the input on both axes, by TensorFlow's rule: [(before, after), ...]."""
    pairs = []
    for n_in, n_out, k, stride in zip(shape, layer["shape"], size, layer["strides"], strict=False):
        total = max((n_out - 1) * stride + k - n_in, 0) if layer["padding"] == "same" else 0
        pairs.append((total // 2, total - total // 2))
    return pairs


def zeros_around(layer, shape, arrays):
    """Return padding with zeros, or cropping."""
    if any(layer["between"]):
        sys.exit(f"layer {layer['name']!r} has zeros between entries, which this benchmark does not support")
    axes = [*zip(layer["before"], layer["after"], strict=True)]
    # PyTorch begins with the last axis, and has the channel first
    return nn.ZeroPad2d([number for axis in reversed(axes[:-1]) for number in axis])


MODULES = {
    "Pad": zeros_around,
    "Conv": convolution,
    "Dense": dense,
    "MaxPool": pooling(nn.MaxPool2d),
    "AveragePool": pooling(nn.AvgPool2d, count_include_pad=False),
    "GlobalAveragePool": lambda layer, *_: nn.Sequential(nn.AdaptiveAvgPool2d(1), *[nn.Flatten()][layer["keepdims"] :]),
    "Rectifier": lambda *_: nn.ReLU(),
    "Flatten": lambda *_: Flatten(),
}


def images(array):
    """Return images with the channel first, in batches."""
    return torch.tensor(np.moveaxis(array, -1, 1).copy()).split(BATCH_SIZE)


def largest_error(ann, data):
    """Return the largest difference from the outputs of nengo_snnconv, relative to the largest output."""
    (x,) = images(data["x_compared"])
    expected = data["outputs"]
    return float(np.abs(ann(x).numpy() - expected).max() / np.abs(expected).max())


def convert(ann, x, recipe):
    """Return the spiking network that a recipe makes; it sees the calibration images ``passes`` times."""
    batches = [batch for _ in range(recipe["passes"]) for batch in x]
    return ann2snn.FXConverter(getattr(ann2snn, recipe["name"])(batches, **recipe["arguments"])).convert(ann).eval()


def evaluate(snn, x, y, n_steps):
    """Return the accuracy of the sum of scores, and spikes per neuron so far, after each step."""
    correct, spikes = np.zeros(n_steps), np.zeros(n_steps)
    emitted, sizes = [], {}

    def count(module, _, output):
        emitted.append(int(output.sum()))
        sizes[module] = output[0].numel()

    for module in snn.modules():
        if isinstance(module, neuron.BaseNode):
            module.register_forward_hook(count)
    for batch, labels in zip(x, y, strict=True):
        functional.reset_net(snn)
        scores = 0
        for step in range(n_steps):
            emitted.clear()
            scores = scores + snn(batch)
            correct[step] += int((scores.argmax(dim=1) == labels).sum())
            spikes[step] += sum(emitted)
    n_images = sum(map(len, y))
    return correct / n_images, np.cumsum(spikes) / n_images / sum(sizes.values())


def main():
    folder = pathlib.Path(sys.argv[1])
    job = json.loads((folder / "job.json").read_text())
    with np.load(folder / "arrays.npz", allow_pickle=False) as arrays:
        ann = Network(**json.loads((folder / "network.json").read_text()), arrays=arrays).eval()
    data = np.load(folder / "images.npz", allow_pickle=False)
    x, y = images(data["x_test"]), torch.tensor(data["y_test"]).split(BATCH_SIZE)
    with torch.no_grad():
        error = largest_error(ann, data)
        if not error < 1e-4:
            sys.exit(f"outputs in PyTorch differ by {error:.2g} of the largest output")
        correct = sum(int((ann(batch).argmax(dim=1) == labels).sum()) for batch, labels in zip(x, y, strict=True))
        common = {"largest_error": error, "ann_accuracy": correct / len(data["y_test"])}
        for title, recipe in job["recipes"].items():
            started = time.perf_counter()
            snn = convert(copy.deepcopy(ann), images(data["x_calibration"]), recipe)
            converted = time.perf_counter()
            accuracy, spikes = evaluate(snn, x, y, job["n_steps"])
            result = {
                "accuracy": accuracy.tolist(),
                "spikes_per_neuron": spikes.tolist(),
                "conversion_seconds": converted - started,
                "seconds": time.perf_counter() - converted,
            }
            print(json.dumps([title, {**common, **result}]), flush=True)


if __name__ == "__main__":
    main()
