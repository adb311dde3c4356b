"""from_nengo: networks of the user's own objects have the same outputs as ConvNetworks, and on the fast simulator."""

import gc

import nengo
import numpy as np
import pytest

import nengo_snnconv as snc
from nengo_snnconv.compat import nengo_dl, tf

N_STEPS = 12


def images(n, *shape):
    return np.random.default_rng(0).random((n, *shape)).astype(np.float32)


def run_reference(network, source, probe, image):
    """Return the samples of a probe in Nengo's own simulator, (steps, size)."""
    source.output = image.ravel()
    with nengo.Simulator(network, progress_bar=False) as simulator:
        simulator.run_steps(N_STEPS)
    return simulator.data[probe]


def run(network, source, probe, x):
    """Return the samples of a probe in the fast simulator, (items, steps, size)."""
    with snc.Simulator(network, minibatch_size=len(x), progress_bar=False) as simulator:
        simulator.run_steps(N_STEPS, data={source: x})
    return simulator.data[probe]


def check_same(network, source, probe, image, *, fast=True):
    """Check that from_nengo and the fast simulator give the output of Nengo's simulator; return the new network."""
    reference = run_reference(network, source, probe, image)
    made = snc.from_nengo(network, source, probe)
    assert np.ptp(reference) > 0.01
    for each in [(made, made.input, made.probes["output"]), *([(network, source, probe)] if fast else [])]:
        np.testing.assert_allclose(run(*each, image[None])[0], reference, rtol=1e-4, atol=1e-4)
    return made


# ---- the network of NengoDL's tutorial "Optimizing a spiking neural network"


def tutorial_network():
    """Return the network, its input and its probes, with few filters on small images."""
    with nengo.Network(seed=3) as network:
        network.config[nengo.Ensemble].max_rates = nengo.dists.Choice([100])
        network.config[nengo.Ensemble].intercepts = nengo.dists.Choice([0])
        network.config[nengo.Connection].synapse = None
        neuron_type = nengo.LIF(amplitude=0.01)
        nengo_dl.configure_settings(stateful=False)
        inp = nengo.Node(np.zeros(8 * 8))
        x = nengo_dl.Layer(tf.keras.layers.Conv2D(filters=3, kernel_size=3))(inp, shape_in=(8, 8, 1))
        x = nengo_dl.Layer(neuron_type)(x)
        x = nengo_dl.Layer(tf.keras.layers.Conv2D(filters=4, strides=2, kernel_size=3))(x, shape_in=(6, 6, 3))
        x = nengo_dl.Layer(neuron_type)(x)
        out = nengo_dl.Layer(tf.keras.layers.Dense(units=5))(x)
        probes = nengo.Probe(out, label="out_p"), nengo.Probe(out, synapse=0.1, label="out_p_filt")
    return network, inp, *probes


