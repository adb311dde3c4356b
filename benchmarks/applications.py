"""Conversion of the models in keras.applications: those that are read exactly, and reasons for refusing others.

    python benchmarks/applications.py
    python benchmarks/applications.py --tf-keras NAME ...

Models have random weights and small images.  The scores of converted models for one image are compared with Keras.  The
first command examines all models of Keras 3 and publishes the results; intermediate results are kept in build/, so that
an interrupted run continues.  The second command prints the results for some models of tf.keras.
"""

import collections
import functools
import gc
import inspect
import json
import sys

import numpy as np
from results import ROOT, publish

import nengo_snnconv as snc
from nengo_snnconv.compat import keras3, tf

SIZE = 96


def applications(keras):
    """Return the functions of keras.applications that make a model, by name."""
    found = {name: make for name, make in vars(keras.applications).items() if inspect.isfunction(make)}
    for name in ("MobileNetV3Large", "MobileNetV3Small"):
        found[f"{name}(minimalistic=True)"] = functools.partial(found[name], minimalistic=True)
    return dict(sorted(found.items()))


def examined(keras, make):
    """Return how the layers of a model are read and, if possible, the difference of its scores from Keras."""
    keras.utils.set_random_seed(0)
    # without the softmax at the end, scores can be compared
    model = make(weights=None, input_shape=(SIZE, SIZE, 3), classifier_activation=None)
    rows = snc.inspect_keras(model)
    found = collections.Counter(row["status"] for row in rows)
    figures = {"layers": len(rows), **found, "why": sorted({reason(row) for row in rows if row["status"] == "refused"})}
    if not found["refused"]:
        images = np.random.default_rng(0).uniform(-1, 1, (1, SIZE, SIZE, 3)).astype(np.float32)
        expected = np.asarray(model(images, training=False))
        got = np.asarray(snc.rate_model(snc.convert(model))(images))
        figures["difference"] = float(np.abs(got - expected).max() / np.abs(expected).max())
    return figures


def reason(row):
    """Return a short reason why a layer is refused."""
    remark = row["remark"]
    if "gate" in remark:
        return "squeeze-and-excite"
    return remark.split("'")[1] if "activation" in remark else row["class"]


def table(figures):
    """Return a Markdown table with a row for each combination of reasons."""
    groups = collections.defaultdict(list)
    for name, found in figures.items():
        groups[tuple(found["why"])].append(name)
    lines = ["| models of keras.applications | layers | result |", "|---|---|---|"]
    for why, names in sorted(groups.items()):
        found = [figures[name] for name in names]
        layers, refused = (span(each.get(key, 0) for each in found) for key in ("layers", "refused"))
        read = f"refused: {', '.join(why)} ({refused} layers)" if why else "exactly"
        lines.append(f"| {', '.join(names)} | {layers} | {read} |")
    worst = max(found.get("difference", 0) for found in figures.values())
    lines += ["", f"Largest difference of the scores from those of Keras, relative to the largest score: {worst:.1e}."]
    return "\n".join(lines)


def span(numbers):
    """Return the smallest and the largest number as text."""
    numbers = sorted(numbers)
    return f"{numbers[0]:,}" if numbers[0] == numbers[-1] else f"{numbers[0]:,} to {numbers[-1]:,}"


def main(keras, names):
    cache = ROOT / "build" / "applications.json"
    figures = json.loads(cache.read_text()) if cache.exists() and not names else {}
    for name, make in applications(keras).items():
        if name in figures or (names and name not in names):
            continue
        figures[name] = examined(keras, make)
        print(name, figures[name], flush=True)
        if not names:
            cache.parent.mkdir(exist_ok=True)
            cache.write_text(json.dumps(figures))
        keras.backend.clear_session()
        gc.collect()
    print(table(figures))
    if not names:
        publish("applications", table(figures), {"size": SIZE, "applications": figures})


if __name__ == "__main__":
    if sys.argv[1:2] == ["--tf-keras"]:
        main(tf.keras, sys.argv[2:] or sys.exit("name some applications"))
    else:
        main(keras3, sys.argv[1:])
