"""run_jobs: run jobs, keep each result as soon as it is there, and continue after an interruption."""

import contextlib

from .._util.progress import progress_bar
from ..errors import JobsInterrupted, WorkersError
from .results import Results
from .workers import check_workers, open_workers

# number of times in a row that workers may die without finishing a job
ATTEMPTS = 3


def run_jobs(
    function,
    jobs,
    on_result,
    *,
    check=None,
    shared=None,
    folder=None,
    n_jobs=None,
    dask=None,
    description="jobs",
    progress=None,
):
    """Run the jobs that have no result yet, each once, and pass every result to a callback.

    Parameters
    ----------
    function : callable
        Called as ``function(*shared, threads=..., **arguments)`` in a process that may use this number of threads
        (None: all cores).  It returns a result: values, a JSON-serializable dict, and arrays, a dict of str to ndarray.
    jobs : list of Job
    on_result : callable
        Called as ``on_result(job, result)`` in this process, once for each job, in any order.
    check : callable, optional
        Called as ``check(job, result)`` for results from the folder.  If it raises ValueError, the job is run again.
    shared : dict of str to callable, optional
        Functions that make the values that jobs share, called if a job without a result needs the value.
    folder : str or path, optional
        Folder for the results, a file for each, written as soon as it is there.  Jobs with a result in it are not run
        again.
    n_jobs : int, optional
        Number of processes; 1 is this process.  By default this process, followed by one process for each core if the
        jobs would take more than a minute.
    dask : str or distributed.Client, optional
        Dask cluster to run the jobs on: the address of its scheduler, or a client.
    description : str
        Text of the progress bar.
    progress : bool, optional
        Show a progress bar; by default if standard error is a terminal.

    Raises
    ------
    JobsInterrupted
        On Control-C; the message says how to continue.
    WorkersError
        If workers cannot be reached, or died repeatedly without finishing a job.  The jobs of single workers that die
        are run again.
    SettingsError
        If an argument is invalid.
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
                    on_result(job, result)
                    bar.update()
            with contextlib.closing(_run_pending(function, pending, shared or {}, n_jobs, dask)) as computed:
                for equal_jobs, result in computed:
                    results.write(equal_jobs[0], result)
                    for job in equal_jobs:
                        n_done += 1
                        on_result(job, result)
                        bar.update()
        except KeyboardInterrupt as interrupt:
            message = f"interrupted after {n_done} of {len(jobs)} jobs; {resume_hint(folder)}"
            raise JobsInterrupted(message, n_done, len(jobs)) from interrupt
        except WorkersError as error:
            raise WorkersError(f"{error}; {n_done} of {len(jobs)} jobs are done; {resume_hint(folder)}") from error


def resume_hint(folder):
    """Return how to continue after an interruption, for error messages."""
    if folder is None:
        return "no results are kept: give sweep or tune a folder for the results to be able to continue"
    return f"their results are in {folder}: run it again with this folder to continue"


def _run_pending(function, pending, shared, n_jobs, dask):
    """Yield (equal jobs, their result) for each key of ``pending``; jobs whose worker died are run again."""
    if not pending:
        return
    names = dict.fromkeys(name for equal_jobs in pending.values() for name in equal_jobs[0].shared)
    shared = {name: shared[name]() for name in names}
    with open_workers(n_jobs, dask, len(pending)) as workers:
        n_deaths = 0
        while pending:
            n_before = len(pending)
            try:
                jobs = [equal_jobs[0] for equal_jobs in pending.values()]
                with contextlib.closing(workers.run(function, jobs, shared)) as computed:
                    for key, result in computed:
                        yield pending.pop(key), result
            except workers.death_errors as error:
                n_deaths = 0 if len(pending) < n_before else n_deaths + 1
                if n_deaths == ATTEMPTS:
                    cause = f"{type(error).__name__}: {str(error).splitlines()[0]}"
                    raise WorkersError(
                        f"workers died {ATTEMPTS} times in a row, probably because memory ran out: use fewer "
                        f"processes, or a smaller memory_mb ({cause})"
                    ) from error
