"""Plots of trainings, evaluations and images show the values that they are given."""

import matplotlib.figure
import numpy as np
import pytest
from models import make

import nengo_snnconv as snc
from nengo_snnconv import plots
from nengo_snnconv.model import layers as specs


@pytest.fixture(scope="module")
def recording(trained, digits):
    return snc.record(trained, digits.x_test[:2], n_steps=20)


class TestPlots:
    def test_history(self, trained):
        loss, accuracy = snc.plot_history(trained.history)
        assert loss.get_lines()[0].get_ydata().tolist() == trained.history["loss"]
        assert np.allclose(accuracy.get_lines()[0].get_ydata(), 100 * np.array(trained.history["accuracy"]))

    def test_history_of_an_untrained_network(self):
        with pytest.raises(snc.SettingsError, match="not trained") as caught:
            snc.plot_history({})
        assert caught.value.argument == "history"

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
        assert plots.plot_accuracy(evaluation, axes)[0] is axes


@pytest.mark.parametrize("shape", [(6, 6, 2), (6, 6, 3), (1, 12, 1), (4, 6, 6, 1), (20, 3), (20,)])
def test_inputs_of_any_shape_are_drawn(shape, rng):
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


def test_confusion_after_an_earlier_step(evaluation):
    assert snc.plot_confusion(evaluation, step=-2).get_title() == "Confusion after 19 steps"


def test_early_stopping_is_drawn_from_one_run(trained, digits):
    evaluation = snc.evaluate(trained, digits.x_test[:100], digits.y_test[:100], n_steps=12)
    rule = snc.choose_stop(evaluation, max_loss=10)
    axes = snc.plot_stop(evaluation, {"10 points": rule})
    same, early, mark = axes.get_lines()
    assert np.allclose(same.get_ydata(), 100 * evaluation.accuracy)
    assert np.isclose(early.get_ydata()[-1], 100 * evaluation.accuracy[-1])
    assert np.isclose(mark.get_xdata()[0], rule.calibration["mean_steps"])
    stopped = snc.evaluate(trained, digits.x_test[:10], digits.y_test[:10], stop=rule)
    with pytest.raises(snc.SettingsError, match="stopped early"):
        snc.plot_stop(stopped)
