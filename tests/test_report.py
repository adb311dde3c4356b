import html.parser

import matplotlib.figure
import nengo
import numpy as np
import pytest

import nengo_snnconv as snc
from nengo_snnconv import plots


@pytest.fixture(scope="module")
def recording(trained, digits):
    return snc.record(trained, digits.x_test[:2], n_steps=20)


class TestPlots:
    def test_history(self, trained):
        loss, accuracy = snc.plot_history(trained.history)
        assert loss.get_lines()[0].get_ydata().tolist() == trained.history["loss"]
        assert np.allclose(accuracy.get_lines()[0].get_ydata(), 100 * np.array(trained.history["accuracy"]))

    def test_history_of_an_untrained_network(self):
        with pytest.raises(snc.SettingsError, match="not trained"):
            snc.plot_history({})

    def test_confusion_writes_every_count(self, evaluation):
        axes = snc.plot_confusion(evaluation)
        counts = evaluation.confusion()
        assert sorted(int(text.get_text()) for text in axes.texts) == sorted(counts[counts > 0].tolist())
        assert axes.get_title() == "Confusion after 20 steps"

    def test_spike_counts(self, evaluation):
        spikes, silent = snc.plot_spike_counts(evaluation)
        assert len(spikes.patches) == len(silent.patches) == 3
        assert [bar.get_width() for bar in spikes.patches] == [
            layer.spikes_per_neuron for layer in evaluation.layers.values()
        ]

    def test_image_response_draws_every_spike_of_the_neurons_it_shows(self, recording):
        axes = snc.plot_image_response(recording, 0, true_class=3, max_neurons=10**6)
        for ax, spikes in zip(axes[1:-1], recording.spikes.values(), strict=True):
            drawn = sum(len(collection.get_positions()) for collection in ax.collections)
            assert drawn == (spikes[0] > 0).sum()
        for label, line in enumerate(axes[-1].get_lines()):
            assert np.array_equal(line.get_ydata(), recording.filtered[0, :, label])

    def test_draws_into_given_axes(self, evaluation):
        axes = matplotlib.figure.Figure().add_subplot()
        assert plots.plot_accuracy(evaluation, axes) is axes


@pytest.mark.parametrize("shape", [(6, 6, 2), (6, 6, 3), (1, 12, 1), (4, 6, 6, 1), (20, 3), (20,)])
def test_inputs_of_any_shape_are_drawn(shape, rng):
    from models import make

    from nengo_snnconv.model import layers as specs

    model = make(
        specs.Input("image", shape=shape),
        specs.Flatten("flat", "image"),
        specs.Rectifier("neurons", "flat"),
        specs.Dense("scores", "neurons", units=30),
    )
    recording = snc.record(snc.build_trainable(model), rng.random((1, *shape)), n_steps=5)
    axes = snc.plot_image_response(recording, true_class=7)
    assert axes[0].images or axes[0].lines
    axes[0].figure.canvas.draw()


@pytest.fixture(scope="module")
def through_time():
    """A network that learned a little through time, what it was shown, and its evaluation."""
    from models import make

    from nengo_snnconv.model import layers as specs

    rng = np.random.default_rng(0)
    model = make(
        specs.Input("image", shape=(6, 5, 2)),
        specs.Conv("conv", "image", filters=4, kernel_size=(3, 3)),
        specs.Rectifier("conv_relu", "conv"),
        specs.Flatten("flat", "conv_relu"),
        specs.Dense("scores", "flat", units=3),
        seed=2,  # its output neurons spike
    )
    network = snc.build_trainable(model, snc.SurrogateLIF(), output_neurons=True)
    frames, labels = rng.poisson(4.0, (20, 10, 6, 5, 2)).astype(np.float32), np.arange(20) % 3
    network = snc.train(network, frames, labels, epochs=1, batch_size=10, learning_rate=1e-4)
    return network, frames, snc.evaluate(network, frames, labels)


