"""Linear maps: all linear layers between a layer of neurons and one of its sources, as one convolution or matrix."""

from __future__ import annotations

import dataclasses
import functools
import math

import nengo
import numpy as np
import scipy.sparse

from ...model import layers as specs
from ...model.connectivity import cover, is_event_source
from ...model.layers import PADDINGS, window_offset, window_output
from ..connections import bias_of, dilated


@dataclasses.dataclass(frozen=True, eq=False)
class ImageConvolution:
    """A convolution of an image, without groups and dilation.

    Attributes
    ----------
    kernel : ndarray, (height, width, channels, filters)
    shape : tuple of int
        (height, width, channels) of the input.
    strides : tuple of int
    padding : "valid" or "same"
    """

    kernel: np.ndarray
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    padding: str

    @property
    def axes(self):
        """(input length, kernel size, stride, padding before, output length) of each spatial axis."""
        for length, size, stride in zip(self.shape, self.kernel.shape, self.strides, strict=False):
            before = window_offset(length, size, stride, self.padding)
            yield length, size, stride, before, window_output(length, size, stride, self.padding)

    @functools.cached_property
    def equal_taps(self):
        """For each spatial axis, a number for each position in the kernel, equal for positions with equal weights."""
        numbers = []
        for axis, size in enumerate(self.kernel.shape[:2]):
            taps = np.moveaxis(self.kernel, axis, 0).reshape(size, -1)
            numbers.append(np.unique(taps, axis=0, return_inverse=True)[1].ravel().tolist())
        return numbers


@dataclasses.dataclass(frozen=True, eq=False)
class LinearMap:
    """Input of a layer from one source: either a convolution or a matrix.

    Attributes
    ----------
    source : str
        Name of a layer of neurons, of max pooling, or of the input.
    convolution : ImageConvolution or None
    matrix : scipy.sparse.csr_matrix, (size, size of the source), or None
    """

    source: str
    convolution: ImageConvolution | None = None
    matrix: scipy.sparse.csr_matrix | None = None

    def transform(self):
        """Return the map as a Nengo transform."""
        if self.convolution is None:
            return nengo.Sparse(self.matrix.shape, init=self.matrix)
        kernel = self.convolution.kernel
        return nengo.Convolution(
            kernel.shape[-1],
            self.convolution.shape,
            kernel_size=kernel.shape[:2],
            strides=self.convolution.strides,
            padding=self.convolution.padding,
            init=kernel,
        )


def linear_maps(model, name, convolutions=True):
    """Write a layer as a sum of linear maps of neurons and the input, and a constant.

    All linear layers in between are merged, such as average pooling and the convolution after it.

    Parameters
    ----------
    model : Model
    name : str
    convolutions : bool
        Return convolutions where possible; if False, all maps are matrices.

    Returns
    -------
    maps : list of LinearMap
        One map for each source.
    constant : ndarray, (size,)
    """
    region, sources = _region(model, name)
    maps = []
    for source in sources:
        path = _only_path(model, region, source, name) if convolutions else None
        convolution = merged_convolution(model, path) if path is not None else None
        matrix = None if convolution else _matrix_between(model, region, source, name)
        maps.append(LinearMap(source, convolution, matrix))
    return maps, _constant(model, region, name)


def _is_source(layer):
    return isinstance(layer, specs.Input) or is_event_source(layer)


def _region(model, name):
    """Return the linear layers that end in layer ``name``, in order, and the names of the sources before them."""
    layers = model.layers
    reached = reachable(name, lambda each: () if _is_source(layers[each]) else layers[each].inputs)
    sources = [each for each in reached if _is_source(layers[each])]
    return [layer for each, layer in layers.items() if each in reached and not _is_source(layer)], sources


def reachable(start, neighbors):
    """Return the layers that are reached from a layer by following ``neighbors(name)``, depth first, as a dict."""
    reached, waiting = {}, [start]
    while waiting:
        current = waiting.pop()
        if current not in reached:
            reached[current] = True
            waiting.extend(reversed(neighbors(current)))
    return reached


