"""Layers on Loihi, distributed over its cores by the rules of nengo_loihi."""

from __future__ import annotations

from ...errors import ConversionError
from ...networks.loihi.cores import n_cores
from ...networks.loihi.plan import OUTPUT_NEURONS, plan_of
from ...networks.loihi.support import ADVICE, LIF_ADVICE, check_origin, unsupported_settings, why_no_neurons
from .neurons import neuron_problems, with_problem
from .result import LayerOnChip
from .stages import synapses_of

REMARKS = ("neurons that read the image run on the host, as do class scores, and need no core",)


def on_loihi(network, stages):
    """Return a LayerOnChip for each stage, problems of the whole network, and remarks."""
    model = network.model
    try:
        plan, refusal, at_fault = plan_of(model, getattr(network.settings, "readout", "potential")), None, None
    except ConversionError as error:
        plan, refusal, at_fault = {}, str(error), error.layer
    of_layers, problems = _of_network(network)
    layers = []
    for number, stage in enumerate(stages):
        planned = plan.get(stage.name, plan.get(OUTPUT_NEURONS))
        largest, weights = synapses_of(model, stage)
        concerned = at_fault in {stage.name, *(each.name for each in stage.layers)} or (
            at_fault is None and number == 0
        )
        found = (refusal,) if refusal and concerned else ()
        cores: int | None = None
        details = ""
        if planned is not None:
            cores = n_cores(planned.shape, planned.block_shape) if planned.on_chip else 0
            details = f"blocks of {' x '.join(map(str, planned.block_shape))}" if planned.on_chip else "on the host"
        layer = LayerOnChip(stage.name, stage.neurons, largest, weights, cores, details, found)
        layers.append(with_problem(layer, of_layers.get(stage.name)))
    return layers, tuple(problems), REMARKS


def _of_network(network):
    """Return what Loihi does not support of the neurons of single layers, and of the network as a whole."""
    try:
        check_origin(network)
    except ConversionError as error:
        return {}, [str(error)]
    of_layers, problems = neuron_problems(network, why_no_neurons, ADVICE, LIF_ADVICE)
    return of_layers, [*problems, *unsupported_settings(network.settings)]
