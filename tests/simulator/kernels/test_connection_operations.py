import nengo
import numba
import numpy as np
import pytest
from instruction_sets import INSTRUCTIONS, compile_for
from simulators import dyadic, neurons_of, run_fast, run_nengo

import nengo_snnconv as snc
from nengo_snnconv.simulator.compile.scatter_tables import from_entries
from nengo_snnconv.simulator.kernels import connection_operations, operations, weight_sums
from nengo_snnconv.simulator.kernels.arguments import OPTIONS
from nengo_snnconv.simulator.kernels.event_operations import find_starts


@pytest.mark.parametrize("channels", [1, 2, 3, 5, 12, 64, 257, 4096, 3_211_264, 2**31 - 1])
def test_events_start_where_their_place_does(channels):
    """Units at both ends of places, in the middle and at the end of layers; a dense layer may have a single place."""
    places = max(2**24 // channels, 1)
    chosen = np.r_[np.arange(40), np.geomspace(1, places, 200).astype(int), np.arange(places - 40, places)]
    chosen = chosen[(chosen >= 0) & (chosen < places)]
    units = np.unique(np.r_[chosen * channels, chosen * channels + channels - 1]).astype(np.int32)
    starts = np.zeros(places + 1, np.int32)
    find_starts.py_func(units, 0, len(units), channels, places, starts)
    assert np.array_equal(starts, np.searchsorted(units, np.arange(places + 1) * channels))


def test_tables_with_one_target_for_each_unit():
    assert from_entries([0, 0, 1, 1], [0, 1, 2, 3], [0.5] * 4, 4, 2).one
    assert not from_entries([0, 0, 1], [0, 1, 3], [0.5] * 3, 4, 2).one
    assert not from_entries([0, 1, 1, 1], [0, 0, 1, 2], [0.5] * 4, 3, 2).one


@pytest.mark.parametrize("filters", [3, 16, 40, 100, 140, 256, 300, 531])
def test_any_number_of_filters(filters):
    """Sums of 16, 32, 64, 128 or 256 filters are kept in registers; the rest takes the next smaller number."""
    rng = np.random.default_rng(filters)
    kernel = dyadic(rng, 3, 2, 4, filters)
    transform = nengo.Convolution(filters, (5, 6, 4), kernel_size=(3, 2), padding="same", init=kernel)
    with nengo.Network() as network:
        bias = np.maximum(dyadic(rng, 5, 6, 4), 0)
        bias[2:] = 0  # so that some windows have no spikes
        neurons = neurons_of(snc.IntegrateAndFire(), 120, 1, bias.ravel())
        sums = nengo.Node(size_in=transform.size_out)
        nengo.Connection(neurons, sums, transform=transform, synapse=None)
        probe = nengo.Probe(sums)
    expected, found = run_nengo(network, 9), run_fast(network, 9)
    assert np.any(expected[probe])
    assert np.array_equal(found[probe], expected[probe])


@pytest.fixture
def one_after_another(monkeypatch, request):
    """Let all convolutions of events add one event after another, with the instructions of a parameter."""
    compile_for(request.param, monkeypatch, weight_sums)
    for name in ("_scatter_places", "_scatter_runs", "_scatter"):
        fresh = numba.njit(**OPTIONS)(getattr(connection_operations, name).py_func)
        monkeypatch.setattr(connection_operations, name, fresh)
    scatter = connection_operations._scatter

    @numba.njit(no_cpython_wrapper=True, **OPTIONS)
    def gather(op, turn, program, run, counters, work):
        table = program.gather_tables[op.table]
        scatter(program.scatter_tables[table.scatter], op, turn, program, work)

    kept, code = operations._kept_operation, operations.CODES["gather"]
    monkeypatch.setattr(operations, "_kept_operation", lambda number: gather if number == code else kept(number))
    yield
    assert gather.overloads, "the network has no convolution of events"


@pytest.mark.parametrize("one_after_another", INSTRUCTIONS, indirect=True)
@pytest.mark.parametrize(
    ("shape", "filters", "size", "strides", "padding"),
    [
        ((9, 10, 1), 12, (5, 5), (1, 1), "valid"),  # rows of weights that a few vectors hold
        ((9, 10, 1), 29, (3, 4), (2, 1), "same"),  # longer ones
        ((7, 9, 3), 5, (3, 3), (1, 2), "same"),
        ((6, 6, 4), 16, (2, 2), (2, 2), "valid"),
        ((40, 2), 8, (7,), (3,), "same"),
    ],
)
def test_few_channels(one_after_another, shape, filters, size, strides, padding):
    """Sums of single events are those of nengo, alone and added to others."""
    rng = np.random.default_rng(0)
    kernels = dyadic(rng, 2, *size, shape[-1], filters)
    with nengo.Network() as network:
        neurons = [neurons_of(snc.IntegrateAndFire(), np.prod(shape), 1, dyadic(rng, np.prod(shape))) for _ in range(2)]
        probes = []
        for sources in (neurons[:1], neurons):
            sums = None
            for source, kernel in zip(sources, kernels, strict=False):
                transform = nengo.Convolution(
                    filters, shape, kernel_size=size, strides=strides, padding=padding, init=kernel
                )
                sums = nengo.Node(size_in=transform.size_out) if sums is None else sums
                nengo.Connection(source, sums, transform=transform, synapse=None)
            probes.append(nengo.Probe(sums))
    expected, found = run_nengo(network, 9), run_fast(network, 9)
    for probe in probes:
        assert np.any(expected[probe])
        assert np.array_equal(found[probe], expected[probe])
