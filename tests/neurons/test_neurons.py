"""Our neuron types: their equations, their laws, and the same spikes on every back end."""

import nengo
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import nengo_snnconv as snc
from nengo_snnconv.compat import nengo_dl
from nengo_snnconv.neurons.arguments import arguments_of, replaced
from nengo_snnconv.neurons.encoding import poisson_spikes, uniform
from nengo_snnconv.neurons.max_gate import MaxGate
from nengo_snnconv.neurons.poisson_input import PoissonInput
from nengo_snnconv.neurons.response import match_rectifier

DT = 0.001
VARIANTS = [
    {},
    {"reset": "zero"},
    {"threshold": 2.0, "initial_potential": 0.0},
    {"threshold": 0.25, "max_spikes": 3},
    {"max_spikes": np.inf, "initial_potential": 0.25},
    {"min_potential": -0.5},
    {"reset": "zero", "min_potential": 0, "amplitude": 0.002},
    {"threshold": 3.0, "max_spikes": 5, "tau": 0.0005},
    {"initial_state": {"voltage": nengo.dists.Choice([0.75])}},
]


def dyadic(rng, *shape, low=-256, high=512):
    """Multiples of 1/256, whose sums are exact in float32."""
    return rng.integers(low, high, shape) / 256


def run_both(neuron_type, current):
    """Output and first state over time on nengo and nengo_dl for ``current`` (steps, neurons)."""
    n_steps, size = current.shape
    with nengo.Network(seed=0) as network:
        source = nengo.Node(nengo.processes.PresentInput(current, DT))
        ensemble = nengo.Ensemble(size, 1, neuron_type=neuron_type, gain=np.ones(size), bias=np.zeros(size))
        nengo.Connection(source, ensemble.neurons, synapse=None)
        probes = [nengo.Probe(ensemble.neurons)]
        if isinstance(neuron_type, snc.IntegrateAndFire):
            probes.append(nengo.Probe(ensemble.neurons, "voltage"))
    results = []
    with nengo.Simulator(network, dt=DT, progress_bar=False) as simulator:
        simulator.run_steps(n_steps)
        results.append([simulator.data[probe] for probe in probes])
    with nengo_dl.Simulator(network, dt=DT, progress_bar=False) as simulator:
        simulator.run_steps(n_steps)
        results.append([simulator.data[probe] for probe in probes])
    return results


def reference(current, threshold=1.0, reset="subtract", initial_potential=0.5, min_potential=-np.inf, max_spikes=1):
    """The equations of the docstring, one neuron and one step after another."""
    spikes = np.zeros(current.shape)
    for neuron in range(current.shape[1]):
        v = initial_potential * threshold
        for step in range(len(current)):
            v += current[step, neuron]
            n = 0
            while v - n * threshold >= threshold and n < max_spikes:
                n += 1
            spikes[step, neuron] = n
            v = 0.0 if n and reset == "zero" else v - n * threshold
            v = max(v, min_potential)
    return spikes


