"""Jobs, and a folder of their results: a file for each, found again by a digest of everything that determines it."""

import dataclasses
import functools
import json
import pathlib

from .._util.digests import digest
from .._util.user_warnings import warn_user
from ..errors import FileFormatError, SettingsError
from ..model.archive import read_arrays, write_arrays


@dataclasses.dataclass(frozen=True, eq=False)
class Job:
    """A call of a function, ``function(*shared, **arguments)``, and everything that determines its result.

    Attributes
    ----------
    identity : dict
        Everything that the result depends on, JSON-serializable, with large arrays replaced by their :func:`digest`.
    shared : tuple of str
        Names of values that several jobs share; the values are the first arguments.
    arguments : dict
        Further, small arguments.
    """

    identity: dict
    shared: tuple = ()
    arguments: dict = dataclasses.field(default_factory=dict)

    @functools.cached_property
    def key(self):
        """Name of the job, unique for its identity."""
        return digest(self.identity)[:32]


class Results:
    """Results of jobs in a folder.

    A result is a pair: values, a JSON-serializable dict, and arrays, a dict of str to ndarray.

    Parameters
    ----------
    folder : str or path, or None
        Folder, created if it does not exist; results of different sweeps may share one.  None keeps no results.

    Raises
    ------
    SettingsError
        If ``folder`` is a file.
    """

    def __init__(self, folder=None):
        self.folder = None if folder is None else pathlib.Path(folder)
        if self.folder is not None:
            if self.folder.exists() and not self.folder.is_dir():
                raise SettingsError(
                    f"folder={str(folder)!r} is a file: name a folder for the results", argument="folder"
                )
            self.folder.mkdir(parents=True, exist_ok=True)

    def path(self, job):
        """Return the path of the file for the result of a job."""
        return self.folder / f"{job.key}.npz"

    def read(self, job, check=None):
        """Return the result of a job, or None if there is none, or only an invalid one.

        Warns if the file exists and is invalid.  ``check(job, result)`` raises ValueError for a result that the job
        cannot have produced.
        """
        if self.folder is None or not self.path(job).exists():
            return None
        try:
            description, arrays = read_arrays(self.path(job))
            if description.get("job") != json.loads(json.dumps(job.identity)):
                raise FileFormatError(f"{self.path(job)} is not the result of this job")
            result = description.get("figures"), arrays
            if not isinstance(result[0], dict):
                raise FileFormatError(f"{self.path(job)} is damaged: it has no entry 'figures'")
            if check is not None:
                try:
                    check(job, result)
                except ValueError as error:
                    raise FileFormatError(f"{self.path(job)} is damaged: {str(error)[:300]}") from error
            return result
        except (FileFormatError, OSError) as error:
            warn_user(f"a result is computed again, because its file cannot be used: {error}")
            return None

    def write(self, job, result):
        """Write the result of a job; the file is complete or not there at all."""
        if self.folder is not None:
            values, arrays = result
            write_arrays(self.path(job), {"job": job.identity, "figures": values}, arrays)
