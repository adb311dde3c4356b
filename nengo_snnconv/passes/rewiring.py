"""Removal of layers from a graph, which several passes share."""

from __future__ import annotations

import dataclasses
from collections.abc import Container, Iterable, Mapping
from typing import Any

import numpy as np

from ..model import Model
from ..model.layers import Layer


def without(
    model: Model,
    replacements: Mapping[str, str],
    remark: str,
    *,
    layers: Iterable[Layer] | None = None,
    arrays: Mapping[str, np.ndarray] | None = None,
    absorbed_by: str | None = None,
) -> Model:
    """Return the model without some layers, whose consumers read other layers instead.

    Parameters
    ----------
    model : Model
    replacements : dict of str to str
        Layers to remove, each with the layer to read in its place.
    remark : str
        Remark on the removed layers in the reading report.
    layers : iterable of Layer, optional
        Layers to start from, if some of the model's were changed as well.
    arrays : dict, optional
        Arrays to change or add.
    absorbed_by : str, optional
        Layer into which the removed layers were folded, if it is not their replacement.

    Returns
    -------
    Model
    """

    def replacement(name):
        while name in replacements:
            name = replacements[name]
        return name

    layers = model.layers.values() if layers is None else layers
    kept = [
        dataclasses.replace(layer, inputs=tuple(map(replacement, layer.inputs)))
        for layer in layers
        if layer.name not in replacements
    ]
    arrays = {**model.arrays, **(arrays or {})}
    arrays = {key: array for key, array in arrays.items() if key.rpartition("/")[0] not in replacements}
    metadata = metadata_for(model, replacement(model.output))
    if "reading" in metadata:
        metadata["reading"] = [
            _updated(row, replacements, remark, absorbed_by or replacement) for row in metadata["reading"]
        ]
    return type(model)(kept, arrays, replacement(model.output), metadata)


def free_name(name: str, taken: Container[str]) -> str:
    """Return a name that is not taken: the given one, with underscores added if necessary."""
    while name in taken:
        name += "_"
    return name


def metadata_for(model: Model, output: str) -> dict[str, Any]:
    """Return a copy of the model's metadata for a model whose output is layer ``output``, with the same scale."""
    metadata = dict(model.metadata)
    if output != model.output and model.output_scale != 1:
        metadata["scales"] = {**metadata["scales"], output: metadata["scales"][model.output]}
    return metadata


def _updated(row, replacements, remark, successor):
    """Return a row of the reading report after the removal of layers.

    ``successor`` is the layer that took their place, or a function that returns it for a removed layer.
    """
    if not any(name in replacements for name in row["became"]):
        return row
    became = [
        (successor if isinstance(successor, str) else successor(name)) if name in replacements else name
        for name in row["became"]
    ]
    remarks = [part for part in (row["remark"], remark) if part]
    return {**row, "became": list(dict.fromkeys(became)), "remark": "; ".join(dict.fromkeys(remarks))}
