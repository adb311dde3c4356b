"""Calls of jobs through joblib: shared by the processes of this machine and the workers of a Dask cluster."""

import os
import warnings


def call_contents(jobs, shared):
    """Return for each job what its call needs: key, list of shared values, and arguments."""
    return [(job.key, [shared[name] for name in job.shared], job.arguments) for job in jobs]


def run_calls(calls, ahead="2*n_jobs", **config):
    """Run calls with joblib, and yield each result as soon as it is there.

    Calls are dispatched one by one rather than in batches, so that a result can be written as soon as it is computed.

    Parameters
    ----------
    calls : iterable of (callable, tuple)
        Functions with their positional arguments.
    ahead : int or str
        Number of calls that are dispatched in advance, as joblib's ``pre_dispatch``.
    config : dict
        Arguments of ``joblib.parallel_config``: the back end and its options.
    """
    import joblib

    with joblib.parallel_config(**config):
        parallel = joblib.Parallel(return_as="generator_unordered", batch_size=1, pre_dispatch=ahead)
        results = parallel(joblib.delayed(function)(*arguments) for function, arguments in calls)
    try:
        # "yield from" would close the generator outside of the warning filter below
        for result in results:  # noqa: UP028
            yield result
    finally:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # joblib warns if not all results were consumed
            results.close()


def limit_threads(threads):
    """Set the number of threads of TensorFlow; without effect if TensorFlow has started its threads already."""
    for name in ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"):
        os.environ.setdefault(name, str(threads))
