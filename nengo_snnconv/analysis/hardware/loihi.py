"""Layers on Loihi, distributed over its cores by the rules of nengo_loihi."""

from __future__ import annotations

from ...errors import ConversionError
from ...networks.loihi.cores import n_cores
from ...networks.loihi.plan import OUTPUT_NEURONS, plan_of
from .result import LayerOnChip
from .stages import synapses_of

REMARKS = ("neurons that read the image run on the host, as do class scores, and need no core",)


def on_loihi(model, stages, readout):
    """Return a LayerOnChip for each stage, and remarks."""
    try:
        plan, refusal, at_fault = plan_of(model, readout), None, None
    except ConversionError as error:
        plan, refusal, at_fault = {}, str(error), error.layer
    layers = []
    for number, stage in enumerate(stages):
        planned = plan.get(stage.name, plan.get(OUTPUT_NEURONS))
        largest, weights = synapses_of(model, stage)
        concerned = at_fault in {stage.name, *(each.name for each in stage.layers)} or (
            at_fault is None and number == 0
        )
        problems = (refusal,) if refusal and concerned else ()
        cores: int | None = None
        details = ""
        if planned is not None:
            cores = n_cores(planned.shape, planned.block_shape) if planned.on_chip else 0
            details = f"blocks of {' x '.join(map(str, planned.block_shape))}" if planned.on_chip else "on the host"
        layers.append(LayerOnChip(stage.name, stage.neurons, largest, weights, cores, details, problems))
    return layers, REMARKS
