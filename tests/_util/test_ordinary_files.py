"""Atomic writing, reading of ordinary files, and text for terminals."""

import errno
import os
import resource
import stat
import subprocess
import sys

import pytest

import nengo_snnconv as snc
from nengo_snnconv import cli
from nengo_snnconv import events as ev
from nengo_snnconv._util.atomic import atomic_write
from nengo_snnconv._util.ordinary_files import open_ordinary
from nengo_snnconv._util.printable import PrintableStream, printable, printable_text
from nengo_snnconv._util.strict_json import parse_json


def mode_of(path):
    return stat.S_IMODE(os.stat(path).st_mode)


class TestAtomicWrite:
    @pytest.mark.parametrize("mode", [0o600, 0o640, 0o444, 0o755])
    def test_a_file_that_is_replaced_keeps_its_mode(self, tmp_path, mode):
        path = tmp_path / "file"
        path.write_text("old")
        path.chmod(mode)
        with atomic_write(path, "w") as file:
            # a private file stays private meanwhile
            assert stat.S_IMODE(os.fstat(file.fileno()).st_mode) == 0o600
            file.write("new")
        assert mode_of(path) == mode
        assert path.read_text() == "new"

    @pytest.mark.parametrize("umask", [0o022, 0o077, 0o002])
    def test_a_new_file_follows_the_umask(self, tmp_path, umask):
        before = os.umask(umask)
        try:
            with atomic_write(tmp_path / "file"):
                pass
        finally:
            os.umask(before)
        assert mode_of(tmp_path / "file") == 0o666 & ~umask

    def test_the_umask_is_never_changed(self, tmp_path, monkeypatch):
        # changing the umask would affect files of other threads
        monkeypatch.setattr(os, "umask", lambda mask: pytest.fail("changed"))
        with atomic_write(tmp_path / "file"):
            pass

    def test_a_group_that_cannot_be_kept_gets_no_more_than_others(self, tmp_path, monkeypatch):
        path = tmp_path / "file"
        path.write_text("old")
        path.chmod(0o664)
        other = os.stat_result([*os.stat(path)[:5], os.stat(path).st_gid + 1, *os.stat(path)[6:]])
        whole = type(path).stat
        monkeypatch.setattr(type(path), "stat", lambda self, **own: other if self == path else whole(self, **own))
        monkeypatch.setattr(os, "chown", lambda *_: (_ for _ in ()).throw(PermissionError(errno.EPERM, "no")))
        with atomic_write(path):
            pass
        monkeypatch.undo()
        assert mode_of(path) == 0o644

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
    def test_the_owner_is_kept(self, tmp_path):
        path = tmp_path / "file"
        path.write_text("old")
        os.chown(path, 12345, 23456)
        with atomic_write(path):
            pass
        assert (path.stat().st_uid, path.stat().st_gid) == (12345, 23456)

    def test_a_full_disk_names_the_file(self, tmp_path):
        path = tmp_path / "file"
        path.write_text("old")
        with pytest.raises(OSError, match="make room there") as caught, atomic_write(path):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        assert (caught.value.errno, caught.value.filename) == (errno.ENOSPC, str(path))
        assert path.read_text() == "old"
        assert list(tmp_path.iterdir()) == [path]

    def test_a_limit_of_the_size(self, tmp_path):
        code = (
            "import sys\nfrom nengo_snnconv._util.atomic import atomic_write\n"
            "with atomic_write(sys.argv[1]) as f: f.write(bytes(10**6))"
        )
        ended = subprocess.run(
            [sys.executable, "-c", code, tmp_path / "file"],
            capture_output=True,
            text=True,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000)),
        )
        assert "ulimit -f" in ended.stderr
        assert str(tmp_path / "file") in ended.stderr.splitlines()[-1]
        assert list(tmp_path.iterdir()) == []

    def test_a_folder_that_cannot_be_written_is_named(self, tmp_path, monkeypatch):
        def refuse(path, *_):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))

        monkeypatch.setattr(os, "open", refuse)
        with pytest.raises(PermissionError, match="name a file in a folder in which you may write") as caught:
            snc.save(snc.Model([snc.model.layers.Input("x", shape=(1,))], {}), tmp_path / "a.npz")
        assert caught.value.filename == str(tmp_path / "a.npz")

    def test_a_command_names_what_it_cannot_write(self, tmp_path, capsys):
        (tmp_path / "file").write_bytes(b"")
        arguments = ["evaluate", "no.npz", "--json", str(tmp_path / "file" / "figures.json")]
        assert cli.main(arguments) == 1
        assert str(tmp_path / "file") in capsys.readouterr().err
        assert cli.main([*arguments[:-1], str(tmp_path / ("a" * 300))]) == 1
        assert "choose a shorter name" in capsys.readouterr().err

    def test_links_that_name_each_other(self, tmp_path):
        (tmp_path / "a").symlink_to(tmp_path / "b")
        (tmp_path / "b").symlink_to(tmp_path / "a")
        with pytest.raises(OSError) as caught, atomic_write(tmp_path / "a"):
            pass
        assert (caught.value.errno, caught.value.filename) == (errno.ELOOP, str(tmp_path / "a"))

    def test_errors_of_others_are_theirs(self, tmp_path):
        with pytest.raises(FileNotFoundError, match="other"), atomic_write(tmp_path / "file"):
            (tmp_path / "other").read_bytes()
        with pytest.raises(OSError, match="^ffmpeg failed$"), atomic_write(tmp_path / "file"):
            raise OSError("ffmpeg failed")

    def test_names_of_any_length(self, tmp_path):
        path = tmp_path / ("é" * 127)
        with atomic_write(path):
            pass
        assert path.exists()
        with pytest.raises(OSError, match="shorter name"), atomic_write(tmp_path / ("a" * 300)):
            pass


