"""build_trainable: networks equal to the model, in this package and in nengo_dl.Simulator."""

from typing import ClassVar

import nengo
import numpy as np
import pytest
from models import branched, make, small_cnn

import nengo_snnconv as snc
from nengo_snnconv.compat import nengo_dl, tf
from nengo_snnconv.model import layers as specs
from nengo_snnconv.networks.network import report_rows
from nengo_snnconv.networks.storage import settings_from_json, settings_to_json

LIF = nengo.LIF(amplitude=0.01)


def layer_activities(network, x, learning_phase):
    """Return the activity of each layer that NengoDL computes in one step, {name: (images, size)}."""
    with network:
        nengo_dl.configure_settings(learning_phase=learning_phase)
        probes = {name: nengo.Probe(layer) for name, layer in network.layers.items()}
    with nengo_dl.Simulator(network, minibatch_size=len(x), progress_bar=False) as simulator:
        simulator.run_steps(1, data={network.input: x.reshape(len(x), 1, -1)})
        return {name: simulator.data[probe][:, 0] for name, probe in probes.items()}


@pytest.mark.parametrize("neuron_type", [LIF, nengo.RectifiedLinear(), nengo.SpikingRectifiedLinear(amplitude=0.01)])
@pytest.mark.parametrize("model", [small_cnn(), branched()], ids=["chain", "branches"])
def test_layers_equal_the_rate_model(model, neuron_type, rng):
    x = rng.random((3, *model.shapes["image"]), dtype=np.float32)
    network = snc.build_trainable(model, neuron_type)
    rates = snc.rate_model(network)
    every = tf.keras.Model(rates.inputs, {name: rates.get_layer(name).output for name in model.layers})
    expected = every(x)
    for name, activity in layer_activities(network, x, learning_phase=True).items():
        reference = expected[name].numpy().reshape(len(x), -1)
        assert np.abs(activity - reference).max() <= 1e-5 * np.abs(reference).max(), name


def test_network_of_rectifiers_equals_the_keras_model(rng):
    keras = snc.preset("lif-mnist")
    x = rng.random((3, 28, 28, 1), dtype=np.float32)
    network = snc.build_trainable(keras, nengo.RectifiedLinear())
    expected = keras(x).numpy()
    found = layer_activities(network, x, learning_phase=False)["dense1"]
    assert np.abs(found - expected).max() <= 1e-5 * np.abs(expected).max()


class TestNeuronTypesByLayer:
    TYPES: ClassVar = {"hidden": LIF, "*": nengo.SpikingRectifiedLinear(amplitude=0.004)}

    @staticmethod
    def model():
        return make(
            specs.Input("image", shape=(3, 3, 1)),
            specs.Flatten("flat", "image"),
            specs.Dense("hidden", "flat", units=4),
            specs.Rectifier("hidden_neurons", "hidden"),
            specs.Dense("more", "hidden_neurons", units=4),
            specs.Rectifier("more_neurons", "more"),
            specs.Dense("scores", "more_neurons", units=2),
        )

    def test_rates_spikes_and_training(self, rng):
        network, x = snc.build_trainable(self.model(), self.TYPES), rng.random((6, 3, 3, 1), dtype=np.float32)
        of_layers = [network.layers[name].ensemble.neuron_type for name in network.model.neurons]
        assert of_layers == [LIF, self.TYPES["*"]]
        # each layer computes what it computes in a network of its type alone
        for name, neuron_type in zip(network.model.neurons, of_layers, strict=True):
            before = network.model.layers[name].inputs[0]
            current, rates = snc.rate_model(network, [before, name])(x)
            alone = snc.build_trainable(self.model(), neuron_type).settings.rate_layer(network.model, name)
            np.testing.assert_array_equal(rates, alone(current))
        spikes = snc.record(network, x, n_steps=20).spikes
        assert all(each.any() for each in spikes.values())
        trained = snc.train(network, x, np.arange(6) % 2, epochs=1, batch_size=6, progress=False)
        assert trained.settings == network.settings
        rows = {name: became for name, _, _, became, *_ in report_rows(trained)}
        assert rows["hidden_neurons"] == "Ensemble (LIF)"
        assert rows["more_neurons"] == "Ensemble (SpikingRectifiedLinear)"
        assert settings_from_json(settings_to_json(trained.settings)) == trained.settings

    @pytest.mark.parametrize(
        ("types", "words"),
        [
            ({"hidden": nengo.RectifiedLinear()}, "must spike or none"),
            ({"hidden": snc.SurrogateLIF()}, "SurrogateLIF neurons are trained through time"),
            ({"other": LIF}, "no neurons of 'other'"),
        ],
    )
    def test_invalid_types(self, types, words):
        with pytest.raises(snc.SettingsError, match=words):
            snc.build_trainable(self.model(), types)


