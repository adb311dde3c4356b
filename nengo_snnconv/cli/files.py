"""Checks of output files, made before minutes of computation, and the writing of networks, pictures and results."""

import json
import os
import tempfile

from .._util.atomic import atomic_write, naming_errors
from .._util.text_tables import summary_line
from ..errors import SettingsError


def check_distinct(options, **paths):
    """End with a usage error if two files are the same, so one would overwrite the other; None is no file."""
    seen = {}
    for name, path in paths.items():
        if path is not None and not is_stdout(path) and (other := seen.setdefault(path.resolve(), name)) != name:
            options.wrong_usage(f"{name} is the same file as {other}: give it another name")


def check_writable(path):
    """Create the folder of a file; raise SettingsError or OSError if the file cannot be written later."""
    try:
        if path.is_dir():
            raise SettingsError(f"{path} is a folder: name a file in it")
        if path.exists() and not path.is_file():
            raise SettingsError(f"{path} is not a regular file: name one that can be replaced")
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent)
    except OSError as error:
        # the error may name the temporary file, which would puzzle the user
        with naming_errors(path, error.filename):
            raise
    os.close(handle)
    os.unlink(temporary)


def check_network_file(path):
    """Raise SettingsError or OSError if a network cannot be written to a file later."""
    from ..model.archive import check_ending

    check_ending(path)
    check_writable(path)


def check_picture(path):
    """Raise SettingsError or OSError if a picture cannot be written later; None is no picture."""
    if path:
        check_writable(path)
        if path.suffix not in (".png", ".svg", ".pdf"):
            raise SettingsError(f"--picture must end in .png, .svg or .pdf, got {path.name}")


def save_picture(axes, path):
    """Write the figure of matplotlib axes to a file."""
    with atomic_write(path, "wb") as file:
        axes.figure.savefig(file, format=path.suffix[1:], dpi=150)
    print(summary_line("picture", path.resolve()))


def save_network(network, path):
    """Write a network to a file."""
    from .. import save

    save(network, path)
    print(summary_line("network", path))


def is_stdout(path):
    """Return whether a file is "-", standard output."""
    return str(path) == "-"


def print_json(results):
    """Print results as JSON, and nothing else."""
    print(json.dumps(results, indent=1))


def write_json(results, path):
    """Write results to a JSON file."""
    with atomic_write(path, "w") as file:
        json.dump(results, file, indent=1)
        file.write("\n")
