"""SurrogateLIF: equations, gradients, and equal spikes on all back ends."""

import nengo
import numpy as np
import pytest
from models import branched, small_cnn
from neuron_runs import DT, argument_of, dyadic, run_both

import nengo_snnconv as snc
from nengo_snnconv.compat import nengo_dl, tf
from nengo_snnconv.neurons.surrogate_lif import _spikes_in_tensorflow, spikes_of, step_of
from nengo_snnconv.neurons.surrogates import SURROGATES, spike
from nengo_snnconv.training.unrolled_model import unrolled_model

VARIANTS = [
    {},
    {"reset": "subtract"},
    {"reset_potential": -0.5, "tau": 4.0},
    {"threshold": 0.5, "reset": "subtract", "reset_potential": 0.25},
    {"tau": 1.0},
    {"amplitude": 0.002},
]


def reference(current, tau=2.0, threshold=1.0, reset="value", reset_potential=0.0, amplitude=0.001):
    """Simulate the equations of the docstring, neuron by neuron and step by step: output (steps, neurons)."""
    output = np.zeros(current.shape)
    for neuron in range(current.shape[1]):
        v = reset_potential
        for step in range(len(current)):
            h = v + (current[step, neuron] - (v - reset_potential)) / tau
            s = 1.0 if h >= threshold else 0.0
            v = h * (1 - s) + reset_potential * s if reset == "value" else h - (threshold - reset_potential) * s
            output[step, neuron] = s * amplitude / DT
    return output


class TestNeuron:
    @pytest.mark.parametrize("options", VARIANTS, ids=str)
    def test_equations_on_both_back_ends(self, options, rng):
        current = dyadic(rng, 12, 30, high=768)
        expected = reference(current, **options)
        assert 0 < expected.sum() < expected.size * expected.max()
        for (output,) in run_both(snc.SurrogateLIF(**options), current):
            assert np.array_equal(output, expected)

    @pytest.mark.parametrize("options", VARIANTS[:-1], ids=str)
    def test_equations_unrolled(self, options, rng):
        current = dyadic(rng, 12, 30, high=768)
        spikes = spikes_of(snc.SurrogateLIF(**options), tf.constant(current, tf.float32)).numpy()
        assert np.array_equal(spikes, reference(current, **options))

    def test_merged_ensembles_keep_their_own_surrogates(self, rng):
        types = [snc.SurrogateLIF(), snc.SurrogateLIF(tau=4.0, reset="subtract", surrogate="arctan", amplitude=0.002)]
        current = dyadic(rng, 10, 8, high=768)
        with nengo.Network() as network:
            nengo_dl.configure_settings(planner=nengo_dl.graph_optimizer.greedy_planner)
            source = nengo.Node(nengo.processes.PresentInput(current, DT))
            probes = []
            for neuron_type in types:
                ensemble = nengo.Ensemble(8, 1, neuron_type=neuron_type, gain=np.ones(8), bias=np.zeros(8))
                nengo.Connection(source, ensemble.neurons, synapse=None)
                probes.append(nengo.Probe(ensemble.neurons))
        with nengo_dl.Simulator(network, dt=DT, progress_bar=False) as sim:
            sim.run_steps(10)
            for probe, options in zip(probes, [{}, {"tau": 4.0, "reset": "subtract", "amplitude": 0.002}], strict=True):
                assert np.array_equal(sim.data[probe], reference(current, **options))

    def test_initial_potential(self):
        neuron_type = snc.SurrogateLIF(reset_potential=-1.0, threshold=0.5)
        assert np.array_equal(neuron_type.make_state(3)["voltage"], [-1, -1, -1])
        started = snc.SurrogateLIF(initial_state={"voltage": nengo.dists.Choice([0.25])})
        assert np.array_equal(started.make_state(2)["voltage"], [0.25, 0.25])

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"tau": 0.5}, "tau"),
            ({"slope": 0}, "slope"),
            ({"reset": "never"}, "reset"),
            ({"surrogate": "step"}, "surrogate"),
            ({"reset_potential": 1.0}, "reset_potential must be below the threshold 1"),
            ({"tau": np.nan}, "tau"),
            ({"threshold": np.inf}, "threshold"),
        ],
    )
    def test_invalid_arguments(self, options, message):
        with pytest.raises((snc.SettingsError, nengo.exceptions.ValidationError), match=message) as caught:
            snc.SurrogateLIF(**options)
        assert argument_of(caught.value) in options


