"""Networks whose layers have different types of neurons."""

import nengo
import numpy as np
import pytest
from models import branched, dyadic_images, make, spiking

import nengo_snnconv as snc
from nengo_snnconv.model import layers as specs
from nengo_snnconv.networks.neuron_types import types_in_words
from nengo_snnconv.report.python_code import python_code
from nengo_snnconv.report.tables import activity_table, settings_rows
from nengo_snnconv.training.tandem_model import tandem_model
from nengo_snnconv.training.unrolled_model import unrolled_model

LIF = nengo.LIF(min_voltage=-5)
ZERO = snc.IntegrateAndFire(reset="zero")
SIGNED = snc.SignedIntegrateAndFire()
PLAIN = snc.IntegrateAndFire()


def chain(seed=0):
    """Return a model of two convolutions with neurons and a dense layer."""
    return make(
        specs.Input("image", shape=(6, 6, 2)),
        specs.Conv("conv1", "image", filters=4, kernel_size=(3, 3)),
        specs.Rectifier("conv1_relu", "conv1"),
        specs.Conv("conv2", "conv1_relu", filters=3, kernel_size=(2, 2)),
        specs.Rectifier("conv2_relu", "conv2"),
        specs.Flatten("flat", "conv2_relu"),
        specs.Dense("scores", "flat", units=4),
        seed=seed,
    )


def types_of(network):
    """Return the classes and arguments of the neurons that the network really has, by layer."""
    return {name: network.layers[name].ensemble.neuron_type for name in network.model.neurons}


class TestChoice:
    @pytest.mark.parametrize(
        ("given", "expected"),
        [
            ({"conv1": ZERO}, [ZERO, PLAIN]),
            ({"conv2_relu": ZERO, "*": SIGNED}, [SIGNED, ZERO]),
            ({"conv1": SIGNED, "conv1_relu": ZERO}, [ZERO, PLAIN]),
            ({"*": ZERO}, [ZERO, ZERO]),
            (ZERO, [ZERO, ZERO]),
        ],
    )
    def test_layers_by_name(self, given, expected):
        assert list(types_of(spiking(chain(), neuron_type=given)).values()) == expected

    def test_layers_between_weights_and_neurons(self):
        names = {"b": ZERO, "c_neurons": SIGNED}
        network = spiking(branched(), neuron_type=names)
        assert types_of(network) == {"a_neurons": PLAIN, "b_neurons": ZERO, "c_neurons": SIGNED}

    @pytest.mark.parametrize(
        ("given", "words"),
        [
            ({"conv9": ZERO}, "'conv9'.*'conv1_relu', 'conv2_relu'"),
            ({"scores": ZERO}, "scores"),
            ({"image": ZERO}, "image"),
            ({"conv1": 3}, "conv1.*3"),
            ({}, "map names"),
            ({"conv1": nengo.RectifiedLinear()}, "all layers must spike or none"),
        ],
    )
    def test_invalid_types(self, given, words):
        with pytest.raises(snc.SettingsError, match=words) as caught:
            spiking(chain(), neuron_type=given)
        assert caught.value.argument == "neuron_type"

    def test_type_that_cannot_replace_a_rectifier(self):
        with pytest.raises(snc.ConversionError, match="adapts"):
            spiking(chain(), neuron_type={"conv1": nengo.AdaptiveLIF()})

    def test_changes(self):
        network = spiking(chain(), neuron_type={"conv1": ZERO})
        other = network.rebuild(neuron_type={"conv2": SIGNED})
        assert list(types_of(other).values()) == [ZERO, SIGNED]
        assert list(types_of(network).values()) == [ZERO, PLAIN]
        assert list(types_of(other.rebuild(neuron_type=PLAIN)).values()) == [PLAIN, PLAIN]
        assert list(types_of(other.rebuild(synapse=0.001)).values()) == [ZERO, SIGNED]

    def test_stages_need_one_type(self):
        with pytest.raises(snc.SettingsError, match="one type for all layers"):
            spiking(chain(), neuron_type={"conv1": ZERO}, stage_steps=3)


