"""diagnose: losses add up exactly, and are the same on all back ends; arguments and results."""

import dataclasses
import functools

import matplotlib
import nengo
import numpy as np
import pytest
from diagnosed_networks import diagnosed as diagnosed_with_remedies
from diagnosed_networks import normalised
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from keras_graphs import random_model
from models import branched, make, small_cnn
from trained_models import half_digits

import nengo_snnconv as snc
from nengo_snnconv.analysis.diagnosis import result
from nengo_snnconv.analysis.diagnosis.findings import Finding
from nengo_snnconv.model import layers as specs
from nengo_snnconv.passes import simplify

diagnosed = functools.partial(diagnosed_with_remedies, try_remedies=False)


def test_the_points_add_up_to_the_loss():
    for options in ({}, {"input_coding": "poisson", "input_threshold": 3}, {"readout": "spikes"}):
        diagnosis = diagnosed(snc.to_spiking(normalised("vgg"), **options), n_steps=5, n_images=50)
        assert sum(diagnosis.points().values()) == pytest.approx(diagnosis.loss_points, abs=1e-6)
        assert diagnosis.evaluation.ann_accuracy == diagnosis.ann_accuracy


def test_the_last_layer_with_its_rates_has_the_accuracy_of_the_spiking_network():
    """The read-out is linear, so the ANN that continues with the last rates is the spiking network."""
    diagnosis = diagnosed(snc.to_spiking(normalised("plain")), n_steps=6)
    assert list(diagnosis.layers.values())[-1].accuracy == pytest.approx(diagnosis.accuracy, abs=0.006)
    assert diagnosis.readout_points == pytest.approx(0, abs=0.6)


def test_late_accuracy_is_that_of_skipped_steps():
    network = snc.to_spiking(normalised("plain"))
    _, _, x, y = half_digits()
    diagnosis = diagnosed(network, n_steps=8)
    later = snc.evaluate(network, x[:100], y[:100], n_steps=8, skip_steps=4)
    assert diagnosis.late_accuracy == pytest.approx(later.accuracy[-1], abs=1e-9)


def test_both_back_ends_give_the_same_diagnosis():
    """With dyadic weights and images, all sums are exact in both precisions."""
    model = branched()
    model = model.replace(arrays={name: np.round(8 * array) / 16 for name, array in model.arrays.items()})
    with pytest.warns(UserWarning, match="was not normalized"):
        network = snc.to_spiking(snc.convert(model))
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 17, (5, 8, 8, 2)) / 16, rng.integers(0, 3, 5)
    options = {"n_steps": 8, "try_remedies": False}
    one, other = (snc.diagnose(network, x, y, **options, backend=backend) for backend in ("nengo_dl", "nengo"))
    for name in one.layers:
        for field in ("error", "accuracy", "level", "dead", "saturated", "largest_error"):
            assert getattr(one.layers[name], field) == pytest.approx(getattr(other.layers[name], field), rel=1e-6)
        assert one.layers[name].causes == pytest.approx(other.layers[name].causes, abs=1e-6)


def test_a_tuned_network_is_diagnosed_after_its_own_number_of_steps():
    _, _, x, y = half_digits()
    network = snc.to_spiking(normalised("plain"))
    assert snc.diagnose(network, x[:10], y[:10], try_remedies=False).n_steps == 30
    tuned = network.rebuild(network.model.replace(metadata={**network.model.metadata, "n_steps": 7}))
    diagnosis = snc.diagnose(tuned, x[:10], y[:10], try_remedies=False)
    assert diagnosis.n_steps == snc.evaluate(tuned, x[:10], y[:10]).n_steps == 7
    assert diagnosed(tuned, n_steps=4, n_images=10).n_steps == 4


def test_bounds_are_rounded_up():
    """Otherwise, a measured error of 0.03125 appears as 0.0313, and its bound of 0.03125 as 0.0312."""
    texts = {0.03125: "0.0313", 0.5: "0.5", float(np.float32(0.1)): "0.1", 123.4: "124", 0.0999: "0.0999", 0.0: "0"}
    assert {bound: result._rounded_up(bound) for bound in texts} == texts


def test_one_step_and_one_image_are_singular():
    diagnosis = diagnosed(snc.to_spiking(normalised("plain")), n_steps=1, n_images=1)
    assert "with spikes after 1 step: " in diagnosis.sentences()[0] and diagnosis.sentences()[0].endswith(" on 1 image")
    assert "<Evaluation: 1 image, accuracy" in repr(diagnosis.evaluation) and "after 1 step," in repr(
        diagnosis.evaluation
    )


