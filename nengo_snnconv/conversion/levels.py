"""with_levels: a network whose rectifiers have levels, with thresholds chosen from data."""

from __future__ import annotations

import numpy as np

from ..networks.network import ConvNetwork
from ..passes import quantize, rescale
from ..passes.rescale import without_layer_scales, without_repeats
from .calibration import activation_histogram
from .normalization import scalable, with_scales_of_silent_units


def with_levels(network: ConvNetwork, x: np.ndarray, levels: int) -> ConvNetwork:
    """Return a network with ``levels`` in all rectifiers, as :class:`QCFS` has them.

    The threshold of a layer is the one with the least mean squared error of the activations on ``x``; weights are
    divided by it, so that it becomes 1.  Rectifiers that have levels already keep their thresholds.  The output keeps
    its units.

    Parameters
    ----------
    network : ConvNetwork
        Network whose neurons' rate is the rectifier.
    x : ndarray, (images, height, width, channel)
    levels : int
    """
    model, units = scalable(network.model, "layer")
    histogram = activation_histogram(network.rebuild(model), x, units, progress=False)
    scales = with_scales_of_silent_units(model, units, histogram.best_threshold(levels))
    rectified = np.unique(np.concatenate([without_repeats(units.labels[name]).ravel() for name in model.neurons]))
    scales[np.setdiff1d(np.arange(len(scales)), rectified)] = 1
    return network.rebuild(without_layer_scales(quantize(rescale(model, units, scales), levels)))
