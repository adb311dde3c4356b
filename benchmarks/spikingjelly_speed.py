"""The part of simulators.py and gpu.py that runs in a process with PyTorch and SpikingJelly, without TensorFlow.

    python benchmarks/spikingjelly_speed.py FOLDER

simulates the network of FOLDER/network.json in SpikingJelly's multi-step mode, on a GPU if PyTorch sees one: for each
job of own_processes.py it prints the result as a line of JSON.  A constant image passes through the layers before the
first neurons only once.
"""

import contextlib
import functools
import json
import operator
import pathlib
import platform
import sys

import numpy as np
import torch
from own_processes import serve
from spikingjelly.activation_based import functional, neuron
from spikingjelly_process import Network

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")


class SpikingNetwork(Network):
    """A network of nengo_snnconv in SpikingJelly; values are (steps or 1, images, ...).

    Parameters
    ----------
    layers, output, arrays
        As for ``Network``.
    neurons : dict
        "kind", "IF" or "LIF", and "tau" in steps.
    """

    def __init__(self, layers, output, arrays, neurons):
        super().__init__(layers, output, arrays)
        self.spiking = [layer["name"] for layer in layers if layer["kind"] == "Rectifier"]
        for name in self.spiking:
            self.parts[name] = neurons_of(**neurons)

    def forward(self, x, n_steps):
        values = {}
        for name, inputs in self.inputs.items():
            value = functools.reduce(operator.add, [values[i] for i in inputs]) if inputs else x
            if name in self.spiking:
                value = self.parts[name](value.expand(n_steps, *value.shape[1:]))
            elif name in self.parts:
                value = self.parts[name](value.flatten(0, 1)).unflatten(0, value.shape[:2])
            values[name] = value
        return values[self.output]


def neurons_of(kind, tau=None):
    """Return neurons that compute all steps in one call, with the kernels that SpikingJelly chooses for the device."""
    if kind == "LIF":
        return neuron.LIFNode(tau, step_mode="m")
    if DEVICE.type == "cuda":  # its potentials begin at 0
        return neuron.IFNode(v_reset=None, step_mode="m")
    return neuron.HalfThresholdIFNode(step_mode="m")  # takes half the time of IFNode on a CPU


def input_of(images, n_images, n_steps):
    """Return the input: (1, images, ...), or (steps, images, ...) if there are Poisson spikes, channels first."""
    if "spikes" not in images:
        return torch.tensor(np.moveaxis(images["x"][:n_images], -1, 1)[None].copy())
    spikes = images["spikes"][:n_images, :n_steps].swapaxes(0, 1)
    return torch.tensor(np.moveaxis(spikes, -1, 2).astype(np.float32))


def main():
    folder = pathlib.Path(sys.argv[1])
    with np.load(folder / "arrays.npz", allow_pickle=False) as arrays:
        network = SpikingNetwork(**json.loads((folder / "network.json").read_text()), arrays=arrays).eval().to(DEVICE)
    with np.load(folder / "images.npz", allow_pickle=False) as file:
        images = dict(file)

    @contextlib.contextmanager
    def simulation(batch, steps, n_images):
        batches = input_of(images, n_images, steps).split(batch, dim=1)

        def run():
            found = []
            for part in batches:
                functional.reset_net(network)
                found.append(network(part.to(DEVICE), steps).cpu())
            scores = torch.cat(found, dim=1).numpy()
            return float(np.mean(scores.mean(axis=0).argmax(axis=-1) == images["y"][:n_images]))

        yield run

    name = torch.cuda.get_device_name() if DEVICE.type == "cuda" else f"the CPU ({platform.machine()})"
    with torch.inference_mode():
        serve(simulation, device=name)


if __name__ == "__main__":
    main()
