"""Shards: runs of a part of the images, which workers do, and how their tallies are put together."""

import numpy as np
from nengo.params import Default

from ...evaluation.counts import Tally, tally_of
from ...networks.network import ConvNetwork

# where a user does not say how many shards there are
IMAGES_PER_SHARD = 1000


def split(n_images, minibatch_size, n_shards=None):
    """Slices of so many images, of whole minibatches but for the last, so that no image changes its place in one.

    There are fewer than ``n_shards`` where there are not as many full minibatches: each shard has one, so that back
    ends see the same sizes as in a run of all images.
    """
    n_full = max(1, n_images // minibatch_size)
    n_shards = min(n_full, -(-n_images // IMAGES_PER_SHARD) if n_shards is None else n_shards)
    borders = minibatch_size * (n_full * np.arange(n_shards + 1) // n_shards)
    borders[-1] = n_images
    return [slice(int(first), int(last)) for first, last in zip(borders[:-1], borders[1:], strict=True)]


def run_shard(model, inputs, *, settings, threads, **run):
    """The tally of a network on some images as a result of a job: figures and arrays.

    Parameters
    ----------
    model : Model
    inputs : Inputs
    settings : BuildConfig
        Of the network.
    threads : int or None
    run : dict
        Options of ``tally_of``.
    """
    network = ConvNetwork(model, settings)
    tally = tally_of(network, inputs, threads_of_job=threads, progress=False, **{"synapse": Default, **run})
    arrays = {f"totals/{name}": counts for name, counts in tally.totals.items()}
    arrays |= {f"per_step/{name}": counts for name, counts in tally.per_step.items()}
    # as few bytes as hold the number of classes
    classes = np.min_scalar_type(tally.scores.shape[1] - 1)
    arrays |= {"step_predictions": tally.step_predictions.astype(classes), "scores": tally.scores}
    return {"seconds": tally.seconds, "build_seconds": tally.build_seconds, "backend": tally.backend}, arrays


def check_result(result, model, n_steps, n_images):
    """Raise ValueError for what :func:`run_shard` cannot have written for so many steps and images of a model."""
    figures, arrays = result
    if not isinstance(figures, dict) or figures.keys() != {"seconds", "build_seconds", "backend"}:
        raise ValueError("it lacks figures")
    seconds = (figures["seconds"], figures["build_seconds"])
    numbers = all(isinstance(value, int | float) and value >= 0 for value in seconds)
    if not (numbers and isinstance(figures["backend"], str)):
        raise ValueError(f"its figures are {figures}")
    n_classes = model.size(model.output)
    shapes = {"step_predictions": (n_steps, n_images), "scores": (n_images, n_classes)}
    layers = {name.removeprefix("totals/") for name in arrays if name.startswith("totals/")}
    for layer in layers:
        shapes |= {f"totals/{layer}": (model.size(layer) if layer in model.layers else None,)}
        shapes |= {f"per_step/{layer}": (n_steps,)}
    if arrays.keys() != shapes.keys():
        raise ValueError(f"its arrays are {', '.join(sorted(arrays))}")
    for name, shape in shapes.items():
        array = arrays[name]
        if array.shape != shape and shape != (None,):
            raise ValueError(f"{name} must have shape {shape}, got {array.shape}")
        if not np.isfinite(array).all() or (name != "scores" and array.min(initial=0) < 0):
            raise ValueError(f"{name} holds numbers that cannot be counted")
    predictions = arrays["step_predictions"]
    if predictions.dtype.kind not in "ui" or predictions.max(initial=0) >= n_classes:
        raise ValueError(f"step_predictions must hold class numbers below {n_classes}")


def tally_from(result):
    """The tally that :func:`run_shard` wrote."""
    figures, arrays = result
    counts = {"totals": {}, "per_step": {}}
    for name, array in arrays.items():
        kind, _, layer = name.partition("/")
        if layer:
            counts[kind][layer] = array
    return Tally(arrays["step_predictions"].astype(np.int32), arrays["scores"], **counts, **figures)


def merged(tallies):
    """The tally of all images from those of shards, in their order: exact, because counts are whole numbers."""
    first = tallies[0]
    return Tally(
        step_predictions=np.concatenate([tally.step_predictions for tally in tallies], axis=1),
        scores=np.concatenate([tally.scores for tally in tallies]),
        totals={name: sum(tally.totals[name] for tally in tallies) for name in first.totals},
        per_step={name: sum(tally.per_step[name] for tally in tallies) for name in first.per_step},
        seconds=sum(tally.seconds for tally in tallies),
        build_seconds=sum(tally.build_seconds for tally in tallies),
        backend=first.backend,
    )
