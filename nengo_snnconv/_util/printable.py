"""Text for a terminal without control characters, which could move the cursor, change colors or overwrite text."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

# control characters, surrogates (undecodable bytes of file names), and marks that reverse the direction of text
_HIDDEN = "\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff"
_IN_A_NAME = re.compile(f"[{_HIDDEN}]")
_IN_A_TEXT = re.compile(f"[{_HIDDEN}]".replace("\x00-\x1f", "\x00-\x08\x0b-\x1f"))  # except tab and newline


def printable(name: str) -> str:
    """Return a name with each control character replaced by its escape sequence, as in ``repr``."""
    return _IN_A_NAME.sub(_escape_sequence, name)


def printable_text(text: str) -> str:
    """Return a text with each control character except tab and newline replaced by its escape sequence."""
    return _IN_A_TEXT.sub(_escape_sequence, text)


def _escape_sequence(match):
    return match[0].encode("unicode_escape").decode("ascii")


class PrintableStream:
    """Text stream that replaces control characters with :func:`printable_text`.

    Characters that the encoding of the stream lacks are replaced by escape sequences, too.

    Parameters
    ----------
    stream : text stream
        Stream to write to; it also handles everything else, such as ``flush``.
    """

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        encoding = getattr(self._stream, "encoding", None) or "utf-8"
        self._stream.write(printable_text(text).encode(encoding, "backslashreplace").decode(encoding))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name):
        return getattr(self._stream, name)
