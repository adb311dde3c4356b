"""Rate training in NengoDL: lif-mnist trained on all of MNIST, then run with spikes on all 10,000 test images.

    NENGO_SNNCONV_DATA=DIR python benchmarks/rate_training.py

takes about half an hour on two cores, and publishes the results.  An interrupted training continues from
build/rate-training.checkpoint.npz.
"""

import argparse
import functools

import nengo
from results import ROOT, median_seconds, publish

import nengo_snnconv as snc
from nengo_snnconv.compat import tf
from nengo_snnconv.training.optimizers import copy_optimizer
from nengo_snnconv.training.trainers import TRAINERS

STEPS = (10, 20, 30)


def print_epoch(epoch, figures):
    print(f"epoch {epoch}: loss {figures['loss']:.4f}, {figures['seconds']:.0f} s", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--test-images", type=int, default=10000)
    parser.add_argument("--ablation-images", type=int, default=1000)
    options = parser.parse_args()
    data = snc.load_dataset("mnist", test=options.test_images)
    network = snc.build_trainable(snc.preset("lif-mnist"), synapse=0.002)
    steps = step_times(network, data)
    print(steps, flush=True)

    network = snc.train(
        network,
        data.x_train,
        data.y_train,
        epochs=options.epochs,
        batch_size=100,
        learning_rate=3e-3,
        schedule="cosine",
        augment=snc.random_affine(),
        checkpoint=ROOT / "build" / "rate-training.checkpoint.npz",
        on_epoch=print_epoch,
    )
    minutes = sum(network.history["seconds"]) / 60
    snc.save(network, ROOT / "build" / "lif-mnist.snn.npz")

    evaluation = snc.evaluate(network, data.x_test, data.y_test, n_steps=STEPS[-1])
    print(evaluation.summary(), flush=True)
    variants = {
        "LIF(amplitude=0.0025, min_voltage=-5), synapses of 2 ms": network,
        "without synapses": network.rebuild(synapse=None),
        "and min_voltage=0, Nengo's default": network.rebuild(synapse=None, neuron_type=nengo.LIF(amplitude=0.0025)),
    }
    few = slice(0, options.ablation_images)
    ablation = {}
    for name, variant in variants.items():
        ablation[name] = snc.evaluate(variant, data.x_test[few], data.y_test[few], n_steps=STEPS[-1])
        print(f"{name}\n{ablation[name].summary()}", flush=True)

    table = f"""
| lif-mnist on MNIST, {len(data.y_test):,} test images | accuracy |
|---|---|
| rates, one step (ANN) | {100 * evaluation.ann_accuracy:.2f} % |
"""
    table += "".join(f"| spikes, {n} steps | {100 * evaluation.accuracy[n - 1]:.2f} % |\n" for n in STEPS)
    table += f"""
Training took {minutes:.1f} minutes ({options.epochs} epochs, plain Keras engine), the {STEPS[-1]} steps of all test
images {evaluation.seconds / 60:.1f} minutes (back end: {evaluation.backend}).
{evaluation.spikes_per_neuron:.2f} spikes per neuron and image,
{evaluation.synaptic_operations:,.0f} synaptic operations, compared with
{evaluation.ann_operations:,} multiply-accumulates of the ANN. One training step of
200 images: {1000 * steps["keras"]:.0f} ms in plain Keras,
{1000 * steps["nengo_dl"]:.0f} ms in NengoDL's Simulator, {steps["nengo_dl"] / steps["keras"]:.1f} times as long.

| same weights, first {options.ablation_images:,} test images | 10 steps | 20 steps | 30 steps | simulation |
|---|---|---|---|---|
"""
    for name, result in ablation.items():
        accuracies = " | ".join(f"{100 * result.accuracy[n - 1]:.2f} %" for n in STEPS)
        table += f"| {name} | {accuracies} | {result.seconds:.0f} s |\n"
    figures = {
        "training_minutes": minutes,
        "history": network.history,
        "evaluation": evaluation.to_dict(),
        "ablation": {name: result.to_dict() for name, result in ablation.items()},
        "seconds_per_step_of_200": steps,
    }
    publish("rate-training", table, figures)
    print(table)


def step_times(network, data, steps=20, repeats=3):
    """Return median seconds of a training step of 200 images, {engine: seconds}, with the engines taking turns."""
    x, y = data.x_train[: 200 * steps], data.y_train[: 200 * steps]
    loss = tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    engines = {name: engine(network, copy_optimizer(None), loss, 200) for name, engine in TRAINERS.items()}
    fits = {name: functools.partial(engine.fit, x, y, []) for name, engine in engines.items()}
    times = median_seconds(fits, repeats)
    for engine in engines.values():
        engine.close()
    return {name: seconds / steps for name, seconds in times.items()}


if __name__ == "__main__":
    main()
