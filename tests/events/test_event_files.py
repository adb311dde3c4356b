"""Files and folders of recordings, their cache, and N-MNIST."""

import os
import pathlib
import pickle
import re

import numpy as np
import pytest

import nengo_snnconv as snc
from nengo_snnconv import events as ev
from nengo_snnconv.data import datasets
from nengo_snnconv.events import cache, files, folders


@pytest.fixture(autouse=True)
def user_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "nengo_snnconv" / "events"


def random_events(rng, n):
    events = np.zeros(n, ev.EVENT)
    events["x"], events["y"] = rng.integers(0, 34, n), rng.integers(0, 34, n)
    events["polarity"] = rng.random(n) < 0.5
    events["t"] = np.sort(rng.integers(0, 300_000, n))
    return events


@pytest.fixture
def recordings(rng):
    lengths = rng.integers(1, 500, 12)
    numbers = rng.permutation(20)[:12]
    return ev.Recordings.of([random_events(rng, n) for n in lengths], rng.integers(0, 10, 12), numbers=np.sort(numbers))


@pytest.fixture
def folder(tmp_path, recordings):
    ev.write_recordings(tmp_path / "folder", recordings)
    return tmp_path / "folder"


def assert_equal(a, b):
    assert (a.checksum(), a.sensor) == (b.checksum(), b.sensor)
    assert (a.labels.tolist(), a.numbers.tolist()) == (b.labels.tolist(), b.numbers.tolist())
    assert a.lengths.tolist() == b.lengths.tolist()


class TestFile:
    def test_bytes_of_an_event(self, tmp_path):
        (tmp_path / "1.bin").write_bytes(bytes([3, 33, 0x80 | 0x12, 0x34, 0x56, 4, 0, 0x7F, 0xFF, 0xFF]))
        events = ev.read_events(tmp_path / "1.bin", (34, 34))
        assert events.dtype == ev.EVENT
        assert events.tolist() == [(3, 33, True, 0x123456), (4, 0, False, 2**23 - 1)]

    @pytest.mark.parametrize("n", [0, 1, 3000])
    def test_round_trip(self, tmp_path, rng, n):
        events = random_events(rng, n)
        ev.write_events(tmp_path / "1.bin", events)
        assert (tmp_path / "1.bin").stat().st_size == 5 * n
        assert np.array_equal(ev.read_events(tmp_path / "1.bin", (34, 34)), events)

    def test_clock_that_ran_over(self, tmp_path):
        rows = [(1, 2, 0, 0, 7), (0, 240, 0, 0, 0), (3, 4, 128, 0, 1), (0, 240, 0, 0, 0), (5, 6, 128, 0, 0)]
        (tmp_path / "1.bin").write_bytes(bytes(np.ravel(rows).tolist()))
        events = ev.read_events(tmp_path / "1.bin", (34, 34))
        assert events.tolist() == [(1, 2, False, 7), (3, 4, True, 8192 + 1), (5, 6, True, 2 * 8192)]

    def test_truncated(self, folder):
        path = next(folder.rglob("*.bin"))
        path.write_bytes(path.read_bytes()[:-2])
        for read in (lambda: ev.read_events(path), lambda: ev.read_recordings(folder)):
            with pytest.raises(snc.DatasetError, match=rf"{re.escape(str(path))} is truncated .*again"):
                read()

    def test_outside_of_the_sensor(self, tmp_path, rng):
        events = random_events(rng, 100)
        events["x"][40] = 34
        ev.write_events(tmp_path / "1.bin", events)
        assert len(ev.read_events(tmp_path / "1.bin")) == len(ev.read_events(tmp_path / "1.bin", (34, 35))) == 100
        with pytest.raises(snc.DatasetError, match=r"1.bin has 1 .*outside.*x=34"):
            ev.read_events(tmp_path / "1.bin", (34, 34))

    def test_time_that_runs_backwards(self, tmp_path):
        (tmp_path / "1.bin").write_bytes(bytes([1, 1, 0, 0, 9, 1, 1, 0, 0, 9, 1, 1, 0, 0, 8]))
        with pytest.raises(snc.DatasetError, match=r"1.bin.*backwards.* 9 to 8"):
            ev.read_events(tmp_path / "1.bin")

    @pytest.mark.parametrize(
        ("name", "value", "message"),
        [
            ("x", 256, "x from 0 .* crop"),
            ("y", -1, "y from 0 .* crop"),
            ("t", 2**23, "t from 0 to 8,388,607, but the events have 0 to 8,388,608: remove the late ones"),
            ("y", 240, "row 240"),
        ],
    )
    def test_events_that_do_not_fit(self, tmp_path, name, value, message):
        events = np.zeros(2, [("x", "i4"), ("y", "i4"), ("polarity", "?"), ("t", "i4")])
        events[name][1] = value
        with pytest.raises(snc.DatasetError, match=f"1.bin cannot be written: .*{message}"):
            ev.write_events(tmp_path / "1.bin", events)
        assert not (tmp_path / "1.bin").exists()

    def test_events_that_cannot_be_read_back(self, tmp_path, rng):
        with pytest.raises(snc.DatasetError, match="be written: .*runs backwards"):
            ev.write_events(tmp_path / "1.bin", random_events(rng, 9)[::-1])
        with pytest.raises(snc.DatasetError, match="be written: .*t missing"):
            ev.write_events(tmp_path / "1.bin", np.zeros(3, [("x", "u1"), ("y", "u1")]))

    def test_signed_polarity(self, tmp_path):
        events = np.zeros(2, [("x", "i4"), ("y", "i4"), ("polarity", "i1"), ("t", "i4")])
        events["polarity"] = -1, 1
        ev.write_events(tmp_path / "1.bin", events)
        assert ev.read_events(tmp_path / "1.bin")["polarity"].tolist() == [False, True]


