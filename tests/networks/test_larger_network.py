"""Networks as parts of larger Nengo networks, and their reset between images."""

import warnings

import nengo
import numpy as np
import pytest
from models import branched, dyadic_images, small_cnn, spiking

import nengo_snnconv as snc
from nengo_snnconv.compat import nengo_dl
from nengo_snnconv.simulator import simulation

STEPS = 6


def exact(source):
    """Return a network of a model whose weights are multiples of 1/16, so that all sums are exact in float32."""
    model = source()
    arrays = {name: np.round(array * 16).astype(np.float32) / 16 for name, array in model.arrays.items()}
    return snc.convert(model.replace(arrays=arrays))


def quietly(function, *arguments, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", snc.SnnConvWarning)  # these networks are not normalized
        return function(*arguments, **options)


def neurons(source, *arguments, **options):
    return lambda: quietly(snc.to_spiking, exact(source), *arguments, **options)


def first_spikes():
    network = exact(small_cnn)
    return snc.to_ttfs(network, dyadic_images(network.model, 3), n_steps=4)


NETWORKS = {
    "maxima": neurons(branched),
    "signed": neurons(branched, snc.SignedIntegrateAndFire(initial_potential=0.25)),
    "random start": neurons(
        small_cnn, snc.IntegrateAndFire(initial_state={"voltage": nengo.dists.Uniform(0, 1)}), readout="spikes"
    ),
    "poisson": neurons(small_cnn, input_coding="poisson"),
    "LIF behind filters": neurons(small_cnn, nengo.LIF(min_voltage=-5), synapse=0.003),
    "stages": neurons(small_cnn, stage_steps=3),
    "first spikes": first_spikes,
    "trainable": lambda: snc.build_trainable(small_cnn(), snc.IntegrateAndFire(), synapse=0.002),
}


def alone(network, x, n_steps):
    """Return the scores of each image, simulated alone."""
    return np.concatenate([snc.record(network, image[None], n_steps=n_steps).output for image in x])


def steps_of(network):
    return network.settings.total_steps(network.model) or STEPS


def run(simulator, network, probe, n_steps):
    with simulator(network, progress_bar=False) as sim:
        sim.run_steps(n_steps, progress_bar=False)
        return sim.data[probe].reshape(3, n_steps // 3, -1)


class TestPresentedImages:
    @pytest.mark.parametrize("name", NETWORKS)
    def test_are_computed_as_if_alone(self, name):
        network = NETWORKS[name]()
        x, n_steps = dyadic_images(network.model, 3), steps_of(network)
        expected = alone(network, x, n_steps)
        assert snc.present(network, x, n_steps=n_steps) == 3 * n_steps
        found = run(snc.Simulator, network, network.probes["output"], 3 * n_steps)
        assert np.array_equal(found, expected)
        if name != "trainable":
            found = run(nengo.Simulator, network, network.probes["output"], 3 * n_steps)
            assert np.allclose(found, expected, rtol=0, atol=1e-5)

    @pytest.mark.parametrize("name", ["maxima", "trainable"])
    def test_in_nengo_dl(self, name):
        network = NETWORKS[name]()
        x = dyadic_images(network.model, 3)
        expected = alone(network, x, STEPS)
        snc.present(network, x, n_steps=STEPS)
        found = run(nengo_dl.Simulator, network, network.probes["output"], 3 * STEPS)
        assert np.allclose(found, expected, rtol=0, atol=1e-6)

    def test_videos(self):
        network = NETWORKS["maxima"]()
        videos = dyadic_images(network.model, 12).reshape(3, 4, *network.model.shapes["image"])
        with snc.Simulator(network, minibatch_size=3) as sim:
            sim.run_steps(4, data={network.input: videos.reshape(3, 4, -1)})
        assert snc.present(network, videos) == 12
        assert np.array_equal(run(snc.Simulator, network, network.probes["output"], 12), sim.data[network.probes[0]])

    def test_runs_of_odd_length(self):
        network = NETWORKS["first spikes"]()
        x, n_steps = dyadic_images(network.model, 2), steps_of(network)
        snc.present(network, x)
        with snc.Simulator(network) as sim:
            sim.run_steps(3)
            sim.run_steps(2 * n_steps - 3)
            found = sim.data[network.probes["output"]].reshape(2, n_steps, -1)
            sim.reset()
            sim.run_steps(n_steps)
            again = sim.data[network.probes["output"]]
        assert np.array_equal(found, alone(network, x, n_steps))
        assert np.array_equal(again, found[0])

    @pytest.mark.parametrize("name", ["maxima", "poisson", "stages"])
    def test_without_reset_state_carries_over(self, name):
        network = NETWORKS[name]()
        x = dyadic_images(network.model, 3)
        network.input.output = nengo.processes.PresentInput(x.reshape(3, -1), STEPS * 0.001)
        with pytest.warns(snc.SnnConvWarning, match="membrane potentials and other state"):
            found = run(snc.Simulator, network, network.probes["output"], 3 * STEPS)
        assert not np.array_equal(found, alone(network, x, STEPS)[:, :STEPS])

    def test_warning_in_nengo(self):
        network = NETWORKS["maxima"]()
        with nengo.Network() as larger:
            larger.add(network)
            camera = nengo.Node(nengo.processes.PresentInput(np.zeros((2, 128)), 0.01))
            nengo.Connection(camera, network.input, synapse=None)
        with pytest.warns(snc.SnnConvWarning, match="present"), nengo.Simulator(larger, progress_bar=False):
            pass

    @pytest.mark.parametrize(
        ("change", "argument"),
        [({"n_steps": None}, "n_steps"), ({"n_steps": 0}, "n_steps"), ({"x": np.zeros((2, 3))}, "x")],
    )
    def test_invalid_arguments(self, change, argument):
        network = NETWORKS["maxima"]()
        with pytest.raises(snc.SettingsError) as caught:
            snc.present(network, **{"x": dyadic_images(network.model, 1), "n_steps": 3, **change})
        assert caught.value.argument == argument

    def test_other_number_of_steps(self):
        network = NETWORKS["stages"]()
        with pytest.raises(snc.SettingsError, match="leave n_steps out"):
            snc.present(network, dyadic_images(network.model, 1), n_steps=5)
        with pytest.raises(snc.SettingsError, match="leave n_steps out"):
            snc.present(NETWORKS["maxima"](), np.zeros((2, 4, 8, 8, 2)), n_steps=5)

    def test_connected_input(self):
        network, x = NETWORKS["maxima"](), np.zeros((1, 8, 8, 2))
        with network:
            nengo.Connection(nengo.Node([1.0]), network.input[:1])
        with pytest.raises(snc.SettingsError, match="rebuild"):
            snc.present(network, x, n_steps=3)
        assert snc.present(network.rebuild(), x, n_steps=3) == 3


class TestLargerNetwork:
    def test_camera_and_reset(self, monkeypatch):
        network = NETWORKS["maxima"]()
        x = dyadic_images(network.model, 3)
        frames = x.reshape(3, -1)
        with nengo.Network(seed=3) as larger:
            snn = network.rebuild()
            camera = nengo.Node(lambda t: frames[(round(t / 0.001) - 1) // STEPS % 3], size_out=frames.shape[1])
            onset = nengo.Node(lambda t: float(round(t / 0.001) % STEPS == 1))
            nengo.Connection(camera, snn.input, synapse=None)
            nengo.Connection(onset, snn.reset, synapse=None)
            scores = nengo.Probe(snn.output)
        expected = alone(network, x, STEPS)
        assert np.array_equal(run(snc.Simulator, larger, scores, 3 * STEPS), expected)
        # functions of time are called for as many steps as fit in memory
        monkeypatch.setattr(simulation, "FUNCTION_BYTES", 4 * 5 * (frames.shape[1] + 1))
        assert np.array_equal(run(snc.Simulator, larger, scores, 3 * STEPS), expected)
        assert np.allclose(run(nengo.Simulator, larger, scores, 3 * STEPS), expected, rtol=0, atol=1e-9)
        assert np.allclose(run(nengo_dl.Simulator, larger, scores, 3 * STEPS), expected, rtol=0, atol=1e-6)

    def test_slices_of_the_input(self):
        network = NETWORKS["maxima"]()
        x = dyadic_images(network.model, 1)
        with nengo.Network() as larger:
            larger.add(network)
            halves = [nengo.Node(half) for half in np.split(x.ravel(), 2)]
            nengo.Connection(halves[0], network.input[:64], synapse=None)
            nengo.Connection(halves[1], network.input[64:], synapse=None)
        with snc.Simulator(larger) as sim:
            sim.run_steps(STEPS)
        assert np.array_equal(sim.data[network.probes["output"]], alone(network, x, STEPS)[0])

    def test_a_network_outside_the_model(self):
        vision = NETWORKS["maxima"]()
        with nengo.Network() as larger:
            nengo.Connection(nengo.Node(np.ones(128)), vision.input, synapse=None)
            scores = nengo.Probe(vision.output)
        with pytest.raises(snc.ConversionError, match=r"which is not part of .*: .*model.add\(network\)"):
            snc.Simulator(larger)
        with nengo.Network() as other:
            read = nengo.Probe(vision.output)
        with pytest.raises(snc.ConversionError, match="which is not part of"):
            snc.Simulator(other)
        with larger:
            larger.add(vision)
        assert run(snc.Simulator, larger, scores, STEPS).any()
        assert read not in larger.all_probes

    def test_images_through_a_synapse(self):
        """Nengo's default filter mixes each image with the one before."""
        network = spiking(small_cnn())
        for synapse, warns in ((nengo.params.Default, True), (None, False)):
            with nengo.Network() as larger:
                snn = network.rebuild()
                nengo.Connection(nengo.Node(lambda t: np.full(72, t)), snn.input, synapse=synapse)
                nengo.Connection(nengo.Node([0.0]), snn.reset, synapse=None)
            for simulator in (nengo.Simulator, snc.Simulator):
                with warnings.catch_warnings(record=True) as caught:
                    warnings.simplefilter("always")
                    simulator(larger, progress_bar=False).close()
                assert any("filters the images from <Node" in str(each.message) for each in caught) == warns

    def test_between_ensembles(self):
        network = spiking(small_cnn())
        with nengo.Network(seed=1) as larger:
            snn = network.rebuild()
            retina = nengo.networks.EnsembleArray(10, n_ensembles=72)
            nengo.Connection(nengo.Node(np.full(72, 0.5)), retina.input)
            nengo.Connection(retina.output, snn.input, synapse=0.01)
            decision = nengo.networks.EnsembleArray(20, n_ensembles=4)
            nengo.Connection(snn.output, decision.input, synapse=0.01)
            read = nengo.Probe(decision.output, synapse=0.03)
            scores = nengo.Probe(snn.output, synapse=0.03)
        with nengo.Simulator(larger, progress_bar=False) as sim:
            sim.run(0.15, progress_bar=False)
        signs = np.abs(sim.data[scores][-1]) > 0.2
        assert signs.any()
        assert np.array_equal(np.sign(sim.data[read][-1])[signs], np.sign(sim.data[scores][-1])[signs])

    def test_other_items_reset_in_other_steps(self):
        network = NETWORKS["maxima"]()
        x = dyadic_images(network.model, 2)
        with network:
            onset = nengo.Node([0.0])
            nengo.Connection(onset, network.reset, synapse=None)
        pulses = np.zeros((2, 2 * STEPS, 1), np.float32)
        pulses[1, STEPS] = 1
        data = {network.input: x, onset: pulses}
        with snc.Simulator(network, minibatch_size=2) as sim:
            sim.run_steps(2 * STEPS, data=data)
        found, once = sim.data[network.probes["output"]], alone(network, x, STEPS)
        assert np.array_equal(found[0], alone(network, x[:1], 2 * STEPS)[0])
        assert np.array_equal(found[1], np.concatenate([once[1], once[1]]))

    def test_filtered_pulses(self):
        network = NETWORKS["maxima"]()
        with network:
            nengo.Connection(nengo.Node([0.0]), network.reset)
        with pytest.warns(snc.SnnConvWarning, match="synapse=None"):
            snc.Simulator(network)

    def test_only_this_network_is_reset(self):
        x = dyadic_images(exact(small_cnn).model, 1)
        with nengo.Network() as larger:
            first, second = NETWORKS["random start"](), NETWORKS["random start"]()
            for each in (first, second):
                each.input.output = x.ravel()
            nengo.Connection(nengo.Node(lambda t: float(round(t / 0.001) == 4)), second.reset, synapse=None)
        with snc.Simulator(larger) as sim:
            sim.run_steps(6)
        long = alone(first, x, 6)[0]
        assert np.array_equal(sim.data[first.probes["output"]], long)
        assert np.array_equal(sim.data[second.probes["output"]], np.concatenate([long[:3], long[:3]]))

    def test_resets_that_the_fast_simulator_refuses(self):
        network = NETWORKS["random start"]()
        with network:
            nengo.Connection(network.output[0], network.reset, synapse=None)
        with pytest.raises(snc.ConversionError, match=r"nengo\.Simulator"):
            snc.Simulator(network)
        with nengo.Network() as larger:
            pair = NETWORKS["poisson"](), NETWORKS["poisson"]()
            nengo.Connection(nengo.Node([1.0]), pair[0].reset, synapse=None)
        with pytest.raises(snc.ConversionError, match="one clock"):
            snc.Simulator(larger)

    def test_only_results_are_added(self, tmp_path):
        network = spiking(small_cnn())
        snc.save(network, tmp_path / "network.npz")
        with nengo.Network() as larger:
            snn = snc.load(tmp_path / "network.npz")
            snc.evaluate(snn, np.zeros((1, 6, 6, 2)), [0], n_steps=1)
            rates = snc.normalize(snc.convert(small_cnn()), method="model")
        assert larger.networks[0] is snn
        assert larger.networks[2] is rates
        assert len(larger.networks) == 3

    def test_source_with_output_of_its_own(self):
        network = NETWORKS["maxima"]()
        network.input.output = np.ones(128)
        with network, pytest.raises(snc.SettingsError, match="rebuild"):
            nengo.Connection(nengo.Node(np.zeros(128)), network.input)

    def test_loihi_has_no_reset(self):
        pytest.importorskip("nengo_loihi")
        chip = snc.to_loihi(spiking(small_cnn(), neuron_type=nengo.LIF(min_voltage=-5), readout="spikes"))
        assert chip.reset is None
        with pytest.raises(snc.ConversionError, match="chip"):
            snc.present(chip, np.zeros((1, 6, 6, 2)), n_steps=3)
