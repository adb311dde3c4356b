"""Reports hold every picture and statistic of a run, and Python code that repeats it."""

import matplotlib.pyplot as plt
import nengo
import numpy as np
import pytest
from models import make, meeting_late
from report_page import Page, write_page

import nengo_snnconv as snc
from nengo_snnconv.compat import nengo_dl, tf
from nengo_snnconv.model import layers as specs
from nengo_snnconv.report.statistics import network_checksum
from nengo_snnconv.report.tables import activity_table


@pytest.fixture(scope="module")
def recording(trained, digits):
    return snc.record(trained, digits.x_test[:2], n_steps=20)


@pytest.fixture(scope="module")
def through_time():
    """A network trained briefly through time, its training data, and its evaluation."""
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
        assert text.count(">frame ") == 2 * 8  # eight of ten frames
        # accuracy, confusion, spikes, silent neurons, operations, loss and accuracy of the training, and of two
        # recordings frames, the mean frame, two layers and the scores
        assert len(Page(text).pictures) == 7 + 2 * 5
        for words in (
            "20 recordings; 10 steps; back end",
            "the spiking network over all steps",
            "class scores are firing rates of the output neurons",
            ">frame 1<",
            ">frame 10<",
            "spikes per neuron and recording (10 steps)",
        ):
            assert words in text
        for words in ("dashed line", "network with rates", "the ANN:", "nan %"):
            assert words not in text

    def test_still_images_are_no_recordings(self, through_time, tmp_path):
        network, frames, evaluation = through_time
        still = snc.evaluate(network, frames[:, 0], evaluation.y, n_steps=4)
        recording = snc.record(network, frames[:1, 0], n_steps=4)
        snc.write_report(tmp_path / "report.html", network, still, recording=recording)
        text = (tmp_path / "report.html").read_text()
        assert "20 images; 4 steps of 1 ms" in text
        assert ">frame " not in text


def test_a_recording_of_other_images(trained, evaluation, digits, tmp_path):
    """Their targets would be those of the first images of the evaluation."""
    others = snc.record(trained, digits.x_test[50:52], n_steps=20)
    with pytest.warns(snc.SnnConvWarning, match="recording is of other images"):
        snc.write_report(tmp_path / "report.html", trained, evaluation, recording=others)
    snc.write_report(tmp_path / "report.html", trained, evaluation, recording=others, images=[50, 51])


def test_report_holds_everything_in_one_file(trained, evaluation, recording, tmp_path):
    path = tmp_path / "out" / "report.html"
    options = {"class_names": "0123456789", "run": {"note": "<mine>"}, "command": "make <it>"}
    text, page = write_page(path, trained, evaluation, data="</script> & co", recording=recording, **options)
    # accuracy, confusion, spikes, silent neurons, operations, two of the training, five for each of two images
    assert len(page.pictures) == 7 + 2 * 5
    assert f"{100 * evaluation.accuracy[-1]:.2f} %" in text
    (accuracy, balanced, agreement), steps = evaluation.measures, f"after {evaluation.n_steps} steps"
    assert page.tables["Measures"] == [
        ["measure", steps, "with rates (ANN)"],
        ["accuracy", accuracy.text(accuracy.steps[-1]), accuracy.text(accuracy.ann)],
        ["balanced accuracy", balanced.text(balanced.steps[-1]), balanced.text(balanced.ann)],
        ["agreement with the ANN", agreement.text(agreement.steps[-1]), ""],
    ]
    settings = dict(page.tables["Settings of the run"])
    assert settings["note"] == "<mine>"
    assert settings["images"] == "100"
    assert settings["neuron_type"] == "LIF(min_voltage=-5, amplitude=0.0025)"
    assert settings["training"].startswith("images 1000, epochs 4, optimizer Adam, learning_rate 0.003, ")
    assert "seed 0" in settings["training"]
    assert [row[0] for row in page.tables["Layers of Nengo"][1:]] == list(trained.model.layers)
    assert page.code[0] == "make <it>"
    origin = dict(page.tables["Date, machine and versions"])
    assert {"written", "machine", "nengo_snnconv", "Python", "nengo-dl", "tensorflow", "numpy"} <= set(origin)

    found = snc.read_report(path)
    assert found["data"] == "</script> & co"
    assert found["title"] == page.headings[0][1] == "LIF network on </script> & co"
    assert found["evaluation"]["accuracy"] == evaluation.accuracy.tolist()
    assert found["efficiency"] == snc.efficiency(trained, evaluation).to_dict()
    assert found["network"]["history"]["loss"] == trained.history["loss"]
    assert found["origin"] == {name: value for name, value in origin.items() if name != "item"}


