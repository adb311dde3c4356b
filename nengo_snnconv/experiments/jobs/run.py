"""run_jobs: runs jobs, keeps each result as it comes, and goes on where it stopped."""

import contextlib

from ..._util.progress import progress_bar
from ...errors import JobsInterrupted, WorkersError
from .results import Results
from .workers import check_workers, opened_workers

# how often in a row workers may die without having done anything
ATTEMPTS = 3


def run_jobs(
    function,
    jobs,
    take,
    *,
    check=None,
    shared=None,
    folder=None,
    n_jobs=None,
    dask=None,
    description="jobs",
    progress=None,
):
    """Run jobs that are not done yet, each once, and hand on all results.

    Parameters
    ----------
    function : callable
        Is called as ``function(*shared, threads=..., **arguments)``, in a process that may use so many threads (None:
        all cores), and returns a result: figures, a JSON-serialisable dict, and arrays, a dict of str to ndarray.
    jobs : list of Job
    take : callable
        Called as ``take(job, result)``, in this process, once for each job, in any order.
    check : callable, optional
        Called as ``check(job, result)`` for results from the folder: ValueError has the job run again.
    shared : dict of str to callable, optional
        What jobs share, made where a job that is not done needs it.
    folder : str or path, optional
        Keeps a file for each result, written as soon as it is there.  Jobs whose results it has are not run again.
    n_jobs : int, optional
        Number of processes; 1 is this one.  By default this one, and as many as there are cores where jobs would take
        more than a minute.
    dask : str or distributed.Client, optional
        Address of the scheduler of a Dask cluster, which then does the work, or its client.
    description : str
        For the progress bar.
    progress : bool, optional

    Raises
    ------
    JobsInterrupted
        On Control-C: says how to continue.
    WorkersError
        If workers cannot be reached, or died again and again.  Those that die in between are made up for: what they
        had not done is done by others.
    SettingsError
        If an argument cannot work.
    """
    check_workers(n_jobs, dask)
    results, n_done, pending = Results(folder), 0, {}
    with progress_bar(len(jobs), description, "job", progress) as bar:
        try:
            for job in jobs:
                if (result := results.read(job, check)) is None:
                    pending.setdefault(job.key, []).append(job)
                else:
                    n_done += 1
                    take(job, result)
                    bar.update()
            with contextlib.closing(_done(function, pending, shared or {}, n_jobs, dask)) as found:
                for same, result in found:
                    results.write(same[0], result)
                    for job in same:
                        n_done += 1
                        take(job, result)
                        bar.update()
        except KeyboardInterrupt as interrupt:
            kept = f"interrupted after {n_done} of {len(jobs)} jobs; {way_on(folder)}"
            raise JobsInterrupted(kept, n_done, len(jobs)) from interrupt
        except WorkersError as error:
            raise WorkersError(f"{error}; {n_done} of {len(jobs)} jobs are done; {way_on(folder)}") from error


def way_on(folder):
    """How to continue what stopped."""
    if folder is None:
        return "nothing is kept: name a folder for the results to be able to continue"
    return f"their results are in {folder}: run it again with this folder to continue"


def _done(function, pending, shared, n_jobs, dask):
    """Yield the jobs of each key of ``pending`` with their result; those that died with a worker run again."""
    if not pending:
        return
    needed = dict.fromkeys(name for same in pending.values() for name in same[0].shared)
    shared = {name: shared[name]() for name in needed}
    with opened_workers(n_jobs, dask, len(pending)) as workers:
        n_idle = 0
        while pending:
            n_before = len(pending)
            try:
                with contextlib.closing(workers.run(function, [same[0] for same in pending.values()], shared)) as found:
                    for key, result in found:
                        yield pending.pop(key), result
            except workers.died as error:
                n_idle = 0 if len(pending) < n_before else n_idle + 1
                if n_idle == ATTEMPTS:
                    what = f"{type(error).__name__}: {str(error).splitlines()[0]}"
                    raise WorkersError(
                        f"workers died {ATTEMPTS} times in a row, as they do where memory is short: use fewer "
                        f"processes, or less memory_mb ({what})"
                    ) from error
