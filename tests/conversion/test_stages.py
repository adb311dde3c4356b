"""Networks that run in stages: spike counts equal the quantized ANN, in all layers and on every back end."""

import nengo
import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from keras_graphs import averages_are_dyadic, dyadic_model
from models import activity, branched, dyadic_images, make, meeting_late, small_cnn
from simulators import spiking_network

import nengo_snnconv as snc
from nengo_snnconv import report
from nengo_snnconv.model import layers as specs
from nengo_snnconv.networks.keras_layers import keras_layer
from nengo_snnconv.networks.stages import first_stages, stages
from nengo_snnconv.neurons.staged_integrate_and_fire import StagedIntegrateAndFire, StagedReadout, StageGate
from nengo_snnconv.passes import quantize

BACKENDS = ("fast", "tensorflow", "nengo", "nengo_dl")


def rounded(model):
    """Round the arrays of a model to multiples of 1/8, so that sums are exact."""
    return model.replace(arrays={name: np.round(8 * array) / 8 for name, array in model.arrays.items()})


def staged(model, n_steps, **options):
    return spiking_network(model, stage_steps=n_steps, **options)


def levels(model, x, n_steps):
    """Return the activations of the quantized ANN times ``n_steps``, {name: ndarray}, computed in whole levels."""
    values = {}
    for name, layer in model.layers.items():
        inputs = [values[source] for source in layer.inputs]
        if isinstance(layer, specs.Input):
            values[name] = n_steps * x
        elif isinstance(layer, specs.Rectifier):
            values[name] = np.clip(np.floor(inputs[0] + 0.5), 0, n_steps)
        else:
            arrays = model.arrays_of(name)
            if "bias" in arrays:
                arrays["bias"] = n_steps * arrays["bias"]
            values[name] = np.asarray(keras_layer(layer, arrays)(inputs if len(inputs) > 1 else inputs[0]))
    return values


def assert_exact(network, x, backends=BACKENDS):
    """Check that no spike count differs from the quantized ANN, on each back end, and return these counts."""
    n_steps, model = network.settings.stage_steps, network.model
    expected = levels(model, x, n_steps)
    last, stage_of = model.output_scale * expected[model.output], stages(model)
    scores = np.clip(np.floor(last + 0.5), 0, n_steps) if network.settings.readout == "spikes" else last
    for backend in backends:
        recording = snc.record(network, x, backend=backend)
        for name, spikes in recording.spikes.items():
            assert np.array_equal(spikes.sum(axis=1), expected[name].reshape(len(x), -1)), (backend, name)
            begin = n_steps * stage_of[name]
            outside = np.delete(spikes, np.s_[begin : begin + n_steps], axis=1)
            assert not outside.any(), (backend, name)
        # 1 / n_steps may have no exact binary form
        difference = np.abs(recording.filtered[:, -1] - scores.reshape(len(x), -1) / n_steps)
        assert difference.max() <= 1e-6 * max(1, np.abs(scores).max()), backend
    return expected


@given(
    st.integers(0, 2**32 - 1),
    st.integers(2, 10),
    st.sampled_from([1, 2, 4, 7]),
    st.sampled_from(["potential", "spikes"]),
)
@settings(max_examples=8, deadline=None, derandomize=True, phases=[Phase.generate])
def test_no_count_differs_in_random_graphs(seed, n_layers, n_steps, readout):
    model = dyadic_model(seed, n_layers)
    if not averages_are_dyadic(model):
        return
    network = staged(model, n_steps, readout=readout)
    assert_exact(network, dyadic_images(network.model, 3, seed, low=-256))


