"""Read-outs: class scores over time, chunk by chunk."""

import nengo
import numpy as np
import pytest

from nengo_snnconv.evaluation.readout import averaging_readout, filtering_readout


@pytest.mark.parametrize("synapse", [nengo.Lowpass(0.1), nengo.Alpha(0.01), nengo.Lowpass(0)], ids=str)
def test_filtered_scores_are_those_of_a_probe_in_nengo_one_step_later(synapse, rng):
    values = rng.normal(size=(2, 20, 3))
    with nengo.Network() as network:
        source = nengo.Node(nengo.processes.PresentInput(values[0], 0.001))
        probe = nengo.Probe(source, synapse=synapse)
    with nengo.Simulator(network, progress_bar=False) as simulator:
        simulator.run_steps(20)
    readout = filtering_readout(synapse, (2, 3), 0.001)
    parts = [readout(values[:, :7]), readout(values[:, 7:8]), readout(values[:, 8:])]
    assert np.allclose(np.concatenate(parts, axis=1)[0, :-1], simulator.data[probe][1:])


@pytest.mark.parametrize("skip_steps", [0, 3, 7, 12])
def test_averages_start_again_after_skipped_steps(skip_steps, rng):
    values = rng.normal(size=(2, 20, 3))
    readout = averaging_readout(skip_steps)
    found = np.concatenate([readout(values[:, :7]), readout(values[:, 7:8]), readout(values[:, 8:])], axis=1)
    for step in range(20):
        first = skip_steps if step >= skip_steps else 0
        assert np.allclose(found[:, step], values[:, first : step + 1].mean(axis=1), rtol=1e-5, atol=1e-6)
