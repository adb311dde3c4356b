"""The part of nir_exchange.py that runs in a process with PyTorch and a simulator that knows NIR, without TensorFlow.

    python benchmarks/nir_process.py FOLDER

FOLDER/job.json names the tool and the task.  "read": run FOLDER/network.nir on the frames of FOLDER/x.npy, (images,
steps, channel, height, width).  "write": build a network of the tool with random weights, run it on the frames, and
write it to FOLDER/network.nir.  The spikes of each layer of neurons, (images, layers), and the sum of the output over
time, (images, outputs), are written to FOLDER/result.npz.
"""

import json
import math
import pathlib
import sys

import nir
import numpy as np
import torch
from torch import nn


class Spikes:
    """Counts of the spikes of modules for one image, by module."""

    def __init__(self, modules):
        self.counts = dict.fromkeys(modules, 0)
        for name, module in modules.items():
            module.register_forward_hook(lambda _, __, output, name=name: self.add(name, output))

    def add(self, name, output):
        self.counts[name] += int((output[0] if isinstance(output, tuple) else output).sum())


def of_class(network, *classes):
    """Return the modules of some classes in a network, by name, in order."""
    return {name: module for name, module in network.named_modules() if isinstance(module, classes)}


class SpikingJelly:
    """SpikingJelly, which reads the parameters of NIR for any length of a step."""

    package = "spikingjelly"

    def neurons(self, network):
        from spikingjelly.activation_based import neuron
        from spikingjelly.activation_based.nir_exchange import from_nir

        # networks that were read run their neurons inside of modules that keep no state
        return of_class(network, from_nir._NIRStatefulModule) or of_class(network, neuron.BaseNode)

    def read(self, path, dt, n_steps):
        from spikingjelly.activation_based import nir_exchange

        network = nir_exchange.import_from_nir(nir.read(path, type_check=False), dt=dt)
        return network, self.stepwise(network)

    def stepwise(self, network):
        """Return a function that runs the network on the frames of an image, one after another."""

        def run(frames):
            total, state = 0, None
            for frame in frames:
                output, state = network(frame[None], state)
                total = total + output
            return total

        return run

    def write(self, shape, example, path, dt):
        from spikingjelly.activation_based import functional, layer, neuron, nir_exchange

        def spiking(_):
            return neuron.IFNode() if self.neurons_of == "IF" else neuron.LIFNode(tau=2.0)

        network = layers(shape, spiking, layer.Conv2d, layer.AvgPool2d, layer.Flatten, layer.Linear)
        nir_exchange.export_to_nir(network, example, save_path=path, dt=dt)

        def run(frames):
            functional.reset_net(network)
            return sum(network(frame[None]) for frame in frames)

        return network, run


class SnnTorch:
    """snnTorch, whose step is 1e-4 s."""

    package = "snntorch"

    def neurons(self, network):
        import snntorch

        return of_class(network, snntorch.Leaky, snntorch.Synaptic)

    def read(self, path, dt, n_steps):
        from snntorch import import_nir

        network = import_nir.import_from_nir(nir.read(path, type_check=False))
        return network, self.stepwise(network)

    def stepwise(self, network):
        def run(frames):
            for module in self.neurons(network).values():
                module.reset_mem()
            total = 0
            for frame in frames:
                output = network(frame[None])
                total = total + (output[0] if isinstance(output, tuple) else output)
            return total

        return run

    def write(self, shape, example, path, dt):
        import snntorch
        from snntorch import export_nir

        def spiking(shape):
            beta, threshold = torch.full(shape, 0.5), torch.ones(shape)
            return snntorch.Leaky(beta, threshold, reset_mechanism="zero", reset_delay=False, init_hidden=True)

        network = layers(shape, spiking)
        nir.write(path, export_nir.export_to_nir(network, example, ignore_dims=[0]))
        return network, self.stepwise(network)