class TestIntegrateAndFire:
    @pytest.mark.parametrize("options", VARIANTS, ids=str)
    def test_same_spikes_on_both_back_ends(self, options, rng):
        """Law 4."""
        neuron_type = snc.IntegrateAndFire(**options)
        one, other = run_both(neuron_type, dyadic(rng, 60, 40))
        assert one[0].any()
        assert np.array_equal(one[0], other[0])
        assert np.array_equal(one[1], other[1])

    @pytest.mark.parametrize("options", VARIANTS[:-1], ids=str)
    def test_follows_its_equations(self, options, rng):
        current = dyadic(rng, 50, 30)
        (output, _), _ = run_both(snc.IntegrateAndFire(**options), current)
        options = dict(options)
        height, current = options.pop("amplitude", 0.001) / DT, current * DT / options.pop("tau", 0.001)
        assert np.array_equal(output, height * reference(current, **options))

    @given(st.integers(0, 2**32 - 1), st.sampled_from([0.25, 0.5, 1.0, 2.0]), st.sampled_from([1, 2, np.inf]))
    @settings(max_examples=60, deadline=None)
    def test_charge_is_conserved(self, seed, threshold, max_spikes):
        """Law 5: sum of input = threshold * spikes + potential at the end - potential at the start."""
        neuron_type = snc.IntegrateAndFire(threshold=threshold, max_spikes=max_spikes)
        current = dyadic(np.random.default_rng(seed), 40, 20)
        state = neuron_type.make_state(20)
        voltage, output = state["voltage"], np.zeros(20)
        start, spikes = voltage.copy(), np.zeros(20)
        for step in current:
            neuron_type.step(DT, step, output, voltage)
            spikes += output * DT / neuron_type.amplitude
        assert np.array_equal(current.sum(axis=0), threshold * spikes + voltage - start)

    def test_half_a_threshold_rounds_to_the_nearest_count(self):
        drive = np.linspace(0, 1, 129)
        (output, _), _ = run_both(snc.IntegrateAndFire(), np.tile(drive, (8, 1)))
        assert np.abs(output.sum(axis=0) / 8 - drive).max() == 0.5 / 8
        (output, _), _ = run_both(snc.IntegrateAndFire(initial_potential=0), np.tile(drive, (8, 1)))
        assert np.abs(output.sum(axis=0) / 8 - drive).max() > 0.9 / 8

    def test_negative_current_is_remembered(self):
        current = np.array([[-1.0], [1.0], [-1.0], [1.0]] * 5)
        (ours, _), _ = run_both(snc.IntegrateAndFire(), current)
        (nengos,), _ = run_both(nengo.SpikingRectifiedLinear(amplitude=0.001), 1000 * current)
        assert ours.sum() == 0
        assert nengos.sum() >= 9

    def test_rates_and_gains(self):
        neuron_type = snc.IntegrateAndFire(threshold=2.0, amplitude=0.5, tau=0.1)
        gain, bias = neuron_type.gain_bias([100, 200], [0, -0.5])
        assert np.allclose(neuron_type.rates(1.0, gain, bias), [[50, 100]])
        assert np.allclose(neuron_type.rates(-0.5, gain, bias), 0)
        assert np.allclose(neuron_type.max_rates_intercepts(gain, bias), [[100, 200], [0, -0.5]])

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"threshold": 0}, "threshold"),
            ({"reset": "never"}, "reset"),
            ({"initial_potential": np.inf}, "initial_potential must be finite"),
            ({"max_spikes": 1.5}, "max_spikes must be a whole number"),
            ({"max_spikes": 0}, "max_spikes"),
            ({"min_potential": 1}, "min_potential"),
            ({"reset": "zero", "max_spikes": 2}, "max_spikes must be 1, got 2"),
        ],
    )
    def test_bad_parameters(self, options, message):
        with pytest.raises((snc.SettingsError, nengo.exceptions.ValidationError), match=message):
            snc.IntegrateAndFire(**options)


@pytest.mark.parametrize(
    "neuron_types",
    [
        [snc.IntegrateAndFire(), snc.IntegrateAndFire(threshold=0.5, reset="zero", tau=0.002)],
        [MaxGate(2), MaxGate(5), MaxGate(5, cumulative=False)],
        [PoissonInput(seed=1), PoissonInput(threshold=0.5, seed=2)],
    ],
    ids=lambda types: type(types[0]).__name__,
)
def test_ensembles_that_nengo_dl_merges_keep_their_parameters(neuron_types, rng):
    current = dyadic(rng, 30, 20)
    with nengo.Network(seed=0) as network:
        source = nengo.Node(nengo.processes.PresentInput(current, DT))
        probes = []
        for neuron_type in neuron_types:
            options = {"neuron_type": neuron_type, "gain": np.ones(20), "bias": np.zeros(20)}
            ensemble = nengo.Ensemble(20, 1, **options)
            nengo.Connection(source, ensemble.neurons, synapse=None)
            probes.append(nengo.Probe(ensemble.neurons))
    with nengo_dl.Simulator(network, dt=DT, progress_bar=False) as simulator:
        simulator.run_steps(30)
        for neuron_type, probe in zip(neuron_types, probes, strict=True):
            assert np.array_equal(simulator.data[probe], run_both(neuron_type, current)[0][0])


