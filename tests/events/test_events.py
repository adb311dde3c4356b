"""Recordings of events, and frames of them."""

import numpy as np
import pytest
from random_events import event, random_events

import nengo_snnconv as snc
from nengo_snnconv import events as ev


@pytest.fixture
def recordings(rng):
    lengths = [500, 0, 1, 37, 2000]
    return ev.Recordings.of([random_events(rng, n) for n in lengths], [3, 1, 4, 1, 5], numbers=[7, 8, 9, 20, 21])


class TestOrder:
    """All functions of events require their order in time."""

    def swapped(self, rng, n, place):
        events = random_events(rng, n)
        events["t"] = 10 * np.arange(n)
        events["t"][place] += 11
        return events

    def test_recordings_are_looked_at_when_they_are_made(self, rng):
        fine = random_events(rng, 9)
        for recordings in ([self.swapped(rng, 9, 3)], [fine, self.swapped(rng, 9, 3), fine]):
            with pytest.raises(snc.SettingsError, match="from 41 to 40"):
                ev.Recordings.of(recordings, range(len(recordings)))
        with pytest.raises(
            snc.SettingsError, match="the time of recording 1 runs backwards, from 41 to 40 microseconds.*: sort them"
        ) as caught:
            ev.Recordings.of([fine, self.swapped(rng, 9, 3)], [0, 1])
        assert caught.value.argument == "recordings"

    @pytest.mark.parametrize("chunk", [1, 2, 3, 7, 100])
    def test_each_place_and_only_within_recordings(self, rng, monkeypatch, chunk):
        from nengo_snnconv.events import event as module

        monkeypatch.setattr(module, "_CHUNK", chunk)
        starts, stops = [0, 5, 12, 12, 15], [5, 10, 12, 13, 20]
        for place in range(20):
            events = random_events(rng, 21)
            events["t"] = 10 * np.arange(21)
            events["t"][place] += 11
            inside = any(start <= place and place + 1 < stop for start, stop in zip(starts, stops, strict=True))
            if inside:
                with pytest.raises(snc.SettingsError, match="runs backwards"):
                    ev.Recordings(events, starts, stops, range(5))
            else:
                assert len(ev.Recordings(events, starts, stops, range(5))) == 5

    def test_whatever_takes_recordings_takes_those(self, rng, tmp_path):
        events = self.swapped(rng, 9, 3)
        with pytest.raises(snc.DatasetError, match="runs backwards"):
            ev.write_events(tmp_path / "1.bin", events)
        fine = ev.Recordings.of([random_events(rng, 9)], [0])
        with pytest.raises(snc.SettingsError, match="runs backwards"):
            fine.transformed(lambda events: events[::-1])
        assert np.array_equal(fine[[0]][0], fine[0])

    def test_equal_times_are_in_order(self):
        events = np.concatenate([event(0, 0, 9), event(1, 0, 9)])
        assert ev.event_frames(events, 2, (3, 6)).sum() == 2

    def test_unsigned_times_that_ran_over(self):
        events = np.zeros(2, [("x", "u1"), ("y", "u1"), ("polarity", "?"), ("t", "u4")])
        events["t"] = 2**32 - 1, 3
        with pytest.raises(snc.SettingsError, match="from 4294967295 to 3"):
            ev.Recordings.of([events], [0])


