"""What passes share: taking layers out of a graph."""

import dataclasses


def without(model, heirs, remark, *, layers=None, arrays=None, absorbed_by=None):
    """The model without some layers; who read one of them reads its heir.

    Parameters
    ----------
    model : Model
    heirs : dict of str to str
        For each layer that goes, the layer that takes its place.
    remark : str
        What the reading report says of the layers that go.
    layers : iterable of Layer, optional
        The layers to start from, where some were replaced as well.
    arrays : dict, optional
        Arrays that change, or are new.
    absorbed_by : str, optional
        The layer that does the work of those that go, where it is not their heir.

    Returns
    -------
    Model
    """

    def heir(name):
        while name in heirs:
            name = heirs[name]
        return name

    layers = model.layers.values() if layers is None else layers
    kept = [dataclasses.replace(k, inputs=tuple(map(heir, k.inputs))) for k in layers if k.name not in heirs]
    arrays = {**model.arrays, **(arrays or {})}
    arrays = {key: array for key, array in arrays.items() if key.rpartition("/")[0] not in heirs}
    metadata = metadata_for(model, heir(model.output))
    if "reading" in metadata:
        metadata["reading"] = [_updated(row, heirs, remark, absorbed_by or heir) for row in metadata["reading"]]
    return type(model)(kept, arrays, heir(model.output), metadata)


def metadata_for(model, output):
    """Return a copy of the model's metadata for a model whose output is layer ``output``, with the same scale."""
    metadata = dict(model.metadata)
    if output != model.output and model.output_scale != 1:
        metadata["scales"] = {**metadata["scales"], output: metadata["scales"][model.output]}
    return metadata


def _updated(row, heirs, remark, successor):
    """A row of the reading report, where a layer that it became is gone."""
    if not any(name in heirs for name in row["became"]):
        return row
    became = [
        (successor if isinstance(successor, str) else successor(name)) if name in heirs else name
        for name in row["became"]
    ]
    remarks = [part for part in (row["remark"], remark) if part]
    return {**row, "became": list(dict.fromkeys(became)), "remark": "; ".join(dict.fromkeys(remarks))}
