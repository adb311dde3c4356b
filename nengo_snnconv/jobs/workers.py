"""Where jobs run: in this process, in processes on the cores of this machine, or on a Dask cluster."""

import contextlib
import os
import signal
import time
import uuid
import warnings

from .._version import __version__
from ..checks import check_counts
from ..exceptions import CompatibilityError, SettingsError, WorkersError

# seconds to wait for a scheduler to answer, and for a first worker of its cluster
PATIENCE_S = 10
# processes are started where jobs that ran for so long in this one would do so for so much longer
TRIAL_S, LONG_S = 5, 60


def check_workers(n_jobs, dask):
    """Raise SettingsError where ``n_jobs`` is no number of processes, or cannot be heeded."""
    if n_jobs is not None:
        check_counts(n_jobs=n_jobs)
        if dask is not None:
            raise SettingsError("n_jobs is the number of processes on this machine: a Dask cluster has its own workers")
    if dask is not None:
        _distributed()


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
        with _connected(dask) as client:
            yield Cluster(client)
        return
    import joblib

    n_cores = joblib.cpu_count()
    n_jobs, chosen = (n_cores, False) if n_jobs is None else (n_jobs, True)
    n_jobs = min(n_jobs, n_pending)
    if n_jobs == 1:
        yield Here()
    else:
        processes = Processes(n_jobs, max(1, n_cores // n_jobs))
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
        yield from _joblib(function, jobs, shared, self.threads, backend="loky", n_jobs=self.n_jobs)


class Cluster:
    """The workers of a Dask cluster; each job has a thread of one of them.

    What jobs share is the result of a task that returns it, and is sent to the scheduler once.  Workers hand it on to
    each other, and it is made again where it was on a worker that died.  What joblib scatters by itself would be lost.
    """

    threads = 1

    def __init__(self, client):
        distributed = _distributed()
        self.client = client
        lost = (distributed.client.FutureCancelledError, distributed.comm.CommClosedError)
        self.died = (distributed.scheduler.KilledWorker, *lost)

    def run(self, function, jobs, shared):
        with warnings.catch_warnings():
            # Dask advises to scatter it
            warnings.filterwarnings("ignore", "Sending large graph")
            shared = {
                name: self.client.submit(_same, value, key=f"shared-{uuid.uuid4().hex}", pure=False)
                for name, value in shared.items()
            }
        try:
            yield from _joblib(function, jobs, shared, self.threads, backend="dask", client=self.client)
        except ModuleNotFoundError as error:
            raise WorkersError(
                f"the workers of {self.client.scheduler.address} cannot do the work ({error}): install nengo_snnconv "
                f"{__version__} there"
            ) from error
        except TimeoutError as error:
            raise WorkersError(
                f"{self.client.scheduler.address} has no workers: start some with 'dask worker "
                f"{self.client.scheduler.address}'"
            ) from error


def _joblib(function, jobs, shared, threads, **where):
    """Run jobs through joblib; yields (key, result) as they are done."""
    import joblib

    with joblib.parallel_config(**where):
        # one by one: their results are kept as soon as they are there
        ahead = "all" if where["backend"] == "dask" else "2*n_jobs"
        parallel = joblib.Parallel(return_as="generator_unordered", batch_size=1, pre_dispatch=ahead)
        call = joblib.delayed(_call)
        found = parallel(
            call(
                function,
                job.key,
                [shared[name] for name in job.shared],
                job.arguments,
                threads,
                __version__,
                os.getpid(),
            )
            for job in jobs
        )
    try:
        # "yield from" would close it outside of the filter below
        for each in found:  # noqa: UP028
            yield each
    finally:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that not all results were taken
            found.close()


def _call(function, key, shared, arguments, threads, version, parent):
    """What a worker does."""
    if version != __version__:
        raise WorkersError(f"a worker has nengo_snnconv {__version__}, this is {version}: install the same there")
    if os.getpid() != parent:
        for name in ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"):
            os.environ.setdefault(name, str(threads))  # heeded where TensorFlow has not computed yet
        with contextlib.suppress(ValueError):  # not the main thread, which gets no interrupts
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent gets them too, and ends its workers
    return key, function(*shared, threads=threads, **arguments)


def _same(value):
    return value


def _distributed():
    try:
        import distributed
        import distributed.client
        import distributed.comm
        import distributed.scheduler
    except ImportError as error:
        raise CompatibilityError("a Dask cluster needs the package: pip install 'nengo_snnconv[dask]'") from error
    return distributed


@contextlib.contextmanager
def _connected(dask):
    """A client of a cluster: a user's own, which stays open, or one for the address of a scheduler."""
    distributed = _distributed()
    if isinstance(dask, distributed.Client):
        if dask.asynchronous:
            raise SettingsError("dask must be the address of a scheduler or a Client that is not asynchronous")
        yield dask
        return
    try:
        client = distributed.Client(dask, timeout=PATIENCE_S, set_as_default=False)
    except (OSError, ValueError, TypeError) as error:
        raise WorkersError(
            f"there is no Dask scheduler at dask={dask!r} ({error}): start one with 'dask scheduler', and name the "
            "address that it prints, such as tcp://127.0.0.1:8786"
        ) from error
    with client:
        yield client
