"""The interpreter of the fast simulator, and the table of its operations."""

import ast
import importlib
import inspect
import pathlib
import subprocess
import sys

import nengo
import numba
import numpy as np
import pytest
from numba import types
from numba.core.dispatcher import Dispatcher

from nengo_snnconv.simulator import Simulator, kernels
from nengo_snnconv.simulator.compile import compiler, neuron_kinds, signal_operations
from nengo_snnconv.simulator.kernels import operations
from nengo_snnconv.simulator.kernels.arguments import OPTIONS, kinds_of
from nengo_snnconv.simulator.kernels.operations import OPERATIONS

MODULES = sorted(pathlib.Path(kernels.__file__).parent.glob("*.py"))
ARGUMENTS = ["op", "turn", "program", "run", "counters", "work"]


@pytest.mark.parametrize("name", OPERATIONS)
def test_operations_have_the_same_arguments(name):
    assert list(inspect.signature(OPERATIONS[name].py_func).parameters) == ARGUMENTS


def test_the_compiler_uses_every_operation():
    names = {
        node.value
        for module in (compiler, neuron_kinds, signal_operations)
        for node in ast.walk(ast.parse(inspect.getsource(module)))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    assert set(OPERATIONS) <= names


def test_compiled_code_comes_from_modules_that_the_checksum_covers():
    """Machine code is kept on disk until the checksum changes."""
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.level > 1:
                # none of these is called by compiled code; the types of arguments contain the tables' columns
                assert node.module in ("program", "_util.numba_cache"), path.name
                names = {alias.name for alias in node.names if not alias.name.isupper()}
                assert names <= {"Program", "aligned_zeros", "is_kept", "kept_njit"}, path.name


def test_programs_load_the_operations_that_they_use():
    with nengo.Network() as network:
        source = nengo.Node(np.zeros(3))
        nengo.Probe(source)
    with Simulator(network) as simulator:
        program, _, execute = simulator._runner.program({source: False})
    used = np.unique(program.arrays.operations["code"])
    (where,) = execute.args
    assert {list(OPERATIONS)[code] for code in used} == {"load", "record"}
    assert np.array_equal(np.flatnonzero(where), used)


def test_operations_are_kept_under_names_of_their_own():
    """Code that several processes have compiled is told apart by names, and many operations have the same function."""
    kept = [operations._kept_operation(code).py_func for code in range(len(OPERATIONS))]
    assert len({(function.__module__, function.__qualname__) for function in kept}) == len(OPERATIONS)


def test_functions_are_not_compiled_for_single_numbers():
    """An argument such as 0 compiles a function for this number, and then again for all others."""
    kinds = kinds_of(types.float32)
    for name in ("convolve", "lif_of_constant", "max_gate", "ttfs_current"):
        numba.njit(no_cpython_wrapper=True, **OPTIONS)(OPERATIONS[name].py_func).compile(kinds)
    functions = [
        function
        for path in MODULES
        for function in vars(importlib.import_module(f"{kernels.__name__}.{path.stem}")).values()
        if isinstance(function, Dispatcher)
    ]
    assert sum(len(function.signatures) for function in functions) > 30
    for function in functions:
        for signature in function.signatures:
            assert not any(isinstance(kind, types.Literal) for kind in signature), (function, signature)


COMPILE = """
import sys
import types
import numpy as np
from nengo_snnconv.simulator.kernels import interpreter, operations
names = "gather", "fill", "record"
codes = [operations.CODES[name] for name in names]
program = types.SimpleNamespace(weights=np.zeros(1, np.float32), operations=np.array(codes, [("code", np.int64)]))
sys.executable = {executable}
(where,) = interpreter.load(program, n_cores={n_cores}).args
assert np.array_equal(np.flatnonzero(where), np.sort(codes))
kept = [*map(operations._kept_operation, codes), interpreter._interpreter(program.weights.dtype)]
print(*(sum(each.stats.cache_hits.values()) for each in kept))
"""


@pytest.mark.parametrize(
    ("n_cores", "executable", "from_disk"),
    [
        (2, "sys.executable", "0 1 1 1"),
        (1, "sys.executable", "0 0 0 0"),
        (2, "'/no/python'", "0 0 0 0"),
        (2, "None", "0 0 0 0"),
    ],
)
def test_operations_are_compiled_in_two_processes(tmp_path, monkeypatch, n_cores, executable, from_disk):
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    script = COMPILE.format(n_cores=n_cores, executable=executable)
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert ended.stdout.strip() == from_disk, ended.stderr
    again = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert again.stdout.strip() == "1 1 1 1", again.stderr
