"""The interface of Simulator: runs in pieces, resets, data, functions of time, invalid arguments."""

import nengo
import numpy as np
import pytest
from models import branched, small_cnn
from simulators import (
    ROUNDING,
    assert_equal,
    neurons_of,
    probed,
    random_images,
    rounded,
    run_fast,
    run_nengo,
    spiking_network,
    two_nodes,
)

import nengo_snnconv as snc
from nengo_snnconv.compat import nengo_dl
from nengo_snnconv.networks.nengo_objects import direct_neurons
from nengo_snnconv.simulator import Simulator


@pytest.mark.parametrize("stateful", [True, False])
def test_calls_continue_unless_nengo_dl_was_told_otherwise(stateful):
    """With stateful=False, each call begins from the initial state, as in NengoDL; samples of all calls are kept."""
    with nengo.Network(seed=0) as network:
        nengo_dl.configure_settings(stateful=stateful)
        clock, current = nengo.Node(lambda t: t), nengo.Node([0.0])
        neurons = two_neurons()
        nengo.Connection(current, neurons, transform=[[300], [450]], synapse=None)
        probes = [nengo.Probe(clock), nengo.Probe(neurons, "voltage"), nengo.Probe(current, synapse=0.01)]
    found = []
    for simulator_class in (Simulator, nengo_dl.Simulator):
        with simulator_class(network, minibatch_size=1, progress_bar=False) as simulator:
            for _ in range(2):
                simulator.run_steps(3, data={current: np.ones((1, 3, 1))})
            found.append([simulator.data[probe] for probe in probes])
    for one, other in zip(*found, strict=True):
        assert one.shape[1] == 6
        assert np.allclose(one, other, rtol=1e-5, atol=1e-6)
        assert np.array_equal(one[:, :3], one[:, 3:]) is not stateful


def two_neurons():
    neuron_type = nengo.SpikingRectifiedLinear(initial_state={"voltage": nengo.dists.Choice([0])})
    return direct_neurons(neuron_type, 2, "neurons")


class TestFunctionsAndProcesses:
    """Nodes whose output is a function of time or a process."""

    def test_processes_with_seeds_equal_those_of_nengo(self):
        with nengo.Network() as network:
            for process in (
                nengo.processes.WhiteSignal(0.1, 40, seed=3),
                nengo.processes.FilteredNoise(seed=4),
                nengo.processes.Piecewise({0.002: [1.0], 0.005: [2.0]}),
            ):
                nengo.Probe(nengo.Node(process))
        assert_equal(run_fast(network, 20), run_nengo(network, 20), rtol=ROUNDING)

    def test_processes_without_seeds_depend_on_the_seed_of_the_simulator(self):
        with nengo.Network() as network:
            probes = [nengo.Probe(nengo.Node(nengo.processes.WhiteSignal(0.1, 40))) for _ in range(2)]

        def noises(simulator):
            simulator.run_steps(5)
            return [simulator.data[probe] for probe in probes]

        with Simulator(network, seed=1) as simulator:
            first, second = noises(simulator)
            assert not np.allclose(first, second)
            simulator.reset()
            assert np.array_equal(noises(simulator), [first, second])
            simulator.reset(seed=2)
            assert not np.allclose(noises(simulator)[0], first)
        with Simulator(network, seed=2) as other:
            assert np.array_equal(noises(other), [simulator.data[probe] for probe in probes])

    def test_functions_continue_from_run_to_run_and_data_replace_them(self):
        times = []
        with nengo.Network() as network:
            node, silent = nengo.Node(lambda t: [t, 2 * t]), nengo.Node(lambda t: times.append(t))
            probe = nengo.Probe(node)
        assert silent.size_out == 0
        times.clear()
        with Simulator(network) as simulator:
            simulator.run_steps(2)
            simulator.step()
            simulator.run_steps(2, data={node: np.array([[5.0, 7.0]])})
            simulator.run_steps(2)
            seen = simulator.data[probe]
        steps = np.arange(1, 8)[:, None] * [0.001, 0.002]
        steps[3:5] = 5, 7
        np.testing.assert_allclose(seen, steps, rtol=1e-6)
        np.testing.assert_allclose(times, np.arange(1, 8) * 0.001)

    def test_functions_may_return_the_same_array(self):
        buffer = np.zeros(1, np.float32)

        def count(t):
            buffer[:] += 1
            return buffer

        with nengo.Network() as network:
            probe = nengo.Probe(nengo.Node(count, size_out=1))
        buffer[:] = 0
        assert run_fast(network, 3)[probe].ravel().tolist() == [1, 2, 3]

    @pytest.mark.parametrize(
        ("value", "message"),
        [
            (np.zeros(3), r"the output of <Node 'odd'> at 0.002 s must have size 2, got shape \(3,\)"),
            (None, "the output of <Node 'odd'> at 0.002 s must be numbers|must have size 2|must be finite"),
            ([0.0, np.nan], "the output of <Node 'odd'> at 0.002 s must be finite"),
        ],
    )
    def test_invalid_outputs_of_functions(self, value, message):
        with nengo.Network() as network:
            nengo.Probe(nengo.Node(lambda t: np.zeros(2) if t < 0.0015 else value, size_out=2, label="odd"))
        with Simulator(network) as simulator, pytest.raises(snc.SettingsError, match=message):
            simulator.run_steps(5)