class TestMaxGate:
    @pytest.mark.parametrize("window", [1, 2, 5])
    def test_has_passed_the_largest_count_at_any_time(self, window, rng):
        spikes = (rng.random((40, 20)) < rng.random(20)).astype(float)
        (one,), (other,) = run_both(MaxGate(window), spikes)
        assert np.array_equal(one, other)
        counts = spikes.cumsum(axis=0).reshape(40, -1, window).max(axis=2)
        assert np.array_equal(one[:, ::window].cumsum(axis=0), counts)
        assert not one.reshape(40, -1, window)[..., 1:].any()
        assert set(np.unique(one)) <= {0, 1}

    def test_of_rates_is_memoryless(self, rng):
        values = dyadic(rng, 10, 12)
        (one,), (other,) = run_both(MaxGate(3, cumulative=False), values)
        assert np.array_equal(one, other)
        assert np.array_equal(one[:, ::3], values.reshape(10, 4, 3).max(axis=2))


class TestPoissonInput:
    def test_same_spikes_on_both_back_ends(self, rng):
        x = dyadic(rng, 30)
        (one,), (other,) = run_both(PoissonInput(threshold=0.75, seed=3), np.tile(x, (50, 1)))
        assert np.array_equal(one, other)
        assert np.array_equal(one, 0.75 * poisson_spikes(x[None], 50, 0.75, 3)[0])

    def test_mean_and_independence(self):
        x = np.tile(np.array([0.0, 0.1, 0.5, 0.9, 1.0, 2.0, -0.5], np.float32), (300, 1))
        spikes = poisson_spikes(x, 100)
        expected = np.array([0, 0.1, 0.5, 0.9, 1, 1, -0.5])
        # five standard deviations of a mean of 30,000 draws
        assert np.abs(spikes.mean(axis=(0, 1)) - expected).max() < 5 * 0.5 / np.sqrt(30000)
        trains = spikes[..., 2].reshape(300, 100).astype(float)
        neighbours = np.corrcoef(trains[:, :-1].ravel(), trains[:, 1:].ravel())[0, 1]
        images = np.corrcoef(trains[:-1].ravel(), trains[1:].ravel())[0, 1]
        units = np.corrcoef(spikes[..., 2].ravel(), spikes[..., 3].ravel())[0, 1]
        assert max(map(abs, (neighbours, images, units))) < 5 / np.sqrt(29700)

    def test_random_numbers_are_uniform(self):
        numbers = uniform(7, np.arange(50)[:, None], np.arange(2000), 3).ravel()
        counts = np.histogram(numbers, 50, (0, 1))[0]
        # chi-square with 49 degrees of freedom: mean 49, standard deviation 9.9
        assert ((counts - 2000) ** 2 / 2000).sum() < 49 + 5 * 9.9
        assert len(np.unique(numbers)) > 0.99 * len(numbers)
        assert (uniform(8, 0, np.arange(100), 3) != uniform(7, 0, np.arange(100), 3)).mean() > 0.95

    @pytest.mark.parametrize(
        ("x", "n_steps", "threshold", "message"),
        [
            (np.ones((1, 2)), 3, 0, "threshold must be above 0"),
            (np.ones((1, 2)), 0, 1, "n_steps must be a positive integer"),
            (np.ones((1, 2)), 2.5, 1, "n_steps must be a positive integer"),
            (np.ones(2), 3, 1, "x must hold finite numbers"),
            (np.full((1, 2), np.nan), 3, 1, "x must be finite"),
        ],
    )
    def test_bad_arguments(self, x, n_steps, threshold, message):
        with pytest.raises(snc.SettingsError, match=message):
            poisson_spikes(x, n_steps, threshold)


