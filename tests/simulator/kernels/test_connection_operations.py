import numpy as np
import pytest

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
