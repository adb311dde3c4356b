"""Machine code on disk: loaded by the next process, and compiled again if it is damaged or cannot be kept."""

import os
import pathlib
import subprocess
import sys

import pytest

MODULE = """
import sys, warnings
import numba
import nengo_snnconv._util.numba_cache as kept

@kept.kept_njit(nogil=True)
def double(x):
    return 2 * x

@kept.kept_njit(signatures=[(numba.int64,)])
def triple(x):
    return 3 * x

with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    values = double(2), double(1.5), triple(2)
hits = sum(sum(each._cache_hits.values()) for each in (double, triple))
print(*values, hits, *(warning.message for warning in caught))
"""


@pytest.fixture
def run(tmp_path):
    (tmp_path / "module.py").write_text(MODULE)

    def run(**environment):
        environment = {"NUMBA_CACHE_DIR": str(tmp_path / "kept"), **environment}
        root = str(pathlib.Path(__file__).parents[2])
        ended = subprocess.run(
            [sys.executable, tmp_path / "module.py"],
            env={**os.environ, "PYTHONPATH": root, **environment},
            capture_output=True,
            text=True,
        )
        assert ended.returncode == 0, ended.stderr
        return ended.stdout.split(maxsplit=4)

    return run


def test_is_compiled_once(run, tmp_path):
    assert run() == ["4", "3.0", "6", "0"]
    assert run() == ["4", "3.0", "6", "3"]
    assert len(list((tmp_path / "kept").rglob("*.kernel"))) == 3


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: data[:40],
        lambda data: data[:-100] + bytes([data[-100] ^ 1]) + data[-99:],
        lambda data: b"x" * len(data),
    ],
)
def test_what_is_damaged_is_compiled_again(run, tmp_path, damage):
    run()
    for path in (tmp_path / "kept").rglob("*.kernel"):
        path.write_bytes(damage(path.read_bytes()))
    assert run() == ["4", "3.0", "6", "0"]
    assert run() == ["4", "3.0", "6", "3"]


def test_a_change_of_the_source_is_seen(run, tmp_path):
    run()
    (tmp_path / "module.py").write_text(MODULE.replace("return 2 * x", "return 4 * x"))
    assert run() == ["8", "6.0", "6", "0"]
    assert len(list((tmp_path / "kept").rglob("*.kernel"))) == 3, "what it replaces is removed"


def test_a_place_that_cannot_be_written(run, tmp_path):
    run()
    for path in (tmp_path / "kept").rglob("*.kernel"):
        path.unlink()
        path.mkdir()  # as an example of a system error
    *values, warning = run()
    assert values == ["4", "3.0", "6", "0"]
    assert "cannot be kept on disk" in warning
    assert "NUMBA_CACHE_DIR" in warning


def test_no_place_at_all(run, tmp_path):
    (tmp_path / "file").write_bytes(b"")
    no_place = {name: str(tmp_path / "file") for name in ("NUMBA_CACHE_DIR", "HOME", "XDG_CACHE_HOME")}
    no_place["NUMBA_CACHE_LOCATOR_CLASSES"] = "UserProvidedCacheLocator"
    assert run(**no_place) == ["4", "3.0", "6", "0"]
