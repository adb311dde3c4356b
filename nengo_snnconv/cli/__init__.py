"""The command line, ``nengo-snnconv COMMAND``.

Commands: demo, train, train-cnn, convert, to-ttfs, tune, evaluate, diagnose, compare, export and gui; one module for
each or for two that share code.
"""

from __future__ import annotations

import argparse
import contextlib
import shlex
import sys
import warnings
from collections.abc import Sequence

from .._util.printable import PrintableStream, printable
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
    training,
    ttfs,
    tuning,
)
from .files import check_writable, write_json

# TensorFlow takes seconds to load, so commands import it, and modules that need it, only when they run


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line, and return its exit code.

    0: success; 1: an error, or a layer was refused; 2: wrong usage; 130: interrupted.

    Parameters
    ----------
    arguments : sequence of str, optional
        Arguments; by default those of the process.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    options = _parser().parse_args(arguments)
    options.command_line = shlex.join(["nengo-snnconv", *arguments])  # for reports
    try:
        if options.json:
            check_writable(options.json)
        with _warnings_in_one_line(options.command), contextlib.redirect_stdout(PrintableStream(sys.stdout)):
            results = options.run(options)
        if options.json:
            write_json(results, options.json)
    except KeyboardInterrupt as interrupt:
        return _fail(options, interrupt, str(interrupt) or "interrupted", 130)
    except Exception as error:
        # users can fix our errors, those of nengo, and missing files; other exceptions are bugs
        known = isinstance(error, SnnConvError | OSError) or type(error).__module__ == "nengo.exceptions"
        message = str(error) if known else f"{type(error).__name__}: {error} (a bug: use --debug for the traceback)"
        return _fail(options, error, message, 1)
    return 1 if results.get("refused") else 0


def _fail(options, error, message, code):
    """Print an error message in one line, and return the exit code."""
    if options.debug:
        raise error
    print(f"nengo-snnconv {options.command}: {' '.join(message.split())}", file=PrintableStream(sys.stderr))
    return code


@contextlib.contextmanager
def _warnings_in_one_line(command):
    """Print warnings without the source line that issued them."""
    before = warnings.formatwarning
    warnings.formatwarning = lambda message, *_, **__: (
        f"nengo-snnconv {command}: warning: {printable(' '.join(str(message).split()))}\n"
    )
    try:
        yield
    finally:
        warnings.formatwarning = before


def commands() -> dict[str, argparse.ArgumentParser]:
    """Return the parser of each command, {name: argparse.ArgumentParser}."""
    (subparsers,) = (action for action in _parser()._actions if isinstance(action, argparse._SubParsersAction))
    return subparsers.choices


def _parser():
    parser = argparse.ArgumentParser(
        prog="nengo-snnconv",
        description="Build, train, convert and run convolutional spiking neural networks in Nengo.",
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")
    training.add_demo(commands)
    training.add_train(commands)
    cnn_training.add_train_cnn(commands)
    conversion.add_convert(commands)
    ttfs.add_to_ttfs(commands)
    tuning.add_tune(commands)
    evaluation.add_evaluate(commands)
    diagnosis.add_diagnose(commands)
    comparison.add_compare(commands)
    nir.add_export(commands)
    hardware.add_check_hardware(commands)
    gui.add_gui(commands)
    return parser
