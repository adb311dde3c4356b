"""Write the table of all methods in README, from the results in docs/results.

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
        "the same, calibrated and trained",
        "airbench-cifar10, CIFAR-10",
        "deep-networks",
        ("rows", "airbench-cifar10, calibrated and trained, signed spikes, 4"),
    ),
    (
        "cifar10-in-four-steps",
        "the same, calibrated",
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
        results = json.loads((ROOT / "docs" / "results" / f"{name}.json").read_text(encoding="utf-8"))
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
    fill("overview", overview())
