"""TensorFlow, Keras, nengo_dl and nengo_loihi, made to work together and loaded when they are first needed.

After ``import nengo_snnconv``, plain ``import nengo_dl`` and ``import nengo_loihi`` work as well (see
:mod:`.import_hook`).  ``from nengo_snnconv.compat import nengo_dl, tf`` gives the modules that nengo_snnconv uses:
``tf`` is TensorFlow with Keras 2 as ``tf.keras``, even where ``tensorflow.keras`` is Keras 3.  ``keras3`` is the
package Keras 3, which reads the files that it wrote.

nengo-dl 3.6.0 needs Keras 2, which TensorFlow >= 2.16 has only as the separate package tf-keras.
"""

import contextlib
import importlib
import os
import re
import sys
import threading

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


def install():
    """Load TensorFlow and nengo_dl so that they work together.

    Importing nengo_snnconv is enough for ``import nengo_dl`` to work; this loads it now.

    Raises
    ------
    CompatibilityError
        If a package is missing, or versions are installed that cannot work together.
    """
    globals().update(tf=tensorflow_with_keras2(), nengo_dl=_import_nengo_dl())


def version_of(package):
    """Return the first two numbers of a package's installed version as a tuple; None if it is not installed."""
    from importlib import metadata  # not needed by `import nengo_snnconv`

    try:
        text = metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
    major, minor = re.match(r"(\d+)(?:\.(\d+))?", text).groups("0")  # "2.21rc0" and "3" are versions too
    return int(major), int(minor)


def check_versions(version_of=version_of):
    """Raise CompatibilityError, saying what to install, where the installed versions cannot work."""
    tensorflow, tf_keras = version_of("tensorflow") or version_of("tensorflow-cpu"), version_of("tf-keras")
    nengo = version_of("nengo")
    if tensorflow is None:
        raise CompatibilityError(f"TensorFlow is not installed: {INSTALL}")
    if not (2, 19) <= tensorflow < (2, 22):
        raise CompatibilityError(
            f"TensorFlow {tensorflow[0]}.{tensorflow[1]} is installed, nengo_snnconv needs 2.19 to 2.21: {INSTALL}"
        )
    if tf_keras is None or tf_keras != tensorflow:
        found = "is not installed" if tf_keras is None else f"{tf_keras[0]}.{tf_keras[1]} is installed"
        wanted = f"{tensorflow[0]}.{tensorflow[1]}"
        raise CompatibilityError(
            f"tf-keras {found}, TensorFlow {wanted} needs the tf-keras of the same version: "
            f'pip install "tf-keras=={wanted}.*"'
        )
    if nengo is None or not (4, 1) <= nengo < (4, 2):
        raise CompatibilityError('nengo 4.1 is needed: pip install "nengo>=4.1,<4.2"')
    if version_of("nengo-dl") != (3, 6):
        raise CompatibilityError(
            'nengo-dl 3.6.0 is needed: pip install "setuptools<82" wheel && '
            "pip install --no-build-isolation nengo-dl==3.6.0"
        )


_loading = threading.RLock()  # TensorFlow's lazy tf.keras breaks where two threads use it first, and stderr is shared


def tensorflow_with_keras2():
    """Return TensorFlow with Keras 2 as its ``keras``; where ``tf.keras`` is Keras 3, this is a wrapper of TensorFlow.

    Raises
    ------
    CompatibilityError
        If a package is missing or cannot be imported, or versions are installed that cannot work together.
    """
    with _loading:
        if "tf" not in globals():
            check_versions()
            globals()["tf"] = _import_tensorflow()
        return globals()["tf"]


def _import_tensorflow():
    import_hook.prefer_keras2()
    # start-up notes of TensorFlow's C++ side (oneDNN, CPU features, CUDA absent)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        with without_native_stderr():
            import tensorflow as tf

            keras2 = ".engine." in tf.keras.Model.__module__  # Keras 3 has no such package
            if not keras2:
                from .substitutes import TensorFlowWithKeras2

                tf = TensorFlowWithKeras2(tf)
    except ImportError as error:
        raise CompatibilityError(
            f"TensorFlow and tf-keras are installed, but cannot be imported ({first_line(error)}).  "
            f"If their files are damaged: {INSTALL} --force-reinstall"
        ) from error
    tf.get_logger().setLevel("ERROR")
    return tf


def first_line(error):
    """Return the first line of an error's message."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def _import_nengo_dl():
    check_versions()
    import_hook.install()
    try:
        return importlib.import_module("nengo_dl")
    except ModuleNotFoundError as error:  # its version is known, but its files are missing
        raise CompatibilityError(f"nengo-dl is installed, but its files are missing: {REINSTALL}") from error


def _import_keras3():
    install()  # TensorFlow, which is Keras 3's usual engine, loads with the settings that nengo_dl needs
    found = version_of("keras")
    if found is None or found < (3,):
        raise CompatibilityError('Keras 3 is needed for this model: pip install "keras>=3"')
    return importlib.import_module("keras")


def _import_nengo_loihi():
    install()  # nengo_loihi imports TensorFlow and nengo_dl, where it finds them
    found = version_of("nengo-loihi")
    if found != (1, 1):
        what = "is not installed" if found is None else f"{found[0]}.{found[1]} is installed"
        raise CompatibilityError(f"nengo-loihi {what}, the back end 'loihi' needs 1.1.0: {INSTALL_LOIHI}")
    nengo_loihi = importlib.import_module("nengo_loihi")
    from .substitutes import NEED_OLDER_NUMPY, OlderNumPy

    for name in NEED_OLDER_NUMPY:  # where it was imported before nengo_snnconv
        module = importlib.import_module(name)
        if not isinstance(module.np, OlderNumPy):
            module.np = OlderNumPy(module.np)
    return nengo_loihi


@contextlib.contextmanager
def without_native_stderr():
    """Hide what native code writes to standard error before its logging is initialised.

    Only while TensorFlow loads; a Python exception still reaches the user.
    """
    try:
        saved = os.dup(2)
    except OSError:  # no standard error, for example under a window manager
        yield
        return
    sys.stderr.flush()
    sink = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(sink, 2)
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(sink)
