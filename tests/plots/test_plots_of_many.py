"""Plots of many classes, layers and steps stay of a readable size; channels may come first."""

from types import SimpleNamespace

import numpy as np
import pytest
from models import make

import nengo_snnconv as snc
from nengo_snnconv import plots
from nengo_snnconv.compat import tf
from nengo_snnconv.errors import SettingsError
from nengo_snnconv.evaluation.measures import Measure
from nengo_snnconv.evaluation.metrics import confusion_matrix
from nengo_snnconv.evaluation.record import Recording
from nengo_snnconv.gui.network import _Picture
from nengo_snnconv.gui.views import MAX_BARS, scores_svg
from nengo_snnconv.model import layers as specs
from nengo_snnconv.model.image_axes import image_axes
from nengo_snnconv.plots.diagnosis import MOST_LAYERS, layers_to_draw
from nengo_snnconv.plots.evaluation import _block_maxima
from nengo_snnconv.plots.feature_maps import maps_of
from nengo_snnconv.plots.figures import evenly, short
from nengo_snnconv.report.pictures import figures_of
from nengo_snnconv.training.augmentation import random_affine

LONG = "a_model_in_a_model.block_17_whose_name_never_ends_conv2d_"
MOST_INCHES = 28


def drawn(axes):
    """Draw the figure of axes, check its size, and return it."""
    figure = figures_of(axes)[0]
    assert max(figure.get_size_inches()) < MOST_INCHES
    figure.set_dpi(30)
    figure.canvas.draw()
    return figure


def evaluation(classes=3, layers=2, steps=4, images=40):
    rng = np.random.default_rng(0)
    y = rng.integers(0, classes, images)
    predictions = np.where(rng.random((steps, images)) < 0.7, y, rng.integers(0, classes, (steps, images)))
    active = {
        f"{LONG}{i}": SimpleNamespace(
            name=f"{LONG}{i}", n_neurons=9, spikes_per_neuron=i % 2 * 0.5, rate_hz=1.0, silent=0.5
        )
        for i in range(layers)
    }
    return SimpleNamespace(
        n_steps=steps,
        score=(predictions == y).mean(axis=1),
        step_predictions=predictions,
        ann_score=0.9,
        score_name="accuracy",
        labelled=True,
        measure=Measure("accuracy", (predictions == y).mean(axis=1), 0.9),
        moving=False,
        dt=0.001,
        y=y,
        layers=active,
        heads={},
        confusion=lambda step=-1: confusion_matrix(y, predictions[step], classes),
    )


def recording(layers, classes=4, steps=3, spikes=True, **fields):
    rng, image = np.random.default_rng(0), np.random.default_rng(1).random((1, 5, 6, 1)).astype(np.float32)
    counts = {name: (rng.random((1, steps, int(np.prod(s)))) < 0.3 * spikes).astype(int) for name, s in layers.items()}
    output = spikes * rng.random((1, steps, classes))
    shapes = {"image": (5, 6, 1), **layers}
    shown = np.broadcast_to(image[:, None], (1, steps, 5, 6, 1))
    potentials = {name: rng.random(each.shape) for name, each in counts.items()}
    return Recording(image, counts, output, output.cumsum(1), 0.001, shapes, shown, potentials, **fields)


