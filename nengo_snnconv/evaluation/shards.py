"""Shards: parts of the images that workers run one by one, and the sum of their counts."""

import numpy as np

from ..networks.network import ConvNetwork
from .run_counts import RunCounts, count_run
from .run_options import RunOptions
from .task import classes_of

# size of a shard if the number of shards is not given
IMAGES_PER_SHARD = 1000


def split_images(n_images, minibatch_size, n_shards=None):
    """Return slices of the images that consist of whole minibatches, except for the last one.

    Every image keeps its place in its minibatch, on which Poisson input depends.  There are fewer than ``n_shards``
    slices if there are fewer full minibatches: each slice has a full one, so that back ends see the same batch sizes
    as in a run of all images.
    """
    n_full = max(1, n_images // minibatch_size)
    n_shards = min(n_full, -(-n_images // IMAGES_PER_SHARD) if n_shards is None else n_shards)
    borders = minibatch_size * (n_full * np.arange(n_shards + 1) // n_shards)
    borders[-1] = n_images
    return [slice(int(first), int(last)) for first, last in zip(borders[:-1], borders[1:], strict=True)]


def run_shard(model, inputs, task=None, *, settings, threads, n_steps, **run):
    """Run a network on some images, and return the counts as the result of a job: values and arrays.

    Parameters
    ----------
    model : Model
    inputs : Inputs
        Images of the shard.
    task : Task, optional
        Task of these images, by default to classify them.
    settings : BuildConfig
        Settings of the network.
    threads : int or None
        Number of threads.
    n_steps : int
        Number of time steps.
    run : dict
        Fields of ``RunOptions``.
    """
    network = ConvNetwork(model, settings)
    counts = count_run(network, inputs, n_steps, RunOptions(threads_of_job=threads, **run), task, progress=False)
    arrays = {f"totals/{name}": values for name, values in counts.totals.items()}
    arrays |= {f"per_step/{name}": values for name, values in counts.per_step.items()}
    arrays |= {f"negative/{name}": np.array(count) for name, count in counts.negative.items()}
    arrays |= {"step_predictions": _stored(counts.records, task or classes_of(model)), "scores": counts.scores}
    return {"seconds": counts.seconds, "build_seconds": counts.build_seconds, "backend": counts.backend}, arrays


def _stored(records, task):
    """Return records for a file: class numbers in the smallest type that holds their number."""
    return records.astype(np.min_scalar_type(task.head.n_classes - 1)) if records.dtype == np.int32 else records


def check_result(result, model, n_steps, n_images, task=None):
    """Raise ValueError for a result that :func:`run_shard` cannot have returned for this model, steps and images."""
    task = task or classes_of(model)
    values, arrays = result
    if not isinstance(values, dict) or values.keys() != {"seconds", "build_seconds", "backend"}:
        raise ValueError("it must hold seconds, build_seconds and backend")
    seconds = (values["seconds"], values["build_seconds"])
    numbers = all(isinstance(value, int | float) and value >= 0 for value in seconds)
    if not (numbers and isinstance(values["backend"], str)):
        raise ValueError(f"seconds must be numbers and backend a name, got {values}")
    n_outputs = model.size(model.output)
    expected = task.record(np.zeros((1, 1, n_outputs), np.float32), slice(0, 1))  # one image in one step
    shapes = {"step_predictions": (n_steps, n_images, *expected.shape[2:]), "scores": (n_images, n_outputs)}
    layers = {name.removeprefix("totals/") for name in arrays if name.startswith("totals/")}
    for layer in layers:
        shapes |= {f"totals/{layer}": (model.size(layer) if layer in model.layers else None,)}
        shapes |= {f"per_step/{layer}": (n_steps,)}
        if f"negative/{layer}" in arrays:  # only for neurons that emit negative spikes
            shapes |= {f"negative/{layer}": ()}
    if arrays.keys() != shapes.keys():
        raise ValueError(f"its arrays are {', '.join(sorted(arrays))}")
    for name, shape in shapes.items():
        array = arrays[name]
        if array.shape != shape and shape != (None,):
            raise ValueError(f"{name} must have shape {shape}, got {array.shape}")
        fields = [array[field] for field in array.dtype.names] if array.dtype.names else [array]
        finite = all(np.isfinite(each).all() for each in fields)
        if not finite or (name != "scores" and min(each.min(initial=0) for each in fields) < 0):
            raise ValueError(f"{name} holds negative or non-finite numbers")
    records, n_classes = arrays["step_predictions"], task.head.n_classes
    if expected.dtype == np.int32 and (records.dtype.kind not in "ui" or records.max(initial=0) >= n_classes):
        raise ValueError(f"step_predictions must hold class numbers below {n_classes}")
    if expected.dtype != np.int32 and records.dtype != expected.dtype:
        raise ValueError(f"step_predictions must be of type {expected.dtype}, got {records.dtype}")


def counts_from_result(result):
    """Return the counts in a result of :func:`run_shard`."""
    values, arrays = result
    counts = {"totals": {}, "per_step": {}, "negative": {}}
    for name, array in arrays.items():
        kind, _, layer = name.partition("/")
        if layer:
            counts[kind][layer] = float(array) if kind == "negative" else array
    records = arrays["step_predictions"]
    records = records.astype(np.int32) if records.dtype.kind in "ui" else records
    return RunCounts(records, arrays["scores"], **counts, **values)


def merge_counts(parts):
    """Return the counts of all images from those of shards, in order; exact, because spike counts are integers."""
    first = parts[0]
    known = [name for name in first.negative if all(name in part.negative for part in parts)]
    margins, stop_steps = ([getattr(part, name) for part in parts] for name in ("margins", "stop_steps"))
    return RunCounts(
        records=np.concatenate([part.records for part in parts], axis=1),
        scores=np.concatenate([part.scores for part in parts]),
        totals={name: sum(part.totals[name] for part in parts) for name in first.totals},
        per_step={name: sum(part.per_step[name] for part in parts) for name in first.per_step},
        seconds=sum(part.seconds for part in parts),
        build_seconds=sum(part.build_seconds for part in parts),
        backend=first.backend,
        negative={name: sum(part.negative[name] for part in parts) for name in known},
        margins=None if first.margins is None else np.concatenate(margins, axis=1),
        stop_steps=None if first.stop_steps is None else np.concatenate(stop_steps),
    )