READERS = {
    "load": (snc.load, snc.FileFormatError),
    "read_report": (snc.read_report, snc.FileFormatError),
    "read_events": (ev.read_events, snc.DatasetError),
}


class TestOpenOrdinary:
    @pytest.mark.parametrize("reader", READERS)
    def test_pipes_folders_and_devices_are_refused_at_once(self, reader, tmp_path):
        read, error = READERS[reader]
        os.mkfifo(tmp_path / "pipe")
        for path, kind in ((tmp_path / "pipe", "a pipe"), (tmp_path, "a folder"), ("/dev/zero", "a device")):
            with pytest.raises(error, match=kind):
                read(path)
        (tmp_path / "link").symlink_to(tmp_path / "pipe")
        with pytest.raises(error, match="a pipe"):
            read(tmp_path / "link")

    @pytest.mark.parametrize("reader", READERS)
    def test_files_that_are_not_there(self, reader, tmp_path):
        for path in (tmp_path / "no", tmp_path / "no" / "no"):
            with pytest.raises(FileNotFoundError, match="there is no file"):
                READERS[reader][0](path)
        with pytest.raises((FileNotFoundError, snc.SettingsError), match="is no file|^path must"):
            READERS[reader][0]("a\0b")

    def test_errors_of_reading_name_the_file(self, tmp_path):
        (tmp_path / "file").write_bytes(b"")
        with pytest.raises(OSError, match="file") as caught, open_ordinary(tmp_path / "file"):
            raise OSError(errno.EIO, "Input/output error")
        assert caught.value.filename == str(tmp_path / "file")

    def test_what_became_a_pipe_meanwhile(self, tmp_path, monkeypatch):
        os.mkfifo(tmp_path / "pipe")
        (tmp_path / "file").write_bytes(b"")
        status = os.stat(tmp_path / "file")
        monkeypatch.setattr(os, "stat", lambda path: status)
        with pytest.raises(snc.FileFormatError, match="a pipe"), open_ordinary(tmp_path / "pipe"):
            pass


class TestText:
    def test_control_characters_become_escapes(self):
        assert printable("a\x1b[31m\n\u202ex\udcffé 日本") == r"a\x1b[31m\n\u202ex\udcffé 日本"
        assert printable_text("a\r\tb\nc\x07") == "a\\r\tb\nc\\x07"

    def test_a_stream_of_another_encoding(self, tmp_path):
        with open(tmp_path / "file", "w", encoding="ascii") as file:
            print("été", "\x1b]0;title\x07", "\udcff", file=PrintableStream(file))
        assert (tmp_path / "file").read_text() == "\\xe9t\\xe9 \\x1b]0;title\\x07 \\udcff\n"

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("[NaN]", "not a number"),
            ("[-Infinity]", "not a number"),
            ("1e999", "too large"),
            ("1" * 5000, "too large"),
            ('{"a": 1, "b": {"c": 1, "c": 2}}', "'c' twice"),
            ("[" * 100_000 + "]" * 100_000, "nested too deeply"),
            ("{", "Expecting"),
        ],
    )
    def test_json_that_is_none(self, text, message):
        with pytest.raises(ValueError, match=message):
            parse_json(text)

    def test_json(self):
        assert parse_json(b'{"a": [1, -2.5e3, null, true, "x"], "b": {}}') == {
            "a": [1, -2500, None, True, "x"],
            "b": {},
        }