class TestSimulatorSession:
    """Sessions of a user, as in NengoDL's MNIST example."""

    def test_train_and_run(self, digits):
        network = snc.build_trainable(snc.preset("lif-mnist"), LIF, max_rates=100, stateful=False)
        output, filtered = network.probes["output"], network.probes["output_filtered"]
        x = digits.x_train[:200].reshape(200, 1, -1)
        y = digits.y_train[:200].reshape(200, 1, 1)
        with nengo_dl.Simulator(network, minibatch_size=50, progress_bar=False) as simulator:
            simulator.compile(
                optimizer=tf.optimizers.RMSprop(0.001),
                loss={output: tf.losses.SparseCategoricalCrossentropy(from_logits=True)},
            )
            losses = simulator.fit(x, {output: y}, epochs=4, verbose=0).history["loss"]
            assert losses[-1] < losses[0]
            images = np.tile(x[:50], (1, 10, 1))
            simulator.run_steps(10, data={network.input: images})
            assert simulator.data[filtered].shape == (50, 10, 10)
            before = simulator.data[filtered]
        with pytest.raises(snc.SettingsError, match=r"network = nengo_snnconv.collect_trained\(network\)"):
            snc.evaluate(network, digits.x_test, digits.y_test)
        trained = snc.collect_trained(network)
        assert not np.array_equal(trained.model.arrays["conv1/kernel"], network.model.arrays["conv1/kernel"])
        with nengo_dl.Simulator(trained, minibatch_size=50, progress_bar=False) as simulator:
            simulator.run_steps(10, data={trained.input: images})
            assert np.array_equal(simulator.data[trained.probes["output_filtered"]], before)

    def test_only_arrays_of_the_model_are_trained(self):
        network = snc.build_trainable(small_cnn(), LIF)
        with nengo_dl.Simulator(network, progress_bar=False) as simulator:
            shapes = [tuple(weight.shape) for weight in simulator.keras_model.trainable_weights]
        assert shapes == [(3, 3, 2, 3), (3,), (12, 4), (4,)]

    def test_inside_another_network(self):
        with nengo.Network(seed=1) as outer:
            network = snc.build_trainable(small_cnn(), nengo.RectifiedLinear())
            probe = nengo.Probe(network.output)
        assert network in outer.networks
        with nengo_dl.Simulator(outer, progress_bar=False) as simulator:
            simulator.run_steps(2)
            assert simulator.data[probe].shape == (2, 4)

    def test_state_is_kept_between_runs(self, rng):
        x = rng.random((1, 10, 72))
        network = snc.build_trainable(small_cnn(), LIF)
        probe = network.probes["output_filtered"]
        with nengo_dl.Simulator(network, progress_bar=False) as simulator:
            simulator.run_steps(10, data={network.input: x})
            whole = simulator.data[probe]
        with nengo_dl.Simulator(network, progress_bar=False) as simulator:
            simulator.run_steps(4, data={network.input: x[:, :4]})
            simulator.run_steps(6, data={network.input: x[:, 4:]})
            assert np.array_equal(simulator.data[probe], whole)