def test_read_report_reads_reports_only(tmp_path):
    (tmp_path / "other.html").write_text("<html><script>{}</script></html>")
    with pytest.raises(snc.FileFormatError, match="not a report"):
        snc.read_report(tmp_path / "other.html")


def test_report_of_a_network_of_rates(digits, tmp_path):
    network = snc.build_trainable(snc.preset("diehl-mnist"), nengo.RectifiedLinear())
    evaluation = snc.evaluate(network, digits.x_test[:10], digits.y_test[:10], n_steps=2)
    text, page = write_page(tmp_path / "report.html", network, evaluation)
    assert len(page.pictures) == 2
    assert [heading for level, heading in page.headings if level == 2] == ["Accuracy", "Network", "Settings", "Origin"]
    assert snc.read_report(tmp_path / "report.html")["efficiency"] is None


@pytest.fixture(scope="module")
def converted(digits):
    """A network with Poisson input, its evaluation, and a recording of it."""
    network = snc.normalize(snc.convert(snc.preset("diehl-mnist")), digits.x_train[:20], per="channel")
    network = snc.to_spiking(network, nengo.LIF(min_voltage=-5), input_coding="poisson")
    evaluation = snc.evaluate(network, digits.x_test[:5], digits.y_test[:5], n_steps=3)
    return network, evaluation, snc.record(network, digits.x_test[:1], n_steps=3)


def test_report_of_a_converted_network(converted, digits, tmp_path):
    network, evaluation, recording = converted
    text, page = write_page(tmp_path / "report.html", network, evaluation, data=digits, recording=recording)
    assert page.headings[0][1] == "LIF network on digits"
    assert f"{evaluation.input_layer.spikes_per_neuron:.2f} per input" in text
    assert "class scores are averages up to the step" in text
    tables = page.tables
    assert list(tables) == [
        "Measures",
        "Neurons",
        "Operations, spikes and energy",
        "Layers of Nengo",
        "Layers of the model",
        "Settings of the run",
        "Date, machine and versions",
    ]
    assert ["dropout1", "Dropout", "exact", "pool1"] in [row[:4] for row in tables["Layers of the model"]]
    layers = {row[0]: row for row in tables["Layers of Nengo"]}
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

    settings = dict(tables["Settings of the run"])
    assert settings["input_coding"] == "poisson"
    assert settings["neuron_type"] == "LIF(min_voltage=-5)"
    assert settings["fitted neurons"].endswith(f"amplitude {network.settings.match.neuron_type.amplitude:.4g}")
    assert settings["normalization"] == "method data, per channel, percentile 99.9, images 20"


def test_a_diagnosis_of_another_number_of_steps_is_noticed(digits, tmp_path):
    x, y = digits.x_test[:10], digits.y_test[:10]
    network = snc.to_spiking(snc.normalize(snc.convert(snc.preset("diehl-mnist")), digits.x_train[:50]))
    diagnosis = snc.diagnose(network, x, y, n_steps=3, try_remedies=False)
    evaluation = snc.evaluate(network, x, y, n_steps=5)
    with pytest.warns(snc.SnnConvWarning, match="different runs, of n_steps=5 and n_steps=3.* diagnosis.evaluation"):
        snc.write_report(tmp_path / "report.html", network, evaluation, diagnosis=diagnosis)
    snc.write_report(tmp_path / "report.html", network, diagnosis.evaluation, diagnosis=diagnosis)


def test_report_of_a_network_of_time_to_first_spike(digits, tmp_path):
    network = snc.to_ttfs(snc.convert(snc.preset("diehl-mnist")), digits.x_train[:20], 4)
    evaluation = snc.evaluate(network, digits.x_test[:5], digits.y_test[:5], backend="fast")
    recording = snc.record(network, digits.x_test[:1])
    text, page = write_page(tmp_path / "report.html", network, evaluation, recording=recording)
    # accuracy, confusion, spikes, silent neurons, spike times, operations, image with input, two layers, and scores
    assert len(page.pictures) == 6 + 5
    assert (3, "Spike times") in page.headings
    assert "membrane potentials, which are zero before the last stage" in text
    assert "without memory access and data transfer" in text
    found = snc.efficiency(network, evaluation)
    assert page.tables["Operations, spikes and energy"] == [list(row) for row in found.rows()]
    assert f"{found.ratio:.1f}" in text