class TestRuns:
    def test_all_back_ends(self):
        # with reset by subtraction and to zero, potentials are multiples of 1/4096, so that sums are exact
        model = chain()
        arrays = {name: np.round(array * 16).astype(np.float32) / 16 for name, array in model.arrays.items()}
        with pytest.warns(snc.SnnConvWarning, match="not normalized"):
            network = snc.to_spiking(snc.convert(model.replace(arrays=arrays)), {"conv1": SIGNED, "conv2": ZERO})
        x = dyadic_images(network.model, 2)
        expected = snc.record(network, x, n_steps=8)
        assert all(spikes.any() for spikes in expected.spikes.values())
        for backend in ("nengo", "nengo_dl"):
            found = snc.record(network, x, n_steps=8, backend=backend)
            for name, spikes in expected.spikes.items():
                assert np.array_equal(found.spikes[name], spikes), (backend, name)

    def test_each_layer_has_the_spikes_of_its_type(self):
        x = dyadic_images(chain(), 3)
        mixed = spiking(chain(), neuron_type={"conv1": LIF})
        found = snc.record(mixed, x, n_steps=30, potentials=True)
        same = snc.record(spiking(chain(), neuron_type=LIF), x, n_steps=30).spikes["conv1_relu"]
        assert np.array_equal(found.spikes["conv1_relu"], same)
        # the second layer conserves the charge that the spikes of the first one bring
        height = mixed.settings.of_layer(mixed.model, "conv1_relu").spike_amplitude / 0.001
        shapes, (n_spikes, others) = (
            mixed.model.shapes,
            (found.spikes[name].sum(axis=1) for name in mixed.model.neurons),
        )
        mean = (height / 30 * n_spikes).reshape(3, *shapes["conv1_relu"])
        kernel, bias = mixed.model.arrays["conv2/kernel"], mixed.model.arrays["conv2/bias"]
        windows = np.lib.stride_tricks.sliding_window_view(mean, (2, 2), axis=(1, 2))
        charge = 30 * (np.einsum("nijcab,abcf->nijf", windows, kernel) + bias)
        change = found.potentials["conv2_relu"][:, -1] - 0.5
        assert np.allclose(charge.reshape(3, -1), (others + change).reshape(3, -1), atol=1e-4)

    def test_evaluation(self):
        network = spiking(chain(), neuron_type={"conv1": LIF, "conv2": SIGNED})
        x = dyadic_images(network.model, 6)
        recording = snc.record(network, x, n_steps=12)
        found = snc.evaluate(network, x, np.arange(6) % 4, n_steps=12)
        for name, spikes in recording.spikes.items():
            assert found.layers[name].spikes_per_neuron == pytest.approx(np.abs(spikes).sum() / 6 / spikes[0, 0].size)
        counts = np.concatenate([spikes.ravel() for spikes in recording.spikes.values()])
        assert found.negative_spikes_share == pytest.approx((counts < 0).sum() / np.abs(counts).sum())

    def test_long_runs_approach_the_ann(self):
        network = spiking(chain(), neuron_type={"conv1": PLAIN, "conv2": snc.IntegrateAndFire(threshold=0.5)})
        x = dyadic_images(network.model, 2)
        scores = snc.record(network, x, n_steps=2000).filtered[:, -1]
        assert np.allclose(scores, snc.rate_model(network).predict(x, verbose=0), atol=0.01)

    def test_direct_connections(self):
        x = dyadic_images(chain(), 2)
        given = {"conv1": SIGNED, "conv2": ZERO}
        networks = [spiking(chain(), neuron_type=given, direct=direct) for direct in (False, True)]
        one, two = (snc.record(network, x, n_steps=6).spikes["conv1_relu"] for network in networks)
        assert np.array_equal(one, two)
        assert list(types_of(networks[1]).values()) == [SIGNED, ZERO]

    def test_loihi(self):
        pytest.importorskip("nengo_loihi")
        quick = nengo.LIF(tau_rc=0.05, min_voltage=-5)
        network = spiking(chain(), neuron_type={"conv2": quick, "*": LIF}, max_rate=300)
        chip = snc.to_loihi(network)
        assert [each.tau_rc for each in types_of(chip).values()] == [0.02, 0.05]
        with pytest.raises(snc.ConversionError, match="IntegrateAndFire"):
            snc.to_loihi(spiking(chain(), neuron_type={"conv1": LIF}))