class TestConvNetwork:
    def test_attributes(self):
        network = snc.build_trainable(small_cnn(), LIF)
        assert isinstance(network, nengo.Network)
        assert network.input.size_out == 72
        assert network.output.size_out == 4
        assert list(network.layers) == list(network.model.layers)
        assert network.layers["image"] is network.input
        assert network.layers["scores"] is network.output
        assert network.layers["flat"] is network.layers["pool"]
        assert network.layers["neurons"].size_out == 48
        assert network.history == {}

    def test_probes_by_label_and_index(self):
        network = snc.build_trainable(small_cnn(), LIF, output_synapse=0.05)
        assert network.probes[0] is network.probes["output"]
        assert network.probes["output"].synapse is None
        assert network.probes["output_filtered"].synapse == nengo.Lowpass(0.05)
        assert network.all_probes == list(network.probes)
        with pytest.raises(KeyError, match="labels are 'output', 'output_filtered'"):
            network.probes["scores"]

    def test_output_of_a_rectifier_is_a_node(self):
        model = make(specs.Input("image", shape=(5,)), specs.Rectifier("neurons", "image"))
        network = snc.build_trainable(model, LIF)
        assert isinstance(network.output, nengo.Node)
        assert network.output.size_out == 5

    def test_rebuild_does_not_change_the_network(self):
        network = snc.build_trainable(small_cnn(), LIF)
        other = network.rebuild(seed=3)
        assert (network.seed, other.seed) == (0, 3)
        assert other.settings.neuron_type == network.settings.neuron_type

    def test_report(self):
        network = snc.build_trainable(branched(), LIF)
        lines = {line.split()[0]: line for line in network.report().splitlines()}
        assert "exact" in lines["a"]
        assert "approximated" in lines["a_neurons"]
        assert "LIF replaces the rectifier" in lines["a_neurons"]
        assert "approximated" in lines["max"]
        assert len(lines) == len(network.model.layers) + 1