def test_chunks_and_minibatches_make_no_difference():
    network = snc.to_spiking(normalised("vgg"))
    whole = diagnosed(network, n_steps=6, n_images=50)
    parts = diagnosed(network, n_steps=6, n_images=50, minibatch_size=20, memory_mb=1)
    for name in whole.layers:
        assert whole.layers[name].causes == pytest.approx(parts.layers[name].causes, abs=1e-5)
    assert whole.points() == pytest.approx(parts.points())


def test_largest_errors_stay_within_their_bounds():
    diagnosis = diagnosed(snc.to_spiking(normalised("residual")), n_steps=16, n_images=50)
    for layer in diagnosis.layers.values():
        assert layer.largest_error <= layer.bound + 1e-5
        assert layer.own_bound == 0.5 / 16
    for row in diagnosis.rows()[1:]:
        assert float(row[-2]) <= float(row[-1])
    unbounded = diagnosed(snc.to_spiking(normalised("residual"), nengo.LIF(min_voltage=-5)), n_steps=4, n_images=20)
    assert all(layer.bound is None for layer in unbounded.layers.values())


@pytest.mark.parametrize(
    "change, error, word",
    [
        ({"network": "a network"}, snc.ConversionError, "to_spiking"),
        ({"n_steps": 0}, snc.SettingsError, "n_steps"),
        ({"max_loss": -1}, snc.SettingsError, "max_loss must be a number of percentage points, 0 or more; got -1"),
        ({"max_loss": float("nan")}, snc.SettingsError, "max_loss"),
        ({"max_loss": "1"}, snc.SettingsError, "max_loss"),
        ({"n_steps": True}, snc.SettingsError, "n_steps"),
        ({"x": np.zeros((3, 6, 6, 1))}, snc.SettingsError, "x must have shape"),
        ({"y": np.zeros(2, int)}, snc.SettingsError, "equally many"),
        ({"y": np.zeros(3)}, snc.SettingsError, "class numbers"),
        ({"x_calibration": np.zeros((3, 6, 6, 1))}, snc.SettingsError, "x must have shape"),
        ({"try_remedies": 1}, snc.SettingsError, "try_remedies"),
        ({"backend": "abacus"}, snc.ConversionError, "abacus"),
    ],
)
def test_bad_arguments_are_named(change, error, word):
    network = snc.to_spiking(snc.normalize(snc.convert(small_cnn()), method="model"))
    arguments = {"network": network, "x": np.zeros((3, 6, 6, 2)), "y": np.zeros(3, int), **change}
    with pytest.raises(error, match=word):
        snc.diagnose(**arguments)


def test_networks_that_do_not_spike_are_refused():
    rates = snc.convert(small_cnn())
    with pytest.raises(snc.ConversionError, match="rates"):
        snc.diagnose(rates, np.zeros((3, 6, 6, 2)), np.zeros(3, int))


def test_findings_list_the_layers_whose_points_they_sum():
    diagnosis = diagnosed(
        snc.to_spiking(normalised("plain"), snc.IntegrateAndFire(initial_potential=0)), n_steps=2, n_images=50
    )
    finding = diagnosis.findings[0]
    assert sum(lost for *_, lost in finding.parts) == pytest.approx(finding.points)
    table = "\n".join(" ".join(row) for row in diagnosis.rows())
    for layer, cause, lost in finding.parts:
        assert diagnosis.layers[layer].points[cause] == lost
        if abs(lost) >= 0.05 and len(finding.parts) <= 4:
            assert f"{-lost:+.1f} " in finding.title
            assert f"({-lost:+.1f})" in table
    assert f"{finding.title}: {finding.text}" in diagnosis.sentences()
    assert repr(finding) == f"<Finding: {finding.title}>"
    others = diagnosis.loss_points - sum(each.points for each in diagnosis.findings)
    assert ("all other causes" in diagnosis.summary()) == (abs(others) >= 0.005)
    # errors of unevenness are larger, but quantisation costs more
    errors, points = {"quantisation": 0.1, "unevenness": 0.9}, {"quantisation": 9.0, "unevenness": 1.0}
    layers = {
        name: dataclasses.replace(layer, causes=errors, points=points) for name, layer in diagnosis.layers.items()
    }
    finding = dataclasses.replace(diagnosis, layers=layers, max_loss=-100).findings[0]
    assert finding.cause == "quantisation" and "-9.0 in " in finding.title and "by quantisation" not in finding.title
    assert "the points include those of unevenness" in finding.text


