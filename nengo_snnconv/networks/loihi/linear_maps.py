"""Linear maps: all that lies between neurons and what they read, as one convolution or one matrix each."""

import dataclasses
import functools
import math

import numpy as np
import scipy.sparse

from ...model import layers as specs
from ...model.connectivity import cover, is_event_source
from ...model.layers import PADDINGS, window_offset, window_output
from ..connections import bias_of, dilated


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
    region, sources = _region(model, name)
    maps = []
    for source in sources:
        path = _only_path(model, region, source, name) if windows else None
        window = window_of(model, path) if path is not None else None
        maps.append(LinearMap(source, window, None if window else _matrix_between(model, region, source, name)))
    return maps, _constant(model, region, name)


def _is_source(layer):
    return isinstance(layer, specs.Input) or is_event_source(layer)


def _region(model, name):
    """The layers between neurons or the input and layer ``name``, in order, and those neurons, as they are met."""
    seen, sources, waiting = set(), [], [name]
    while waiting:
        current = waiting.pop()
        if current in seen:
            continue
        seen.add(current)
        layer = model.layers[current]
        if _is_source(layer):
            sources.append(current)
        else:
            waiting.extend(reversed(layer.inputs))
    return [layer for each, layer in model.layers.items() if each in seen and not _is_source(layer)], sources


def _only_path(model, region, source, name):
    """The way from a source to a layer, [(layer, number of its input), ...]; None where there are several."""
    ways = {source: 1}
    for layer in region:
        ways[layer.name] = sum(ways.get(each, 0) for each in layer.inputs)
    if ways[name] > 1:
        return None
    path = []
    while name != source:
        layer = model.layers[name]
        place = next(place for place, each in enumerate(layer.inputs) if ways.get(each))
        path.append((layer, place))
        name = layer.inputs[place]
    return path[::-1]


def _matrix_between(model, region, source, name):
    """What layer ``name`` makes of a source, on all ways at once: a sparse matrix that stores no zeros."""
    products = {source: scipy.sparse.identity(model.size(source), format="csr")}
    last = {each: layer.name for layer in region for each in layer.inputs}
    for layer in region:
        parts = [
            matrix(layer, model, place) @ products[each] for place, each in enumerate(layer.inputs) if each in products
        ]
        if parts:
            products[layer.name] = sum(parts[1:], parts[0])
        for each in set(layer.inputs):
            if last[each] == layer.name and each != name:
                products.pop(each, None)
    total = products[name].tocsr()
    total.eliminate_zeros()
    total.sort_indices()
    return total


def _constant(model, region, name):
    """What a layer is where all neurons are silent and the input is zero, (size,)."""
    constants = {}
    for layer in region:
        total = bias_of(layer, model)
        for place, source in enumerate(layer.inputs):
            constant = constants.get(source)
            if constant is not None and constant.any():
                total = total + matrix(layer, model, place) @ constant
        constants[layer.name] = total
    return constants.get(name, np.zeros(model.size(name)))


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