class Norse:
    """Norse, which ignores the resistance of IF neurons."""

    package = "norse"

    def neurons(self, network):
        import norse.torch

        return of_class(network, norse.torch.IAFCell, norse.torch.LIFBoxCell)

    def read(self, path, dt, n_steps):
        import norse.torch

        network = norse.torch.from_nir(nir.read(path, type_check=False), dt=dt, ignore_warnings=True)
        return network, self.stepwise(network)

    def stepwise(self, network):
        def run(frames):
            total, state = 0, None
            for frame in frames:
                output, state = network(frame[None], state)
                total = total + output
            return total

        return run

    def write(self, shape, example, path, dt):
        import norse.torch as norse
        from norse.torch.functional.leaky_integrator_box import LIBoxParameters
        from norse.torch.functional.lif_box import LIFBoxParameters

        def filled(value, size=16):
            return torch.full((size,), float(value))

        spiking = LIFBoxParameters(filled(1 / (2 * dt)), filled(0), filled(1), filled(0))
        leaky = LIBoxParameters(filled(1 / (5 * dt), 10), filled(0, 10))
        network = norse.SequentialState(
            nn.Linear(math.prod(shape), 16),
            norse.LIFBoxCell(spiking),
            nn.Linear(16, 10),
            norse.LIBoxCell(leaky),
        )
        network[0].weight.mul_(3)
        nir.write(path, norse.to_nir(network, example.ravel(), dt=dt))  # Norse writes no Flatten

        def run(frames):
            total, state = 0, None
            for frame in frames:
                output, state = network(frame.ravel(), state)
                total = total + output
            return total

        return network, run


class Sinabs:
    """sinabs, which has no unit of time, and whose neurons subtract the threshold for each spike."""

    package = "sinabs"

    def neurons(self, network):
        import sinabs.layers

        return of_class(network, sinabs.layers.IAFSqueeze, sinabs.layers.LIFSqueeze)

    def read(self, path, dt, n_steps):
        import sinabs.nir

        network = sinabs.nir.from_nir(nir.read(path), batch_size=1, num_timesteps=n_steps)
        return network, self.together(network)

    def together(self, network):
        def run(frames):
            for module in self.neurons(network).values():
                module.reset_states()
            output = network(frames)
            return (output[0] if isinstance(output, tuple) else output).sum(0)

        return run

    def write(self, shape, example, path, dt):
        import sinabs.layers as sl
        import sinabs.nir

        network = layers(shape, lambda _: sl.IAFSqueeze(batch_size=1), pool=sl.SumPool2d)
        graph = sinabs.nir.to_nir(network, example)
        graph.infer_types()  # sinabs leaves out the shapes of images, without which nir cannot write the graph
        nir.write(path, graph)
        return network, self.together(network)


def layers(shape, spiking, conv=nn.Conv2d, pool=nn.AvgPool2d, flatten=nn.Flatten, linear=nn.Linear):
    """Return a network with layers of a tool; ``spiking(shape)`` makes neurons.  Large weights make it spike."""
    height, width = shape[1] // 2, shape[2] // 2
    last = (8, (height + 1) // 2, (width + 1) // 2)
    network = nn.Sequential(
        conv(shape[0], 6, 3, padding=1),
        spiking((6, *shape[1:])),
        pool(2, 2),
        conv(6, 8, 3, stride=2, padding=1),
        spiking(last),
        flatten(),
        linear(math.prod(last), 10),
        spiking((10,)),
    )
    for parameter in network.parameters():
        if parameter.ndim > 1:
            parameter.mul_(3)
    return network


TOOLS = {tool.package: tool for tool in (SpikingJelly, SnnTorch, Norse, Sinabs)}


def main():
    folder = pathlib.Path(sys.argv[1])
    job = json.loads((folder / "job.json").read_text())
    x = torch.tensor(np.load(folder / "x.npy", allow_pickle=False))
    torch.manual_seed(job.get("seed", 0))
    torch.set_num_threads(1)  # an image is too small for more
    tool, path = TOOLS[job["tool"]](), folder / "network.nir"
    tool.neurons_of = job.get("neurons", "LIF")
    with torch.no_grad():
        if job["task"] == "read":
            network, run = tool.read(path, job["dt"], x.shape[1])
        else:
            network, run = tool.write(x.shape[2:], x[0, :1], path, job["dt"])
        spikes, counts, outputs = Spikes(tool.neurons(network)), [], []
        for frames in x:
            spikes.counts = dict.fromkeys(spikes.counts, 0)
            outputs.append(run(frames).numpy().ravel())
            counts.append(list(spikes.counts.values()))
    np.savez(folder / "result.npz", counts=counts, outputs=outputs, layers=list(spikes.counts))


if __name__ == "__main__":
    main()
