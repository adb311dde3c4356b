import numba
import numpy as np
import pytest
from instruction_sets import INSTRUCTIONS, compile_for

from nengo_snnconv.simulator.kernels import appending


@pytest.fixture(params=INSTRUCTIONS)
def instructions(request, monkeypatch):
    """Compile for the instructions of this processor, and for fewer."""
    compile_for(request.param, monkeypatch, appending)


@pytest.mark.parametrize("density", [0, 0.1, 0.5, 1])
def test_lists_of_units(instructions, density):
    rng = np.random.default_rng(0)
    values = (rng.random(160) * (rng.random(160) < density)).astype(np.float32)
    flags = (values != 0).astype(np.uint8)

    @numba.njit
    def nonzero(values, units, heights):
        count = 0
        for n in range(0, 160, 16):
            count += appending.append_nonzero(values, n, 7 + n, units, heights, count)
        return count

    @numba.njit
    def flagged(flags, units, heights):
        count = 0
        for n in range(0, 160, 16):
            count += appending.append_flagged(flags, n, 7 + n, np.float32(2.5), units, heights, count)
        return count

    expected = 7 + np.flatnonzero(flags)
    for function, source, heights_expected in (
        (nonzero, values, values[values != 0]),
        (flagged, flags, np.full(len(expected), 2.5)),
    ):
        units, heights = np.full(176, -1, np.int32), np.zeros(176, np.float32)
        count = function(source, units, heights)
        assert np.array_equal(units[:count], expected)
        assert np.array_equal(heights[:count], heights_expected)