def deep(n_blocks, maximum=False):
    """Return a model of residual blocks, whose end also reads the image and the first layer of neurons."""
    layers = [
        specs.Input("image", shape=(4, 4, 2)),
        specs.Conv("stem", "image", filters=2, kernel_size=(3, 3), padding="same"),
        specs.Rectifier("block0", "stem"),
    ]
    for n in range(1, n_blocks + 1):
        source = f"block{n - 1}"
        layers += [
            specs.Conv(f"a{n}", source, filters=2, kernel_size=(3, 3), padding="same"),
            specs.Rectifier(f"inner{n}", f"a{n}"),
            specs.Conv(f"b{n}", f"inner{n}", filters=2, kernel_size=(3, 3), padding="same"),
            specs.Add(f"sum{n}", (f"b{n}", source)),
        ]
        if maximum:  # of sums of layers that spike in different stages
            layers.append(specs.MaxPool(f"max{n}", f"sum{n}", pool_size=(2, 2), strides=1, padding="same"))
        layers.append(specs.Rectifier(f"block{n}", layers[-1].name))
    layers += [
        specs.Concatenate("all", (f"block{n_blocks}", "image", "block0")),
        specs.Flatten("flat", "all"),
        specs.Dense("hidden", "flat", units=5),
        specs.Rectifier("hidden_neurons", "hidden"),
        specs.Dense("scores", "hidden_neurons", units=3),
    ]
    return rounded(make(*layers, seed=3))


class TestExact:
    @pytest.mark.parametrize(("n_steps", "maximum"), [(1, True), (4, False), (7, True)])
    def test_deep_residual_networks(self, n_steps, maximum):
        network = staged(deep(5, maximum), n_steps)
        assert network.settings.total_steps(network.model) == n_steps * 13
        counts = assert_exact(network, dyadic_images(network.model, 3))
        assert all(counts[name].any() for name in network.model.neurons)

    @pytest.mark.parametrize("make_model", [small_cnn, branched, lambda: meeting_late(specs.Rectifier("end", "sum"))])
    @pytest.mark.parametrize("readout", ["potential", "spikes"])
    def test_branches_maxima_and_outputs(self, make_model, readout):
        network = staged(rounded(make_model()), 4, readout=readout)
        assert_exact(network, dyadic_images(network.model, 4, low=-256))

    def test_a_run_that_is_cut_into_chunks(self):
        network = staged(deep(2), 4)
        x = dyadic_images(network.model, 3)
        whole = snc.evaluate(network, x, np.zeros(3, int))
        chunks = snc.evaluate(network, x, np.zeros(3, int), backend="nengo_dl", memory_mb=0.01, minibatch_size=2)
        assert np.array_equal(whole.scores, chunks.scores)
        assert whole.layers["block1"].spikes_per_neuron == chunks.layers["block1"].spikes_per_neuron > 0

    @pytest.mark.parametrize("n_steps", [1, 2, 4])
    def test_quantize_is_the_ann(self, n_steps):
        model = snc.convert(deep(2)).model
        x = dyadic_images(model, 3)
        expected, seen = levels(model, x, n_steps), activity(quantize(model, n_steps), x)
        assert all(np.array_equal(n_steps * seen[name], expected[name]) for name in model.neurons)

    def test_inhibition_may_arrive_late(self):
        """A neuron whose excitation arrives before its inhibition does not spike, as it would in ordinary steps."""
        model = make(
            specs.Input("image", shape=(1,)),
            specs.Rectifier("early", "image"),
            specs.Dense("other", "early", units=1, use_bias=False),
            specs.Rectifier("late", "other"),
            specs.Concatenate("both", ("early", "late")),
            specs.Dense("sum", "both", units=1, use_bias=False),
            specs.Rectifier("neurons", "sum"),
        ).replace(arrays={"other/kernel": np.ones((1, 1)), "sum/kernel": np.array([[1.0], [-1.0]])})
        x = np.array([[0.5]], np.float32)
        counts = assert_exact(staged(model, 4), x)
        assert counts["late"].item() == 2
        assert counts["neurons"].item() == 0

    def test_initial_potential_of_zero_rounds_down(self):
        model = make(specs.Input("image", shape=(5,)), specs.Rectifier("neurons", "image"))
        network = staged(model, 4, neuron_type=snc.IntegrateAndFire(initial_potential=0))
        x = np.array([[-1, 0.2, 0.49, 0.75, 2]], np.float32)
        assert snc.record(network, x).spikes["neurons"].sum(axis=1).tolist() == [[0, 0, 1, 3, 4]]

    def test_cnn_with_qcfs_layers(self):
        """The ANN that was trained for 4 levels is the one that the spiking network computes."""
        keras = snc.compat.tf.keras
        keras.utils.set_random_seed(3)
        image = keras.Input((6, 6, 2))
        first = snc.QCFS(4, name="first")(keras.layers.Conv2D(3, 3, padding="same")(image))
        second = snc.QCFS(4, name="second")(keras.layers.Conv2D(3, 3, padding="same")(first))
        scores = keras.layers.Dense(3)(keras.layers.Flatten()(keras.layers.Add()([first, second])))
        model = keras.Model(image, scores)
        model.set_weights([np.round(8 * w) / 8 if w.ndim else w for w in model.get_weights()])
        network = snc.to_spiking(snc.convert(model), stage_steps=4)
        x = dyadic_images(network.model, 20)
        evaluation = snc.evaluate(network, x, np.zeros(20, int))
        assert np.allclose(evaluation.scores, model.predict(x, verbose=0), atol=1e-6)
        assert np.array_equal(evaluation.predictions, evaluation.ann_predictions)
        assert "approximated" not in network.report()

    def test_pretrained_network(self, data_folder):
        """Weights and pixels in multiples of 2**-12 and 2**-8 make sums exact in float32; rounding moves ties else."""
        data = snc.load_dataset("cifar-10", train=200, test=20)
        network = snc.convert(snc.pretrained("airbench-cifar10"))
        network = snc.normalize(network, data.x_train, method="balance", n_steps=4)
        arrays = {name: np.round(4096 * array) / 4096 for name, array in network.model.arrays.items()}
        network = snc.to_spiking(network.rebuild(network.model.replace(arrays=arrays)), stage_steps=4)
        assert_exact(network, np.round(256 * data.x_test) / np.float32(256), ["fast"])


