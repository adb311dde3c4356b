"""Connections of Nengo as layers: each transform becomes the specs that compute it."""

from __future__ import annotations

import functools
import math
import typing

import nengo
import numpy as np

from ...errors import ConversionError
from ...formats.shared.spec_builder import SpecBuilder
from ...model import layers as specs

MOST_ENTRIES = 50_000_000  # of a sparse matrix that is written as a dense one


@functools.singledispatch
def add_transform(
    transform: typing.Any, builder: SpecBuilder, source: str, name: str, connection: nengo.Connection
) -> str:
    """Add the specs that compute a transform of a whole signal.

    Parameters
    ----------
    transform : nengo.transforms.Transform
        Transform whose weights are arrays.
    builder : SpecBuilder
    source : str
        Spec whose output is the signal, in row-major order.
    name : str
        Name of the new spec.
    connection : nengo.Connection
        For messages.

    Returns
    -------
    str
        Name of the spec that holds the result.

    Raises
    ------
    ConversionError
        If there are no such specs.
    """
    raise ConversionError(
        f"the {type(transform).__name__} transform of {connection} cannot be read: use nengo.Convolution, nengo.Dense "
        "or nengo.Sparse",
        layer=name,
    )


@add_transform.register
def _(transform: nengo.transforms.NoTransform, builder, source, name, connection):
    return source


@add_transform.register
def _(transform: nengo.Dense, builder, source, name, connection):
    matrix = np.asarray(transform.init)
    if matrix.ndim < 2:
        size = math.prod(builder.shapes[source])
        return add_affine(builder, source, np.broadcast_to(matrix, size), np.zeros(size), name)
    return _add_dense(builder, source, matrix, name)


@add_transform.register
def _(transform: nengo.Sparse, builder, source, name, connection):
    if math.prod(transform.shape) > MOST_ENTRIES:
        raise ConversionError(
            f"the sparse matrix of {connection} has the shape {transform.shape}, too large for a dense one: use "
            "nengo.Convolution",
            layer=name,
        )
    return _add_dense(builder, source, matrix_of_sparse(transform).toarray(), name)


def matrix_of_sparse(transform: nengo.Sparse) -> typing.Any:
    """Return the matrix of a sparse transform, as one of SciPy."""
    matrix = transform.init
    return matrix.allocate() if isinstance(matrix, nengo.transforms.SparseMatrix) else matrix


def _add_dense(builder, source, matrix, name):
    flat = shaped(builder, source, (matrix.shape[1],))
    return builder.add_spec(specs.Dense, name, flat, arrays=[matrix.T], units=int(matrix.shape[0]), use_bias=False).spec


@add_transform.register
def _(transform: nengo.Convolution, builder, source, name, connection):
    kernel, image = np.asarray(transform.init), transform.input_shape
    source = shaped(builder, source, tuple(int(n) for n in image.shape))
    rank = len(image.shape) - 1
    if not image.channels_last:
        source = builder.add_spec(specs.Permute, f"{name}_in", source, axes=(*range(1, rank + 1), 0)).spec
    window = {"strides": tuple(transform.strides), "padding": transform.padding}
    size = tuple(int(n) for n in transform.kernel_size)
    if transform.groups == 1 and _is_mean(kernel, size) and transform.padding == "valid":
        result = builder.add_spec(specs.AveragePool, name, source, pool_size=size, **window).spec
    else:
        fields = {"filters": transform.n_filters, "kernel_size": size, "groups": transform.groups, "use_bias": False}
        result = builder.add_spec(specs.Conv, name, source, arrays=[kernel], **fields, **window).spec
    if not image.channels_last:
        result = builder.add_spec(specs.Permute, f"{name}_out", result, axes=(rank, *range(rank))).spec
    return result


def _is_mean(kernel, size):
    """Return whether a convolution computes the mean of each channel, as NengoDL's Converter writes pooling."""
    channels = kernel.shape[-1]
    if kernel.shape[-2] != channels or math.prod(size) == 1:
        return False
    return bool((kernel == np.eye(channels, dtype=kernel.dtype) / math.prod(size)).all())


def add_affine(builder: SpecBuilder, source: str, scale: np.ndarray, shift: np.ndarray, name: str) -> str:
    """Add scale * x + shift of a signal, unless it is the identity; return the spec with the result.

    Parameters
    ----------
    builder : SpecBuilder
    source : str
    scale, shift : ndarray, (size,)
        Factor and shift of each unit.
    name : str
    """
    if (scale == 1).all() and not shift.any():
        return source
    shape = builder.shapes[source]
    by_channel = [of_channels(values, shape) for values in (scale, shift)]
    if all(values is not None for values in by_channel):
        return builder.add_spec(specs.Affine, name, source, arrays=by_channel).spec
    flat = shaped(builder, source, (math.prod(shape),))
    result = builder.add_spec(specs.Affine, name, flat, arrays=[scale, shift]).spec
    return shaped(builder, result, shape)


def of_channels(values: np.ndarray, shape: tuple[int, ...]) -> np.ndarray | None:
    """Return the value of each channel, (channels,), if units of a channel have the same; else None."""
    rows = values.reshape(-1, shape[-1])
    return rows[0] if (rows == rows[0]).all() else None


def shaped(builder: SpecBuilder, source: str, shape: tuple[int, ...]) -> str:
    """Return the spec of a signal in another shape, with the same entries in row-major order."""
    if builder.shapes[source] == shape:
        return source
    layer = builder.layers[source]
    if isinstance(layer, specs.Flatten | specs.Reshape) and builder.shapes[layer.inputs[0]] == shape:
        return layer.inputs[0]
    if len(shape) == 1:
        return builder.add_spec(specs.Flatten, f"{source}_flat", source).spec
    return builder.add_spec(specs.Reshape, f"{source}_image", source, shape=shape).spec
