"""Accuracy, confusion matrix, confidence interval and spike counts from arrays."""

import numpy as np
import pytest

from nengo_snnconv.evaluation import metrics


def test_accuracy_along_time():
    predictions = np.array([[0, 1, 1, 1], [0, 1, 2, 1]])
    assert metrics.accuracy(predictions, np.array([0, 1, 2, 3])).tolist() == [0.5, 0.75]


@pytest.mark.parametrize(
    ("holds", "first"),
    [([1, 1, 1], 1), ([0, 1, 1], 2), ([1, 0, 1], 3), ([0, 0, 0], None), ([1, 1, 0], None), ([1], 1)],
)
def test_first_step_from_which_a_condition_always_holds(holds, first):
    assert metrics.first_lasting(np.array(holds, bool)) == first


@pytest.mark.parametrize(
    ("lost", "gained", "n"),
    [(0.001, 0.001, 2000), (0.002, 0.0, 1000), (0.0, 0.003, 700), (0.03, 0.01, 500), (0.0, 0.0, 300)],
)
def test_paired_interval_contains_the_true_change_with_its_probability(lost, gained, n):
    """Counts are drawn from known probabilities; they are small, so coverage is not exactly 95 %."""
    draws = np.random.default_rng(0).multinomial(n, [lost, gained, 1 - lost - gained], 2000)
    limits = {(a, b): metrics.paired_interval(a, b, n) for a, b in {(a, b) for a, b, _ in draws}}
    covered = np.mean([limits[a, b][0] <= lost - gained <= limits[a, b][1] for a, b, _ in draws])
    assert covered > 0.93


def test_paired_interval():
    # with many images, the interval of a normal distribution
    low, high = metrics.paired_interval(3000, 2000, 100_000)
    width = 1.96 * np.sqrt(5000 - 1000**2 / 100_000) / 100_000
    np.testing.assert_allclose((low, high), (0.01 - width, 0.01 + width), atol=1e-5)
    # if nothing changed: n D = z sqrt(n D (1 - D))
    np.testing.assert_allclose(metrics.paired_interval(0, 0, 500), np.array([-1, 1]) * 1.96**2 / (500 + 1.96**2))
    # exchanging lost and gained exchanges the limits
    np.testing.assert_allclose(metrics.paired_interval(1, 7, 90), -np.array(metrics.paired_interval(7, 1, 90))[::-1])


def test_confusion_rows_are_true_classes():
    counts = metrics.confusion_matrix([0, 0, 2], [0, 1, 1], 3)
    assert counts.tolist() == [[1, 1, 0], [0, 0, 0], [0, 1, 0]]


def test_spike_counts():
    dt, amplitude = 0.001, 0.01
    counts = np.array([0.0, 1.0, 3.0])
    assert metrics.spike_counts(counts * amplitude / dt, amplitude, dt).tolist() == counts.tolist()
    assert metrics.spike_counts(np.array([-10.0]), amplitude, dt).tolist() == [1]
