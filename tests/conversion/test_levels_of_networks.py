"""Networks with levels in to_ttfs, to_loihi, sweeps, tune and diagnose."""

import nengo
import numpy as np
import pytest

import nengo_snnconv as snc
from nengo_snnconv.model import Model
from nengo_snnconv.model import layers as specs


def dyadic_model(levels=4):
    """Return a model of two layers of rectifiers with levels, whose sums are exact in float32."""
    rng = np.random.default_rng(0)

    def weights(*shape):
        return rng.integers(-40, 48, shape).astype(np.float32) / 64

    layers = [
        specs.Input("image", shape=(5, 5, 1)),
        specs.Conv("conv", "image", filters=3, kernel_size=(3, 3)),
        specs.Rectifier("first", "conv", levels=levels),
        specs.Flatten("flat", "first"),
        specs.Dense("dense", "flat", units=6),
        specs.Rectifier("second", "dense", levels=levels),
        specs.Dense("scores", "second", units=3),
    ]
    arrays = {"conv/kernel": weights(3, 3, 1, 3), "conv/bias": weights(3) / 4, "dense/kernel": weights(27, 6) / 4}
    arrays |= {"dense/bias": weights(6) / 4, "scores/kernel": weights(6, 3), "scores/bias": weights(3)}
    return Model(layers, arrays)


@pytest.fixture
def x():
    return (np.random.default_rng(1).integers(0, 5, (30, 5, 5, 1)) / 4).astype(np.float32)


@pytest.fixture
def y():
    return np.arange(30) % 3


@pytest.mark.parametrize("threshold", ["search", "max", 1.0])
def test_ttfs_with_as_many_steps_as_levels_is_exact(x, y, threshold):
    network = snc.convert(dyadic_model())
    snn = snc.to_ttfs(network, x, n_steps=4, threshold=threshold)
    scores = snc.rate_model(network).predict(x, verbose=0)
    assert len(np.unique(snc.rate_model(network, ["second"]).predict(x, verbose=0))) == 5
    assert np.allclose(snc.evaluate(snn, x, y).scores, scores, atol=1e-6)
    assert np.allclose(snc.rate_model(snn).predict(x, verbose=0), scores, atol=1e-6)


def test_ttfs_refuses_other_thresholds(x):
    with pytest.raises(snc.SettingsError, match="'first', 'second' were trained, and are 1") as caught:
        snc.to_ttfs(snc.convert(dyadic_model()), x, n_steps=4, threshold=0.5)
    assert caught.value.argument == "threshold"


def test_threshold_errors_vanish_at_the_trained_threshold(x):
    errors = snc.threshold_errors(snc.convert(dyadic_model()), x, "second", n_steps=4, thresholds=[0.5, 1.0, 1.1])
    assert errors.upper_bound == 1
    assert errors.errors[0].argmin() == 1
    assert errors.errors[0, 1] < 0.01


def test_sweep_and_tune_keep_trained_thresholds(x, y):
    network = snc.convert(dyadic_model())
    grid = {"method": ["data"], "percentile": [90.0, 100.0]}
    sweep = snc.sweep(network, x, y, grid, n_steps=4, x_calibration=x, n_jobs=1, progress=False)
    one, other = (trial.evaluation for trial in sweep.trials)
    assert np.array_equal(one.predictions, other.predictions)
    assert np.allclose(one.scores, other.scores)
    tuned = snc.tune(network, x, y, max_loss=20, max_steps=8, x_calibration=x, n_jobs=1, progress=False)
    assert tuned.network.model.levels == network.model.levels


def test_diagnosis_names_no_clipping_of_trained_layers(x, y):
    snn = snc.to_spiking(snc.convert(dyadic_model()))
    diagnosis = snc.diagnose(snn, x, y, n_steps=4)
    assert all(layer.causes.get("clipping", 0) < 1e-6 for layer in diagnosis.layers.values())


def test_loihi_runs_them(x, y):
    pytest.importorskip("nengo_loihi")
    snn = snc.to_loihi(snc.to_spiking(snc.convert(dyadic_model()), nengo.SpikingRectifiedLinear(), max_rate=500))
    assert snn.model.levels == {"first": 4, "second": 4}
    evaluation = snc.evaluate(snn, x, y, n_steps=40)
    expected = snc.rate_model(snn).predict(x, verbose=0).argmax(axis=-1)
    assert np.array_equal(evaluation.ann_predictions, expected)
