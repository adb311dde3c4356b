"""The fast simulator: what nengo and nengo_dl say, for all that it takes, and errors by name for what it does not."""

import warnings

import nengo
import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from keras_graphs import averages_are_dyadic, dyadic_model
from models import branched, make, small_cnn

import nengo_snnconv as snc
from nengo_snnconv.compat import nengo_dl
from nengo_snnconv.model import layers as specs
from nengo_snnconv.networks.nengo_objects import direct_neurons
from nengo_snnconv.neurons.max_gate import MaxGate
from nengo_snnconv.neurons.poisson_input import PoissonInput
from nengo_snnconv.neurons.time_to_first_spike import FirstSpikeInput, FirstSpikeReadout, TimeToFirstSpike
from nengo_snnconv.simulator import Simulator

# a power of two, so that heights of spikes, and currents times it, are exact
DT = 2.0**-10
# float32 keeps 24 bits of what nengo computes in double precision
ROUNDING = 2.0**-20

# filters that multiply by powers of two, so that they are exact for some steps
LOWPASS = nengo.LinearFilter([0.5], [1, -0.5], analog=False)
SECOND_ORDER = nengo.LinearFilter([0.25, 0], [1, -0.5, 0.25], analog=False)
FED_THROUGH = nengo.LinearFilter([0.5, 0.25], [1, -0.5], analog=False)
FACTOR = nengo.LinearFilter([2], [1], analog=False)

NEURONS = [
    snc.IntegrateAndFire(amplitude=DT, tau=DT),
    snc.IntegrateAndFire(amplitude=DT, tau=2 * DT, threshold=0.75, reset="zero"),
    snc.IntegrateAndFire(amplitude=DT, tau=DT, threshold=0.5, max_spikes=3, min_potential=-0.25),
    snc.IntegrateAndFire(amplitude=DT / 2, tau=DT, initial_potential=0, max_spikes=np.inf),
    nengo.SpikingRectifiedLinear(amplitude=2 * DT),
    snc.SurrogateLIF(amplitude=DT),
    snc.SurrogateLIF(amplitude=DT, tau=4, threshold=0.5, reset="subtract", reset_potential=-0.25),
    nengo.RectifiedLinear(amplitude=0.5),
    MaxGate(1),
    MaxGate(2, cumulative=False),
    MaxGate(3),
    PoissonInput(threshold=2, seed=5),
    FirstSpikeInput(n_steps=4, stage=1, x_max=2, signed=True, amplitude=DT),
    TimeToFirstSpike(n_steps=2, stage=1, threshold=0.5, amplitude=DT),
    FirstSpikeReadout(n_steps=4, stage=1, amplitude=DT),
]


def dyadic(rng, *shape):
    """Random multiples of 1/4 from -1 to 1."""
    return rng.integers(-4, 5, shape) / 4


def neurons_of(neuron_type, size, gain=1.0, bias=0.0):
    """Neurons, those of Nengo with the gain at which a current of 1 is a spike in each step of DT."""
    if isinstance(neuron_type, nengo.SpikingRectifiedLinear):
        gain, bias = gain / DT, bias / DT
    return direct_neurons(neuron_type, size, "neurons", gain, bias)


def n_items(data):
    return len(next(iter(data.values()))) if data else 1


def run_fast(network, n_steps, data=None, dt=0.001, **options):
    """What each probe sees, (items, samples, size)."""
    with Simulator(network, dt=dt, minibatch_size=n_items(data), progress_bar=False, **options) as simulator:
        simulator.run_steps(n_steps, data=data)
        return dict(simulator.data)


def run_nengo(network, n_steps, data=None, dt=0.001):
    """The same, item by item, as nengo has it."""
    data = data or {}
    items = [
        {node: values[k].reshape(-1, node.size_out) for node, values in data.items()} for k in range(n_items(data))
    ]
    shown = dict(items[0])
    for node in data:
        node.output = lambda t, node=node: shown[node][min(round(t / dt), len(shown[node])) - 1]
    # nengo's optimizer gives other results from time to time where views of signals are filtered
    model = nengo.builder.Model(dt=dt)
    seen = {probe: [] for probe in network.all_probes}
    with nengo.Simulator(network, dt=dt, model=model, progress_bar=False, optimize=False) as simulator:
        for number, item in enumerate(items):
            simulator.reset()
            shown.update(item)
            for ensemble in network.all_ensembles:
                if isinstance(ensemble.neuron_type, PoissonInput):
                    simulator.signals[model.sig[ensemble.neurons]["item"]][...] = number
            simulator.run_steps(n_steps)
            for probe, values in seen.items():
                values.append(simulator.data[probe].copy())
    for node in data:
        node.output = np.zeros(node.size_out)
    return {probe: np.reshape(values, (len(items), -1, probe.size_in)) for probe, values in seen.items()}