class TestTrainable:
    def test_rates_of_each_layer(self):
        lif, rectified = nengo.LIF(amplitude=0.0025), nengo.SpikingRectifiedLinear(amplitude=0.0025)
        network = snc.build_trainable(chain(), {"conv1": lif, "*": rectified})
        assert list(types_of(network).values()) == [lif, rectified]
        x = dyadic_images(network.model, 2)
        names = ["conv1", "conv1_relu", "conv2", "conv2_relu"]
        first, current, second, rates = (np.asarray(values) for values in snc.rate_model(network, names)(x))
        gain, bias = lif.gain_bias([400], [0])
        assert np.allclose(current, lif.rates(np.ravel(first), gain, bias).reshape(current.shape), atol=1e-5)
        assert np.allclose(rates, np.maximum(second, 0), atol=1e-6)
        assert not network.settings.rectifies
        assert "the response of LIF replaces the rectifier" in network.report()
        counts = snc.evaluate(network, x, [0, 1], n_steps=20).layers
        recorded = snc.record(network, x, n_steps=20).spikes
        for name, activity in counts.items():
            assert activity.spikes_per_neuron == pytest.approx(recorded[name].sum() / recorded[name][:, 0].size)

    def test_training_through_time(self, tmp_path):
        given = {"conv1": snc.SurrogateLIF(tau=3), "conv2": snc.SurrogateLIF(tau=1, threshold=0.5, reset="subtract")}
        network = snc.build_trainable(chain(), given)
        x = dyadic_images(network.model, 3)
        expected = snc.record(network, x, n_steps=5)
        assert np.allclose(
            unrolled_model(network, 5, still=True).predict(x, verbose=0), expected.filtered[:, -1], atol=1e-5
        )
        native = snc.convert(network)
        snc.save(native, tmp_path / "native.npz")
        for other in (native, snc.load(tmp_path / "native.npz")):
            assert list(types_of(other).values()) == list(given.values())
            assert np.array_equal(snc.record(other, x, n_steps=5).spikes["conv2_relu"], expected.spikes["conv2_relu"])

    @pytest.mark.parametrize(
        ("given", "words"),
        [
            ({"conv1": snc.SurrogateLIF(), "*": nengo.LIF(amplitude=0.0025)}, "one or the other"),
            ({"conv1": snc.SurrogateLIF(), "*": snc.SurrogateLIF(amplitude=0.002)}, "same amplitude"),
            ({"conv1": nengo.RectifiedLinear(), "*": PLAIN}, "all layers must spike or none"),
            ({"conv7": PLAIN}, "conv7"),
        ],
    )
    def test_types_that_cannot_be_trained_together(self, given, words):
        with pytest.raises(snc.SettingsError, match=words) as caught:
            snc.build_trainable(chain(), given)
        assert caught.value.argument == "neuron_type"