class TestOfRecordings:
    @pytest.fixture(scope="class")
    def shown(self, through_time):
        network, frames, _ = through_time
        return snc.record(network, frames[:2])

    def test_output_neurons_are_all_drawn_and_named(self, shown):
        axes = snc.plot_image_response(shown, 1, true_class=0, class_names=["a", "b", "c"])
        raster = axes[-2]
        spikes = shown.spikes["output_neurons"][1]
        for label, train in enumerate(raster.collections):
            assert np.array_equal(train.get_positions(), 1 + np.flatnonzero(spikes[:, label]))
            assert train.get_lineoffset() == label
        assert spikes.any()
        assert [text.get_text() for text in raster.get_yticklabels()] == ["a", "b", "c"]
        assert [text.get_fontweight() for text in raster.get_yticklabels()] == ["bold", "normal", "normal"]
        assert {ax.get_xlabel() for ax in axes[1:]} == {"time step"}

    def test_the_mean_frame_is_in_colours(self, shown):
        image = snc.plot_image_response(shown)[0].images[0].get_array()
        assert image.shape == (6, 5, 3)
        off, on = np.moveaxis(shown.images[0], -1, 0)
        red, _, blue = np.moveaxis(image, -1, 0)
        # OFF is blue, which takes most of the red; ON is orange, which takes most of the blue
        assert (red[off > 2 * on] < blue[off > 2 * on]).all()
        assert (blue[on > 2 * off] < red[on > 2 * off]).all()

    def test_report(self, through_time, shown, tmp_path):
        network, _, evaluation = through_time
        snc.write_report(tmp_path / "report.html", network, evaluation, recording=shown)
        text = (tmp_path / "report.html").read_text()
        assert text.count(">frame ") == 2 * 8  # of ten, evenly picked
        # training, accuracy, confusion, spike counts, operations, and of two recordings frames and responses
        assert Page(text).tags.count("svg") == 9
        for words in (
            "20 recordings, 10 steps, back end",
            "the network as it spikes, over all steps",
            "the class scores are firing rates of the output neurons",
            ">frame 1<",
            ">frame 10<",
            "spikes per neuron and recording in 10 steps",
        ):
            assert words in text
        for words in ("dashed line", "rate network", "of the ANN", "nan %"):
            assert words not in text

    def test_still_images_are_no_recordings(self, through_time, tmp_path):
        network, frames, evaluation = through_time
        still = snc.evaluate(network, frames[:, 0], evaluation.y, n_steps=4)
        recording = snc.record(network, frames[:1, 0], n_steps=4)
        snc.write_report(tmp_path / "report.html", network, still, recording=recording)
        text = (tmp_path / "report.html").read_text()
        assert "20 images, 4 steps of 1 ms" in text
        assert ">frame " not in text


def test_confusion_after_an_earlier_step(evaluation):
    assert snc.plot_confusion(evaluation, step=-2).get_title() == "Confusion after 19 steps"


