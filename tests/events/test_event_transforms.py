"""Transforms of events: crop, downsample and stabilise."""

import numpy as np
import pytest
from random_events import event, random_events

import nengo_snnconv as snc
from nengo_snnconv import events as ev
from nengo_snnconv.events.saccades import SACCADES


class TestTransforms:
    def test_crop(self, rng):
        events = random_events(rng, 1000)
        before = events.copy()
        frames = ev.event_frames(events, 1, (34, 34))[:, 3:23, 5:15]
        part = ev.crop(events, (20, 10), (3, 5))
        assert np.array_equal(ev.event_frames(part, 1, (20, 10)), frames)
        assert np.all(np.diff(part["t"].astype(int)) >= 0)
        assert np.array_equal(events, before)

    def test_downsample_rounds_the_sensor_up(self, rng):
        events = random_events(rng, 1000)
        coarse = ev.downsample(events, 5)
        assert (coarse["x"].max(), coarse["y"].max()) == (6, 6)
        assert np.array_equal(coarse["x"], events["x"] // 5)
        assert np.array_equal(coarse["t"], events["t"])
        assert not ev.downsample(events, 1000)["x"].any()

    def test_stabilise_stops_a_moving_point(self):
        path = [(0, 0, 0), (100, 10, -5), (200, 10, 0)]
        t = np.arange(0, 201, 20)
        events = np.zeros(len(t), ev.EVENT)
        events["t"] = t
        events["x"] = 8 + np.interp(t, [0, 100, 200], [0, 10, 10])
        events["y"] = 9 + np.interp(t, [0, 100, 200], [0, -5, 0])
        still = ev.stabilise(events, path)
        assert set(zip(still["x"].tolist(), still["y"].tolist(), strict=True)) == {(8, 9)}
        assert np.array_equal(still["t"], t)

    def test_stabilise_leaves_out_what_leaves_the_sensor(self):
        events = np.concatenate([event(0, 5, 0), event(1, 5, 0), event(33, 5, 10), event(32, 5, 10)])
        still = ev.stabilise(events, [(0, 1, 0), (10, -1, 0)])
        assert still["x"].tolist() == [0, 33]

    @pytest.mark.parametrize(
        ("call", "argument", "message"),
        [
            (lambda events: ev.crop(events, (0, 4)), "shape", r"got \(0, 4\)"),
            (lambda events: ev.crop(events, (4, 4), (0, -1)), "corner", r"got \(0, -1\)"),
            (lambda events: ev.downsample(events, 1.5), "factor", "got 1.5"),
            (lambda events: ev.stabilise(events, [(0, 1)]), "path", "rows of microseconds"),
            (lambda events: ev.stabilise(events, [(0, 1, 1), (0, 2, 2)]), "path", "increasing times"),
        ],
    )
    def test_impossible_settings(self, rng, call, argument, message):
        with pytest.raises(snc.SettingsError, match=message) as caught:
            call(random_events(rng, 10))
        assert caught.value.argument == argument


class TestRealRecordings:
    @pytest.fixture
    def nmnist(self, data_folder, tmp_path, monkeypatch):
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
        return ev.load_events(train=200, test=100)

    def test_stabilised_edges_are_sharp(self, nmnist):
        raw, still = (
            recordings.frames(1, merge_polarities=True)
            for recordings in (nmnist.test, nmnist.test.transformed(ev.stabilise))
        )
        assert still.sum() > 0.98 * raw.sum()
        # number of pairs of events that share a pixel: larger if edges stay on their pixels
        sharpness = [np.mean((p**2).sum(axis=(1, 2, 3, 4)) / p.sum(axis=(1, 2, 3, 4)) ** 2) for p in (raw, still)]
        assert sharpness[1] > 1.6 * sharpness[0]

    def test_stabilised_images_are_in_their_place(self, nmnist):
        centre = nmnist.train.transformed(lambda events: ev.crop(ev.stabilise(events), (28, 28), (3, 3)), (28, 28))
        images = snc.load_dataset("mnist").x_train[nmnist.train.numbers, ..., 0]
        edges = np.hypot(*np.gradient(images, axis=(1, 2)))
        n = len(images)
        fit = np.corrcoef(centre.frames(1, merge_polarities=True).reshape(n, -1), edges.reshape(n, -1))[:n, n:]
        # its own image fits each recording best, except a digit 1 that resembles another
        assert np.mean(fit.argmax(axis=1) == np.arange(n)) > 0.98
        assert fit.diagonal().mean() > 0.9

    def test_path_is_a_closed_triangle(self):
        (_, *first), (_, *last) = SACCADES[0], SACCADES[-1]
        assert np.hypot(*np.subtract(first, last)) < 1