class TestSurrogates:
    @pytest.mark.parametrize("name", SURROGATES)
    @pytest.mark.parametrize("slope", [0.5, 1.0, 3.0])
    def test_derivative_is_that_of_the_function(self, name, slope):
        x = tf.constant(np.linspace(-3, 3, 61) + 1e-3)
        function, derivative, _ = SURROGATES[name]
        differences = (function(x + 1e-6, slope) - function(x - 1e-6, slope)) / 2e-6
        assert np.allclose(derivative(x, slope), differences, atol=1e-6)

    @pytest.mark.parametrize("name", SURROGATES)
    def test_function_is_a_smooth_step(self, name):
        x = tf.constant([-1e3, 0.0, 1e3])
        assert np.allclose(spike(x, name, 1.0, smooth=True), [0, 0.5, 1], atol=1e-3)
        assert np.array_equal(spike(x, name, 1.0), [0, 1, 1])


class TestGradients:
    @staticmethod
    def gradient(function, x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            total = function(x)
        return tape.gradient(total, x).numpy()

    @pytest.mark.parametrize("smooth", [False, True], ids=["spikes", "smooth"])
    @pytest.mark.parametrize("detach_reset", [False, True], ids=["", "detached"])
    @pytest.mark.parametrize("surrogate", SURROGATES)
    @pytest.mark.parametrize("options", VARIANTS[:5], ids=str)
    def test_explicit_gradient_is_that_of_tensorflow(self, options, surrogate, detach_reset, smooth, rng):
        """The gradient of all steps equals that of the single steps, which TensorFlow differentiates."""
        neurons = snc.SurrogateLIF(surrogate=surrogate, detach_reset=detach_reset, **options)
        currents = tf.constant(rng.normal(0.5, 1.5, (6, 3, 4)))
        weights = tf.constant(rng.normal(0, 1, (6, 3, 4)))

        def step_by_step(currents):
            voltage, spikes = neurons.reset_potential * tf.ones_like(currents[0]), []
            for current in tf.unstack(currents):
                emitted, voltage = step_of(neurons, current, voltage, smooth)
                spikes.append(emitted)
            return tf.reduce_sum(weights * tf.stack(spikes))

        expected = self.gradient(step_by_step, currents)
        found = self.gradient(lambda x: tf.reduce_sum(weights * spikes_of(neurons, x, smooth)), currents)
        assert np.abs(expected).max() > 1e-3
        assert np.allclose(found, expected, atol=1e-12)

    @pytest.mark.parametrize("shape", [(1, 5), (7, 3, 300)], ids=str)
    @pytest.mark.parametrize("detach_reset", [False, True], ids=["", "detached"])
    @pytest.mark.parametrize("surrogate", SURROGATES)
    @pytest.mark.parametrize("options", VARIANTS[:5], ids=str)
    def test_compiled_functions_equal_tensorflow(self, options, surrogate, detach_reset, shape, rng):
        """In float32: the same spikes, and gradients that differ by rounding only."""
        self.compare_with_tensorflow(
            snc.SurrogateLIF(surrogate=surrogate, detach_reset=detach_reset, **options), shape, rng
        )

    @pytest.mark.parametrize("shape", [(2, 70_000), (100, 150)], ids=["threads", "blocks of the smallest size"])
    def test_compiled_parts_equal_tensorflow(self, shape, rng):
        self.compare_with_tensorflow(snc.SurrogateLIF(), shape, rng)

    @staticmethod
    def compare_with_tensorflow(neurons, shape, rng):
        currents = tf.constant(rng.normal(0.5, 3.0, shape), tf.float32)
        upstream = tf.constant(rng.normal(0, 1, shape), tf.float32)

        def both(function):
            with tf.GradientTape() as tape:
                tape.watch(currents)
                spikes = function(neurons, currents, False)
            return spikes, tape.gradient(spikes, currents, upstream)

        (spikes, found), (same, expected) = both(spikes_of), both(_spikes_in_tensorflow)
        assert np.array_equal(spikes, same)
        assert found.shape == expected.shape == shape
        assert np.abs(found - expected).max() <= 2e-6 * np.abs(expected).max()

    def test_any_number_of_images(self, rng):
        """Graphs with an unknown batch size, of which no image may be left."""
        run = tf.function(lambda x: spikes_of(snc.SurrogateLIF(), x), [tf.TensorSpec((4, None, 3), tf.float32)])
        for n_images in (0, 2):
            current = dyadic(rng, 4, n_images * 3, high=768)
            spikes = run(tf.constant(current.reshape(4, n_images, 3), tf.float32))
            assert np.array_equal(spikes.numpy().reshape(4, -1), reference(current))

    @pytest.mark.parametrize("surrogate", SURROGATES)
    @pytest.mark.parametrize("options", VARIANTS[:5], ids=str)
    def test_finite_differences(self, options, surrogate, rng):
        neurons = snc.SurrogateLIF(surrogate=surrogate, slope=1.5, **options)
        currents, weights = rng.normal(0.5, 1.0, (5, 6)), tf.constant(rng.normal(0, 1, (5, 6)))

        def total(currents):
            return tf.reduce_sum(weights * spikes_of(neurons, tf.constant(currents), smooth=True))

        found = self.gradient(lambda x: tf.reduce_sum(weights * spikes_of(neurons, x, True)), tf.constant(currents))
        for place in np.ndindex(currents.shape):
            shift = np.zeros(currents.shape)
            shift[place] = 1e-6
            difference = (total(currents + shift) - total(currents - shift)) / 2e-6
            assert abs(difference - found[place]) < 1e-7

    def test_finite_differences_of_a_smooth_network(self, rng):
        """Gradients of all arrays of a network, in float64."""
        tf.keras.backend.set_floatx("float64")
        try:
            model = small_cnn()
            model = model.replace(arrays={name: 2 * array for name, array in model.arrays.items()})
            network = snc.build_trainable(model, snc.SurrogateLIF(surrogate="arctan"), output_neurons=True)
            keras = unrolled_model(network, 4, smooth=True)
            x, target = tf.constant(rng.random((2, 4, 6, 6, 2))), tf.constant(rng.random((2, 4)))

            def loss():
                return tf.reduce_sum(tf.square(keras(x) - target))

            with tf.GradientTape() as tape:
                value = loss()
            for weight, gradient in zip(
                keras.trainable_weights, tape.gradient(value, keras.trainable_weights), strict=True
            ):
                before, direction = weight.numpy(), rng.normal(0, 1, weight.shape)
                weight.assign(before + 1e-6 * direction)
                above = loss()
                weight.assign(before - 1e-6 * direction)
                difference = (above - loss()) / 2e-6
                weight.assign(before)
                assert abs(float(tf.reduce_sum(gradient * direction)) - float(difference)) < 1e-6, weight.name
        finally:
            tf.keras.backend.set_floatx("float32")


@pytest.fixture(params=[small_cnn, branched], ids=["chain", "branches"])
def dyadic_network(request):
    """Return a network of SurrogateLIF neurons whose sums are exact in float32."""
    model = request.param()
    arrays = {name: np.round(64 * array) / 32 for name, array in model.arrays.items()}
    return snc.build_trainable(model.replace(arrays=arrays), snc.SurrogateLIF(), output_neurons=True)


class TestNetworks:
    N_STEPS = 6

    @pytest.fixture
    def frames(self, dyadic_network, rng):
        shape = dyadic_network.model.shapes["image"]
        return (rng.integers(-16, 32, (3, self.N_STEPS, *shape)) / 16).astype(np.float32)

    def test_output_is_equal_on_all_back_ends(self, dyadic_network, frames):
        """Unrolled, NengoDL with Keras layers, NengoDL and Nengo with Nengo's own objects."""
        expected = unrolled_model(dyadic_network, self.N_STEPS, every_step=True).predict(frames, verbose=0)
        assert expected.any()
        native = snc.convert(dyadic_network)
        for network, backend in ((dyadic_network, "nengo_dl"), (native, "nengo_dl"), (native, "nengo")):
            recording = snc.record(network, frames, backend=backend)
            assert np.array_equal(recording.output, expected)
            assert all(spikes.any() for spikes in recording.spikes.values())

    def test_constant_images_equal_repeated_frames(self, dyadic_network, frames):
        still = unrolled_model(dyadic_network, self.N_STEPS, still=True, every_step=True)
        repeated = np.repeat(frames[:, :1], self.N_STEPS, axis=1)
        expected = unrolled_model(dyadic_network, self.N_STEPS, every_step=True).predict(repeated, verbose=0)
        assert np.array_equal(still.predict(frames[:, 0], verbose=0), expected)
        one, other = (snc.record(dyadic_network, x, n_steps=self.N_STEPS) for x in (frames[:, 0], repeated))
        assert np.array_equal(one.output, other.output)

    def test_mean_over_time(self, dyadic_network, frames):
        every = unrolled_model(dyadic_network, self.N_STEPS, every_step=True).predict(frames, verbose=0)
        mean = unrolled_model(dyadic_network, self.N_STEPS).predict(frames, verbose=0)
        assert np.allclose(mean, every.mean(axis=1), atol=1e-6)

    def test_saved_and_loaded(self, dyadic_network, tmp_path):
        for network in (dyadic_network, snc.convert(dyadic_network)):
            snc.save(network, tmp_path / "network.npz")
            loaded = snc.load(tmp_path / "network.npz")
            assert loaded.settings == network.settings
            assert list(loaded.layers) == list(network.layers)

    def test_report(self, dyadic_network):
        assert "SurrogateLIF" in dyadic_network.report()
        assert "approximated" not in dyadic_network.report()
        native = snc.convert(dyadic_network).report()
        assert "SurrogateLIF" in native
        assert "TensorNode" not in native

    def test_output_neurons_are_added_to_linear_outputs_only(self):
        plain = snc.build_trainable(small_cnn(), snc.SurrogateLIF())
        assert plain.model.output == "scores"
        with_neurons = snc.build_trainable(plain.model, snc.SurrogateLIF(), output_neurons=True)
        assert with_neurons.model.output == "output_neurons"
        again = snc.build_trainable(with_neurons.model, snc.SurrogateLIF(), output_neurons=True)
        assert list(again.model.layers) == list(with_neurons.model.layers)

    def test_functions_for_rates_raise(self, dyadic_network):
        native = snc.convert(dyadic_network)
        with pytest.raises(snc.ConversionError, match="has no rate form"):
            snc.rate_model(dyadic_network)
        with pytest.raises(snc.ConversionError, match="without synapses"):
            snc.convert(dyadic_network.rebuild(synapse=0.002))
        x = np.zeros((1, *native.model.shapes["image"]), np.float32)
        for use in (
            lambda: snc.to_spiking(native),
            lambda: snc.to_ttfs(native, x),
            lambda: snc.normalize(native, x),
            lambda: snc.diagnose(native, x, np.array([0])),
        ):
            with pytest.raises(snc.SnnConvError, match="SurrogateLIF neurons"):
                use()

    def test_amplitude_must_equal_dt(self, dyadic_network, frames):
        """Spikes must have a height of 1, as in training."""
        other = snc.build_trainable(dyadic_network.model, snc.SurrogateLIF(amplitude=0.002))
        expected = unrolled_model(dyadic_network, self.N_STEPS, every_step=True).predict(frames, verbose=0)
        for network in (other, snc.convert(other)):
            assert np.array_equal(snc.record(network, frames, dt=0.002).output, expected)
            with pytest.raises(snc.SettingsError, match=r"dt must be 0\.002"):
                snc.record(network, frames)

    @pytest.mark.parametrize(
        ("neuron_options", "options", "message"),
        [
            ({"initial_state": {"voltage": nengo.dists.Choice([0.5])}}, {}, "leave initial_state out"),
            ({}, {"max_rates": 5}, "leave max_rates and intercepts"),
            ({}, {"intercepts": 0.5}, "leave max_rates and intercepts"),
        ],
    )
    def test_settings_that_training_would_ignore(self, neuron_options, options, message):
        with pytest.raises(snc.SettingsError, match=message):
            snc.build_trainable(small_cnn(), snc.SurrogateLIF(**neuron_options), **options)

    def test_potentials_in_thresholds(self, rng):
        network = snc.build_trainable(small_cnn(), snc.SurrogateLIF(threshold=0.0, reset_potential=-1.0))
        potentials = snc.record(network, rng.random((2, 6, 6, 2)), n_steps=5, potentials=True).potentials["neurons"]
        assert np.isfinite(potentials).all()
        assert potentials.max() < 1