class TestSizes:
    @pytest.mark.parametrize("classes", [1, 2, 20, 21, 41, 260, 1000])
    def test_confusion(self, classes):
        ax = plots.plot_confusion(evaluation(classes, images=2 * classes), [LONG + str(i) for i in range(classes)])
        drawn(ax)
        assert 1 <= len(ax.get_yticks()) <= 40
        assert max(len(label.get_text()) for label in ax.get_yticklabels()) <= 24
        assert ax.get_xlim() == (-0.5, classes - 0.5)

    def test_no_mistake_is_lost_among_many_classes(self):
        shares = np.zeros((1003, 1003))
        shares[17, 1002] = shares[500, 3] = 0.25
        squares, block = _block_maxima(shares, 250)
        assert block == 5 and squares.shape == (201, 201)
        assert np.argwhere(squares).tolist() == [[3, 200], [100, 0]]
        squares, block = _block_maxima(shares[:250, :250], 250)
        assert block == 1 and np.array_equal(squares, shares[:250, :250])

    @pytest.mark.parametrize("layers", [1, 24, 25, 1000])
    def test_spike_counts(self, layers):
        axes = plots.plot_spike_counts(evaluation(layers=layers))
        drawn(axes)
        assert len(axes[0].get_yticks()) <= 40
        assert len(axes[0].patches) == layers

    @pytest.mark.parametrize("steps", [1, 2, 10_000])
    def test_accuracy(self, steps):
        drawn(plots.plot_accuracy(evaluation(steps=steps)))
        drawn(plots.plot_accuracies({f"{LONG}{i}": evaluation(steps=steps) for i in range(3)}))

    def test_accuracies_of_many_networks(self):
        axes = plots.plot_accuracies({f"network {i}": evaluation() for i in range(200)})
        assert len(drawn(axes).legends[0].get_texts()) <= 61
        assert len(axes[1].lines) == 201

    @pytest.mark.parametrize("epochs", [1, 10_000])
    def test_history(self, epochs):
        drawn(plots.plot_history({"loss": [1.0] * epochs, "accuracy": [0.5] * epochs}))

    @pytest.mark.parametrize("layers", [1, 60, 1000])
    def test_operations(self, layers):
        rows = {f"{LONG}{i}": SimpleNamespace(flops=1e6, operations=float(i)) for i in range(layers)}
        ax = plots.plot_operations(SimpleNamespace(active_layers=lambda: rows, flops=1e6, operations=10.0))
        drawn(ax)
        assert len(ax.get_yticks()) <= 61

    @pytest.mark.parametrize("layers", [1, 20, 300])
    def test_diagnosis(self, layers):
        found = {
            f"{LONG}{i}": SimpleNamespace(
                name=f"{LONG}{i}",
                accuracy=0.9,
                error=(i * 7) % layers / layers,
                causes={"clipping": 0.1},
                largest_output=1.0,
                own_bound=0.1,
                pairs=np.zeros((0, 2)),
            )
            for i in range(layers)
        }
        diagnosis = SimpleNamespace(layers=found, findings=[], ann_accuracy=0.9, readout_points=0)
        diagnosis.evaluation = SimpleNamespace(input_layer=None, score_name="accuracy")
        axes = plots.plot_diagnosis(diagnosis)
        drawn(axes)
        assert len(axes) == 2 + min(layers, MOST_LAYERS)
        worst = sorted((layer.error for layer in found.values()), reverse=True)[:MOST_LAYERS]
        assert sorted((layer.error for layer in layers_to_draw(diagnosis)), reverse=True) == worst

    @pytest.mark.parametrize("draw", [plots.plot_image_response, plots.plot_life])
    @pytest.mark.parametrize(
        "shown",
        [
            {"layers": {f"{LONG}{i}": (3, 3, 2) for i in range(40)}},
            {"layers": {}},
            {"layers": {"conv": (3, 3, 2)}, "classes": 1},
            {"layers": {"conv": (3, 3, 2)}, "classes": 1000, "steps": 40},
            {"layers": {"conv": (3, 3, 2)}, "steps": 1},
            {"layers": {"conv": (3, 3, 2)}, "steps": 10_000},
            {"layers": {"conv": (3, 3, 2)}, "spikes": False},
        ],
        ids=lambda shown: ", ".join(f"{len(v) if isinstance(v, dict) else v} {k}" for k, v in shown.items()),
    )
    def test_recordings(self, draw, shown):
        drawn(draw(recording(**shown), class_names=[f"{LONG}{i}" for i in range(shown.get("classes", 4))]))

    @pytest.mark.parametrize("shape", [(1, 9, 9, 2), (3000, 9, 9, 2), (20, 5, 400, 1)])
    def test_event_frames(self, shape):
        axes = plots.plot_event_frames(np.ones(shape))
        drawn(axes)
        assert len(axes) == min(shape[0], 64)
        if len(axes) == 64:
            assert axes[-1].get_title().startswith("frame 3000:")

    def test_class_scores_in_nengo_gui(self):
        names = [f"class {i}" for i in range(1000)]
        svg = scores_svg(np.arange(1000.0), names, 5)
        assert svg.count("<rect") == MAX_BARS
        assert ">class 999<" in svg and ">class 5<" in svg and ">class 500<" not in svg

    def test_names(self):
        assert short("conv_1") == "conv_1"
        assert len(short(LONG + "17")) <= 24 and short(LONG + "17").endswith("17") and "…" in short(LONG)
        assert short("1 $ or 2 $") == r"1 \$ or 2 \$"
        assert evenly(range(100), 3).tolist() == [0, 49, 99] and evenly([], 3).tolist() == []