class TestSettings:
    def test_input_of_one_gives_output_of_one(self):
        network = snc.build_trainable(small_cnn(), nengo.LIF(amplitude=0.005))
        assert network.settings.rates_at_one == 200
        gain, bias = network.settings.gain_bias(network.model, "neurons")
        rates = network.settings.neuron_type.rates(1.0, gain[:1], bias[:1])
        assert rates.item() * 1 == pytest.approx(1, rel=1e-5)

    @pytest.mark.parametrize(
        "before, change",
        [
            ({}, {"neuron_type": nengo.LIF(amplitude=0.02)}),
            ({}, {"neuron_type": nengo.RectifiedLinear()}),
            ({}, {"neuron_type": snc.SurrogateLIF()}),
            ({"neuron_type": nengo.RectifiedLinear(amplitude=3)}, {"neuron_type": nengo.LIF(amplitude=0.004)}),
            ({"max_rates": 100}, {"neuron_type": nengo.LIF(amplitude=0.02)}),
            ({"max_rates": 100}, {"max_rates": None}),
            ({}, {"max_rates": 50, "intercepts": 0.1}),
        ],
        ids=str,
    )
    def test_rebuild_is_equal_to_building_anew(self, before, change, rng):
        """Settings that follow from others are updated."""
        before = {"neuron_type": nengo.LIF(amplitude=0.005), **before}
        rebuilt = snc.build_trainable(small_cnn(), **before).rebuild(**change)
        built = snc.build_trainable(small_cnn(), **{**before, **change})
        assert rebuilt.settings == built.settings
        for one, other in zip(rebuilt.all_ensembles, built.all_ensembles, strict=True):
            assert np.array_equal(one.gain, other.gain)
            assert np.array_equal(one.bias, other.bias)
        x = rng.random((3, 6, 6, 2), dtype=np.float32)
        one, two = (snc.record(network, x, n_steps=10, synapse=0.01).filtered for network in (rebuilt, built))
        assert np.array_equal(one, two)

    def test_rebuild_with_another_amplitude_keeps_the_output(self, rng):
        network = snc.build_trainable(small_cnn(), nengo.RectifiedLinear())
        x = rng.random((3, 6, 6, 2), dtype=np.float32)
        expected = snc.rate_model(network)(x).numpy()
        for amplitude in (0.0025, 0.02, 5):
            other = network.rebuild(neuron_type=nengo.RectifiedLinear(amplitude=amplitude))
            assert np.allclose(snc.rate_model(other)(x).numpy(), expected, rtol=1e-5)
            assert other.settings.rectifies

    def test_files_of_earlier_versions_have_max_rates_as_a_number(self):
        settings = snc.build_trainable(small_cnn(), nengo.LIF(amplitude=0.005)).settings
        assert settings_from_json(settings_to_json(settings)) == settings
        assert settings_from_json({**settings_to_json(settings), "max_rates": 200.0}).max_rates is None
        assert settings_from_json({**settings_to_json(settings), "max_rates": 100.0}).max_rates == 100
        given = snc.build_trainable(small_cnn(), nengo.LIF(amplitude=0.005), max_rates=200).settings
        assert settings_from_json(settings_to_json(given)).max_rates == 200

    @pytest.mark.parametrize(
        "before, change",
        [
            ({}, {"neuron_type": snc.IntegrateAndFire(amplitude=0.002)}),
            ({}, {"neuron_type": nengo.LIF(min_voltage=-5)}),
            ({}, {"max_rate": 500.0}),
            ({"max_rate": 500.0}, {"neuron_type": snc.IntegrateAndFire(threshold=1.25)}),
            ({"input_coding": "poisson"}, {"input_threshold": 2.0, "seed": 4}),
        ],
        ids=str,
    )
    def test_rebuild_of_a_converted_network(self, before, change, rng):
        network = snc.normalize(snc.convert(small_cnn()), rng.random((20, 6, 6, 2)))
        rebuilt = snc.to_spiking(network, **before).rebuild(**change)
        built = snc.to_spiking(network, **{**before, **change})
        assert rebuilt.settings == built.settings
        assert rebuilt.settings.match == built.settings.match
        x = rng.random((3, 6, 6, 2), dtype=np.float32)
        one, two = (snc.record(network, x, n_steps=10).output for network in (rebuilt, built))
        assert np.array_equal(one, two)

    def test_draws_from_distributions_are_reproducible(self, rng):
        settings = {"max_rates": nengo.dists.Uniform(50, 100), "intercepts": nengo.dists.Uniform(-0.1, 0.1)}
        network = snc.build_trainable(small_cnn(), LIF, seed=4, **settings)
        gain, _ = network.settings.gain_bias(network.model, "neurons")
        assert len(np.unique(gain)) == 48
        x = rng.random((3, 6, 6, 2), dtype=np.float32)
        expected = snc.rate_model(network)(x).numpy()
        found = layer_activities(network, x, learning_phase=True)["scores"]
        assert np.abs(found - expected).max() <= 1e-5 * np.abs(expected).max()

    def test_synapse_filters_spikes_only(self):
        network = snc.build_trainable(small_cnn(), LIF, synapse=0.005)
        filtered = [c for c in network.all_connections if c.synapse is not None]
        assert [c.pre_obj for c in filtered] == [network.layers["neurons"]]

    @pytest.mark.parametrize("planner", ["greedy", "tree", "noop"])
    def test_planner(self, planner):
        network = snc.build_trainable(small_cnn(), LIF, planner=planner)
        with nengo_dl.Simulator(network, progress_bar=False) as simulator:
            simulator.run_steps(1)

    @pytest.mark.parametrize(
        ("settings", "argument", "message"),
        [
            ({"neuron_type": "lif"}, "neuron_type", "neuron_type must be an instance"),
            ({"neuron_type": nengo.LIF}, "neuron_type", "neuron_type must be an instance"),
            ({"planner": "best"}, "planner", "planner must be one of"),
            ({"max_rates": 600}, "max_rates", "below 500 Hz"),
            ({"max_rates": -1}, "max_rates", "above 0"),
            ({"neuron_type": nengo.LIF()}, None, "use LIF.amplitude=0.0025"),
            ({"neuron_type": nengo.LIFRate()}, None, "no usable gain"),
            ({"intercepts": 1}, None, "intercepts must be below 1"),
            ({"neuron_type": nengo.Sigmoid()}, "max_rates", "give max_rates"),
            ({"neuron_type": nengo.LIF(amplitude=0.001)}, "max_rates", "default it is 1 / amplitude"),
        ],
    )
    def test_invalid_settings(self, settings, argument, message):
        with pytest.raises(snc.SettingsError, match=message) as caught:
            snc.build_trainable(small_cnn(), **({"neuron_type": LIF} | settings))
        assert caught.value.argument == argument

    def test_no_rate_form(self):
        with pytest.raises(snc.ConversionError, match="has no rate form"):
            snc.build_trainable(small_cnn(), nengo.AdaptiveLIF(amplitude=0.01))

    def test_low_rates_warn(self):
        with pytest.warns(UserWarning, match="fire at 1 Hz.*amplitude=0.0025"):
            snc.build_trainable(small_cnn(), nengo.SpikingRectifiedLinear())


def test_dropout_acts_in_training_only(rng):
    model = make(specs.Input("image", shape=(400,)), specs.Dropout("drop", "image", rate=0.5))
    network = snc.build_trainable(model, LIF)
    x = np.ones((1, 400), np.float32)
    trained = layer_activities(snc.build_trainable(model, LIF), x, learning_phase=True)["drop"]
    assert 100 < (trained == 0).sum() < 300
    assert np.array_equal(layer_activities(network, x, learning_phase=False)["drop"], x)
