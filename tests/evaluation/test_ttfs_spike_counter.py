"""Counts of spikes from the closed form of time to first spike."""

import numpy as np
import pytest

import nengo_snnconv as snc
from nengo_snnconv.evaluation.ttfs_spike_counter import SpikeCounter


@pytest.mark.parametrize("level", [5.0, -5.0, np.nan, np.inf, 1e30])
def test_levels_out_of_range_are_refused(level):
    levels = np.zeros((3, 6), np.float32)
    levels[0, :4] = 1, -4, 4, 0
    counter = SpikeCounter(6, 4)
    counter.add(levels)
    assert counter.histogram.tolist() == [0, 1, 0, 0, 2]
    levels[2, 5] = level
    with pytest.raises(snc.SettingsError, match="activations become NaN or"):
        counter.add(levels)