class TestMatching:
    def test_the_rectifiers_own_neurons_fit_exactly(self):
        for neuron_type in (
            snc.IntegrateAndFire(),
            nengo.SpikingRectifiedLinear(),
            snc.IntegrateAndFire(threshold=3.0),
        ):
            match = match_rectifier(neuron_type)
            assert match.deviation < 1e-9
            assert match.bias == 0
            assert match.neuron_type.amplitude == pytest.approx(0.001 * getattr(neuron_type, "threshold", 1) ** 0)

    @pytest.mark.parametrize("threshold", [1.0, 1.25, 0.75, 3.0, 0.3, 1.1])
    @pytest.mark.parametrize("max_rate", [None, 125.0, 400.0, 1000.0])
    def test_exact_types_get_exact_factors(self, threshold, max_rate):
        """Not those of a least-squares fit, which are off by rounding."""
        height = 1000 / (max_rate or 1000)
        match = match_rectifier(snc.IntegrateAndFire(threshold=threshold), max_rate)
        assert match.neuron_type.amplitude / DT == height
        assert match.gain == threshold / height or (max_rate == 400 and match.gain == pytest.approx(threshold / height))
        kinds = nengo.SpikingRectifiedLinear(), nengo.RegularSpiking(nengo.RectifiedLinear())
        for neuron_type in kinds:
            assert match_rectifier(neuron_type, max_rate).neuron_type.amplitude / DT == height
        assert match_rectifier(nengo.RegularSpiking(nengo.RectifiedLinear(2)), 500).neuron_type.amplitude / DT == 1

    def test_rates_of_the_rectifier_are_not_rounded(self):
        match = match_rectifier(nengo.RectifiedLinear())
        assert (match.gain, match.bias, match.neuron_type.amplitude) == (1, 0, 1)

    @pytest.mark.parametrize("max_rate", [50, 100, 200])
    def test_lif_comes_closer_than_its_own_gain(self, max_rate):
        inputs = np.linspace(-0.5, 1, 301)
        match = match_rectifier(nengo.LIF(), max_rate)
        gain, bias = nengo.LIF().gain_bias([max_rate], [0])
        naive = np.squeeze(nengo.LIF().rates(inputs, gain, bias)) / max_rate
        fitted = np.squeeze(match.neuron_type.rates(inputs, [match.gain], [match.bias]))
        target = np.maximum(inputs, 0)
        assert np.sum((fitted - target) ** 2) < np.sum((naive - target) ** 2)
        assert match.deviation == pytest.approx(np.abs(fitted - target).max())

    @pytest.mark.parametrize("amplitude", [1.0, 0.01])
    @pytest.mark.parametrize("kind", [nengo.RegularSpiking, nengo.PoissonSpiking, nengo.StochasticSpiking])
    @pytest.mark.parametrize("base_type", [nengo.RectifiedLinear(), nengo.LIFRate()], ids=str)
    def test_simulated_output_is_that_of_the_rectifier(self, kind, base_type, amplitude):
        match = match_rectifier(kind(base_type, amplitude=amplitude), max_rate=100)
        neuron_type, state = match.neuron_type, match.neuron_type.make_state(2000, np.random.RandomState(0))
        rates, output, total = np.zeros(2000), np.zeros(2000), 0
        base_type.step(DT, np.full(2000, 0.5 * match.gain + match.bias), rates)
        for _ in range(200):
            neuron_type.step(DT, rates, output, **state)
            total += output.mean() / 200
        assert abs(total - 0.5) < match.deviation + 0.02

    def test_refused(self):
        with pytest.raises(snc.ConversionError, match="emits negative spikes"):
            match_rectifier(nengo_dl.SpikingLeakyReLU())
        with pytest.raises(snc.SettingsError, match="below 500 Hz"):
            match_rectifier(nengo.LIF(), 600)
        with pytest.raises(snc.ConversionError, match="Izhikevich has no amplitude"):
            match_rectifier(nengo.Izhikevich())
        with pytest.raises(snc.ConversionError, match="AdaptiveLIF adapts"):
            match_rectifier(nengo.AdaptiveLIF())
        with pytest.raises(snc.ConversionError, match="leave the amplitude of its base type at 1"):
            match_rectifier(nengo.PoissonSpiking(nengo.RectifiedLinear(amplitude=0.001)))


def test_arguments_make_an_equal_object():
    for neuron_type in (snc.IntegrateAndFire(threshold=2, max_spikes=3), nengo.LIF(tau_rc=0.03), MaxGate(4)):
        assert type(neuron_type)(**arguments_of(neuron_type)) == neuron_type
    assert replaced(nengo.LIF(tau_rc=0.03), amplitude=2.0) == nengo.LIF(tau_rc=0.03, amplitude=2.0)
