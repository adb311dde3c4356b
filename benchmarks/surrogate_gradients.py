"""Surrogate gradients on events: real and simulated recordings of N-MNIST, and a CNN with the same layers on MNIST.

    NENGO_SNNCONV_DATA=DIR python benchmarks/surrogate_gradients.py

needs MNIST and N-MNIST, or a part of it, in that folder; takes about an hour on two cores, continues after an
interruption, and publishes the results and docs/results/surrogate-gradients.png.  Test recordings show test images of
MNIST, on which no network is trained.
"""

import argparse
import functools
import time

import nengo
import numpy as np
from results import ROOT, median_seconds, publish

import nengo_snnconv as snc
from nengo_snnconv._util.atomic import atomic_write
from nengo_snnconv.compat import tf
from nengo_snnconv.inputs import EventFrames
from nengo_snnconv.training.batches import EpochBatches
from nengo_snnconv.training.losses import FiringRateError
from nengo_snnconv.training.optimizers import copy_optimizer
from nengo_snnconv.training.trainers import TRAINERS

BUILD = ROOT / "build"
AUGMENT = snc.random_affine(rotation_deg=8, scale=0.08, shift=2)
ALL_STEPS = (4, 8, 16, 32)


def trained(name, network, data, epochs, learning_rate, validation_data=None, n_steps=None):
    """Return a trained network from build/, or train it on ``data()``."""
    path = BUILD / f"{name}.snn.npz"
    if path.exists():
        return snc.load(path)
    network = snc.train(
        network,
        *data(),
        n_steps=n_steps,
        epochs=epochs,
        batch_size=50 if n_steps else 100,
        learning_rate=learning_rate,
        schedule="cosine",
        augment=AUGMENT,
        validation_data=validation_data,
        checkpoint=path.with_suffix(".checkpoint.npz"),
        on_epoch=lambda epoch, figures: print(name, epoch, {k: round(v, 4) for k, v in figures.items()}, flush=True),
    )
    snc.save(network, path)
    path.with_suffix(".checkpoint.npz").unlink()
    return network


