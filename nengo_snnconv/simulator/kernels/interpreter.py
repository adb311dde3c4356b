"""The interpreter of the fast simulator: runs a program, image after image, one chunk of time after another."""

import contextlib
import functools
import subprocess
import sys

import numba
from numba import types

from ..._util.numba_cache import kept_njit
from .arguments import OPTIONS, Turn, kinds_of
from .operations import CHECKSUM, CODES, addresses, any_missing, call_at

# they take the longest to compile, and share most of their code
CONVOLUTIONS = {CODES["gather"], CODES["convolve"]}


def load(program, progress=None, n_cores=1):
    """Return the function that runs a program, ``execute(images, program, run, counters, work)``.

    Its operations are compiled if they are not on disk; with several cores by two processes.

    Parameters
    ----------
    program : ProgramArrays
    progress : callable, optional
        Called after each operation, and after the interpreter.
    n_cores : int
    """
    weights, used = program.weights.dtype, set(program.operations["code"].tolist())
    here, aside = sorted(used & CONVOLUTIONS), sorted(used - CONVOLUTIONS)
    shared = n_cores > 1 and any_missing(here, weights) and any_missing(aside, weights)
    with _compiled_aside(aside, weights) if shared else contextlib.nullcontext():
        where = addresses(here, weights, progress)
    where += addresses(aside, weights, progress)
    execute = functools.partial(_interpreter(weights), where)
    if progress:
        progress()
    return execute


@contextlib.contextmanager
def _compiled_aside(codes, weights):
    """Compile operations and the interpreter in another process during the block.

    What that process cannot compile, or keep on disk, is compiled later.
    """
    source = (
        f"import sys; sys.path[:] = {sys.path}; import numpy; from {__name__} import compile_and_keep; "
        f"compile_and_keep({codes}, numpy.dtype('{weights}'))"
    )
    quiet = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.DEVNULL)
    try:
        process = subprocess.Popen([sys.executable or "", "-c", source], **quiet)
    except OSError:  # Python is part of another program
        yield
        return
    try:
        yield
        process.wait()
    finally:
        process.kill()
        process.wait()


def compile_and_keep(codes, weights):
    """Compile operations and the interpreter, and keep the machine code on disk."""
    addresses(codes, weights)
    _interpreter(weights)


@functools.cache
def _interpreter(weights):
    """Return the compiled function :func:`_execute` for weights of a type."""
    _, _, *shared = kinds_of(numba.from_dtype(weights))
    signature = (types.int64[::1], types.int64[::1], *shared)
    return kept_njit(_execute, signatures=[signature], version=CHECKSUM, **OPTIONS)


def _execute(addresses, images, program, run, counters, work):
    """Run images through a program, each for all steps.

    Parameters
    ----------
    addresses : ndarray of int64
        Where the machine code of each operation begins, by code.
    images : ndarray of int, (2,)
        First image, and the one behind the last.
    program : ProgramArrays
    run : Run
    counters : Counters
    work : Workspace
    """
    for image in range(images[0], images[1]):
        for start in range(0, run.n_steps, run.chunk):
            length = min(run.chunk, run.n_steps - start)
            # steps of the chunk are counted from here, those of an operation from the reset
            before = run.steps_before + start
            for number in range(len(program.operations)):
                op = program.operations[number]
                if op.once:
                    if start > 0:
                        continue
                    begin, end = 0, 1
                else:
                    begin = min(max(op.begin - before, 0), length)
                    end = min(max(op.end - before, 0), length)
                turn = Turn(image, run.state[image], start, length, begin, end)
                call_at(addresses[op.code], op, turn, program, run, counters, work)
