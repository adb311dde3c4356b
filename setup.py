"""Add nengo-dl to the dependencies in setup.cfg, in the form that this Python can install.

nengo-dl 3.6.0, its last release, is a source distribution whose build asks for setuptools < 64, which cannot run on
Python 3.12 and later, so there pip fails to install nengo-dl.  Its code runs all the same (a pure Python wheel).  Where
nengo-dl is installed already, the dependency is the plain one; make and docs/how-to/install.md install it first, so
that ``pip freeze`` and the wheels of their environments can be used on other machines.  Else, on those versions, its
wheel is built here once with the setuptools of our own build (pyproject.toml), and the dependency points at that file.
"""

import importlib.metadata
import os
import pathlib
import subprocess
import sys
import sysconfig

from setuptools import Distribution, setup

NENGO_DL = "nengo-dl==3.6.0"
CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "nengo_snnconv"


def nengo_dl_requirement():
    """Return the requirement for nengo-dl, as text."""
    if sys.version_info < (3, 12) or is_installed("nengo-dl"):
        return NENGO_DL
    wheel = CACHE / "nengo_dl-3.6.0-py3-none-any.whl"
    if not wheel.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
        subprocess.run([*command, "--wheel-dir", str(CACHE), NENGO_DL], check=True)
    return f"nengo-dl @ {wheel.as_uri()}"


def is_installed(package):
    """Return whether the environment that we are built for has ``package``.

    pip builds in isolation, where the packages of the environment cannot be imported; its folder can be looked at.
    """
    folders = [sysconfig.get_path("purelib")]
    return any(True for _ in importlib.metadata.distributions(name=package, path=folders))


class WithNengoDL(Distribution):
    """A distribution that depends on nengo-dl, too."""

    def parse_config_files(self, *arguments, **options):
        super().parse_config_files(*arguments, **options)
        self.install_requires = [*self.install_requires, nengo_dl_requirement()]
        self.metadata.install_requires = self.install_requires


setup(distclass=WithNengoDL)
