"""Contenders in processes of their own, which wait for jobs: lines of JSON on their standard input.

TensorFlow, Numba and PyTorch's compiler in one process can end it, and libraries share no threads then.
"""

import contextlib
import json
import os
import pathlib
import subprocess
import sys
import time


@contextlib.contextmanager
def contender(command, log):
    """Run a process whose standard input and output are pipes, and whose messages go to the file ``log``.

    It ends with the block.
    """
    # waiting OpenMP threads would occupy cores that other programs need; TensorFlow would take all memory of a GPU
    environment = {"OMP_WAIT_POLICY": "PASSIVE", "TF_FORCE_GPU_ALLOW_GROWTH": "true", **os.environ}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with log.open("w") as file, subprocess.Popen(command, text=True, stderr=file, env=environment, **pipes) as process:
        process.log = log
        try:
            yield process
        finally:
            process.stdin.close()


def ask(process, job=None):
    """Return the next result of a contender, after giving it a job; EOFError with its messages if it has ended."""
    if job is not None:
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(f"{json.dumps(job)}\n")
            process.stdin.flush()
    line = process.stdout.readline()
    if not line:
        raise EOFError(f"{process.args} ended:\n{process.log.read_text()}")
    return json.loads(line)


def serve(simulation, **facts):
    """Do the jobs {"batch", "steps", "n_images"} of :func:`ask`, and print a result with ``facts`` for each.

    ``simulation(**job)`` is a context manager that prepares and yields a function without arguments, which simulates
    and returns the accuracy, or None.  It is prepared again only for another job.
    """
    before, prepared = peak_mb(), None
    with contextlib.ExitStack() as opened:
        for line in sys.stdin:
            job = json.loads(line)
            if job != prepared:
                opened.close()
                started, prepared = time.perf_counter(), job
                run = opened.enter_context(simulation(**job))
                run()  # which compiles
                first = time.perf_counter() - started
            started = time.perf_counter()
            accuracy = run()
            times = {"seconds": time.perf_counter() - started, "first_seconds": first}
            memory = {"before_mb": before, "peak_mb": peak_mb()}
            print(json.dumps({**facts, **times, **memory, "accuracy": accuracy}), flush=True)


def peak_mb():
    """Return the peak resident memory of this process in MB; None where Linux does not tell.

    Read from Linux, because resource.getrusage returns the value of the parent process if that is larger.
    """
    status = pathlib.Path("/proc/self/status")
    return int(status.read_text().partition("VmHWM:")[2].split()[0]) / 1024 if status.exists() else None
