"""What the benchmarks share: the machine they ran on, and where their figures go."""

import datetime
import json
import pathlib
import statistics
import sys
import time

from overview import ROOT, fill, overview

from nengo_snnconv._util.atomic import atomic_write
from nengo_snnconv._util.system_info import n_cores, processor, versions

PACKAGES = ("tensorflow", "nengo", "nengo-dl", "numpy")


def machine():
    """One line on the machine and the versions."""
    found = ", ".join(f"{name} {version}" for name, version in versions(PACKAGES).items())
    return f"{n_cores()} cores of {processor()}, {found}"


def median_seconds(functions, repeats):
    """Median seconds of calls, {name: seconds}, taking turns; a first turn, which compiles, is left out."""
    times = {name: [] for name in functions}
    for _ in range(repeats + 1):
        for name, function in functions.items():
            started = time.perf_counter()
            function()
            times[name].append(time.perf_counter() - started)
    return {name: statistics.median(values[1:]) for name, values in times.items()}


def publish(name, table, figures, brief=None):
    """Write figures to docs/results/NAME.json, and ``table`` with its origin to NAME.md.

    README's block of that name, if there is one, gets the same, or ``brief``; its table of all methods is made anew.
    """
    command = f"python benchmarks/{pathlib.Path(sys.argv[0]).name} {' '.join(sys.argv[1:])}".strip()
    date = datetime.date.today().isoformat()
    origin = f"Measured on {date} by `{command}` ({machine()})."
    text, short = (f"{part.strip()}\n\n{origin}\n" for part in (table, brief or table))
    folder = ROOT / "docs" / "results"
    with atomic_write(folder / f"{name}.json", "w") as file:
        json.dump({"date": date, "command": command, "machine": machine(), **figures}, file, indent=1)
        file.write("\n")
    with atomic_write(folder / f"{name}.md", "w") as file:
        file.write(text)
    fill(name, short)
    fill("overview", overview())
