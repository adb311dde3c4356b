"""The errors that nengo_snnconv raises: each message names the thing at fault and the way out."""


class SnnConvError(Exception):
    """Base class of every error that nengo_snnconv raises on purpose."""


class SnnConvWarning(UserWarning):
    """Category of every warning that nengo_snnconv gives on purpose."""


class CompatibilityError(SnnConvError, ImportError):
    """The installed packages cannot work together; the message says what to install."""


class ModelError(SnnConvError, ValueError):
    """A layer graph or its arrays are inconsistent; the message names the layer."""


class ConversionError(SnnConvError, ValueError):
    """A layer, option or network cannot be converted; the message says what to do instead."""


class FileFormatError(SnnConvError, ValueError):
    """A file is damaged, foreign, or written by a newer version."""


class DatasetError(SnnConvError, ValueError):
    """A data set's file is missing, truncated or wrong; the message says which, and where to get it."""


class SettingsError(SnnConvError, ValueError):
    """An argument has a value that cannot work; the message names it and the values that can."""


class TrainingInterrupted(KeyboardInterrupt):
    """Training was interrupted; nothing but the epoch under way is lost.

    Attributes
    ----------
    network : ConvNetwork
        The network as it was after the last complete epoch, its history included.
    """

    def __init__(self, message, network):
        super().__init__(message)
        self.network = network


class WorkersError(SnnConvError, RuntimeError):
    """The processes that should do the work died or cannot be reached; the message says what is done already."""


class JobsInterrupted(KeyboardInterrupt):
    """Many jobs were interrupted; nothing but those under way is lost where a folder keeps results.

    Attributes
    ----------
    n_done, n_jobs : int
        How many are done, and of how many.
    """

    def __init__(self, message, n_done, n_jobs):
        super().__init__(message)
        self.n_done, self.n_jobs = n_done, n_jobs


class TuningError(SnnConvError, RuntimeError):
    """No setting that was tried keeps the loss within what is allowed; the message says what to try.

    Attributes
    ----------
    tuning : Tuning
        The best that was found.
    """

    def __init__(self, message, tuning):
        super().__init__(message)
        self.tuning = tuning


def listed(names, shown=2):
    """Return the first of some names as text for a message, and how many more there are.

    A model can have hundreds of layers, a list of which would hide what a message says.
    """
    names = list(names)
    first = ", ".join(map(repr, names[:shown]))
    return first if len(names) <= shown else f"{first} and {len(names) - shown} more"
