"""Linear maps of Nengo's transforms."""

import functools

import nengo
import numpy as np

from ...errors import ConversionError
from .convolution_maps import of_convolution, of_matrix
from .scatter_tables import from_entries


def map_of(connection):
    """Return the linear map of a connection's transform, without its slices.

    Returns
    -------
    None, ndarray, ScatterTable or ConvolutionMap
        None is the identity; an array holds a factor for each unit.

    Raises
    ------
    ConversionError
        If the fast simulator does not support the transform.
    """
    return _map_of(connection.transform, connection)


@functools.singledispatch
def _map_of(transform, connection):
    raise ConversionError(
        f"the fast simulator does not support the {type(transform).__name__} transform of {connection}: use "
        "nengo.Convolution, nengo.Dense or nengo.Sparse, or nengo.Simulator"
    )


@_map_of.register
def _(transform: nengo.transforms.NoTransform, connection):
    return None


@_map_of.register
def _(transform: nengo.Dense, connection):
    init = _array(transform.init, connection)
    return of_matrix(init) if init.ndim == 2 else np.broadcast_to(init, (connection.size_mid,)).astype(np.float32)


@_map_of.register
def _(transform: nengo.Sparse, connection):
    matrix = transform.init
    if isinstance(matrix, nengo.transforms.SparseMatrix):
        (rows, columns), values = matrix.indices.T, _array(matrix.data, connection)
    else:
        matrix = matrix.tocoo()
        rows, columns, values = matrix.row, matrix.col, matrix.data
    return from_entries(rows, columns, values, transform.size_in, transform.size_out)


@_map_of.register
def _(transform: nengo.Convolution, connection):
    if not transform.input_shape.channels_last:
        raise ConversionError(
            f"the fast simulator needs channels last, {connection} has channels first: set channels_last=True"
        )
    kernel = _array(transform.init, connection)
    return of_convolution(kernel, transform.input_shape.shape, transform.strides, transform.padding, transform.groups)


def _array(init, connection):
    if isinstance(init, nengo.dists.Distribution):
        raise ConversionError(
            f"the weights of {connection} are drawn from {init}, differently in each simulator: set them to an array"
        )
    return np.asarray(init)