def _only_path(model, region, source, name):
    """Return the path from a source to a layer, [(layer, index of its input), ...]; None if there are several paths."""
    n_paths = {source: 1}
    for layer in region:
        n_paths[layer.name] = sum(n_paths.get(each, 0) for each in layer.inputs)
    if n_paths[name] > 1:
        return None
    path = []
    while name != source:
        layer = model.layers[name]
        index = next(index for index, each in enumerate(layer.inputs) if n_paths.get(each))
        path.append((layer, index))
        name = layer.inputs[index]
    return path[::-1]


def _matrix_between(model, region, source, name):
    """Return the matrix from a source to layer ``name``, summed over all paths, without stored zeros."""
    products = {source: scipy.sparse.identity(model.size(source), format="csr")}
    last_reader = {each: layer.name for layer in region for each in layer.inputs}
    for layer in region:
        terms = [
            layer_matrix(layer, model, index) @ products[each]
            for index, each in enumerate(layer.inputs)
            if each in products
        ]
        if terms:
            products[layer.name] = sum(terms[1:], terms[0])
        for each in set(layer.inputs):
            if last_reader[each] == layer.name and each != name:
                products.pop(each, None)  # frees memory
    total = products[name].tocsr()
    total.eliminate_zeros()
    total.sort_indices()
    return total


def _constant(model, region, name):
    """Return the output of a layer if all neurons are silent and the input is zero, (size,)."""
    constants = {}
    for layer in region:
        total = bias_of(layer, model)
        for index, source in enumerate(layer.inputs):
            constant = constants.get(source)
            if constant is not None and constant.any():
                total = total + layer_matrix(layer, model, index) @ constant
        constants[layer.name] = total
    return constants.get(name, np.zeros(model.size(name)))


def merged_convolution(model, path):
    """Return one convolution that is equal to all layers of a path, one after another; None if there is none."""
    if not any(isinstance(layer, specs.Conv) for layer, _ in path):
        return None  # average pooling alone: its kernel would be a matrix of all channels for each position
    merged = None
    for layer, _ in path:
        convolution = _layer_convolution(layer, model)
        merged = convolution if merged is None or convolution is None else _composed(merged, convolution)
        if merged is None:
            return None
    return merged


def _layer_convolution(layer, model):
    """Return a 1-D or 2-D convolution without groups, or an average without borders, as ImageConvolution; else None."""
    shape = model.shapes[layer.inputs[0]]
    if isinstance(layer, specs.Conv) and layer.groups == 1:
        kernel = dilated(model.arrays[f"{layer.name}/kernel"], layer.dilation).astype(float)
    elif isinstance(layer, specs.AveragePool):
        windows = zip(shape, layer.pool_size, layer.strides, strict=False)
        if any((cover(n, k, s, layer.padding).sum(axis=1) < k).any() for n, k, s in windows):
            return None  # means of fewer entries at the border
        kernel = np.broadcast_to(np.eye(shape[-1]) / math.prod(layer.pool_size), (*layer.pool_size, *2 * shape[-1:]))
    else:
        return None
    if len(shape) == 2:
        return ImageConvolution(kernel[:, None], (shape[0], 1, shape[1]), (*layer.strides, 1), layer.padding)
    return ImageConvolution(kernel, shape, layer.strides, layer.padding) if len(shape) == 3 else None


def _composed(first, second):
    """Return one convolution equal to ``first`` followed by ``second``; None if they differ at the borders."""
    strides, sizes = np.multiply(first.strides, second.strides), []
    possible = set(PADDINGS)
    for (n, k, s, before, m), (_, size, stride, pad, length) in zip(first.axes, second.axes, strict=True):
        pad_after = (length - 1) * stride - pad + size - m
        # where the second one reads padding, the first one's kernel must lie outside its input
        if (pad > 0 and k > s + before) or (pad_after > 0 and m * s - before < n):
            return None
        axis = n, (size - 1) * s + k, s * stride
        sizes.append(axis[1])
        expected = length, pad * s + before
        possible &= {p for p in PADDINGS if (window_output(*axis, p), window_offset(*axis, p)) == expected}
    if not possible:
        return None
    kernel = np.zeros((*sizes, first.kernel.shape[2], second.kernel.shape[3]))
    for tap in np.ndindex(second.kernel.shape[:2]):
        region = tuple(slice(i * s, i * s + k) for i, s, k in zip(tap, first.strides, first.kernel.shape, strict=False))
        kernel[region] += first.kernel @ second.kernel[tap]
    return ImageConvolution(kernel, first.shape, tuple(map(int, strides)), min(possible, key=PADDINGS.index))


