"""Networks on nengo_loihi's emulator: accuracy compared with the ANN and with nengo, and causes of the loss.

    python benchmarks/loihi_emulator.py

trains three ANNs on the digits of the package if build/ does not contain them, converts them, runs them on the
emulator, and publishes the results.  Intermediate results are kept in build/loihi-emulator.json, so that an interrupted
run continues; --restart starts again.
"""

import argparse
import itertools
import json
import warnings
import zlib

import nengo
from results import ROOT, publish

import nengo_snnconv as snc
from nengo_snnconv._util.atomic import atomic_write
from nengo_snnconv.compat import tf
from nengo_snnconv.evaluation import backends

KEPT = ROOT / "build" / "loihi-emulator.json"
STEPS = (10, 20, 30, 40, 60)
WIDE, DEEP = "four layers", "six layers"
IMAGES = 1000
# network: description
NETWORKS = {
    "diehl-mnist": "12c5-2s-64c5-2s-10, average pooling",
    WIDE: "32c3-64c3/2-128c3/2-10",
    DEEP: "12c5/2-32c3-32c3/2-48c3-64-10",
}
RECIPE = "LIF(min_voltage=-5), 300 Hz"
OFTEN = "SpikingRectifiedLinear(), 1000 Hz"
HALF_A_STEP = nengo.LIF(tau_ref=0.0005, min_voltage=-5)
# neurons: (neuron type, max_rate)
NEURONS = {
    RECIPE: (nengo.LIF(min_voltage=-5), 300),
    "LIF(min_voltage=-5), 200 Hz": (nengo.LIF(min_voltage=-5), 200),
    "LIF(tau_ref=0.0005, min_voltage=-5), 150 Hz": (HALF_A_STEP, 150),
    "LIF(tau_ref=0.0005, min_voltage=-5), 300 Hz": (HALF_A_STEP, 300),
    "LIF(tau_ref=0.0005, min_voltage=-5), 900 Hz": (HALF_A_STEP, 900),
    "LIF(tau_ref=0.0005), 300 Hz": (nengo.LIF(tau_ref=0.0005), 300),
    "SpikingRectifiedLinear(), 300 Hz": (nengo.SpikingRectifiedLinear(), 300),
    OFTEN: (nengo.SpikingRectifiedLinear(), 1000),
}


class ExactWeights(backends.LoihiBackend):
    """The emulator's neurons with floating-point weights instead of rounded ones."""

    target = "simreal"


backends.BACKENDS["exact weights"] = ExactWeights
BACKENDS = ("fast", "exact weights", "loihi")
PUBLISHED = ("images", "accuracy", "ann_accuracy", "spikes_per_neuron", "synaptic_operations", "seconds")


def strided(convolutions, hidden=()):
    """Return a Keras model of convolutions (filters, size, strides), hidden dense layers (units), and ten scores."""
    layers = tf.keras.layers
    image = x = tf.keras.Input((28, 28, 1), name="image")
    for i, (filters, size, strides) in enumerate(convolutions, start=1):
        x = layers.Conv2D(filters, size, strides=strides, activation="relu", name=f"conv{i}")(x)
    x = layers.Flatten(name="flatten")(x)
    for i, units in enumerate(hidden, start=1):
        x = layers.Dropout(0.3, name=f"dropout{i}")(layers.Dense(units, activation="relu", name=f"dense{i}")(x))
    return tf.keras.Model(image, layers.Dense(10, name="scores")(x))


