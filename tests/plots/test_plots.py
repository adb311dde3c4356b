"""Plots show the numbers that they are given."""

import subprocess
import sys
import types

import matplotlib.figure
import nengo
import numpy as np
import pytest
from models import make

import nengo_snnconv as snc
from nengo_snnconv.model import layers as specs


def evaluation(accuracy, ann=0.9, n_images=50, moving=False):
    """The attributes of an Evaluation that plots read."""
    y = np.zeros(n_images, int)
    steps = len(accuracy)
    return types.SimpleNamespace(
        score=np.array(accuracy), ann_score=ann, score_name="accuracy", n_steps=steps, y=y, dt=0.001, moving=moving
    )


def test_the_package_offers_every_plot():
    constants = {"BLUE", "GREEN", "GREY", "ORANGE", "Figure", "Plot"}
    assert set(snc.plots.__all__) - constants == set(snc._HOMES["plots"])


def test_notebooks_show_figures_without_pyplot_and_tensorflow():
    """As in IPython, in a process that has not imported pyplot or TensorFlow."""
    code = (
        "import sys, IPython.core.formatters as formatters, nengo_snnconv as snc\n"
        "figure = snc.plot_history({'loss': [1.0], 'accuracy': [0.5]})[0].figure\n"
        "data, _ = formatters.DisplayFormatter().format(figure)\n"
        "print(data['image/png'][:4], {'matplotlib.pyplot', 'tensorflow'} & set(sys.modules))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == r"b'\x89PNG' set()"


class TestAccuracies:
    def test_lines_are_accuracies_and_their_distance_from_the_ann(self):
        accuracy, loss = snc.plot_accuracies({"a": evaluation([0.1, 0.7]), "b": evaluation([0.8, 0.9, 1.0])})
        ann, a, b = accuracy.get_lines()
        assert (a.get_label(), b.get_label()) == ("a", "b")
        assert np.allclose(a.get_ydata(), [10, 70])
        assert np.allclose(b.get_ydata(), [80, 90, 100])
        assert b.get_xdata().tolist() == [1, 2, 3]
        assert np.allclose(ann.get_ydata(), 90)
        assert ann.get_linestyle() == "--"
        assert np.allclose(loss.get_lines()[0].get_ydata(), [80, 20])
        assert np.allclose(loss.get_lines()[1].get_ydata(), [10, 0, -10])

    def test_one_dashed_line_for_each_ann_where_they_differ(self):
        accuracy, _ = snc.plot_accuracies({"a": evaluation([0.1], ann=0.5), "b": evaluation([0.1], ann=0.75)})
        dashed = [line for line in accuracy.get_lines() if line.get_linestyle() == "--"]
        solid = [line for line in accuracy.get_lines() if line.get_linestyle() == "-"]
        assert [line.get_ydata()[0] for line in dashed] == [50, 75]
        assert [line.get_color() for line in dashed] == [line.get_color() for line in solid]

    def test_losses_are_logarithmic_down_to_one_image(self):
        _, loss = snc.plot_accuracies({"a": evaluation([0.1, 0.9], n_images=50)})
        up = loss.transScale.transform([(1, y) for y in (2, 20, 200, 0, -1)])[:, 1]  # one image of 50 is 2 %
        assert up[1] - up[0] == pytest.approx(up[2] - up[1])
        assert up[0] - up[3] == pytest.approx(2 * (up[3] - up[4]))

    def test_more_networks_than_colours_on_given_axes(self):
        axes = matplotlib.figure.Figure().subplots(1, 2)
        assert list(snc.plot_accuracies({i: evaluation([i / 20]) for i in range(15)}, axes)) == list(axes)
        assert len(axes[1].get_lines()) == 15 + 1

    @pytest.mark.parametrize("evaluations", [{}, None, [evaluation([0.5])]])
    def test_needs_names(self, evaluations):
        with pytest.raises(snc.SettingsError, match="must be a dict") as caught:
            snc.plot_accuracies(evaluations)
        assert caught.value.argument == "evaluations"


class TestInputSpikes:
    @pytest.mark.parametrize("threshold", [1.0, 0.5])
    def test_shows_the_image_single_steps_and_running_means(self, rng, threshold):
        x = rng.random((5, 4, 1)).astype(np.float32)
        spikes = snc.poisson_spikes(x[None], 30, threshold)[0]
        axes = snc.plot_input_spikes(x, spikes, steps=(1, 7, 30), threshold=threshold)
        shown = [ax.images[0].get_array().data for ax in axes]
        assert np.array_equal(shown[0], x[:, :, 0])
        for picture, step in zip(shown[1:4], (1, 7, 30), strict=True):
            assert np.array_equal(picture, threshold * spikes[step - 1, :, :, 0])
        for picture, step in zip(shown[4:], (1, 7, 30), strict=True):
            assert np.allclose(picture, threshold * sum(spikes[i, :, :, 0] for i in range(step)) / step)
        titles = [ax.get_title() for ax in axes]
        assert titles[::3] == ["image", "spikes in step 30", "mean of 30 steps"]
        assert titles[4] == "mean of 1 step"
        assert {ax.images[0].get_clim() for ax in axes} == {(0, 1 if threshold == 1 else x.max())}

    def test_the_mean_nears_the_image(self, rng):
        x = rng.random((20, 20, 1)).astype(np.float32)
        axes = snc.plot_input_spikes(x, snc.poisson_spikes(x[None], 1000)[0])
        image, *_, mean = [ax.images[0].get_array() for ax in axes]
        # a mean of 1000 draws has a standard deviation of at most 0.5 / sqrt(1000); five of them
        assert np.abs(mean - image).max() < 5 * 0.5 / np.sqrt(1000)

    def test_colours(self, rng):
        x = rng.random((5, 4, 3)).astype(np.float32)
        spikes = snc.poisson_spikes(x[None], 9)[0]
        image, _, mean = snc.plot_input_spikes(x, spikes, steps=[9])
        assert np.allclose(image.images[0].get_array(), x)
        assert np.allclose(mean.images[0].get_array(), spikes.mean(axis=0))

    @pytest.mark.parametrize("channels", [1, 2, 3])
    def test_negative_values_are_darker_than_none(self, channels):
        x = np.full((2, 2, channels), -1.0)
        x[0] = 0
        image, spikes, mean = snc.plot_input_spikes(x, snc.poisson_spikes(x[None], 3)[0], steps=[2])
        for ax in (image, spikes, mean):
            picture = ax.images[0].get_array()
            dark, none = (0, 0.5) if channels == 3 else (-1, 0)
            assert (picture[1] == dark).all()
            assert (picture[0] == none).all()

    @pytest.mark.parametrize("n_steps", [1, 2, 3, 4, 50])
    def test_steps_by_default_run_from_the_first_to_the_last(self, n_steps):
        x = np.ones((2, 2, 1))
        axes = snc.plot_input_spikes(x, snc.poisson_spikes(x[None], n_steps)[0])
        n = (len(axes) - 1) // 2
        assert n == min(n_steps, 4)
        assert axes[1].get_title() == "spikes in step 1"
        assert axes[-1].get_title().startswith(f"mean of {n_steps} step")
        axes[0].figure.canvas.draw()

    def test_given_axes(self):
        axes = matplotlib.figure.Figure().subplots(3)
        x = np.ones((2, 2, 1))
        assert list(snc.plot_input_spikes(x, np.ones((2, 2, 2, 1)), steps=[2], axes=axes)) == list(axes)

    @pytest.mark.parametrize(
        ("x", "spikes", "options", "message"),
        [
            ((1, 5, 4, 1), (9, 5, 4, 1), {}, "^x must be one"),
            ((5, 4), (9, 5, 4), {}, "^x must be one"),
            ((5, 4, 1), (1, 9, 5, 4, 1), {}, "^spikes must have"),
            ((5, 4, 1), (9, 5, 4, 3), {}, "^spikes must have"),
            ((5, 4, 1), (0, 5, 4, 1), {}, "^spikes must have"),
            ((5, 4, 1), (9, 5, 4, 1), {"steps": [0]}, "^steps must be"),
            ((5, 4, 1), (9, 5, 4, 1), {"steps": [3, 10]}, "^steps must be"),
            ((5, 4, 1), (9, 5, 4, 1), {"steps": [2.5]}, "^steps must be"),
        ],
    )
    def test_refused(self, x, spikes, options, message):
        with pytest.raises(snc.SettingsError, match=message) as caught:
            snc.plot_input_spikes(np.zeros(x), np.zeros(spikes), **options)
        assert message[1:].startswith(caught.value.argument)


class TestImageResponse:
    @pytest.fixture
    def model(self):
        return make(
            specs.Input("image", shape=(6, 6, 1)),
            specs.Conv("conv", "image", filters=2, kernel_size=(3, 3)),
            specs.Rectifier("neurons", "conv"),
            specs.Flatten("flat", "neurons"),
            specs.Dense("scores", "flat", units=4),
        )

    @pytest.mark.filterwarnings("ignore:the network was not normalized")
    @pytest.mark.parametrize("n_steps", [1, 12])
    @pytest.mark.parametrize("readout", ["potential", "spikes"])
    def test_poisson_network_shows_its_input_as_a_layer(self, model, rng, readout, n_steps):
        network = snc.to_spiking(snc.convert(model), input_coding="poisson", readout=readout)
        x = rng.random((2, 6, 6, 1)).astype(np.float32)
        axes = snc.plot_image_response(snc.record(network, x, n_steps=n_steps), image=1)
        assert len(axes) == 4
        drawn = [sum(len(train.get_positions()) for train in ax.collections) for ax in axes[1:3]]
        assert drawn[0] == np.count_nonzero(snc.poisson_spikes(x, n_steps)[1])
        assert axes[1].get_title().startswith("image\n")
        low, high = axes[1].get_xlim()
        assert low < 1
        assert high > n_steps
        axes[0].figure.canvas.draw()

    def test_network_of_rates_has_no_rasters(self, model, rng):
        recording = snc.record(snc.convert(model), rng.random((1, 6, 6, 1)), n_steps=1)
        axes = snc.plot_image_response(recording)
        assert len(axes) == 2
        assert [line.get_ydata().tolist() for line in axes[1].get_lines()] == recording.output[0].T.tolist()

    def test_many_layers_go_into_rows(self, rng):
        layers = [specs.Input("image", shape=(6, 6, 1)), specs.Flatten("flat", "image")]
        for i in range(7):
            layers += [specs.Dense(f"dense{i}", layers[-1].name, units=4), specs.Rectifier(f"relu{i}", f"dense{i}")]
        network = snc.build_trainable(make(*layers), nengo.SpikingRectifiedLinear(amplitude=0.01))
        axes = snc.plot_image_response(snc.record(network, rng.random((1, 6, 6, 1)), n_steps=2))
        assert len(axes) == 9
        assert axes[0].figure.get_size_inches().tolist() == [12.5, 5]  # five and four
