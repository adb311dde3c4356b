"""Deep networks in few steps: points of accuracy lost on CIFAR-10 after 1 to 16 steps, for several conversions.

    python benchmarks/deep_networks.py
    python benchmarks/deep_networks.py --by-stages

Calibration sees 1,000 training images by default; all other settings are those of the functions.  Networks are trained
for few steps on training images without labels: they learn the outputs of the CNN.  Trained networks and intermediate
results are kept in build/, so an interrupted run continues.  With --rows or --networks, other cells of the table
show earlier results, or are empty.
"""

import argparse
import dataclasses
import json
import time
import zlib

import numpy as np
from matplotlib.figure import Figure
from results import ROOT, median_seconds, publish, table_lines

import nengo_snnconv as snc
from nengo_snnconv._util.atomic import atomic_write
from nengo_snnconv.compat import tf
from nengo_snnconv.passes import quantize
from nengo_snnconv.presets import PRETRAINED
from nengo_snnconv.presets.trained_presets import FOLDER

KEPT = ROOT / "build" / "deep-networks.json"
STEPS = (1, 2, 4, 8, 16)
# settings of train, by the numbers of steps, of spikes in a step, and of neurons into which each of the first layer is
# split.  If mirrored, the teacher sees each image and its mirror image.  Other settings had been measured on the test
# images before: for (1, 1, 1) 10 epochs without mirror images; for (8, 1, 1), (2, 4, 1) and (4, 4, 1) 1 epoch at 1e-4
# without mirror images and 2 at 1.5e-4 with them; for (4, 1, 4) 3 epochs at 2e-4.  The other learning rates had the
# smallest training loss of those tried.  Networks that are not split were trained before train smoothed gradients.
TRAINING = {
    (1, 1, 1): {"epochs": 40, "learning_rate": 5e-4, "mirrored": True},
    (2, 1, 1): {"epochs": 4, "learning_rate": 3e-4},
    (4, 1, 1): {"epochs": 4, "learning_rate": 2e-4},
    (8, 1, 1): {"epochs": 3, "learning_rate": 2e-4, "mirrored": True},
    (1, 1, 4): {"epochs": 20, "learning_rate": 5e-4, "mirrored": True},
    (2, 1, 4): {"epochs": 5, "learning_rate": 3e-4, "mirrored": True},
    (4, 1, 4): {"epochs": 10, "learning_rate": 3e-4, "mirrored": True},
    (8, 1, 4): {"epochs": 6, "learning_rate": 2e-4, "mirrored": True},
    (1, 4, 1): {"epochs": 4, "learning_rate": 2e-4},
    (2, 4, 1): {"epochs": 3, "learning_rate": 2e-4, "mirrored": True},
    (4, 4, 1): {"epochs": 3, "learning_rate": 2e-4, "mirrored": True},
}
BATCH = 200  # images that the CNN predicts together
COMPARED = 100  # images whose spike counts are compared with the quantized ANN


@dataclasses.dataclass
class Row:
    """A conversion: neurons, networks that are trained on spikes (the row has no others), and the numbers of steps."""

    neuron_type: type
    trained: tuple[str, ...] | None = None
    calibrated: bool = False
    max_spikes: int = 1
    split: int = 1  # neurons in place of each of the first layer
    steps: tuple[int, ...] = STEPS

    def steps_of(self, name):
        """Return the numbers of steps for which a network is measured."""
        return self.steps if self.trained is None or name in self.trained else ()


