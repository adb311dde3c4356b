"""Options that sweeps and tuning share: how networks are run, where jobs run, and where results are kept."""

from __future__ import annotations

import dataclasses
import os
from typing import Any

from ..._util.validation import check_paths, check_progress
from ...evaluation.run_options import check_run_options
from ...jobs import check_workers


@dataclasses.dataclass(frozen=True, kw_only=True)
class SweepOptions:
    """Options of a sweep or of tuning, validated; ``sweep`` documents them, and has their defaults."""

    backend: str | None
    minibatch_size: int | None
    memory_mb: float
    dt: float
    folder: str | os.PathLike | None
    n_jobs: int | None
    dask: Any
    progress: bool | None

    def __post_init__(self):
        check_workers(self.n_jobs, self.dask)
        check_progress(self.progress)
        if self.folder is not None:
            check_paths(folder=self.folder)
        check_run_options(
            backend=self.backend, minibatch_size=self.minibatch_size, memory_mb=self.memory_mb, dt=self.dt
        )

    @property
    def job_options(self):
        """Arguments of ``run_jobs``."""
        return {name: getattr(self, name) for name in ("folder", "n_jobs", "dask", "progress")}