class Page(html.parser.HTMLParser):
    """The tags and links of a page, and its tables: {heading: rows of cells}."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.links, self.tables = [], [], {}
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.links += [value for name, value in attributes if name in ("src", "href", "xlink:href")]
        if tag == "h2":
            self.heading = ""
        elif tag == "tr":
            self.tables.setdefault(self.heading, []).append([])
        elif tag in ("td", "th"):
            self.tables[self.heading][-1].append("")

    def handle_data(self, data):
        if self.tags and self.tags[-1] == "h2" and not self.heading:
            self.heading = data
        elif self.tags and self.tags[-1] in ("td", "th") and data.strip():
            self.tables[self.heading][-1][-1] += data


def test_report_holds_everything_in_one_file(trained, evaluation, recording, tmp_path):
    path = tmp_path / "out" / "report.html"
    snc.write_report(path, trained, evaluation, recording=recording, class_names="0123456789", run={"data": "<digits>"})
    text = path.read_text()
    page = Page(text)
    # training, accuracy, confusion, spike counts, operations, two images
    assert page.tags.count("svg") == 7
    assert all(link.startswith(("#", "data:")) for link in page.links)
    assert "script" not in page.tags
    assert f"{100 * evaluation.accuracy[-1]:.2f} %" in text
    assert "&lt;digits&gt;" in text
    for name in trained.model.layers:
        assert f"<td>{name}</td>" in text
    for fact in ("nengo-dl", "tensorflow", "neuron_type", "seed", "LIF(min_voltage=-5, amplitude=0.0025)"):
        assert fact in text


def test_report_of_a_network_of_rates(digits, tmp_path):
    network = snc.build_trainable(snc.preset("diehl-mnist"), nengo.RectifiedLinear())
    evaluation = snc.evaluate(network, digits.x_test[:10], digits.y_test[:10], n_steps=2)
    snc.write_report(tmp_path / "report.html", network, evaluation)
    assert Page((tmp_path / "report.html").read_text()).tags.count("svg") == 2


def test_report_of_a_converted_network(digits, tmp_path):
    network = snc.normalize(snc.convert(snc.preset("diehl-mnist")), digits.x_train[:20], per="channel")
    network = snc.to_spiking(network, nengo.LIF(min_voltage=-5), input_coding="poisson")
    evaluation = snc.evaluate(network, digits.x_test[:5], digits.y_test[:5], n_steps=3)
    recording = snc.record(network, digits.x_test[:1], n_steps=3)
    snc.write_report(tmp_path / "report.html", network, evaluation, recording=recording)
    text = (tmp_path / "report.html").read_text()
    assert f"<b>{evaluation.input_layer.spikes_per_neuron:.2f}</b><span>spikes per input and image" in text
    assert "class scores are averaged from the first step on" in text
    tables = Page(text).tables
    assert list(tables) == ["Efficiency", "Reading", "Layers", "Neurons", "Settings"]
    assert all(len(row) == len(rows[0]) for rows in tables.values() for row in rows)
    assert ["dropout1", "Dropout", "exact", "pool1"] in [row[:4] for row in tables["Reading"]]
    layers = {row[0]: row for row in tables["Layers"]}
    assert layers["image"][3] == "Ensemble (PoissonInput)"
    assert "response within" in layers["conv1_relu"][5]

    neurons = {row[0]: dict(zip(tables["Neurons"][0], row, strict=True)) for row in tables["Neurons"][1:]}
    assert list(neurons) == ["image", "conv1_relu", "conv2_relu", "dense1"]
    scales = network.model.metadata["scales"]["conv1_relu"]
    shown = [float(value) for value in neurons["conv1_relu"]["scale"].split(" to ")]
    assert shown == pytest.approx([min(scales), max(scales)], rel=1e-3)
    assert float(neurons["dense1"]["scale"]) == pytest.approx(network.model.metadata["scales"]["dense1"][0], rel=1e-3)
    assert neurons["image"]["spikes / neuron"] == f"{evaluation.input_layer.spikes_per_neuron:.3f}"
    assert not neurons["dense1"]["neurons"]

    settings = dict(tables["Settings"])
    assert settings["input_coding"] == "poisson"
    assert settings["neuron_type"] == "LIF(min_voltage=-5)"
    assert settings["neurons as fitted"].endswith(f"amplitude {network.settings.match.neuron_type.amplitude:.4g}")


def test_report_of_a_network_of_time_to_first_spike(digits, tmp_path):
    network = snc.to_ttfs(snc.convert(snc.preset("diehl-mnist")), digits.x_train[:20], 4)
    evaluation = snc.evaluate(network, digits.x_test[:5], digits.y_test[:5], backend="fast")
    recording = snc.record(network, digits.x_test[:1])
    snc.write_report(tmp_path / "report.html", network, evaluation, recording=recording)
    text = (tmp_path / "report.html").read_text()
    page = Page(text)
    # accuracy, confusion, spike counts, spike times, operations, one image
    assert page.tags.count("svg") == 6
    assert "<h2>Spike times</h2>" in text
    assert "membrane potentials, which are zero before the last stage" in text
    assert "moving data and reading memory are not in it" in text
    found = snc.efficiency(network, evaluation)
    assert page.tables["Efficiency"] == [list(row) for row in found.rows()]
    assert f"{found.ratio:.1f}" in text
