"""diagnose: run a spiking network, explain its loss of accuracy, and try changes that may reduce it."""

from __future__ import annotations

import dataclasses
import typing

import numpy as np

from ..._util.validation import check_flags, check_progress, check_run, is_number, shown
from ...errors import ConversionError, SettingsError
from ...evaluation.ann import ann_predictions
from ...evaluation.evaluate import evaluate_observed
from ...evaluation.result import Evaluation
from ...evaluation.run_options import RunOptions, default_steps
from ...evaluation.task import as_task
from ...inputs import Data, Images, as_images
from ...model.layers import Rectifier
from ...model.memory import MEMORY_MB
from ...networks.context import adds_result_only
from ...networks.native import require_native_network, why_filtered
from ...networks.network import ConvNetwork
from ...networks.trainable import TrainableConfig
from ..error_bounds import activity_bounds, quantization_bound, why_unbounded
from .decomposition import Decomposition, LayerSums
from .layer_diagnosis import LayerDiagnosis
from .responses import ChargeResponse, Response
from .result import Diagnosis
from .shared_scales import shared_scales
from .trials import with_tried_remedies

# factors of n_steps for which accuracy is predicted
MORE_STEPS = (1, 2, 4, 8)


@adds_result_only
def diagnose(
    network: ConvNetwork,
    x: Data,
    y: np.ndarray | None = None,
    *,
    n_steps: int | None = None,
    max_loss: float = 1.0,
    skip_steps: int = 0,
    x_calibration: Data | None = None,
    try_remedies: bool = True,
    backend: str | None = None,
    minibatch_size: int | None = None,
    memory_mb: float = MEMORY_MB,
    dt: float = 0.001,
    progress: bool | None = None,
) -> Diagnosis:
    """Find out where a spiking network loses accuracy compared with its ANN, why, and what improves it.

    The loss is divided exactly among layers and causes.  The ANN is computed from the measured firing rates of the
    first layers, and exactly after them; within a layer, the output of the neurons is built up from the rectifier,
    or from the rate with which the network was trained, cause by cause.  The accuracy then changes stepwise from that
    of the ANN to that of the spiking network, and each step belongs to one layer and one cause.

    Changes of the network or of the run that may help are tried: each is made and evaluated on the same images, and the
    result lists the accuracies.  Only a change that improves the accuracy by more than chance is recommended.

    Takes as long as the evaluation, a few passes through the ANN for each layer, and an evaluation of each change.

    Parameters
    ----------
    network : ConvNetwork
        Network made by ``to_spiking``; or by ``build_trainable`` or ``from_nengo``, with neurons that spike and were
        trained on their firing rates.
    x : ndarray, (images, height, width, channel), or a data set
        Images, in any form that :func:`evaluate` reads but frames; some hundred are enough.
    y : ndarray, optional
        True classes, labels or values, as for :func:`evaluate`.  By default the labels in ``x``, or else the
        predictions of the ANN, so that the loss is one of agreement with it.  The accuracy of labels is F1, and that
        of values R².
    n_steps : int, optional
        Number of time steps for which each image is shown.  By default the number for which the network was balanced
        or tuned, or 30, as for :func:`evaluate`.
    max_loss : float
        Acceptable loss of accuracy in percentage points.  A network that loses no more is healthy, unless a single
        cause makes an error of more than 50 % in a layer.
    x_calibration : ndarray, (images, height, width, channel), or a data set, optional
        Calibration images, such as 1,000 of the training images, to try ``normalize`` and ``calibrate`` with.  Without
        them ``normalize`` uses ``x``, and ``calibrate`` is not tried.
    try_remedies : bool
        Try changes of the network.  If False, there are findings, but no recommendation.
    skip_steps, backend, minibatch_size, memory_mb, dt, progress
        As for :func:`evaluate`.

    Returns
    -------
    Diagnosis

    Raises
    ------
    ConversionError
        If the network was not made by one of these functions, does not spike, or has no ANN with the same weights.
    SettingsError
        If an argument is invalid, or the data do not fit the network.

    Examples
    --------
    >>> diagnosis = snc.diagnose(snn, x_test[:300], y_test[:300], n_steps=20, x_calibration=x_train[:1000])
    >>> print(diagnosis.summary())
    """
    _check_network(network)
    if not is_number(max_loss) or not 0 <= max_loss < np.inf:
        raise SettingsError(
            f"max_loss must be a number of percentage points, 0 or more; got {shown(max_loss)}", argument="max_loss"
        )
    if not any(isinstance(layer, Rectifier) for layer in network.model.layers.values()):
        raise ConversionError("diagnose needs a network with neurons, and this one has no rectifier")
    if n_steps is None:
        n_steps = default_steps(network)
    check_run(n_steps, skip_steps, dt)
    check_flags(try_remedies=try_remedies)
    run: dict[str, typing.Any] = {
        "backend": backend,
        "skip_steps": skip_steps,
        "minibatch_size": minibatch_size,
        "memory_mb": memory_mb,
        "dt": dt,
    }
    options = RunOptions(**run)
    check_progress(progress)
    x, y = as_images(network.model, x, y)
    task = as_task(network.model, len(x), y)
    task = task.with_ann(ann_predictions(network, Images(x), memory_mb=memory_mb, head=task.head))
    calibration = x if x_calibration is None else as_images(network.model, x_calibration, means=True)[0]
    decomposition = Decomposition(network, x, task, [n_steps * factor for factor in MORE_STEPS], memory_mb)
    evaluation = evaluate_observed(network, x, task, n_steps, options, progress=progress, observer=decomposition)
    decomposition.finish()
    diagnosis = make_diagnosis(network, evaluation, decomposition, max_loss)
    diagnosis = dataclasses.replace(diagnosis, other_calibration=x_calibration is not None)
    run |= {"n_steps": n_steps, "progress": progress}
    return with_tried_remedies(diagnosis, x, task, calibration, run) if try_remedies else diagnosis