def run_nengo_dl(network, n_steps, data, dt=0.001):
    """The same as nengo_dl has it."""
    steps = {node: values.reshape(n_items(data), -1, node.size_out) for node, values in data.items()}
    steps = {node: np.repeat(values, n_steps // values.shape[1], axis=1) for node, values in steps.items()}
    with nengo_dl.Simulator(network, dt=dt, minibatch_size=n_items(data), progress_bar=False) as simulator:
        simulator.run_steps(n_steps, data=steps)
        return {probe: simulator.data[probe] for probe in network.all_probes}


def assert_equal(seen, expected, rtol=0.0):
    """What is emitted is equal, or within a part ``rtol`` of the largest value; the rest is within rounding."""
    assert seen.keys() == expected.keys()
    for probe, values in seen.items():
        other, name = expected[probe], f"{probe.attr} of {probe.obj}, filtered by {probe.synapse}"
        assert values.shape == other.shape, name
        exact = probe.attr in ("output", "input") and not getattr(probe.synapse, "analog", False)
        tolerance = rtol if exact else max(rtol, ROUNDING)
        largest = np.abs(other).max(initial=1.0)
        np.testing.assert_allclose(values, other, rtol=0, atol=tolerance * largest, err_msg=name)


def probed(network):
    """The network with probes on all layers."""
    with network:
        for obj in set(network.layers.values()):
            nengo.Probe(obj)
    return network


def quiet(model, *arguments, **options):
    """A spiking network of a model that nothing has normalised."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return snc.to_spiking(snc.convert(model), *arguments, **options)


def halves(model):
    """A model whose arrays are small multiples of 1/16, so that sums of spikes are exact."""
    return model.replace(arrays={name: np.round(8 * array) / 16 for name, array in model.arrays.items()})


def images(model, rng, n_items=3, n_steps=None):
    shape = (n_items, *model.shapes[model.input]) if n_steps is None else (n_items, n_steps, model.size(model.input))
    return (rng.integers(-8, 17, shape) / 16).astype(np.float32)


GRAPHS = settings(max_examples=20, deadline=None, derandomize=True, phases=[Phase.generate])


class TestConvertedNetworks:
    """Law 4, for every layer."""

    @given(
        st.integers(0, 2**32 - 1),
        st.integers(2, 7),
        st.booleans(),
        st.booleans(),
        st.sampled_from(["potential", "spikes"]),
    )
    @GRAPHS
    def test_random_graphs(self, seed, n_layers, poisson, direct, readout):
        model = dyadic_model(seed, n_layers)
        if not averages_are_dyadic(model):
            return
        coding = "poisson" if poisson else "constant"
        network = quiet(model, input_coding=coding, direct=direct, readout=readout, seed=seed % 1000)
        data = {probed(network).input: images(model, np.random.default_rng(seed), 2)}
        assert_equal(run_fast(network, 6, data), run_nengo(network, 6, data))

    @given(st.integers(0, 2**32 - 1), st.integers(2, 7), st.booleans())
    @settings(GRAPHS, max_examples=4)
    def test_random_graphs_in_nengo_dl(self, seed, n_layers, poisson):
        model = dyadic_model(seed, n_layers)
        if not averages_are_dyadic(model):
            return
        network = probed(quiet(model, input_coding="poisson" if poisson else "constant"))
        data = {network.input: images(model, np.random.default_rng(seed), 3, n_steps=6)}
        assert_equal(run_fast(network, 6, data), run_nengo_dl(network, 6, data))

    @pytest.mark.parametrize(
        "neuron_type",
        [
            snc.IntegrateAndFire(),
            snc.IntegrateAndFire(reset="zero"),
            snc.IntegrateAndFire(min_potential=-0.25),
            snc.IntegrateAndFire(threshold=0.5, initial_potential=0, max_spikes=4),
            snc.IntegrateAndFire(max_spikes=np.inf, initial_state={"voltage": nengo.dists.Choice([0.25, 0.75])}),
        ],
        ids=str,
    )
    def test_neurons_with_average_and_max_pooling(self, neuron_type, rng):
        model = halves(branched())
        network = probed(quiet(model, neuron_type))
        data = {network.input: images(model, rng)}
        seen = run_fast(network, 9, data)
        assert_equal(seen, run_nengo(network, 9, data))
        assert all(values.any() for values in seen.values())

    @given(st.integers(0, 2**32 - 1), st.integers(2, 7), st.sampled_from([4, 16]), st.booleans())
    @settings(GRAPHS, max_examples=10)
    def test_time_to_first_spike(self, seed, n_layers, n_steps, signed):
        model = dyadic_model(seed, n_layers)
        if not averages_are_dyadic(model):
            return
        x = images(model, np.random.default_rng(seed), 2)
        x = x if signed else np.abs(x)
        network = probed(snc.to_ttfs(snc.convert(model), x, n_steps, threshold=1.0, x_max=1))
        total = network.settings.total_steps(network.model)
        data = {network.input: x}
        # a step more than there are stages; scores are averages over steps
        assert_equal(run_fast(network, total + 1, data), run_nengo(network, total + 1, data), rtol=ROUNDING)

    def test_rates(self, rng):
        """Rates are those of the ANN to the rounding of sums, in every layer."""
        network = probed(snc.convert(branched()))
        x = rng.random((4, 8, 8, 2), dtype=np.float32)
        data = {network.input: x}
        seen = run_fast(network, 2, data)
        assert_equal(seen, run_nengo(network, 2, data), rtol=1e-6)
        expected = snc.rate_model(network).predict(x, verbose=0)
        np.testing.assert_allclose(seen[network.probes["output"]][:, -1], expected, atol=1e-6 * np.abs(expected).max())

    def test_filtered_spikes(self, rng):
        model = halves(branched())
        network = probed(quiet(model, synapse=LOWPASS))
        data = {network.input: images(model, rng)}
        assert_equal(run_fast(network, 8, data), run_nengo(network, 8, data))


def keras_like():
    """What networks of Keras layers have and those of Nengo's own objects do not: dropout, and maxima of each step."""
    return halves(
        make(
            specs.Input("image", shape=(6, 6, 2)),
            specs.Conv("a", "image", filters=4, kernel_size=(3, 3), padding="same"),
            specs.Rectifier("a_neurons", "a"),
            specs.Dropout("dropped", "a_neurons", rate=0.5),
            specs.Conv("b", "a_neurons", filters=4, kernel_size=(3, 3), padding="same", groups=2),
            specs.Rectifier("b_neurons", "b"),
            specs.Add("sum", ("dropped", "b_neurons")),
            specs.Concatenate("both", ("sum", "a_neurons")),
            specs.MaxPool("max", "both", pool_size=(2, 2)),
            specs.AveragePool("mean", "max", pool_size=(1, 1)),
            specs.Flatten("flat", "mean"),
            specs.Affine("moved", "flat"),
            specs.Dense("scores", "moved", units=3),
        )
    )


class TestTrainableNetworks:
    """Networks of Keras layers, which are simulated in Nengo's own objects."""

    @pytest.mark.parametrize(
        ("neuron_type", "options"),
        [
            (nengo.LIF(amplitude=DT, tau_rc=0.01, min_voltage=-2), {"max_rates": 400, "intercepts": 0.125}),
            (nengo.LIF(amplitude=DT, tau_rc=0.01), {"max_rates": 400, "synapse": LOWPASS}),
            (nengo.SpikingRectifiedLinear(amplitude=DT), {"output_neurons": True, "synapse": LOWPASS}),
            (snc.SurrogateLIF(amplitude=DT, threshold=0.25), {"synapse": SECOND_ORDER}),
            (snc.SurrogateLIF(amplitude=DT, threshold=0.25, tau=4, reset="subtract"), {}),
            (snc.IntegrateAndFire(amplitude=DT, tau=DT), {"stateful": False}),
        ],
        ids=str,
    )
    def test_every_layer_is_that_of_nengo_dl(self, neuron_type, options, rng):
        model = keras_like()
        network = probed(snc.build_trainable(model, neuron_type, seed=3, **options))
        neurons = network.layers["a_neurons"]
        with network:
            nengo.Probe(neurons, "voltage")
            nengo.Probe(neurons, "input")
        data = {network.input: images(model, rng)}
        seen = run_fast(network, 8, data, dt=DT)
        # spikes are whole numbers; potentials of LIF go through the exponentials of two libraries, step after step
        assert_equal(seen, run_nengo_dl(network, 8, data, dt=DT), rtol=8 * ROUNDING)
        assert all(values.any() for values in seen.values())

    def test_trained_arrays_must_be_collected(self, rng):
        network = snc.build_trainable(small_cnn(), nengo.LIF(amplitude=0.01))
        layer = network.layers["scores"].tensor_func
        layer.build((None, 12))
        layer.set_weights([weights + 1 for weights in layer.get_weights()])
        with pytest.raises(snc.SettingsError, match="collect_trained"):
            Simulator(network)


class TestNeurons:
    """Populations without a network around them."""

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
    def test_random_currents_give_the_same_spikes(self, neuron_type, rng):
        """Thousands of spikes, currents that are not exact, and potentials that start at random."""
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
        # the exponentials of two libraries differ by a rounding, which a current of 7 with a small tau_rc multiplies
        np.testing.assert_allclose(seen[voltage], expected[voltage], atol=1e-4)

    @pytest.mark.parametrize("neuron_type", NEURONS, ids=str)
    def test_alone(self, neuron_type, rng):
        """Gains and biases of each neuron its own; all states that can be probed; still and moving currents."""
        size = 18
        with nengo.Network(seed=1) as network:
            source = nengo.Node(np.zeros(size))
            neurons = neurons_of(neuron_type, size, gain=1 + dyadic(rng, size) / 2, bias=dyadic(rng, size))
            nengo.Connection(source, neurons, transform=2, synapse=None)
            nengo.Probe(neurons)
            nengo.Probe(neurons[3:7])
            nengo.Probe(neurons, "input", synapse=LOWPASS)
            states = {"voltage", "current", "spiked"} | (
                {"total"} if getattr(neuron_type, "cumulative", False) else set()
            )
            for state in states.intersection(neuron_type.state):
                nengo.Probe(neurons, state)
                nengo.Probe(neurons[::-2], state, synapse=LOWPASS)
        for n_moving in (1, 9):
            data = {source: dyadic(rng, 2, n_moving, size)}
            seen = run_fast(network, 9, data, dt=DT)
            assert_equal(seen, run_nengo(network, 9, data, dt=DT))
            assert all(values.any() for values in seen.values())

    def test_what_is_wanted_beyond_the_stages_that_neurons_heed(self, rng):
        """Neurons of two stages read one node through another one; what drives them is probed in all steps."""
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


def random_convolution(rng, size_in):
    """A convolution of an input of ``size_in`` entries over one or two axes."""
    channels = int(rng.choice([n for n in range(1, 5) if size_in % n == 0]))
    rows = int(rng.choice([n for n in range(1, 7) if (size_in // channels) % n == 0]))
    axes = (rows, size_in // channels // rows) if rng.random() < 0.6 else (size_in // channels,)
    groups = int(rng.choice([n for n in range(1, channels + 1) if channels % n == 0]))
    filters = groups * int(rng.integers(1, 3))
    size = tuple(int(rng.integers(1, min(n, 4) + 1)) for n in axes)
    return nengo.Convolution(
        filters,
        (*axes, channels),
        kernel_size=size,
        strides=tuple(int(n) for n in rng.integers(1, 4, len(axes))),
        padding=str(rng.choice(["same", "valid"])),
        groups=groups,
        init=dyadic(rng, *size, channels // groups, filters),
    )


def random_transform(rng, size_in, size_out):
    """A matrix, full or sparse, or where sizes are equal a factor for all or each."""
    kinds = [lambda: dyadic(rng, size_out, size_in), lambda: random_sparse(rng, size_in, size_out)]
    if size_in == size_out:
        kinds += [lambda: dyadic(rng, size_in), lambda: float(dyadic(rng)), lambda: 1.0]
    return kinds[rng.integers(len(kinds))]()


def random_sparse(rng, size_in, size_out):
    entries = rng.permutation(size_in * size_out)[: int(rng.integers(1, size_in * size_out + 1))]
    indices = np.stack(np.divmod(entries, size_in), axis=1)
    return nengo.Sparse((size_out, size_in), indices=indices, init=dyadic(rng, len(entries)))


def random_view(rng, obj, size):
    """All of an object, a slice of it, or some of its entries in any order."""
    first, n_chosen = rng.integers(0, size), rng.integers(1, size + 1)
    views = [slice(None), slice(int(first), None, int(rng.integers(1, 3))), rng.permutation(size)[:n_chosen].tolist()]
    return obj[views[rng.integers(3)]]


def random_synapse(rng):
    synapses = [None, None, None, LOWPASS, SECOND_ORDER, FED_THROUGH, FACTOR]
    return synapses[rng.integers(len(synapses))]


def random_object(rng, size):
    """A node, or neurons whose gains and biases are the same ones or each their own."""
    neuron_type = NEURONS[rng.integers(len(NEURONS))]
    if rng.random() < 0.3 or size % getattr(neuron_type, "window", 1):
        return nengo.Node(size_in=size)
    own = rng.random() < 0.5
    return neurons_of(neuron_type, size, 1 + dyadic(rng, size) / 2 if own else 1, dyadic(rng, size) if own else 0)


def random_network(rng, n_objects):
    """Nodes and neurons of all kinds with connections of all kinds, in which all sums are exact; and its input."""
    with nengo.Network(seed=int(rng.integers(1000))) as network:
        values = dyadic(rng, 5)
        objects = [
            nengo.Node(np.zeros(int(rng.integers(1, 30)))),
            nengo.Node(dyadic(rng, 6)),
            nengo.Node(lambda t: values * (round(t / DT) % 3)),
            nengo.Node(nengo.processes.PresentInput(dyadic(rng, 3, 4), 2 * DT)),
        ]
        for _ in range(n_objects):
            source = objects[rng.integers(len(objects))]
            convolution = random_convolution(rng, source.size_out)
            objects.append(random_object(rng, convolution.size_out))
            nengo.Connection(source, objects[-1], transform=convolution, synapse=random_synapse(rng))
            for source in (objects[rng.integers(len(objects) - 1)] for _ in range(rng.integers(3))):
                pre = random_view(rng, source, source.size_out)
                post = random_view(rng, objects[-1], objects[-1].size_in)
                transform = random_transform(rng, pre.size_out, post.size_in)
                nengo.Connection(pre, post, transform=transform, synapse=random_synapse(rng))
        for obj in objects:
            sampled = [None, 2 * DT][rng.integers(2)]
            nengo.Probe(random_view(rng, obj, obj.size_out), synapse=random_synapse(rng), sample_every=sampled)
    return network, objects[0]


class TestUsersNetworks:
    """Networks that are not made by this package."""

    @given(st.integers(0, 2**32 - 1), st.integers(1, 6), st.booleans(), st.integers(1, 8))
    @settings(GRAPHS, max_examples=60)
    def test_random_networks(self, seed, n_objects, moving, n_steps):
        rng = np.random.default_rng(seed)
        network, source = random_network(rng, n_objects)
        data = {source: dyadic(rng, 2, n_steps if moving else 1, source.size_out)}
        assert_equal(run_fast(network, n_steps, data, dt=DT), run_nengo(network, n_steps, data, dt=DT))

    def test_convolutions_in_three_dimensions(self, rng):
        """Nengo has none."""
        with nengo.Network() as network:
            source = nengo.Node(np.zeros(4 * 5 * 3 * 2))
            for strides, padding in (((2, 1, 1), "valid"), ((1, 2, 2), "same")):
                transform = nengo.Convolution(
                    4,
                    (4, 5, 3, 2),
                    kernel_size=(2, 3, 2),
                    strides=strides,
                    padding=padding,
                    init=dyadic(rng, 2, 3, 2, 2, 4),
                )
                node = nengo.Node(size_in=transform.size_out)
                nengo.Connection(source, node, transform=transform, synapse=None)
                nengo.Probe(node)
        data = {source: dyadic(rng, 2, 1, source.size_out)}
        assert_equal(run_fast(network, 1, data), run_nengo_dl(network, 1, data))

    @pytest.mark.parametrize("shape", [None, (2, 2, 2), (1, 4, 2), (4, 2), (8, 1)])
    @pytest.mark.parametrize(("before", "around"), [(0, 0), (0, 1), (2, 0)])
    def test_what_reads_means(self, shape, before, around, rng):
        """Means of spikes are read as they are, as another shape, by a part of a node, or fill only a part of one."""
        mean = np.full((2, 2, 1, 2), 0.25)
        pool = nengo.Convolution(2, (4, 4, 2), kernel_size=(2, 2), strides=(2, 2), groups=2, init=mean)
        with nengo.Network() as network:
            neurons = neurons_of(snc.IntegrateAndFire(), 32, bias=np.abs(dyadic(rng, 32)))
            means = nengo.Node(size_in=before + 8)
            nengo.Connection(neurons, means[before:], transform=pool, synapse=None)
            transform = nengo.Dense((3, 8), init=dyadic(rng, 3, 8))
            if shape:
                size, strides = tuple(min(n, 2) for n in shape[:-1]), (1,) * (len(shape) - 1)
                kernel = dyadic(rng, *size, shape[-1], 3)
                transform = nengo.Convolution(3, shape, kernel_size=size, strides=strides, init=kernel)
            end = nengo.Node(size_in=transform.size_out + 2 * around)
            nengo.Connection(means[:8], end[around : around + transform.size_out], transform=transform, synapse=None)
            nengo.Probe(end)
        seen = run_fast(network, 6)
        assert_equal(seen, run_nengo(network, 6))
        assert all(values.any() for values in seen.values())

    def test_entries_that_are_named_more_than_once(self):
        with nengo.Network() as network:
            source, twice, into_one = nengo.Node([1.0, 2.0]), nengo.Node(size_in=3), nengo.Node(size_in=2)
            nengo.Connection(source[[0, 0, 1]], twice, synapse=None)
            nengo.Connection(source, into_one[[1, 1]], transform=[2, 3], synapse=None)
            probes = [nengo.Probe(twice), nengo.Probe(into_one)]
        seen = run_fast(network, 1)
        assert_equal(seen, run_nengo(network, 1))
        assert seen[probes[1]].tolist() == [[[0, 8]]]

    @pytest.mark.parametrize(
        "synapse",
        [
            0.005,
            0,
            nengo.Lowpass(1e-5),
            nengo.Alpha(0.003),
            nengo.Alpha(0),
            nengo.LinearFilter([1, 2], [0.01, 1, 0.5]),
            nengo.LinearFilter([0.01, 2], [0.01, 1]),
            nengo.LinearFilter([1], [1e-6, 1e-3, 0.5, 1]),
        ],
        ids=str,
    )
    def test_synapses(self, synapse):
        with nengo.Network() as network:
            waves = nengo.Node(lambda t: [np.sin(50 * t), np.cos(200 * t), 1])
            still, node = nengo.Node([1.0, -1.0, 0.5]), nengo.Node(size_in=3)
            neurons = neurons_of(snc.IntegrateAndFire(), 3, bias=0.375)
            nengo.Connection(waves, node, synapse=synapse)
            nengo.Connection(still[[2, 0, 1]], node, synapse=synapse)
            nengo.Connection(neurons, node, transform=np.ones((3, 3)), synapse=synapse)
            nengo.Probe(node)
            for obj in (waves, still, neurons):
                nengo.Probe(obj, synapse=synapse)
        seen = run_fast(network, 40)
        assert_equal(seen, run_nengo(network, 40), rtol=40 * ROUNDING)  # of 40 steps at most
        assert all(np.ptp(values) > 0.01 for values in seen.values())

    @pytest.mark.parametrize("dt", [0.001, 0.0007])
    def test_samples(self, dt):
        with nengo.Network() as network:
            node = nengo.Node(lambda t: t)
            probes = [nengo.Probe(node, sample_every=period) for period in (0.0005, 0.001, 0.0025, 0.003, 0.0041)]
        with Simulator(network, dt=dt) as simulator:
            for n_steps in (1, 7, 22):
                simulator.run_steps(n_steps)
        expected = run_nengo(network, 30, dt=dt)
        for probe in probes:
            np.testing.assert_allclose(simulator.data[probe], expected[probe][0], rtol=ROUNDING)
            np.testing.assert_allclose(simulator.trange(probe.sample_every), expected[probe][0, :, 0])

    def test_several_inputs(self, rng):
        with nengo.Network() as network:
            sources = [nengo.Node(np.zeros(size)) for size in (3, 4, 2)]
            node = nengo.Node(size_in=5)
            for source in sources:
                nengo.Connection(source, node, transform=dyadic(rng, 5, source.size_out), synapse=None)
            nengo.Probe(node)
        data = {
            source: dyadic(rng, 3, n_steps, source.size_out) for source, n_steps in zip(sources, (4, 1, 4), strict=True)
        }
        assert_equal(run_fast(network, 4, data), run_nengo(network, 4, data))
        one = {sources[1]: data[sources[1]]}
        assert_equal(run_fast(network, 4, one), run_nengo(network, 4, one))


class TestNodesOfTheirOwn:
    """Nodes whose output changes with time by itself."""

    def test_processes_with_seeds_are_those_of_nengo(self):
        with nengo.Network() as network:
            for process in (
                nengo.processes.WhiteSignal(0.1, 40, seed=3),
                nengo.processes.FilteredNoise(seed=4),
                nengo.processes.Piecewise({0.002: [1.0], 0.005: [2.0]}),
            ):
                nengo.Probe(nengo.Node(process))
        assert_equal(run_fast(network, 20), run_nengo(network, 20), rtol=ROUNDING)

    def test_processes_without_seeds_differ_and_can_be_had_again(self):
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

    def test_functions_go_on_from_run_to_run_and_give_way_to_data(self):
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

    def test_functions_may_fill_one_array_again_and_again(self):
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
            (np.zeros(3), r"what <Node 'odd'> emits at 0.002 s must have size 2, got shape \(3,\)"),
            (None, "what <Node 'odd'> emits at 0.002 s must be numbers|must have size 2|must be finite"),
            ([0.0, np.nan], "what <Node 'odd'> emits at 0.002 s must be finite"),
        ],
    )
    def test_functions_that_go_wrong_are_named(self, value, message):
        with nengo.Network() as network:
            nengo.Probe(nengo.Node(lambda t: np.zeros(2) if t < 0.0015 else value, size_out=2, label="odd"))
        with Simulator(network) as simulator, pytest.raises(snc.SettingsError, match=message):
            simulator.run_steps(5)


def spiking_cnn():
    model = halves(branched())
    return model, probed(quiet(model, input_coding="poisson"))


class TestRuns:
    @pytest.mark.parametrize("moving", [False, True])
    def test_pieces_make_a_whole(self, moving, rng):
        model, network = spiking_cnn()
        data = images(model, rng, n_steps=11 if moving else 1)
        whole = run_fast(network, 11, {network.input: data})
        with Simulator(network, minibatch_size=3) as simulator:
            for begin, end in ((0, 2), (2, 6), (6, 7), (7, 11)):
                part = data[:, begin:end] if moving else data
                simulator.run_steps(end - begin, data={network.input: part})
            assert_equal(dict(simulator.data), whole)
            assert simulator.n_steps == 11

    def test_data_may_stand_still_in_any_shape(self, rng):
        model, network = spiking_cnn()
        x = images(model, rng)
        flat = x.reshape(3, -1)
        whole = run_fast(network, 4, {network.input: x})
        for values in (flat, flat[:, None], np.repeat(flat[:, None], 4, axis=1), x.astype(float).tolist()):
            assert_equal(run_fast(network, 4, {network.input: np.asarray(values)}), whole)

    def test_still_then_moving_then_still(self, rng):
        """Programs that are made for one keep the states of the other."""
        model, network = spiking_cnn()
        data = images(model, rng, n_steps=9)
        data[:, :3], data[:, 6:] = data[:, :1], data[:, 6:7]
        whole = run_fast(network, 9, {network.input: data})
        with Simulator(network, minibatch_size=3) as simulator:
            for part in np.split(data, 3, axis=1):
                simulator.run_steps(3, data={network.input: part})
            assert_equal(dict(simulator.data), whole)

    def test_memory_and_threads_change_nothing(self, rng):
        model, network = spiking_cnn()
        data = {network.input: images(model, rng, 7, n_steps=80)}
        whole = run_fast(network, 80, data, threads=1)
        for options in ({"threads": 2}, {"threads": 9}, {"memory_mb": 1e-6, "threads": 2}, {"memory_mb": 0.2}):
            assert_equal(run_fast(network, 80, data, **options), whole)

    def test_items_do_not_touch_one_another(self, rng):
        model = halves(branched())
        network = probed(quiet(model))
        x = images(model, rng, 9)
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

    def test_without_a_minibatch_there_is_no_axis_of_items(self, network):
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
            with pytest.warns(UserWarning, match="less than half a step of 0.002 s: nothing was run"):
                simulator.run(0.0001)
            assert simulator.n_steps == 5

    def test_data_is_a_mapping_of_probes(self, network):
        with Simulator(network) as simulator:
            assert list(simulator.data) == [network.probe]
            assert len(simulator.data) == 1
            with pytest.raises(ValueError, match="read-only"):
                simulator.data[network.probe][:] = 1
            with pytest.raises(KeyError, match="<Node 'source'> is no probe of this network"):
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

    def test_random_potentials_are_those_of_the_networks_seed(self, network):
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


class TestWhatUsersAdd:
    """Objects that a user adds to networks of this package."""

    @staticmethod
    def add(network):
        layer = network.layers["a_neurons"]
        with network:
            second = nengo.Node(size_in=3, label="second")
            nengo.Connection(layer, second, transform=np.full((3, layer.size_out), 0.25), synapse=LOWPASS)
            nengo.Connection(network.output, second, synapse=None)
            extra = nengo.Node([0.25, 0.0, -0.25])
            nengo.Connection(extra, network.output, synapse=None)
            neurons = neurons_of(snc.IntegrateAndFire(), 3)
            nengo.Connection(second, neurons, synapse=None)
            return [nengo.Probe(second), nengo.Probe(neurons), nengo.Probe(neurons, "voltage")]

    def test_to_nengos_own_objects(self, rng):
        model = halves(branched())
        network = quiet(model)
        added = self.add(network)
        data = {network.input: images(model, rng)}
        seen = run_fast(network, 7, data)
        # but for the filtered scores, all is exact
        assert_equal(seen, run_nengo(network, 7, data), rtol=ROUNDING)
        assert all(seen[probe].any() for probe in added)

    def test_to_keras_layers(self, rng):
        model = keras_like()
        neuron_type = snc.IntegrateAndFire(max_spikes=2)
        network = snc.build_trainable(model, neuron_type, output_neurons=True)
        added = self.add(network)
        with network:
            nengo.Connection(nengo.Node(dyadic(rng, 144)), network.layers["dropped"], synapse=None)
            nengo.Probe(network.layers["dropped"])
            nengo.Probe(network.layers["a_neurons"])
        data = {network.input: images(model, rng)}
        seen = run_fast(network, 7, data)
        assert_equal(seen, run_nengo_dl(network, 7, data), rtol=ROUNDING)
        assert all(seen[probe].any() for probe in added)

    def test_inside_another_network(self, rng):
        model = halves(branched())
        with nengo.Network() as network:
            inner = probed(quiet(model))
            source = nengo.Node(np.zeros(model.size(model.input)))
            nengo.Connection(source, inner.layers["a"], transform=np.ones((256, 128)) / 64, synapse=None)
        data = {source: images(model, rng), inner.input: images(model, rng)}
        assert_equal(run_fast(network, 4, data), run_nengo(network, 4, data), rtol=ROUNDING)


def two_nodes(**options):
    """A network whose nodes are connected with these options."""
    with nengo.Network() as network:
        nodes = nengo.Node([1.0, 2.0], label="one"), nengo.Node(size_in=2, label="two")
        nengo.Connection(*nodes, label="link", **{"synapse": None, **options})
        nengo.Probe(nodes[1])
    return network


def population(neuron_type=None, probe="output", **options):
    """A network with an ensemble that is probed."""
    unit = {"gain": np.ones(4), "bias": np.zeros(4)}
    with nengo.Network() as network:
        ensemble = nengo.Ensemble(4, 1, neuron_type=neuron_type or nengo.LIF(), label="group", **{**unit, **options})
        nengo.Probe(ensemble.neurons, probe)
    return network


def connected(make_connection):
    """A network with an ensemble, a node and what is made of them."""
    with nengo.Network() as network:
        ensemble = nengo.Ensemble(4, 1, gain=np.ones(4), bias=np.zeros(4), label="group")
        node = nengo.Node(size_in=1, label="node")
        made = make_connection(ensemble, node)
        nengo.Probe(made if isinstance(made, nengo.Node | nengo.ensemble.Neurons) else node)
    return network


def recurrent(ensemble, node):
    nengo.Connection(ensemble.neurons, ensemble.neurons, transform=np.eye(4))
    return ensemble.neurons


def learning(ensemble, node):
    options = {"transform": np.eye(4), "learning_rule_type": nengo.BCM()}
    return nengo.Connection(ensemble.neurons, nengo.Ensemble(4, 1).neurons, **options)


def tensor_node(ensemble, node):
    return nengo_dl.TensorNode(lambda t: t, shape_in=(1,), shape_out=(1,), label="tensors")


def probe_of(obj):
    return lambda ensemble, node: nengo.Probe(obj(ensemble, node))


class TestRefused:
    @pytest.mark.parametrize(
        ("make_network", "message"),
        [
            (
                lambda: connected(lambda e, n: nengo.Node(lambda t, x: x, size_in=1, label="f")),
                "no functions .* <Node 'f'>",
            ),
            (
                lambda: connected(lambda e, n: nengo.Connection(e, n)),
                "'group'.* which decodes an ensemble: use nengo_dl",
            ),
            (
                lambda: connected(lambda e, n: nengo.Connection(nengo.Node(1), e)),
                "'group'.* goes into an ensemble, not into",
            ),
            (lambda: connected(learning), "'group'.*, which learns"),
            (lambda: connected(recurrent), "'group'.* feeds back on itself"),
            (lambda: connected(tensor_node), "<TensorNode 'tensors'> is a TensorNode"),
            (lambda: connected(probe_of(lambda e, n: e)), "probes nodes and neurons, not <Ensemble 'group'>"),
            (
                lambda: connected(probe_of(lambda e, n: nengo.Connection(n, n))),
                "probes nodes and neurons, not <Connection",
            ),
            (lambda: two_nodes(function=np.square), "<Connection link>, which computes a function"),
            (lambda: two_nodes(synapse=nengo.Triangle(0.01)), "no Triangle synapse, which <Connection link> has"),
            (
                lambda: two_nodes(transform=nengo.dists.Uniform(0, 1)),
                "weights of <Connection link> are drawn from Uniform",
            ),
            (
                lambda: two_nodes(
                    transform=nengo.Convolution(2, (1, 2), kernel_size=(1,), strides=(1,), padding="same")
                ),
                "weights of <Connection link> are drawn from Uniform",
            ),
            (
                lambda: two_nodes(
                    transform=nengo.Convolution(
                        2, (2, 1), kernel_size=(1,), strides=(1,), init=np.ones((1, 2, 2)), channels_last=False
                    )
                ),
                "wants channels last: <Connection link>",
            ),
            (
                lambda: two_nodes(transform=nengo.ConvolutionTranspose(2, (1, 2), kernel_size=(1,), strides=(1,))),
                "no ConvolutionTranspose transform, which <Connection link> has",
            ),
            (
                lambda: population(nengo.AdaptiveLIF()),
                r"does not know AdaptiveLIF\(\): it simulates IntegrateAndFire, nengo.LIF",
            ),
            (lambda: population(nengo.PoissonSpiking(nengo.RectifiedLinear())), "does not know PoissonSpiking"),
            (lambda: population(nengo.Tanh()), "does not know Tanh"),
            (lambda: population(noise=nengo.processes.WhiteNoise()), "no noise, <Ensemble 'group'> has"),
            (lambda: population(gain=None), "<Ensemble 'group'> has gain=None: give arrays"),
            (lambda: population(bias=nengo.dists.Uniform(0, 1)), "<Ensemble 'group'> has bias=Uniform"),
            (
                lambda: population(PoissonInput(), probe="step"),
                "cannot probe 'step' of <Neurons of <Ensemble 'group'>>",
            ),
            (
                lambda: population(MaxGate(2, cumulative=False), probe="total"),
                "cannot probe 'total' .* can probe output, input$",
            ),
        ],
    )
    def test_objects(self, make_network, message):
        network = make_network()
        with pytest.raises(snc.ConversionError, match=message):
            Simulator(network)

    def test_loops(self):
        with nengo.Network() as network:
            nodes = [nengo.Node(size_in=1, label=str(number)) for number in range(3)]
            for one, other in zip(nodes, nodes[1:] + nodes[:1], strict=True):
                nengo.Connection(one, other)
            nengo.Probe(nodes[0])
        with pytest.raises(snc.ConversionError, match="<Node '[012]'> feeds back on itself.* use nengo_dl.Simulator"):
            Simulator(network)

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"minibatch_size": 0}, "minibatch_size must be"),
            ({"minibatch_size": 2.5}, "minibatch_size must be"),
            ({"threads": 0}, "threads must be"),
            ({"threads": -1}, "threads must be"),
            ({"dt": 0}, "dt must be above 0 and finite, got 0"),
            ({"dt": np.inf}, "dt must be above 0"),
            ({"dt": "fast"}, "dt must be above 0 and finite, got 'fast'"),
            ({"memory_mb": 0}, "memory_mb must be above 0"),
            ({"memory_mb": np.nan}, "memory_mb must be above 0"),
            ({"seed": -1}, "seed must be a whole number from 0 to"),
            ({"seed": 1.5}, "seed must be a whole number from 0 to"),
        ],
    )
    def test_arguments(self, options, message):
        with pytest.raises(snc.SettingsError, match=message):
            Simulator(two_nodes(), **options)

    def test_no_network(self):
        with pytest.raises(snc.SettingsError, match="expected a network, got Model"):
            Simulator(small_cnn())

    def test_data(self, rng):
        network = two_nodes()
        source, other = network.all_nodes
        bad = {
            "data must be a dict from nodes to arrays": np.zeros((2, 2)),
            "<Node 'two'> is no node without input of this network": {other: np.zeros((2, 2))},
            "<Node .* is no node without input of this network": {two_nodes().all_nodes[0]: np.zeros((2, 2))},
            "input is no node without input": {"input": np.zeros((2, 2))},
            r"<Node 'one'> must have shape \(2, 5, 2\), or \(2, 1, 2\) .*; got \(3, 2\)": {source: np.zeros((3, 2))},
            r"must have shape .* got \(2, 4, 2\)": {source: np.zeros((2, 4, 2))},
            r"must have shape .* got \(2, 5, 3\)": {source: np.zeros((2, 5, 3))},
            r"must have shape .* got \(2,\)": {source: np.zeros(2)},
            r"must have shape .* got \(2, 5\)": {source: np.zeros((2, 5))},
            "<Node 'one'> must be finite": {source: np.full((2, 2), np.nan)},
            "must be finite": {source: np.full((2, 2), 1e300)},
            "<Node 'one'> must be numbers": {source: [["a", "b"], ["c", "d"]]},
            "data of <Node 'one'> must be numbers": {source: [[1, 2], [3]]},
        }
        with Simulator(network, minibatch_size=2) as simulator:
            for message, data in bad.items():
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
        with (
            Simulator(two_nodes()) as simulator,
            pytest.raises(snc.SettingsError, match="time_in_seconds must be 0 or"),
        ):
            simulator.run(seconds)
