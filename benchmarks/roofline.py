"""How near the fast simulator is to the limits of the processor: the least time that its work can take, by network.

    python benchmarks/roofline.py

takes about two minutes on one core, and publishes the results.  Three limits of one core are measured first: bytes that
it can add up and bytes that it can update in the first-level cache, and multiply-accumulates of dense products.  The
least time of a network is that of

- the additions that its spikes cause, each of which reads a weight of four bytes,
- its dense products, where the input is constant, or where they take less time than the additions,
- its neurons: each reads its input, and reads and writes its states.

Nothing else is counted: neither the positions of spikes nor maxima, counts and scores.
"""

import argparse

import numpy as np
import simulators
from core_limits import core_limits
from results import publish, table_lines

import nengo_snnconv as snc
from nengo_snnconv.model import connectivity

STEPS = {"airbench-cifar10": 4, "resnet14-cifar10": 4}


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--images", type=int, default=50)
    parser.add_argument("--steps", type=int, default=30, help="time steps of networks for MNIST")
    options = parser.parse_args()
    limits = core_limits()
    print({name: f"{value:.3g}" for name, value in limits.items()}, flush=True)
    rows = {}
    for name, (network, x) in networks(options.images).items():
        rows[name] = row_of(network, x, STEPS.get(name, options.steps), limits)
        print(name, rows[name], flush=True)
    publish("roofline", table(rows, limits), {"limits": limits, "rows": rows})


def networks(n_images):
    """Return spiking networks and images: {name: (ConvNetwork, ndarray)}."""
    data = snc.load_dataset("digits")
    found = {name: (network, data.x_test[:n_images]) for name, network in simulators.networks(data).items()}
    images = snc.load_dataset("cifar-10", train=500, test=n_images)
    for name in STEPS:
        converted = snc.normalize(
            snc.convert(snc.pretrained(name)), images.x_train, method="balance", n_steps=STEPS[name]
        )
        found[name] = snc.to_spiking(converted, snc.SignedIntegrateAndFire()), images.x_test
    return found


def row_of(network, x, n_steps, limits):
    """Return microseconds for an image and step: measured, and the least of each part of the work."""
    evaluation = snc.evaluate(network, x, np.zeros(len(x), int), n_steps=n_steps, threads=1)
    profile = min((snc.profile(network, x, n_steps=n_steps) for _ in range(3)), key=lambda found: found.seconds)
    model = network.model
    macs, rates = sum(connectivity.multiply_accumulates(model).values()), limits["products"]
    constant = evaluation.input_operations
    additions = evaluation.synaptic_operations / n_steps
    sums = min(4 * additions / limits["added"], (macs - constant) / rates)
    states = sum(profile.layers[name].state_bytes for name in model.neurons)
    neurons = (2 * states + 4 * sum(map(model.size, model.neurons))) / limits["updated"]
    parts = {"additions": sums, "constant input": constant / n_steps / rates, "neurons": neurons}
    return {
        "additions": additions,
        "least": {name: 1e6 * value for name, value in parts.items()},
        "measured": 1e6 * profile.seconds,
        "connections": 1e6 * sum(layer.connections for layer in profile.layers.values()),
        "neurons": 1e6 * sum(layer.neurons for layer in profile.layers.values()),
    }


def table(rows, limits):
    """Return the least and the measured times as Markdown."""
    columns = ["additions", "least: sums", "neurons", "both", "measured: sums", "neurons", "all", "least / all"]
    cells = {}
    for name, row in rows.items():
        least = row["least"]
        sums = least["additions"] + least["constant input"]
        times = [sums, least["neurons"], sums + least["neurons"], row["connections"], row["neurons"], row["measured"]]
        share = (sums + least["neurons"]) / row["measured"]
        cells[name] = [f"{row['additions']:,.0f}", *(f"{value:,.1f}" for value in times), f"{100 * share:.0f} %"]
    text = (
        f"One core adds up {limits['added'] / 1e9:,.0f} GB/s, updates states of "
        f"{limits['updated'] / 1e9:,.0f} GB/s in its first-level cache, and computes "
        f"{limits['products'] / 1e9:,.0f} billion multiply-accumulates per second. Microseconds for an "
        "image and step on one core, as these limits allow and as measured:\n\n"
    )
    return text + "\n".join(table_lines(columns, cells))


if __name__ == "__main__":
    main()