class TestFields:
    @pytest.mark.parametrize("name", ["p", "on", "pol"])
    def test_names_of_other_packages(self, name):
        import numpy.lib.recfunctions

        events = np.zeros(3, [("x", "i2"), ("y", "i2"), ("ts", "i8"), (name, "?")])
        calls = [lambda e: ev.Recordings.of([e], [0]), lambda e: ev.event_frames(e, 2, (3, 3)), snc.plot_events]
        for call in calls:
            with pytest.raises(snc.SettingsError, match="; polarity, t missing: rename them") as caught:
                call(events)
            assert caught.value.argument in ("events", "recordings")
        renamed = numpy.lib.recfunctions.rename_fields(events, {"ts": "t", name: "polarity"})
        assert len(ev.Recordings.of([renamed], [0])) == 1

    @pytest.mark.parametrize("name", ["p", "on", "pol"])
    def test_polarity_may_have_another_name(self, rng, tmp_path, name):
        events = random_events(rng, 50)
        other = np.zeros(50, [("t", "i8"), (name, "i1"), ("x", "i2"), ("y", "i2")])
        other["t"], other["x"], other["y"], other[name] = (events[key] for key in ("t", "x", "y", "polarity"))
        expected = ev.event_frames(events, 4, (34, 34))
        np.testing.assert_array_equal(ev.event_frames(other, 4, (34, 34)), expected)
        np.testing.assert_array_equal(ev.Recordings.of([other], [0]).frames(4)[0], expected)
        np.testing.assert_array_equal(ev.Recordings(other, [0], [50], [0]).frames(4)[0], expected)
        ev.write_events(tmp_path / "a.bin", other)
        np.testing.assert_array_equal(ev.read_events(tmp_path / "a.bin")["polarity"], events["polarity"])
        assert [len(dots.get_offsets()) for dots in snc.plot_events(other)[0].collections] == [
            (~events["polarity"]).sum(),
            events["polarity"].sum(),
        ]
        assert other.dtype.names[1] == name

    @pytest.mark.parametrize(
        ("times", "expected"),
        [
            ([0.045, 0.05, 0.0900000001], [45_000, 50_000, 90_000]),  # seconds
            (
                [1.65e9 + 0.25, 1.65e9 + 0.5, 1.65e9 + 2],
                [1_650_000_000_250_000, 1_650_000_000_500_000, 1_650_000_002_000_000],
            ),
            ([0.0, 20.0, 3_000_000.0], [0, 20, 3_000_000]),  # microseconds
        ],
    )
    def test_times_that_are_floats(self, times, expected):
        events = np.zeros(3, [("t", "f8"), ("x", "i2"), ("y", "i2"), ("polarity", "i1")])
        events["t"] = times
        recordings = ev.Recordings.of([events], [0])
        assert recordings[0]["t"].tolist() == expected
        assert ev.stabilise(events, [(0, 0, 0)])["t"].tolist() == expected

    @pytest.mark.parametrize("times", [[0.0, 1.0, 2.0], [0.5, 10.0, 5000.0], [0.1, np.nan, 1.0]])
    def test_times_with_an_unclear_unit(self, times):
        events = np.zeros(3, [("t", "f8"), ("x", "i2"), ("y", "i2"), ("polarity", "i1")])
        events["t"] = times
        with pytest.raises(snc.SettingsError, match=r"with numpy.round\(1e6 ") as caught:
            ev.Recordings.of([events], [0])
        assert caught.value.argument == "recordings"

    def test_absolute_times(self, rng, tmp_path):
        events = random_events(rng, 50)
        late = events.astype([("x", "u1"), ("y", "u1"), ("polarity", "?"), ("t", "i8")])
        late["t"] += 1_650_000_000_000_000
        ev.write_events(tmp_path / "a.bin", late)
        read = ev.read_events(tmp_path / "a.bin")
        np.testing.assert_array_equal(read["t"], events["t"] - events["t"][0])
        np.testing.assert_array_equal(ev.stabilise(late)["x"], ev.stabilise(read)["x"])

    def test_transforms_need_what_they_use(self):
        events = np.zeros(2, [("x", "i2"), ("y", "i2"), ("t", "i8")])
        assert len(ev.stabilise(events)) == len(ev.crop(events, (3, 3))) == len(ev.downsample(events, 2)) == 2


def step_of(k, n, t, n_steps, split, window_us):
    """Return the frame of event k of n by the definition in the docstring; t counts from the first event."""
    if split == "count":
        return k * n_steps // n
    if split == "window":
        return t[k] // window_us
    return t[k] * n_steps // (t[-1] + 1)


