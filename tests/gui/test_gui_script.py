"""Scripts for Nengo GUI, their layout, and a test in a real browser."""

import io
import json
import re
import runpy
import socket
import urllib.request

import matplotlib.image
import nengo_gui.config
import numpy as np
import pytest
from models import make, small_cnn, spiking

import nengo_snnconv as snc
from nengo_snnconv import cli
from nengo_snnconv.gui.layout import layout
from nengo_snnconv.model import layers as specs


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
    model = tmp_path / "model.npz"
    snc.save(small_cnn(), model)
    for path, message in ((model, "a Model has no neurons"), (tmp_path / "no", "there is no file")):
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
