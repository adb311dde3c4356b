"""Time per simulation step of lif-mnist with each of NengoDL's graph planners, with and without synapses.

    python benchmarks/planners.py

publishes the results.
"""

import time

import numpy as np
from results import publish

import nengo_snnconv as snc
from nengo_snnconv.compat import nengo_dl
from nengo_snnconv.networks.trainable_settings import PLANNERS

BATCH = 100
SYNAPSES = (None, 0.002)


def seconds_per_step(network, x, steps=4, repeats=3):
    data = {network.input: np.repeat(x.reshape(len(x), 1, -1), steps, axis=1)}
    with nengo_dl.Simulator(network, minibatch_size=len(x), progress_bar=False) as simulator:
        times = []
        for _ in range(repeats + 1):
            started = time.perf_counter()
            simulator.predict_on_batch(data, n_steps=steps, stateful=True)
            times.append((time.perf_counter() - started) / steps)
    return float(np.median(times[1:]))  # the first run compiles


def main():
    x = snc.load_dataset("digits", train=BATCH, test=1).x_train
    network = snc.build_trainable(snc.preset("lif-mnist"))
    times = {}
    for planner in PLANNERS:
        variants = {synapse: network.rebuild(planner=planner, synapse=synapse) for synapse in SYNAPSES}
        times[planner] = {str(synapse): seconds_per_step(variant, x) for synapse, variant in variants.items()}
    table = f"| seconds per step of {BATCH} images | without synapses | synapse=0.002 |\n|---|---|---|\n"
    for planner, row in times.items():
        table += f"| {planner} | {row['None']:.3f} | {row['0.002']:.3f} |\n"
    print(table)
    publish("planners", table, {"seconds_per_step": times})


if __name__ == "__main__":
    main()
