"""The part of training_through_time.py that runs in a process with PyTorch and SpikingJelly, without TensorFlow.

    python benchmarks/spikingjelly_training.py FOLDER VARIANT

trains the network of FOLDER/network.npz on the batches of FOLDER/batches.npz.  It prints the loss and the norms of the
gradients of the first step, and after each line of its standard input the seconds of that many steps.
"""

import json
import pathlib
import sys
import time

import numpy as np
import torch
from spikingjelly.activation_based import functional, layer, neuron
from torch import nn

VARIANTS = ("multi-step", "multi-step, channels last", "multi-step, bfloat16", "multi-step, compiled")


def network(arrays, strides):
    """Return the layers in SpikingJelly's multi-step mode, which computes a layer for all steps at once."""
    modules, shape = [], None
    for name, array in arrays.items():
        kind, _, part = name.partition("/")
        if part == "bias":
            with torch.no_grad():
                modules[-2].bias.copy_(torch.tensor(array))
            continue
        has_bias = f"{kind}/bias" in arrays
        if array.ndim == 4:
            height, width, n_in, n_out = array.shape
            module = layer.Conv2d(n_in, n_out, (height, width), strides[kind], bias=has_bias, step_mode="m")
            weight, shape = array.transpose(3, 2, 0, 1), n_out
        else:
            weight = array.T
            if shape:  # images are flattened with the channel first
                size = round((len(array) // shape) ** 0.5)
                weight = array.reshape(size, size, shape, -1).transpose(3, 2, 0, 1).reshape(-1, len(array))
                modules.append(layer.Flatten(step_mode="m"))
                shape = None
            module = layer.Linear(*array.shape, bias=has_bias, step_mode="m")
        module.weight = nn.Parameter(torch.tensor(np.ascontiguousarray(weight)))
        modules += [module, neuron.LIFNode(2.0, step_mode="m")]
    return nn.Sequential(*modules)


class Training:
    """Training as ``train`` of nengo_snnconv does it: Adam, the norm of all gradients clipped to 1."""

    def __init__(self, folder, variant):
        arrays = np.load(folder / "network.npz", allow_pickle=False)
        self.network = network(
            {name: arrays[name] for name in arrays}, json.loads((folder / "strides.json").read_text())
        )
        self.reduced = "bfloat16" in variant
        batches = np.load(folder / "batches.npz", allow_pickle=False)
        # steps, images, channels, height, width
        self.x = [torch.tensor(x.transpose(1, 0, 4, 2, 3).copy()) for x in batches["x"]]
        self.y = [nn.functional.one_hot(torch.tensor(y), 10).float() for y in batches["y"]]
        if "channels last" in variant:
            self.network.to(memory_format=torch.channels_last)
            self.x = [x.flatten(0, 1).to(memory_format=torch.channels_last).unflatten(0, x.shape[:2]) for x in self.x]
        if "compiled" in variant:
            self.network.compile(dynamic=False)
        self.optimizer = torch.optim.Adam(self.network.parameters(), 1e-3, eps=1e-7, fused=True)
        self.done = 0

    def gradients(self):
        """Compute the gradients of the next batch, and return the loss."""
        x, y = self.x[self.done % len(self.x)], self.y[self.done % len(self.y)]
        self.optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=self.reduced):
            rates = self.network(x).mean(0)
        loss = nn.functional.mse_loss(rates.float(), y)
        loss.backward()
        functional.reset_net(self.network)
        return float(loss.detach())

    def first(self):
        """Return the loss and the norms of the gradients of kernels and biases, before any step."""
        loss = self.gradients()
        return {"loss": loss, "norms": [float(p.grad.norm()) for p in self.network.parameters()]}

    def step(self):
        self.gradients()
        nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self.optimizer.step()
        self.done += 1


def main():
    torch.set_flush_denormal(True)  # as TensorFlow does; else small gradients take several times as long
    training = Training(pathlib.Path(sys.argv[1]), sys.argv[2])
    print(json.dumps(training.first()), flush=True)
    for line in sys.stdin:
        seconds, processor = time.perf_counter(), time.process_time()
        for _ in range(int(line)):
            training.step()
        result = {"seconds": time.perf_counter() - seconds, "processor": time.process_time() - processor}
        print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
