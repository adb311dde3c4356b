"""Networks that were changed by hand: errors of functions that would ignore the change, and their advice."""

import copy
import warnings

import nengo
import numpy as np
import pytest
from models import branched, small_cnn

import nengo_snnconv as snc
from nengo_snnconv.compat import nengo_dl
from nengo_snnconv.networks.edits import check_unedited
from nengo_snnconv.networks.trainable import TrainableConfig

LIF = nengo.LIF(amplitude=0.005)


@pytest.fixture
def x(rng):
    return rng.random((8, 6, 6, 2), dtype=np.float32)


def spiking(x):
    return snc.to_spiking(snc.normalize(snc.convert(small_cnn()), x))


def first_spike(x):
    return snc.to_ttfs(snc.convert(small_cnn()), x)


def trainable(x):
    return snc.build_trainable(small_cnn(), LIF, synapse=0.002)


BUILDERS = {"spiking": spiking, "first spike": first_spike, "trainable": trainable}


def connection_into_neurons(network):
    return next(c for c in network.all_connections if isinstance(c.post_obj, nengo.ensemble.Neurons))


def weighted(network):
    return next(c for c in network.all_connections if isinstance(c.transform, nengo.Convolution))


def set_attribute(find, name, value):
    def edit(network):
        setattr(find(network), name, value)

    return edit


def ensemble(network):
    return network.all_ensembles[-1]


EDITS = {
    "neuron_type of Ensemble": set_attribute(ensemble, "neuron_type", nengo.SpikingRectifiedLinear()),
    "gain of Ensemble": lambda network: set_attribute(ensemble, "gain", 2 * ensemble(network).gain)(network),
    "bias of Ensemble": lambda network: set_attribute(ensemble, "bias", 1 + ensemble(network).bias)(network),
    "noise of Ensemble": set_attribute(ensemble, "noise", nengo.processes.WhiteNoise()),
    "max_rates of Ensemble": set_attribute(ensemble, "max_rates", nengo.dists.Choice([100])),
    "seed of Ensemble": set_attribute(ensemble, "seed", 5),
    "synapse of the connection": set_attribute(connection_into_neurons, "synapse", 0.01),
    "transform of the connection": set_attribute(connection_into_neurons, "transform", 2.0),
    "seed of the connection": set_attribute(connection_into_neurons, "seed", 1),
    "synapse of Probe 'output_filtered'": set_attribute(lambda n: n.probes["output_filtered"], "synapse", 0.5),
    "sample_every of Probe 'output'": set_attribute(lambda n: n.probes["output"], "sample_every", 0.01),
    "network.model": lambda network: setattr(network, "model", branched()),
    "network.settings": lambda network: setattr(network, "settings", snc.convert(small_cnn()).settings),
    "network.seed": lambda network: setattr(network, "seed", 11),
    "network.output": lambda network: setattr(network, "output", network.all_nodes[1]),
    "network.layers": lambda network: network.layers.pop("neurons"),
    "which was removed": lambda network: network.all_connections and network.connections.pop(0),
}


@pytest.mark.parametrize("build", BUILDERS.values(), ids=BUILDERS)
@pytest.mark.parametrize("edit", EDITS)
def test_error_names_the_edit_and_rebuild_works(build, edit, x, tmp_path):
    network = build(x)
    check_unedited(network)
    EDITS[edit](network)
    with pytest.raises(snc.SettingsError, match=f"by hand .*{edit}") as caught:
        snc.evaluate(network, x, np.zeros(8, int))
    assert caught.value.argument == "network"
    assert "rebuild(" in str(caught.value)
    assert str(caught.value).count("\n") == 0
    assert len(str(caught.value)) < 420
    for function in (snc.record, lambda network, x: snc.save(network, tmp_path / "network.npz")):
        with pytest.raises(snc.SettingsError, match="by hand"):
            function(network, x)
    assert not list(tmp_path.iterdir())
    if edit != "network.settings":  # settings of another builder
        check_unedited(network.rebuild())


