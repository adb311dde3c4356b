"""Negative spikes have a color of their own, which a legend names, in rasters of single spikes."""

import dataclasses

import numpy as np
import pytest
from models import small_cnn

import nengo_snnconv as snc
from nengo_snnconv.plots.figures import BLUE, NEGATIVE, Figure
from nengo_snnconv.plots.panels import draw_potentials


@pytest.fixture(scope="module")
def recording():
    x = np.random.default_rng(0).random((1, 6, 6, 2), dtype=np.float32)
    network = snc.normalize(snc.convert(small_cnn()), x)
    network = snc.to_spiking(network, snc.SignedIntegrateAndFire(), input_coding="poisson")
    recording = snc.record(network, x, n_steps=20, potentials=True)
    assert recording.spikes["neurons"].min() == -1
    return recording


@pytest.fixture(scope="module")
def plain(recording):
    """The same without negative spikes."""
    spikes = {name: np.maximum(counts, 0) for name, counts in recording.spikes.items()}
    return dataclasses.replace(recording, spikes=spikes)


def legend_of(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()] if ax.get_legend() else []


def marks_of(lines, color):
    return sum(len(line.get_xdata()) for line in lines if line.get_color() == color)


def test_raster_of_an_image_response(recording, plain):
    signed, other = (snc.plot_image_response(each, max_neurons=1000)[2] for each in (recording, plain))
    spikes = recording.spikes["neurons"][0]
    trains = signed.collections
    n_rows = len(trains) // 2
    assert sum(len(train.get_positions()) for train in trains[:n_rows]) == (spikes > 0).sum()
    assert sum(len(train.get_positions()) for train in trains[n_rows:]) == (spikes < 0).sum()
    # a row holds the spikes of one neuron, of either sign
    active = np.flatnonzero(spikes.any(axis=0))
    for row, neuron in enumerate(active):
        assert np.array_equal(trains[n_rows + row].get_positions(), 1 + np.flatnonzero(spikes[:, neuron] < 0))
        assert trains[row].get_lineoffset() == trains[n_rows + row].get_lineoffset() == row
    assert legend_of(signed) == ["negative spikes"]
    assert legend_of(other) == []


@pytest.mark.parametrize("step", [3, 20])
def test_panels_of_a_life(recording, step):
    axes = snc.plot_life(recording, step=step, max_neurons=48)
    spikes = recording.spikes["neurons"][0, :step]
    lines = axes["neurons/raster"].get_lines()[:-1]
    assert marks_of(lines, NEGATIVE) == (spikes < 0).sum()
    assert sum(len(line.get_xdata()) for line in lines) == np.count_nonzero(spikes)
    assert legend_of(axes["neurons/raster"]) == ["negative spikes"]
    # maps show activations, which negative spikes reduce; rates count them
    shown = axes["neurons/maps"].images[0].get_array()
    rates = spikes.mean(axis=0).reshape(4, 4, 3) / 0.001
    assert all(np.allclose(shown[:, 5 * i : 5 * i + 4], rates[:, :, i]) for i in range(3))
    assert np.allclose(axes["activity"].get_lines()[0].get_ydata()[:step], np.abs(spikes).mean(axis=1) / 0.001)
    assert f"{np.abs(spikes).mean() / 0.001:.0f} Hz" in axes["neurons/raster"].get_title(loc="left")


def test_a_life_without_negative_spikes_has_no_legend_for_them(plain):
    axes = snc.plot_life(plain)
    assert legend_of(axes["neurons/raster"]) == []
    colors = {line.get_color() for name in ("raster", "potentials") for line in axes[f"neurons/{name}"].get_lines()}
    assert NEGATIVE not in colors


def test_potentials_have_dots_at_zero_for_negative_spikes(recording):
    spikes = recording.spikes["neurons"][0]
    neuron = int(spikes.min(axis=0).argmin())
    ax = Figure().add_subplot()
    for part in draw_potentials(ax, recording.potentials["neurons"][0], spikes, {neuron: BLUE}):
        part.show(20)
    (dots,) = (line for line in ax.get_lines() if line.get_markerfacecolor() == NEGATIVE)
    assert np.array_equal(np.isfinite(dots.get_ydata()), spikes[:, neuron] < 0)
