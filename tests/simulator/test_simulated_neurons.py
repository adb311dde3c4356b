"""Populations of neurons without a network around them: the fast simulator agrees with nengo and nengo_dl."""

import nengo
import numpy as np
import pytest
from simulators import (
    DT,
    LOWPASS,
    NEURONS,
    assert_equal,
    dyadic,
    neurons_of,
    run_fast,
    run_nengo,
    run_nengo_dl,
)

import nengo_snnconv as snc
from nengo_snnconv.neurons.max_gate import MaxGate
from nengo_snnconv.neurons.time_to_first_spike import FirstSpikeInput, TimeToFirstSpike
from nengo_snnconv.simulator import Simulator


@pytest.mark.parametrize(
    "neuron_type",
    [
        nengo.LIF(),
        nengo.LIF(tau_rc=0.003, tau_ref=0.0005, min_voltage=-2, amplitude=0.5),
        nengo.LIF(tau_rc=0.05, tau_ref=0),
        nengo.SpikingRectifiedLinear(amplitude=0.01),
        snc.SurrogateLIF(tau=3.0, reset="subtract"),
        snc.IntegrateAndFire(threshold=0.3, max_spikes=3, tau=0.0007),
    ],
    ids=str,
)
def test_random_currents_give_the_same_spikes(neuron_type, rng):
    """Check thousands of spikes with inexact currents and random initial potentials."""
    with nengo.Network(seed=2) as network:
        source = nengo.Node(np.zeros(600))
        neurons = neurons_of(neuron_type, 600, gain=1.75, bias=0.25)
        nengo.Connection(source, neurons, synapse=None)
        spikes, voltage = nengo.Probe(neurons), nengo.Probe(neurons, "voltage")
    x = rng.uniform(-1, 4, (2, 60, 600)).astype(np.float32)
    x[0] = x[0, 0]
    seen, expected = (run(network, 60, {source: x}) for run in (run_fast, run_nengo_dl))
    height = neuron_type.amplitude / 0.001
    assert (seen[spikes] > 0).sum() > 3000
    assert np.array_equal(np.rint(seen[spikes] / height), np.rint(expected[spikes] / height))
    # the exponentials of two libraries differ by rounding, which a current of 7 with a small tau_rc amplifies
    np.testing.assert_allclose(seen[voltage], expected[voltage], atol=1e-4)


@pytest.mark.parametrize("share", [0.03, 0.9])
@pytest.mark.parametrize("neuron_type", [nengo.LIF(), nengo.LIF(tau_ref=0, min_voltage=-1)], ids=str)
def test_lif_neurons_of_a_constant_input(neuron_type, share, rng):
    """Neurons that the input cannot make spike are not stepped one by one, unless their potentials are probed.

    A share of the neurons spikes; runs continue with other inputs, after which refractory periods end.
    """
    size, found = 3005, []
    inputs = [rng.uniform(-2, 0.5, (2, 1, size)) + 3 * (rng.random((2, 1, size)) < share) for _ in range(3)]
    for probed in (False, True):
        with nengo.Network(seed=2) as network:
            source = nengo.Node(np.zeros(size))
            neurons = neurons_of(neuron_type, size, gain=1, bias=0.5)
            nengo.Connection(source, neurons, synapse=None)
            spikes = nengo.Probe(neurons)
            if probed:
                nengo.Probe(neurons, "voltage")
        with Simulator(network, minibatch_size=2, progress_bar=False) as sim:
            for x, n_steps in zip(inputs, (1, 2, 70), strict=True):
                sim.run_steps(n_steps, data={source: x.astype(np.float32)})
            found.append(sim.data[spikes])
    assert (found[0] > 0).any(axis=1).mean() == pytest.approx(share, abs=0.15)
    assert np.array_equal(*found)


@pytest.mark.parametrize("neuron_type", NEURONS, ids=str)
def test_populations(neuron_type, rng):
    """Check different gains and biases, all states that can be probed, and constant and changing inputs."""
    size = 18
    with nengo.Network(seed=1) as network:
        source = nengo.Node(np.zeros(size))
        neurons = neurons_of(neuron_type, size, gain=1 + dyadic(rng, size) / 2, bias=dyadic(rng, size))
        nengo.Connection(source, neurons, transform=2, synapse=None)
        nengo.Probe(neurons)
        nengo.Probe(neurons[3:7])
        nengo.Probe(neurons, "input", synapse=LOWPASS)
        states = {"voltage", "current", "spiked"} | ({"total"} if getattr(neuron_type, "cumulative", False) else set())
        for state in states.intersection(neuron_type.state):
            nengo.Probe(neurons, state)
            nengo.Probe(neurons[::-2], state, synapse=LOWPASS)
    for n_moving in (1, 9):
        data = {source: dyadic(rng, 2, n_moving, size)}
        seen = run_fast(network, 9, data, dt=DT)
        assert_equal(seen, run_nengo(network, 9, data, dt=DT))
        assert all(values.any() for values in seen.values())