class TestRest:
    def test_files(self, tmp_path):
        network = spiking(chain(), neuron_type={"conv1": LIF, "conv2": SIGNED})
        snc.save(network, tmp_path / "network.npz")
        loaded = snc.load(tmp_path / "network.npz")
        assert loaded.settings == network.settings
        assert types_of(loaded) == types_of(network)

    def test_file_with_other_number_of_types(self, tmp_path):
        network = spiking(chain(), neuron_type={"conv1": ZERO})
        object.__setattr__(network.settings, "neuron_types", (ZERO, PLAIN, PLAIN))
        snc.save(network, tmp_path / "network.npz")
        with pytest.raises(snc.FileFormatError, match="2 entries"):
            snc.load(tmp_path / "network.npz")

    def test_reports(self, tmp_path):
        network = spiking(chain(), neuron_type={"conv1": LIF, "conv2": SIGNED})
        assert "Ensemble (LIF)" in network.report()
        assert "Ensemble (SignedIntegrateAndFire)" in network.report()
        evaluation = snc.evaluate(network, dyadic_images(network.model, 4), np.arange(4), n_steps=3)
        snc.write_report(tmp_path / "report.html", network, evaluation)
        page = (tmp_path / "report.html").read_text()
        assert "LIF and SignedIntegrateAndFire neurons in 2 layers" in page
        code = python_code(network, evaluation)
        names = {"model": chain(), "x": dyadic_images(network.model, 4), "y": np.arange(4)}
        exec(code, names)
        assert names["network"].settings == network.settings

    def test_diagnosis(self):
        network = spiking(chain(), neuron_type={"conv1": LIF})
        x = dyadic_images(network.model, 8)
        ann = snc.rate_model(network).predict(x, verbose=0).argmax(axis=1)
        layers = snc.diagnose(network, x, ann, n_steps=20, try_remedies=False).layers
        assert layers["conv1_relu"].causes["response"] > 0.01
        assert "response" not in layers["conv2_relu"].causes

    def test_calibration_and_training(self):
        """Each layer is fitted to the spikes of its own neurons, and trained on them."""
        start = {"voltage": nengo.dists.Choice([0.0])}
        lif, several = nengo.LIF(min_voltage=-5, initial_state=start), snc.SignedIntegrateAndFire(max_spikes=4)
        given = {"conv1": lif, "conv2": several}
        network, x = spiking(chain(), neuron_type=given), dyadic_images(chain(), 60)
        expected = snc.rate_model(network).predict(x, verbose=0)

        def errors(spiking_network):
            return np.abs(snc.record(spiking_network, x, n_steps=4).filtered[:, -1] - expected).mean()

        calibrated = snc.calibrate(network, x, n_steps=4)
        assert errors(calibrated) < 0.7 * errors(network)
        trained = snc.train(calibrated, x, n_steps=4, epochs=8, learning_rate=0.001, batch_size=20)
        assert list(types_of(trained)) == list(types_of(network))
        assert trained.settings == network.settings
        means = tandem_model(trained, 4).predict(x, verbose=0)
        assert np.allclose(means, snc.record(trained, x, n_steps=4).filtered[:, -1], atol=1e-4)
        assert trained.history["loss"][-1] < trained.history["loss"][0]

    def test_bounds(self):
        given = {"conv1": snc.IntegrateAndFire(initial_potential=0), "conv2": snc.SignedIntegrateAndFire(max_spikes=2)}
        network = spiking(chain(), neuron_type=given)
        bounds = snc.error_bounds(network, 10)
        assert np.allclose(bounds["conv1_relu"], 1 / 10)
        weights = np.abs(network.model.arrays["conv2/kernel"]).sum(axis=(0, 1, 2))
        assert np.allclose(bounds["conv2_relu"], np.minimum((weights + 0.5) / 10, 2))
        with pytest.raises(snc.ConversionError, match=r"LIF loses charge.*neuron_type={'conv1_relu'"):
            snc.error_bounds(spiking(chain(), neuron_type={"conv1": LIF}), 10)

    def test_nir(self):
        pytest.importorskip("nir")
        network = spiking(chain(), neuron_type={"conv2": ZERO})
        x = dyadic_images(network.model, 2)
        restored = snc.from_nir(snc.to_nir(network, dt=0.001))
        assert [each.reset for each in types_of(restored).values()] == ["subtract", "zero"]
        first, second = (snc.record(each, x, n_steps=8) for each in (network, restored))
        for one, two in zip(first.spikes.values(), second.spikes.values(), strict=True):
            assert np.array_equal(one.ravel(), two.ravel()) or np.array_equal(one.sum(), two.sum())
        again = restored.rebuild(neuron_type=PLAIN)
        assert list(types_of(again).values()) == [PLAIN, PLAIN]
        assert "reset by subtraction" in " ".join(snc.nir_losses(network, x, n_steps=8).remarks)


def test_types_in_words():
    assert types_in_words({"a": LIF, "b": PLAIN, "c": PLAIN}) == "LIF in a, IntegrateAndFire elsewhere"
    assert types_in_words({"a": PLAIN, "b": LIF}) == "IntegrateAndFire in a, LIF elsewhere"
    assert types_in_words({"a": PLAIN, "b": PLAIN}) == "IntegrateAndFire"
    zero = "IntegrateAndFire(reset='zero') in a, c, IntegrateAndFire() elsewhere"
    assert types_in_words({"a": ZERO, "b": PLAIN, "c": ZERO, "d": PLAIN, "e": PLAIN}) == zero


def test_report_tables():
    """Settings name the type of each layer; the default is that of output neurons, if there are any."""
    rates = snc.normalize(snc.convert(chain()), method="model")
    mixed = snc.to_spiking(rates, {"conv1": LIF, "*": PLAIN})
    evaluation = snc.evaluate(mixed, np.ones((2, 6, 6, 2), np.float32), [0, 1], n_steps=2)
    settings = dict(settings_rows(mixed, evaluation, None, {}))
    assert settings["neuron_types"] == "LIF(min_voltage=-5) in conv1_relu, IntegrateAndFire() elsewhere"
    assert "neuron_type" not in settings
    settings = dict(settings_rows(mixed.rebuild(readout="spikes"), evaluation, None, {}))
    assert settings["neuron_type"] == "IntegrateAndFire()"
    rows = [row for row in activity_table(mixed, evaluation, "Neurons").rows if row[1]]
    assert [row[:2] for row in rows[:3]] == [
        ("layer", "type"),
        ("conv1_relu", "LIF"),
        ("conv2_relu", "IntegrateAndFire"),
    ]
