"""What figures were measured with: processor, cores, operating system, and versions of packages."""

import contextlib
import importlib.metadata
import os
import pathlib
import platform

PACKAGES = ("tensorflow", "tf-keras", "nengo", "nengo-dl", "numpy", "numba", "matplotlib")


def processor():
    """The processor's name, as far as the operating system tells it."""
    with contextlib.suppress(OSError):
        for line in pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def n_cores():
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count()


def versions(packages=PACKAGES):
    """The versions of Python and of those packages that are installed, {name: str}."""
    found = {"Python": platform.python_version()}
    for package in packages:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[package] = importlib.metadata.version(package)
    return found


def machine():
    """The machine in one line: cores, processor, operating system."""
    cores = n_cores()
    return f"{cores} core{'s' if cores > 1 else ''} of {processor()}, {platform.system()} {platform.release()}"
