"""Where jobs run: in this process, in processes on the cores of this machine, or on a Dask cluster."""

import contextlib
import os
import signal
import threading
import time
import warnings

from tqdm import tqdm

from ..._util.interrupts import deferred_interrupt
from ..._util.system_info import n_cores
from ..._util.validation import check_workers_count, shown
from ...errors import SettingsError

# processes are started where jobs that ran for so long in this one would do so for so much longer
TRIAL_S, LONG_S = 5, 60


def check_workers(n_jobs, dask):
    """Raise SettingsError where ``n_jobs`` is no number of processes, or cannot be heeded."""
    if n_jobs is not None:
        check_workers_count(n_jobs=n_jobs)
        if dask is not None:
            raise SettingsError("n_jobs is the number of processes on this machine: a Dask cluster has its own workers")
    if dask is not None:
        from .cluster import needed_packages

        if not isinstance(dask, str | needed_packages().Client) or not dask:
            raise SettingsError(
                "dask must be the address of a scheduler, such as 'tcp://127.0.0.1:8786', or a distributed.Client; got "
                f"{shown(dask)}"
            )


@contextlib.contextmanager
def opened_workers(n_jobs, dask, n_pending):
    """The workers that a user asks for: Here, HereAtFirst, Processes or Cluster.

    Parameters
    ----------
    n_jobs : int or None
        By default as many as there are cores, if it takes long.
    dask : str, distributed.Client or None
    n_pending : int
        Number of jobs.
    """
    if dask is not None:
        from .cluster import Cluster, connected

        with connected(dask) as client:
            yield Cluster(client)
        return
    cores = n_cores()
    n_jobs, chosen = (cores, False) if n_jobs is None else (n_jobs, True)
    n_jobs = min(n_jobs, n_pending)
    if n_jobs == 1:
        yield Here()
    else:
        processes = Processes(n_jobs, max(1, cores // n_jobs))
        yield processes if chosen else HereAtFirst(processes)


class Here:
    """This process, one job after another, each on all cores."""

    died = ()

    def run(self, function, jobs, shared):
        """Yield (key, result) for each job as it is done, in any order."""
        for job in jobs:
            yield job.key, function(*(shared[name] for name in job.shared), threads=None, **job.arguments)


class HereAtFirst:
    """This process, and then the others where it would take long: to start them takes many seconds by itself."""

    def __init__(self, processes):
        self.processes, self.died = processes, processes.died

    def run(self, function, jobs, shared):
        started = time.monotonic()
        for n_done, job in enumerate(jobs, start=1):
            yield from Here().run(function, [job], shared)
            seconds, left = time.monotonic() - started, jobs[n_done:]
            if seconds > TRIAL_S and seconds / n_done * len(left) > LONG_S:
                yield from self.processes.run(function, left, shared)
                return


class Processes:
    """Processes on the cores of this machine, kept by joblib for the next jobs.

    Arrays that jobs share are mapped from files in memory, once for all.
    """

    def __init__(self, n_jobs, threads):
        from joblib.externals.loky.process_executor import BrokenProcessPool

        self.n_jobs, self.threads, self.died = n_jobs, threads, (BrokenProcessPool,)

    def run(self, function, jobs, shared):
        with deferred_interrupt("stopping when the jobs under way are done; Control-C again stops at once") as check:

            def calls():
                for content in contents(jobs, shared):
                    try:
                        check()
                    except KeyboardInterrupt:
                        return  # nothing new is begun
                    yield _call, (function, *content, self.threads)

            try:
                yield from through_joblib(calls(), backend="loky", n_jobs=self.n_jobs)
            finally:
                check()  # also where processes that were just starting died of it


def contents(jobs, shared):
    """What a call needs of each job: its key, shared values and arguments."""
    return [(job.key, [shared[name] for name in job.shared], job.arguments) for job in jobs]


def through_joblib(calls, ahead="2*n_jobs", **where):
    """Run calls, pairs of a function and its arguments, where joblib's configuration says; yields results as they come.

    They go one by one, so that a result can be kept as soon as it is there; ``ahead`` is how many are handed over in
    advance.
    """
    import joblib

    with joblib.parallel_config(**where):
        parallel = joblib.Parallel(return_as="generator_unordered", batch_size=1, pre_dispatch=ahead)
        found = parallel(joblib.delayed(function)(*arguments) for function, arguments in calls)
    try:
        # "yield from" would close it outside of the filter below
        for each in found:  # noqa: UP028
            yield each
    finally:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that not all results were taken
            found.close()


def _call(function, key, shared, arguments, threads):
    """What a process does."""
    limit_threads(threads)
    # tqdm's own lock is one between processes, of which a process that is ended leaves something behind
    tqdm.set_lock(threading.RLock())
    with contextlib.suppress(ValueError):  # not the main thread, which gets no interrupts
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent gets them too, and ends its workers
    return key, function(*shared, threads=threads, **arguments)


def limit_threads(threads):
    """Tell TensorFlow how many threads to use, which it heeds if it has not computed yet."""
    for name in ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"):
        os.environ.setdefault(name, str(threads))
