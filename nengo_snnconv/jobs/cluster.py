"""Jobs on a Dask cluster."""

import asyncio
import contextlib
import os
import threading
import time
import uuid
import warnings

from .._version import __version__
from ..errors import CompatibilityError, SettingsError, WorkersError
from .calls import call_contents, limit_threads, run_calls

# seconds to wait for the scheduler to answer, and for a worker if the cluster has none
PATIENCE_S = 30


def import_distributed():
    """Import and return the package distributed; raise CompatibilityError if it is not installed."""
    try:
        import distributed
        import distributed.client
        import distributed.comm
        import distributed.scheduler
    except ImportError as error:
        raise CompatibilityError("a Dask cluster needs the package: pip install 'nengo_snnconv[dask]'") from error
    return distributed


@contextlib.contextmanager
def open_client(dask):
    """Open a client of a cluster: the given client, which stays open, or a new one for a scheduler's address."""
    distributed = import_distributed()
    if isinstance(dask, distributed.Client):
        if dask.asynchronous:
            raise SettingsError(
                "dask must be the address of a scheduler or a synchronous distributed.Client; got an asynchronous one",
                argument="dask",
            )
        yield dask
        return
    try:
        client = distributed.Client(dask, timeout=PATIENCE_S, set_as_default=False)
    except (OSError, ValueError, TypeError, asyncio.TimeoutError) as error:
        raise WorkersError(
            f"there is no Dask scheduler at dask={dask!r} ({error}): start one with 'dask scheduler', and give the "
            "address that it prints, such as tcp://127.0.0.1:8786"
        ) from error
    with client:
        yield client


class Cluster:
    """Runs jobs on the workers of a Dask cluster, each job in one thread of a worker.

    Shared values are sent to the scheduler once, packed, and a task unpacks them.  Workers pass the result of this task
    on to each other, and run the task again if the worker that held the result died.  (Values that joblib scatters by
    itself would be lost then.)

    Everything is sent packed, together with the functions that unpack it: the scheduler, which inspects what it is
    sent, then need not load TensorFlow, and workers without this package report the missing package instead of
    breaking off.

    Parameters
    ----------
    client : distributed.Client

    Attributes
    ----------
    death_errors : tuple of exception classes
        Exceptions that tell that a worker died.
    """

    def __init__(self, client):
        distributed = import_distributed()
        self.client, self.address = client, client.scheduler.address
        connection_errors = (distributed.client.FutureCancelledError, distributed.comm.CommClosedError)
        self.death_errors = (distributed.scheduler.KilledWorker, *connection_errors)

    def run(self, function, jobs, shared):
        """Yield (key, result) for each job as it is done, in any order."""
        from cloudpickle import dumps

        unpack, unpack_and_call = _functions_sent_by_value()
        self._check(unpack_and_call, dumps((_version_of_worker, (function,))))
        with warnings.catch_warnings():
            # Dask recommends to scatter large values
            warnings.filterwarnings("ignore", "Sending large graph")
            shared = {
                name: self.client.submit(unpack, dumps(value), key=f"shared-{uuid.uuid4().hex}", pure=False)
                for name, value in shared.items()
            }
        calls = [
            (unpack_and_call, (dumps((_run_on_worker, (function, key, arguments, __version__, os.getpid()))), values))
            for key, values, arguments in call_contents(jobs, shared)
        ]
        backend = _joblib_backend(self.client)
        with self._cancelled_without_workers(backend):
            # all jobs are dispatched at once, for workers that join later
            yield from run_calls(calls, ahead="all", backend=backend)

    def _check(self, unpack_and_call, packed_question):
        """Raise WorkersError if the cluster cannot run the jobs."""
        if self.client.status != "running":
            raise WorkersError(f"the scheduler {self.address} does not answer any more")
        try:
            answer = self.client.submit(unpack_and_call, packed_question, [], pure=False)
            try:
                version = answer.result(timeout=PATIENCE_S)
            except asyncio.TimeoutError:  # noqa: UP041, on Python 3.10 not the built-in class
                if not self.client.ncores():
                    start = f"start some with 'dask worker {self.address}'"
                    raise WorkersError(f"{self.address} has no workers: {start}") from None
                version = answer.result()  # a worker that loads TensorFlow needs longer
        except ImportError as error:
            raise WorkersError(
                f"the workers of {self.address} cannot run the jobs ({error}): install nengo_snnconv "
                f"{__version__} there"
            ) from error
        _check_version(version)

    @contextlib.contextmanager
    def _cancelled_without_workers(self, backend):
        """Cancel the jobs of the block if there has been no worker for PATIENCE_S seconds."""
        ended = threading.Event()

        def watch():
            since = time.monotonic()
            with contextlib.suppress(Exception):  # the scheduler is gone, which ends the block as well
                while not ended.wait(1):
                    since = time.monotonic() if self.client.ncores() else since
                    if time.monotonic() - since > PATIENCE_S:
                        self.client.cancel(list(backend._results))
                        return

        threading.Thread(target=watch, daemon=True).start()
        try:
            yield
        finally:
            ended.set()


def _joblib_backend(client):
    """Return joblib's back end for Dask; by itself it would run in this process if the cluster had only one thread."""
    from joblib._dask import DaskDistributedBackend

    class Backend(DaskDistributedBackend):
        def effective_n_jobs(self, n_jobs):
            return max(2, super().effective_n_jobs(n_jobs))

    return Backend(client=client)


def _functions_sent_by_value():
    """Return functions that are sent with their code, because they cannot be imported from a module."""

    def unpack(packed):
        import pickle

        return pickle.loads(packed)

    def unpack_and_call(packed, shared):
        import pickle

        function, arguments = pickle.loads(packed)
        return function(*arguments, *shared)

    return unpack, unpack_and_call


def _version_of_worker(function):
    """Return the version of this package on a worker that could import the function."""
    return __version__


def _run_on_worker(function, key, arguments, version, client_process, *shared):
    """Run one job in a thread of a worker, and return its key and result."""
    _check_version(version)
    if os.getpid() != client_process:
        limit_threads(1)
    return key, function(*shared, threads=1, **arguments)


def _check_version(version):
    """Raise WorkersError if the other process has another version of this package."""
    if version != __version__:
        raise WorkersError(
            f"one worker, or this process, has nengo_snnconv {version}, the other {__version__}: install the same "
            "version"
        )
