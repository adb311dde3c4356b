"""The part of gpu.py that runs in a process with PyTorch and SpikingJelly, without TensorFlow.

    python benchmarks/spikingjelly_speed.py '{"folder": ..., "batch": ..., "steps": ..., "repeats": ...}'

simulates the network of FOLDER/network.json in SpikingJelly's multi-step mode, on a GPU if PyTorch sees one, and prints
the result as a line of JSON.  A constant image passes through the layers before the first neurons only once.
"""

import functools
import json
import operator
import pathlib
import platform
import statistics
import sys
import time

import numpy as np
import torch
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
            value = functools.reduce(operator.add, [values[i] for i in inputs]) if inputs else x[None]
            if name in self.spiking:
                value = self.parts[name](value.expand(n_steps, *value.shape[1:]))
            elif name in self.parts:
                value = self.parts[name](value.flatten(0, 1)).unflatten(0, value.shape[:2])
            values[name] = value
        return values[self.output]


def neurons_of(kind, tau=None):
    """Return neurons that compute all steps in one call, in CUDA if SpikingJelly and CuPy can."""
    node = neuron.LIFNode(tau, step_mode="m") if kind == "LIF" else neuron.IFNode(v_reset=None, step_mode="m")
    if DEVICE.type == "cuda" and "cupy" in node.supported_backends:
        try:
            import cupy  # noqa: F401 -- an optional package
        except ImportError:
            pass
        else:
            node.backend = "cupy"
    return node


def main():
    job = json.loads(sys.argv[1])
    folder, started = pathlib.Path(job["folder"]), time.perf_counter()
    with np.load(folder / "arrays.npz", allow_pickle=False) as arrays:
        network = SpikingNetwork(**json.loads((folder / "network.json").read_text()), arrays=arrays).eval().to(DEVICE)
    images = np.load(folder / "images.npz", allow_pickle=False)
    batches = torch.tensor(np.moveaxis(images["x"], -1, 1).copy()).split(job["batch"])

    def run():
        found = []
        for batch in batches:
            functional.reset_net(network)
            found.append(network(batch.to(DEVICE), job["steps"]).cpu())
        return torch.cat(found, dim=1).numpy()

    with torch.inference_mode():
        run()
        first, times = time.perf_counter() - started, []
        for _ in range(job["repeats"]):
            started = time.perf_counter()
            scores = run()
            times.append(time.perf_counter() - started)
    result = {
        "device": torch.cuda.get_device_name() if DEVICE.type == "cuda" else f"the CPU ({platform.machine()})",
        "seconds": statistics.median(times),
        "first_seconds": first,
        "accuracy": float(np.mean(scores.mean(axis=0).argmax(axis=-1) == images["y"])),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
