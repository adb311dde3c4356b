"""What figures were measured with: processor, cores, operating system, and versions of packages."""

import contextlib
import importlib.metadata
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


def n_cores() -> int:
    """Return the number of cores this process may use.

    It respects the process's CPU affinity, the limits of its container and LOKY_MAX_CPU_COUNT.
    """
    import joblib

    return joblib.cpu_count()


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
