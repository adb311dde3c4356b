"""Make ``import nengo_dl`` work anywhere in a session that has imported nengo_snnconv.

nengo-dl 3.6.0 was written for older versions of the packages that it imports.  A finder on :data:`sys.meta_path` loads
it, and the packages that build on it, in Python's usual way, except that their import statements receive a few modules
in the form that they know (see :mod:`.substitutes`).  Everything else in the process keeps its own TensorFlow, Keras
and NumPy.

This module is part of ``import nengo_snnconv``, so it imports nothing but the parts of Python that are loaded already.
"""

import importlib
import importlib.util
import os
import sys
import threading
import types

PACKAGES = ("nengo_dl", "nengo_loihi", "keras_spiking")
LEGACY = "TF_USE_LEGACY_KERAS"


def install():
    """Add the finder to :data:`sys.meta_path`, once, before all others."""
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())


def prefer_keras2():
    """Let ``tf.keras`` be Keras 2, which nengo-dl needs, unless the session or the user has decided otherwise.

    TensorFlow decides when ``tf.keras`` is first used, and ``from tensorflow.keras import ...`` when TensorFlow is
    imported.  Both follow the environment variable ``TF_USE_LEGACY_KERAS``, which is set where it is absent; where
    TensorFlow is already loaded, its search path is brought into line, as the two would otherwise find different
    versions of Keras.
    """
    tensorflow = sys.modules.get("tensorflow")
    keras = _variables(tensorflow).get("keras")
    decided = keras is not None and _variables(keras).get("_tfll_initialized") is not False
    if decided and _variables(keras).get("__name__", "").partition(".")[0] != "tf_keras":
        return
    folder = _folder_of_tf_keras()
    if folder is None:  # TensorFlow would fail where it now finds Keras 3
        return
    if not decided:
        os.environ.setdefault(LEGACY, "1")
    api, search_path = os.path.join(folder, "api", "_v2"), _variables(tensorflow).get("__path__")
    if (decided or os.environ[LEGACY] in ("true", "True", "1")) and search_path is not None and api not in search_path:
        tensorflow.__path__ = [api, *search_path]


def _variables(module):
    # TensorFlow's lazy modules load what they stand for when asked for any attribute that they lack
    return getattr(module, "__dict__", {})


def _folder_of_tf_keras():
    try:
        spec = importlib.util.find_spec("tf_keras")
    except ValueError:  # a stand-in without a spec
        return None
    return next(iter(spec.submodule_search_locations or ()), None) if spec else None


def import_module(name):
    """Import a module by its name; what unpickles a :class:`PortableModule`, in any process."""
    return importlib.import_module(name)


class PortableModule(types.ModuleType):
    """A module of a hooked package, which can be pickled by its name.

    A worker process that unpickles it (joblib and dask pickle the modules that a function uses) imports nengo_snnconv
    first.
    """

    def __reduce__(self):
        return import_module, (self.__name__,)


class _Finder:
    """Find the modules of :data:`PACKAGES` by the other finders, and load them by :class:`_Loader`."""

    def __init__(self):
        self._under_way = set()

    def find_spec(self, name, path=None, target=None):
        key = threading.get_ident(), name
        if name.partition(".")[0] not in PACKAGES or key in self._under_way:
            return None
        self._under_way.add(key)  # other hooks, too, ask all finders
        try:
            for finder in list(sys.meta_path):
                if type(finder).__module__ == __name__ or not hasattr(finder, "find_spec"):
                    continue
                spec = finder.find_spec(name, path, target)
                if spec is not None:
                    if spec.loader is not None:
                        spec.loader = _Loader(spec.loader)
                    return spec
            return None
        finally:
            self._under_way.discard(key)


class _Loader:
    """A loader that gives a module its substitutes, and otherwise does what the original loader does."""

    def __init__(self, loader):
        self._loader = loader

    def __getattr__(self, name):
        if name == "_loader":  # not set yet, while being copied
            raise AttributeError(name)
        return getattr(self._loader, name)

    def create_module(self, spec):
        if spec.name in PACKAGES:
            # an import that failed before nengo_snnconv was imported leaves submodules behind
            for name in [name for name in sys.modules if name.startswith(f"{spec.name}.")]:
                del sys.modules[name]
        return self._loader.create_module(spec) or PortableModule(spec.name)

    def exec_module(self, module):
        from . import substitutes

        substitutes.execute(module, self._loader.exec_module)
