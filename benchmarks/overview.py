"""Write the tables of all methods and of neuron types, in README and the documentation, from docs/results.

    python benchmarks/overview.py

Every benchmark that publishes results does so as well.
"""

import json
import pathlib

from nengo_snnconv._util.atomic import atomic_write

ROOT = pathlib.Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]

# tutorial, method, network and task, file of results, and their keys in it
ROWS = (
    ("rate-training", "rate training", "lif-mnist, MNIST", "rate-training", ("evaluation",)),
    (
        "diehl-conversion",
        "conversion of a CNN",
        "diehl-mnist, MNIST",
        "diehl-conversion",
        ("constant input, 99.9th percentile",),
    ),
    (
        "cifar10-in-four-steps",
        "conversion, calibrated and trained",
        "airbench-cifar10, CIFAR-10",
        "deep-networks",
        ("rows", "airbench-cifar10, calibrated and trained, signed spikes, 4"),
    ),
    (
        "cifar10-in-four-steps",
        "the same, first layer split into groups of 4",
        "airbench-cifar10, CIFAR-10",
        "deep-networks",
        ("rows", "airbench-cifar10, calibrated and trained, signed spikes, first layer split into 4, 4"),
    ),
    (
        "cifar10-in-four-steps",
        "conversion, calibrated",
        "resnet14-cifar10, CIFAR-10",
        "deep-networks",
        ("rows", "resnet14-cifar10, calibrated, signed spikes, 8"),
    ),
    (
        "time-to-first-spike",
        "time to first spike",
        "ttfs-mnist, MNIST",
        "first-spike",
        ("networks", "ttfs-mnist", "search, 16 steps"),
    ),
    (
        "time-to-first-spike",
        "time to first spike",
        "airbench-cifar10, CIFAR-10",
        "first-spike-deep",
        ("rows", "airbench-cifar10, search, constant input, calibrated, 32"),
    ),
    (
        "surrogate-gradients",
        "surrogate gradients",
        "surrogate-nmnist, real N-MNIST",
        "surrogate-gradients",
        ("real", "real"),
    ),
)
TEST_IMAGES = {"first-spike": 10000, "first-spike-deep": 10000}  # other files contain the number
STEPS = {"first-spike": "16 per stage", "first-spike-deep": "32 per stage"}


def overview():
    """Return the table, with its origin, as Markdown."""
    lines = ["| method | network and task | test items | CNN | with spikes | steps | spikes per neuron |"]
    lines.append("|---|---|---|---|---|---|---|")
    origins = set()
    for tutorial, method, task, name, keys in ROWS:
        results = _results(name)
        origins.add((results["date"], results["machine"]))
        for key in keys:
            results = results[key]
        ann = results["ann_accuracy"]
        accuracy = results["accuracy"]
        cells = (
            f"[{method}](docs/tutorials/{tutorial}.md)",
            task,
            f"{results.get('images') or TEST_IMAGES[name]:,}",
            "" if ann is None else f"{100 * ann:.2f} %",
            f"{100 * (accuracy[-1] if isinstance(accuracy, list) else accuracy):.2f} %",
            str(results.get("n_steps") or STEPS[name]),
            f"{results['spikes_per_neuron']:.2g}",
        )
        lines.append(f"| {' | '.join(cells)} |")
    dates = sorted({date for date, _ in origins})
    machines = "; ".join(sorted({machine for _, machine in origins}))
    days = dates[0] if len(dates) == 1 else f"{dates[0]} to {dates[-1]}"
    return "\n".join(lines) + f"\n\nMeasured on {days} ({machines}).\n"


# neuron type -> row of diehl-conversion.json (MNIST), and row of deep-networks.json (CIFAR-10) without the number of
# steps; thresholds are those of normalize, unless calibrated
NEURONS = {
    "`IntegrateAndFire()`": ("the defaults: subtract, start at half, signed", "balanced thresholds"),
    'the same, `reset="zero"`': ("reset to zero", None),
    "`nengo.SpikingRectifiedLinear()`": ("nengo.SpikingRectifiedLinear, start at half", None),
    "`SignedIntegrateAndFire()`": (None, "the same, signed spikes"),
    "the same, calibrated": (None, "calibrated, signed spikes"),
    "the same, first layer split into groups of 4": (None, "calibrated, signed spikes, first layer split into 4"),
    "the same, all layers with `max_spikes=4` instead": (None, "calibrated, up to 4 signed spikes a step"),
}
CIFAR_NETWORKS = ("airbench-cifar10", "resnet14-cifar10")


def neurons():
    """Return the table of neuron types, with its origin, as Markdown."""
    shallow, deep = map(_results, ("diehl-conversion", "deep-networks"))
    columns = ["diehl-mnist, MNIST, 8 steps", *(f"{name}, CIFAR-10, 4 steps" for name in CIFAR_NETWORKS)]
    lines = [f"| | {' | '.join(columns)} |", "|---" * (len(columns) + 1) + "|"]
    for title, (row, kind) in NEURONS.items():
        cells = [_lost(shallow[row], 8) if row else ""]
        cells += [_lost(deep["rows"][f"{name}, {kind}, 4"], 4) if kind else "" for name in CIFAR_NETWORKS]
        lines.append(f"| {title} | {' | '.join(cells)} |")
    images = shallow["reset to zero"]["images"]
    origins = sorted({(results["date"], results["machine"]) for results in (shallow, deep)})
    measured = " and ".join(f"{date} ({machine})" for date, machine in origins)
    return "\n".join(lines) + f"\n\n{images:,} test images of MNIST, 10,000 of CIFAR-10, measured on {measured}.\n"


def _results(name):
    """Return published results."""
    return json.loads((ROOT / "docs" / "results" / f"{name}.json").read_text(encoding="utf-8"))


def _lost(results, n_steps):
    """Return the points lost after ``n_steps`` steps, and the share of operations if the run ended then, as text."""
    lost = 100 * (results["ann_accuracy"] - results["accuracy"][n_steps - 1])
    if len(results["accuracy"]) > n_steps:
        return f"{lost + 0.0:.2f}"
    return f"{lost + 0.0:.2f} ({100 * results['synaptic_operations'] / results['ann_operations']:.0f} %)"


def renew():
    """Write the tables that summarize several benchmarks."""
    fill("overview", overview())
    fill("overview-docs", overview().replace("(docs/", "(../"))
    fill("neurons", neurons())


def fill(name, text):
    """Replace the text between the marks "begin NAME" and "end NAME" in README and the pages of the documentation."""
    begin, end = f"<!-- begin {name} -->\n", f"<!-- end {name} -->"
    for path in PAGES:
        page = path.read_text(encoding="utf-8")
        if begin in page:
            head, rest = page.split(begin, 1)
            with atomic_write(path, "w") as file:
                file.write(head + begin + text + end + rest.split(end, 1)[1])


if __name__ == "__main__":
    renew()
