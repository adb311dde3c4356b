"""Nengo GUI: images chosen by sliders, the reset for each image, the pictures, and a test in a real browser."""

import base64
import io
import json
import re
import runpy
import socket
import urllib.request

import matplotlib.image
import nengo
import nengo_gui.config
import numpy as np
import pytest
from models import branched, make, small_cnn

import nengo_snnconv as snc
from nengo_snnconv import cli
from nengo_snnconv.gui.layout import layout
from nengo_snnconv.gui.views import picture_svg, scores_svg
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


def spiking(model, **options):
    network = snc.normalize(snc.convert(model), method="model")
    return snc.to_spiking(network, **options)


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


def trained_network():
    return snc.build_trainable(snc.preset("diehl-mnist"))


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"network": small_cnn()}, snc.SettingsError, "got Model; a Model has no neurons"),
        ({"network": 3}, snc.SettingsError, "got int"),
        ({"y": np.eye(4)[[0, 1]], "x": np.zeros((2, 4, 4, 1))}, snc.SettingsError, "y must hold class numbers"),
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


def test_trainable_networks_are_refused():
    with pytest.raises(snc.ConversionError, match="made by build_trainable"):
        snc.GuiNetwork(trained_network(), np.zeros((1, 28, 28, 1)), [0])


def pixels_of(svg):
    data = re.search(r"base64,([^\"]+)", svg).group(1)
    return matplotlib.image.imread(io.BytesIO(base64.b64decode(data)))[..., :3]


def test_picture(rng):
    for shape in ((5, 7, 1), (5, 7, 3)):
        image = rng.random(shape)
        svg = picture_svg(image, "a < b")
        assert np.allclose(pixels_of(svg), np.broadcast_to(image, (5, 7, 3)), atol=1 / 255)
        assert "image-rendering:pixelated" in svg
        assert ">a &lt; b</text>" in svg
    assert np.allclose(
        pixels_of(picture_svg(np.array([[[-1.0], [0], [1]]]), "", low=-1)),
        [[[0] * 3, [0.5] * 3, [1] * 3]],
        atol=1 / 255,
    )
    assert pixels_of(picture_svg(rng.random((9, 2)), "")).shape == (2, 9, 3)
    assert pixels_of(picture_svg(rng.random(6), "")).shape == (1, 6, 3)
    volume = rng.random((3, 4, 5, 3))
    assert np.allclose(pixels_of(picture_svg(volume, "")), volume[1], atol=1 / 255)


def test_scores_as_bars():
    svg = scores_svg(np.array([-1.0, 3, 1]), ["cat", "<dog>", "owl"], true_class=2)
    texts = re.findall(r">([^<>]+)</text>", svg)
    assert texts == ["&lt;dog&gt;", "wrong, it is owl", "cat", "&lt;dog&gt;", "owl"]
    bars = np.array(re.findall(r'<rect x="([\d.]+)" y="[\d.]+" width="([\d.]+)"', svg), float)
    assert np.allclose(bars[:, 1], 70 / 4 * np.array([1, 3, 1]))
    assert np.allclose(bars[:, 0], 28 + 70 / 4 * np.array([0, 1, 1]))
    assert "right" in scores_svg(np.array([1.0, 0]), ["a", "b"], true_class=0)
    undecided = scores_svg(np.ones(2), ["a", "b"], true_class=1)
    assert re.findall(r">([^<>]+)</text>", undecided) == ["no class yet", "it is b", "a", "b"]
    assert "bold" not in undecided.partition("</text>")[2]
    (size,) = set(
        re.findall(r'y="[\d.]+" font-size="([\d.]+)" text-anchor="end"', scores_svg(np.zeros(2), ["a", "b" * 40], 0))
    )
    assert float(size) * 0.6 * 40 < 28  # a letter is about 0.6 of the font size wide; bars begin at 28


def save_digit_classifier(path, data):
    """Save and return a spiking network that classifies digits: spiking pixels, and weights by least squares."""
    model = make(
        specs.Input("image", shape=(28, 28, 1)),
        specs.AveragePool("pool", "image", pool_size=(2, 2)),
        specs.Rectifier("neurons", "pool"),
        specs.Flatten("flat", "neurons"),
        specs.Dense("scores", "flat", units=10),
    )
    features = data.x_train.reshape(-1, 14, 2, 14, 2).mean(axis=(2, 4)).reshape(-1, 196)
    weights = np.linalg.solve(features.T @ features + 10 * np.eye(196), features.T @ np.eye(10)[data.y_train])
    model = model.replace(arrays={"scores/kernel": weights, "scores/bias": np.zeros(10)})
    network = spiking(model)
    snc.save(network, path)
    return network


@pytest.fixture(scope="module")
def reader(tmp_path_factory):
    """Return (path, network, data) of a network that classifies the digits of the package."""
    data = snc.load_dataset("digits", train=2000)
    path = tmp_path_factory.mktemp("gui") / "reader.snn.npz"
    return path, save_digit_classifier(path, data), data


def test_script_and_its_layout(reader, tmp_path):
    script = tmp_path / "look.py"
    assert cli.main(["gui", str(reader[0]), "--write-script", str(script), "--examples", "3", "--seed", "7"]) == 0
    names = runpy.run_path(str(script))
    model = names["model"]
    assert model.network.seed == 7
    assert model.slider_ranges == ((0, 9), (0, 2))
    config = names["_viz_config"] = nengo_gui.config.Config()
    names["nengo_gui"] = nengo_gui
    for line in (tmp_path / "look.py.cfg").read_text().splitlines():
        exec(line, names)  # Nengo GUI itself skips lines that fail
    shown = [each for each in names.values() if isinstance(each, nengo_gui.components.component.Component)]
    kinds = [type(each).__name__ for each in shown]
    assert kinds == ["SimControl", "HTMLView", "HTMLView", "Slider", "Slider", "Value", "Raster"]
    assert config[shown[5]].min_value < 0 < config[shown[5]].max_value
    assert_apart([config[each] for each in shown[1:]])


