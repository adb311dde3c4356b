"""The interpreter of the fast simulator: runs a program, image after image, one chunk of time after another."""

import pathlib
import zlib

from ..._util.numba_cache import kept_njit
from .arguments import OPTIONS, Turn
from .operations import call_operation


def _interpreter(source_checksum):
    """Return the interpreter, compiled once and kept on disk.

    Numba's cache would notice changes of this file only.  It also compares the variables of enclosing functions, so
    that ``source_checksum`` ties the machine code to the sources of all kernels.
    """

    @kept_njit(**OPTIONS)
    def execute(images, program, run, counters, work):
        """Run images through a program, each for all steps.

        Parameters
        ----------
        images : ndarray of int, (2,)
            First image, and the one behind the last.
        program : ProgramArrays
        run : Run
        counters : Counters
        work : Workspace
        """
        if not source_checksum:
            return
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
                    call_operation(op.code, op, turn, program, run, counters, work)

    return execute


def kernel_checksum() -> int:
    """Return a checksum of all modules of this folder, on which the compiled code depends."""
    return sum(zlib.crc32(path.read_bytes()) for path in pathlib.Path(__file__).parent.glob("*.py"))


execute = _interpreter(kernel_checksum())