@pytest.mark.parametrize("coding", ["constant", "poisson", "first spike"])
def test_operations_of_all_rows_add_up(coding):
    """Also those of constant input, and of spikes that maxima and relay neurons pass on."""
    pool = specs.MaxPool("pool", "sum", pool_size=(2, 2))
    model = meeting_late(pool, specs.Flatten("flat", "pool"), specs.Dense("scores", "flat", units=3))
    network = snc.normalize(snc.convert(model), method="model")
    x = np.random.default_rng(0).random((3, 4, 4, 2), dtype=np.float32)
    if coding == "first spike":
        network = snc.to_ttfs(network, x, n_steps=4)
    else:
        network = snc.to_spiking(network, input_coding=coding)
    evaluation = snc.evaluate(network, x, np.zeros(3, int), **({} if coding == "first spike" else {"n_steps": 6}))
    header, *rows = activity_table(network, evaluation, "Neurons").rows
    operations = {row[0]: float(row[-1].replace(",", "")) for row in rows if row[-1]}
    assert operations["pool"] > 0 and ("a_neurons again" in operations) == (coding == "first spike")
    total = snc.efficiency(network, evaluation).operations
    assert sum(operations.values()) == pytest.approx(total, abs=0.5 * len(operations))


class TestOwnSections:
    def test_pictures_tables_and_functions_that_draw(self, converted, tmp_path):
        network, evaluation, _ = converted
        figure, axes = plt.subplots(1, 2, figsize=(9, 3))
        axes[0].set(title="a title", xlabel="steps", ylabel="points")
        rows = [("what", "value"), ("<b>", "1")]
        colors = []

        def draws():
            ax = snc.plot_accuracy(evaluation)
            colors.append(ax.title.get_color())
            return {"one": ax}

        own = [("My <section>", "first\n\nsecond & last", axes, rows, draws), ("Another", "", figure)]
        text, page = write_page(tmp_path / "report.html", network, evaluation, sections=own)
        plt.close(figure)
        headings = [heading for level, heading in page.headings if level == 2]
        assert headings[3:5] == ["My <section>", "Another"]
        mine = [label for label in page.pictures if label.startswith(("My <section>", "Another"))]
        assert mine[0] == "My <section>: a title: points over steps"
        assert len(mine) == 3  # two axes of one figure are one picture
        assert page.tables["My <section>"] == [list(row) for row in rows]
        assert "second &amp; last" in text
        # the page sets the colors of the function's picture, and leaves finished pictures unchanged
        assert colors[0] not in text
        assert text.count('class="own"') == 2 and text.count("currentColor") > 50

    @pytest.mark.parametrize(
        ("section", "says"),
        [
            ("heading", "(heading, text"),
            (("heading",), "(heading, text"),
            (("", "text"), "must be str"),
            (("heading", "text", 3), "got int"),
            (("heading", "text", [("a", "b"), ("c",)]), "same number of cells"),
        ],
    )
    def test_what_cannot_be_shown_is_refused(self, converted, tmp_path, section, says):
        network, evaluation, _ = converted
        with pytest.raises(snc.SettingsError) as error:
            snc.write_report(tmp_path / "report.html", network, evaluation, sections=[section])
        assert says in str(error.value)
        assert error.value.argument == "sections"
        assert not (tmp_path / "report.html").exists()