class TestFolder:
    def test_round_trip(self, folder, recordings):
        assert_equal(ev.read_recordings(folder), recordings)
        first = folder / str(recordings.labels[0]) / f"{recordings.numbers[0] + 1:05d}.bin"
        assert np.array_equal(ev.read_events(first), recordings[0])

    def test_more_files_than_are_read_ahead(self, folder, recordings, monkeypatch):
        monkeypatch.setattr(folders, "_CHUNK", 2)
        monkeypatch.setattr(folders, "_AHEAD", 5)
        assert_equal(ev.read_recordings(folder), recordings)

    def test_a_recording_whose_clock_ran_over(self, folder, recordings):
        path = folder / str(recordings.labels[3]) / f"{recordings.numbers[3] + 1:05d}.bin"
        path.write_bytes(bytes([0, 240, 0, 0, 0]) + path.read_bytes())
        for _ in range(2):  # from the files, then from the cache
            read = ev.read_recordings(folder)
            assert read.lengths.tolist() == recordings.lengths.tolist()
            assert np.array_equal(read[3]["t"], recordings[3]["t"] + 8192)
            assert np.array_equal(read[4], recordings[4])

    def test_files_that_systems_add(self, folder, recordings):
        for name in (".DS_Store", "readme.txt", "0/._00001.bin", "__MACOSX/0/00001.bin", "0/Thumbs.db"):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(b"123")
        assert_equal(ev.read_recordings(folder), recordings)

    @pytest.mark.parametrize("name", ["Train/00001.bin", "0/first.bin", "0/00000.bin", "0/-1.bin"])
    def test_names_that_are_no_numbers(self, folder, name):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(b"")
        with pytest.raises(snc.DatasetError, match=f"{name.split('/')[0]}.* does not fit"):
            ev.read_recordings(folder)

    def test_classes_with_names(self, tmp_path, recordings):
        """The layout of N-Caltech101."""
        names = ("Faces_easy", "airplanes")
        for i, name in enumerate(names[::-1] * 2):
            ev.write_events(tmp_path / name / f"image_{i + 1:04d}.bin", recordings[i])
        read = ev.read_recordings(tmp_path, (180, 240))
        assert read.class_names == names
        assert read.labels.tolist() == [1, 0, 1, 0]
        assert read.numbers.tolist() == [0, 1, 2, 3]
        for i in range(4):
            np.testing.assert_array_equal(read[i]["t"], recordings[i]["t"])
        assert read[:2].class_names == pickle.loads(pickle.dumps(read)).class_names == names
        assert read.transformed(lambda events: events).class_names == names
        (tmp_path / "airplanes" / "image.bin").write_bytes(b"")
        with pytest.raises(snc.DatasetError, match="NAME_NUMBER.bin"):
            ev.read_recordings(tmp_path)

    def test_no_recordings(self, tmp_path):
        with pytest.raises(snc.DatasetError, match="is not a folder"):
            ev.read_recordings(tmp_path / "nowhere")
        with pytest.raises(snc.DatasetError, match="has no recordings"):
            ev.read_recordings(tmp_path)

    def test_empty_recordings_are_told(self, folder, recordings):
        path = folder / str(recordings.labels[3]) / f"{recordings.numbers[3] + 1:05d}.bin"
        path.write_bytes(b"")
        for _ in range(2):
            with pytest.warns(UserWarning, match=f"1 of 12 .*{re.escape(str(path))}"):
                assert ev.read_recordings(folder).lengths[3] == 0

    def test_all_empty(self, tmp_path):
        ev.write_recordings(tmp_path / "folder", ev.Recordings.of([np.zeros(0, ev.EVENT)], [0]))
        for _ in range(2):
            with pytest.warns(UserWarning, match="1 of 1 recordings"):
                assert ev.read_recordings(tmp_path / "folder").lengths.tolist() == [0]

    def test_a_file_that_changes_meanwhile(self, folder, monkeypatch):
        contents = folders._contents
        monkeypatch.setattr(folders, "_contents", lambda files: [data + bytes(5) for data in contents(files)])
        with pytest.raises(snc.DatasetError, match="changed while it was"):
            ev.read_recordings(folder)

    def test_writes_into_new_folders_only(self, folder, recordings):
        with pytest.raises(snc.DatasetError, match="is not empty"):
            ev.write_recordings(folder, recordings)

    def test_numbers_must_differ(self, tmp_path, recordings):
        with pytest.raises(snc.SettingsError, match="must be unique") as caught:
            ev.write_recordings(tmp_path / "new", recordings[[0, 0]])
        assert caught.value.argument == "recordings"
        assert not (tmp_path / "new").exists()