def test_trained_tutorial_network():
    network, inp, probe, filtered = tutorial_network()
    x = 4 * images(6, 8, 8, 1)
    flat = x.reshape(6, 1, -1)
    with nengo_dl.Simulator(network, minibatch_size=6, progress_bar=False) as simulator:
        for i, weights in enumerate(simulator.keras_model.trainable_weights):  # as training changes them
            weights.assign_add(np.random.default_rng(i).normal(0, 0.1, weights.shape))
        with pytest.raises(snc.SnnConvError, match="runs another network"):
            snc.from_nengo(*tutorial_network()[:3], simulator=simulator)
        reference = simulator.predict(np.tile(flat, (1, N_STEPS, 1)), verbose=0)
        made = snc.from_nengo(network, inp, filtered, simulator=simulator)
        assert not made.settings.stateful  # as configured
        with pytest.warns(snc.SnnConvWarning, match="does not have the weights of its .* pass simulator=sim"):
            untrained = snc.from_nengo(network, inp, filtered)
        with pytest.warns(snc.SnnConvWarning, match=r"does not have the weights .* freeze_params\(network\) first"):
            snc.Simulator(network)
        simulator.freeze_params(network)
    with pytest.raises(snc.SettingsError, match=r"simulator is closed .* load_params\(file\)"):
        snc.from_nengo(network, inp, filtered, simulator=simulator)
    frozen = snc.from_nengo(network, inp, filtered)

    assert made.model.shapes[made.model.input] == (8, 8, 1)
    assert set(made.model.arrays) != set(untrained.model.arrays)  # NengoDL trains a bias for each neuron
    for name, array in made.model.arrays.items():
        np.testing.assert_array_equal(array, frozen.model.arrays[name])
    assert made.settings.neuron_type == nengo.LIF(amplitude=0.01)
    assert made.settings.output_synapse == nengo.Lowpass(0.1)
    for ours, theirs in (("output", probe), ("output_filtered", filtered)):
        assert np.ptp(reference[theirs]) > 0.1
        found = run(made, made.input, made.probes[ours], x)
        np.testing.assert_allclose(found, reference[theirs], rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(run(network, inp, theirs, x), reference[theirs], rtol=1e-4, atol=1e-4)
    assert "TensorNode (Conv2D)" in made.report()

    evaluation = snc.evaluate(made, x, np.arange(6) % 5, n_steps=N_STEPS, progress=False)
    assert evaluation.predictions.shape == (6,)
    assert evaluation.spikes_per_neuron > 0


@pytest.mark.parametrize(
    "function",
    [
        *(snc.evaluate, snc.diagnose, snc.normalize, snc.train, snc.tune),
        lambda network, x: snc.calibrate(network, x, n_steps=2),
        lambda network, x: snc.convert(network),
        lambda network, x: snc.build_trainable(network),
        lambda network, x: snc.to_spiking(network),
        lambda network, x: snc.to_loihi(network),
        lambda network, x: snc.save(network, "network.npz"),
        lambda network, x: snc.error_bounds(network, n_steps=2),
    ],
)
def test_functions_name_from_nengo(function):
    with pytest.raises(snc.SnnConvError, match=r"read it with snc.from_nengo\(network, input, output\)"):
        function(nengo.Network(), images(2, 8, 8, 1))


def test_tensors_in_place_of_objects_of_the_converter():
    model = keras_model()
    network, source, probe = converted(model)
    for arguments in ((model.input, probe), (source, model.output)):
        with pytest.raises(snc.SettingsError, match=r"use converter.inputs\[image\], converter.outputs\[dense\]"):
            snc.from_nengo(network, *arguments)


# ---- networks of nengo_dl.Converter


@pytest.mark.parametrize("take", [snc.convert, snc.build_trainable, lambda c: snc.from_nengo(c, None, None)])
def test_a_converter_in_place_of_its_network(take):
    image = tf.keras.Input((4,))
    scores = tf.keras.layers.Dense(3)(tf.keras.layers.Dense(4, activation="relu")(image))
    converter = nengo_dl.Converter(tf.keras.Model(image, scores))
    with pytest.raises(snc.SnnConvError, match=r"got a nengo_dl\.Converter: read its network with ") as error:
        take(converter)
    way_out = str(error.value).partition(" with ")[2]
    network = eval(way_out, {"snc": snc, "converter": converter})
    assert network.model.size(network.model.output) == 3


def keras_model(*, end=lambda x: x):
    """Return a model with the layers that the Converter turns into Nengo's objects."""
    layers = tf.keras.layers
    options = {"bias_initializer": tf.keras.initializers.RandomNormal(seed=1)}
    inp = layers.Input((6, 6, 2))
    x = layers.Conv2D(4, 3, padding="same", activation="relu", **options)(inp)
    x = layers.AveragePooling2D()(layers.BatchNormalization()(x))
    y = layers.Conv2D(4, 3, padding="same", groups=2, use_bias=False, activation="relu")(x)
    x = layers.Concatenate()([layers.Add()([x, y]), y])
    x = layers.Dense(6, activation="relu", **options)(layers.Flatten()(x))
    return tf.keras.Model(inp, end(layers.Dense(3, **options)(x)))


def converted(model, **options):
    """Return the network of the Converter, its input and its output probe."""
    converter = nengo_dl.Converter(model, inference_only=True, **options)
    converter.net.seed = 5
    return converter.net, converter.inputs[model.input], converter.outputs[model.output]


def test_synapse_that_the_converter_leaves_out():
    """NengoDL's Converter filters neither the input nor the output of a layer that it keeps in Keras."""
    layers = tf.keras.layers
    inp = layers.Input((6, 6, 2))
    x = layers.Dropout(0.5)(layers.Conv2D(4, 3, activation="relu")(inp))
    model = tf.keras.Model(inp, layers.Dense(3)(layers.Flatten()(layers.Conv2D(4, 3, activation="relu")(x))))
    swap = {tf.keras.activations.relu: nengo.SpikingRectifiedLinear()}
    with pytest.warns(UserWarning, match="Falling back to TensorNode"):
        network, *ends = converted(model, swap_activations=swap, synapse=0.005)
    with pytest.raises(snc.ConversionError, match=r"connection\.synapse = 0\.005 .*Converter.*dropout"):
        snc.from_nengo(network, *ends)
    for connection in network.all_connections:
        if isinstance(connection.pre_obj, nengo.ensemble.Neurons):
            connection.synapse = 0.005
    assert snc.from_nengo(network, *ends).settings.synapse == nengo.Lowpass(0.005)


def test_weights_that_stayed_in_a_simulator():
    inp = tf.keras.Input((4, 4, 1))
    x = tf.keras.layers.Flatten()(tf.keras.layers.Conv2D(2, 3, activation="relu")(inp))
    model = tf.keras.Model(inp, tf.keras.layers.Dense(3)(x))
    converter = nengo_dl.Converter(model)
    network, source, probe = converter.net, converter.inputs[inp], converter.outputs[model.output]

    def train(simulator):
        for weights in simulator.keras_model.trainable_weights:
            weights.assign_add(np.ones(weights.shape))

    with nengo_dl.Simulator(network, progress_bar=False) as simulator:
        snc.from_nengo(network, source, probe)  # nothing was trained yet
        train(simulator)
        with pytest.warns(snc.SnnConvWarning, match="does not have the weights of its nengo_dl.Simulator"):
            snc.from_nengo(network, source, probe)
        trained = snc.from_nengo(network, source, probe, simulator=simulator)
    with pytest.warns(snc.SnnConvWarning, match="which is closed now"):
        lost = snc.from_nengo(network, source, probe)
    with nengo_dl.Simulator(network, progress_bar=False) as simulator:
        train(simulator)
        simulator.freeze_params(network)
        snc.Simulator(network)
    frozen = snc.from_nengo(network, source, probe)
    for name, array in trained.model.arrays.items():
        np.testing.assert_allclose(array, frozen.model.arrays[name], rtol=1e-6)
        assert not np.array_equal(array, lost.model.arrays.get(name))  # biases of 0 are left out


def test_keras_layers_of_a_simulator_that_is_gone():
    network, inp, _, filtered = tutorial_network()
    nengo_dl.Simulator(network, progress_bar=False).close()
    gc.collect()
    with pytest.warns(snc.SnnConvWarning, match="the biases of 2 ensembles"):
        snc.from_nengo(network, inp, filtered)
    network, inp, _, filtered = tutorial_network()
    with network:
        nengo_dl.configure_settings(trainable=False)
    with nengo_dl.Simulator(network, progress_bar=False) as simulator:
        pass
    assert simulator.closed
    snc.from_nengo(network, inp, filtered)  # nothing to lose


def test_network_of_rates_from_the_converter():
    model = keras_model()
    network = snc.from_nengo(*converted(model))
    x = images(3, 6, 6, 2)
    np.testing.assert_allclose(snc.rate_model(network)(x), model(x), rtol=1e-4, atol=1e-5)
    assert any(type(layer).__name__ == "AveragePool" for layer in network.model.layers.values())
    spiking = snc.to_spiking(snc.normalize(snc.convert(network), x))
    assert snc.evaluate(spiking, x, np.arange(3), n_steps=4, progress=False).spikes_per_neuron > 0


@pytest.mark.parametrize(
    ("neuron_type", "options"),
    [
        (nengo.SpikingRectifiedLinear(), {"scale_firing_rates": 500, "synapse": 0.002}),
        (nengo.SpikingRectifiedLinear(), {}),
        (nengo.LIF(amplitude=0.02), {"scale_firing_rates": 50, "synapse": nengo.Alpha(0.003)}),
    ],
)
def test_spiking_network_from_the_converter(neuron_type, options):
    network, source, probe = converted(
        keras_model(), swap_activations={tf.keras.activations.relu: neuron_type}, **options
    )
    with np.errstate(all="ignore"):
        made = check_same(network, source, probe, 60 * images(6, 6, 2))
    assert type(made.settings.neuron_type) is type(neuron_type)


# ---- networks of Nengo's own objects


def own_network(*types, synapse=None, channels_last=True, **options):
    """Return a network of two layers of neurons, with gains and biases that Nengo draws, its input and its probe."""
    rng = np.random.default_rng(1)
    first, second = (types * 2)[:2]
    with nengo.Network(seed=9) as network:
        source = nengo.Node(np.zeros(2 * 5 * 5), label="image")
        shape, kernel = (5, 5, 2) if channels_last else (2, 5, 5), rng.normal(0, 1, (3, 3, 2, 3))
        convolution = nengo.Convolution(3, shape, channels_last=channels_last, init=kernel)
        a = nengo.Ensemble(27, 1, neuron_type=first, label="first", **options).neurons
        nengo.Connection(source, a, transform=convolution, synapse=None)
        b = nengo.Ensemble(6, 1, neuron_type=second, **options).neurons
        nengo.Connection(a, b, transform=rng.normal(0, 0.02, (6, 27)), synapse=synapse)
        nengo.Connection(nengo.Node([1]), b, transform=rng.normal(0, 0.1, (6, 1)), synapse=None)
        end = nengo.Node(size_in=6)
        indices = [(i, (i + 1) % 6) for i in range(6)]
        sparse = nengo.Sparse((6, 6), indices=indices, init=[1.0, 2, 3, 4, 5, 6])
        nengo.Connection(b, end, transform=sparse, synapse=synapse)
        nengo.Connection(b, end, transform=0.5, synapse=synapse)
        probe = nengo.Probe(end)
    return network, source, probe


@pytest.mark.parametrize(
    ("types", "options"),
    [
        ([nengo.LIF()], {"channels_last": False}),
        ([nengo.LIF(amplitude=0.01), nengo.LIF(tau_rc=0.05, min_voltage=-2, amplitude=0.02)], {"synapse": 0.003}),
        (
            [nengo.LIF(amplitude=0.01), nengo.SpikingRectifiedLinear(amplitude=0.005)],
            {"gain": nengo.dists.Choice([200]), "bias": nengo.dists.Uniform(-1, 1)},
        ),
        ([nengo.RectifiedLinear()], {"max_rates": nengo.dists.Choice([2]), "intercepts": nengo.dists.Choice([-0.1])}),
    ],
)
def test_networks_of_nengo_objects(types, options, tmp_path):
    network, source, probe = own_network(*types, **options)
    made = check_same(network, source, probe, images(5, 5, 2), fast=options.get("channels_last", True))
    assert [made.settings.of_layer(made.model, name).neuron_type for name in made.model.neurons] == (types * 2)[:2]
    snc.save(made, tmp_path / "own.npz")
    loaded = snc.load(tmp_path / "own.npz")
    assert loaded.settings == made.settings
    assert list(loaded.layers) == list(made.layers)


# ---- objects that cannot be read


def small_network(change=lambda **objects: None, layer=None, **options):
    """Return a network of an input, a Keras layer, neurons and an output, which a function can change; input, output.

    ``options`` are those of the connection from the neurons.
    """
    with nengo.Network(seed=0) as network:
        source = nengo.Node(np.zeros(4), label="image")
        dense = nengo_dl.Layer(layer or tf.keras.layers.Dense(4, name="dense"))(source)
        neurons = nengo_dl.Layer(nengo.LIF(amplitude=0.01))(dense)
        end = nengo.Node(size_in=4, label="end")
        nengo.Connection(neurons, end, **{"synapse": None, **options})
        output = change(source=source, dense=dense, neurons=neurons, end=end) or end
    return network, source, output


def decodes(neurons, end, **_):
    nengo.Connection(nengo.Ensemble(9, 4, label="decoded"), end)


def loops(neurons, **_):
    nengo.Connection(neurons, neurons)


def filtered_input(source, end, **_):
    nengo.Connection(source, end, synapse=0.005)


def other_synapse(source, neurons, end, **_):
    nengo.Connection(neurons, end, synapse=0.01)


def part(source, end, **_):
    nengo.Connection(source[:2], end[:2], synapse=None)


def parts_apart(source, end, **_):
    nengo.Connection(source, end[[3, 1, 2, 0]], transform=np.eye(4), synapse=None)
    nengo.Connection(source, end[:2], transform=np.ones((2, 4)), synapse=None)


def random_weights(source, end, **_):
    nengo.Connection(source, end, transform=nengo.Dense((4, 4), init=nengo.dists.Uniform(0, 1)), synapse=None)


def function_of_time(end, **_):
    nengo.Connection(nengo.Node(lambda t: [t] * 4), end, synapse=None)


def squares(source, end, **_):
    nengo.Connection(source, end, function=np.square, synapse=None)


def noisy(neurons, **_):
    neurons.ensemble.noise = nengo.processes.WhiteNoise()


def softmax_inside(end, **_):
    scores = nengo_dl.Layer(tf.keras.layers.Softmax(name="softmax"))(end)
    return nengo_dl.Layer(tf.keras.layers.Dense(2, name="last"))(scores)


def unconnected(**_):
    return nengo.Node(size_in=2, label="alone")


class Own(tf.keras.layers.Layer):
    def call(self, inputs):
        return inputs**2


@pytest.mark.parametrize(
    ("arguments", "reasons"),
    [
        ({"change": decodes}, ["decodes the ensemble decoded", ".neurons"]),
        ({"change": loops}, ["has a loop"]),
        ({"change": filtered_input}, ["'image'", "Lowpass(tau=0.005)", "set its synapse to None"]),
        ({"change": other_synapse}, ["different synapses, None and Lowpass(tau=0.01)"]),
        ({"change": part}, ["reads a part of <Node 'image'>"]),
        ({"change": parts_apart}, ["end in parts of <Node 'end'>"]),
        ({"change": random_weights}, ["drawn from Uniform", "simulator=..."]),
        ({"change": function_of_time}, ["only Keras layers in TensorNodes, neurons, constants"]),
        ({"change": noisy}, ["has noise"]),
        ({"change": softmax_inside}, ["'softmax'", "ends in a softmax"]),
        ({"change": unconnected}, ["no path leads from the input <Node 'image'> to the output <Node 'alone'>"]),
        ({"change": squares}, ["computes a function"]),
        ({"layer": lambda x: x + 1}, ["computes the function <lambda>", "use a Keras layer"]),
        ({"layer": tf.nn.relu}, ["computes the function relu", "leave it out behind neurons", "Layer(neuron_type)"]),
        ({"layer": Own(name="own")}, ["'own'", "class"]),
        ({"layer": tf.keras.layers.Dense(4, activation="relu", name="dense")}, ["all layers must spike or none"]),
        ({"layer": tf.keras.layers.Dense(4, activation="tanh", name="dense")}, ["'dense'", "tanh"]),
    ],
)
def test_objects_that_cannot_be_read(arguments, reasons):
    with pytest.raises(snc.ConversionError) as caught:
        snc.from_nengo(*small_network(**arguments))
    for reason in reasons:
        assert reason in str(caught.value)


def test_relu_of_keras_is_a_layer_of_rates():
    with nengo.Network() as network:
        source = nengo.Node(np.zeros(4))
        hidden = nengo_dl.Layer(tf.keras.layers.Dense(5, activation="relu", name="hidden"))(source)
        output = nengo_dl.Layer(tf.keras.layers.Dense(3, activation="softmax", name="scores"))(hidden)
    made = snc.from_nengo(network, source, output)
    assert made.settings.neuron_type == nengo.RectifiedLinear()
    assert "softmax is left out" in made.report()
    hidden.tensor_func.build((None, 4))
    output.tensor_func.build((None, 5))
    made = snc.from_nengo(network, source, output)
    x = images(3, 4)
    np.testing.assert_allclose(
        tf.nn.softmax(snc.rate_model(made)(x)), output.tensor_func(hidden.tensor_func(x)), rtol=1e-5
    )


@pytest.mark.parametrize(
    ("arguments", "argument"),
    [
        (lambda net, source, end: (snc.convert(tf.keras.Sequential([tf.keras.Input((4,))])), source, end), "network"),
        (lambda net, source, end: (net, end, source), "input"),
        (lambda net, source, end: (net, source, source), "output"),
        (lambda net, source, end: (net, source, net.all_ensembles[0]), "output"),
        (lambda net, source, end: (net, source, small_network()[2]), "output"),
    ],
)
def test_invalid_objects(arguments, argument):
    with pytest.raises(snc.SettingsError) as caught:
        snc.from_nengo(*arguments(*small_network()))
    assert caught.value.argument == argument
