"""Scatter and gather tables: each represents the matrix of its linear map, and events add columns of it."""

import itertools
import math
import unittest.mock

import nengo
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from simulators import neurons_of

import nengo_snnconv as snc
from nengo_snnconv.model.layers import window_offset, window_output
from nengo_snnconv.simulator import Simulator
from nengo_snnconv.simulator.compile import convolution_maps, gather_tables, scatter_tables, window_tables
from nengo_snnconv.simulator.kernels.arguments import BLOCK_INPUTS
from nengo_snnconv.simulator.kernels.vectors import LANES

# as many spikes as the current says
SPIKING = snc.IntegrateAndFire(max_spikes=4, initial_potential=0, tau=0.001, amplitude=0.001)
EXAMPLES = settings(max_examples=80, deadline=None, derandomize=True)


def matrix_of(table, size_in):
    """Return the dense matrix (outputs, inputs) of a ScatterTable, as its docstring defines it."""
    matrix = np.zeros((table.size_out, size_in), np.float32)
    for unit in range(size_in):
        place, channel = divmod(unit, table.channels)
        for target, weight, length in table.runs[table.first[place] : table.first[place + 1]]:
            begin, weights = target + channel // table.group * table.shift, weight + channel * table.stride
            assert 0 <= begin < begin + length <= table.size_out
            matrix[begin : begin + length, unit] += table.weights[weights : weights + length]
    return matrix


def matrices_of(convolution, size_in):
    """Yield the dense matrix of a map: of its ScatterTable, of its GatherTable in passes, and of its TileTable."""
    if isinstance(convolution, scatter_tables.ScatterTable):
        yield matrix_of(convolution, size_in)
        return
    yield matrix_of(convolution.scatter_table, size_in)
    table = convolution.gather_table
    if convolution.depthwise:  # each filter reads the channel of its own number
        one_channel = gather_matrix(table, table.first[:1], convolution.size_out, table.places)
        places = one_channel.reshape(-1, table.filters, table.places)
        channels = np.eye(table.filters, dtype=np.float32)
        yield np.einsum("ofp,fc->ofpc", places, channels).reshape(convolution.size_out, size_in)
        return
    assert table.places * table.channels == size_in
    for passes in (table.first[:1], table.first[1:]):
        yield gather_matrix(table, passes, convolution.size_out, size_in)
    yield tile_matrix(table, size_in)


