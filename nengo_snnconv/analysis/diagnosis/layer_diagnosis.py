"""LayerDiagnosis: errors of one layer of neurons."""

from __future__ import annotations

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True, eq=False)
class LayerDiagnosis:
    """Errors of one layer of neurons.

    Errors are root mean squares over neurons and images, relative to that of the ANN's activations.

    Attributes
    ----------
    name : str
    n_neurons : int
    error : float
        Error of the firing rates, compared with the ANN's activations.
    causes : dict of str to float
        Errors that arise in this layer, by cause.  From the output of the rectifier, or of the rate with which the
        network was trained, for the measured input to the measured output of the neurons, the causes are taken into
        account one after another; each error is the change by one cause.  "clipping": activations above the largest
        firing rate; "response": neurons whose response is not the rectifier; "quantisation": whole numbers of spikes;
        "transient": another mean input in the first half of the run than in the second; the rest is "unevenness"
        (bursts of spikes), "reset" (charge that a reset to zero discards) or "synapse" (spikes that are delayed between
        layers).  "maxima", behind the layer: maximum pooling passes on the largest of inexact sums, or a spike of any
        neuron in networks that were trained on firing rates, instead of the spikes of the neuron with the largest
        activation.
    points : dict of str to float
        Loss of accuracy by each cause, in percentage points, if all later layers were exact.
    accuracy : float
        Accuracy of the ANN that continues with the firing rates of this layer.
    level : float
        99.9th percentile of the ANN's positive activations; about 1 in a normalized layer.
    largest_output : float
        Largest mean output of its neurons, in units of activations.
    silent : float
        Fraction of neurons that are active for no image in the ANN.
    dead : float
        Fraction of neurons that are active in the ANN but never spike.
    saturated : float
        Fraction of activations at the largest output of the neurons.
    bound : float or None
        Largest error that theory allows for any neuron, compared with activations clipped at ``largest_output``
        (:func:`nengo_snnconv.error_bounds`); None if the theory does not hold.
    own_bound : float or None
        Contribution of this layer to ``bound``: quantization.
    largest_error : float
        Largest measured error of any neuron.
    pairs : ndarray, (n, 2)
        Activations in the ANN and firing rates, in the same unit, of random neurons and images.
    """

    name: str
    n_neurons: int
    error: float
    causes: dict[str, float]
    points: dict[str, float]
    accuracy: float
    level: float
    largest_output: float
    silent: float
    dead: float
    saturated: float
    bound: float | None
    own_bound: float | None
    largest_error: float
    pairs: np.ndarray
