"""Jobs on a Dask cluster."""

import asyncio
import contextlib
import os
import threading
import time
import uuid
import warnings

from ..._version import __version__
from ...errors import CompatibilityError, SettingsError, WorkersError
from .workers import contents, limit_threads, through_joblib

# seconds to wait for a scheduler to answer, and for a worker where its cluster has none
PATIENCE_S = 30


def needed_packages():
    """The package distributed; CompatibilityError where it is missing."""
    try:
        import distributed
        import distributed.client
        import distributed.comm
        import distributed.scheduler
    except ImportError as error:
        raise CompatibilityError("a Dask cluster needs the package: pip install 'nengo_snnconv[dask]'") from error
    return distributed


@contextlib.contextmanager
def connected(dask):
    """A client of a cluster: a user's own, which stays open, or one for the address of a scheduler."""
    distributed = needed_packages()
    if isinstance(dask, distributed.Client):
        if dask.asynchronous:
            raise SettingsError("dask must be the address of a scheduler or a Client that is not asynchronous")
        yield dask
        return
    try:
        client = distributed.Client(dask, timeout=PATIENCE_S, set_as_default=False)
    except (OSError, ValueError, TypeError, asyncio.TimeoutError) as error:
        raise WorkersError(
            f"there is no Dask scheduler at dask={dask!r} ({error}): start one with 'dask scheduler', and name the "
            "address that it prints, such as tcp://127.0.0.1:8786"
        ) from error
    with client:
        yield client


class Cluster:
    """The workers of a Dask cluster; each job has a thread of one of them.

    What jobs share is the result of a task that unpacks it, and is sent to the scheduler once.  Workers hand it on to
    each other, and it is unpacked again where it was on a worker that died.  What joblib scatters by itself would be
    lost.

    Everything is sent packed, with functions that unpack it: the scheduler, which looks into what it is sent, then need
    not load TensorFlow, and workers without this package say so instead of breaking off.

    Parameters
    ----------
    client : distributed.Client
    """

    def __init__(self, client):
        distributed = needed_packages()
        self.client, self.address = client, client.scheduler.address
        lost = (distributed.client.FutureCancelledError, distributed.comm.CommClosedError)
        self.died = (distributed.scheduler.KilledWorker, *lost)

    def run(self, function, jobs, shared):
        """Yield (key, result) for each job as it is done, in any order."""
        from cloudpickle import dumps

        unpack, unpack_and_call = _by_value()
        self._check(unpack_and_call, dumps((_version_of_worker, (function,))))
        with warnings.catch_warnings():
            # Dask advises to scatter it
            warnings.filterwarnings("ignore", "Sending large graph")
            shared = {
                name: self.client.submit(unpack, dumps(value), key=f"shared-{uuid.uuid4().hex}", pure=False)
                for name, value in shared.items()
            }
        calls = [
            (unpack_and_call, (dumps((_call, (function, key, arguments, __version__, os.getpid()))), values))
            for key, values, arguments in contents(jobs, shared)
        ]
        backend = _backend(self.client)
        with self._watched(backend):
            # all at once, for workers that come later
            yield from through_joblib(calls, ahead="all", backend=backend)

    def _check(self, unpack_and_call, question):
        """Raise WorkersError where the cluster cannot do the work."""
        if self.client.status != "running":
            raise WorkersError(f"the scheduler {self.address} does not answer any more")
        try:
            answer = self.client.submit(unpack_and_call, question, [], pure=False)
            try:
                version = answer.result(timeout=PATIENCE_S)
            except asyncio.TimeoutError:  # noqa: UP041, on Python 3.10 another class than the built-in one
                if not self.client.ncores():
                    start = f"start some with 'dask worker {self.address}'"
                    raise WorkersError(f"{self.address} has no workers: {start}") from None
                version = answer.result()  # loading TensorFlow takes its time
        except ImportError as error:
            raise WorkersError(
                f"the workers of {self.address} cannot do the work ({error}): install nengo_snnconv {__version__} there"
            ) from error
        _check_version(version)

    @contextlib.contextmanager
    def _watched(self, backend):
        """Within the block, what waits for workers is given up where there have been none for long."""
        ended = threading.Event()

        def watch():
            since = time.monotonic()
            with contextlib.suppress(Exception):  # the scheduler is gone, which ends it as well
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


def _backend(client):
    """That of joblib, which would not use a cluster of one worker with one thread, but this process."""
    from joblib._dask import DaskDistributedBackend

    class Backend(DaskDistributedBackend):
        def effective_n_jobs(self, n_jobs):
            return max(2, super().effective_n_jobs(n_jobs))

    return Backend(client=client)


def _by_value():
    """Functions that travel with their code, because they cannot be found in a module."""

    def unpack(packed):
        import pickle

        return pickle.loads(packed)

    def unpack_and_call(packed, shared):
        import pickle

        function, arguments = pickle.loads(packed)
        return function(*arguments, *shared)

    return unpack, unpack_and_call


def _version_of_worker(function):
    """Answered by a worker that could find the function."""
    return __version__


def _call(function, key, arguments, version, client_process, *shared):
    """What a thread of a worker does."""
    _check_version(version)
    if os.getpid() != client_process:
        limit_threads(1)
    return key, function(*shared, threads=1, **arguments)


def _check_version(version):
    if version != __version__:
        raise WorkersError(
            f"one worker, or this process, has nengo_snnconv {version}, the other {__version__}: install the same"
        )