def _check_network(network):
    """Raise an error unless a network has spikes, and an ANN with the same weights."""
    settings = getattr(network, "settings", None)
    if not isinstance(settings, TrainableConfig):
        require_native_network(network, "diagnose", origin="to_spiking", spiking=True)
        if reason := why_filtered(network.model, "diagnose"):
            raise ConversionError(reason)
    elif not settings.has_rates:
        raise ConversionError(
            "diagnose compares with an ANN, and a network of SurrogateLIF neurons has none: it spikes as it was "
            "trained; evaluate it with more steps"
        )
    elif not settings.neuron_type.spiking:
        raise ConversionError(
            f"diagnose takes a network that spikes, and {settings.neuron_type} does not: "
            "network.rebuild(neuron_type=...) with the spiking form, such as nengo.LIF for nengo.LIFRate"
        )


def make_diagnosis(
    network: ConvNetwork, evaluation: Evaluation, decomposition: Decomposition, max_loss: float
) -> Diagnosis:
    """Return the diagnosis from an evaluation and the decomposition that observed it."""
    n_images = len(evaluation.y)
    bounds, own_bounds = {}, {}
    if not why_unbounded(network):
        run = {"n_steps": evaluation.n_steps, "skip_steps": decomposition.skip_steps, "dt": evaluation.dt}
        bounds = activity_bounds(network, **run)
        own_bounds = {name: quantization_bound(network, name, **run) for name in network.model.neurons}
    layers, n_correct = {}, decomposition.n_correct["input"]
    for name, sums in decomposition.layers.items():
        points = {}
        for cause, count in sums.n_correct.items():
            points[cause], n_correct = 100 * (n_correct - count) / n_images, count
        response, pair = decomposition.responses[name], (bounds.get(name), own_bounds.get(name))
        layers[name] = _layer_diagnosis(name, sums, points, n_correct / n_images, response, *pair)
    squares, ann_accuracy = decomposition.input_squares, evaluation.ann_score
    assert ann_accuracy is not None  # the network has rates
    predicted_gain, n_predicted = decomposition.predicted_gain, decomposition.n_predicted
    return Diagnosis(
        network=network,
        evaluation=evaluation,
        max_loss=max_loss,
        layers=layers,
        input_points=100 * (decomposition.n_correct["ann"] - decomposition.n_correct["input"]) / n_images,
        readout_points=100 * (n_correct / n_images - float(evaluation.score[-1])),
        input_error=float(np.sqrt(squares["error"] / max(squares["activation"], 1e-30))),
        largest_input=float(np.abs(decomposition.x).max()),
        output_level=float(decomposition.output_level.percentile(99.9)[0]),
        predicted_accuracy={key: ann_accuracy + gain / n_predicted for key, gain in predicted_gain.items()},
        late_accuracy=decomposition.n_correct["late"] / n_images,
        starts=_initial_potentials(decomposition.responses.values()),
        skip_steps=decomposition.skip_steps,
        shared_scales=shared_scales(network.model),
    )


def _initial_potentials(responses):
    """Return the lowest and highest initial potential, in thresholds; None unless neurons are integrate-and-fire."""
    potentials = [response.initial_potential for response in responses if isinstance(response, ChargeResponse)]
    if not potentials:
        return None
    return float(min(values.min() for values in potentials)), float(max(values.max() for values in potentials))


def _layer_diagnosis(
    name: str,
    sums: LayerSums,
    points: dict[str, float],
    accuracy: float,
    response: Response,
    bound: np.ndarray | None,
    own_bound: float | None,
) -> LayerDiagnosis:
    activity = max(sums.squares["activation"], 1e-30)
    return LayerDiagnosis(
        name=name,
        n_neurons=sums.active.size,
        error=float(np.sqrt(sums.squares["error"] / activity)),
        causes={cause: float(np.sqrt(sums.squares[cause] / activity)) for cause in points},
        points=points,
        accuracy=accuracy,
        level=float(sums.level.percentile(99.9)[0]),
        largest_output=float(response.largest),
        silent=float((~sums.active).mean()),
        dead=float((sums.active & ~sums.spiked).mean()),
        saturated=sums.n_saturated / max(sums.n_active, 1),
        bound=None if bound is None else float(bound.max()),
        own_bound=own_bound,
        largest_error=sums.largest_error,
        pairs=np.concatenate(sums.pairs),
    )
