"""Signals of a network: the outputs of its objects, and the linear maps between them."""

from __future__ import annotations

import dataclasses

import nengo
import numpy as np

from .convolution_maps import ConvolutionMap, of_matrix
from .scatter_tables import ScatterTable, from_entries

# most outputs and weights of a dense layer that reads the units that are averaged, instead of their averages
MOST_OUTPUTS, MOST_WEIGHTS = 32, 2**20


@dataclasses.dataclass(eq=False)
class Term:
    """A term of a sum: a signal that goes through a linear map and a synapse.

    Attributes
    ----------
    source : Signal
    map : ScatterTable, ConvolutionMap or None
        None is the identity.
    synapse : nengo.LinearFilter or None
    """

    source: Signal
    map: ScatterTable | ConvolutionMap | None
    synapse: nengo.LinearFilter | None

    @property
    def selects(self):
        """True if each unit of the term is one of the source, or zero."""
        return self.synapse is None and (self.map is None or self.map.selects)

    def selected_units(self, size):
        """Return which unit of the source each of ``size`` units is; None if any of them is something else."""
        if not self.selects:
            return None
        if self.map is None:
            return np.arange(size)
        targets, sources = self.map.runs[:, 0], np.repeat(np.arange(len(self.map.first) - 1), np.diff(self.map.first))
        if not np.array_equal(np.sort(targets), np.arange(size)):
            return None
        units = np.empty(size, np.int64)
        units[targets] = sources
        return units

    @property
    def constant(self):
        """True if the term is the same in each step."""
        return self.source.constant and self.synapse is None

    @property
    def scatters(self):
        """True if the term is added event by event, False if unit by unit."""
        return self.map is not None or self.source.sparse


class Signal:
    """The output of an object of the network, computed when something needs it.

    Attributes
    ----------
    size : int
    constant : bool
        True if it is the same in each step.
    sparse : bool
        True if it is computed as events first.
    row : Row or None
        Its dense form, once it is computed.
    events : Events or None
        Its form as events, once it is computed.
    value : ndarray or None
        Its value if that is known, (size,).
    shared : bool
        True if several objects read it, or a probe.
    """

    def __init__(self, size, constant, sparse=False, row=None, events=None, value=None):
        self.size, self.constant, self.sparse = size, constant, sparse
        self.row, self.events, self.value = row, events, value
        self.shared = True


class Sum(Signal):
    """The sum of terms and of a constant ``offset``.

    Attributes
    ----------
    terms : list of Term
    offset : ndarray, (size,)
    obj : Nengo object or None
        The object that receives the sum; None for intermediate results.
    """

    def __init__(self, size, terms, offset=None, obj=None, shared=False):
        offset = np.zeros(size, np.float32) if offset is None else offset
        self.terms, self.offset, self.obj = terms, offset, obj
        constant = all(term.constant for term in terms)
        selects = not offset.any() and all(term.selects and term.source.sparse for term in terms)
        super().__init__(size, constant, sparse=bool(terms) and selects and _disjoint(terms, size))
        self.shared = shared


def _disjoint(terms, size):
    """Return True if no two terms write the same unit."""
    written = np.zeros(size, np.int64)
    for term in terms:
        np.add.at(written, slice(None) if term.map is None else term.map.runs[:, 0], 1)
    return written.max(initial=0) <= 1


def linear_map(connection, table, source):
    """Return the map of a connection with its slices: (signal that it reads, map).

    Parameters
    ----------
    connection : nengo.Connection
    table : None, ndarray, ScatterTable or ConvolutionMap
        Its transform, see :func:`.transforms.map_of`.
    source : Signal
        The output of the object that the connection reads.  Another signal is returned if the map has two parts.
    """
    pre = _indices(connection.pre_slice, connection.pre_obj.size_out)
    post = _indices(connection.post_slice, connection.post_obj.size_in)
    size_in, size_out = source.size, connection.post_obj.size_in
    if not isinstance(table, ScatterTable | ConvolutionMap):  # unit by unit
        if table is None and pre is None and post is None:
            return source, None
        pre = np.arange(size_in) if pre is None else pre
        post = np.arange(size_out) if post is None else post
        values = np.ones(len(pre)) if table is None else table
        return source, from_entries(post, pre, values, size_in, size_out, selects=table is None)
    if pre is not None:
        chosen = from_entries(np.arange(len(pre)), pre, np.ones(len(pre)), size_in, len(pre), selects=True)
        source = Sum(len(pre), [Term(source, chosen, None)])
    if post is not None:
        table = table.scatter_table if isinstance(table, ConvolutionMap) else table
        if np.array_equal(post, np.arange(post[0], post[0] + len(post))):
            runs = table.runs + np.array([post[0], 0, 0], np.int32)
            table = dataclasses.replace(table, runs=runs)
        else:
            source = Sum(table.size_out, [Term(source, table, None)])
            ones = np.ones(len(post))
            table = from_entries(post, np.arange(len(post)), ones, len(post), size_out, selects=True)
    return source, table


def without_averages(source, table):
    """Return the map of a dense layer behind averages as one of the units that are averaged: (signal, map).

    Spikes then reach the few outputs at once.  Returns the arguments if that is not possible, or would take longer.
    """
    averaged = source.terms[0] if isinstance(source, Sum) and len(source.terms) == 1 else None
    is_dense = isinstance(table, ConvolutionMap) and table.shape[:-1] == (1,) and table.outputs == (1,)
    if averaged is None or averaged.map is None or source.sparse or source.shared or not is_dense:
        return source, table
    size_in, size_out = averaged.source.size, table.size_out
    if (
        averaged.synapse is not None
        or not averaged.source.sparse
        or source.offset.any()
        or size_out > MOST_OUTPUTS
        or size_in * size_out > MOST_WEIGHTS
    ):
        return source, table
    averages = averaged.map
    averages = averages.scatter_table if isinstance(averages, ConvolutionMap) and averages.depthwise else averages
    if not (isinstance(averages, ScatterTable) and averages.one):
        return source, table
    matrix = table.kernel[0].T  # (outputs, averages)
    return averaged.source, of_matrix(matrix[:, averages.targets] * averages.weights, sparse=True)


def _indices(view, size):
    """Return the indices of a slice of an object; None if it is the whole object in order."""
    indices = np.arange(size)[view]
    return None if np.array_equal(indices, np.arange(size)) else indices
