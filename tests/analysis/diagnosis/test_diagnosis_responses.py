"""Responses of neurons, from which diagnose computes how much each cause changes."""

import nengo
import numpy as np
import pytest

import nengo_snnconv as snc
from nengo_snnconv.analysis.diagnosis.responses import ChargeResponse, TableResponse, response_of
from nengo_snnconv.networks.native import NativeConfig


@pytest.mark.parametrize("skip_steps", [0, 5])
@pytest.mark.parametrize(
    "neuron_type",
    [
        snc.IntegrateAndFire(),
        snc.IntegrateAndFire(initial_potential=0, max_spikes=3),
        snc.IntegrateAndFire(threshold=0.5, tau=0.002, amplitude=0.002),
        snc.SignedIntegrateAndFire(initial_potential=0.25, max_spikes=2),
        nengo.LIF(min_voltage=-5),
        nengo.SpikingRectifiedLinear(amplitude=0.001),
        nengo.RegularSpiking(nengo.LIFRate()),
    ],
    ids=str,
)
def test_responses_are_the_mean_output_for_constant_input(neuron_type, skip_steps):
    coding = NativeConfig(neuron_type)
    current = np.random.default_rng(0).uniform(-0.5, 3.5, 300).astype(np.float32)
    with nengo.Network(seed=1) as network:
        neurons = coding.make_neurons(300, "neurons")
        nengo.Connection(nengo.Node(current), neurons, synapse=None)
        probe = nengo.Probe(neurons)
    with nengo.Simulator(network, progress_bar=False) as simulator:
        start = simulator.model.sig[neurons]["voltage"].initial_value
        simulator.run_steps(20, progress_bar=False)
        emitted = simulator.data[probe][skip_steps:].mean(axis=0)
    response = response_of(coding, 0.001, start, current.min(), current.max())
    off = np.abs(response.mean_output(current[None], 20, skip_steps)[0] - emitted) > 1e-3
    # tables round input and initial potential, which may delay a spike beyond the end of the run
    assert off.mean() <= (0.05 if isinstance(response, TableResponse) else 0)
    settled = response.clipped(current) if isinstance(response, ChargeResponse) else response.long_run
    assert settled.min() == 0 and settled.max() == pytest.approx(min(response.largest, current.max()), rel=0.5)


def test_a_change_of_input_is_a_transient():
    """The mean input is zero, but positive in the first half, in which neurons spike."""
    response = ChargeResponse(snc.IntegrateAndFire(), 0.001, np.full(1, 0.5))
    stages = dict(response.stages(np.zeros((1, 1)), np.ones((1, 1)), 10, 0))
    assert stages["quantisation"] == 0
    assert stages["transient"] == pytest.approx(0.5)


def test_neurons_that_take_spikes_back_have_no_transients():
    response = ChargeResponse(snc.SignedIntegrateAndFire(), 0.001, np.full(1, 0.5))
    stages = dict(response.stages(np.zeros((1, 1)), np.ones((1, 1)), 10, 0))
    assert stages.keys() == {"clipping", "quantisation"}
