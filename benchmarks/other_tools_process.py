"""The part of other_tools.py that runs in a process with PyTorch and one other tool, without TensorFlow.

    python benchmarks/other_tools_process.py FOLDER TOOL

builds the CNN of FOLDER/job.json and FOLDER/arrays.npz, makes it spike with TOOL, and writes to FOLDER/result.npz the
classes after each step (images, steps), one array for each way of conversion, and the seconds of a batch.
"""

import copy
import json
import os
import pathlib
import sys
import time
import warnings

import numpy as np

# waiting OpenMP threads would occupy cores that other programs need
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
import torch
from torch import nn

warnings.filterwarnings("ignore")


class Job:
    """A CNN, images, and settings of the run."""

    def __init__(self, folder):
        job = json.loads((folder / "job.json").read_text())
        self.layers, self.n_steps, self.batch, self.repeats = (
            job[name] for name in ("layers", "n_steps", "batch", "repeats")
        )
        self.arrays = np.load(folder / "arrays.npz", allow_pickle=False)
        self.x, self.calibration = (torch.tensor(self.arrays[name]) for name in ("x_test", "x_calibration"))

    def module(self, weights="cnn", spiking=nn.ReLU):
        """Return the network with the weights of the CNN or those scaled to activations of 1, and its neurons."""
        parts = {}
        for kind, name, arguments in self.layers:
            arguments = [tuple(value) if isinstance(value, list) else value for value in arguments]
            parts[name] = spiking() if kind == "ReLU" else getattr(nn, kind)(*arguments)
            if kind in ("Conv2d", "Linear"):
                for key in ("weight", "bias"):
                    getattr(parts[name], key).data = torch.tensor(self.arrays[f"{weights}/{name}/{key}"])
        module = nn.Sequential()
        for name, part in parts.items():
            module.add_module(name, part)
        return module.eval().requires_grad_(False)

    def check(self, module):
        """Check that the CNN has the same scores in PyTorch."""
        scores, expected = module(self.x).numpy(), self.arrays["scores"]
        error = np.abs(scores - expected).max() / np.abs(expected).max()
        if not error < 1e-4:
            sys.exit(f"scores in PyTorch differ by {error:.2g} of the largest score")

    def run(self, outputs):
        """Return the classes after each step, and the median time of a batch.

        ``outputs(images)`` simulates images, and returns scores (images, steps, classes).
        """
        found, times = [], []
        for part in self.x.split(self.batch):
            found.append(outputs(part).cumsum(1).argmax(2).numpy())
        for _ in range(self.repeats):
            started = time.perf_counter()
            outputs(self.x[: self.batch])
            times.append(time.perf_counter() - started)
        return np.concatenate(found), float(np.median(times))

    def stepwise(self, step, reset):
        """Return a function that simulates images by ``step(images)``, one step after another."""

        def outputs(images):
            reset()
            return torch.stack([step(images) for _ in range(self.n_steps)], 1)

        return outputs


def spikingjelly(job):
    """Two recipes of ann2snn."""
    from spikingjelly.activation_based import ann2snn, functional

    found = {}
    for title, mode in (("converted, largest activation", "Max"), ("converted, 99.9th percentile", "99.9%")):
        batches = list(job.calibration.split(job.batch))
        converter = ann2snn.FXConverter(ann2snn.RateCodingRecipe(batches, mode=mode))
        snn = converter.convert(job.module()).eval()
        found[title] = job.run(job.stepwise(snn, lambda snn=snn: functional.reset_net(snn)))
    return found


def sinabs(job):
    """from_model, with the weights of the CNN, and with those of normalize_weights."""
    import sinabs.from_torch
    import sinabs.layers
    import sinabs.utils

    found = {}
    for title in ("converted", "converted, `normalize_weights`"):
        cnn = copy.deepcopy(job.module())
        if title != "converted":
            names = [name for kind, name, _ in job.layers if kind == "ReLU"]
            weighted = [name for kind, name, _ in job.layers if kind in ("Conv2d", "Linear")][: len(names)]
            sinabs.utils.normalize_weights(cnn, job.calibration, names, weighted, 99.9)
        snn = sinabs.from_torch.from_model(cnn, batch_size=job.batch).spiking_model.eval()
        layers = [layer for layer in snn.modules() if isinstance(layer, sinabs.layers.StatefulLayer)]

        def outputs(images, snn=snn, layers=layers):
            for layer in layers:
                layer.reset_states()
                layer.batch_size = len(images)
            shown = images.repeat_interleave(job.n_steps, 0)
            return snn(shown).unflatten(0, (len(images), job.n_steps))

        found[title] = job.run(outputs)
    return found


def snntorch(job):
    """Leaky neurons without leak, which subtract the threshold, in layers built by hand."""
    import snntorch as snn
    from snntorch import utils

    def spiking():
        return snn.Leaky(beta=1.0, threshold=1.0, reset_mechanism="subtract", reset_delay=False, init_hidden=True)

    network = job.module("scaled", spiking)
    return {"by hand": job.run(job.stepwise(network, lambda: utils.reset(network)))}


def norse(job):
    """Integrate-and-fire cells, which reset to zero, in layers built by hand."""
    import norse.torch as norse

    network = norse.SequentialState(*job.module("scaled", norse.IAFCell).children())
    state = None

    def step(images):
        nonlocal state
        output, state = network(images, state)
        return output

    def reset():
        nonlocal state
        state = None

    return {"by hand": job.run(job.stepwise(step, reset))}


TOOLS = {tool.__name__: tool for tool in (spikingjelly, sinabs, snntorch, norse)}


def main():
    folder = pathlib.Path(sys.argv[1])
    job = Job(folder)
    with torch.inference_mode():
        job.check(job.module())
        runs = TOOLS[sys.argv[2]](job)
    seconds = [seconds for _, seconds in runs.values()]
    np.savez(folder / "result.npz", seconds=seconds, **{title: classes for title, (classes, _) in runs.items()})


if __name__ == "__main__":
    main()
