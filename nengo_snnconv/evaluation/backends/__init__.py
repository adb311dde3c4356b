"""Back ends: the simulators that run networks, behind one interface (:class:`~.base.Backend`)."""

from __future__ import annotations

import typing

from ..._util.validation import shown
from ...errors import ConversionError, SettingsError
from .base import Backend
from .fast import FastBackend
from .loihi import LoihiBackend
from .nengo import NengoBackend
from .nengo_dl import NengoDLBackend
from .tensorflow import TensorFlowBackend

BACKENDS: dict[str, type[Backend]] = {
    "fast": FastBackend,
    "tensorflow": TensorFlowBackend,
    "nengo_dl": NengoDLBackend,
    "nengo": NengoBackend,
    "loihi": LoihiBackend,
}


def check_backend(backend: str | None, **options: typing.Any) -> None:
    """Check that a back end exists and takes ``options``.

    Raises
    ------
    ConversionError
        If there is no such back end.
    SettingsError
        If it does not take an option.
    """
    if backend is None:
        return
    if not isinstance(backend, str) or backend not in BACKENDS:
        raise ConversionError(f"backend must be one of {', '.join(BACKENDS)}; got {shown(backend)}")
    for name, value in options.items():
        if name not in BACKENDS[backend].options:
            able = " and ".join(repr(other) for other, kind in BACKENDS.items() if name in kind.options)
            supported = f"is supported by the back end {able} only" if able else "is supported by no back end"
            raise SettingsError(
                f"{name}={shown(value)} {supported}, and backend={backend!r} would ignore it: leave {name} out",
                argument=name,
            )


def open_backend(
    backend: str | None, *arguments: typing.Any, hints: dict[str, typing.Any] | None = None, **options: typing.Any
) -> Backend:
    """Return the simulator of a network.

    Parameters
    ----------
    backend : str or None
        Name of the back end; None for "fast" if it supports the network, else "nengo_dl".
    *arguments
        Arguments of :class:`Backend`.
    hints : dict of str, optional
        Options that do not change results, such as ``memory_mb``; back ends that do not take them ignore them.
    **options
        Options that change results; back ends that do not take them refuse them.

    Raises
    ------
    SettingsError
        If the named back end does not take one of ``options``.
    ConversionError
        If there is no such back end, it cannot run the network, or no back end that takes ``options`` can.
    """
    check_backend(backend, **options)
    try:
        return _open(BACKENDS[backend or "fast"], arguments, options, hints or {})
    except ConversionError as error:
        if backend is not None:
            raise
        if options:
            names = ", ".join(f"{name}={shown(value)}" for name, value in options.items())
            raise ConversionError(
                f"{names} needs the back end 'fast', which cannot run this network: leave {', '.join(options)} out "
                f"({error})",
                layer=error.layer,
            ) from error
    return _open(NengoDLBackend, arguments, {}, hints or {})


def _open(backend_type, arguments, options, hints):
    """Return a simulator of one type, with those hints that it takes."""
    hints = {name: value for name, value in hints.items() if name in backend_type.options}
    return backend_type(*arguments, **{**hints, **options})


def backend_name(simulator: Backend) -> str:
    """Return the name of the back end that a simulator belongs to."""
    return next(name for name, backend_type in BACKENDS.items() if type(simulator) is backend_type)
