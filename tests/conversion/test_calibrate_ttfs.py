"""calibrate for networks of time to first spike."""

import numpy as np
import pytest
from test_calibrate import images, residual  # noqa: F401 -- a fixture

import nengo_snnconv as snc
from nengo_snnconv.conversion.spike_levels import SpikeLevels
from nengo_snnconv.evaluation.ttfs_closed_form import ClosedForm

CODINGS = ("spikes", "constant")


def first_spikes(x, n_steps, coding="spikes", **options):
    return snc.to_ttfs(snc.convert(residual()), x, n_steps, input_coding=coding, **options)


def relative_error(network, x):
    """Return the root mean square error of the class scores, relative to their standard deviation."""
    scores, ann = snc.evaluate(network, x, [0] * len(x)).scores, snc.rate_model(network).predict(x, verbose=0)
    return np.sqrt(np.mean((scores - ann) ** 2)) / ann.std(axis=0).mean()


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("low", [0, -1])
def test_levels_are_those_of_the_closed_form(images, coding, low):  # noqa: F811
    x = images[:20] * (1 - low) + low
    network = first_spikes(x, 8, coding)
    arrays = {name: np.round(array * 256) / 256 for name, array in network.model.arrays.items()}
    network = network.rebuild(network.model.replace(arrays=arrays))
    levels = SpikeLevels(network.model, network.settings, x)
    expected = ClosedForm(network).levels(x)
    for name in network.model.neurons:
        levels.simulate(name, np.ones(network.model.shapes[name][-1]), 7)
        assert np.array_equal(levels._spikes[name][0], expected[name]), name
    scores = levels.mean_activity(network.model.output, slice(None)) * network.model.output_scale
    np.testing.assert_allclose(scores, snc.evaluate(network, x, [0] * 20).scores, rtol=1e-4, atol=1e-4)


# no weights can undo the rounding of random images
@pytest.mark.parametrize(("coding", "most"), [("spikes", 1.0), ("constant", 0.9)])
def test_errors_fall(images, coding, most):  # noqa: F811
    """On images that calibration has not seen."""
    network = first_spikes(images[:300], 3, coding)
    calibrated = snc.calibrate(network, images[:300])
    assert relative_error(calibrated, images[300:]) < most * relative_error(network, images[300:])
    assert calibrated.settings == network.settings
    np.testing.assert_allclose(
        snc.rate_model(calibrated).predict(images, verbose=0), residual().predict(images, verbose=0), atol=1e-4
    )


def test_thresholds_alone_keep_the_weights(images):  # noqa: F811
    calibrated = snc.calibrate(first_spikes(images, 4), images, fit_weights=False)
    assert not calibrated.model.ann_arrays
    np.testing.assert_allclose(snc.rate_model(calibrated)(images), residual()(images), atol=1e-4)


@pytest.mark.parametrize("coding", CODINGS)
def test_all_back_ends_run_it(images, coding, tmp_path):  # noqa: F811
    calibrated = snc.calibrate(first_spikes(images, 4, coding), images)
    snc.save(calibrated, tmp_path / "network.snn.npz")
    loaded = snc.load(tmp_path / "network.snn.npz")
    x = images[:4]
    expected = snc.evaluate(calibrated, x, [0] * 4).scores
    for backend in ("fast", "nengo_dl", "nengo"):
        scores = snc.record(loaded, x, backend=backend).output[:, -1]
        np.testing.assert_allclose(scores, expected, atol=0.1 * expected.std(), err_msg=backend)


def test_the_number_of_steps_belongs_to_the_network(images):  # noqa: F811
    network = first_spikes(images, 4)
    with pytest.raises(snc.SettingsError, match="fixed number of steps"):
        snc.calibrate(network, images, n_steps=4)
    calibrated = snc.calibrate(network, images)
    assert calibrated.model.metadata["calibration"] == {"fit_weights": True, "images": len(images)}
    with pytest.raises(snc.ConversionError, match="before that"):
        snc.calibrate(calibrated, images)