@functools.singledispatch
def layer_matrix(layer, model, index):
    """Return the matrix of a linear layer for its input number ``index``, sparse, (size, size of that input)."""
    return scipy.sparse.identity(model.size(layer.name), format="csr")  # Add, Dropout


@layer_matrix.register
def _(layer: specs.Selection, model, index):
    entries = layer.entries(index, *(model.shapes[name] for name in layer.inputs))
    targets = np.flatnonzero(entries >= 0)
    shape = len(entries), model.size(layer.inputs[index])
    return scipy.sparse.csr_matrix((np.ones(len(targets)), (targets, entries[targets])), shape)


@layer_matrix.register
def _(layer: specs.Affine, model, index):
    shape = model.shapes[layer.name]
    return scipy.sparse.diags(np.broadcast_to(model.arrays[f"{layer.name}/scale"], shape).ravel().astype(float))


@layer_matrix.register
def _(layer: specs.Dense, model, index):
    positions = math.prod(model.shapes[layer.name][:-1])
    return _product([scipy.sparse.identity(positions), model.arrays[f"{layer.name}/kernel"].T.astype(float)])


@layer_matrix.register
def _(layer: specs.Conv, model, index):
    kernel = dilated(model.arrays[f"{layer.name}/kernel"], layer.dilation).astype(float)
    windows = list(zip(model.shapes[layer.inputs[0]], kernel.shape, layer.strides, strict=False))
    total = scipy.sparse.csr_matrix((model.size(layer.name), model.size(layer.inputs[0])))
    for tap in np.ndindex(kernel.shape[:-2]):
        if kernel[tap].any():
            of_groups = [scipy.sparse.csr_matrix(block) for block in np.split(kernel[tap].T, layer.groups)]
            axes = [_selection(i, *window, layer.padding) for i, window in zip(tap, windows, strict=True)]
            total = total + _product([*axes, scipy.sparse.block_diag(of_groups)])
    return total


@layer_matrix.register
def _(layer: specs.AveragePool, model, index):
    *spatial, channels = model.shapes[layer.inputs[0]]
    windows = zip(spatial, layer.pool_size, layer.strides, strict=True)
    covered = [cover(n, size, stride, layer.padding) for n, size, stride in windows]
    return _product([*(c / c.sum(axis=1, keepdims=True) for c in covered), scipy.sparse.identity(channels)])


@layer_matrix.register
def _(layer: specs.GlobalAveragePool, model, index):
    *spatial, channels = model.shapes[layer.inputs[0]]
    return _product([np.full((1, math.prod(spatial)), 1 / math.prod(spatial)), scipy.sparse.identity(channels)])


def _selection(tap, length, size, stride, padding):
    """Return the matrix (output length, length) of 0 and 1 that selects the entry under a tap for each output."""
    positions = np.arange(window_output(length, size, stride, padding))
    entries = positions * stride - window_offset(length, size, stride, padding) + tap
    inside = (entries >= 0) & (entries < length)
    shape = len(positions), length
    return scipy.sparse.csr_matrix((np.ones(inside.sum()), (positions[inside], entries[inside])), shape)


def _product(factors):
    """Return the Kronecker product of matrices, dense or sparse, as a sparse matrix."""
    # with sparse factors only: for dense ones, the class of the result depends on the version of SciPy
    return functools.reduce(functools.partial(scipy.sparse.kron, format="csr"), map(scipy.sparse.csr_matrix, factors))