def spiking_cnn():
    model = rounded(branched())
    return model, probed(spiking_network(model, input_coding="poisson"))


class TestRuns:
    @pytest.mark.parametrize("moving", [False, True])
    def test_runs_in_pieces(self, moving, rng):
        model, network = spiking_cnn()
        data = random_images(model, rng, n_steps=11 if moving else 1)
        whole = run_fast(network, 11, {network.input: data})
        with Simulator(network, minibatch_size=3) as simulator:
            for begin, end in ((0, 2), (2, 6), (6, 7), (7, 11)):
                part = data[:, begin:end] if moving else data
                simulator.run_steps(end - begin, data={network.input: part})
            assert_equal(dict(simulator.data), whole)
            assert simulator.n_steps == 11

    def test_shapes_of_constant_data(self, rng):
        model, network = spiking_cnn()
        x = random_images(model, rng)
        flat = x.reshape(3, -1)
        whole = run_fast(network, 4, {network.input: x})
        for values in (flat, flat[:, None], np.repeat(flat[:, None], 4, axis=1), x.astype(float).tolist()):
            assert_equal(run_fast(network, 4, {network.input: np.asarray(values)}), whole)

    def test_constant_then_changing_then_constant_data(self, rng):
        """The programs for constant and for changing data share their states."""
        model, network = spiking_cnn()
        data = random_images(model, rng, n_steps=9)
        data[:, :3], data[:, 6:] = data[:, :1], data[:, 6:7]
        whole = run_fast(network, 9, {network.input: data})
        with Simulator(network, minibatch_size=3) as simulator:
            for part in np.split(data, 3, axis=1):
                simulator.run_steps(3, data={network.input: part})
            assert_equal(dict(simulator.data), whole)

    def test_memory_and_threads_do_not_change_results(self, rng):
        model, network = spiking_cnn()
        data = {network.input: random_images(model, rng, 7, n_steps=80)}
        whole = run_fast(network, 80, data, threads=1)
        for options in ({"threads": 2}, {"threads": 9}, {"memory_mb": 1e-6, "threads": 2}, {"memory_mb": 0.2}):
            assert_equal(run_fast(network, 80, data, **options), whole)

    def test_items_are_independent(self, rng):
        model = rounded(branched())
        network = probed(spiking_network(model))
        x = random_images(model, rng, 9)
        whole = run_fast(network, 5, {network.input: x})
        for k in (0, 4, 8):
            alone = run_fast(network, 5, {network.input: x[k : k + 1]})
            assert_equal(alone, {probe: values[k : k + 1] for probe, values in whole.items()})


class TestInterface:
    @pytest.fixture
    def network(self):
        with nengo.Network(seed=0) as network:
            network.source = nengo.Node(np.full(3, 0.375), label="source")
            neurons = neurons_of(snc.IntegrateAndFire(), 3, gain=2.0)
            nengo.Connection(network.source, neurons, synapse=None)
            network.probe = nengo.Probe(neurons[:2])
        return network

    def test_no_axis_of_items_without_minibatch_size(self, network):
        with Simulator(network) as simulator:
            assert simulator.data[network.probe].shape == (0, 2)
            simulator.run_steps(4)
        assert simulator.minibatch_size is None
        assert simulator.data[network.probe].shape == (4, 2)
        assert run_fast(network, 4)[network.probe].shape == (1, 4, 2)

    def test_resets(self, network):
        with Simulator(network) as simulator:
            simulator.run_steps(5)
            first = simulator.data[network.probe]
            assert first.any()
            simulator.soft_reset()
            assert (simulator.n_steps, len(simulator.data[network.probe])) == (0, 5)
            simulator.run_steps(5)
            assert np.array_equal(simulator.data[network.probe], np.concatenate([first, first]))
            simulator.clear_probes()
            simulator.run_steps(3)
            assert (simulator.n_steps, len(simulator.data[network.probe])) == (8, 3)
            simulator.soft_reset(include_probes=True)
            assert len(simulator.data[network.probe]) == 0
            simulator.run_steps(5)
            simulator.reset()
            assert (simulator.n_steps, simulator.time, len(simulator.data[network.probe])) == (0, 0, 0)
            simulator.run_steps(5)
            assert np.array_equal(simulator.data[network.probe], first)

    def test_time(self, network):
        with Simulator(network, dt=0.002) as simulator:
            simulator.step()
            simulator.run(0.0071)
            assert (simulator.dt, simulator.n_steps) == (0.002, 5)
            assert simulator.time == pytest.approx(0.01)
            np.testing.assert_allclose(simulator.trange(), [0.002, 0.004, 0.006, 0.008, 0.01])
            np.testing.assert_allclose(simulator.trange(sample_every=0.004), [0.004, 0.008])
            with pytest.warns(UserWarning, match="nothing was simulated"):
                simulator.run(0.0001)
            assert simulator.n_steps == 5

    def test_data_is_a_mapping_of_probes(self, network):
        with Simulator(network) as simulator:
            assert list(simulator.data) == [network.probe]
            assert len(simulator.data) == 1
            with pytest.raises(ValueError, match="read-only"):
                simulator.data[network.probe][:] = 1
            with pytest.raises(KeyError, match="<Node 'source'> is not"):
                simulator.data[network.source]

    def test_closed(self, network):
        with Simulator(network) as simulator:
            simulator.run_steps(2)
            assert not simulator.closed
        assert simulator.closed
        assert len(simulator.data[network.probe]) == 2
        for call in (lambda: simulator.run_steps(1), simulator.step, simulator.reset, simulator.soft_reset):
            with pytest.raises(nengo.exceptions.SimulatorClosed, match="closed"):
                call()
        with pytest.raises(nengo.exceptions.SimulatorClosed, match="closed"), simulator:
            pass
        simulator.close()

    def test_seeds(self, network):
        assert Simulator(network).seed == 1
        assert Simulator(network, seed=7).seed == 7
        network.seed = 2**32 - 1
        assert Simulator(network).seed == 0
        network.seed = None
        assert Simulator(network).seed != Simulator(network).seed

    def test_random_potentials_depend_on_the_seed_of_the_network(self, network):
        network.all_ensembles[0].neuron_type = nengo.LIF()
        with network:
            nengo.Probe(network.all_ensembles[0].neurons, "voltage")
        assert_equal(run_fast(network, 3, seed=9), run_nengo(network, 3))

    def test_progress(self, network, capsys):
        with Simulator(network, progress_bar=True) as simulator:
            simulator.run_steps(3)
            assert "simulating" in capsys.readouterr().err
            simulator.run_steps(3, progress_bar=False)
            simulator.step()
        with Simulator(network, progress_bar=False) as simulator:
            simulator.run_steps(3)
        assert capsys.readouterr().err == ""