def test_titles_of_findings():
    parts = [("a", "quantisation", 4.0), ("b", "transient", 3.5), ("c", "quantisation", 0.01)]
    many = [(str(number), "quantisation", 2.0) for number in range(1, 6)]
    for title, points, terms in (
        ("a: quantisation, 4.01 points", 4.01, [parts[0], parts[2]]),
        ("quantisation, 7.50 points (-4.0 in a, -3.5 by transient in b)", 7.5, parts[:2]),
        ("quantisation, 10.00 points (-2.0 in 1, -2.0 in 2, -2.0 in 3, -2.0 in 4, -2.0 in others)", 10.0, many),
        ("a: quantisation, 9.00 points from this layer on", 9.0, []),
        ("a: quantisation", 0.0, []),
    ):
        assert Finding("a", "quantisation", points, "", (), tuple(terms)).title == title


def test_black_images_and_single_images_are_diagnosed():
    network = snc.to_spiking(snc.normalize(snc.convert(small_cnn()), method="model"))
    for n_images, n_steps in ((1, 1), (3, 2), (3, 3)):
        diagnosis = snc.diagnose(network, np.zeros((n_images, 6, 6, 2)), np.zeros(n_images, int), n_steps=n_steps)
        assert np.isfinite([layer.error for layer in diagnosis.layers.values()]).all()
        assert diagnosis.summary()


def test_results_are_json_and_the_plot_shows_every_layer():
    import json

    diagnosis = diagnosed(snc.to_spiking(normalised("residual")), n_steps=2, n_images=50)
    figures = json.loads(json.dumps(diagnosis.to_dict()))
    assert figures["findings"][0]["cause"] == "quantisation"
    assert figures["layers"].keys() == diagnosis.layers.keys()
    axes = diagnosis.plot()
    assert len(axes) == 2 + len(diagnosis.layers)
    assert all(isinstance(ax, matplotlib.axes.Axes) for ax in axes)
    for ax, (name, layer) in zip(axes[2:], diagnosis.layers.items(), strict=True):
        assert ax.get_title().startswith(f"{name}\n")
        dots = [line for line in ax.lines if line.get_marker() == "."][0]
        assert np.array_equal(dots.get_xydata(), layer.pairs)
    widths = [bar.get_width() for bar in axes[0].patches]
    assert widths == pytest.approx(
        [100 * diagnosis.ann_accuracy, *(100 * a.accuracy for a in diagnosis.layers.values())]
    )


def test_a_diagnosis_is_not_changed():
    diagnosis = diagnosed(snc.to_spiking(normalised("vgg")), n_steps=2, n_images=20)
    with pytest.raises(dataclasses.FrozenInstanceError):
        diagnosis.max_loss = 2


@given(st.integers(0, 2**32 - 1), st.integers(2, 7), st.sampled_from([1, 2, np.inf]), st.sampled_from([1, 2, 5]))
@settings(max_examples=8, deadline=None, derandomize=True, phases=[Phase.generate])
def test_random_graphs_are_diagnosed_and_their_points_add_up(seed, n_layers, max_spikes, n_steps):
    model = simplify(snc.as_model(random_model(seed, n_layers)))
    if not any(isinstance(layer, specs.Rectifier) for layer in model.layers.values()):
        return
    if len(model.shapes[model.output]) != 1:
        return
    rng = np.random.default_rng(seed)
    x = rng.uniform(-0.5, 1, (6, *model.shapes[model.input])).astype(np.float32)
    y = rng.integers(0, model.size(model.output), 6)
    network = snc.normalize(snc.convert(model), x)
    network = snc.to_spiking(network, snc.IntegrateAndFire(max_spikes=max_spikes))
    diagnosis = snc.diagnose(network, x, y, n_steps=n_steps)
    assert sum(diagnosis.points().values()) == pytest.approx(diagnosis.loss_points, abs=1e-6)
    for layer in diagnosis.layers.values():
        assert np.isfinite([layer.error, *layer.causes.values(), *layer.points.values()]).all()
        assert layer.largest_error <= layer.bound + 1e-4
    assert diagnosis.summary()


def test_consecutive_layers_of_neurons_are_diagnosed():
    model = make(
        specs.Input("image", shape=(4, 4, 1)),
        specs.Conv("conv", "image", filters=2, kernel_size=(3, 3)),
        specs.Rectifier("one", "conv"),
        specs.Rectifier("two", "one"),
        specs.Flatten("flat", "two"),
        specs.Dense("scores", "flat", units=3),
    )
    network = snc.to_spiking(snc.normalize(snc.convert(model), method="model"))
    diagnosis = snc.diagnose(network, np.full((2, 4, 4, 1), 0.5), np.zeros(2, int), n_steps=4)
    assert list(diagnosis.layers) == ["one", "two"]
