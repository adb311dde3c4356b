"""Makes nengo-dl 3.6.0 run on today's TensorFlow, and loads both only when they are first needed.

Use ``from nengo_snnconv.compat import nengo_dl, tf``; users who import nengo_dl themselves import
nengo_snnconv first and call :func:`install`, or just ``from nengo_snnconv.compat import nengo_dl``.  ``keras3``
is the package Keras 3, which reads the files that it wrote.  ``nengo_loihi`` is nengo-loihi 1.1.0, an optional package,
made to run on NumPy 2.

nengo-dl needs Keras 2, which TensorFlow >= 2.16 has only as the separate package tf-keras, and it
imports two Keras names by the module paths that they had before Keras 2.13.

nengo-loihi calls ``np.array(x, copy=False)`` for "copy where you must", which NumPy 2 takes for "never copy".
"""

import contextlib
import importlib
import importlib.metadata
import importlib.util
import os
import subprocess
import sys
import warnings

from .exceptions import CompatibilityError

INSTALL = 'pip install "tensorflow>=2.19,<2.22" "tf-keras>=2.19,<2.22"'
INSTALL_LOIHI = "pip install nengo-loihi==1.1.0"


def __getattr__(name):
    if name in ("tf", "nengo_dl"):
        install()
        return globals()[name]
    if name in ("keras3", "nengo_loihi"):
        globals()[name] = {"keras3": _import_keras3, "nengo_loihi": _import_nengo_loihi}[name]()
        return globals()[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def install():
    """Load TensorFlow and nengo_dl so that they work together.

    Afterwards ``import nengo_dl`` works anywhere in the process.

    Raises
    ------
    CompatibilityError
        If a package is missing, or versions are installed that cannot work together.
    """
    if "nengo_dl" in globals():
        return
    check_versions()
    tf = _import_tensorflow()
    globals().update(tf=tf, nengo_dl=_import_nengo_dl(tf))


def version_of(package):
    """The installed version of ``package`` as a tuple of its first two numbers; None where it is absent."""
    try:
        text = importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
    return tuple(int(part) for part in text.split(".")[:2])


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


def _import_tensorflow():
    os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
    # start-up notes of TensorFlow's C++ side (oneDNN, CPU features, CUDA absent)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with _without_native_stderr():
        import tensorflow as tf
    if ".engine." not in tf.keras.Model.__module__:  # Keras 3 has no such package
        raise CompatibilityError(
            "tf.keras was loaded as Keras 3 and nengo-dl needs Keras 2: import nengo_snnconv before anything "
            "touches tf.keras, or set the environment variable TF_USE_LEGACY_KERAS=1"
        )
    tf.get_logger().setLevel("ERROR")
    return tf


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
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="This version of `nengo_loihi` has not been tested")
        nengo_loihi = importlib.import_module("nengo_loihi")
    for module in (nengo_loihi.block, nengo_loihi.neurons, nengo_loihi.emulator.interface):
        if not isinstance(module.np, _OlderNumPy):
            module.np = _OlderNumPy(module.np)
    return nengo_loihi


class _OlderNumPy:
    """NumPy as nengo_loihi knows it, for its modules alone.

    ``array(x, copy=False)`` copies where it must; ``full`` casts NaN to whole numbers, which are set later, in silence.
    """

    def __init__(self, numpy):
        self._numpy = numpy
        self._where_it_must = None if int(numpy.__version__.partition(".")[0]) >= 2 else False

    def __getattr__(self, name):
        return getattr(self._numpy, name)

    def array(self, *arguments, copy=True, **options):
        return self._numpy.array(*arguments, copy=copy or self._where_it_must, **options)

    def full(self, *arguments, **options):
        with self._numpy.errstate(invalid="ignore"):
            return self._numpy.full(*arguments, **options)


@contextlib.contextmanager
def _without_native_stderr():
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


def _import_nengo_dl(tf):
    root = tf.keras.Model.__module__.partition(".engine.")[0]
    alias = {
        "keras.engine.functional": importlib.import_module(f"{root}.engine.functional"),
        "keras.layers": importlib.import_module(f"{root}.layers"),
    }
    # what an earlier import of nengo_dl left behind when it failed
    for name in [name for name in sys.modules if name.partition(".")[0] == "nengo_dl"]:
        del sys.modules[name]
    saved = {name: sys.modules.get(name) for name in alias}
    sys.modules.update(alias)
    try:
        # the first look for a GPU complains where there is none
        with _without_native_stderr(), warnings.catch_warnings(), _looking_for_a_gpu_here(tf):
            warnings.filterwarnings("ignore", message="This version of NengoDL has not been tested")
            warnings.filterwarnings("ignore", message="numpy.core is deprecated", category=DeprecationWarning)
            import nengo_dl
    finally:
        for name, module in saved.items():
            if module is None:
                del sys.modules[name]
            else:
                sys.modules[name] = module
    # printed by every Simulator on a machine without a GPU, where there is nothing to do about it
    warnings.filterwarnings("ignore", message="No GPU support detected")
    return nengo_dl


@contextlib.contextmanager
def _looking_for_a_gpu_here(tf):
    """Look for a GPU in this process, where nengo_dl starts another one and waits until that has loaded TensorFlow.

    nengo_dl does so because CUDA_VISIBLE_DEVICES is read but once; all else about a GPU can still be set afterwards.
    """
    call = subprocess.call

    def look(command, *arguments, **options):
        if command[:2] == [sys.executable, "-c"] and "list_physical_devices('GPU')" in command[2]:
            return int(not tf.config.list_physical_devices("GPU"))
        return call(command, *arguments, **options)

    subprocess.call = look
    try:
        yield
    finally:
        subprocess.call = call
