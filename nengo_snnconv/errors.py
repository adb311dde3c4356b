"""Exceptions and warnings of nengo_snnconv.

Messages name the object at fault and a way out.  Attributes name it for programs.
"""

from __future__ import annotations

from collections.abc import Iterable


class SnnConvError(Exception):
    """Base class of all exceptions that nengo_snnconv raises deliberately."""


class SnnConvWarning(UserWarning):
    """Category of all warnings that nengo_snnconv issues."""


class CompatibilityError(SnnConvError, ImportError):
    """Raised if the installed packages cannot work together; the message says what to install."""


class _LayerError(SnnConvError, ValueError):
    """An error about a layer.

    Attributes
    ----------
    layer : str or None
        Name of the layer; the first one if there are several, None if the error is not about a layer.
    """

    def __init__(self, message: str, *, layer: str | None = None) -> None:
        super().__init__(message)
        self.layer = layer


class ModelError(_LayerError):
    """Raised if a layer graph or its arrays are inconsistent.

    Attributes
    ----------
    layer : str or None
        Name of the layer.
    """


class ConversionError(_LayerError):
    """Raised if a layer, an option or a network cannot be converted; the message says what to do instead.

    Attributes
    ----------
    layer : str or None
        Name of the layer; the first one if there are several, None if the error is not about a layer.
    """


class FileFormatError(SnnConvError, ValueError):
    """Raised if a file is damaged, has another format, or was written by a newer version."""


class DatasetError(SnnConvError, ValueError):
    """Raised if a file of a data set is missing or damaged; the message says which, and where to get it."""


class SettingsError(SnnConvError, ValueError):
    """Raised if an argument has an invalid value; the message names it and the valid values.

    Attributes
    ----------
    argument : str or None
        Name of the argument; None if several arguments do not fit together.
    """

    def __init__(self, message: str, *, argument: str | None = None) -> None:
        super().__init__(message)
        self.argument = argument


class TrainingInterrupted(KeyboardInterrupt):
    """Raised if training was interrupted; only the epoch in progress is lost.

    Attributes
    ----------
    network : ConvNetwork
        The network after the last complete epoch, with its history.
    """

    def __init__(self, message, network):
        super().__init__(message)
        self.network = network


class WorkersError(SnnConvError, RuntimeError):
    """Raised if worker processes died or cannot be reached; the message says which jobs are done."""


class JobsInterrupted(KeyboardInterrupt):
    """Raised if jobs were interrupted; if a folder keeps the results, only the jobs in progress are lost.

    Attributes
    ----------
    n_done, n_jobs : int
        Number of finished jobs, and of all jobs.
    """

    def __init__(self, message, n_done, n_jobs):
        super().__init__(message)
        self.n_done, self.n_jobs = n_done, n_jobs


class TuningError(SnnConvError, RuntimeError):
    """Raised if no setting keeps the loss of accuracy within the limit; the message says what to try.

    Attributes
    ----------
    tuning : Tuning
        Result of the search, with the best setting that was found.
    """

    def __init__(self, message, tuning):
        super().__init__(message)
        self.tuning = tuning


def listed(names: Iterable[str], shown: int = 2) -> str:
    """Return the first names as text, with the number of others.

    A model can have hundreds of layers, and their names would hide the rest of an error message.
    """
    names = list(names)
    first = ", ".join(map(repr, names[:shown]))
    return first if len(names) <= shown else f"{first} and {len(names) - shown} more"
