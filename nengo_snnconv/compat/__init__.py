"""TensorFlow, Keras, nengo_dl and nengo_loihi, made to work together and loaded on first use.

After ``import nengo_snnconv``, plain ``import nengo_dl`` and ``import nengo_loihi`` work as well (see
:mod:`.import_hook`).  ``from nengo_snnconv.compat import nengo_dl, tf`` imports the modules that nengo_snnconv uses:
``tf`` is TensorFlow with Keras 2 as ``tf.keras``, even if ``tensorflow.keras`` is Keras 3.  ``keras3`` is the package
Keras 3, which reads files of Keras 3.

nengo-dl 3.6.0 needs Keras 2, which is available for TensorFlow >= 2.16 only as the separate package tf-keras.
"""

from __future__ import annotations

import importlib
import re
import threading
from collections.abc import Callable
from typing import Any

from ..errors import CompatibilityError
from . import import_hook

INSTALL = 'pip install "tensorflow>=2.19,<2.22" "tf-keras>=2.19,<2.22"'
REINSTALL = "pip install --no-build-isolation --no-deps --force-reinstall nengo-dl==3.6.0"
INSTALL_LOIHI = "pip install nengo-loihi==1.1.0"


def __getattr__(name):
    loaders = {
        "tf": tensorflow_with_keras2,
        "nengo_dl": _import_nengo_dl,
        "keras3": _import_keras3,
        "nengo_loihi": _import_nengo_loihi,
    }
    if name not in loaders:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = loaders[name]()
    return globals()[name]


def install() -> None:
    """Load TensorFlow and nengo_dl so that they work together.

    After ``import nengo_snnconv``, ``import nengo_dl`` works without this; it only loads the packages at once.

    Raises
    ------
    CompatibilityError
        If a package is missing, or the installed versions do not work together.
    """
    globals().update(tf=tensorflow_with_keras2(), nengo_dl=_import_nengo_dl())


def version_of(package: str) -> tuple[int, ...] | None:
    """Return the first two numbers of a package's version, or None if it is not installed."""
    from importlib import metadata  # not needed by `import nengo_snnconv`

    try:
        text = metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
    found = re.match(r"(\d+)(?:\.(\d+))?", text)
    major, minor = found.groups("0") if found else ("0", "0")  # versions such as "2.21rc0" and "3" are valid
    return int(major), int(minor)


def check_versions(version_of: Callable[[str], tuple[int, ...] | None] = version_of) -> None:
    """Check that the installed versions work together; raise CompatibilityError with a way out if not."""
    tensorflow, tf_keras = version_of("tensorflow") or version_of("tensorflow-cpu"), version_of("tf-keras")
    nengo = version_of("nengo")
    if tensorflow is None:
        raise CompatibilityError(f"TensorFlow is not installed: {INSTALL}")
    if not (2, 19) <= tensorflow < (2, 22):
        raise CompatibilityError(
            f"TensorFlow {tensorflow[0]}.{tensorflow[1]} is installed, but nengo_snnconv needs 2.19 to 2.21: {INSTALL}"
        )
    if tf_keras is None or tf_keras != tensorflow:
        status = "is not installed" if tf_keras is None else f"{tf_keras[0]}.{tf_keras[1]} is installed"
        needed = f"{tensorflow[0]}.{tensorflow[1]}"
        raise CompatibilityError(
            f"tf-keras {status}, but TensorFlow {needed} needs the same version of tf-keras: "
            f'pip install "tf-keras=={needed}.*"'
        )
    if nengo is None or not (4, 1) <= nengo < (4, 2):
        raise CompatibilityError('nengo 4.1 is needed: pip install "nengo>=4.1,<4.2"')
    if version_of("nengo-dl") != (3, 6):
        raise CompatibilityError(
            'nengo-dl 3.6.0 is needed: pip install "setuptools<82" wheel && '
            "pip install --no-build-isolation nengo-dl==3.6.0"
        )


_loading = threading.RLock()  # TensorFlow's lazy tf.keras fails if two threads load it, and stderr is shared


def tensorflow_with_keras2() -> Any:
    """Return TensorFlow with Keras 2 as its ``keras``: a wrapper if ``tf.keras`` is Keras 3.

    Raises
    ------
    CompatibilityError
        If a package is missing or cannot be imported, or the installed versions do not work together.
    """
    with _loading:
        if "tf" not in globals():
            check_versions()
            globals()["tf"] = _import_tensorflow()
        return globals()["tf"]


def _import_tensorflow():
    import_hook.prefer_keras2()
    try:
        with import_hook.without_native_stderr():
            import tensorflow as tf

            tf.config.list_physical_devices()  # reports a missing GPU, if the user has loaded TensorFlow before

            keras2 = ".engine." in tf.keras.Model.__module__  # Keras 3 has no such package
            if not keras2:
                from .substitutes import TensorFlowWithKeras2

                tf = TensorFlowWithKeras2(tf)
    except ImportError as error:
        raise CompatibilityError(
            f"TensorFlow and tf-keras are installed but cannot be imported ({first_line(error)}).  "
            f"If their files are damaged: {INSTALL} --force-reinstall"
        ) from error
    tf.get_logger().setLevel("ERROR")
    return tf


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def _import_nengo_dl():
    check_versions()
    import_hook.install()
    try:
        return importlib.import_module("nengo_dl")
    except ModuleNotFoundError as error:  # the metadata are there, but the files are missing
        raise CompatibilityError(f"nengo-dl is installed, but its files are missing: {REINSTALL}") from error


def _import_keras3():
    install()  # load TensorFlow, the usual engine of Keras 3, with the settings that nengo_dl needs
    version = version_of("keras")
    if version is None or version < (3,):
        raise CompatibilityError('Keras 3 is needed for this model: pip install "keras>=3"')
    return importlib.import_module("keras")


def _import_nengo_loihi():
    install()  # nengo_loihi imports TensorFlow and nengo_dl if they are installed
    version = version_of("nengo-loihi")
    if version != (1, 1):
        status = "is not installed" if version is None else f"{version[0]}.{version[1]} is installed"
        raise CompatibilityError(f"nengo-loihi {status}, the back end 'loihi' needs 1.1.0: {INSTALL_LOIHI}")
    nengo_loihi = importlib.import_module("nengo_loihi")
    from .substitutes import NEED_OLDER_NUMPY, OlderNumPy

    for name in NEED_OLDER_NUMPY:  # needed if it was imported before nengo_snnconv
        module = importlib.import_module(name)
        if not isinstance(module.np, OlderNumPy):
            module.np = OlderNumPy(module.np)
    return nengo_loihi
