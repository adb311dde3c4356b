"""plot_life shows the numbers of the recording, and animate_life shows them step by step."""

import math
import shutil
import subprocess

import matplotlib
import nengo
import numpy as np
import pytest
from models import make, small_cnn
from PIL import Image

import nengo_snnconv as snc
from nengo_snnconv.model import layers as specs
from nengo_snnconv.plots.feature_maps import maps_of, mosaic
from nengo_snnconv.plots.figures import CLASSES

N_STEPS = 12


def dense_model(shape, *units, classes=4):
    """Dense layers of neurons, and a dense layer of class scores."""
    layers = [specs.Input("image", shape=shape), specs.Flatten("flat", "image")]
    for i, n in enumerate(units):
        layers += [specs.Dense(f"dense{i}", layers[-1].name, units=n), specs.Rectifier(f"relu{i}", f"dense{i}")]
    return make(*layers, specs.Dense("scores", layers[-1].name, units=classes))


def conv_model(shape, filters):
    """A convolution with one axis for each axis of the image."""
    return make(
        specs.Input("image", shape=shape),
        specs.Conv("conv", "image", filters=filters, kernel_size=(3,) * (len(shape) - 1)),
        specs.Rectifier("relu", "conv"),
        specs.Flatten("flat", "relu"),
        specs.Dense("scores", "flat", units=4),
    )


def record(model, potentials=True, n_steps=N_STEPS, **options):
    x = np.random.default_rng(1).random((2, *model.shapes[model.input]), dtype=np.float32)
    network = snc.to_spiking(snc.normalize(snc.convert(model), x), **options)
    return snc.record(network, x, n_steps=n_steps, backend="nengo", potentials=potentials)


@pytest.fixture(scope="module")
def constant():
    return record(small_cnn())


@pytest.fixture(scope="module")
def poisson():
    return record(small_cnn(), input_coding="poisson")


