"""Warnings that point at the user's code, however deep in the package they are issued."""

import sys
import types
import warnings

from ..errors import SnnConvWarning

_PACKAGE = __name__.partition(".")[0]


def warn_user(message: str) -> None:
    """Issue a SnnConvWarning for the line that called this package.

    A number for ``stacklevel`` would be right for one chain of calls only.
    """
    user = sys._getframe(1)
    frame: types.FrameType | None = user
    while frame is not None:
        if frame.f_globals.get("__name__", "").partition(".")[0] == _PACKAGE:
            user = frame.f_back or frame
        frame = frame.f_back
    warnings.warn_explicit(
        message,
        SnnConvWarning,
        user.f_code.co_filename,
        user.f_lineno,
        module=user.f_globals.get("__name__"),
        registry=user.f_globals.setdefault("__warningregistry__", {}),
    )
