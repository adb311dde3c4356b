"""Linear maps: all that lies between neurons and what they read, as one convolution or one matrix each."""

import dataclasses
import functools
import math

import numpy as np
import scipy.sparse

from ..metrics import cover, is_event_source
from ..model import layers as specs
from ..model.layers import PADDINGS, window_offset, window_output
from .transforms import bias_of, dilated


@dataclasses.dataclass(frozen=True, eq=False)
class Window:
    """A convolution without groups, of an image.

    Attributes
    ----------
    kernel : ndarray, (height, width, channels, filters)
    shape : tuple of int
        (height, width, channels) of its input.
    strides : tuple of int
    padding : "valid" or "same"
    """

    kernel: np.ndarray
    shape: tuple
    strides: tuple
    padding: str

    @property
    def axes(self):
        """(length of the input, size, stride, zeros before it, positions) of each axis."""
        for length, size, stride in zip(self.shape, self.kernel.shape, self.strides, strict=False):
            before = window_offset(length, size, stride, self.padding)
            yield length, size, stride, before, window_output(length, size, stride, self.padding)

    @functools.cached_property
    def equal_taps(self):
        """For each axis and tap of the kernel along it, a number that taps with the same weights share."""
        numbers = []
        for axis, size in enumerate(self.kernel.shape[:2]):
            taps = np.moveaxis(self.kernel, axis, 0).reshape(size, -1)
            numbers.append(np.unique(taps, axis=0, return_inverse=True)[1].ravel().tolist())
        return numbers


@dataclasses.dataclass(frozen=True, eq=False)
class LinearMap:
    """What reaches a layer from one source.

    Attributes
    ----------
    source : str
        Name of a layer of neurons, of a maximum, or of the input.
    window : Window or None
        If the map is such a convolution.
    matrix : scipy.sparse.csr_matrix, (size, size of the source), or None
        If it is none.
    """

    source: str
    window: Window = None
    matrix: scipy.sparse.csr_matrix = None


def linear_maps(model, name, windows=True):
    """A layer as a sum of linear maps of neurons and input, and a constant.

    Average pooling and the like are merged into the weights beside them.

    Parameters
    ----------
    model : Model
    name : str
    windows : bool
        Whether maps may be convolutions; else all are matrices.

    Returns
    -------
    maps : list of LinearMap
        One for each source.
    constant : ndarray, (size,)
    """
    paths = {}
    for source, path in _paths(model, name):
        paths.setdefault(source, []).append(path)
    maps = []
    for source, ways in paths.items():
        window = window_of(model, ways[0]) if windows and len(ways) == 1 else None
        maps.append(LinearMap(source, window, None if window else _sum(_matrix_of(model, source, p) for p in ways)))
    return maps, _constant(model, name)


def _paths(model, name):
    """The ways on which a layer is reached: (source, [(layer, number of its input), ...])."""
    layer = model.layers[name]
    if isinstance(layer, specs.Input) or is_event_source(layer):
        yield name, []
        return
    for place, source in enumerate(layer.inputs):
        for start, path in _paths(model, source):
            yield start, [*path, (layer, place)]


def _constant(model, name):
    """What a layer is where all neurons are silent and the input is zero, (size,)."""
    layer = model.layers[name]
    if isinstance(layer, specs.Input) or is_event_source(layer):
        return np.zeros(model.size(name))
    total = bias_of(layer, model)
    for place, source in enumerate(layer.inputs):
        constant = _constant(model, source)
        if constant.any():
            total = total + matrix(layer, model, place) @ constant
    return total


def window_of(model, path):
    """One convolution that does what the layers of a path do one after another; None where there is none."""
    if not any(isinstance(layer, specs.Conv) for layer, _ in path):
        return None  # a convolution of averages alone would store a matrix of channels for each entry
    window = None
    for layer, _ in path:
        following = _plain_window(layer, model)
        window = following if window is None or following is None else _composed(window, following)
        if window is None:
            return None
    return window


def _plain_window(layer, model):
    """A layer that is a convolution without groups of one or two axes, or an average that covers no border."""
    shape = model.shapes[layer.inputs[0]]
    if isinstance(layer, specs.Conv) and layer.groups == 1:
        kernel = dilated(model.arrays[f"{layer.name}/kernel"], layer.dilation).astype(float)
    elif isinstance(layer, specs.AveragePool):
        windows = zip(shape, layer.pool_size, layer.strides, strict=False)
        if any((cover(n, k, s, layer.padding).sum(axis=1) < k).any() for n, k, s in windows):
            return None  # a mean of fewer entries at the border
        kernel = np.broadcast_to(np.eye(shape[-1]) / math.prod(layer.pool_size), (*layer.pool_size, *2 * shape[-1:]))
    else:
        return None
    if len(shape) == 2:
        return Window(kernel[:, None], (shape[0], 1, shape[1]), (*layer.strides, 1), layer.padding)
    return Window(kernel, shape, layer.strides, layer.padding) if len(shape) == 3 else None


