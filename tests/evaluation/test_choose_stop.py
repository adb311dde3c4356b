"""The choice of a rule for stopping: the bound on its loss, in many calibrations on random outcomes."""

import types

import numpy as np
import pytest
from scipy.stats import beta

import nengo_snnconv as snc


def outcomes(rng, n_images, n_steps=6, n_classes=4, y=None):
    """Return an evaluation of averaged scores with noise that shrinks over time; some classes are wrong in the end."""
    y = rng.integers(0, n_classes, n_images)
    means = rng.normal(size=(n_images, n_classes))
    means[np.arange(n_images), y] += rng.exponential(2.5, n_images)
    noise = rng.normal(size=(n_steps, n_images, n_classes)).cumsum(axis=0)
    scores = (means + noise / np.arange(1, n_steps + 1)[:, None, None]).astype(np.float32)
    return evaluation_of(scores, y)


def evaluation_of(scores, y):
    predictions, ordered = scores.argmax(axis=-1), np.sort(scores, axis=-1)
    return types.SimpleNamespace(
        margins=ordered[..., -1] - ordered[..., -2],
        step_predictions=predictions,
        predictions=predictions[-1],
        y=np.asarray(y),
        stop=None,
    )


def lost_share(evaluation, rule, labels):
    """Return the share of images that are lost."""
    steps = rule.stop_steps(evaluation.margins)
    classes = evaluation.step_predictions[steps - 1, np.arange(len(steps))]
    changed = classes != evaluation.predictions
    return (changed & (evaluation.predictions == evaluation.y)).mean() if labels else changed.mean()


@pytest.mark.parametrize("labels", [True, False])
def test_the_bound_holds_as_often_as_it_says(labels):
    rng = np.random.default_rng(0)
    new = outcomes(rng, 20_000)
    n_trials, confidence, max_loss = 200, 0.8, 4.0
    found = []
    for _ in range(n_trials):
        rule = snc.choose_stop(outcomes(rng, 200), max_loss=max_loss, confidence=confidence, labels=labels)
        found.append(lost_share(new, rule, labels))
    violations = np.mean(100 * np.array(found) > max_loss)
    # three standard deviations of the number of violations, were they as frequent as allowed
    assert violations <= 1 - confidence + 3 * np.sqrt(confidence * (1 - confidence) / n_trials)
    assert 100 * np.mean(found) > 0.3 * max_loss, "the rule is not much stricter than needed"
    assert rule.stop_steps(new.margins).mean() < 5


def test_a_rule_by_hand():
    # scores of two classes; the class after the last step is 0 in all, which is correct in all but the last image
    first_minus_second = np.array([[3, -2, -1, 1, -5], [2, 2, -1, 1, -5], [1, 1, 1, 1, 1]], np.float32)
    scores = np.stack([first_minus_second, np.zeros_like(first_minus_second)], axis=-1)
    calibration = evaluation_of(np.repeat(scores, 20, axis=1), np.repeat([0, 0, 0, 0, 1], 20))
    # of 100 images, none may be lost; the second kind could be after step 1 up to a margin of 2, the third after step 2
    # up to 1, so the rules are 2, 2, 2 and, with fewer steps, 2, 2 / 2, 2 / 3
    rule = snc.choose_stop(calibration, max_loss=4.0)
    assert rule.calibration["lost"] == 0
    assert np.allclose(rule.margins, [2, 1, 2 / 3])
    assert rule.stop_steps(calibration.margins)[::20].tolist() == [1, 2, 3, 3, 1]
    assert rule.calibration["mean_steps"] == 2
    # without labels, the last image counts
    assert snc.choose_stop(calibration, max_loss=4.0, labels=False).margins == (5, 5, 5)


def test_the_number_of_images_that_may_be_lost_is_that_of_the_confidence_limit():
    rng = np.random.default_rng(1)
    for n_images, max_loss in ((200, 3.0), (1000, 0.5), (3000, 1.0)):
        lost = snc.choose_stop(outcomes(rng, n_images), max_loss=max_loss).calibration["lost"]
        # Clopper and Pearson's upper limits with confidence 0.975
        limits = beta.ppf(0.975, np.array([lost, lost + 1]) + 1, n_images - np.array([lost, lost + 1]))
        assert limits[0] <= max_loss / 100 < limits[1]


def test_calibration_says_what_happened():
    calibration = outcomes(np.random.default_rng(2), 500)
    rule = snc.choose_stop(calibration, max_loss=2)
    steps = rule.stop_steps(calibration.margins)
    assert rule.calibration["mean_steps"] == steps.mean()
    assert rule.calibration["loss_points"] == pytest.approx(100 * lost_share(calibration, rule, True))
    assert rule.calibration["loss_points"] <= rule.calibration["lost"] / 5
    assert rule.calibration["power"] == 1, "noise shrinks as 1 / t"
    assert rule.to_dict()["images"] == 500
    assert rule == snc.MarginStop(rule.margins)


def test_laxer_rules_stop_earlier_and_the_scale_of_scores_does_not_matter():
    calibration = outcomes(np.random.default_rng(3), 2000)
    rules = [snc.choose_stop(calibration, max_loss=loss) for loss in (0.5, 1, 2, 5)]
    steps = [rule.calibration["mean_steps"] for rule in rules]
    assert steps == sorted(steps, reverse=True)
    assert steps[0] > steps[-1]
    calibration.margins = calibration.margins * 4
    again = snc.choose_stop(calibration, max_loss=0.5)
    assert again.calibration == rules[0].calibration
    assert np.allclose(again.margins, 4 * np.array(rules[0].margins), rtol=1e-6)


def test_too_few_images():
    calibration = outcomes(np.random.default_rng(4), 735)
    # 0.995**n <= 0.025
    with pytest.raises(snc.SettingsError, match="max_loss=0.5 needs at least 736 images") as caught:
        snc.choose_stop(calibration, max_loss=0.5)
    assert caught.value.argument == "max_loss"
    assert snc.choose_stop(outcomes(np.random.default_rng(4), 736), max_loss=0.5).calibration["lost"] == 0
