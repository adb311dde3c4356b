"""Plots of networks of time to first spike show the numbers that they are given."""

import io

import matplotlib.figure
import numpy as np
import pytest
from matplotlib.colors import to_hex
from models import branched, make, small_cnn

import nengo_snnconv as snc
from nengo_snnconv.analysis.efficiency import Efficiency, LayerOperations
from nengo_snnconv.analysis.threshold_errors import ThresholdErrors
from nengo_snnconv.model import layers as specs
from nengo_snnconv.networks.stages import stages
from nengo_snnconv.plots.figures import BLUE, ORANGE
from nengo_snnconv.plots.score_panels import winners_of

T = 8


def network_of(model, n_images=6, low=0.0):
    x = np.random.default_rng(0).uniform(low, 1, (n_images, *model.shapes[model.input])).astype(np.float32)
    return snc.to_ttfs(snc.convert(model), x, T), x, np.zeros(n_images, int)


def deep(n):
    """Return a model with n layers of neurons."""
    layers = [specs.Input("image", shape=(4, 4, 1)), specs.Flatten("flat", "image")]
    for i in range(n):
        layers += [specs.Dense(f"dense{i}", layers[-1].name, units=20), specs.Rectifier(f"relu{i}", f"dense{i}")]
    return make(*layers, specs.Dense("scores", layers[-1].name, units=3))


def drawn(figure):
    """Draw the figure and return its size in bytes; drawing finds parts that cannot be drawn."""
    file = io.BytesIO()
    figure.savefig(file, dpi=40)
    return file.getbuffer().nbytes


class TestSpikeTimes:
    @pytest.mark.parametrize("model", [small_cnn(), branched(), deep(20)], ids=["cnn", "branched", "deep"])
    def test_bars_are_shares_of_neurons_in_each_step(self, model):
        network, x, y = network_of(model)
        evaluation = snc.evaluate(network, x, y, backend="fast")
        axes = snc.plot_spike_times(network, evaluation)
        layers = [evaluation.input_layer, *evaluation.layers.values()]
        assert len(axes) == len(layers)
        for ax, layer in zip(axes, layers, strict=True):
            heights = np.zeros(evaluation.n_steps)
            for bar in ax.containers[0]:
                heights[round(bar.get_center()[0]) - 1] = bar.get_height()
            np.testing.assert_allclose(heights, 100 * layer.spikes_per_step / layer.n_neurons)
            assert ax.get_title(loc="left").startswith(f"{layer.name}: {100 * sum(heights) / 100:.1f} % of")
            assert ax.get_xlim() == (0.5, evaluation.n_steps + 0.5)
        assert drawn(axes[0].figure)

    def test_a_constant_input_has_no_panel(self):
        model = small_cnn()
        x = np.random.default_rng(0).random((6, *model.shapes[model.input])).astype(np.float32)
        network = snc.to_ttfs(snc.convert(model), x, T, input_coding="constant")
        evaluation = snc.evaluate(network, x, [0] * 6)
        axes = snc.plot_spike_times(network, evaluation)
        assert [ax.get_title(loc="left").partition(":")[0] for ax in axes] == list(evaluation.layers)

    def test_stages_are_marked(self):
        network, x, y = network_of(branched())
        evaluation = snc.evaluate(network, x, y, backend="fast")
        axes = snc.plot_spike_times(network, evaluation)
        sent = stages(network.model)
        assert {name: sent[name] for name in evaluation.layers} == {
            "a_neurons": 1,
            "b_neurons": 1,
            "max_neurons": 2,
            "c_neurons": 3,
        }
        for ax, name in zip(axes, ("image", *evaluation.layers), strict=True):
            bars = ax.containers[0].patches
            spans = [patch for patch in ax.patches if patch not in bars]
            last = spans[-1].get_extents().transformed(ax.transData.inverted())
            assert (last.x0, last.x1) == pytest.approx((sent[name] * T + 0.5, (sent[name] + 1) * T + 0.5))
            outside = [bar.get_height() for bar in bars if not last.x0 < bar.get_x() + 0.4 < last.x1]
            assert not any(outside)
            assert len(spans) == (1 if name == "image" else 2)
            ends = [line.get_xdata()[0] for line in ax.get_lines()]
            assert ends == [T + 0.5, 2 * T + 0.5, 3 * T + 0.5]

    def test_given_axes(self):
        network, x, y = network_of(small_cnn())
        axes = matplotlib.figure.Figure().subplots(2)
        plot = snc.plot_spike_times(network, snc.evaluate(network, x, y, backend="fast"), axes)
        assert list(plot) == list(axes)

    def test_refused(self):
        network, x, y = network_of(small_cnn())
        evaluation = snc.evaluate(network, x, y, backend="fast")
        rates = snc.convert(small_cnn())
        with pytest.raises(snc.SettingsError, match="to_ttfs") as caught:
            snc.plot_spike_times(rates, evaluation)
        assert caught.value.argument == "network"
        with pytest.raises(snc.SettingsError, match="of another network") as caught:
            snc.plot_spike_times(network, snc.evaluate(rates, x, y, n_steps=1))
        assert caught.value.argument == "evaluation"
        with pytest.raises(snc.SettingsError, match="of another network"):
            snc.plot_spike_times(network_of(deep(1))[0], evaluation)


