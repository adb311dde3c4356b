"""The linear maps of Nengo's transforms."""

import functools

import nengo
import numpy as np

from ...errors import ConversionError
from .tables import from_entries
from .windows import of_convolution, of_matrix


def of_transform(connection):
    """A connection's transform as a Table or a Window; None for the identity; an array for a factor or one a unit.

    Raises
    ------
    ConversionError
        For a transform that has no table.
    """
    return _of_transform(connection.transform, connection)


@functools.singledispatch
def _of_transform(transform, connection):
    raise ConversionError(
        f"the fast simulator has no {type(transform).__name__} transform, which {connection} has: use "
        "nengo.Convolution, nengo.Dense or nengo.Sparse, or another simulator"
    )


@_of_transform.register
def _(transform: nengo.transforms.NoTransform, connection):
    return None


@_of_transform.register
def _(transform: nengo.Dense, connection):
    init = _array(transform.init, connection)
    return of_matrix(init) if init.ndim == 2 else np.broadcast_to(init, (connection.size_mid,)).astype(np.float32)


@_of_transform.register
def _(transform: nengo.Sparse, connection):
    matrix = transform.init
    if isinstance(matrix, nengo.transforms.SparseMatrix):
        (rows, columns), values = matrix.indices.T, _array(matrix.data, connection)
    else:
        matrix = matrix.tocoo()
        rows, columns, values = matrix.row, matrix.col, matrix.data
    return from_entries(rows, columns, values, transform.size_in, transform.size_out)


@_of_transform.register
def _(transform: nengo.Convolution, connection):
    if not transform.input_shape.channels_last:
        raise ConversionError(f"the fast simulator wants channels last: {connection} has them first")
    kernel = _array(transform.init, connection)
    return of_convolution(kernel, transform.input_shape.shape, transform.strides, transform.padding, transform.groups)


def _array(init, connection):
    if isinstance(init, nengo.dists.Distribution):
        raise ConversionError(
            f"the weights of {connection} are drawn from {init}: give them as an array, which is the same one in "
            "every simulator"
        )
    return np.asarray(init)