class TestAdvice:
    """The advice of messages has the intended effect of the edit."""

    def message(self, network):
        with pytest.raises(snc.SettingsError) as caught:
            check_unedited(network)
        return str(caught.value)

    def test_neuron_type(self, x):
        network, neuron_type = spiking(x), nengo.SpikingRectifiedLinear()
        ensemble(network).neuron_type = neuron_type
        assert "network.rebuild(neuron_type=...)" in self.message(network)
        assert isinstance(ensemble(network.rebuild(neuron_type=neuron_type)).neuron_type, nengo.SpikingRectifiedLinear)

    def test_rates(self, x):
        for network, name in ((trainable(x), "max_rates"), (spiking(x), "max_rate")):
            gain = ensemble(network).gain
            ensemble(network).gain = gain / 2
            assert f"network.rebuild({name}=...)" in self.message(network)
            rate = network.settings.rates_at_one if isinstance(network.settings, TrainableConfig) else 1000
            slower = ensemble(network.rebuild(**{name: rate / 2})).gain
            assert (slower < gain).all()

    def test_synapses(self, x):
        network = spiking(x)
        network.probes["output_filtered"].synapse = 0.5
        assert "network.rebuild(output_synapse=...)" in self.message(network)
        assert network.rebuild(output_synapse=0.5).probes["output_filtered"].synapse == nengo.Lowpass(0.5)
        network = trainable(x)
        connection_into_neurons(network).synapse = 0.5
        assert "network.rebuild(synapse=...)" in self.message(network)

    def test_seed(self, x):
        network = spiking(x)
        network.seed = 9
        assert "network.rebuild(seed=...)" in self.message(network)
        assert network.rebuild(seed=9).seed == 9

    def test_weights(self, x):
        network = spiking(x)
        old = weighted(network).transform
        weighted(network).transform = nengo.Convolution(
            old.n_filters, old.input_shape, kernel_size=old.kernel_size, strides=old.strides, init=0 * old.init
        )
        message = self.message(network)
        assert "network.rebuild(network.model.replace(arrays=" in message
        kernel = np.zeros_like(network.model.arrays["conv/kernel"])
        other = network.rebuild(network.model.replace(arrays={"conv/kernel": kernel}))
        assert not weighted(other).transform.init.any()

    def test_another_model(self, x):
        network = snc.convert(small_cnn())
        other = network.model.replace(arrays={"conv/kernel": 2 * network.model.arrays["conv/kernel"]})
        network.model = other
        assert "network.rebuild(), which builds a network" in self.message(network)
        scores = snc.rate_model(network.rebuild())(x)
        assert np.array_equal(scores, snc.rate_model(snc.convert(small_cnn()).rebuild(other))(x))


@pytest.mark.parametrize(
    "call",
    [
        lambda network, x: snc.normalize(network, x),
        lambda network, x: snc.to_spiking(network),
        lambda network, x: snc.to_ttfs(network, x),
        lambda network, x: snc.convert(network),
        lambda network, x: snc.rate_model(network),
        lambda network, x: snc.threshold_errors(network, x),
        lambda network, x: snc.tune(network, x, np.zeros(8, int)),
        lambda network, x: snc.sweep(network, x, np.zeros(8, int)),
        lambda network, x: snc.error_bounds(network, 8),
        lambda network, x: snc.to_loihi(network),
        lambda network, x: snc.efficiency(network, None),
        lambda network, x: snc.diagnose(network, x, np.zeros(8, int)),
        lambda network, x: snc.train(network, x, np.zeros(8, int), epochs=1),
        lambda network, x: snc.write_report("never.html", network, None),
        lambda network, x: snc.GuiNetwork(network, x, np.zeros(8, int)),
        lambda network, x: network.report(),
    ],
)
@pytest.mark.parametrize("name, value", [("bias", 3.0), ("settings", None)])
def test_functions_raise(call, name, value, x):
    network = snc.convert(small_cnn())
    if name == "bias":
        ensemble(network).bias = np.full(ensemble(network).n_neurons, value)
    else:
        network.settings = value
    with pytest.raises(snc.SettingsError, match="changed by hand"):
        call(network, x)