ROWS = {
    "balanced thresholds": Row(snc.IntegrateAndFire, steps=(4,)),
    "the same, signed spikes": Row(snc.SignedIntegrateAndFire, steps=(4,)),
    "calibrated": Row(snc.IntegrateAndFire, calibrated=True, steps=(4,)),
    "calibrated, signed spikes": Row(snc.SignedIntegrateAndFire, calibrated=True),
    "calibrated, signed spikes, first layer split into 4": Row(snc.SignedIntegrateAndFire, calibrated=True, split=4),
    "calibrated, up to 4 signed spikes a step": Row(
        snc.SignedIntegrateAndFire, calibrated=True, max_spikes=4, steps=(1, 2, 4)
    ),
    "calibrated and trained, signed spikes": Row(
        snc.SignedIntegrateAndFire, calibrated=True, trained=("airbench-cifar10",), steps=(1, 2, 4, 8)
    ),
    "calibrated and trained, signed spikes, first layer split into 4": Row(
        snc.SignedIntegrateAndFire, calibrated=True, trained=("airbench-cifar10",), split=4, steps=(1, 2, 4, 8)
    ),
    "calibrated and trained, up to 4 signed spikes a step": Row(
        snc.SignedIntegrateAndFire, calibrated=True, trained=("airbench-cifar10",), max_spikes=4, steps=(1, 2, 4)
    ),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--networks", nargs="+", choices=list(PRETRAINED), default=list(PRETRAINED))
    parser.add_argument("--test-images", type=int, default=10000)
    parser.add_argument("--calibration-images", type=int, default=1000)
    parser.add_argument("--most-steps", type=int, default=STEPS[-1])
    parser.add_argument("--rows", nargs="+", choices=list(ROWS), default=list(ROWS), metavar="ROW")
    parser.add_argument("--restart", action="store_true", help="ignore intermediate results")
    parser.add_argument("--by-stages", action="store_true", help="measure networks that run in stages instead")
    options = parser.parse_args()
    if options.by_stages:
        publish_stages(options)
        return
    data = snc.load_dataset("cifar-10", test=options.test_images)
    steps = [n for n in STEPS if n <= options.most_steps]
    measure(data, options, options.rows)
    options.networks = list(PRETRAINED)
    kept = kept_results(options)
    publish("deep-networks", table(kept, steps, options), {"rows": kept})
    with atomic_write(ROOT / "docs" / "results" / "deep-networks.png") as file:
        figure(kept, steps, options.networks).savefig(file, format="png", dpi=100)


def measure(data, options, titles=tuple(ROWS)):
    """Return the results of rows of the table, {"network, title, steps": result}, from build/ if they are there."""
    kept = {} if options.restart else kept_results(options)
    wanted = wanted_results(options, titles)
    for key, (name, title, n_steps) in wanted.items():
        if key not in kept:
            result = run(name, ROWS[title], data, n_steps, options.calibration_images)
            kept[key] = run_on(name, options) | result
            KEPT.parent.mkdir(exist_ok=True)
            with atomic_write(KEPT, "w") as file:
                json.dump((json.loads(KEPT.read_text()) if KEPT.exists() else {}) | {key: kept[key]}, file)
        print(key, f"{loss(kept[key]):.2f} points lost", flush=True)
    return {key: kept[key] for key in wanted}


def wanted_results(options, titles=tuple(ROWS)):
    """Return what belongs in rows of the table: {"network, title, steps": (network, title, steps)}."""
    cells = [
        (name, title, n_steps)
        for name in options.networks
        for title in titles
        for n_steps in ROWS[title].steps_of(name)
        if n_steps <= options.most_steps
    ]
    return {", ".join(map(str, cell)): cell for cell in cells}


def kept_results(options):
    """Return the results in build/ that were measured in the same way."""
    kept = json.loads(KEPT.read_text()) if KEPT.exists() else {}
    return {
        key: kept[key]
        for key, (name, *_) in wanted_results(options).items()
        if run_on(name, options).items() <= kept.get(key, {}).items()
    }


def run_on(name, options):
    """Return the numbers of images and the weights on which a result depends."""
    return {
        "sizes": [options.test_images, options.calibration_images],
        "weights": zlib.crc32((FOLDER / f"{name}.npz").read_bytes()),
    }


def run(name, row, data, n_steps, n_images):
    """Convert a network for a number of steps, evaluate it, and return the results."""
    x = data.x_train[:n_images]
    started = time.perf_counter()
    network = snc.normalize(snc.convert(snc.pretrained(name)), x, method="balance", n_steps=n_steps)
    neurons = {"*": row.neuron_type(max_spikes=row.max_spikes)}
    if row.split > 1:
        neurons |= dict.fromkeys(network.model.first_neurons, row.neuron_type(max_spikes=row.split))
    snn = snc.to_spiking(network, neurons)
    if row.calibrated:
        snn = snc.calibrate(snn, x, n_steps=n_steps)
    seconds = time.perf_counter() - started
    if row.trained:
        snn = trained(snn, name, row, data, n_steps)
    if row.split > 1:
        snn = snc.split_neurons(snn)
    evaluation = snc.evaluate(snn, data.x_test, data.y_test, n_steps=n_steps)
    spikes = evaluation.spikes_per_neuron * n_neurons(snn) / n_neurons(network)
    results = {"conversion_seconds": seconds, **evaluation.to_dict(), "spikes_per_neuron": spikes}
    ann = snc.rate_model(network)
    return results | median_seconds({"ann_seconds": lambda: ann.predict(data.x_test, BATCH, verbose=0)}, repeats=1)


def n_neurons(network):
    """Return the number of neurons of a network."""
    return sum(map(network.model.size, network.model.neurons))


def trained(snn, name, row, data, n_steps):
    """Return a spiking network after training for ``n_steps`` steps."""
    settings = dict(TRAINING[n_steps, row.max_spikes, row.split])
    teacher = mirrored_teacher(name) if settings.pop("mirrored", False) else None
    first_layer = "" if row.split == 1 else f"-{row.split}-in-first-layer"
    path = KEPT.with_name(f"{name}-{n_steps}-steps-{row.max_spikes * n_steps}-spikes{first_layer}.checkpoint.npz")

    def show(epoch, values):
        shown = {key: round(value, 4) for key, value in values.items() if key in ("loss", "accuracy", "seconds")}
        print(f"{name}, {n_steps} steps, epoch {epoch}: {shown}", flush=True)

    return snc.train(
        snn,
        data.x_train,
        n_steps=n_steps,
        teacher=teacher,
        **settings,
        batch_size=100,
        schedule="cosine",
        augment=snc.random_flip_and_shift(),
        precision="auto",
        checkpoint=path,
        on_epoch=show,
    )


def mirrored_teacher(name):
    """Return the mean of the class probabilities that a CNN gives to images and to their mirror images."""
    ann = snc.rate_model(snc.convert(snc.pretrained(name)))

    @tf.function
    def probabilities(images):
        return (tf.nn.softmax(ann(images)) + tf.nn.softmax(ann(images[:, :, ::-1]))) / 2

    return probabilities


def cnn_accuracy(kept, name):
    """Return the accuracy of the CNN."""
    return next(result["ann_accuracy"] for key, result in kept.items() if key.startswith(f"{name}, "))


def loss(result):
    """Return the points of accuracy lost after the last step, compared with the CNN."""
    return 100 * (result["ann_accuracy"] - result["accuracy"][-1])


def table(kept, steps, options):
    """Return the table of losses and spikes as Markdown."""
    lines = []
    for name in options.networks:
        lines += [
            f"Points of accuracy lost by {name} ({100 * cnn_accuracy(kept, name):.2f} % as a CNN) on "
            f"{options.test_images:,} test images, and spikes per neuron of the CNN in brackets:",
            "",
        ]
        rows = {}
        for title in ROWS:
            results = [kept.get(f"{name}, {title}, {n}") for n in steps]
            if any(results):
                rows[title] = [f"{loss(r):.2f} ({r['spikes_per_neuron']:.2f})" if r else "" for r in results]
        lines += [
            *table_lines(titles_of(steps), rows),
            "",
            negative_share(kept, name, steps),
            "",
            seconds(kept, name),
            "",
        ]
    return "\n".join(lines)


def titles_of(steps):
    """Return the titles of columns for numbers of steps."""
    return [f"{n} step{'s' if n > 1 else ''}" for n in steps]


def figure(kept, steps, names):
    """Return a figure of the loss after each number of steps, with a panel for each network."""
    drawn = Figure(figsize=(5.5 * len(names) + 3.2, 4.2), layout="constrained")
    for ax, name in zip(np.atleast_1d(drawn.subplots(1, len(names), sharey=True)), names, strict=True):
        for number, (title, row) in enumerate(ROWS.items()):
            xs = [n for n in steps if f"{name}, {title}, {n}" in kept]
            if not xs:
                continue
            losses = np.array([loss(kept[f"{name}, {title}, {n}"]) for n in xs])
            style = {"linestyle": "--" if row.trained else "-", "marker": "s" if row.calibrated else "o"}
            ax.plot(xs, losses, color=f"C{number}", label=title, **style)
        ax.set_xscale("log", base=2)
        ax.set_xticks(steps, [str(n) for n in steps])
        ax.set_yscale("symlog", linthresh=0.5)
        ax.set_ylim(bottom=min(-0.1, *(line.get_ydata().min() for line in ax.lines)))
        ax.set_yticks([0, 0.5, 1, 2, 5, 10, 20, 50], ["0", "0.5", "1", "2", "5", "10", "20", "50"])
        ax.set(title=f"{name} ({100 * cnn_accuracy(kept, name):.1f} % as a CNN)", xlabel="time steps")
        ax.grid(alpha=0.3)
    drawn.axes[0].set_ylabel("points of accuracy lost")
    drawn.legend(*drawn.axes[0].get_legend_handles_labels(), loc="outside right center", fontsize="small")
    return drawn


def negative_share(kept, name, steps):
    """Return a sentence on negative spikes."""
    shares = [
        100 * kept[f"{name}, {title}, {n}"]["negative_spikes_share"]
        for title, row in ROWS.items()
        for n in steps
        if n > 1 and f"{name}, {title}, {n}" in kept and row.neuron_type is snc.SignedIntegrateAndFire
    ]
    if not shares:
        return ""
    return f"Of the spikes of signed neurons, {min(shares):.0f} to {max(shares):.0f} % were negative (from 2 steps on)."


def seconds(kept, name):
    """Return a sentence on the time of the simulation after four steps."""
    of_cnn = [
        result["ann_seconds"] for key, result in kept.items() if key.startswith(f"{name}, ") and "ann_seconds" in result
    ]
    found = {
        title: kept[key]["seconds"] for title in ROWS if "ann_seconds" in kept.get(key := f"{name}, {title}, 4", {})
    }
    if not found:
        return ""
    parts = [f"{taken:.0f} s, {taken / min(of_cnn):.1f} times as long ({title})" for title, taken in found.items()]
    return (
        f"The CNN took {min(of_cnn):.1f} s for all images, at best of {len(of_cnn)} runs, and a simulation of 4 steps "
        f"{'; '.join(parts)}."
    )


def publish_stages(options):
    """Publish the results of networks that run in stages, beside those of as many ordinary steps."""
    data = snc.load_dataset("cifar-10", test=options.test_images)
    rows = []
    for name in PRETRAINED:
        network = snc.convert(snc.pretrained(name))
        for n_steps in (n for n in STEPS if 1 < n <= options.most_steps):
            rows.append({"network": name, "steps": n_steps, **measure_stages(network, data, n_steps, options)})
            print(rows[-1], flush=True)
    lines = [
        f"Points of accuracy lost on {options.test_images:,} test images, and spike counts that differ from the "
        f"quantized ANN on the first {COMPARED}; no count differs if weights are rounded to multiples of 2^-12 and "
        "pixels to multiples of 2^-8:",
        "",
        "| network | steps a stage | steps | points lost | spikes per neuron | differing counts | seconds | the same "
        "steps without stages: points lost | seconds |",
        "|---" * 9 + "|",
    ]
    for row in rows:
        assert row["differing_if_rounded"] == 0
        lines.append(
            f"| {row['network']} | {row['steps']} | {row['total_steps']} | {row['points_lost']:.2f} | "
            f"{row['spikes_per_neuron']:.2f} | {row['differing']:,} of {row['counts']:,} | {row['seconds']:.0f} | "
            f"{row['ordinary_points_lost']:.2f} | {row['ordinary_seconds']:.0f} |"
        )
    publish("deep-networks-by-stages", "\n".join(lines), {"rows": rows})


def measure_stages(network, data, n_steps, options):
    """Return the results of ``n_steps`` steps a stage, and of as many ordinary steps."""
    normalized = snc.normalize(network, data.x_train[: options.calibration_images], method="balance", n_steps=n_steps)
    staged, ordinary = snc.to_spiking(normalized, stage_steps=n_steps), snc.to_spiking(normalized)
    evaluation = snc.evaluate(staged, data.x_test, data.y_test)
    plain = snc.evaluate(ordinary, data.x_test, data.y_test, n_steps=n_steps)
    # sums of these are exact in float32
    arrays = {name: np.round(2**12 * array) / 2**12 for name, array in normalized.model.arrays.items()}
    rounded = snc.to_spiking(normalized.rebuild(normalized.model.replace(arrays=arrays)), stage_steps=n_steps)
    x = data.x_test[:COMPARED]
    differing, n_counts = differing_counts(staged, x)
    return {
        "total_steps": evaluation.n_steps,
        "points_lost": 100 * (evaluation.ann_accuracy - evaluation.accuracy[-1]),
        "ordinary_points_lost": 100 * (plain.ann_accuracy - plain.accuracy[-1]),
        "spikes_per_neuron": evaluation.spikes_per_neuron,
        "ordinary_spikes_per_neuron": plain.spikes_per_neuron,
        "seconds": evaluation.seconds,
        "ordinary_seconds": plain.seconds,
        "differing": differing,
        "differing_if_rounded": differing_counts(rounded, np.round(2**8 * x) / np.float32(2**8))[0],
        "counts": n_counts,
    }


def differing_counts(network, x, batch=10):
    """Return how many spike counts differ from the quantized ANN, and how many there are."""
    n_steps, names = network.settings.stage_steps, network.model.neurons
    ann = snc.rate_model(network.rebuild(quantize(network.model, n_steps)), names)
    differing = n_counts = 0
    for first in range(0, len(x), batch):
        images = x[first : first + batch]
        recording = snc.record(network, images)
        for name, activity in zip(names, ann(images), strict=True):
            counts = recording.spikes[name].sum(axis=1)
            differing += int((counts != np.rint(n_steps * np.reshape(activity, counts.shape))).sum())
            n_counts += counts.size
    return differing, n_counts


if __name__ == "__main__":
    main()
