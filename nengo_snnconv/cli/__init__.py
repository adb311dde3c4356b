"""The command line, ``nengo-snnconv COMMAND``.

Commands: demo, train, train-cnn, convert, to-ttfs, tune, evaluate, diagnose, compare, export and gui; one module for
each or for two that share code.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shlex
import sys
from collections.abc import Sequence

from .._util.printable import PrintableStream
from .._version import __version__
from ..errors import SnnConvError
from . import (
    cnn_training,
    comparison,
    conversion,
    diagnosis,
    evaluation,
    gui,
    hardware,
    nir,
    show,
    training,
    ttfs,
    tuning,
)
from .files import check_writable, is_stdout, print_json, write_json
from .messages import CLOSED_PIPE, Parser, fail, in_words, silence_closed_streams, warnings_in_one_line

# TensorFlow takes seconds to load, so commands import it, and modules that need it, only when they run


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line, and return its exit code.

    0: success; 1: an error, a layer was refused, or a network does not fit on a chip; 2: wrong usage; 130: interrupted;
    141: the reader of a pipe, such as ``head``, ended.

    Parameters
    ----------
    arguments : sequence of str, optional
        Arguments; by default those of the process.
    """
    try:
        code = _run(sys.argv[1:] if arguments is None else arguments)
    except BrokenPipeError:
        if not silence_closed_streams(failed=True):
            raise
        return CLOSED_PIPE
    except SystemExit:  # of the parser, after a help text or an error
        silence_closed_streams()
        raise
    return CLOSED_PIPE if silence_closed_streams() else code


def _run(arguments):
    """Run the command line, and return its exit code, unless a pipe is closed."""
    parser = _parser()
    if "_ARGCOMPLETE" in os.environ:  # a shell asks for completions
        with contextlib.suppress(ImportError):
            import argcomplete

            argcomplete.autocomplete(parser)
    options, unknown = parser.parse_known_args(arguments)
    if unknown:
        options.unrecognized(unknown)
    options.command_line = shlex.join(["nengo-snnconv", *arguments])  # for reports
    to_stdout = options.json is not None and is_stdout(options.json)
    try:
        if options.json and not to_stdout:
            check_writable(options.json)
        text = PrintableStream(sys.stderr if to_stdout else sys.stdout)
        with warnings_in_one_line(options.command), contextlib.redirect_stdout(text):
            results = options.run(options)
        if to_stdout:
            print_json(results)
        elif options.json:
            write_json(results, options.json)
    except KeyboardInterrupt as interrupt:
        return _failed(options, interrupt, str(interrupt) or "interrupted", 130)
    except BrokenPipeError:
        raise
    except MemoryError as error:
        return _failed(options, error, "there is not enough memory: close other programs, or give fewer images", 1)
    except Exception as error:
        # users can fix our errors, those of nengo, and missing files; other exceptions are bugs
        known = isinstance(error, SnnConvError | OSError) or type(error).__module__ == "nengo.exceptions"
        bug = f"{type(error).__name__}: {error} (a bug: use --debug for the traceback)"
        return _failed(options, error, in_words(error) if known else bug, 1)
    return 1 if results.get("refused") else 0


def _failed(options, error, message, code):
    """Print an error message in one line, and return the exit code."""
    if options.debug:
        raise error
    fail(options.command, message)
    return code


def commands() -> dict[str, argparse.ArgumentParser]:
    """Return the parser of each command, {name: argparse.ArgumentParser}."""
    (subparsers,) = (action for action in _parser()._actions if isinstance(action, argparse._SubParsersAction))
    return subparsers.choices


def _parser():
    parser = Parser(
        prog="nengo-snnconv",
        description="Build, train, convert and run convolutional spiking neural networks in Nengo.",
    )
    parser.add_argument("-V", "--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")
    training.add_demo(commands)
    training.add_train(commands)
    cnn_training.add_train_cnn(commands)
    conversion.add_convert(commands)
    ttfs.add_to_ttfs(commands)
    tuning.add_tune(commands)
    evaluation.add_evaluate(commands)
    show.add_show(commands)
    diagnosis.add_diagnose(commands)
    comparison.add_compare(commands)
    nir.add_export(commands)
    hardware.add_check_hardware(commands)
    gui.add_gui(commands)
    return parser
