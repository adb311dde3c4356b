"""Functions that the benchmarks share: the description of the machine, timing, and publication of results."""

import datetime
import json
import pathlib
import shlex
import statistics
import sys
import time

from overview import ROOT, fill, renew

from nengo_snnconv._util.atomic import atomic_write
from nengo_snnconv._util.system_info import n_cores, processor, versions

PACKAGES = ("tensorflow", "nengo", "nengo-dl", "numpy")


def machine():
    """Return a line that describes the machine and the versions of packages."""
    found = ", ".join(f"{name} {version}" for name, version in versions(PACKAGES).items())
    return f"{n_cores()} cores of {processor()}, {found}"


def median_seconds(functions, repeats):
    """Return median seconds of functions called in turns, {name: seconds}, without the first turn, which compiles."""
    times = {name: [] for name in functions}
    for _ in range(repeats + 1):
        for name, function in functions.items():
            started = time.perf_counter()
            function()
            times[name].append(time.perf_counter() - started)
    return {name: statistics.median(values[1:]) for name, values in times.items()}


def table_lines(columns, rows):
    """Return the lines of a Markdown table with titled rows: names of columns, and {title: cells as text}."""
    lines = [f"| | {' | '.join(columns)} |", "|---" * (len(columns) + 1) + "|"]
    return lines + [f"| {title} | {' | '.join(cells)} |" for title, cells in rows.items()]


def publish(name, table, results, brief=None):
    """Write results to docs/results/NAME.json, and ``table`` with its origin into the documentation.

    The table goes between the marks "begin NAME" and "end NAME" of a page, and ``brief``, if given, between those of
    "NAME-brief".  The tables of all methods and of neuron types are renewed.
    """
    command = shlex.join(["python", f"benchmarks/{pathlib.Path(sys.argv[0]).name}", *sys.argv[1:]])
    date = datetime.date.today().isoformat()
    origin = f"Measured on {date} by `{command}` ({machine()})."
    with atomic_write(ROOT / "docs" / "results" / f"{name}.json", "w") as file:
        json.dump({"date": date, "command": command, "machine": machine(), **results}, file, indent=1)
        file.write("\n")
    fill(name, f"{table.strip()}\n\n{origin}\n")
    if brief:
        fill(f"{name}-brief", f"{brief.strip()}\n\n{origin}\n")
    renew()
