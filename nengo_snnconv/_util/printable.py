"""Names in text for a terminal: no control characters, which move the cursor, recolor or overwrite what is there."""

import re

# control characters, surrogates (bytes of file names that are no text), and marks that reverse the direction of text
_HIDDEN = "\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff"
_IN_A_NAME = re.compile(f"[{_HIDDEN}]")
_IN_A_TEXT = re.compile(f"[{_HIDDEN}]".replace("\x00-\x1f", "\x00-\x08\x0b-\x1f"))  # but for tab and new line


def printable(name):
    """Return a name with each control character replaced by its escape sequence, as in ``repr``."""
    return _IN_A_NAME.sub(_escaped, name)


def printable_text(text):
    """Return a text with each control character but tab and new line replaced by its escape sequence."""
    return _IN_A_TEXT.sub(_escaped, text)


def _escaped(found):
    return found[0].encode("unicode_escape").decode("ascii")


class PrintableStream:
    """A text stream that writes what :func:`printable_text` makes of a text.

    Characters that the encoding of the stream lacks become escape sequences, too.

    Parameters
    ----------
    stream : text stream
        Everything but ``write`` is left to it.
    """

    def __init__(self, stream):
        self._stream = stream

    def write(self, text):
        encoding = getattr(self._stream, "encoding", None) or "utf-8"
        self._stream.write(printable_text(text).encode(encoding, "backslashreplace").decode(encoding))
        return len(text)

    def writelines(self, lines):
        for line in lines:
            self.write(line)

    def __getattr__(self, name):
        return getattr(self._stream, name)
