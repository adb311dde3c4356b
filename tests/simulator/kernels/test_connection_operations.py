import nengo
import numpy as np
import pytest
from simulators import dyadic, neurons_of, run_fast, run_nengo

import nengo_snnconv as snc
from nengo_snnconv.simulator.compile.scatter_tables import from_entries
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
