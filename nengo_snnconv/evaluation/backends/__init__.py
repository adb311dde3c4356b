"""The simulators that networks run on, behind one interface: images in, what probes saw out, chunk by chunk."""

from ..._util.validation import shown
from ...errors import ConversionError, SettingsError
from .fast import FastBackend
from .loihi import LoihiBackend
from .nengo import NengoBackend
from .nengo_dl import NengoDLBackend

BACKENDS = {"fast": FastBackend, "nengo_dl": NengoDLBackend, "nengo": NengoBackend, "loihi": LoihiBackend}


def check_backend(backend, **options):
    """Raise an error where there is no such back end, or it does not take the ``options`` that a user asked for."""
    if backend is None:
        return
    if not isinstance(backend, str) or backend not in BACKENDS:
        raise ConversionError(f"there is no back end {shown(backend)}; there are {', '.join(BACKENDS)}")
    for name, value in options.items():
        if name not in BACKENDS[backend].options:
            able = " and ".join(repr(other) for other, kind in BACKENDS.items() if name in kind.options)
            only = f"is of the back end {able} only" if able else "is an option of no back end"
            raise SettingsError(f"{name}={shown(value)} {only}, and backend={backend!r} would ignore it: leave it out")


def opened(backend, *arguments, hints=None, **options):
    """Return a simulator by name; for None the fast one where it covers the network, or else NengoDL's.

    Parameters
    ----------
    backend : str or None
    arguments
        Those of every :class:`Backend`.
    hints : dict of str, optional
        Options that change no result, such as how much memory to use: left out where a back end does not have them.
    options
        Options that were asked for: refused where a back end does not have them.

    Raises
    ------
    SettingsError
        If the back end that was named does not have one of ``options``; the message names it.
    ConversionError
        If there is no such back end, or it cannot run the network, or only one without an option can.
    """
    check_backend(backend, **options)
    try:
        return _made(BACKENDS[backend or "fast"], arguments, options, hints or {})
    except ConversionError as error:
        if backend is not None:
            raise
        if options:
            asked = ", ".join(f"{name}={shown(value)}" for name, value in options.items())
            raise ConversionError(
                f"{asked} is of the back end 'fast', which cannot run this network: leave it out ({error})"
            ) from error
    return _made(NengoDLBackend, arguments, {}, hints or {})


def _made(kind, arguments, options, hints):
    known = {name: value for name, value in hints.items() if name in kind.options}
    return kind(*arguments, **{**known, **options})


def name_of(simulator):
    """The name of a simulator among BACKENDS."""
    return next(name for name, kind in BACKENDS.items() if type(simulator) is kind)