class TestRun:
    @pytest.fixture
    def network(self):
        return staged(deep(2), 4)

    @pytest.fixture
    def x(self, network):
        return dyadic_images(network.model, 3)

    def test_length(self, network, x):
        assert network.settings.total_steps(network.model) == 4 * 7
        evaluation = snc.evaluate(network, x, np.zeros(3, int))
        assert evaluation.n_steps == 28
        assert evaluation.step_predictions.shape == (28, 3)
        with pytest.raises(snc.SettingsError, match="takes 28 steps, got 5: leave n_steps out"):
            snc.evaluate(network, x, np.zeros(3, int), n_steps=5)
        with pytest.raises(snc.SettingsError, match="run in stages"):
            snc.record(network, np.zeros((2, 28, 4, 4, 2), np.float32))
        with pytest.raises(snc.SettingsError, match="leave skip_steps out") as caught:
            snc.evaluate(network, x, np.zeros(3, int), skip_steps=2)
        assert caught.value.argument == "skip_steps"

    def test_recording(self, network, x):
        recording = snc.record(network, x, potentials=True)
        assert np.array_equal(recording.input[:, :4], np.repeat(x[:, None], 4, axis=1))
        assert not recording.input[:, 4:].any()
        assert not recording.output[:, : network.settings.steps_without_scores(network.model)].any()
        # potentials are integrated without a reset up to the spiking stage
        potentials = recording.potentials["hidden_neurons"]
        spiking = 4 * stages(network.model)["hidden_neurons"]
        change = potentials[:, spiking - 1] - potentials[:, -1]
        assert np.array_equal(change, recording.spikes["hidden_neurons"].sum(axis=1))

    def test_stages(self, network):
        assert stages(network.model)["flat"] == 5
        assert first_stages(network.model)["flat"] == 0
        assert network.settings.active_steps(network.model, "hidden_neurons") == 4 * 7
        assert network.settings.active_steps(network.model, "inner1") == 4 * 2

    def test_file(self, network, x, tmp_path):
        snc.save(network, tmp_path / "network.npz")
        loaded = snc.load(tmp_path / "network.npz")
        assert loaded.settings == network.settings
        one, other = (snc.record(each, x) for each in (network, loaded))
        assert all(np.array_equal(one.spikes[name], other.spikes[name]) for name in one.spikes)

    def test_a_damaged_file(self, network, tmp_path):
        snc.save(network.rebuild(stage_steps=10**9), tmp_path / "network.npz")
        with pytest.raises(snc.FileFormatError, match="n_steps must be from 1"):
            snc.load(tmp_path / "network.npz")

    def test_report(self, network, x, tmp_path):
        assert "constant current in the first 4 steps" in network.report()
        evaluation = snc.evaluate(network, x, np.array([0, 1, 2]))
        snc.write_report(tmp_path / "report.html", network, evaluation, recording=snc.record(network, x))
        calls = report.read_report(tmp_path / "report.html")["calls"]
        assert "stage_steps=4" in calls
        efficiency = snc.efficiency(network, evaluation)
        assert efficiency.synaptic_operations == evaluation.synaptic_operations

    def test_gui(self, network, x):
        trial = snc.GuiNetwork(network, x, np.array([0, 1, 2]))
        assert len(trial.spiking) == 6
        with trial:
            probe = nengo.Probe(trial.scores)
        with nengo.Simulator(trial, progress_bar=False) as simulator:
            simulator.run_steps(28)
        expected = snc.record(network, x[:1], backend="nengo").filtered[0, -1]
        assert np.allclose(simulator.data[probe][-1], expected)

    def test_sweep_and_tune(self, network, x):
        assert snc.sweep(network, x, np.zeros(3, int), {}).trials[0].evaluation.n_steps == 28
        with pytest.raises(snc.ConversionError, match="stage_steps"):
            snc.tune(network, x, np.zeros(3, int))


