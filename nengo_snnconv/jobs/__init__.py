"""Independent jobs run in this process, on several cores or on a Dask cluster, with their results kept in a folder."""

from .results import Job, digest
from .run import run_jobs
from .workers import check_workers

__all__ = ["Job", "check_workers", "digest", "run_jobs"]
