"""Networks that users build or extend themselves: the fast simulator agrees with nengo and nengo_dl."""

import nengo
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from models import branched
from simulators import (
    DT,
    FACTOR,
    FED_THROUGH,
    GRAPHS,
    LOWPASS,
    NEURONS,
    ROUNDING,
    SECOND_ORDER,
    assert_equal,
    dyadic,
    keras_like,
    neurons_of,
    probed,
    random_images,
    rounded,
    run_fast,
    run_nengo,
    run_nengo_dl,
    spiking_network,
)

import nengo_snnconv as snc
from nengo_snnconv.compat import tf
from nengo_snnconv.simulator import Simulator


def random_convolution(rng, size_in):
    """Return a random convolution over one or two axes with ``size_in`` inputs."""
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
    """Return a dense or sparse matrix; for equal sizes, possibly factors for single units, or one for all."""
    kinds = [lambda: dyadic(rng, size_out, size_in), lambda: random_sparse(rng, size_in, size_out)]
    if size_in == size_out:
        kinds += [lambda: dyadic(rng, size_in), lambda: float(dyadic(rng)), lambda: 1.0]
    return kinds[rng.integers(len(kinds))]()


def random_sparse(rng, size_in, size_out):
    entries = rng.permutation(size_in * size_out)[: int(rng.integers(1, size_in * size_out + 1))]
    indices = np.stack(np.divmod(entries, size_in), axis=1)
    return nengo.Sparse((size_out, size_in), indices=indices, init=dyadic(rng, len(entries)))


def random_view(rng, obj, size):
    """Return an object, a slice of it, or some of its entries in any order."""
    first, n_chosen = rng.integers(0, size), rng.integers(1, size + 1)
    views = [slice(None), slice(int(first), None, int(rng.integers(1, 3))), rng.permutation(size)[:n_chosen].tolist()]
    return obj[views[rng.integers(3)]]


def random_synapse(rng):
    synapses = [None, None, None, LOWPASS, SECOND_ORDER, FED_THROUGH, FACTOR]
    return synapses[rng.integers(len(synapses))]


def random_object(rng, size):
    """Return a node, or neurons with the same or with different gains and biases."""
    neuron_type = NEURONS[rng.integers(len(NEURONS))]
    if rng.random() < 0.3 or size % getattr(neuron_type, "window", 1):
        return nengo.Node(size_in=size)
    own = rng.random() < 0.5
    return neurons_of(neuron_type, size, 1 + dyadic(rng, size) / 2 if own else 1, dyadic(rng, size) if own else 0)


def random_network(rng, n_objects):
    """Return a network of random objects and connections in which all sums are exact, and its input node."""
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


class TestNengoNetworks:
    """Networks without any object of this package."""

    @given(st.integers(0, 2**32 - 1), st.integers(1, 6), st.booleans(), st.integers(1, 8))
    @settings(GRAPHS, max_examples=60)
    def test_random_networks(self, seed, n_objects, moving, n_steps):
        rng = np.random.default_rng(seed)
        network, source = random_network(rng, n_objects)
        data = {source: dyadic(rng, 2, n_steps if moving else 1, source.size_out)}
        assert_equal(run_fast(network, n_steps, data, dt=DT), run_nengo(network, n_steps, data, dt=DT))

    def test_convolutions_in_three_dimensions(self, rng):
        """Compare with nengo_dl, because nengo has no convolutions in three dimensions."""
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
    def test_readers_of_means(self, shape, before, around, rng):
        """Means of spikes are read unchanged, reshaped or in part, and fill a node wholly or in part."""
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

    def test_repeated_indices(self):
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
        assert_equal(seen, run_nengo(network, 40), rtol=40 * ROUNDING)  # rounding of 40 steps
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


class TestExtendedNetworks:
    """Networks of this package to which objects are added."""

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

    def test_added_to_native_networks(self, rng):
        model = rounded(branched())
        network = spiking_network(model)
        added = self.add(network)
        data = {network.input: random_images(model, rng)}
        seen = run_fast(network, 7, data)
        # everything except the filtered scores is exact
        assert_equal(seen, run_nengo(network, 7, data), rtol=ROUNDING)
        assert all(seen[probe].any() for probe in added)

    def test_added_to_trainable_networks(self, rng):
        model = keras_like()
        neuron_type = snc.IntegrateAndFire(max_spikes=2)
        network = snc.build_trainable(model, neuron_type, output_neurons=True)
        added = self.add(network)
        with network:
            nengo.Connection(nengo.Node(dyadic(rng, 144)), network.layers["dropped"], synapse=None)
            nengo.Probe(network.layers["dropped"])
            nengo.Probe(network.layers["a_neurons"])
        data = {network.input: random_images(model, rng)}
        seen = run_fast(network, 7, data)
        assert_equal(seen, run_nengo_dl(network, 7, data), rtol=ROUNDING)
        assert all(seen[probe].any() for probe in added)

    def test_inside_another_network(self, rng):
        model = rounded(branched())
        with nengo.Network() as network:
            inner = probed(spiking_network(model))
            source = nengo.Node(np.zeros(model.size(model.input)))
            nengo.Connection(source, inner.layers["a"], transform=np.ones((256, 128)) / 64, synapse=None)
        data = {source: random_images(model, rng), inner.input: random_images(model, rng)}
        assert_equal(run_fast(network, 4, data), run_nengo(network, 4, data), rtol=ROUNDING)

    def test_trainable_networks_inside_another_network(self, rng):
        tf.keras.utils.set_random_seed(0)  # with some weights, no neuron spikes
        layers = tf.keras.layers
        keras = tf.keras.Sequential([layers.Input((6, 6, 1)), layers.Rescaling(0.5, 0.25), layers.Conv2D(2, 3)])
        keras.add(layers.ReLU())
        keras.add(layers.Flatten())
        keras.add(layers.Dense(3))
        with nengo.Network(seed=1) as network:
            inner = snc.build_trainable(keras, snc.IntegrateAndFire())
            camera = nengo.Node(np.zeros(36))
            nengo.Connection(camera, inner.input, synapse=None)
        data = {camera: 9 * rng.random((2, 36), dtype=np.float32)}
        seen = run_fast(network, 5, data)
        assert_equal(seen, run_nengo_dl(network, 5, data), rtol=1e-5)
        assert seen[inner.probes["output"]].any()
