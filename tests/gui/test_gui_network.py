"""Networks for Nengo GUI: images chosen by sliders, and the reset for each image."""

import re

import nengo
import numpy as np
import pytest
from models import branched, make, small_cnn, spiking

import nengo_snnconv as snc
from nengo_snnconv.gui.layout import layout
from nengo_snnconv.model import layers as specs

N_STEPS = 12


def quadrants():
    """Return a network whose classes are the quadrants of an image, and three images of each class but the third."""
    model = make(
        specs.Input("image", shape=(4, 4, 1)),
        specs.Conv("mean", "image", filters=1, kernel_size=(2, 2), strides=2),
        specs.Rectifier("neurons", "mean"),
        specs.Flatten("flat", "neurons"),
        specs.Dense("scores", "flat", units=4),
    )
    zeros = {name: np.zeros_like(array) for name, array in model.arrays.items()}
    arrays = {**zeros, "mean/kernel": np.full((2, 2, 1, 1), 0.25), "scores/kernel": np.eye(4)}
    x, y = np.full((9, 4, 4, 1), 0.1, np.float32), np.array([3, 1, 0] * 3)
    for image, label, brightness in zip(x, y, np.repeat([1, 0.8, 0.6], 3), strict=True):
        row, column = divmod(2 * label, 4)
        image[2 * (row // 2 or label // 2) :, column:][:2, :2] = brightness
    return spiking(model.replace(arrays=arrays)), x, y


def scheduled(values):
    """Return the output of a slider's node that has each value for N_STEPS."""
    return lambda t: values[min(round((t - 0.001) * 1000) // N_STEPS, len(values) - 1)]


def simulate(model, classes, examples, **probed):
    """Return the outputs of nodes and neurons, (choices, steps, size), for a sequence of slider values."""
    model.choose_class.output, model.choose_example.output = scheduled(classes), scheduled(examples)
    with model:
        probes = {name: nengo.Probe(target) for name, target in probed.items()}
    with nengo.Simulator(model, progress_bar=False) as simulator:
        simulator.run_steps(N_STEPS * len(classes), progress_bar=False)
        return {name: simulator.data[probe].reshape(len(classes), N_STEPS, -1) for name, probe in probes.items()}


def test_recognised_class_follows_the_slider():
    model = snc.GuiNetwork(*quadrants())
    found = simulate(model, [3, 0, 1, 3], [0, 2, 1, 1], recognised=model.recognised, shown=model.shown)
    assert found["recognised"][:, -1, 0].tolist() == [3, 0, 1, 3]
    assert (found["shown"] == found["shown"][:, :1]).all()
    assert found["shown"][:, 0, 0].tolist() == [6, 2, 4, 7]  # of three images of classes 0, 1 and 3


def test_one_output_tells_two_classes_apart():
    """Class 0 has the score 0, and class 1 that of the output; one-hot rows are classes."""
    model = make(
        specs.Input("image", shape=(2, 2, 1)),
        specs.Rectifier("neurons", "image"),
        specs.Flatten("flat", "neurons"),
        specs.Dense("scores", "flat", units=1),
    )
    arrays = {"scores/kernel": np.full((4, 1), 1.0), "scores/bias": np.full(1, -2.0)}
    x = np.stack([np.full((2, 2, 1), 0.25), np.full((2, 2, 1), 0.75)]).astype(np.float32)
    network = spiking(model.replace(arrays=arrays))
    shown = snc.GuiNetwork(network, x, [0, 1], ["dark", "bright"])
    found = simulate(shown, [0, 1], [0, 0], recognised=shown.recognised, scores=shown.scores)
    assert found["recognised"][:, -1, 0].tolist() == [0, 1]
    assert (found["scores"][..., 0] == 0).all()
    assert np.allclose(found["scores"][:, -1, 1], [-1, 1], atol=4 * 0.5 / N_STEPS)  # half a spike of each neuron
    with pytest.raises(snc.SettingsError, match="one output tells the classes 0 and 1 apart"):
        snc.GuiNetwork(network, x, [0, 2])
    four, images, classes = quadrants()
    assert snc.GuiNetwork(four, images, np.eye(4)[classes]).slider_ranges == snc.GuiNetwork(*quadrants()).slider_ranges


def test_slider_values_without_an_image():
    _, x, y = quadrants()
    model = snc.GuiNetwork(*quadrants(), examples=2)
    classes, examples = [-5, 0.4, 1.9, 2.1, 99], [0.6, -1, 9, 0.4, 1]
    found = simulate(model, classes, examples, image=model.image)["image"]
    assert model.slider_ranges == ((0, 3), (0, 1))
    for shown, (label, example) in zip(found, [(0, 1), (0, 0), (1, 1), (3, 0), (3, 1)], strict=True):
        assert np.array_equal(shown[-1], x[y == label][example].ravel())


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"input_coding": "poisson", "readout": "spikes", "seed": 5},
        {"neuron_type": nengo.LIF(min_voltage=-5), "synapse": 0.003},
        {"neuron_type": snc.IntegrateAndFire(initial_state={"voltage": nengo.dists.Uniform(0, 1)})},
    ],
    ids=str,
)
def test_state_is_reset_for_each_image(options, rng):
    """Spikes and scores after a change are those of a new simulation; branched() has maxima, which sum up spikes."""
    network = spiking(branched(), **options)
    x = rng.random((3, 8, 8, 2), np.float32)
    model = snc.GuiNetwork(network, x, np.arange(3))
    names = ["a_neurons", "b_neurons", "c_neurons"]
    probed = {name: model.network.layers[name] for name in names}
    order = [2, 0, 2, 1]
    found = simulate(model, order, [0] * 4, scores=model.scores, **probed)
    for i, number in enumerate(order):
        alone = snc.record(network, x[number][None], n_steps=N_STEPS, backend="nengo")
        means = alone.output[0].cumsum(axis=0) / np.arange(1, N_STEPS + 1)[:, None]
        assert np.allclose(found["scores"][i], means, rtol=0, atol=1e-12)
        for name in names:
            spikes = found[name][i] * 0.001 / network.settings.spike_amplitude
            assert np.array_equal(np.rint(spikes), alone.spikes[name][0].reshape(N_STEPS, -1))
    assert found["c_neurons"].any()


def test_state_of_ttfs_networks_is_reset_for_each_image(rng):
    """In branched(), spikes are relayed to later stages, and the inputs of maxima get neurons of their own."""
    rates = snc.convert(branched())
    x = rng.random((3, 8, 8, 2), np.float32)
    network = snc.to_ttfs(rates, x, n_steps=3)
    assert network.settings.total_steps(network.model) == N_STEPS
    model = snc.GuiNetwork(network, x, np.arange(3))
    names = ["image", "a_neurons", "b_neurons", "max_neurons", "c_neurons"]
    assert [ensemble.label for ensemble in model.spiking] == names
    probed = {name: model.network.layers[name] for name in names}
    order = [2, 0, 2, 1]
    found = simulate(model, order, [0] * 4, scores=model.scores, recognised=model.recognised, **probed)
    for i, number in enumerate(order):
        alone = snc.record(network, x[number][None], backend="nengo")
        assert np.allclose(found["scores"][i], alone.output[0], rtol=0, atol=1e-12)
        assert found["recognised"][i, -1, 0] == alone.output[0, -1].argmax()
        for name in names:
            assert np.array_equal(np.abs(found[name][i]) > 0, alone.spikes[name][0].reshape(N_STEPS, -1))
    assert found["c_neurons"].any()
    scores = np.append(found["scores"][:, -1], 0)
    margin = 0.1 * np.ptp(found["scores"][:, -1])
    limits = [float(value) for value in re.findall(r"m(?:in|ax)_value = (.*)", layout(model))[-2:]]
    assert limits == pytest.approx([scores.min() - margin, scores.max() + margin], rel=0.05)  # limits have two digits


def test_ttfs_scores_stay_after_the_last_stage(rng):
    x = rng.random((4, 6, 6, 2), np.float32)
    network = snc.to_ttfs(snc.convert(small_cnn()), x, n_steps=2)
    model = snc.GuiNetwork(network, x, np.arange(4))
    found = simulate(model, [1], [0], scores=model.scores, neurons=model.network.layers["neurons"])
    n_steps = network.settings.total_steps(network.model)
    assert n_steps < N_STEPS
    assert (found["scores"][0, n_steps:] == found["scores"][0, n_steps - 1]).all()
    assert not found["neurons"][0, n_steps:].any()


def test_rate_network(rng):
    network, x = snc.convert(small_cnn()), rng.random((4, 6, 6, 2), np.float32)
    model = snc.GuiNetwork(network, x, np.arange(4))
    scores = simulate(model, [0, 1, 2, 3], [0] * 4, scores=model.scores)["scores"]
    expected = snc.rate_model(network).predict(x, verbose=0)
    assert np.allclose(scores, expected[:, None], atol=1e-5)
    assert model.spiking == ()
    assert "Raster" not in layout(model)


def test_network_is_copied_without_probes(rng):
    network = spiking(small_cnn(), input_coding="poisson", readout="spikes")
    model = snc.GuiNetwork(network, rng.random((4, 6, 6, 2), np.float32), np.arange(4))
    assert network.input.size_in == 0
    assert not network.input.output.any()
    assert len(network.probes) == 2
    assert not model.all_probes
    assert [ensemble.label for ensemble in model.spiking] == ["image", "neurons", "output_neurons"]


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"network": small_cnn()}, snc.SettingsError, "got Model; a Model has no neurons"),
        ({"network": 3}, snc.SettingsError, "got int"),
        ({"y": 2 * np.eye(4)[[0, 1]], "x": np.zeros((2, 4, 4, 1))}, snc.SettingsError, "y must hold class numbers"),
        ({"y": np.full(9, 4)}, snc.SettingsError, "the network has 4 outputs"),
        ({"x": np.zeros((9, 3, 3, 1))}, snc.SettingsError, "x must have shape"),
        ({"class_names": ["a", "b"]}, snc.SettingsError, "4 names, one for each class, got 2"),
        ({"examples": 0}, snc.SettingsError, "examples must be a positive integer"),
    ],
)
def test_invalid_arguments(change, error, message):
    arguments = dict(zip(("network", "x", "y"), quadrants(), strict=True))
    with pytest.raises(error, match=message):
        snc.GuiNetwork(**{**arguments, **change})


def test_trainable_networks_run_without_tensor_nodes(rng):
    network = snc.build_trainable(branched(), nengo.LIF(amplitude=0.0025))
    x = rng.random((2, 8, 8, 2), np.float32)
    model = snc.GuiNetwork(network, x, np.arange(2))
    found = simulate(model, [1, 0, 1], [0] * 3, scores=model.scores)
    for scores, number in zip(found["scores"], [1, 0, 1], strict=True):
        alone = snc.record(network, x[number][None], n_steps=N_STEPS, backend="nengo")
        means = alone.output[0].cumsum(axis=0) / np.arange(1, N_STEPS + 1)[:, None]
        assert means.any()
        assert np.allclose(scores, means, rtol=0, atol=1e-12)