MODELS = {
    "diehl-mnist": lambda: snc.preset("diehl-mnist"),
    WIDE: lambda: strided([(32, 3, 1), (64, 3, 2), (128, 3, 2)]),
    DEEP: lambda: strided([(12, 5, 2), (32, 3, 1), (32, 3, 2), (48, 3, 1)], hidden=[64]),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--restart", action="store_true", help="ignore intermediate results")
    parser.add_argument("--quick", action="store_true", help="tiny run without publication")
    options = parser.parse_args()
    kept = json.loads(KEPT.read_text()) if KEPT.exists() and not (options.restart or options.quick) else {}
    data = snc.load_dataset("digits")
    for name in NETWORKS:
        # earlier results may come from another training
        checksum = zlib.crc32(b"".join(array.tobytes() for array in trained(name, data).model.arrays.values()))
        if kept.get(name, {}).get("checksum") != checksum:
            kept[name] = {"checksum": checksum}
    cases = [(name, neurons) for name in NETWORKS for neurons in NEURONS if name == DEEP or neurons in (RECIPE, OFTEN)]
    for name, neurons in cases:
        row = kept.setdefault(name, {}).setdefault(neurons, {})
        for backend in BACKENDS:
            if backend not in row:
                row[backend] = run(name, neurons, backend, data, 5 if options.quick else IMAGES)
                print(name, neurons, backend, *losses(row[backend]), flush=True)
                if not options.quick:
                    keep(kept)
    print(table(kept))
    if not options.quick:
        publish("loihi-emulator", table(kept), {"networks": kept})


def keep(kept):
    """Write intermediate results."""
    with atomic_write(KEPT, "w") as file:
        json.dump(kept, file)


def trained(name, data):
    """Return the ANN of a network from build/, or train it for a few epochs on the digits of the package."""
    path = ROOT / "build" / f"{name.replace(' ', '-')}-digits.snn.npz"
    if not path.exists():
        tf.keras.utils.set_random_seed(0)
        network = snc.build_trainable(MODELS[name](), nengo.RectifiedLinear())
        settings = {"epochs": 4, "batch_size": 100, "learning_rate": 3e-3, "schedule": "cosine"}
        path.parent.mkdir(exist_ok=True)
        snc.save(snc.train(network, data.x_train, data.y_train, **settings), path)
    return snc.load(path)


def run(name, neurons, backend, data, n_images):
    """Return the results of a network with one neuron type on one back end."""
    neuron_type, max_rate = NEURONS[neurons]
    network = snc.normalize(snc.convert(trained(name, data)), data.x_train[:1000])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # some settings cause warnings on purpose
        network = snc.to_spiking(network, neuron_type, max_rate=max_rate)
        x, y = data.x_test[:n_images], data.y_test[:n_images]
        evaluation = snc.evaluate(network, x, y, n_steps=STEPS[-1], backend=backend)
    rows = snc.to_loihi(network).report().splitlines()
    n_cores = sum(int(row.partition(") on ")[2].split()[0]) for row in rows if ") on " in row)
    figures = evaluation.to_dict()
    return {key: figures[key] for key in PUBLISHED} | {"cores": n_cores}


def table(kept):
    steps, others = " | ".join(map(str, STEPS)), f"on nengo, {STEPS[-1]} | exact weights, {STEPS[-1]}"
    images = f"{kept[DEEP][RECIPE]['loihi']['images']:,}"
    return f"""
Loss of accuracy on the emulator compared with the ANN, in percentage points, by number of steps (negative: gain), on
{images} test images of the digits in the package; "/2" is a stride of 2.

| | neurons | ANN, % | {steps} | {others} | cores | spikes per neuron | seconds per image |
|---|---|---|{"---|" * (len(STEPS) + 5)}
{rows_of(kept)}

Other neuron types in the network {DEEP}:

| | {steps} | {others} | spikes per neuron |
|---|{"---|" * (len(STEPS) + 3)}
{ablations_of(kept)}

"On nengo" is the network of `to_spiking` on nengo; "exact weights" is the emulator with the neurons of the chip, but
without rounding weights to 8 bits. Other programs used the machine at the same time.
"""


def rows_of(kept):
    rows = []
    for name, neurons in itertools.product(NETWORKS, (RECIPE, OFTEN)):
        nengo_, exact, chip = (kept[name][neurons][backend] for backend in BACKENDS)
        what = f"{name}: {NETWORKS[name]}" if neurons == RECIPE else ""
        cells = [what, neurons, f"{100 * chip['ann_accuracy']:.2f}", *losses(chip)]
        cells += [losses(nengo_)[-1], losses(exact)[-1], chip["cores"], f"{chip['spikes_per_neuron']:.2f}"]
        rows.append([*cells, f"{chip['seconds'] / chip['images']:.2f}"])
    return markdown(rows)


def ablations_of(kept):
    rows = []
    for neurons in NEURONS:
        nengo_, exact, chip = (kept[DEEP][neurons][backend] for backend in BACKENDS)
        rows.append([neurons, *losses(chip), losses(nengo_)[-1], losses(exact)[-1], f"{chip['spikes_per_neuron']:.2f}"])
    return markdown(rows)


def losses(result):
    """Return the loss in percentage points after each of STEPS, as text."""
    return [f"{100 * (result['ann_accuracy'] - result['accuracy'][n - 1]):.2f}" for n in STEPS]


def markdown(rows):
    return "\n".join("| " + " | ".join(map(str, row)) + " |" for row in rows)


if __name__ == "__main__":
    main()