class TestFrames:
    @pytest.mark.parametrize(("split", "window_us"), [("count", None), ("time", None), ("window", 11_000)])
    @pytest.mark.parametrize("n_steps", [1, 7, 16])
    def test_equal_an_obvious_loop(self, recordings, split, window_us, n_steps):
        frames = recordings.frames(n_steps, split=split, window_us=window_us)
        expected = np.zeros((5, n_steps, 34, 34, 2))
        for i in range(5):
            events = recordings[i]
            t = [int(t) - int(events["t"][0]) for t in events["t"]]
            for k, (x, y, polarity, _) in enumerate(events.tolist()):
                step = step_of(k, len(events), t, n_steps, split, window_us)
                if step < n_steps:
                    expected[i, step, y, x, int(polarity)] += 1
        assert frames.dtype == np.float32
        assert np.array_equal(frames, expected)
        assert (frames.sum() == recordings.lengths.sum()) == (split != "window")
        one = ev.event_frames(recordings[4], n_steps, (34, 34), split=split, window_us=window_us)
        assert np.array_equal(one, expected[4])

    def test_equal_counts(self, rng):
        frames = ev.event_frames(random_events(rng, 640), 16, (34, 34))
        assert frames.sum(axis=(1, 2, 3)).tolist() == [40] * 16

    def test_merged_polarities(self, recordings):
        both, merged = recordings.frames(4), recordings.frames(4, merge_polarities=True)
        assert merged.shape == (5, 4, 34, 34, 1)
        assert np.array_equal(merged[..., 0], both.sum(axis=-1))

    def test_other_types_and_signed_polarity(self, rng):
        events = random_events(rng, 100)
        wide = np.zeros(100, [("t", "i8"), ("x", "i8"), ("y", "i2"), ("polarity", "i1")])
        for name in ev.EVENT.names:
            wide[name] = events[name]
        wide["polarity"] = np.where(events["polarity"], 1, -1)
        assert np.array_equal(ev.event_frames(wide, 3, (34, 34)), ev.event_frames(events, 3, (34, 34)))
        mixed = ev.Recordings.of([wide, events], [0, 1]).frames(3)
        assert np.array_equal(mixed[0], mixed[1])

    def test_a_sensor_that_is_not_square(self):
        frames = ev.event_frames(event(5, 2, 0), 1, (3, 6))
        assert frames.shape == (1, 3, 6, 2)
        assert frames[0, 2, 5, 1] == frames.sum() == 1

    @pytest.mark.parametrize(("x", "y"), [(6, 0), (0, 3)])
    def test_event_outside(self, x, y):
        message = f"x={x}, y={y}, outside of"
        with pytest.raises(snc.SettingsError, match=message):
            ev.event_frames(event(x, y, 0), 1, (3, 6))
        with pytest.raises(snc.SettingsError, match=message):
            ev.Recordings.of([event(1, 1, 0), event(x, y, 0)], [0, 0], (3, 6)).frames(2)

    def test_negative_coordinate(self):
        events = np.zeros(1, [("x", "i4"), ("y", "i4"), ("polarity", "?"), ("t", "i4")])
        events["x"] = -1
        with pytest.raises(snc.SettingsError, match="x=-1, y=0, outside"):
            ev.event_frames(events, 1, (3, 6))

    @pytest.mark.parametrize(("split", "window_us"), [("count", None), ("time", None), ("window", 11_000)])
    def test_time_that_runs_backwards(self, split, window_us):
        events = np.concatenate([event(0, 0, 9), event(0, 0, 8)])
        with pytest.raises(snc.SettingsError, match="from 9 to 8") as caught:
            ev.event_frames(events, 2, (3, 6), split=split, window_us=window_us)
        assert caught.value.argument == "events"
        ordered = events[np.argsort(events["t"], kind="stable")]  # as the message advises
        assert ev.event_frames(ordered, 2, (3, 6), split=split, window_us=window_us).sum() == 2

    @pytest.mark.parametrize(
        ("arguments", "argument"),
        [
            ({"n_steps": 0}, "n_steps"),
            ({"split": "equal"}, "split"),
            ({"split": "window"}, "window_us"),
            ({"window_us": 5}, "window_us"),
            ({"split": "window", "window_us": 0}, "window_us"),
        ],
    )
    def test_impossible_settings(self, recordings, arguments, argument):
        with pytest.raises(snc.SettingsError) as caught:
            recordings.frames(**{"n_steps": 4} | arguments)
        assert caught.value.argument == argument

    def test_a_window_needs_its_duration(self, recordings):
        with pytest.raises(snc.SettingsError, match="needed for split='window'") as caught:
            recordings.frames(4, split="window")
        assert caught.value.argument == "window_us"


