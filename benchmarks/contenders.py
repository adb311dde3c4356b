"""The simulators that simulators.py compares, with one interface: images in, class scores of every step out.

    python benchmarks/contenders.py FOLDER NAME

runs one of them in a process of its own, for the jobs of own_processes.py, on the network and images of FOLDER;
SpikingJelly has spikingjelly_speed.py instead.

A contender is a context manager with the arguments (case, images, batch size, number of steps).  It does all
preparation, and yields a function without arguments that simulates and returns class scores, (images, steps, classes).
"""

import contextlib
import dataclasses
import functools
import json
import pathlib
import sys

import nengo
import numpy as np
from own_processes import serve

import nengo_snnconv as snc
from nengo_snnconv.compat import nengo_dl, tf
from nengo_snnconv.model import layers as specs
from nengo_snnconv.networks.keras_layers import keras_layer
from nengo_snnconv.networks.trainable import TrainableConfig

DT = 0.001
FAST, REFERENCE, DENSE = "snc.Simulator", "nengo, network of the Converter", "dense products alone"
SPIKINGJELLY = "SpikingJelly"
JELLY_PROCESS = pathlib.Path(__file__).with_name("spikingjelly_speed.py")


@dataclasses.dataclass(frozen=True, eq=False)
class Case:
    """A network without branches that all contenders simulate.

    Attributes
    ----------
    network : ConvNetwork
        Spiking network.
    """

    network: snc.ConvNetwork

    @property
    def is_lif(self):
        """True for LIF neurons trained on rates; False for IntegrateAndFire neurons of a converted network."""
        return isinstance(self.network.settings, TrainableConfig)

    @property
    def poisson(self):
        return self.network.settings.input_spikes

    @functools.cached_property
    def layered(self):
        """The network as Keras layers in ``nengo_dl.Layer``; Poisson input must be generated beforehand."""
        return self.network if self.is_lif else snc.build_trainable(self.network.model, snc.IntegrateAndFire())

    @property
    def gain(self):
        """Gain of the neurons; LIF neurons also have a bias of 1."""
        name = self.network.model.neurons[0]
        return float(self.network.settings.gain_bias(self.network.model, name)[0][0])

    def shown(self, x, batch, n_steps):
        """Return the input of a network that does not generate Poisson spikes itself: (images, steps, pixels)."""
        if not self.poisson:
            return np.repeat(x.reshape(len(x), 1, -1), n_steps, axis=1)
        seed = self.network.settings.seed or 0
        spikes = in_batches(lambda part: snc.poisson_spikes(part, n_steps, seed=seed), x, batch)
        return spikes.reshape(len(x), n_steps, -1).astype(np.float32)


def in_batches(function, x, batch):
    """Apply a function to ``x``, one batch after another."""
    return np.concatenate([function(x[start : start + batch]) for start in range(0, len(x), batch)])


@contextlib.contextmanager
def fast(case, x, batch, n_steps, **options):
    network = case.network
    with snc.Simulator(network, minibatch_size=batch, progress_bar=False, **options) as simulator:

        def scores(images):
            simulator.reset()
            simulator.run_steps(n_steps, data={network.input: images})
            return simulator.data[network.probes["output"]]

        yield lambda: in_batches(scores, x, batch)


@contextlib.contextmanager
def _in_nengo_dl(network, node, probe, shown, batch):
    """Simulate ``network`` in nengo_dl.Simulator with the data ``shown``, (images, steps, pixels), for ``node``."""
    with nengo_dl.Simulator(network, minibatch_size=batch, progress_bar=False) as simulator:

        def scores(images):
            return simulator.predict_on_batch({node: images}, n_steps=shown.shape[1], stateful=False)[probe]

        yield lambda: in_batches(scores, shown, batch)


def nengo_dl_layers(case, x, batch, n_steps):
    network = case.layered
    return _in_nengo_dl(network, network.input, network.probes["output"], case.shown(x, batch, n_steps), batch)


def nengo_dl_native(case, x, batch, n_steps):
    network, still = case.network, np.repeat(x.reshape(len(x), 1, -1), n_steps, axis=1)
    return _in_nengo_dl(network, network.input, network.probes["output"], still, batch)


def nengo_dl_converter(case, x, batch, n_steps):
    return _in_nengo_dl(*converted(case), case.shown(x, batch, n_steps), batch)


def converted(case):
    """Return the network made by NengoDL's Converter, its input and its output: (nengo.Network, Node, Probe)."""
    if case.is_lif:
        # the Converter scales input and amplitude, and has no bias of neurons, which is added to the layers
        scale, lif = case.gain, case.network.settings.neuron_type
        neurons = nengo.LIF(lif.tau_rc, lif.tau_ref, lif.min_voltage, amplitude=lif.amplitude * scale)
        keras = keras_model(case.network.model, added_bias=1 / scale)
    else:
        scale = 1 / DT
        neurons = nengo.SpikingRectifiedLinear(initial_state={"voltage": nengo.dists.Choice([0.5])})
        keras = keras_model(case.network.model)
    converter = nengo_dl.Converter(keras, swap_activations={tf.nn.relu: neurons}, scale_firing_rates=scale)
    converter.net.seed = case.network.seed
    return converter.net, converter.inputs[keras.input], converter.outputs[keras.output]