def efficiency_of(layers):
    layers = {name: LayerOperations(*counts) for name, counts in layers.items()}
    flops, operations = (sum(getattr(layer, name) for layer in layers.values()) for name in ("flops", "operations"))
    return Efficiency(0.9, 0.9, flops, operations, 0, 10, 0.1, 10, 0, layers, ())


class TestOperations:
    def test_dots_are_operations(self):
        found = efficiency_of({"image": (1000, 100), "idle": (0, 0), "a": (500, 2000), "b": (10, 0), "again": (0, 7)})
        ax = snc.plot_operations(found)
        assert [label.get_text() for label in ax.get_yticklabels()] == ["image", "a", "b", "again", "total"]
        ann, spikes = ({tuple(point) for point in line.get_xydata()} for line in ax.get_lines()[:2])
        assert [to_hex(line.get_color()) for line in ax.get_lines()[:2]] == [ORANGE, BLUE]
        assert ann == {(1000, 0), (500, 1), (10, 2), (1510, 4)}
        assert spikes == {(100, 0), (2000, 1), (7, 3), (2107, 4)}
        assert [text.get_text() for text in ax.texts] == ["10.0 ×", "0.25 ×", "", "", "0.72 ×", "ANN / spikes"]

    @pytest.mark.parametrize("n", [1, 20])
    def test_few_layers_and_many_have_room(self, n):
        rng = np.random.default_rng(0)
        found = efficiency_of({f"layer{i}": (10 ** rng.uniform(4, 8), 10 ** rng.uniform(3, 7)) for i in range(n)})
        ax = found.plot()
        assert drawn(ax.figure)
        boxes = [label.get_window_extent() for label in ax.get_yticklabels()]
        assert all(upper.y0 > lower.y1 for upper, lower in zip(boxes, boxes[1:], strict=False))

    @pytest.mark.filterwarnings("ignore:the network was not normalized")
    def test_networks_of_any_spikes_on_given_axes(self):
        model = branched()
        _, x, y = network_of(model)
        network = snc.to_spiking(snc.convert(model))
        ax = matplotlib.figure.Figure().add_subplot()
        found = snc.efficiency(network, snc.evaluate(network, x, y, n_steps=3))
        assert snc.plot_operations(found, ax)[0] is ax


class TestThresholdErrors:
    def test_curves_are_errors(self):
        network = snc.convert(small_cnn())
        _, x, _ = network_of(small_cnn(), 100)
        found = snc.threshold_errors(network, x, n_steps=[4, 16])
        ax = found.plot()
        lines = ax.get_lines()
        for i, (curve, best, bound) in enumerate(zip(lines[0::3], lines[1::3], lines[2::3], strict=False)):
            assert curve.get_label() == f"{found.n_steps[i]} steps"
            assert np.array_equal(curve.get_xdata(), found.thresholds)
            assert np.array_equal(curve.get_ydata(), 100 * found.errors[i])
            assert best.get_xydata().tolist() == [[found.best[i], 100 * found.errors[i].min()]]
            assert bound.get_xydata().tolist() == [[found.upper_bound, 100 * found.upper_bound_errors[i]]]
        assert [line.get_xdata()[0] for line in lines[-2:]] == [found.largest, found.upper_bound]
        assert drawn(ax.figure)

    def test_given_axes_and_one_step(self):
        one = np.array([[0.5, 0.4, 0.6]])
        errors = ThresholdErrors("neurons", (1,), np.array([0.5, 1, 2]), one, 1.5, 3.0, np.array([0.9]))
        axes = matplotlib.figure.Figure().add_subplot()
        assert snc.plot_threshold_errors(errors, axes)[0] is axes
        assert axes.get_lines()[0].get_label() == "1 step"