class TestRecordings:
    def test_behave_like_a_sequence(self, recordings):
        assert len(recordings) == 5
        assert [len(events) for events in recordings] == recordings.lengths.tolist() == [500, 0, 1, 37, 2000]
        assert len(recordings[-1]) == 2000
        for few in (recordings[[4, 0]], recordings[4::-4], recordings[np.array([4, 0])]):
            assert few.labels.tolist() == [5, 3]
            assert few.numbers.tolist() == [21, 7]
            assert np.array_equal(few[1], recordings[0])
            assert few.events is recordings.events
        assert recordings[recordings.labels == 1].lengths.tolist() == [0, 37]
        assert repr(recordings) == "<Recordings: 5 of 34 x 34 pixels, 2,538 events>"

    def test_none_at_all(self):
        empty = ev.Recordings.of([], [])
        assert empty.frames(4).shape == (0, 4, 34, 34, 2)

    def test_numbers_by_default(self, rng):
        assert ev.Recordings.of([random_events(rng, 3)] * 3, [0, 0, 0]).numbers.tolist() == [0, 1, 2]

    def test_checksum_of_content(self, recordings, rng):
        packed = np.dtype([(name, ev.EVENT[name]) for name in ev.EVENT.names])
        assert packed.itemsize < ev.EVENT.itemsize  # different bytes, equal events
        same = ev.Recordings.of([events.astype(packed) for events in recordings], recordings.labels)
        assert same.checksum() == recordings.checksum()
        assert recordings[::-1].checksum() != recordings.checksum()
        other = ev.Recordings(
            recordings.events, recordings.starts, recordings.stops, recordings.labels + 1, recordings.sensor
        )
        assert other.checksum() != recordings.checksum()

    def test_transformed(self, recordings):
        halved = recordings.transformed(lambda events: ev.downsample(events, 2), (17, 17))
        assert halved.sensor == (17, 17)
        assert halved.labels.tolist() == recordings.labels.tolist()
        assert halved.numbers.tolist() == recordings.numbers.tolist()
        frames = recordings.frames(3).reshape(5, 3, 17, 2, 17, 2, 2).sum(axis=(3, 5))
        assert np.array_equal(halved.frames(3), frames)

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"events": np.zeros(9, [("x", "u1"), ("t", "u4")])}, "y, polarity missing"),
            ({"events": [1, 2]}, "x, y, polarity, t missing"),
            ({"labels": [0]}, "equally long, got 2"),
            ({"numbers": [0, 1, 2]}, "equally long, got 2"),
            ({"stops": [4, 10]}, "between 0 and 9"),
            ({"starts": [-1, 4]}, "between 0 and 9"),
            ({"stops": [4, 3]}, "stops must not be"),
        ],
    )
    def test_impossible_recordings(self, changes, message):
        arguments = {"events": np.zeros(9, ev.EVENT), "starts": [0, 4], "stops": [4, 9], "labels": [0, 1]} | changes
        with pytest.raises(snc.SettingsError, match=message):
            ev.Recordings(**arguments)

    def test_array_without_fields(self, rng):
        with pytest.raises(snc.SettingsError, match="; x, y, polarity") as caught:
            ev.Recordings.of([random_events(rng, 3), rng.random(3)], [0, 1])
        assert caught.value.argument == "recordings"