class TestMosaic:
    @pytest.mark.parametrize("shape", [(7,), (200,), (20, 3), (5, 6, 4), (4, 5, 6, 3)])
    def test_each_neuron_is_there_once(self, shape):
        """For a volume, each neuron of the middle slice."""
        grid = mosaic(maps_of(shape), 3)
        expected = np.arange(math.prod(shape)).reshape(shape)
        if len(shape) == 4:
            expected = expected[shape[0] // 2]
        assert np.array_equal(np.sort(grid[grid >= 0]), np.sort(expected.ravel()))

    def test_maps_are_channels(self):
        numbers = np.arange(5 * 6 * 4).reshape(5, 6, 4)
        maps = maps_of((5, 6, 4))
        assert all(np.array_equal(maps[channel], numbers[:, :, channel]) for channel in range(4))
        grid = mosaic(maps, 3)
        assert grid.shape == (5, 4 * 6 + 3)
        assert np.array_equal(grid[:, 7:13], numbers[:, :, 1])
        assert (grid[:, 6] == -1).all()

    @pytest.mark.parametrize(
        ("n", "ratio", "rows"), [(16, 16, 1), (16, 4, 2), (16, 1, 4), (16, 1 / 16, 16), (24, 2, 3)]
    )
    def test_fills_the_box(self, n, ratio, rows):
        height, width = mosaic(maps_of((10, 10, n)), ratio).shape
        assert height == 11 * rows - 1
        assert width == 11 * math.ceil(n / rows) - 1

    def test_few_neurons_are_a_strip(self):
        assert maps_of((10,)).tolist() == [[list(range(10))]]
        assert maps_of((300,)).shape == (1, 10, 30)


class TestPicture:
    @pytest.mark.parametrize("step", [1, 5, N_STEPS, None])
    def test_shows_the_numbers_up_to_the_step(self, constant, step):
        axes = snc.plot_life(constant, image=1, step=step, max_neurons=48)
        n = step or N_STEPS
        spikes, scores = constant.spikes["neurons"][1, :n], constant.filtered[1]

        shown = axes["neurons/maps"].images[0].get_array()
        rates = spikes.mean(axis=0).reshape(4, 4, 3) / 0.001
        tiles = [shown[:, 5 * i : 5 * i + 4] for i in range(3)]
        assert shown.shape == (4, 14)
        assert all(np.allclose(tile, rates[:, :, channel]) for channel, tile in enumerate(tiles))
        assert shown.mask[:, [4, 9]].all()

        drawn = sum(len(line.get_xdata()) for line in axes["neurons/raster"].get_lines()[:-1])
        assert drawn == np.count_nonzero(spikes)
        assert f"{spikes.any(axis=0).sum()} of 48 have spiked" in axes["neurons/raster"].get_title(loc="left")
        assert [line.get_ydata().tolist() for line in axes["scores"].get_lines()[:4]] == scores[:n].T.tolist()
        assert [bar.get_width() for bar in axes["scores/now"].patches] == scores[n - 1].tolist()
        mean = constant.spikes["neurons"][1].mean(axis=1) / 0.001
        assert np.allclose(axes["activity"].get_lines()[0].get_ydata(), mean[:n])

    def test_three_neurons_are_followed_from_panel_to_panel(self, constant):
        axes = snc.plot_life(constant, image=1, max_neurons=10)
        spikes, potentials = constant.spikes["neurons"][1], constant.potentials["neurons"][1]
        rings = axes["neurons/maps"].get_lines()[1::2]
        trains = axes["neurons/raster"].get_lines()[1:4]
        lines = axes["neurons/potentials"].get_lines()[0:6:2]
        assert len({ring.get_markeredgecolor() for ring in rings}) == 3
        for ring, train, line in zip(rings, trains, lines, strict=True):
            assert ring.get_markeredgecolor() == train.get_color() == line.get_color()
            channel, column = divmod(ring.get_xdata()[0], 5)
            neuron = np.ravel_multi_index((int(ring.get_ydata()[0]), int(column), int(channel)), (4, 4, 3))
            assert np.array_equal(line.get_ydata(), potentials[:, neuron])
            assert np.array_equal(train.get_xdata(), 1 + np.flatnonzero(spikes[:, neuron]))
        often, less, rarely = (len(train.get_xdata()) for train in trains)
        assert often > less > rarely > 0

    def test_poisson_input_shows_its_spikes(self, poisson):
        axes = snc.plot_life(poisson, step=4, max_neurons=1000)
        spikes = snc.poisson_spikes(poisson.images[:1], N_STEPS)[0]
        assert np.allclose(axes["input"].images[0].get_array(), poisson.images[0].mean(axis=-1))
        assert np.allclose(axes["input/mean"].images[0].get_array(), spikes[:4].mean(axis=(0, 3)))
        drawn = sum(len(line.get_xdata()) for line in axes["input/raster"].get_lines()[:-1])
        assert drawn == np.count_nonzero(spikes[:4])
        assert axes["input/raster"].get_ylabel().endswith("inputs")

    @pytest.mark.parametrize(("true_class", "says"), [(None, ""), (0, ", correct"), (1, ", wrong: it is b")])
    def test_headline_and_winners(self, constant, true_class, says):
        scores = np.zeros((2, N_STEPS, 4), np.float32)
        scores[:, :3, 2], scores[:, 3:, 0] = 1, 1
        recording = constant.__class__(**{**vars(constant), "filtered": scores})
        for step, name in ((3, "c"), (12, "a")):
            axes = snc.plot_life(recording, true_class=true_class, class_names="abcd", step=step)
            ribbon = axes["scores/winner"].images[0].get_array()[0]
            colors = [matplotlib.colors.to_rgb(CLASSES[i]) for i in (2, 0)]
            assert np.allclose(ribbon[:3], colors[0])
            assert np.allclose(ribbon[3:step], colors[1])
            assert (ribbon[step:] == 1).all()
            named = [text.get_text() for text in axes["scores/winner"].texts if text.get_visible()]
            assert named == ["c", "a"][: 1 if step == 3 else 2]
            headline = axes["scores"].figure.get_suptitle()
            assert headline.startswith(f"Step {step} of 12 ({step} ms): {name}")
        assert headline.endswith(f": a{says}")

    def test_busiest_maps_in_their_order(self):
        recording = record(conv_model((8, 8, 1), 9))
        axes = snc.plot_life(recording, max_maps=4)
        totals = recording.spikes["relu"][0].reshape(N_STEPS, 6, 6, 9).sum(axis=(0, 1, 2))
        busiest = np.sort(np.argsort(-totals, kind="stable")[:4])
        rates = recording.spikes["relu"][0].mean(axis=0).reshape(6, 6, 9)[:, :, busiest] / 0.001
        shown = axes["relu/maps"].images[0].get_array()
        assert shown.compressed().sum() == pytest.approx(rates.sum())
        assert np.allclose(shown[:, :6], rates[:, :, 0])
        assert "4 of 9 maps of 6×6" in axes["relu/maps"].get_title(loc="left")

    def test_without_potentials_there_is_a_column_less(self, constant):
        recording = constant.__class__(**{**vars(constant), "potentials": {}})
        axes = snc.plot_life(recording)
        assert not any("potentials" in name for name in dict(axes))
        assert axes["scores"].figure.get_figwidth() < snc.plot_life(constant)["scores"].figure.get_figwidth() - 2

    def test_chosen_layers(self):
        recording = record(dense_model((4, 4, 1), 5, 6, 7))
        assert [name for name in dict(snc.plot_life(recording, layers=["relu1"])) if "maps" in name] == ["relu1/maps"]
        axes = snc.plot_life(recording)
        assert [name.split("/")[0] for name in dict(axes) if "maps" in name] == ["relu0", "relu1", "relu2"]
        assert axes["relu2/raster"].get_subplotspec().rowspan.start == 3

    @pytest.mark.parametrize("input_coding", ["constant", "poisson"])
    @pytest.mark.parametrize("potentials", [True, False])
    @pytest.mark.parametrize(
        "model",
        [
            dense_model((6, 6, 3), 100, 8, classes=50),
            dense_model((20,), 3),
            conv_model((30, 2), 7),
            conv_model((5, 6, 6, 1), 4),
        ],
        ids=["vectors", "vector", "series", "volume"],
    )
    def test_inputs_and_layers_of_any_shape(self, model, potentials, input_coding):
        recording = record(model, potentials, input_coding=input_coding)
        axes = snc.plot_life(recording, true_class=1)
        axes["scores"].figure.canvas.draw()
        scores = recording.filtered[0]
        must = {1, *scores.argmax(axis=1), *np.argsort(-scores[-1])[:12]}
        named = [label.get_text() for label in axes["scores/now"].get_yticklabels()]
        assert named == [str(label) for label in sorted(must)]
        assert len(axes["scores/now"].patches) == len(named) == len(axes["scores"].get_lines()) - 1

    @pytest.mark.parametrize("n_steps", [1, 100])
    def test_one_step_and_many(self, n_steps):
        axes = snc.plot_life(record(small_cnn(), n_steps=n_steps))
        axes["scores"].figure.canvas.draw()
        low, high = axes["scores"].get_xlim()
        assert (low, high) == (0.5, n_steps + 0.5)
        ticks = [tick for tick in axes["scores"].get_xticks() if low < tick < high]
        assert ticks
        assert all(tick == int(tick) for tick in ticks)

    @pytest.mark.filterwarnings("ignore:the network was not normalized")
    def test_a_silent_network(self):
        silent = small_cnn().replace(arrays={name: 0 * array for name, array in small_cnn().arrays.items()})
        network = snc.to_spiking(snc.convert(silent), input_coding="poisson")
        recording = snc.record(network, np.zeros((1, 6, 6, 2)), n_steps=5, backend="nengo", potentials=True)
        assert not recording.spikes["neurons"].any()
        axes = snc.plot_life(recording)
        axes["scores"].figure.canvas.draw()
        assert (axes["neurons/maps"].images[0].get_array().compressed() == 0).all()

    def test_a_network_of_rates(self, rng):
        recording = snc.record(snc.convert(small_cnn()), rng.random((1, 6, 6, 2)), n_steps=2)
        axes = snc.plot_life(recording)
        assert list(dict(axes)) == ["input", "scores/now", "scores/winner", "scores"]

    def test_networks_of_build_trainable(self, rng):
        network = snc.build_trainable(small_cnn(), nengo.LIF(amplitude=0.01))
        recording = snc.record(network, rng.random((1, 6, 6, 2)), n_steps=6, potentials=True)
        lines = snc.plot_life(recording)["neurons/potentials"].get_lines()
        assert any(np.array_equal(lines[0].get_ydata(), v) for v in recording.potentials["neurons"][0].T)


class TestAnimation:
    def test_frames_are_the_picture_step_by_step(self, constant, tmp_path):
        path = snc.animate_life(constant, tmp_path / "life.gif", image=1, true_class=1, fps=10, dpi=60)
        figure = snc.plot_life(constant, image=1, true_class=1, step=5)["scores"].figure
        figure.savefig(tmp_path / "life.png", dpi=60)
        expected = np.asarray(Image.open(tmp_path / "life.png").convert("RGB"), int)
        with Image.open(path) as movie:
            assert movie.n_frames == N_STEPS
            assert movie.info["loop"] == 0
            durations, frames = [], []
            for step in range(N_STEPS):
                movie.seek(step)
                durations.append(movie.info["duration"])
                frames.append(np.asarray(movie.convert("RGB"), int))
        assert durations == [100] * (N_STEPS - 1) + [1500]
        # small differences come from the palette of 256 colors, and from the drawing order of overlapping artists
        assert (np.abs(frames[4] - expected).max(axis=-1) > 40).mean() < 0.002
        assert (np.abs(frames[8] - expected).max(axis=-1) > 40).mean() > 0.004
        assert path.stat().st_size < 1e6

    def test_chosen_steps(self, poisson, tmp_path):
        path = snc.animate_life(poisson, tmp_path / "life.GIF", steps=[1, 6, 12], dpi=40)
        with Image.open(path) as movie:
            assert movie.n_frames == 3

    @pytest.mark.skipif(not shutil.which("ffmpeg"), reason="ffmpeg is not installed")
    def test_film(self, constant, tmp_path):
        path = snc.animate_life(constant, tmp_path / "life.mp4", dpi=41)
        assert path.read_bytes()[4:8] == b"ftyp"
        assert subprocess.run(["ffmpeg", "-v", "error", "-i", path, "-f", "null", "-"], check=False).returncode == 0

    def test_a_failing_ffmpeg_leaves_no_file(self, constant, tmp_path):
        script = tmp_path / "ffmpeg"
        script.write_text("#!/bin/sh\necho no such codec >&2\nexit 1\n")
        script.chmod(0o755)
        folder = tmp_path / "out"
        folder.mkdir()
        with (
            matplotlib.rc_context({"animation.ffmpeg_path": str(script)}),
            pytest.raises(snc.SettingsError, match="no such codec"),
        ):
            snc.animate_life(constant, folder / "life.mp4", dpi=40)
        assert list(folder.iterdir()) == []

    def test_no_ffmpeg(self, constant, tmp_path):
        with (
            matplotlib.rc_context({"animation.ffmpeg_path": "no-such-program"}),
            pytest.raises(snc.SettingsError, match="no program 'no-such-program'"),
        ):
            snc.animate_life(constant, tmp_path / "life.mp4")

    @pytest.mark.parametrize(
        ("name", "options", "message"),
        [
            ("life.avi", {}, "^path must end in"),
            ("life", {}, "^path must end in"),
            ("life.gif", {"fps": 0}, "^fps must be"),
            ("life.gif", {"dpi": -1}, "^dpi must be"),
            ("life.gif", {"steps": []}, "^steps must hold"),
            ("life.gif", {"steps": [0]}, "^step must be"),
        ],
    )
    def test_refused(self, constant, tmp_path, name, options, message):
        with pytest.raises(snc.SettingsError, match=message):
            snc.animate_life(constant, tmp_path / name, **options)
        assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"image": 2}, "^image must be"),
        ({"step": 13}, "^step must be"),
        ({"step": 0}, "^step must be"),
        ({"step": 2.0}, "^step must be"),
        ({"true_class": 4}, "^true_class must be"),
        ({"class_names": ["a"]}, "^class_names must hold"),
        ({"layers": ["conv"]}, "^layers: .* 'conv'; .* 'neurons'"),
        ({"layers": 3}, "^layers must be"),
        ({"max_maps": 0}, "^max_maps must be"),
        ({"max_neurons": "all"}, "^max_neurons must be"),
    ],
)
def test_refused(constant, options, message):
    with pytest.raises(snc.SettingsError, match=message):
        snc.plot_life(constant, **options)


def test_what_is_no_recording():
    with pytest.raises(snc.SettingsError, match="expected a Recording"):
        snc.plot_life(small_cnn())
