"""PoissonInput and poisson_spikes: statistics, and equal spikes on Nengo and NengoDL."""

import numpy as np
import pytest
from neuron_runs import dyadic, run_both

import nengo_snnconv as snc
from nengo_snnconv.neurons.encoding import poisson_spikes, uniform
from nengo_snnconv.neurons.poisson_input import PoissonInput


def test_spikes_are_equal_on_both_back_ends(rng):
    x = dyadic(rng, 30)
    (one,), (other,) = run_both(PoissonInput(threshold=0.75, seed=3), np.tile(x, (50, 1)))
    assert np.array_equal(one, other)
    assert np.array_equal(one, 0.75 * poisson_spikes(x[None], 50, 0.75, 3)[0])


def test_mean_and_independence():
    x = np.tile(np.array([0.0, 0.1, 0.5, 0.9, 1.0, 2.0, -0.5], np.float32), (300, 1))
    spikes = poisson_spikes(x, 100)
    expected = np.array([0, 0.1, 0.5, 0.9, 1, 1, -0.5])
    # five standard deviations of a mean of 30,000 draws
    assert np.abs(spikes.mean(axis=(0, 1)) - expected).max() < 5 * 0.5 / np.sqrt(30000)
    trains = spikes[..., 2].reshape(300, 100).astype(float)
    neighbours = np.corrcoef(trains[:, :-1].ravel(), trains[:, 1:].ravel())[0, 1]
    images = np.corrcoef(trains[:-1].ravel(), trains[1:].ravel())[0, 1]
    units = np.corrcoef(spikes[..., 2].ravel(), spikes[..., 3].ravel())[0, 1]
    assert max(map(abs, (neighbours, images, units))) < 5 / np.sqrt(29700)


def test_random_numbers_are_uniform():
    numbers = uniform(7, np.arange(50)[:, None], np.arange(2000), 3).ravel()
    counts = np.histogram(numbers, 50, (0, 1))[0]
    # chi-square with 49 degrees of freedom: mean 49, standard deviation 9.9
    assert ((counts - 2000) ** 2 / 2000).sum() < 49 + 5 * 9.9
    assert len(np.unique(numbers)) > 0.99 * len(numbers)
    assert (uniform(8, 0, np.arange(100), 3) != uniform(7, 0, np.arange(100), 3)).mean() > 0.95


@pytest.mark.parametrize(
    ("x", "n_steps", "threshold", "message"),
    [
        (np.ones((1, 2)), 3, 0, "threshold must be above 0"),
        (np.ones((1, 2)), 0, 1, "n_steps must be a positive integer"),
        (np.ones((1, 2)), 2.5, 1, "n_steps must be a positive integer"),
        (np.ones(2), 3, 1, "x must hold finite numbers"),
        (np.full((1, 2), np.nan), 3, 1, "x must be finite"),
    ],
)
def test_invalid_arguments(x, n_steps, threshold, message):
    with pytest.raises(snc.SettingsError, match=message) as caught:
        poisson_spikes(x, n_steps, threshold)
    assert message.startswith(caught.value.argument)
