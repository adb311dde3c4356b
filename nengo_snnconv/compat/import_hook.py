"""Import hook that makes ``import nengo_dl`` work after ``import nengo_snnconv``.

nengo-dl 3.6.0 was written for older versions of the packages that it imports.  A finder on :data:`sys.meta_path` loads
it, and the packages that build on it, as usual, except that their import statements receive substitutes of some modules
(see :mod:`.substitutes`).  All other code in the process keeps its own TensorFlow, Keras and NumPy.

This module is part of ``import nengo_snnconv``, so it imports only parts of Python that are already loaded.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import os
import sys
import threading
import types
from collections.abc import Iterator

PACKAGES = ("nengo_dl", "nengo_loihi", "keras_spiking")
LEGACY = "TF_USE_LEGACY_KERAS"
# hides start-up messages of TensorFlow's C++ code (CPU features, missing CUDA), unless it is set already
LOG_LEVEL = "TF_CPP_MIN_LOG_LEVEL"


def install() -> None:
    """Add the finder to :data:`sys.meta_path`, in front of all others, unless it is there."""
    os.environ.setdefault(LOG_LEVEL, "3")
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())


def prefer_keras2() -> None:
    """Make ``tf.keras`` Keras 2, which nengo-dl needs, unless the session or the user has decided otherwise.

    TensorFlow decides for ``tf.keras`` on first use, and for ``from tensorflow.keras import ...`` when TensorFlow is
    imported.  Both follow the environment variable ``TF_USE_LEGACY_KERAS``, which is set unless it exists.  If
    TensorFlow is already loaded, its search path is adapted, since the two would otherwise find different versions of
    Keras.
    """
    tensorflow = sys.modules.get("tensorflow")
    keras = _variables(tensorflow).get("keras")
    decided = keras is not None and _variables(keras).get("_tfll_initialized") is not False
    if decided and _variables(keras).get("__name__", "").partition(".")[0] != "tf_keras":
        return
    folder = _folder_of_tf_keras()
    if folder is None:  # without tf-keras, TensorFlow finds Keras 3 now, but would fail with the variable set
        return
    if not decided:
        os.environ.setdefault(LEGACY, "1")
    api, search_path = os.path.join(folder, "api", "_v2"), _variables(tensorflow).get("__path__")
    if (decided or os.environ[LEGACY] in ("true", "True", "1")) and search_path is not None and api not in search_path:
        tensorflow.__path__ = [api, *search_path]  # type: ignore[union-attr]  # None has no search path


def _variables(module):
    """Return the attributes of a module without loading TensorFlow's lazy modules, as getattr would."""
    return getattr(module, "__dict__", {})


def _folder_of_tf_keras():
    try:
        spec = importlib.util.find_spec("tf_keras")
    except ValueError:  # a fake module without a spec
        return None
    return next(iter(spec.submodule_search_locations or ()), None) if spec else None


def import_module(name: str) -> types.ModuleType:
    """Import a module by name, to unpickle a :class:`PortableModule` in any process."""
    return importlib.import_module(name)


class PortableModule(types.ModuleType):
    """Module of a hooked package that is pickled by its name.

    joblib and Dask pickle the modules that a function uses.  A worker process that unpickles this one imports
    nengo_snnconv first.
    """

    def __reduce__(self):
        return import_module, (self.__name__,)


def _loader_of(name):
    """Return the class of loaders for a module that needs one of ours, or None."""
    if name.partition(".")[0] in PACKAGES:
        return _Loader
    # the second one logs before it reads the environment
    return _QuietLoader if name == "tensorflow" or name.endswith("._pywrap_profiler_plugin") else None


_hiding: list[int | None] = []  # what standard error was for each caller that hides messages
_hiding_lock = threading.Lock()


@contextlib.contextmanager
def without_native_stderr() -> Iterator[None]:
    """Hide messages that native code writes to standard error while TensorFlow loads.

    Python exceptions are not hidden.  Threads may do this at the same time: the last one shows messages again.
    """
    with _hiding_lock:
        if not _hiding and sys.stderr is not None:
            sys.stderr.flush()
        try:
            _hiding.append(os.dup(2))
        except OSError:  # no standard error, for example under a window manager
            _hiding.append(None)
        sink = os.open(os.devnull, os.O_WRONLY)
        if _hiding[-1] is not None:
            os.dup2(sink, 2)
        os.close(sink)
    try:
        yield
    finally:
        with _hiding_lock:
            # the first one has saved standard error itself, later ones what hides it
            saved = _hiding.pop()
            if saved is not None:
                if not _hiding:
                    os.dup2(saved, 2)
                os.close(saved)


class _Finder:
    """Finder that leaves the search for modules to the others, and loads some of them with a loader of ours."""

    def __init__(self):
        self._in_progress = set()

    def find_spec(self, name, path=None, target=None):
        key, loader = (threading.get_ident(), name), _loader_of(name)
        if loader is None or key in self._in_progress:
            return None
        self._in_progress.add(key)  # other hooks ask all finders, too: avoid infinite recursion
        try:
            for finder in list(sys.meta_path):
                if type(finder).__module__ == __name__ or not hasattr(finder, "find_spec"):
                    continue
                spec = finder.find_spec(name, path, target)
                if spec is not None:
                    if spec.loader is not None:
                        spec.loader = loader(spec.loader)
                    return spec
            return None
        finally:
            self._in_progress.discard(key)


class _Wrapper:
    """Wrapper of a loader."""

    def __init__(self, loader):
        self._loader = loader

    def __getattr__(self, name):
        if name == "_loader":  # not set yet while the object is copied
            raise AttributeError(name)
        return getattr(self._loader, name)


class _QuietLoader(_Wrapper):
    """Wrapper of a loader that hides the start-up messages of a module's native code."""

    def create_module(self, spec):
        with without_native_stderr():  # modules of native code are loaded here
            return self._loader.create_module(spec)

    def exec_module(self, module):
        if module.__name__ == "tensorflow":
            _load_triton()
        with without_native_stderr():
            self._loader.exec_module(module)


def _load_triton():
    """Import triton if it is installed: once TensorFlow is loaded, PyTorch would crash the process by importing it.

    TensorFlow 2.20 and 2.21 put their copy of LLVM in front of triton's own
    (https://github.com/tensorflow/tensorflow/issues/124205).
    """
    with contextlib.suppress(Exception):  # PyTorch tells what is wrong with triton
        if importlib.util.find_spec("triton"):
            importlib.import_module("triton")


class _Loader(_Wrapper):
    """Wrapper of a loader that provides a module with its substitutes."""

    def create_module(self, spec):
        if spec.name in PACKAGES:
            # an import that failed before nengo_snnconv was imported leaves submodules behind
            for name in [name for name in sys.modules if name.startswith(f"{spec.name}.")]:
                del sys.modules[name]
        return self._loader.create_module(spec) or PortableModule(spec.name)

    def exec_module(self, module):
        from . import substitutes

        substitutes.execute(module, self._loader.exec_module)