def test_inputs_are_probed_beyond_the_stages_of_neurons(rng):
    """Neurons of two stages read the same node, and an input is probed in all steps."""
    with nengo.Network() as network:
        image, one, other = nengo.Node([0.25, 0.5, 0.75]), nengo.Node(size_in=3), nengo.Node(size_in=3)
        for stage in range(3):
            encoded = neurons_of(FirstSpikeInput(n_steps=4, stage=stage), 3)
            nengo.Connection(image, encoded, synapse=None)
            nengo.Connection(encoded, one, transform=dyadic(rng, 3, 3), synapse=None)
        nengo.Connection(one, other, synapse=None)
        for stage in range(2):
            neurons = neurons_of(TimeToFirstSpike(n_steps=4, stage=stage), 3)
            nengo.Connection(other, neurons, synapse=None)
            nengo.Probe(neurons, "voltage")
        driven = neurons_of(TimeToFirstSpike(n_steps=4, stage=1), 3)
        nengo.Connection(encoded, driven, transform=0.5, synapse=None)
        nengo.Probe(driven, "input")
    seen = run_fast(network, 12)
    assert_equal(seen, run_nengo(network, 12))
    assert all(values.any() for values in seen.values())


@pytest.mark.parametrize("attributes", [(), ("input", "total")], ids=str)
@pytest.mark.parametrize("entries", [[0, 1, 2, 1, 2, 3, 9, 4, 0], [8, 7, 6, 5, 4, 3], None], ids=str)
def test_maxima_of_selected_spikes(entries, attributes, rng):
    """Maxima of windows that overlap, that are not in order, and of all units; signed spikes shrink them again."""
    with nengo.Network() as network:
        source = nengo.Node(np.zeros(12))
        spiking = neurons_of(snc.SignedIntegrateAndFire(amplitude=DT, tau=DT), 12)
        nengo.Connection(source, spiking, synapse=None)
        gate = neurons_of(MaxGate(3), 12 if entries is None else len(entries))
        nengo.Connection(spiking if entries is None else spiking[entries], gate, synapse=None)
        maxima = nengo.Node(size_in=gate.size_out // 3)
        nengo.Connection(gate[::3], maxima, synapse=None)
        for attribute in attributes:
            nengo.Probe(gate, attribute)
        for obj in (spiking, gate, maxima):
            nengo.Probe(obj)
    data = {source: dyadic(rng, 2, 30, 12)}
    seen = run_fast(network, 30, data, dt=DT)
    assert_equal(seen, run_nengo(network, 30, data, dt=DT))
    assert all((values > 0).any() and (values < 0).any() for values in list(seen.values())[-3:])


@pytest.mark.parametrize("first", [{"image": 1}, {"other": 2}, {}], ids=str)
def test_maxima_of_a_run_that_continues_with_other_inputs(first, rng):
    """Nodes that are not fed have the value zero; windows overlap, so that there are fewer units than entries."""
    entries = np.array([[0, 1, 4, 5], [1, 2, 5, 6], [4, 5, 8, 9], [5, 6, 9, 10]]).ravel()
    with nengo.Network() as network:
        nodes = {name: nengo.Node(np.zeros(size)) for name, size in (("image", 12), ("other", 16))}
        gate = neurons_of(MaxGate(4), 16)
        nengo.Connection(nodes["image"][entries], gate, synapse=None)
        nengo.Connection(nodes["other"], gate, synapse=None)
        probe = nengo.Probe(gate)
    moving = {name: dyadic(rng, 3, 8, node.size_out) for name, node in nodes.items()}
    seen = []
    for fed in (first, dict.fromkeys(nodes)):
        with Simulator(network, minibatch_size=3, progress_bar=False) as simulator:
            before = {nodes[name]: moving[name][:, :4] * (name in first) for name in fed}
            simulator.run_steps(4, data=before)
            simulator.run_steps(4, data={node: moving[name][:, 4:] for name, node in nodes.items()})
            seen.append(simulator.data[probe])
    assert np.array_equal(*seen)
    assert seen[0][:, 4:].any()