class TestChannelsFirst:
    X = np.zeros((2, 3, 8, 11), np.float32)
    X[:, 0, 2:4, :] = 1  # a horizontal red bar

    @pytest.fixture(scope="class")
    def network(self):
        layers = tf.keras.layers
        keras = tf.keras.Sequential(
            [
                layers.Input((3, 8, 11)),
                layers.Rescaling(1.0),
                layers.Conv2D(4, 3, activation="relu", data_format="channels_first"),
                layers.Flatten(),
                layers.Dense(3),
            ]
        )
        return snc.to_spiking(snc.normalize(snc.convert(keras), self.X))

    def test_pictures(self, network):
        shown = snc.record(network, self.X[:1], n_steps=3)
        axes = plots.plot_image_response(shown)[0], plots.plot_life(shown)["input"]
        for ax in axes:
            pixels = ax.images[0].get_array()
            assert pixels.shape == (8, 11, 3)
            assert (pixels[2:4, :, 0] == 1).all() and not pixels[..., 1:].any() and not pixels[5].any()

    def test_poisson_spikes(self, network):
        poisson = network.rebuild(input_coding="poisson")
        axes = plots.plot_life(snc.record(poisson, self.X[:1], n_steps=8))
        pixels = axes["input/mean"].images[0].get_array()
        assert pixels.shape == (8, 11, 3) and not pixels[5].any() and pixels[2].any()

    def test_nengo_gui(self, network):
        axes = image_axes(network.model, network.model.input)
        first = _Picture(self.X[:1], ["bar"], axes)
        last = _Picture(np.moveaxis(self.X[:1], 1, -1), ["bar"], (0, 1, 2))
        assert first.pictures == last.pictures
        assert np.array_equal(first.images[0], self.X[0].ravel())  # the input of the network is unchanged

    def test_axes_are_told_from_what_reads_them(self, network):
        model = network.model
        assert image_axes(model, model.input) == (1, 2, 0)
        assert all(image_axes(model, name) == (0, 1, 2) for name in model.neurons)
        turned = make(
            specs.Input("image", shape=(4, 5, 2)),
            specs.Permute("turned", "image", axes=(1, 0, 2)),
            specs.Conv("conv", "turned", filters=2, kernel_size=(2, 2)),
        )
        assert image_axes(turned, "image") == (0, 1, 2)  # rows and columns are swapped, the channel stays last
        only = make(specs.Input("image", shape=(4, 5, 2)), specs.Flatten("f", "image"), specs.Dense("d", "f", units=2))
        assert image_axes(only, "image") == (0, 1, 2)
        assert image_axes(only, "d") == (0,)

    def test_maps_of_layers(self):
        numbers = maps_of((2, 3, 4), (1, 2, 0))
        assert np.array_equal(numbers, np.arange(24).reshape(2, 3, 4))
        volume = maps_of((2, 5, 3, 4), (1, 2, 3, 0))
        assert np.array_equal(volume, np.arange(120).reshape(2, 5, 3, 4)[:, 2])

    def test_input_spikes(self):
        x, spikes = self.X[0], np.repeat(self.X[:1], 4, axis=0)
        axes = plots.plot_input_spikes(x, spikes, data_format="channels_first")
        assert axes[0].images[0].get_array().shape == (8, 11, 3)
        with pytest.raises(SettingsError, match="data_format must be"):
            plots.plot_input_spikes(x, spikes, data_format="first")

    def test_augmentation(self):
        first = random_affine(data_format="channels_first")(self.X, np.random.default_rng(0))
        last = random_affine()(np.moveaxis(self.X, 1, -1), np.random.default_rng(0))
        assert np.array_equal(first, np.moveaxis(last, -1, 1))
        with pytest.raises(SettingsError, match="data_format must be"):
            random_affine(data_format="NCHW")
