"""Adds nengo-dl to the dependencies in setup.cfg, in the form that this Python can install.

nengo-dl 3.6.0, its last release, is a source distribution whose build asks for setuptools < 64.
That setuptools cannot run on Python 3.12 and later, so there pip fails to install nengo-dl.  Its
code runs all the same (a pure Python wheel), so on those versions the wheel is built here once, with
the setuptools of our own build (pyproject.toml), and the dependency points at it.
"""

import os
import pathlib
import subprocess
import sys

from setuptools import Distribution, setup

NENGO_DL = "nengo-dl==3.6.0"
CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "nengo_snnconv"


def nengo_dl_requirement():
    if sys.version_info < (3, 12):
        return NENGO_DL
    wheel = CACHE / "nengo_dl-3.6.0-py3-none-any.whl"
    if not wheel.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
        subprocess.run([*command, "--wheel-dir", str(CACHE), NENGO_DL], check=True)
    return f"nengo-dl @ {wheel.as_uri()}"


class WithNengoDL(Distribution):
    def parse_config_files(self, *arguments, **options):
        super().parse_config_files(*arguments, **options)
        self.install_requires = [*self.install_requires, nengo_dl_requirement()]
        self.metadata.install_requires = self.install_requires


setup(distclass=WithNengoDL)
