"""Products of matrices in tiles, compiled for the instructions of this processor and for fewer."""

import numba
import numpy as np
import pytest
from instruction_sets import INSTRUCTIONS, compile_for

from nengo_snnconv.simulator.kernels import tiles


@pytest.mark.parametrize("instructions", INSTRUCTIONS)
@pytest.mark.parametrize("tile, n_positions, n_vectors", [(tiles.tile_12x2, 12, 2), (tiles.tile_6x4, 6, 4)])
def test_tiles(monkeypatch, instructions, tile, n_positions, n_vectors):
    compile_for(instructions, monkeypatch, tiles)
    rng, width = np.random.default_rng(0), 16 * n_vectors
    filters = width - 5
    segments = np.array([[0, 3], [10, 7], [30, 1]], np.int32)
    weights = rng.integers(-8, 8, (11, width)).astype(np.float32) / 4
    values = rng.integers(-8, 8, 200).astype(np.float32) / 4
    values_at = rng.integers(0, 160, n_positions)
    before = rng.integers(-8, 8, 7 + n_positions * filters).astype(np.float32)
    out = np.full(len(before) + 4, 99, np.float32)
    rows = np.arange(n_positions) * filters
    places = np.concatenate([values_at, 4 + rows, 7 + rows])

    @numba.njit
    def run(out, before, places, weights, values, segments, filters):
        tile(out, before, places, weights, values, segments, 0, len(segments), filters)

    run(out, before, places, weights.ravel(), values, segments.ravel(), filters)
    inputs = [np.concatenate([values[at + offset :][:length] for offset, length in segments]) for at in values_at]
    expected = before[7:].reshape(n_positions, filters) + np.array(inputs) @ weights[:, :filters]
    assert np.array_equal(out[4 : 4 + expected.size], expected.ravel())
    assert (out[:4] == 99).all()
    assert (out[4 + expected.size :] == 99).all()