class TestErrors:
    @pytest.fixture
    def rates(self):
        return snc.normalize(snc.convert(small_cnn()), method="model")

    @pytest.mark.parametrize(
        ("argument", "options"),
        [
            ("input_coding", {"input_coding": "poisson"}),
            ("synapse", {"synapse": 0.005}),
            ("max_rate", {"max_rate": 500}),
            ("direct", {"direct": True}),
            ("neuron_type", {"neuron_type": snc.SignedIntegrateAndFire()}),
            ("neuron_type", {"neuron_type": nengo.LIF(min_voltage=-5)}),
            ("neuron_type", {"neuron_type": snc.IntegrateAndFire(max_spikes=4)}),
            ("neuron_type", {"neuron_type": snc.IntegrateAndFire(reset="zero")}),
            ("stage_steps", {"stage_steps": 0}),
            ("stage_steps", {"stage_steps": 2.5}),
            ("readout", {"readout": "sum"}),
        ],
    )
    def test_options(self, rates, argument, options):
        with pytest.raises(snc.SettingsError) as caught:
            snc.to_spiking(rates, **{"stage_steps": 4, **options})
        assert caught.value.argument == argument

    def test_a_calibrated_network(self, rates):
        x = dyadic_images(rates.model, 20)
        calibrated = snc.calibrate(snc.to_spiking(rates), x, n_steps=4)
        with pytest.raises(snc.ConversionError, match="before that"):
            snc.to_spiking(calibrated, stage_steps=4)

    @pytest.mark.parametrize("name", ["calibrate", "diagnose", "to_loihi", "to_ttfs", "error_bounds"])
    def test_functions_for_other_networks(self, rates, name):
        network, x = snc.to_spiking(rates, stage_steps=4), dyadic_images(rates.model, 20)
        arguments = {"calibrate": [x], "diagnose": [x, np.zeros(20, int)], "error_bounds": [4], "to_ttfs": [x]}
        options = {"n_steps": 4} if name == "calibrate" else {}
        with pytest.raises(snc.ConversionError, match="stage_steps"):
            getattr(snc, name)(network, *arguments.get(name, ()), **options)


@pytest.mark.parametrize("cls", [StagedIntegrateAndFire, StageGate, StagedReadout])
def test_neuron_types_are_checked(cls):
    for bad in ({"n_steps": 0}, {"stage": -1}, {"amplitude": 0}, {"n_steps": np.nan}):
        with pytest.raises((nengo.exceptions.ValidationError, snc.SettingsError)):
            cls(**bad)
