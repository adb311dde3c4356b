"""The table of operations, and their machine code.

Each operation is compiled for itself, when a program first uses it, and called at its address.

To add an operation, write a compiled function with the arguments of :mod:`.arguments` and give it a row of the table.
The compiler then uses it by name, see :mod:`nengo_snnconv.simulator.compile.program_writer`.
"""

import functools
import pathlib
import types as pytypes
import zlib

import numba
import numpy as np
from numba import types
from numba.core import cgutils
from numba.core.errors import TypingError
from numba.extending import intrinsic

from ..._util.numba_cache import is_kept, kept_njit
from . import (
    connection_operations,
    dense_operations,
    event_operations,
    max_operations,
    neuron_operations,
    poisson_operations,
    staged_operations,
    ttfs_operations,
)
from .arguments import OPTIONS, kinds_of

OPERATIONS = {
    # dense signals
    "load": dense_operations.load,
    "fill": dense_operations.fill,
    "copy": dense_operations.copy,
    "add": dense_operations.add,
    "scale": dense_operations.scale,
    "filter": dense_operations.linear_filter,
    "record": dense_operations.record,
    # events
    "compact": event_operations.compact,
    "expand": event_operations.expand,
    "remap": event_operations.remap,
    "count": event_operations.count,
    "count_negative": event_operations.count_negative,
    # connections, from events to dense signals
    "scatter": connection_operations.scatter,
    "gather": connection_operations.gather,
    # connections, from dense signals to dense signals
    "convolve": connection_operations.convolve,
    "depthwise": connection_operations.depthwise,
    # neurons
    "rectify": dense_operations.rectify,
    "quantize": dense_operations.quantize,
    "integrate_and_fire": neuron_operations.integrate_and_fire,
    "plain_integrate_and_fire": neuron_operations.plain_integrate_and_fire,
    "integrate_and_fire_often": neuron_operations.integrate_and_fire_often,
    "signed_integrate_and_fire": neuron_operations.signed_integrate_and_fire,
    "spiking_rectify": neuron_operations.spiking_rectify,
    "lif": neuron_operations.lif,
    "lif_of_constant": neuron_operations.lif_of_constant,
    "coarse_lif": neuron_operations.coarse_lif,
    "surrogate_lif": neuron_operations.surrogate_lif,
    "poisson_input": poisson_operations.poisson_input,
    "ttfs_input": ttfs_operations.ttfs_input,
    "ttfs_current": ttfs_operations.ttfs_current,
    "ttfs_neurons": ttfs_operations.ttfs_neurons,
    "ttfs_readout": ttfs_operations.ttfs_readout,
    "stage_gate": staged_operations.stage_gate,
    "staged_integrate_and_fire": staged_operations.staged_integrate_and_fire,
    "staged_readout": staged_operations.staged_readout,
    "max_gate": max_operations.max_gate,
    "max_gate_dense": max_operations.max_gate_dense,
    "max_pool": max_operations.max_pool,
}

# of all modules of this folder when they were imported, on which the compiled code depends
CHECKSUM = sum(zlib.crc32(path.read_bytes()) for path in pathlib.Path(__file__).parent.glob("*.py"))

CODES = {name: code for code, name in enumerate(OPERATIONS)}


@intrinsic
def call_at(typingctx, address, op, turn, program, run, counters, work):
    """Call the operation whose machine code begins at an address with the other arguments."""
    kinds = (op, turn, program, run, counters, work)
    if kinds != kinds_of(program.types[program.fields.index("weights")].dtype):
        raise TypingError(f"an operation has other arguments than those for which it is compiled: {kinds}")

    def generate(context, builder, signature, arguments):
        address, *arguments = arguments
        function = context.call_conv.get_function_type(types.none, kinds).as_pointer()
        pointer = builder.inttoptr(address, function)
        status, _ = context.call_conv.call_function(builder, pointer, types.none, kinds, arguments)
        with cgutils.if_unlikely(builder, status.is_error):
            context.call_conv.return_status_propagate(builder, status)
        return context.get_dummy_value()

    return types.void(address, *kinds), generate


def addresses(used, weights_dtype, progress=None):
    """Return where the machine code of each operation begins, ndarray of int64, by code; 0 for those not used.

    Operations are compiled when a program first uses them, and kept on disk.

    Parameters
    ----------
    used : iterable of int
        Codes of operations.
    weights_dtype : dtype
        float32, or uint16 for bfloat16.
    progress : callable, optional
        Called after each operation.
    """
    found, kinds = np.zeros(len(OPERATIONS), np.int64), kinds_of(numba.from_dtype(weights_dtype))
    for code in used:
        operation = _kept_operation(code)
        operation.compile(kinds)
        machine_code = operation.overloads[kinds]
        found[code] = machine_code.library.get_pointer_to_function(machine_code.fndesc.llvm_func_name)
        if progress:
            progress()
    return found


def any_missing(used, weights_dtype):
    """Return whether any of the operations is not on disk, but would be kept there."""
    kinds = kinds_of(numba.from_dtype(weights_dtype))
    return any(is_kept(_kept_operation(code), kinds) is False for code in used)


@functools.cache
def _kept_operation(code):
    """Return an operation that is kept on disk, under a name that no other one has."""
    name, operation = list(OPERATIONS.items())[code]
    function = operation.py_func
    named = pytypes.FunctionType(function.__code__, function.__globals__, name, None, function.__closure__)
    named.__qualname__, named.__module__ = f"operation_{name}", function.__module__
    return kept_njit(named, version=CHECKSUM, no_cpython_wrapper=True, **OPTIONS)