class TestCache:
    @pytest.fixture
    def reads(self, monkeypatch):
        """Names of the files that were decoded."""
        names = []

        def decode(data, path, sensor):
            names.append(pathlib.Path(path).name)
            return files.decode(data, path, sensor)

        monkeypatch.setattr(folders, "decode", decode)
        return names

    def test_reads_once_and_maps(self, folder, recordings, reads, monkeypatch):
        ev.read_recordings(folder)
        monkeypatch.chdir(folder.parent)
        again = ev.read_recordings("folder")
        assert len(reads) == 12
        assert_equal(again, recordings)
        assert isinstance(again.events.base, np.memmap)
        assert not again.events.flags.writeable
        assert np.array_equal(again.frames(4), recordings.frames(4))

    def test_reads_again_what_changed(self, folder, recordings, reads, user_cache, rng):
        ev.read_recordings(folder)
        label, number = recordings.labels[5], recordings.numbers[5]
        path = folder / str(label) / f"{number + 1:05d}.bin"
        changes = [
            lambda: ev.write_events(path, random_events(rng, 77)),  # another size
            lambda: os.utime(path, ns=(0, 0)),
            lambda: path.rename(path.with_name("00099.bin")),
            lambda: next(folder.rglob("*.bin")).unlink(),
        ]
        for n, change in enumerate(changes, 1):
            change()
            read = ev.read_recordings(folder)
            assert len(reads) == 12 * (n + 1) - (n == len(changes))
            assert len(list(user_cache.iterdir())) == 2, "what it replaces is removed"
        assert len(read) == 11

    def test_folders_do_not_replace_each_other(self, folder, recordings, tmp_path, reads):
        ev.write_recordings(tmp_path / "other", recordings[:3])
        for _ in range(2):
            assert_equal(ev.read_recordings(folder), recordings)
            assert_equal(ev.read_recordings(tmp_path / "other"), recordings[:3])
        assert len(reads) == 15

    def test_another_sensor_is_checked(self, folder):
        ev.read_recordings(folder)
        with pytest.raises(snc.DatasetError, match="outside of a sensor"):
            ev.read_recordings(folder, (20, 20))

    @pytest.mark.parametrize("kind", ["events", "index"])
    @pytest.mark.parametrize(
        "damage",
        [
            lambda data: data[:-1],
            lambda data: data[:30],
            lambda data: b"",
            lambda data: data[:12] + b"((((" + data[16:],
            lambda data: data.replace(b"u1", b"u8", 1).replace(b"<i8", b"<M8", 1),
            lambda data: data[:150] + bytes([data[150] ^ 1]) + data[151:],
            lambda data: data[:-3] + bytes([data[-3] ^ 128]) + data[-2:],
        ],
    )
    def test_damage_is_mended(self, folder, recordings, reads, user_cache, kind, damage):
        ev.read_recordings(folder)
        (path,) = user_cache.glob(f"*-{kind}.npy")
        whole = path.read_bytes()
        path.unlink()  # do not overwrite it, since it may be memory-mapped
        path.write_bytes(damage(whole))
        assert_equal(ev.read_recordings(folder), recordings)
        assert len(reads) == 24
        assert path.read_bytes() == whole

    def test_any_flipped_bit_is_mended(self, folder, recordings, reads, user_cache, rng):
        ev.read_recordings(folder)
        for path in user_cache.iterdir():
            whole = path.read_bytes()
            for place in rng.integers(0, len(whole), 40):
                path.unlink()
                path.write_bytes(whole[:place] + bytes([whole[place] ^ 1 << rng.integers(8)]) + whole[place + 1 :])
                assert_equal(ev.read_recordings(folder), recordings)
        assert len(reads) > 12 * 60  # except damage to blanks in headers

    def test_impossible_lengths_are_mended(self, folder, recordings, user_cache):
        ev.read_recordings(folder)
        (path,) = user_cache.glob("*-index.npy")
        np.save(path, np.load(path) + 1)
        assert_equal(ev.read_recordings(folder), recordings)

    def test_no_place_for_a_cache(self, folder, recordings, reads, tmp_path, monkeypatch):
        (tmp_path / "file").write_bytes(b"")
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
        for n in (1, 2):
            with pytest.warns(UserWarning, match="cannot be kept .*XDG_CACHE_HOME") as caught:
                assert_equal(ev.read_recordings(folder), recordings)
            assert caught[0].filename == __file__
            assert len(reads) == 12 * n

    def test_a_full_disk(self, folder, recordings, monkeypatch, user_cache):
        def full(*_):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(cache.np, "save", full)
        with pytest.warns(UserWarning, match="No space left"):
            assert_equal(ev.read_recordings(folder), recordings)
        assert not list(user_cache.iterdir())

    def test_damaged_recordings_leave_nothing(self, folder, user_cache):
        next(folder.rglob("*.bin")).write_bytes(b"123")
        with pytest.raises(snc.DatasetError, match="truncated"):
            ev.read_recordings(folder)
        assert not list(user_cache.iterdir())


