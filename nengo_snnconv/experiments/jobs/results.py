"""Results of jobs, a file for each, found again by what determines them."""

import dataclasses
import functools
import json
import pathlib
import warnings

from ..._util.digests import digest
from ...errors import FileFormatError, SettingsError, SnnConvWarning
from ...model.archive import read_arrays, write_arrays


@dataclasses.dataclass(frozen=True, eq=False)
class Job:
    """A call of a function, ``function(*shared, **arguments)``, and what determines its result.

    Attributes
    ----------
    identity : dict
        JSON-serialisable: all that the result depends on, large arrays by their :func:`digest`.
    shared : tuple of str
        Names of values that several jobs share, which are the first arguments.
    arguments : dict
        Further, small arguments.
    """

    identity: dict
    shared: tuple = ()
    arguments: dict = dataclasses.field(default_factory=dict)

    @functools.cached_property
    def key(self):
        """A name that no other job has."""
        return digest(self.identity)[:32]


class Results:
    """The results of jobs in a folder; without a folder none are kept.

    A result is a pair: figures, a JSON-serialisable dict, and arrays, a dict of str to ndarray.

    Parameters
    ----------
    folder : str or path, or None
        Made where there is none.  Results of different sweeps may share one.
    """

    def __init__(self, folder=None):
        self.folder = None if folder is None else pathlib.Path(folder)
        if self.folder is not None:
            if self.folder.exists() and not self.folder.is_dir():
                raise SettingsError(f"folder={str(folder)!r} is a file: name a folder for the results")
            self.folder.mkdir(parents=True, exist_ok=True)

    def path(self, job):
        """Where the result of a job is kept."""
        return self.folder / f"{job.key}.npz"

    def read(self, job, check=None):
        """The result of a job, or None where there is none that can be trusted; a warning says why not.

        ``check(job, result)`` raises ValueError for a result that the job cannot have.
        """
        if self.folder is None or not self.path(job).exists():
            return None
        try:
            description, arrays = read_arrays(self.path(job))
            if description.get("job") != json.loads(json.dumps(job.identity)):
                raise FileFormatError(f"{self.path(job)} is not the result of this job")
            result = description.get("figures"), arrays
            if not isinstance(result[0], dict):
                raise FileFormatError(f"{self.path(job)} is damaged: it has no figures")
            if check is not None:
                try:
                    check(job, result)
                except ValueError as error:
                    raise FileFormatError(f"{self.path(job)} is damaged: {str(error)[:300]}") from error
            return result
        except (FileFormatError, OSError) as error:
            warnings.warn(
                f"a result is computed again, because its file cannot be used: {error}", SnnConvWarning, stacklevel=2
            )
            return None

    def write(self, job, result):
        """Keep the result of a job: whole or not at all."""
        if self.folder is not None:
            figures, arrays = result
            write_arrays(self.path(job), {"job": job.identity, "figures": figures}, arrays)
