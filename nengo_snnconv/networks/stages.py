"""Stages: in which part of a run each layer spikes, in networks whose layers wait for those before them."""

from __future__ import annotations

import typing

from ..model import layers as specs

if typing.TYPE_CHECKING:
    from ..model import Model


def stages(model: Model) -> dict[str, int]:
    """Return the stage in which each layer spikes, {name: int}.

    The input is shown in stage 0, neurons spike one stage after the latest layer that they read, and all other layers
    in the stage of the latest layer that they read.
    """
    stage_of: dict[str, int] = {}
    for name, layer in model.layers.items():
        latest = max((stage_of[source] for source in layer.inputs), default=0)
        stage_of[name] = latest + isinstance(layer, specs.Rectifier)
    return stage_of


def first_stages(model: Model) -> dict[str, int]:
    """Return the first stage in which each layer passes anything on, {name: int}.

    It is earlier than the stage of :func:`stages` for layers that read layers of different stages.
    """
    stage_of = stages(model)
    first: dict[str, int] = {}
    for name, layer in model.layers.items():
        own = isinstance(layer, specs.Rectifier)
        first[name] = stage_of[name] if own else min((first[source] for source in layer.inputs), default=0)
    return first