class TestDataset:
    @pytest.fixture
    def small_nmnist(self, tmp_path, monkeypatch, recordings):
        ev.write_recordings(tmp_path / "N-MNIST" / "Train", recordings[:8])
        ev.write_recordings(tmp_path / "N-MNIST" / "Test", recordings[8:])
        monkeypatch.setenv(datasets.ENVIRONMENT_VARIABLE, str(tmp_path))
        return tmp_path / "N-MNIST"

    def test_loads(self, small_nmnist, recordings):
        data = ev.load_events()
        assert_equal(data.train, recordings[:8])
        assert_equal(data.test, recordings[8:])
        assert data.class_names == tuple("0123456789")
        assert repr(data) == "<EventDataset n-mnist: 8 + 4 recordings, 34x34>"

    def test_first_recordings(self, small_nmnist, recordings):
        data = ev.load_events("n-mnist", train=3, test=4)
        assert_equal(data.train, recordings[:3])
        assert len(data.test) == 4
        for count in (0, 5):
            with pytest.raises(snc.DatasetError, match=f"^test must .*got {count}"):
                ev.load_events(test=count)

    def test_missing(self, small_nmnist, monkeypatch):
        (small_nmnist / "Test").rename(small_nmnist / "test-set")
        with pytest.raises(snc.DatasetError, match="Test is missing; .*simulate_recordings"):
            ev.load_events()
        monkeypatch.delenv(datasets.ENVIRONMENT_VARIABLE)
        with pytest.raises(snc.DatasetError, match="NENGO_SNNCONV_DATA is not set"):
            ev.load_events()

    def test_unknown_name(self):
        with pytest.raises(snc.DatasetError, match="recordings 'dvs-gesture'; there are"):
            ev.load_events("dvs-gesture")

    def test_real_recordings(self, data_folder):
        data = ev.load_events()
        mnist = snc.load_dataset("mnist")
        for recordings, labels in ((data.train, mnist.y_train), (data.test, mnist.y_test)):
            assert np.array_equal(recordings.labels, labels[recordings.numbers])
            assert np.all(np.diff(recordings.numbers) > 0)
            assert 3000 < np.median(recordings.lengths) < 5000
        assert 290_000 < np.median([events["t"][-1] for events in data.test]) < 320_000  # three saccades
        number = data.test.numbers[0]
        path = pathlib.Path(data_folder, "N-MNIST", "Test", str(data.test.labels[0]), f"{number + 1:05d}.bin")
        assert path.read_bytes() == files.encode(data.test[0], path)
