"""Integer weights that keep the outputs of layers on images, instead of the weights nearest to the old ones.

Layers are rounded one after another, each for the activity that the integer layers before it cause.  Within a layer,
weights are rounded input by input, and the error of each is compensated by the weights that are not rounded yet
(Hassibi & Stork 1993; Frantar et al. 2022, arXiv 2210.17323).
"""

from __future__ import annotations

import types

import numpy as np
import scipy.linalg

from ..model import Model
from ..model import layers as specs
from ..model.integers import BIAS_FRACTION_BITS, LARGEST_BIAS, from_integers
from ..networks.rate_model import outputs_of, prediction_batch, rate_model
from ..passes.round_weights import groups_of_scales, relative_error, rounded
from .weight_fit import WeightFit

# shares of the largest weight of a channel that are tried as the largest integer
CLIPPING = np.linspace(1.0, 0.4, 13)
# relative to the mean variance of the inputs: strength of the fit, and of the compensation
REGULARIZATION, DAMPING = 0.03, 0.01


def fit_integers(network, nearest: Model, x: np.ndarray, memory_mb: float) -> Model:
    """Return a model with integer weights whose layers have the outputs of the network's model on images.

    Parameters
    ----------
    network : ConvNetwork
        Before its weights were rounded.
    nearest : Model
        Result of ``round_weights`` for its model.
    x : ndarray, (images, ...)
    memory_mb : float
    """
    exact = network.model.replace(ann_arrays={})
    description = nearest.metadata["quantization"]
    largest, rng = 2 ** (description["bits"] - 1) - 1, np.random.default_rng(0)
    fitted = [name for name in description["scales"] if isinstance(exact.layers[name], specs.Conv | specs.Dense)]
    scales = _clipped_scales(exact, description, network.settings, x, memory_mb)
    model, errors = nearest, {name: dict(of_layer) for name, of_layer in description["errors"].items()}
    for name in description["scales"]:
        arrays = exact.arrays_of(name)
        if name in fitted:
            fit = _sums(exact, model, name, network.settings, x, memory_mb, rng)
            weights = fit.solve(REGULARIZATION)
            integers = _integers(fit, weights["kernel"], scales[name], largest)
            kernel = from_integers(f"{name}/kernel", integers, scales[name])
            found = {"kernel": kernel} | ({"bias": fit.bias_for(kernel)} if "bias" in arrays else {})
        else:  # single weights of channels: the nearest integers
            found = arrays
        changed = {}
        for key, array in found.items():
            full = f"{name}/{key}"
            changed[full] = rounded(full, array, scales[name], largest)
            if key != "bias":
                errors[name]["weights"] = relative_error(changed[full], exact.arrays[full])
        model = model.replace(arrays=changed)
    declared = {name: np.asarray(values, np.float32).tolist() for name, values in scales.items()}
    description = {**description, "scales": declared, "errors": errors}
    # the weights of the ANN are those before rounding, also where nothing changed at first
    kept = {key: array for key, array in network.model.arrays.items() if not np.array_equal(array, model.arrays[key])}
    return model.replace(
        metadata={**model.metadata, "quantization": description}, ann_arrays={**kept, **network.model.ann_arrays}
    )


def _rates(model, settings, names):
    return rate_model(types.SimpleNamespace(model=model.replace(ann_arrays={}), settings=settings), names)


