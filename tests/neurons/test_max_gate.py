"""MaxGate: maxima of spike counts and of rates, equal on Nengo and NengoDL."""

import numpy as np
import pytest
from neuron_runs import dyadic, run_both

from nengo_snnconv.neurons.max_gate import MaxGate


@pytest.mark.parametrize("window", [1, 2, 5])
def test_spikes_so_far_are_the_largest_count_of_the_window(window, rng):
    spikes = (rng.random((40, 20)) < rng.random(20)).astype(float)
    (one,), (other,) = run_both(MaxGate(window), spikes)
    assert np.array_equal(one, other)
    counts = spikes.cumsum(axis=0).reshape(40, -1, window).max(axis=2)
    assert np.array_equal(one[:, ::window].cumsum(axis=0), counts)
    assert not one.reshape(40, -1, window)[..., 1:].any()
    assert set(np.unique(one)) <= {0, 1}


def test_rates_are_compared_in_each_step(rng):
    values = dyadic(rng, 10, 12)
    (one,), (other,) = run_both(MaxGate(3, cumulative=False), values)
    assert np.array_equal(one, other)
    assert np.array_equal(one[:, ::3], values.reshape(10, 4, 3).max(axis=2))
