"""Output of the command line: errors in one line and in words, JSON, and nothing into closed pipes."""

import json
import os
import subprocess
import sys

import pytest

import nengo_snnconv as snc
from nengo_snnconv import cli
from nengo_snnconv.cli.data import complete_data
from nengo_snnconv.cli.messages import in_words


@pytest.mark.parametrize(
    ("arguments", "program"),
    [
        ([], "nengo-snnconv"),
        (["fly"], "nengo-snnconv"),
        (["evaluate"], "nengo-snnconv evaluate"),
        (["demo", "--epochs", "0"], "nengo-snnconv demo"),
        (["train", "a.npz", "--steps", "8"], "nengo-snnconv train"),
        (["convert", "a.keras", "b.npz", "--train-images", "9"], "nengo-snnconv convert"),
    ],
)
def test_wrong_usage_is_one_line(arguments, program, capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(arguments)
    (line,) = capsys.readouterr().err.splitlines()
    assert stop.value.code == 2
    assert line.startswith(f"{program}: ")
    assert line.endswith(f"(see {program} --help)")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            ["convert", "a.keras", "b.npz", "--train-images", "1000"],
            ": did you mean --calibration-images or --test-images? (see nengo-snnconv convert --help)",
        ),
        (["evaluate", "a.npz", "--bakend=fast"], "arguments: --bakend=fast: did you mean --backend? (see"),
        (["evaluate", "a.npz", "b.npz"], "arguments: b.npz (see"),
        (["evaluate", "a.npz", "-x", "--qqq"], "arguments: -x --qqq (see"),
    ],
)
def test_unknown_arguments(arguments, words, capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(arguments)
    assert stop.value.code == 2
    assert words in capsys.readouterr().err


@pytest.mark.parametrize("option", ["-V", "--version"])
def test_version(option, capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main([option])
    assert stop.value.code == 0
    assert capsys.readouterr().out == f"nengo-snnconv {snc.__version__}\n"


def error_of(call):
    with pytest.raises(OSError) as caught:
        call()
    return caught.value


def test_errors_of_the_system_in_words(tmp_path):
    (tmp_path / "file").write_text("")
    for call, words in (
        (lambda: os.listdir(tmp_path / "none"), f"there is no file or folder {tmp_path / 'none'}"),
        (lambda: tmp_path.read_bytes(), f"{tmp_path}: Is a directory"),
        (lambda: os.listdir(tmp_path / "file" / "x"), f"{tmp_path / 'file' / 'x'}: Not a directory"),
        (lambda: os.mkdir(tmp_path), f"{tmp_path}: File exists"),
    ):
        assert in_words(error_of(call)) == words
    assert in_words(OSError("own words")) == "own words"
    assert in_words(OSError(5, "Input/output error")) == "Input/output error"


def test_no_numbers_of_errors(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("")
    for arguments in (["none.npz"], ["a.npz", "--json", "file/x"], ["file/x"], ["."]):
        assert cli.main(["evaluate", *arguments]) == 1
        (line,) = capsys.readouterr().err.splitlines()
        assert "Errno" not in line
    monkeypatch.setattr(snc, "load", lambda path: (_ for _ in ()).throw(MemoryError()))
    assert cli.main(["evaluate", "none.npz"]) == 1
    assert "not enough memory" in capsys.readouterr().err


def test_json_on_standard_output(small, capsys):
    assert cli.main(["convert", str(small), "--dry-run", "--json", "-"]) == 0
    printed = capsys.readouterr()
    assert json.loads(printed.out)["refused"] == []
    assert "Dense" in printed.err


CODE = "import sys; from nengo_snnconv.cli import main; sys.exit(main({}))"


@pytest.mark.parametrize("arguments", [["--help"], ["convert", "--help"]])
def test_a_closed_pipe_is_silent(arguments):
    read, write = os.pipe()
    os.close(read)  # as head does after its last line
    code = CODE.format(arguments)
    done = subprocess.run([sys.executable, "-c", code], stdout=write, stderr=subprocess.PIPE, text=True)
    os.close(write)
    assert done.stderr == ""


def test_a_closed_pipe_ends_a_command(monkeypatch):
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w") as closed:
        monkeypatch.setattr(sys, "stdout", closed)
        monkeypatch.setattr(snc, "load", lambda path: [print("x" * 100) for _ in range(1000)])
        assert cli.main(["evaluate", "a.npz"]) == 141


def test_a_broken_pipe_of_something_else_is_an_error(monkeypatch):
    def load(path):
        raise BrokenPipeError(32, "Broken pipe", "socket")

    monkeypatch.setattr(snc, "load", load)
    with pytest.raises(BrokenPipeError):
        cli.main(["evaluate", "a.npz"])


class TestCompletion:
    def complete(self, line):
        """Return the completions that a shell would get."""
        pytest.importorskip("argcomplete")
        read, write = os.pipe()
        environment = {**os.environ, "_ARGCOMPLETE": "1", "COMP_LINE": line, "COMP_POINT": str(len(line))}
        environment |= {"_ARGCOMPLETE_STDOUT_FILENAME": f"/dev/fd/{write}", "_ARGCOMPLETE_IFS": "\n"}
        subprocess.run(
            [sys.executable, "-c", CODE.format([])], env=environment, pass_fds=[write], check=True, capture_output=True
        )
        os.close(write)
        with os.fdopen(read) as file:
            return {word.strip() for word in file.read().split("\n")}

    def test_commands_and_options(self):
        assert self.complete("nengo-snnconv to") == {"to-ttfs"}
        assert "--report" in self.complete("nengo-snnconv evaluate --re")

    def test_data(self, tmp_path, monkeypatch):
        pytest.importorskip("argcomplete")
        monkeypatch.chdir(tmp_path)
        (tmp_path / "mine.npz").write_bytes(b"")
        assert set(complete_data("m")) == {"mnist", "mine.npz"}