def gather_matrix(table, passes, size_out, size_in):
    """Return the dense matrix of some passes of a GatherTable, as its docstring defines it."""
    filters, channels = table.filters, table.channels
    padded = -(-filters // LANES) * LANES
    matrix = np.zeros((size_out, size_in), np.float32)
    for first in passes:
        outputs = iter(range(0, size_out, filters))
        for begin, end in itertools.pairwise(first):
            for lowest, highest, tap in table.columns:
                out = next(outputs)
                for place, weight in table.rows[begin:end]:
                    for column in range(lowest, highest):
                        for channel in range(channels):
                            at = weight + ((tap + column - lowest) * channels + channel) * padded
                            unit = (place + column) * channels + channel
                            matrix[out : out + filters, unit] += table.weights[at : at + filters]
    return matrix


def tile_matrix(table, size_in):
    """Return the dense matrix of the TileTable of a GatherTable, as its docstring defines it."""
    tiles, filters = table.tiles, table.filters
    kernel = table.weights.reshape(tiles.n_inputs, -1)[:, :filters]
    unit_of = np.full(tiles.padded, size_in)  # padding is a unit of its own
    for line, begin in enumerate(tiles.lines):
        unit_of[begin : begin + tiles.line] = np.arange(tiles.line) + line * tiles.line
    assert all(end > begin for begin, end in itertools.pairwise(tiles.blocks))
    assert all(tiles.segments[b:e, 1].sum() <= BLOCK_INPUTS for b, e in itertools.pairwise(tiles.blocks))
    matrix = np.zeros((len(tiles.positions), filters, size_in + 1), np.float32)
    for out, position in enumerate(tiles.positions):
        read = np.concatenate([np.arange(length) + position + offset for offset, length in tiles.segments])
        np.add.at(matrix[out].T, unit_of[read], kernel)
    return matrix[..., :size_in].reshape(-1, size_in)


def convolution_matrix(kernel, shape, strides, padding, groups):
    """Return the dense matrix of a convolution from its definition, entry by entry."""
    *size, depth, filters = kernel.shape
    windows = list(zip(shape, size, strides, strict=False))
    outputs = [window_output(*window, padding) for window in windows]
    offsets = [window_offset(*window, padding) for window in windows]
    matrix = np.zeros((*outputs, filters, *shape), np.float32)
    for out in np.ndindex(*outputs):
        for tap in np.ndindex(*size):
            entry = tuple(o * s - b + t for o, s, b, t in zip(out, strides, offsets, tap, strict=True))
            if all(0 <= e < n for e, n in zip(entry, shape, strict=False)):
                for channel, one in itertools.product(range(depth), range(filters)):
                    from_group = one // (filters // groups) * depth
                    matrix[(*out, one, *entry, from_group + channel)] += kernel[(*tap, channel, one)]
    return matrix.reshape(math.prod(outputs) * filters, -1)


def dyadic(rng, *shape):
    """Return random multiples of 1/4 except zero, so that each product shows in the result."""
    return rng.integers(1, 9, shape) / 4 * rng.choice([-1, 1], shape)


@st.composite
def convolutions(draw, max_rank=3):
    """Draw the arguments of a convolution: (kernel, shape, strides, padding, groups)."""
    rank = draw(st.integers(1, max_rank))
    longest = {1: 12, 2: 7, 3: 4}[rank]
    axes = [draw(st.integers(1, longest)) for _ in range(rank)]
    padding = draw(st.sampled_from(["valid", "same"]))
    # a kernel may be larger than a padded input
    size = [draw(st.integers(1, 5 if padding == "same" else min(n, 5))) for n in axes]
    strides = tuple(draw(st.integers(1, 4)) for _ in axes)
    groups, depth, per_group = (draw(st.integers(1, 3)) for _ in range(3))
    kernel = dyadic(np.random.default_rng(draw(st.integers(0, 999))), *size, depth, groups * per_group)
    return kernel, (*axes, groups * depth), strides, padding, groups


@given(convolutions())
@EXAMPLES
def test_convolutions(convolution):
    found, size_in = convolution_maps.of_convolution(*convolution), math.prod(convolution[1])
    expected = convolution_matrix(*convolution)
    assert found.size_out == len(expected)
    for matrix in matrices_of(found, size_in):
        assert np.array_equal(matrix, expected)


def test_passes_read_few_weights():
    kernel = np.ones((5, 5, 40, 64))
    table = convolution_maps.of_convolution(kernel, (9, 9, 40), (1, 1), "same", 1).gather_table
    assert len(table.first) == 1 + 5  # rows of 5 x 40 x 64 weights exceed the weights of a pass
    small = convolution_maps.of_convolution(kernel[:, :, :1], (9, 9, 1), (1, 1), "same", 1).gather_table
    assert len(small.first) == 1 + 1


def outputs_of(transform, currents, spiking=False):
    """Return the outputs for each row of ``currents``: in nengo, and in the fast simulator.

    If ``spiking``, neurons emit as many spikes; otherwise the simulator reads a dense signal.
    """
    with nengo.Network() as network:
        source = nengo.Node(lambda t: currents[min(round(1000 * t), len(currents)) - 1])
        if spiking:
            neurons = neurons_of(SPIKING, source.size_out)
            nengo.Connection(source, neurons, synapse=None)
            source = neurons
        node = nengo.Node(size_in=transform.size_out)
        nengo.Connection(source, node, transform=transform, synapse=None)
        probe = nengo.Probe(node)
    seen = []
    model = nengo.builder.Model(dt=0.001)
    for simulator in (nengo.Simulator(network, model=model, progress_bar=False, optimize=False), Simulator(network)):
        with simulator:
            simulator.run_steps(len(currents), progress_bar=False)
            seen.append(simulator.data[probe])
    return seen


@given(convolutions(max_rank=2), st.floats(0, 1), st.sampled_from([1, gather_tables.PASS_BYTES]), st.booleans())
@settings(EXAMPLES, max_examples=80)
def test_convolutions_of_signals(convolution, silent, bytes_of_pass, spiking):
    """Compare with nengo for unit vectors, which give the matrix, and for any fraction of silent units."""
    kernel, shape, strides, padding, groups = convolution
    *size, _, filters = kernel.shape
    transform = nengo.Convolution(
        filters, shape, kernel_size=size, strides=strides, padding=padding, groups=groups, init=kernel
    )
    rng, units = np.random.default_rng(0), np.eye(math.prod(shape))
    values = [1, 2, 3] if spiking else [0, 0.5, -1, 1]
    signals = rng.choice(values, (9, math.prod(shape))) * (rng.random((9, math.prod(shape))) >= silent)
    with unittest.mock.patch.object(gather_tables, "PASS_BYTES", bytes_of_pass):
        expected, seen = outputs_of(transform, np.concatenate([units, signals]), spiking)
    assert np.array_equal(seen, expected)
    matrix = convolution_matrix(*convolution)
    assert np.array_equal(expected[: len(units)], matrix.T)


@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 999))
@settings(EXAMPLES, max_examples=25)
def test_matrices(size_in, size_out, seed):
    rng = np.random.default_rng(seed)
    matrix = dyadic(rng, size_out, size_in)
    for found in matrices_of(convolution_maps.of_matrix(matrix), size_in):
        assert np.array_equal(found, matrix)
    full = rng.random((size_out, size_in)) < 0.3
    # entries in any order, some of them repeated
    rows, columns = (np.concatenate([indices, indices[:3]])[::-1] for indices in np.nonzero(full))
    table = scatter_tables.from_entries(rows, columns, matrix[rows, columns], size_in, size_out)
    expected = np.zeros_like(matrix)
    np.add.at(expected, (rows, columns), matrix[rows, columns])
    assert np.array_equal(matrix_of(table, size_in), expected)
    assert not table.selects


def test_identity():
    assert np.array_equal(matrix_of(scatter_tables.identity(7), 7), np.eye(7))
    assert scatter_tables.identity(7).selects


@st.composite
def pooling_windows(draw):
    """Draw (entries of each window, number of units): channels last, windows that may overlap, in any order."""
    places, channels, window = draw(st.integers(1, 6)), draw(st.integers(1, 20)), draw(st.integers(1, 4))
    starts = draw(st.lists(st.lists(st.integers(0, places - 1), min_size=window, max_size=window), min_size=1))
    entries = np.array(starts)[:, None] * channels + np.arange(channels)[:, None]
    entries = entries.reshape(-1, window)
    if draw(st.booleans()):
        entries = np.random.default_rng(0).permutation(entries)
    return entries, places * channels


@given(pooling_windows())
@EXAMPLES
def test_window_tables(windows):
    entries, units = windows
    table = window_tables.window_table(entries, units)
    read = table.entries[:, None] + np.arange(table.together)[:, None]
    assert np.array_equal(read.reshape(entries.shape), entries)
    assert table.units == units


def test_channels_of_a_place_are_together():
    entries = np.arange(4)[:, None, None] * 24 + np.arange(12)[:, None] + np.array([0, 12, 48])
    assert window_tables.window_table(entries.reshape(-1, 3), 200).together == 12
