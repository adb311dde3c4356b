"""The command line: errors in one line, help texts, back ends."""

import pathlib
import subprocess
import sys

import pytest

import nengo_snnconv as snc
from nengo_snnconv import cli
from nengo_snnconv.cli.options import BACKENDS as CHOICES
from nengo_snnconv.evaluation.backends import BACKENDS


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["evaluate", "missing.npz"], "missing.npz"),
        (["train", "x.npz", "--preset", "lenet"], "'lenet'"),
        (["train", "x.npz", "--data", "imagenet"], "'imagenet'"),
        (["train", "x.npz", "--max-rate", "600", "--train-images", "10"], "500 Hz"),
        (["demo", "--train-images", "20000"], "10000"),
        (["convert", "missing.keras", "x.npz"], "missing.keras"),
        (["convert", "missing.npz", "x.npz"], "missing.npz"),
        (["convert", "missing.keras", "."], "is a folder"),
        (["convert", "missing.keras", "x.npz", "--reset", "zero", "--max-spikes", "2"], "max_spikes"),
    ],
)
def test_errors_in_one_line(arguments, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert cli.main(arguments) == 1
    printed = capsys.readouterr().err
    assert printed.startswith(f"nengo-snnconv {arguments[0]}: ")
    assert message in printed
    assert len(printed.splitlines()) == 1


def test_debug_shows_where_an_error_comes_from():
    with pytest.raises(FileNotFoundError):
        cli.main(["evaluate", "missing.npz", "--debug"])


def test_a_bug_is_called_one(monkeypatch, capsys):
    monkeypatch.setattr(snc, "load", lambda path: 1 / 0)
    assert cli.main(["evaluate", "x.npz"]) == 1
    assert "ZeroDivisionError: division by zero (a bug: use --debug for the traceback)" in capsys.readouterr().err


def test_the_choices_are_the_back_ends():
    assert tuple(BACKENDS) == CHOICES


def test_installed_command():
    command = pathlib.Path(sys.executable).with_name("nengo-snnconv")
    found = subprocess.run([command, "--version"], capture_output=True, text=True, check=True)
    assert found.stdout == f"nengo-snnconv {snc.__version__}\n"


def test_every_option_has_a_help_text():
    missing = [
        (name, action.dest) for name, parser in cli.commands().items() for action in parser._actions if not action.help
    ]
    assert missing == []