class TestLife:
    @pytest.fixture(scope="class")
    def recording(self):
        model = small_cnn()
        network = snc.to_ttfs(snc.convert(model), network_of(model)[1], T, x_max=1)
        # multiples of 1 / T; the smallest one spikes in the last step
        x = np.random.default_rng(0).integers(0, T + 1, (2, 6, 6, 2)).astype(np.float32) / T
        x[:, 0, 0, 0] = 1 / T
        return snc.record(network, x, potentials=True)

    @pytest.mark.parametrize("step", [1, 3, T, 2 * T])
    def test_input_shows_what_its_spikes_stand_for(self, recording, step):
        axes = snc.plot_life(recording, step=step)
        image = recording.images[0]
        # an input of value v spikes in step T (1 - v) + 1
        expected = np.where(T * (1 - image) + 1 <= step, image, 0).mean(axis=-1)
        np.testing.assert_allclose(axes["input/mean"].images[0].get_array(), expected, atol=1e-6)
        assert axes["input/mean"].get_title(loc="left") == "values of the spikes so far"

    @pytest.mark.parametrize("step", [T + 2, 2 * T])
    def test_maps_show_when_neurons_spiked(self, recording, step):
        axes = snc.plot_life(recording, step=step)
        spikes = recording.spikes["neurons"][0]
        times = np.where(spikes[:step].any(axis=0), spikes.argmax(axis=0) + 1, 0).reshape(4, 4, 3)
        picture = axes["neurons/maps"].images[0]
        shown = np.stack([picture.get_array()[:, 5 * i : 5 * i + 4] for i in range(3)], axis=-1)
        last = spikes.any(axis=1).nonzero()[0].max() + 1
        assert np.array_equal(shown[times > 0], times[times > 0])
        assert (shown[times == 0] > last).all()
        brightness = picture.cmap(picture.norm(shown))[..., :3].sum(axis=-1)
        early, late = times[times > 0].min(), times[times > 0].max()
        assert early < late
        assert brightness[times == early].min() > brightness[times == late].max() > brightness[times == 0].max()
        assert axes["neurons/raster"].get_title(loc="left") == f"{(times > 0).sum()} of 48 have spiked"

    def test_no_class_wins_while_scores_are_equal(self, recording):
        axes = snc.plot_life(recording, true_class=1, step=T)
        assert axes["scores"].figure.get_suptitle() == f"Step {T} of {2 * T} ({T} ms): no class yet"
        axes = snc.plot_life(recording, true_class=1)
        winner = recording.filtered[0, -1].argmax()
        assert f"ms): {winner}" in axes["scores"].figure.get_suptitle()
        ribbon = axes["scores/winner"].images[0].get_array()[0]
        assert (ribbon[:T] == 1).all()
        assert (ribbon[-1] < 1).any()

    def test_winners(self):
        assert winners_of(np.array([[0, 0, 0], [2, 2, 2], [0, 0, 1], [3, 3, 1]])).tolist() == [-1, -1, 2, 0]

    def test_followed_neurons_spike_one_after_another(self, recording):
        axes = snc.plot_life(recording)
        first, second, third = (line.get_xdata()[0] for line in axes["neurons/raster"].get_lines()[1:4])
        assert first < second < third

    def test_animation_and_raster(self, recording, tmp_path):
        assert snc.animate_life(recording, tmp_path / "life.gif", steps=[1, 2 * T], dpi=40).stat().st_size
        axes = snc.plot_image_response(recording, 0, true_class=1, max_neurons=1000)
        for ax, spikes in zip(axes[1:-1], recording.spikes.values(), strict=True):
            assert sum(len(each.get_positions()) for each in ax.collections) == spikes[0].sum()
