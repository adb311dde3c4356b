"""The interpreter of the fast simulator, and the table of its operations."""

import ast
import inspect
import pathlib

import nengo
import numpy as np
import pytest

from nengo_snnconv.simulator import Simulator, kernels
from nengo_snnconv.simulator.compile import compiler, neuron_kinds, signal_operations
from nengo_snnconv.simulator.kernels import operations
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
                assert names <= {"Program", "aligned_zeros", "kept_njit"}, path.name


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