def test_many_rasters_do_not_overlap(rng):
    layers = [specs.Input("image", shape=(2, 2, 1))]
    for i in range(7):
        layers += [specs.Rectifier(f"r{i}", layers[-1].name)]
    model = make(*layers, specs.Flatten("flat", "r6"), specs.Dense("scores", "flat", units=2))
    text = layout(snc.GuiNetwork(spiking(model), rng.random((2, 2, 2, 1)), [0, 1]))
    assert text.count("Raster(") == 7
    positions = [dict(re.findall(rf"\[_viz_{i}\]\.(x|y|width|height) = (.*)", text)) for i in range(12)]
    assert_apart([{key: float(value) for key, value in position.items()} for position in positions])


def assert_apart(positions):
    """Check that the components are within the window and do not overlap."""
    get = (lambda position, key: position[key]) if isinstance(positions[0], dict) else getattr
    center = np.array([[get(position, "x"), get(position, "y")] for position in positions])
    half = np.array([[get(position, "width"), get(position, "height")] for position in positions])
    assert (center - half >= 0).all()
    assert (center + half <= 1).all()
    for i in range(len(positions)):
        for j in range(i):
            assert (np.abs(center[i] - center[j]) >= half[i] + half[j] - 1e-3).any(), (i, j)


def test_existing_files_are_not_overwritten(reader, tmp_path, capsys):
    script = tmp_path / "mine.py"
    for file in (script, tmp_path / "mine.py.cfg"):
        file.write_text("my work")
        assert cli.main(["gui", str(reader[0]), "--write-script", str(script)]) == 1
        assert "exists and is not overwritten" in capsys.readouterr().err
        assert file.read_text() == "my work"
        file.unlink()
    with pytest.raises(snc.SettingsError, match="must end in .py") as caught:
        snc.write_gui_script(tmp_path / "mine.txt", reader[0])
    assert caught.value.argument == "path"
    assert list(tmp_path.iterdir()) == []


def test_command_line_errors(reader, tmp_path, capsys):
    model, trainable = tmp_path / "model.npz", tmp_path / "trainable.npz"
    snc.save(small_cnn(), model)
    snc.save(trained_network(), trainable)
    for path, message in (
        (model, "a Model has no neurons"),
        (trainable, "made by convert"),
        (tmp_path / "no", "there is no file"),
    ):
        assert cli.main(["gui", str(path), "--no-browser"]) == 1
        assert message in capsys.readouterr().err
    with socket.create_server(("localhost", 0)) as taken:
        port = taken.getsockname()[1]
        assert cli.main(["gui", str(reader[0]), "--no-browser", "--port", str(port)]) == 1
    assert f"port {port} is in use" in capsys.readouterr().err
    assert cli.main(["gui", str(reader[0]), "--no-browser", "--port", "65536"]) == 1
    assert "port must be from 1 to 65535" in capsys.readouterr().err


def test_in_a_browser(reader, tmp_path):
    """Start the server, open it in Chromium, move the sliders, compare picture, scores and spikes, press Control-C."""
    browser = pytest.importorskip("browser", reason="playwright is not installed", exc_type=ImportError)
    if browser.CHROMIUM is None:
        pytest.skip("there is no Chromium on this machine")
    path, network, data = reader
    figures = tmp_path / "figures.json"
    with browser.served(path, "--json", figures) as address:
        assert "<form" in urllib.request.urlopen(address.partition("?")[0]).read().decode()  # asks for the token
        with browser.opened(address) as page:
            page.start_or_pause()
            page.run_for(0.03)
            before = page.lines("neurons")
            for slider, value, label, example in (("class", 7, 7, 0), ("class", 2, 2, 0), ("example", 4, 2, 4)):
                page.move_slider(slider, value, 0, 9)
                page.run_for(0.06)
                page.start_or_pause()
                assert_shown(page, network, data, label, example)
                page.start_or_pause()
            assert page.lines("neurons") != before
            page.page.screenshot(path=tmp_path / "page.png")
    assert json.loads(figures.read_text())["command"] == "gui"


def assert_shown(page, network, data, label, example):
    """Check the picture, the verdict and the plots of one image."""
    image = data.x_test[data.y_test == label][example]
    evaluation = snc.evaluate(network, image[None], [label], n_steps=40, backend="nengo")
    winner = str(evaluation.predictions[0])
    verdict = "right" if winner == str(label) else f"wrong, it is {label}"
    assert page.texts(page.picture) == [str(label)]
    assert page.texts(page.verdict) == [winner, verdict, *data.class_names]
    assert page.verdict.locator("rect").count() == 10
    assert_pixels(page, image)
    curves, (spikes,) = page.lines("scores"), page.lines("neurons")
    assert len(curves) == 10
    assert all(curve.count("L") > 20 for curve in curves)
    assert spikes.count("M") > 50


def assert_pixels(page, image):
    """Check that the picture has the gray levels of the image, with each pixel drawn as a square of one color."""
    box = page.picture.locator("image").bounding_box()
    screen = matplotlib.image.imread(io.BytesIO(page.page.screenshot()))[..., :3]
    side = min(box["width"], box["height"])
    left, top = box["x"] + (box["width"] - side) / 2, box["y"] + (box["height"] - side) / 2
    for share in (0.3, 0.7):
        columns, rows = ((start + side * (np.arange(28) + share) / 28).astype(int) for start in (left, top))
        assert np.abs(screen[np.ix_(rows, columns)] - image).max() < 0.02
