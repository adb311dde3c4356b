"""Processor, cores, operating system and package versions, to state with measurements."""

from __future__ import annotations

import contextlib
import importlib.metadata
import pathlib
import platform
from collections.abc import Iterable

PACKAGES = ("tensorflow", "tf-keras", "nengo", "nengo-dl", "numpy", "numba", "matplotlib")


def processor() -> str:
    """Return the name of the processor, as far as the operating system knows it."""
    with contextlib.suppress(OSError):
        for line in pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def multiplies_bfloat16() -> bool:
    """Return whether the processor has instructions for products of bfloat16 numbers."""
    import llvmlite.binding

    features = llvmlite.binding.get_host_cpu_features()
    return any(features.get(name) for name in ("avx512bf16", "amx-bf16", "bf16"))


def n_cores() -> int:
    """Return the number of cores this process may use.

    It respects the process's CPU affinity, the limits of its container and LOKY_MAX_CPU_COUNT.
    """
    import joblib

    return joblib.cpu_count()


def versions(packages: Iterable[str] = PACKAGES) -> dict[str, str]:
    """Return the versions of Python and of the installed ``packages``, by name."""
    by_name = {"Python": platform.python_version()}
    for package in packages:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            by_name[package] = importlib.metadata.version(package)
    return by_name


def machine() -> str:
    """Return a line that describes the machine: cores, processor, operating system."""
    cores = n_cores()
    return f"{cores} core{'s' if cores > 1 else ''} of {processor()}, {platform.system()} {platform.release()}"