def _sums(exact, model, name, settings, x, memory_mb, rng):
    """Return the WeightFit of a layer: its input with integer weights before it, its output without any."""
    layer = exact.layers[name]
    (source,) = layer.inputs
    fit = WeightFit(layer, exact.arrays_of(name))
    inputs, targets = _rates(model, settings, [source]), _rates(exact, settings, [name])
    size = prediction_batch(model, memory_mb, kept=[source, name])
    n_batches = -(-len(x) // size)
    for start in range(0, len(x), size):
        batch = x[start : start + size]
        pair = (outputs_of(each, batch, len(batch)) for each in (inputs, targets))
        read, target = (found[0] if isinstance(found, list) else found for found in pair)
        fit.add(read, target, -(-fit.rows_needed // n_batches), rng)
    return fit


def _integers(fit, kernel, scales, largest):
    """Return the integers of a kernel, for the inputs of a WeightFit."""
    matrix = kernel.reshape(-1, kernel.shape[-1])
    of_channels = np.broadcast_to(np.asarray(scales, float), matrix.shape[1])
    groups = [np.split(each, fit.groups, axis=-1) for each in (matrix, of_channels)]
    parts = [
        rounded_with_compensation(weights, covariance, own, largest)
        for weights, own, covariance in zip(*groups, fit.covariances(), strict=True)
    ]
    return np.concatenate(parts, axis=1).reshape(kernel.shape)


def rounded_with_compensation(
    weights: np.ndarray, covariance: np.ndarray, scales: np.ndarray, largest: int
) -> np.ndarray:
    """Return integers whose products with the inputs differ little from those of the weights.

    Inputs are rounded in the order of their variance.  The error of an input's weights is removed, as far as possible,
    by a change of the weights of all inputs that follow, which minimizes (W - scale W_int)^T C (W - scale W_int).

    Parameters
    ----------
    weights : ndarray, (inputs, outputs)
    covariance : ndarray, (inputs, inputs)
        Covariance of the inputs.
    scales : ndarray, (outputs,)
    largest : int
        Largest integer.

    Returns
    -------
    ndarray of float64, (inputs, outputs)
        Whole numbers.
    """
    variance = np.diag(covariance)
    order = np.argsort(-variance, kind="stable")
    damped = covariance[np.ix_(order, order)] + max(DAMPING * variance.mean(), 1e-12) * np.eye(len(order))
    inverse = scipy.linalg.cho_solve(scipy.linalg.cho_factor(damped), np.eye(len(order)))
    factor = scipy.linalg.cholesky(inverse)  # upper: inverse = factor^T factor
    remaining, integers = weights[order].astype(np.float64), np.zeros(weights.shape)
    for i, row in enumerate(factor):
        integers[order[i]] = np.clip(np.rint(remaining[i] / scales), -largest, largest)
        error = (remaining[i] - integers[order[i]] * scales) / row[i]
        remaining[i + 1 :] -= np.outer(row[i + 1 :], error)
    return integers


def _clipped_scales(model, description, settings, x, memory_mb):
    """Return scales for which rounding errors and clipped weights together change the outputs least.

    Each weight counts by the mean square of the channel that it reads.  Layers that share scales choose together.
    """
    largest, per = 2 ** (description["bits"] - 1) - 1, description["per"]
    names = list(description["scales"])
    means = _mean_squares(model, [model.layers[name].inputs[0] for name in names], settings, x, memory_mb)
    shared: dict[int, list[str]] = {}
    for name, group in groups_of_scales(model).items():
        shared.setdefault(group, []).append(name)
    chosen = {}
    for members in shared.values():
        original = np.asarray(description["scales"][members[0]], np.float64)
        errors = np.zeros((len(CLIPPING), len(original)))
        for name in members:
            arrays, importance = model.arrays_of(name), means[model.layers[name].inputs[0]]
            if "kernel" in arrays:
                weights = np.asarray(arrays["kernel"], np.float64)
                importance = importance.reshape(-1, weights.shape[-2]).mean(axis=0)[:, None]  # of groups, if any
            else:
                weights = np.asarray(arrays["scale"], np.float64)
            for i, share in enumerate(CLIPPING):
                unit = np.broadcast_to(share * original, weights.shape[-1])
                found = unit * np.clip(np.rint(weights / unit), -largest, largest)
                squares = (np.square(weights - found) * importance).reshape(-1, weights.shape[-1]).sum(axis=0)
                errors[i] += squares if per == "channel" else squares.sum()
        best = original * CLIPPING[errors.argmin(axis=0)]
        for name in members:
            bias = model.arrays_of(name).get("bias")
            least = 0.0 if bias is None else np.abs(bias) * (2**BIAS_FRACTION_BITS / LARGEST_BIAS)
            best = np.maximum(best, least if per == "channel" else np.max(least))
        chosen |= dict.fromkeys(members, best.astype(np.float32))
    return chosen


def _mean_squares(model, sources, settings, x, memory_mb):
    """Return the mean square of each channel of some layers: {name: ndarray, (channels,)}."""
    names = list(dict.fromkeys(sources))
    keras = _rates(model, settings, names)
    size = prediction_batch(model, memory_mb, kept=names)
    totals = dict.fromkeys(names, 0.0)
    for start in range(0, len(x), size):
        outputs = outputs_of(keras, x[start : start + size], size)
        for name, output in zip(names, outputs if isinstance(outputs, list) else [outputs], strict=True):
            squares = np.square(output, dtype=np.float64).reshape(-1, output.shape[-1])
            totals[name] = totals[name] + squares.sum(axis=0) / (squares.shape[0] / len(output)) / len(x)
    return totals
