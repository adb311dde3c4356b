"""Shared scales: layers whose thresholds an identity shortcut ties to those of other layers."""

from __future__ import annotations

import typing

import numpy as np

from ...passes import find_units, untie_shortcuts

if typing.TYPE_CHECKING:
    from ...model import Model


def shared_scales(model: Model) -> dict[str, tuple[str, ...]]:
    """Return the layers of neurons that share a scale only because a shortcut has none of its own.

    ``normalize`` gives shortcuts a scale (``untie_shortcuts``); models that were rescaled otherwise, or by an earlier
    version, have none.

    Parameters
    ----------
    model : Model

    Returns
    -------
    dict of str to tuple of str
        Names of the other layers, by the name of each such layer.
    """
    untied = untie_shortcuts(model)
    if untied is model:
        return {}
    tied, free = (find_units(each, "channel").labels for each in (model, untied))
    shared = {
        name: tuple(
            other
            for other in model.neurons
            if other != name and _meet(tied[name], tied[other]) and not _meet(free[name], free[other])
        )
        for name in model.neurons
    }
    return {name: others for name, others in shared.items() if others}


def _meet(labels, others):
    return bool(np.isin(labels[labels >= 0], others).any())
