"""Linear maps of connections as functions of tensors, for all steps and images at once."""

from __future__ import annotations

import functools
import typing

import nengo
import numpy as np

from ...compat import tf
from ...errors import ConversionError

if typing.TYPE_CHECKING:
    from collections.abc import Callable

OTHERS = "use backend='nengo_dl' or backend='nengo'"


def tensor_map(connection: nengo.Connection) -> Callable[[tf.Tensor], tf.Tensor]:
    """Return the linear map of a connection, with its slices and without its synapse.

    Parameters
    ----------
    connection : nengo.Connection

    Returns
    -------
    callable
        Takes a tensor (..., size of the source) and returns one (..., size of the target).

    Raises
    ------
    ConversionError
        If the transform is not supported.
    """
    before = _selection(connection.pre_slice, connection.pre_obj.size_out)
    apply = _map_of(connection.transform, connection)
    after = _placement(connection.post_slice, connection.post_obj.size_in)
    return lambda values: after(apply(before(values)))


def _unchanged(values):
    return values


def _selection(view, size):
    """Return the function that selects entries of the last axis by a slice or by indices."""
    indices = np.arange(size)[view]
    return _unchanged if _is_whole(indices, size) else functools.partial(tf.gather, indices=indices, axis=-1)


def _placement(view, size):
    """Return the function that places entries in a last axis of ``size`` zeros, by a slice or by indices."""
    indices = np.arange(size)[view]
    if _is_whole(indices, size):
        return _unchanged
    source = np.full(size, len(indices))  # the number of the zero that is appended
    source[indices] = np.arange(len(indices))

    def place(values):
        return tf.gather(tf.pad(values, [*[(0, 0)] * (values.shape.rank - 1), (0, 1)]), source, axis=-1)

    return place


def _is_whole(indices, size):
    return np.array_equal(indices, np.arange(size))


@functools.singledispatch
def _map_of(transform, connection):
    raise ConversionError(
        f"the back end 'tensorflow' does not support the {type(transform).__name__} transform of {connection}: {OTHERS}"
    )


@_map_of.register
def _(transform: nengo.transforms.NoTransform, connection):
    return _unchanged


@_map_of.register
def _(transform: nengo.Dense, connection):
    weights = _array(transform.init, connection)
    if weights.ndim < 2:
        factor = tf.constant(weights)
        return lambda values: values * factor
    matrix = tf.constant(weights.T.copy())
    return lambda values: tf.reshape(tf.matmul(_rows(values), matrix), (*values.shape[:-1], matrix.shape[1]))


@_map_of.register
def _(transform: nengo.Sparse, connection):
    matrix = transform.init
    if isinstance(matrix, nengo.transforms.SparseMatrix):
        indices, weights = matrix.indices, _array(matrix.data, connection)
    else:
        matrix = matrix.tocoo()
        indices, weights = np.stack([matrix.row, matrix.col], axis=1), matrix.data
    sparse = tf.SparseTensor(np.asarray(indices, np.int64), weights.astype(np.float32), transform.shape)
    sparse = tf.sparse.reorder(sparse)

    def apply(values):
        products = tf.sparse.sparse_dense_matmul(sparse, _rows(values), adjoint_b=True)
        return tf.reshape(tf.transpose(products), (*values.shape[:-1], transform.size_out))

    return apply


@_map_of.register
def _(transform: nengo.Convolution, connection):
    shape = transform.input_shape
    if not shape.channels_last or len(shape.shape) > 3:
        raise ConversionError(
            f"the back end 'tensorflow' supports convolutions over one or two axes with channels last, which "
            f"{connection} is not: {OTHERS}"
        )
    # a convolution over one axis is one over images of height 1
    missing = [1] * (3 - len(shape.shape))
    image_shape, strides = (*missing, *shape.shape), [*missing, *transform.strides]
    kernel = _array(transform.init, connection)
    kernel = tf.constant(kernel.reshape(*missing, *kernel.shape))
    if missing and transform.groups > 1:
        strides[0] = strides[1]  # depthwise convolutions need equal strides, of which an axis of length 1 has no need
    convolve = _convolution(kernel, strides, transform.padding.upper(), transform.groups)

    def apply(values):
        images = tf.reshape(values, (-1, *image_shape))
        return tf.reshape(convolve(images), (*values.shape[:-1], transform.size_out))

    return apply


def _convolution(kernel, strides, padding, groups):
    """Return the function that convolves images, (n, height, width, channel); each channel alone if it can."""
    if groups > 1 and kernel.shape[-2] == 1 and len(set(strides)) == 1:
        filters = tf.reshape(kernel, (*kernel.shape[:2], groups, -1))
        return lambda images: tf.nn.depthwise_conv2d(images, filters, (1, *strides, 1), padding)
    return lambda images: tf.nn.conv2d(images, kernel, strides, padding)


def _array(init, connection):
    if isinstance(init, nengo.dists.Distribution):
        raise ConversionError(
            f"the weights of {connection} are drawn from {init}, differently in each simulator: set them to an array"
        )
    return np.asarray(init, np.float32)


def _rows(values):
    return tf.reshape(values, (-1, values.shape[-1]))