def test_arrays_are_read_only(x):
    """Changes in place could not be detected."""
    for build in BUILDERS.values():
        for each in build(x).all_ensembles:
            with pytest.raises(ValueError, match="read-only"):
                each.gain[...] = 0
            with pytest.raises(ValueError, match="read-only"):
                each.bias[...] = 0


class TestAllowedChanges:
    @pytest.mark.parametrize("build", BUILDERS.values(), ids=BUILDERS)
    def test_added_objects(self, build, x):
        network = build(x)
        expected = snc.record(network, x).output
        with network:
            mine = nengo.Node(size_in=4)
            nengo.Connection(network.output, mine, synapse=0.01)
            nengo.Probe(mine)
            nengo.Probe(network.all_ensembles[0].neurons)
            nengo.Ensemble(10, 1)
        network.label = "mine"
        network.input.output = nengo.processes.PresentInput(x.reshape(8, -1), 0.01)
        del network.probes[:]
        check_unedited(network)
        assert np.array_equal(snc.record(network, x).output, expected)

    @pytest.mark.parametrize("build", BUILDERS.values(), ids=BUILDERS)
    def test_sessions_of_nengo_dl(self, build, x):
        network = build(x)
        with network:
            nengo_dl.configure_settings(trainable=None, keep_history=True, use_loop=True)
            network.config[nengo.Ensemble].trainable = False
        with nengo_dl.Simulator(network, progress_bar=False) as simulator:
            simulator.run_steps(3)
            if build is not trainable:  # NengoDL cannot freeze TensorNodes
                simulator.freeze_params(network)
        check_unedited(network)

    @pytest.mark.parametrize("source", [small_cnn, branched])
    def test_freezing_untrained_parameters(self, source, rng):
        model = source()
        network = snc.to_spiking(snc.normalize(snc.convert(model), method="model"), nengo.LIF(min_voltage=-5))
        with nengo_dl.Simulator(network, progress_bar=False) as simulator:
            simulator.freeze_params(network)
        check_unedited(network)
        images = rng.random((2, *model.shapes["image"]), dtype=np.float32)
        snc.evaluate(network, images, [0, 1], n_steps=3)

    def test_freezing_trained_parameters(self, x):
        network = snc.convert(small_cnn())
        with network:
            nengo_dl.configure_settings(trainable=True)
        with (
            warnings.catch_warnings(),
            nengo_dl.Simulator(network, minibatch_size=4, progress_bar=False) as simulator,
        ):
            warnings.simplefilter("ignore")  # NengoDL warns that training lasts one step, which is enough for rates
            simulator.compile(optimizer="sgd", loss="mse")
            nodes = [node for node in network.all_nodes if node.size_in == 0]
            shown = {node: np.ones((8, 1, node.size_out)) for node in nodes}
            simulator.fit(shown, {network.probes["output"]: np.ones((8, 1, 4))}, verbose=0)
            simulator.freeze_params(network)
        with pytest.raises(snc.SettingsError, match="by hand"):
            snc.evaluate(network, x, np.zeros(8, int))

    def test_copies(self, x):
        network = spiking(x)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Nengo sets attributes one after another
            other = copy.deepcopy(network)
        check_unedited(other)
        ensemble(other).gain = 2 * ensemble(other).gain
        with pytest.raises(snc.SettingsError, match="gain"):
            check_unedited(other)
        check_unedited(network)

    def test_added_connections_into_the_network_warn(self, x):
        network = spiking(x)
        with network:
            mine = nengo.Node(np.ones(network.all_ensembles[0].n_neurons), label="mine")
            nengo.Connection(mine, network.all_ensembles[0].neurons, synapse=None)
        with pytest.warns(UserWarning, match="connection from 'mine' to") as caught:
            snc.evaluate(network, x, np.zeros(8, int), n_steps=2)
        assert len(caught) == 1
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            expected = snc.record(spiking(x), x, n_steps=5).output
            assert np.array_equal(snc.record(network, x, n_steps=5).output, expected)