def spiking_network(seed=0):
    keras = snc.preset("surrogate-nmnist", (34, 34, 2), seed=seed)
    return snc.build_trainable(keras, snc.SurrogateLIF(), output_neurons=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--steps", type=int, default=8, help="number of steps for real recordings")
    parser.add_argument("--simulated", type=int, default=60000, help="number of simulated recordings of MNIST")
    parser.add_argument("--epochs", type=int, default=5, help="epochs on simulated recordings")
    parser.add_argument("--real-epochs", type=int, default=60, help="epochs on real recordings")
    parser.add_argument("--cnn-epochs", type=int, default=12)
    parser.add_argument("--compared-epochs", type=int, default=3)
    options = parser.parse_args()
    BUILD.mkdir(exist_ok=True)
    mnist, events = snc.load_dataset("mnist"), snc.load_events("n-mnist")
    figures = {"steps": options.steps, "recordings": [len(events.train), len(events.test)]}
    figures["real"] = on_real_recordings(mnist, events, options)
    figures["cnn"] = cnn(mnist, options)
    comparison = compared(options)
    figures["comparison"] = comparison.to_dict()
    figures["engines"] = {steps: engine_times(events.train, steps) for steps in ALL_STEPS}
    png = ROOT / "docs" / "results" / "surrogate-gradients.png"
    with atomic_write(png) as file:
        comparison.plot()[0].figure.savefig(file, format="png", dpi=100)
    publish("surrogate-gradients", table(figures, comparison, options), figures)


def on_real_recordings(mnist, events, options):
    """Return accuracies on real recordings of networks trained on real recordings, simulated ones, and both."""
    steps, train, test = options.steps, events.train, events.test
    on_test = {"n_steps": steps, "validation_data": (test, test.labels)}
    found = {}

    def recorded():
        return train, train.labels

    real = trained("nmnist-real", spiking_network(), recorded, options.real_epochs, 3e-3, **on_test)
    found["real"] = evaluated(real, test, steps)

    def simulated():
        x, y = mnist.x_train[: options.simulated], mnist.y_train[: options.simulated]
        return snc.simulate_recordings(x, y), y

    network = trained("nmnist-simulated", spiking_network(), simulated, options.epochs, 3e-3, **on_test)
    found["simulated"] = evaluated(network, test, steps)
    found["simulated_on_train"] = evaluated(network, train, steps)

    tuned = trained("nmnist-tuned", network, recorded, options.real_epochs // 3, 1e-3, **on_test)
    found["tuned"] = evaluated(tuned, test, steps)

    snc.simulate_recordings(mnist.x_train[:10], mnist.y_train[:10])  # compiles
    started = time.perf_counter()
    snc.simulate_recordings(mnist.x_train[:1000], mnist.y_train[:1000])
    found["simulation_seconds_per_thousand"] = time.perf_counter() - started
    return found


def evaluated(network, recordings, n_steps):
    """Evaluate a network on recordings in NengoDL's Simulator; return the results as a dict."""
    evaluation = snc.evaluate(network, recordings, recordings.labels, n_steps=n_steps)
    print(evaluation.summary(), flush=True)
    return evaluation.to_dict()


def cnn(mnist, options):
    keras = snc.preset("surrogate-nmnist-cnn", mnist.x_train.shape[1:])
    network = snc.build_trainable(keras, nengo.RectifiedLinear())
    network = trained("nmnist-cnn", network, lambda: (mnist.x_train, mnist.y_train), options.cnn_epochs, 3e-3)
    scores = snc.rate_model(network).predict(mnist.x_test, batch_size=500, verbose=0)
    return {"accuracy": float(np.mean(scores.argmax(axis=1) == mnist.y_test)), "history": network.history}


def compared(options):
    """Compare a CNN and SNNs with 4 to 32 steps, on the digits of the package and recordings simulated from them."""
    return snc.compare(
        snc.load_dataset("digits"),
        steps=ALL_STEPS,
        epochs=options.compared_epochs,
        folder=BUILD / "comparison",
        on_epoch=lambda name, epoch, figures: print(name, epoch, figures, flush=True),
    )


def engine_times(recordings, n_steps, batch_size=50, n_batches=4, repeats=3):
    """Return median seconds of a training step of 50 recordings, {engine: seconds}, with the engines taking turns."""
    network, order = spiking_network(), np.arange(batch_size * n_batches)
    batches = EpochBatches(EventFrames(recordings, n_steps), recordings.labels, order, batch_size, None, [0])
    engines = {
        name: engine(network, copy_optimizer(None), FiringRateError(), batch_size, n_steps=n_steps)
        for name, engine in TRAINERS.items()
    }
    fits = {name: functools.partial(engine.fit, batches, None, []) for name, engine in engines.items()}
    times = median_seconds(fits, repeats)
    for engine in engines.values():
        engine.close()
    tf.keras.backend.clear_session()
    found = {name: seconds / n_batches for name, seconds in times.items()}
    print(n_steps, found, flush=True)
    return found


def table(figures, comparison, options):
    real, n_test = figures["real"], figures["recordings"][1]
    rows = (
        (f"{figures['recordings'][0]:,} real recordings", real["real"]),
        (f"{options.simulated:,} simulated recordings of MNIST's training images", real["simulated"]),
        ("simulated, then the real ones", real["tuned"]),
    )
    text = f"""
Three strided convolutions without biases and two dense layers of `SurrogateLIF` neurons, {options.steps} steps of
equal numbers of events, on the {n_test} real test recordings that were available:

| trained on | accuracy | spikes per neuron | synaptic operations |
|---|---|---|---|
"""
    for name, found in rows:
        spikes, operations = f"{found['spikes_per_neuron']:.2f}", f"{found['synaptic_operations']:,.0f}"
        text += f"| {name} | {100 * found['accuracy'][-1]:.1f} % | {spikes} | {operations} |\n"
    unseen = real["simulated_on_train"]
    results, seconds = comparison.tables(markdown=True)
    text += f"""
The network that was trained only on simulated recordings classifies correctly {100 * unseen["accuracy"][-1]:.2f} % of
{unseen["images"]:,} real training recordings. The same layers as a CNN, on MNIST's 60,000 + 10,000 images:
{100 * figures["cnn"]["accuracy"]:.2f} %.

`compare` on the digits of the package and recordings simulated from them, {options.compared_epochs} epochs each:

{results}

{seconds}

Simulating 1,000 recordings took {real["simulation_seconds_per_thousand"]:.1f} s.
A training step of 50 real recordings, unrolled in plain Keras and in NengoDL's Simulator:

| steps | Keras | NengoDL | ratio |
|---|---|---|---|
"""
    for steps, found in figures["engines"].items():
        ratio = found["nengo_dl"] / found["keras"]
        text += f"| {steps} | {1000 * found['keras']:.0f} ms | {1000 * found['nengo_dl']:.0f} ms | {ratio:.1f} |\n"
    return text


if __name__ == "__main__":
    main()
