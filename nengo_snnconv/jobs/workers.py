"""Workers that run jobs: this process, processes on the cores of this machine, or a Dask cluster."""

import contextlib
import signal
import threading
import time

from tqdm import tqdm

from .._util.interrupts import deferred_interrupt
from .._util.system_info import n_cores
from .._util.validation import check_workers_count, shown
from ..errors import SettingsError
from .calls import call_contents, limit_threads, run_calls

# Jobs run in this process for PROBE_S seconds; processes are started if the rest is estimated to take more than LONG_S.
PROBE_S, LONG_S = 5, 60


def check_workers(n_jobs, dask):
    """Raise SettingsError if ``n_jobs`` or ``dask`` is invalid, or if both are given."""
    if n_jobs is not None:
        check_workers_count(n_jobs=n_jobs)
        if dask is not None:
            raise SettingsError(
                "n_jobs is the number of processes on this machine, and a Dask cluster has its own workers: give "
                "n_jobs or dask",
                argument="n_jobs",
            )
    if dask is not None:
        from .cluster import import_distributed

        if not isinstance(dask, str | import_distributed().Client) or not dask:
            raise SettingsError(
                "dask must be the address of a scheduler, such as 'tcp://127.0.0.1:8786', or a distributed.Client; got "
                f"{shown(dask)}",
                argument="dask",
            )


@contextlib.contextmanager
def open_workers(n_jobs, dask, n_pending):
    """Open the workers for a number of jobs: ThisProcess, ThisProcessFirst, Processes or Cluster.

    Parameters
    ----------
    n_jobs : int or None
        Number of processes.  By default this process, followed by one process for each core if the jobs take long.
    dask : str, distributed.Client or None
        Dask cluster.
    n_pending : int
        Number of jobs.
    """
    if dask is not None:
        from .cluster import Cluster, open_client

        with open_client(dask) as client:
            yield Cluster(client)
        return
    cores = n_cores()
    n_jobs, chosen = (cores, False) if n_jobs is None else (n_jobs, True)
    n_jobs = min(n_jobs, n_pending)
    if n_jobs == 1:
        yield ThisProcess()
    else:
        processes = Processes(n_jobs, max(1, cores // n_jobs))
        yield processes if chosen else ThisProcessFirst(processes)


class ThisProcess:
    """Runs one job after another in this process, each on all cores.

    Attributes
    ----------
    death_errors : tuple of exception classes
        Exceptions that tell that a worker died, as for the other kinds of workers.
    """

    death_errors = ()

    def run(self, function, jobs, shared):
        """Yield (key, result) for each job as it is done, in any order."""
        for job in jobs:
            yield job.key, function(*(shared[name] for name in job.shared), threads=None, **job.arguments)


class ThisProcessFirst:
    """Runs jobs in this process, and moves the rest to other processes if they would take long.

    Starting processes takes many seconds by itself, which is not worth it for a few quick jobs.
    """

    def __init__(self, processes):
        self.processes, self.death_errors = processes, processes.death_errors

    def run(self, function, jobs, shared):
        """Yield (key, result) for each job as it is done."""
        started = time.monotonic()
        for n_done, job in enumerate(jobs, start=1):
            yield from ThisProcess().run(function, [job], shared)
            seconds, left = time.monotonic() - started, jobs[n_done:]
            if seconds > PROBE_S and seconds / n_done * len(left) > LONG_S:
                yield from self.processes.run(function, left, shared)
                return


class Processes:
    """Runs jobs in processes on this machine, which joblib keeps for the next jobs.

    Shared arrays are memory-mapped from files, so all processes use the same copy.

    Parameters
    ----------
    n_jobs : int
        Number of processes.
    threads : int
        Number of threads of each process.
    """

    def __init__(self, n_jobs, threads):
        from joblib.externals.loky.process_executor import BrokenProcessPool

        self.n_jobs, self.threads, self.death_errors = n_jobs, threads, (BrokenProcessPool,)

    def run(self, function, jobs, shared):
        """Yield (key, result) for each job as it is done, in any order."""
        with deferred_interrupt("stopping when the running jobs are done; Control-C again stops at once") as check:

            def calls():
                for content in call_contents(jobs, shared):
                    try:
                        check()
                    except KeyboardInterrupt:
                        return  # no further job is started
                    yield _run_in_process, (function, *content, self.threads)

            try:
                yield from run_calls(calls(), backend="loky", n_jobs=self.n_jobs)
            finally:
                check()  # the interrupt may also have killed processes that were just starting


def _run_in_process(function, key, shared, arguments, threads):
    """Run one job in a process of joblib, and return its key and result."""
    limit_threads(threads)
    # tqdm's default lock is shared between processes, and would leak if this process is terminated
    tqdm.set_lock(threading.RLock())
    with contextlib.suppress(ValueError):  # only the main thread can set signal handlers, and only it gets interrupts
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent process gets the interrupt too, and stops its workers
    return key, function(*shared, threads=threads, **arguments)