def keras_model(model, added_bias=0):
    """Return a model as a Keras model whose layers include their rectifiers, with a number added to their biases."""
    layers = [spec for spec in model.layers.values() if not isinstance(spec, specs.Dropout)]
    image = tensor = tf.keras.Input(model.shapes[model.input])
    for spec, after in zip(layers[1:], [*layers[2:], None], strict=True):
        if isinstance(spec, specs.Rectifier):
            continue
        arrays = dict(model.arrays_of(spec.name))
        if rectified := isinstance(after, specs.Rectifier):
            arrays = {name: array + added_bias * (name == "bias") for name, array in arrays.items()}
        keras = keras_layer(spec, arrays)
        if rectified:
            keras.activation = tf.nn.relu
        tensor = keras(tensor)
    return tf.keras.Model(image, tensor)


@contextlib.contextmanager
def nengo_reference(case, x, batch, n_steps):
    """Simulate the Converter's network in nengo.Simulator, one image after another."""
    network, node, probe = converted(case)
    shown, image = case.shown(x, len(x), n_steps), 0
    node.output = lambda t: shown[image, round(t / DT) - 1]
    # without the cache of decoders, because there are none
    with nengo.Simulator(network, dt=DT, model=nengo.builder.Model(dt=DT), progress_bar=False) as simulator:

        def run():
            nonlocal image
            found = []
            for image in range(len(x)):  # noqa: B007, node.output reads it
                simulator.reset()
                simulator.run_steps(n_steps, progress_bar=False)
                found.append(simulator.data[probe].copy())
            return np.stack(found)

        yield run


@contextlib.contextmanager
def dense_products(case, x, batch, n_steps):
    """Compute only the convolutions and dense layers, on random numbers; the first layer once for a constant image."""
    model, products = case.network.model, []
    rng = np.random.default_rng(0)
    for number, spec in enumerate(s for s in model.layers.values() if isinstance(s, specs.Conv | specs.Dense)):
        once = number == 0 and not case.poisson
        rows = len(x) if once else len(x) * n_steps
        whole = tf.constant(rng.random((min(batch, rows), *model.shapes[spec.inputs[0]]), dtype=np.float32))
        rest = [whole[: rows % len(whole)]] if rows % len(whole) else []
        products.append(
            (tf.function(keras_layer(spec, model.arrays_of(spec.name))), [whole] * (rows // len(whole)) + rest)
        )

    def run():
        for product, batches in products:
            for batch in batches:
                product(batch)

    yield run


def contenders_of(case):
    """Return the contenders for a case except SpikingJelly: {name: contender}."""
    found = {
        FAST: fast,
        "nengo_dl, network of build_trainable": nengo_dl_layers,
        "nengo_dl, network of its Converter": nengo_dl_converter,
    }
    if not case.is_lif:
        found["nengo_dl, network of to_spiking"] = nengo_dl_native
    return found | {REFERENCE: nengo_reference, DENSE: dense_products}


# processes


def write_case(case, x, y, n_steps, folder):
    """Write a network and images for the processes of all contenders."""
    snc.save(case.network, folder / "network.snn.npz")
    images = {"x": x, "y": y}
    if case.poisson:
        images["spikes"] = case.shown(x, len(x), n_steps).reshape(len(x), n_steps, *x.shape[1:]).astype(bool)
    np.savez(folder / "images.npz", **images)
    write_for_pytorch(case, folder)


def write_for_pytorch(case, folder):
    """Write layers and arrays for spikingjelly_speed.py.

    SpikingJelly's LIF neuron has no refractory period, so its spikes differ from Nengo's.
    """
    network = case.network
    model, arrays = network.model, dict(network.model.arrays)
    neurons = {"kind": "IF"}
    if case.is_lif:  # gain, bias and height of the spikes become part of the weights
        lif = network.settings.neuron_type
        neurons = {"kind": "LIF", "tau": lif.tau_rc / DT}
        weighted = [name for name in model.layers if f"{name}/kernel" in arrays]
        for name in weighted:
            gain, bias = (1.0, 0.0) if name == weighted[-1] else (case.gain, 1.0)
            height = 1.0 if name == weighted[0] else lif.amplitude / DT
            arrays[f"{name}/kernel"] = gain * height * arrays[f"{name}/kernel"]
            if f"{name}/bias" in arrays:
                arrays[f"{name}/bias"] = gain * arrays[f"{name}/bias"] + np.float32(bias)
    layers = [
        {"kind": type(layer).__name__, "shape": model.shapes[name], **dataclasses.asdict(layer)}
        for name, layer in model.layers.items()
    ]
    (folder / "network.json").write_text(json.dumps({"layers": layers, "output": model.output, "neurons": neurons}))
    np.savez(folder / "arrays.npz", **arrays)


def command_of(name, folder, python):
    """Return the command that starts the process of a contender; ``python`` is that of SpikingJelly."""
    if name == SPIKINGJELLY:
        return [python, str(JELLY_PROCESS), str(folder)]
    return [sys.executable, __file__, str(folder), name]


def accuracy(scores, y):
    """Return the share of images whose class has the largest mean score, for scores (images, steps, classes)."""
    return float(np.mean(scores.mean(axis=1).argmax(axis=-1) == y))


def main():
    folder, name = pathlib.Path(sys.argv[1]), sys.argv[2]
    case = Case(snc.load(folder / "network.snn.npz"))
    contender = contenders_of(case)[name]
    with np.load(folder / "images.npz", allow_pickle=False) as images:
        x, y = images["x"], images["y"]

    @contextlib.contextmanager
    def simulation(batch, steps, n_images):
        with contender(case, x[:n_images], batch, steps) as run:
            yield lambda: None if (scores := run()) is None else accuracy(scores, y[:n_images])

    serve(simulation)


if __name__ == "__main__":
    main()
