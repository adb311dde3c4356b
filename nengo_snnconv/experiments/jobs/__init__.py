"""Many jobs that do not depend on each other: on the cores of this machine or on a Dask cluster, with results kept."""

from .results import Job, digest
from .run import run_jobs
from .workers import check_workers

__all__ = ["Job", "check_workers", "digest", "run_jobs"]