class TestInvalidArguments:
    @pytest.mark.parametrize(
        ("argument", "value"),
        [
            ("minibatch_size", 0),
            ("minibatch_size", 2.5),
            ("threads", 0),
            ("threads", -1),
            ("dt", 0),
            ("dt", np.inf),
            ("dt", "fast"),
            ("memory_mb", 0),
            ("memory_mb", np.nan),
            ("seed", -1),
            ("seed", 1.5),
            ("precision", "float16"),
        ],
    )
    def test_options(self, argument, value):
        with pytest.raises(snc.SettingsError, match=f"{argument} must be"):
            Simulator(two_nodes(), **{argument: value})

    def test_no_network(self):
        with pytest.raises(snc.SettingsError, match="a network, got Model") as caught:
            Simulator(small_cnn())
        assert caught.value.argument == "network"

    def test_data(self, rng):
        network = two_nodes()
        source, other = network.all_nodes
        invalid = [
            ("a dict from nodes", np.zeros((2, 2))),
            ("<Node 'two'> is not a node", {other: np.zeros((2, 2))}),
            ("is not a node", {two_nodes().all_nodes[0]: np.zeros((2, 2))}),
            ("input is not a node", {"input": np.zeros((2, 2))}),
            (r"\(2, 5, 2\), or \(2, 1, 2\)", {source: np.zeros((3, 2))}),
            (r"got \(2, 4, 2\)", {source: np.zeros((2, 4, 2))}),
            (r"got \(2, 5, 3\)", {source: np.zeros((2, 5, 3))}),
            (r"got \(2,\)", {source: np.zeros(2)}),
            (r"got \(2, 5\)", {source: np.zeros((2, 5))}),
            ("<Node 'one'> must be finite", {source: np.full((2, 2), np.nan)}),
            ("must be finite", {source: np.full((2, 2), 1e300)}),
            ("<Node 'one'> must be numbers", {source: [["a", "b"], ["c", "d"]]}),
            ("<Node 'one'> must be numbers", {source: [[1, 2], [3]]}),
        ]
        with Simulator(network, minibatch_size=2) as simulator:
            for message, data in invalid:
                with pytest.raises(snc.SettingsError, match=message):
                    simulator.run_steps(5, data=data)
            assert simulator.n_steps == 0
            simulator.run_steps(5, data={source: np.zeros((2, 2))})

    @pytest.mark.parametrize("n_steps", [0, -1, 1.5, "2"])
    def test_numbers_of_steps(self, n_steps):
        with Simulator(two_nodes()) as simulator, pytest.raises(snc.SettingsError, match="n_steps must be"):
            simulator.run_steps(n_steps)

    @pytest.mark.parametrize("seconds", [-1, np.nan, np.inf, "1", [1]])
    def test_times(self, seconds):
        with Simulator(two_nodes()) as simulator, pytest.raises(snc.SettingsError) as caught:
            simulator.run(seconds)
        assert caught.value.argument == "time_in_seconds"
