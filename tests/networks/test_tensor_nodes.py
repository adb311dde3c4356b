"""rebuild(tensor_nodes=False): trainable networks of Nengo's own objects, for nengo.Simulator, with the same spikes."""

import nengo
import numpy as np
import pytest
from keras_graphs import random_model

import nengo_snnconv as snc
from nengo_snnconv.compat import nengo_dl, tf
from nengo_snnconv.networks.storage import settings_to_json

LIF = nengo.LIF(amplitude=0.0025, min_voltage=-5)
TYPES = {
    "LIF": LIF,
    "by layer": {"conv": nengo.SpikingRectifiedLinear(amplitude=0.01), "*": LIF},
    "through time": snc.SurrogateLIF(threshold=0.1),
}
N_STEPS = 12


def keras_model():
    """Return a model with statistics of batches, maxima and dropout."""
    layers, initializers = tf.keras.layers, tf.keras.initializers
    kernels = [{"kernel_initializer": initializers.GlorotUniform(seed=seed)} for seed in range(3)]
    return tf.keras.Sequential(
        [
            layers.Conv2D(4, 3, activation="relu", input_shape=(8, 8, 2), name="conv", **kernels[0]),
            layers.BatchNormalization(
                moving_mean_initializer=initializers.RandomUniform(-0.2, 0.2, seed=3),
                moving_variance_initializer=initializers.RandomUniform(0.5, 2, seed=4),
            ),
            layers.Conv2D(4, 3, activation="relu", padding="same", **kernels[1]),
            layers.MaxPooling2D(),
            layers.Dropout(0.2),
            layers.Flatten(),
            layers.Dense(3, **kernels[2]),
        ]
    )


@pytest.fixture(scope="module")
def x():
    return np.random.default_rng(0).uniform(0, 3, (4, 8, 8, 2)).astype(np.float32)


@pytest.fixture(params=TYPES, scope="module")
def network(request):
    synapse = None if request.param == "through time" else 0.002
    return snc.build_trainable(keras_model(), TYPES[request.param], synapse=synapse)


@pytest.mark.parametrize("backend", ["fast", "nengo_dl", "tensorflow"])
def test_same_spikes_and_scores(network, backend, x):
    plain = network.rebuild(tensor_nodes=False)
    assert not any(isinstance(node, nengo_dl.TensorNode) for node in plain.all_nodes)
    one, other = (
        snc.evaluate(each, x, np.zeros(4, int), n_steps=N_STEPS, backend=backend) for each in (network, plain)
    )
    assert one.spikes_per_neuron > 0.5
    assert one.spikes_per_neuron == other.spikes_per_neuron
    assert np.allclose(one.scores, other.scores, rtol=1e-5, atol=1e-5)


def test_the_reference_runs_it(network, x):
    """nengo.Simulator computes in double precision, so that single spikes may differ."""
    found, expected = (
        snc.evaluate(network, x, np.zeros(4, int), n_steps=N_STEPS, backend=backend)
        for backend in ("nengo", "nengo_dl")
    )
    assert found.backend == "nengo"
    assert np.isclose(found.spikes_per_neuron, expected.spikes_per_neuron, rtol=0.01)


def test_in_a_larger_network_with_a_reset(network, x):
    """On nengo.Simulator, each image has the scores that it has alone."""
    with nengo.Network() as larger:
        plain = network.rebuild(tensor_nodes=False)
        total_steps = snc.present(plain, x, n_steps=N_STEPS)
        scores = nengo.Probe(plain.output)
    with nengo.Simulator(larger, progress_bar=False) as simulator:
        simulator.run_steps(total_steps, progress_bar=False)
    found = simulator.data[scores].reshape(len(x), N_STEPS, -1)
    with nengo_dl.Simulator(network, minibatch_size=len(x), progress_bar=False) as simulator:
        frames = np.repeat(x.reshape(len(x), 1, -1), N_STEPS, axis=1)
        simulator.run_steps(N_STEPS, data={network.input: frames})
        expected = simulator.data[network.probes["output"]]
    assert np.abs(expected).max() > 0
    assert np.allclose(found, expected, rtol=1e-4, atol=1e-4)


def test_rates(network, x):
    plain = network.rebuild(tensor_nodes=False)
    if not network.settings.has_rates:
        pytest.skip("networks that are trained through time have no rates")
    assert np.array_equal(snc.rate_model(network).predict(x, verbose=0), snc.rate_model(plain).predict(x, verbose=0))


def test_report_and_file(network, tmp_path):
    plain = network.rebuild(tensor_nodes=False)
    assert "TensorNode" in network.report()
    assert "TensorNode" not in plain.report()
    assert "MaxGate" in plain.report()
    snc.save(plain, tmp_path / "plain.npz")
    loaded = snc.load(tmp_path / "plain.npz")
    assert loaded.settings == plain.settings
    assert not loaded.settings.tensor_nodes
    assert loaded.rebuild(tensor_nodes=True).settings == network.settings
    assert "tensor_nodes" not in settings_to_json(network.settings)  # earlier versions read this file


@pytest.mark.parametrize("engine", ["keras", "nengo_dl"])
def test_it_is_trained_in_its_other_form(engine, x):
    plain = snc.build_trainable(keras_model(), LIF, tensor_nodes=False)
    options = {"epochs": 2, "batch_size": 2, "engine": engine, "learning_rate": 0.01}
    trained = snc.train(plain, x, np.arange(4) % 3, **options)
    assert not trained.settings.tensor_nodes
    expected = snc.train(plain.rebuild(tensor_nodes=True), x, np.arange(4) % 3, **options)
    for name, array in expected.model.arrays.items():
        assert np.array_equal(trained.model.arrays[name], array), name
        assert "conv" not in name or not np.array_equal(plain.model.arrays[name], array), name


def test_nengo_cannot_run_the_other_form():
    with nengo.Network() as larger:
        snc.build_trainable(keras_model(), LIF)
    with pytest.raises(snc.ConversionError, match=r"network\.rebuild\(tensor_nodes=False\)"):
        nengo.Simulator(larger, progress_bar=False)


def test_nothing_to_collect():
    plain = snc.build_trainable(keras_model(), LIF, tensor_nodes=False)
    with pytest.raises(snc.ConversionError, match="with TensorNodes"):
        snc.collect_trained(plain)


def test_without_a_seed():
    plain = snc.build_trainable(keras_model(), LIF, tensor_nodes=False, seed=None)
    assert [ensemble.seed for ensemble in plain.all_ensembles if isinstance(ensemble.neuron_type, nengo.LIF)] == [
        None
    ] * 2


def test_seeds_of_the_user():
    plain = snc.build_trainable(keras_model(), LIF, tensor_nodes=False, neuron_seeds=(5, 6))
    seeds = [ensemble.seed for ensemble in plain.all_ensembles if isinstance(ensemble.neuron_type, nengo.LIF)]
    assert seeds == [5, 6]


@pytest.mark.parametrize("seed", range(3))
def test_random_graphs(seed):
    """Branches, joins, poolings and paddings in any order."""
    network = snc.build_trainable(random_model(seed), LIF)
    x = np.random.default_rng(seed).uniform(-1, 2, (3, *network.model.shapes[network.model.input])).astype(np.float32)
    one, other = (snc.evaluate(each, x, n_steps=N_STEPS) for each in (network, network.rebuild(tensor_nodes=False)))
    assert one.spikes_per_neuron > 0.1
    assert one.spikes_per_neuron == other.spikes_per_neuron
    assert np.allclose(one.scores, other.scores, rtol=1e-4, atol=1e-4)