class TestRunItAgain:
    """The Python code in a report repeats the run."""

    def again(self, path, network, evaluation, digits, **names):
        _, page = write_page(path, network, evaluation)
        code = page.code[-1].replace("augment=...", "augment=None")
        names = {"x": digits.x_test[:5], "y": digits.y_test[:5], "x_calibration": digits.x_train[:20], **names}
        exec(code, names)
        assert np.array_equal(names["evaluation"].scores, evaluation.scores)
        found = snc.read_report(path)
        assert found["calls"] == page.code[-1]
        snc.write_report(path, names["network"], names["evaluation"])
        return found["network"]["checksum"], snc.read_report(path)["network"]["checksum"]

    def test_converted(self, converted, digits, tmp_path):
        network, evaluation, _ = converted
        before, after = self.again(tmp_path / "r.html", network, evaluation, digits, model=snc.preset("diehl-mnist"))
        assert before == after
        other = network.rebuild(seed=5)
        snc.write_report(tmp_path / "other.html", other, evaluation)
        assert snc.read_report(tmp_path / "other.html")["network"]["checksum"] != before

    def test_own_objects_of_nengo(self, digits, tmp_path):
        layers = tf.keras.layers
        image = layers.Input((28, 28, 1))
        hidden = layers.Flatten()(layers.Conv2D(2, 5, strides=4, activation="relu")(image))
        model = tf.keras.Model(image, layers.Dense(10)(hidden))
        swap = {tf.keras.activations.relu: nengo.SpikingRectifiedLinear()}
        converter = nengo_dl.Converter(model, inference_only=True, swap_activations=swap, scale_firing_rates=100)
        converter.net.seed = 5
        net, inp, probe = converter.net, converter.inputs[image], converter.outputs[model.output]
        network = snc.from_nengo(net, inp, probe, seed=4)
        names = {"net": net, "inp": inp, "probe": probe}
        evaluation = snc.evaluate(network, digits.x_test[:5], digits.y_test[:5], n_steps=3)
        assert len(set(self.again(tmp_path / "r.html", network, evaluation, digits, **names))) == 1

    def test_time_to_first_spike(self, digits, tmp_path):
        network = snc.convert(snc.preset("diehl-mnist"), seed=3)
        network = snc.to_ttfs(network, digits.x_train[:20], 4, threshold="percentile", percentile=99, per="channel")
        evaluation = snc.evaluate(network, digits.x_test[:5], digits.y_test[:5], minibatch_size=2)
        model = snc.preset("diehl-mnist")
        assert len(set(self.again(tmp_path / "r.html", network, evaluation, digits, model=model))) == 1

    def test_calibrated_and_quantized(self, digits, tmp_path):
        layers = tf.keras.layers
        model = tf.keras.Sequential([layers.Input((28, 28, 1)), layers.Conv2D(4, 3, strides=2, activation="relu")])
        model.add(layers.Flatten())
        model.add(layers.Dense(10))
        network = snc.to_spiking(snc.normalize(snc.convert(model), method="model"))
        network = snc.calibrate(network, digits.x_train[:20], n_steps=3, progress=False)
        network = snc.quantize_weights(network, bits=4, per="layer")
        evaluation = snc.evaluate(network, digits.x_test[:5], digits.y_test[:5], n_steps=3)
        assert len(set(self.again(tmp_path / "r.html", network, evaluation, digits, model=model))) == 1
        assert "Integer weights" in (tmp_path / "r.html").read_text()

    def test_trained_with_rates_and_then_on_spikes(self, digits, tmp_path):
        layers, x, y = tf.keras.layers, digits.x_train[:20], digits.y_train[:20]
        model = tf.keras.Sequential([layers.Input((28, 28, 1))])
        model.add(layers.Conv2D(2, 5, strides=4, activation="relu", name="conv"))
        model.add(layers.Flatten())
        model.add(layers.Dense(10))
        options = {"epochs": 1, "batch_size": 10, "progress": False}
        training = snc.build_trainable(model, {"conv": nengo.RectifiedLinear(), "*": nengo.RectifiedLinear()})
        network = snc.train(training, x, y, **options, validation_split=0.5)
        network = snc.train(snc.normalize(snc.convert(network), x, per="channel"), x, y, **options)
        network = snc.normalize(network, x, method="balance", n_steps=4)
        network = snc.to_spiking(network, snc.SignedIntegrateAndFire())
        network = snc.calibrate(network, x, n_steps=4, seed=3, progress=False)
        network = snc.train(network, x, n_steps=4, **options)
        network = snc.quantize_weights(network, x)
        evaluation = snc.evaluate(network, digits.x_test[:5], digits.y_test[:5], n_steps=4)
        snc.save(network, tmp_path / "network.snn.npz")
        network = snc.load(tmp_path / "network.snn.npz")
        text, page = write_page(tmp_path / "r.html", network, evaluation)
        names = {"model": model, "x_train": x, "y_train": y, "x_calibration": x}
        names |= {"x": digits.x_test[:5], "y": digits.y_test[:5]}
        exec(page.code[-1], names)
        assert np.array_equal(names["evaluation"].scores, evaluation.scores)
        assert network_checksum(names["network"]) == network_checksum(network)
        calls = [line.partition("(")[0].rpartition(".")[2] for line in page.code[-1].splitlines()[3:]]
        assert calls[:4] == ["build_trainable", "train", "convert", "normalize"]
        assert calls[4:8] == ["train", "normalize", "to_spiking", "calibrate"]
        assert calls[8:] == ["train", "quantize_weights", "evaluate"]
        for words in (
            "the CNN that was converted, in one pass",
            "the weights of the spiking network have changed since then",
            "Loss and accuracy of the network with rates, then of the spiking network in 4 steps during training",
        ):
            assert words in text
        assert "the same weights in one pass" not in text

    def test_trained_through_time(self, through_time, tmp_path):
        network, frames, evaluation = through_time
        _, page = write_page(tmp_path / "report.html", network, evaluation)
        building, training, evaluating = page.code[-1].splitlines()[-3:]
        assert building.endswith("build_trainable(model, neuron_type=snc.SurrogateLIF(slope=4.0), output_neurons=True)")
        call_and_comment = training.partition("  # ")
        assert call_and_comment[0].endswith("n_steps=10, epochs=1, batch_size=10, learning_rate=0.0001)")
        assert call_and_comment[2] == "20 images, Adam, firing_rate_error"
        assert evaluating.endswith("n_steps=10, backend='fast')")