def _composed(first, second):
    """The convolution ``second`` of the convolution ``first``, as one convolution; None where borders forbid it."""
    strides, sizes = np.multiply(first.strides, second.strides), []
    possible = set(PADDINGS)
    for (n, k, s, before, m), (_, size, stride, pad, positions) in zip(first.axes, second.axes, strict=True):
        pad_after = (positions - 1) * stride - pad + size - m
        # zeros around what the first one gives must be windows that see nothing of its input
        if (pad > 0 and k > s + before) or (pad_after > 0 and m * s - before < n):
            return None
        axis = n, (size - 1) * s + k, s * stride
        sizes.append(axis[1])
        wanted = positions, pad * s + before
        possible &= {p for p in PADDINGS if (window_output(*axis, p), window_offset(*axis, p)) == wanted}
    if not possible:
        return None
    kernel = np.zeros((*sizes, first.kernel.shape[2], second.kernel.shape[3]))
    for tap in np.ndindex(second.kernel.shape[:2]):
        places = tuple(slice(i * s, i * s + k) for i, s, k in zip(tap, first.strides, first.kernel.shape, strict=False))
        kernel[places] += first.kernel @ second.kernel[tap]
    return Window(kernel, first.shape, tuple(map(int, strides)), min(possible, key=PADDINGS.index))


def _matrix_of(model, source, path):
    """The product of the matrices of the layers of a path."""
    product = scipy.sparse.identity(model.size(source), format="csr")
    for layer, place in path:
        product = matrix(layer, model, place) @ product
    return product


def _sum(matrices):
    """The sum of sparse matrices, without zeros among its entries."""
    total = sum(matrices).tocsr()
    total.eliminate_zeros()
    total.sort_indices()
    return total


@functools.singledispatch
def matrix(layer, model, place):
    """What a linear layer does with its input number ``place``, as a sparse matrix (size, size of that input)."""
    return scipy.sparse.identity(model.size(layer.name), format="csr")  # Add, Dropout


@matrix.register
def _(layer: specs.Selection, model, place):
    entries = layer.entries(place, *(model.shapes[name] for name in layer.inputs))
    targets = np.flatnonzero(entries >= 0)
    shape = len(entries), model.size(layer.inputs[place])
    return scipy.sparse.csr_matrix((np.ones(len(targets)), (targets, entries[targets])), shape)


@matrix.register
def _(layer: specs.Affine, model, place):
    shape = model.shapes[layer.name]
    return scipy.sparse.diags(np.broadcast_to(model.arrays[f"{layer.name}/scale"], shape).ravel().astype(float))


@matrix.register
def _(layer: specs.Dense, model, place):
    positions = math.prod(model.shapes[layer.name][:-1])
    return _product([scipy.sparse.identity(positions), model.arrays[f"{layer.name}/kernel"].T.astype(float)])


@matrix.register
def _(layer: specs.Conv, model, place):
    kernel = dilated(model.arrays[f"{layer.name}/kernel"], layer.dilation).astype(float)
    windows = list(zip(model.shapes[layer.inputs[0]], kernel.shape, layer.strides, strict=False))
    total = scipy.sparse.csr_matrix((model.size(layer.name), model.size(layer.inputs[0])))
    for tap in np.ndindex(kernel.shape[:-2]):
        if kernel[tap].any():
            of_groups = [scipy.sparse.csr_matrix(block) for block in np.split(kernel[tap].T, layer.groups)]
            axes = [_places(i, *window, layer.padding) for i, window in zip(tap, windows, strict=True)]
            total = total + _product([*axes, scipy.sparse.block_diag(of_groups)])
    return total


@matrix.register
def _(layer: specs.AveragePool, model, place):
    *spatial, channels = model.shapes[layer.inputs[0]]
    windows = zip(spatial, layer.pool_size, layer.strides, strict=True)
    covered = [cover(n, size, stride, layer.padding) for n, size, stride in windows]
    return _product([*(c / c.sum(axis=1, keepdims=True) for c in covered), scipy.sparse.identity(channels)])


@matrix.register
def _(layer: specs.GlobalAveragePool, model, place):
    *spatial, channels = model.shapes[layer.inputs[0]]
    return _product([np.full((1, math.prod(spatial)), 1 / math.prod(spatial)), scipy.sparse.identity(channels)])


def _places(tap, length, size, stride, padding):
    """Which entry of an axis one tap of a window meets at each position: a matrix (positions, length) of 0 and 1."""
    positions = np.arange(window_output(length, size, stride, padding))
    entries = positions * stride - window_offset(length, size, stride, padding) + tap
    inside = (entries >= 0) & (entries < length)
    shape = len(positions), length
    return scipy.sparse.csr_matrix((np.ones(inside.sum()), (positions[inside], entries[inside])), shape)


def _product(factors):
    """Return the Kronecker product of matrices, dense or sparse, as a sparse matrix."""
    # all of them sparse: for dense ones, SciPy is changing the kind of its result from matrix to array
    return functools.reduce(functools.partial(scipy.sparse.kron, format="csr"), map(scipy.sparse.csr_matrix, factors))
