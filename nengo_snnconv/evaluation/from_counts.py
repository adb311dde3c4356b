"""evaluation_from_counts: the Evaluation that follows from the counts of a run."""

from __future__ import annotations

import dataclasses
import typing

from ..model import connectivity
from .hints import hints_of
from .layer_activity import LayerActivity
from .outcome import outcome
from .result import Evaluation
from .synaptic_operations import operations_by_layer, relay_operations

if typing.TYPE_CHECKING:
    from ..networks.network import ConvNetwork
    from .margin_stop import MarginStop
    from .run_counts import RunCounts
    from .task import Task


def evaluation_from_counts(
    network: ConvNetwork,
    counts: RunCounts,
    task: Task,
    *,
    dt: float,
    arguments: dict[str, typing.Any],
    moving: bool = False,
    stop: MarginStop | None = None,
    unit_images: bool = False,
) -> Evaluation:
    """Return the Evaluation that follows from the counts of a run.

    Counts are whole numbers, so it is the same for counts that were merged from runs of parts of the images.

    Parameters
    ----------
    network : ConvNetwork
        Or any object with its ``model`` and ``settings``; weights are not used.
    counts : RunCounts
        Counts of all images.
    task : Task
        With the predictions of the ANN, of all images.
    dt : float
    arguments : dict
        Further arguments of ``evaluate`` that affect the results.
    moving : bool
    stop : MarginStop or None
    unit_images : bool
        True if the images are in [0, 1], and nothing in the model tells whether it was trained on such images.
    """
    model, n_images, n_steps = network.model, len(task.reference), len(counts.records)
    operations = operations_by_layer(model, counts)
    synapse = arguments.get("synapse", network.settings.output_synapse)
    steps_of_all = n_images * n_steps if counts.stop_steps is None else int(counts.stop_steps.sum())
    layers = {
        name: LayerActivity(
            name,
            model.size(name),
            float(total.mean()) / n_images,
            total / (steps_of_all * dt),
            counts.per_step[name] / n_images,
            operations[name],
        )
        for name, total in counts.totals.items()
    }
    evaluation = Evaluation(
        **outcome(task, counts.records),
        scores=counts.scores,
        layers={name: layers[name] for name in model.neurons if name in layers},
        input_layer=layers.get(model.input),
        relay_operations=relay_operations(network, counts, operations),
        ann_operations=sum(connectivity.multiply_accumulates(model).values()),
        input_operations=0 if model.input in layers else connectivity.total(connectivity.fan_out(model, model.input)),
        seconds=counts.seconds,
        build_seconds=counts.build_seconds,
        dt=dt,
        backend=counts.backend,
        moving=moving,
        arguments={"n_steps": n_steps, "backend": counts.backend, **arguments, "dt": dt},
        signed=any(each.spiking and each.negative for each in network.settings.of_types),
        negative_spikes_share=_negative_share(network, counts),
        margins=counts.margins if task.head.decides else None,
        stop_steps=counts.stop_steps,
        stop=stop,
    )
    return dataclasses.replace(evaluation, hints=hints_of(network, evaluation, synapse, unit_images))


def _negative_share(network, counts):
    """Return the fraction of negative spikes among those of all neurons; None without spikes, or if it is unknown."""
    model, settings = network.model, network.settings
    if not settings.neuron_type.spiking:
        return None
    layers = [name for name in model.neurons if name in counts.totals]
    signed = [name for name in layers if settings.of_layer(model, name).neuron_type.negative]
    if any(name not in counts.negative for name in signed):
        return None
    n_spikes = sum(float(counts.totals[name].sum()) for name in layers)
    return sum(counts.negative[name] for name in signed) / n_spikes if n_spikes else 0.0
