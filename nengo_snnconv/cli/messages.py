"""Messages of the command line: errors and warnings in one line, and silence where nobody reads."""

import argparse
import contextlib
import difflib
import errno
import os
import select
import sys
import warnings

from .._util.printable import PrintableStream, printable

CLOSED_PIPE = 128 + 13  # the exit code of a program that the signal SIGPIPE ends


class Parser(argparse.ArgumentParser):
    """Parser that reports wrong usage in one line."""

    def error(self, message):
        self.exit(2, f"{self.prog}: {printable(' '.join(message.split()))} (see {self.prog} --help)\n")

    def unrecognized(self, arguments):
        """Report arguments that this parser does not know, with the most similar options."""
        known = [option for option in self._option_string_actions if option.startswith("--")]
        close = {}
        for argument in arguments:
            if argument.startswith("--"):
                close |= dict.fromkeys(difflib.get_close_matches(argument.partition("=")[0], known, n=2))
        hint = f": did you mean {' or '.join(close)}?" if close else ""
        self.error(f"unrecognized arguments: {' '.join(arguments)}{hint}")


def in_words(error):
    """Return the message of an exception; of an error of the operating system without its number."""
    if not isinstance(error, OSError) or error.strerror is None:
        return str(error)
    name = str(error.filename) if error.filename is not None else None
    if error.errno == errno.ENOENT and name:
        return f"there is no file or folder {name}"
    return f"{name}: {error.strerror}" if name else error.strerror


def _has_no_reader(stream):
    """Return whether a stream is a pipe from which nobody reads."""
    try:
        poll = select.poll()
        poll.register(stream.fileno(), select.POLLOUT)
    except (AttributeError, OSError, ValueError):  # no pipe
        return False
    return any(event & select.POLLERR for _, event in poll.poll(0))


def fail(command, message):
    """Print the message of an error in one line."""
    print(f"nengo-snnconv {command}: {' '.join(message.split())}", file=PrintableStream(sys.stderr))


@contextlib.contextmanager
def warnings_in_one_line(command):
    """Print warnings without the source line that issued them."""
    before = warnings.formatwarning
    warnings.formatwarning = lambda message, *_, **__: (
        f"nengo-snnconv {command}: warning: {printable(' '.join(str(message).split()))}\n"
    )
    try:
        yield
    finally:
        warnings.formatwarning = before


def silence_closed_streams(failed=False):
    """Let what is still to be printed vanish if the reader of a pipe, such as head, has ended; return True if so.

    Parameters
    ----------
    failed : bool
        True if something could not be written, perhaps to one of these streams; its text may be lost by now.
    """
    closed = False
    for stream in (sys.stdout, sys.stderr):
        lost = failed and _has_no_reader(stream)
        try:
            stream.flush()
        except BrokenPipeError:
            lost = True
        if lost:
            closed = True
            sink = os.open(os.devnull, os.O_WRONLY)
            os.dup2(sink, stream.fileno())
            os.close(sink)
    return closed
