"""Plots of events show the counted events."""

import matplotlib.colors
import numpy as np
import pytest

import nengo_snnconv as snc
from nengo_snnconv.errors import SettingsError
from nengo_snnconv.events.simulation import simulate_recordings
from nengo_snnconv.events.statistics import event_statistics
from nengo_snnconv.plots import events as plots
from nengo_snnconv.plots.figures import Figure


@pytest.fixture(scope="module")
def recordings():
    data = snc.load_dataset("digits", train=20, test=10)
    return simulate_recordings(data.x_train, data.y_train)


def test_frames_have_the_colours_of_their_polarity():
    frames = np.zeros((3, 4, 5, 2))
    frames[0, 1, 2, 0] = 2  # OFF
    frames[1, 3, 4, 1] = 2  # ON
    frames[2, 0, 0] = 2  # both
    frames[2, 1, 1, 0] = 1  # half of the full color
    axes = plots.plot_event_frames(frames, max_count=2)
    shown = [ax.images[0].get_array() for ax in axes]
    assert [ax.get_title() for ax in axes] == ["frame 1: 2 events", "frame 2: 2 events", "frame 3: 5 events"]
    off, on = (np.array(matplotlib.colors.to_rgb(color)) for color in (plots.OFF, plots.ON))
    np.testing.assert_allclose(shown[0][1, 2], off)
    np.testing.assert_allclose(shown[1][3, 4], on)
    np.testing.assert_allclose(shown[2][0, 0], off * on)
    np.testing.assert_allclose(shown[2][1, 1], (1 + off) / 2)
    np.testing.assert_array_equal(shown[0][0], 1)  # white if there are no events


def test_frames_of_merged_polarities_and_of_nothing():
    merged = np.ones((2, 4, 4, 1))
    np.testing.assert_allclose(
        plots.plot_event_frames(merged)[0].images[0].get_array()[0, 0], matplotlib.colors.to_rgb(plots.OFF)
    )
    np.testing.assert_array_equal(plots.plot_event_frames(np.zeros((1, 4, 4, 2)))[0].images[0].get_array(), 1)


def test_frames_on_given_axes(recordings):
    axes = Figure().subplots(1, 4)
    assert list(plots.plot_event_frames(recordings.frames(4)[0], axes=axes)) == list(axes)
    assert all(len(ax.images) == 1 for ax in axes)


def test_events_are_where_and_when_they_happened(recordings):
    axes = plots.plot_events(recordings[0])
    off, on = axes.collections
    events = recordings[0]
    for points, polarity in ((off, False), (on, True)):
        chosen = events[events["polarity"] == polarity]
        times, x, y = points._offsets3d
        np.testing.assert_allclose(times, chosen["t"] / 1000)
        np.testing.assert_array_equal(x, chosen["x"])
        np.testing.assert_array_equal(y, chosen["y"])
    assert axes.get_zlim() == (33, 0)


def test_statistics_are_those_of_the_recordings(recordings):
    few = recordings[:5]
    axes = plots.plot_event_statistics({"all": recordings, "few": few})
    found = event_statistics(few)
    heights = [bar.get_height() for bar in axes["parts"].containers[1]]
    np.testing.assert_allclose(heights, found.parts.ravel())
    off, on = axes["rate"].lines[2:4]
    np.testing.assert_allclose(off.get_ydata(), -found.rate[:, 0] / 5)
    np.testing.assert_allclose(on.get_ydata(), found.rate[:, 1] / 5)
    ends = [line.get_xdata()[0] for line in axes["rate"].lines if len(line.get_xdata()) == 2][:2]
    np.testing.assert_allclose(ends, np.array(found.part_ends_us) / 1000)
    assert [text.get_text() for text in axes["counts"].get_legend().get_texts()][1].startswith("few: ")
    assert len(axes["density"]) == 6
    full = max(plots._full_color_count(statistics.density) for statistics in (event_statistics(recordings), found))
    np.testing.assert_allclose(axes["density"][3].images[0].get_array(), plots.event_colors(found.density[0], full))


def test_figures_can_be_saved(recordings, tmp_path):
    figures = {
        "frames": plots.plot_event_frames(recordings.frames(10)[0])[0].figure,
        "events": plots.plot_events(recordings[0]).figure,
        "statistics": plots.plot_event_statistics({"one": recordings})["rate"].get_figure().figure,
    }
    for name, figure in figures.items():
        figure.savefig(tmp_path / f"{name}.png")
        assert (tmp_path / f"{name}.png").stat().st_size > 5000


def test_what_cannot_be_drawn_is_refused(recordings):
    with pytest.raises(SettingsError, match="must have shape") as caught:
        plots.plot_event_frames(recordings.frames(2))
    assert caught.value.argument == "frames"
    with pytest.raises(SettingsError, match="max_count"):
        plots.plot_event_frames(np.ones((1, 4, 4, 2)), max_count=0)
    with pytest.raises(SettingsError, match="three-dimensional") as caught:
        plots.plot_events(recordings[0], axes=Figure().add_subplot())
    assert caught.value.argument == "axes"
    with pytest.raises(SettingsError, match="at least one set") as caught:
        plots.plot_event_statistics({})
    assert caught.value.argument == "recordings"
