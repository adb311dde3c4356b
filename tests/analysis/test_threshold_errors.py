"""threshold_errors agree with a direct computation and with neurons of time to first spike."""

import json

import numpy as np
import pytest
from models import branched, make, small_cnn

import nengo_snnconv as snc
from nengo_snnconv.analysis.threshold_errors import rounding_errors
from nengo_snnconv.conversion.calibration import upper_bounds
from nengo_snnconv.model import layers as specs


def images(model, n, low=0.0):
    return np.random.default_rng(1).uniform(low, 1, (n, *model.shapes[model.input])).astype(np.float32)


def direct(network, x, layer, n_steps, thresholds):
    """Return the errors from all activations at once."""
    activations = snc.rate_model(network, [layer])(x).numpy().astype(float)
    errors = np.empty((len(n_steps), len(thresholds)))
    for i, n in enumerate(n_steps):
        for j, threshold in enumerate(thresholds):
            emitted = np.minimum(np.floor(n * activations / threshold + 0.5), n) * threshold / n
            errors[i, j] = np.sqrt(np.mean((emitted - activations) ** 2) / np.mean(activations**2))
    return errors


def test_rounding_and_clipping_by_hand():
    # in 4 steps of 1/2: 0.2 becomes 0, 0.9 becomes 1, and 3 is clipped at 2
    values, counts = np.array([0.2, 0.9, 3.0]), np.array([2, 1, 1])
    errors = rounding_errors(values, counts, [4], np.array([2.0]))
    assert errors == pytest.approx(np.sqrt((2 * 0.04 + 0.01 + 1) / (2 * 0.04 + 0.81 + 9)))


@pytest.mark.parametrize(("make_model", "layer"), [(small_cnn, "neurons"), (branched, "c_neurons")])
def test_errors_are_those_of_a_direct_computation(make_model, layer):
    network = snc.convert(make_model())
    x = images(network.model, 300)
    found = snc.threshold_errors(network, x, layer)
    assert found.layer == layer
    assert found.errors.shape == (5, 60)
    expected = direct(network, x, layer, found.n_steps, found.thresholds)
    # bins are 1.1 % wide, and values are assumed to be evenly spaced in them
    np.testing.assert_allclose(found.errors, expected, rtol=0.03)
    assert found.largest == pytest.approx(snc.rate_model(network, [layer])(x).numpy().max())
    assert found.thresholds[0] == pytest.approx(0.02 * found.largest)
    assert found.thresholds[-1] == pytest.approx(1.2 * found.largest)
    best = expected.argmin(axis=1)
    np.testing.assert_allclose(found.best_errors, expected.min(axis=1), rtol=0.03)
    np.testing.assert_allclose(found.best, found.thresholds[best], rtol=0.1)


def test_more_steps_have_higher_best_thresholds_and_smaller_errors():
    network = snc.convert(small_cnn())
    found = snc.threshold_errors(network, images(network.model, 200))
    assert found.layer == "neurons"
    assert (np.diff(found.best) >= 0).all()
    assert found.best[0] < found.best[-1] <= found.largest * 1.2
    assert (np.diff(found.best_errors) < 0).all()


def test_the_threshold_of_the_paper_is_worse_than_the_best():
    network = snc.convert(branched())
    x = images(network.model, 100, low=-1)
    found = snc.threshold_errors(network, x, "c_neurons", n_steps=[8, 16])
    low, high = float(x.min()), float(x.max())
    assert found.upper_bound == upper_bounds(network.model, low, high)["c_neurons"].max() > found.largest
    expected = direct(network, x, "c_neurons", (8, 16), [found.upper_bound])[:, 0]
    np.testing.assert_allclose(found.upper_bound_errors, expected, rtol=0.03)
    assert (found.upper_bound_errors > 2 * found.best_errors).all()


def test_the_error_is_that_of_neurons_of_time_to_first_spike():
    """Images hold dyadic numbers, so the input is exact."""
    network = snc.convert(small_cnn())
    x = np.random.default_rng(0).integers(0, 9, (200, 6, 6, 2)).astype(np.float32) / 8
    threshold = 1.5
    (error,) = snc.threshold_errors(network, x, n_steps=[8], thresholds=[threshold]).errors[0]
    spikes = snc.record(snc.to_ttfs(network, x, 8, threshold=threshold, x_max=1), x).spikes["neurons"]
    emitted = threshold * np.where(spikes.any(axis=1), 16 - spikes.argmax(axis=1), 0) / 8
    activations = snc.rate_model(network, ["neurons"])(x).numpy().reshape(emitted.shape)
    measured = np.sqrt(np.square(emitted - activations).mean() / np.square(activations).mean())
    assert error == pytest.approx(measured, rel=0.03)


def test_as_json():
    network = snc.convert(small_cnn())
    found = snc.threshold_errors(network, images(network.model, 20), n_steps=4, thresholds=[1, 2])
    read = json.loads(json.dumps(found.to_dict()))
    assert read["n_steps"] == [4]
    assert read["errors"] == found.errors.tolist()
    assert read["best"] == found.best.tolist()


def test_refused():
    model = small_cnn()
    network, x = snc.convert(model), images(model, 3)
    silent = network.rebuild(model.replace(arrays={name: 0 * array for name, array in model.arrays.items()}))
    no_neurons = make(
        specs.Input("image", shape=(4,)), specs.Flatten("flat", "image"), specs.Dense("scores", "flat", units=2)
    )
    for wrong, message in (
        (model, "got Model: call convert first"),
        (snc.to_ttfs(network, x), "call convert first"),
        (snc.to_spiking(snc.normalize(network, x)), "this one has spikes"),
        (snc.convert(no_neurons), "no rectifier"),
    ):
        with pytest.raises(snc.ConversionError, match=message):
            snc.threshold_errors(wrong, x)
    with pytest.raises(snc.SettingsError, match="is never active") as caught:
        snc.threshold_errors(silent, x)
    assert caught.value.argument == "x"
    for n_steps in ([4, 0], [2.5]):
        with pytest.raises(snc.SettingsError, match="n_steps must be"):
            snc.threshold_errors(network, x, n_steps=n_steps)
    for name, value in (("layer", "conv"), ("n_steps", []), *(("thresholds", v) for v in ([1, -1], [], 1.0))):
        with pytest.raises(snc.SettingsError) as caught:
            snc.threshold_errors(network, x, **{name: value})
        assert caught.value.argument == name
    with pytest.raises(snc.SettingsError) as caught:
        snc.threshold_errors(network, x, "conv")
    assert str(caught.value) == "layer must be a layer of neurons, one of ['neurons']; got 'conv'"
    with pytest.raises(snc.SettingsError, match="x must have shape"):
        snc.threshold_errors(network, x[..., :1])
