"""Substitutes of modules for the import statements of nengo_dl, keras_spiking and nengo_loihi.

nengo-dl 3.6.0 needs Keras 2, which is available for TensorFlow >= 2.16 only as the separate package tf-keras, and it
imports two names of Keras from modules that Keras 2.13 moved.  nengo-loihi 1.1.0 calls ``np.array(x, copy=False)`` to
copy only if needed; in NumPy 2, this means "never copy".

A module's import statements call the ``__import__`` of its ``__builtins__``.  The modules of these packages get their
own, so no other module is affected.
"""

from __future__ import annotations

import builtins
import contextlib
import functools
import importlib
import subprocess
import sys
import types
import warnings
from collections.abc import Callable

from .. import compat
from ..errors import CompatibilityError, SnnConvError
from . import import_hook, keras_versions


def execute(module: types.ModuleType, load: Callable[[types.ModuleType], object]) -> None:
    """Run ``load(module)`` with the module's substitutes in place.

    Raises
    ------
    CompatibilityError
        If the module is the package nengo_dl, and it cannot be loaded with the installed packages.
    """
    vars(module)["__builtins__"] = {**vars(builtins), "__import__": functools.partial(_import, module.__name__)}
    with _clear_errors(module.__name__), _without_known_warnings():
        load(module)
    if module.__name__ == "nengo_dl":
        # on a machine without a GPU, every Simulator would warn
        warnings.filterwarnings("ignore", message="No GPU support detected")
    keras_versions.add_guards(module)


def _import(importer, name, globals=None, locals=None, fromlist=(), level=0):
    """Import a module for the module ``importer``, in place of ``__import__``."""
    if level == 0 and name.partition(".")[0] == "tensorflow":
        tf = compat.tensorflow_with_keras2()
        if name == "tensorflow" or not fromlist:
            builtins.__import__(name, globals, locals)
            return tf
        if name == "tensorflow.keras" or name.startswith("tensorflow.keras."):
            return importlib.import_module(name.replace("tensorflow", "tf_keras.api._v2", 1))
    elif level == 0 and name in ("keras.layers", "keras.engine.functional") and fromlist:
        return importlib.import_module(name.replace("keras", "tf_keras.src", 1))
    elif level == 0 and (importer, name) == ("nengo_dl.utils", "subprocess"):
        return _SubprocessWithGPUCheck(subprocess)
    elif level == 0 and name == "numpy" and importer in NEED_OLDER_NUMPY and not fromlist:
        return OlderNumPy(builtins.__import__(name))
    return builtins.__import__(name, globals, locals, fromlist, level)


@contextlib.contextmanager
def _clear_errors(name):
    if name != "nengo_dl":
        yield
        return
    compat.check_versions()
    try:
        yield
    except SnnConvError:
        raise
    except Exception as error:
        raise CompatibilityError(
            f"nengo-dl 3.6.0 cannot be imported ({type(error).__name__}: {compat.first_line(error)}).  "
            f"If its files are damaged: {compat.REINSTALL}"
        ) from error


@contextlib.contextmanager
def _without_known_warnings():
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="This version of (NengoDL|`nengo_loihi`) has not been tested")
        warnings.filterwarnings("ignore", message="numpy.core is deprecated", category=DeprecationWarning)
        yield


class _Wrapped(types.ModuleType):
    """Wrapper of a module that overrides some of its names."""

    def __init__(self, module):
        super().__init__(module.__name__, module.__doc__)
        vars(self).update(_module=module, __spec__=module.__spec__, __package__=module.__package__)

    def __getattr__(self, name):
        return getattr(self._module, name)

    def __dir__(self):
        return sorted({*dir(self._module), *(name for name in vars(self) if name != "_module")})

    def __repr__(self):
        return f"<{self._module!r}, adapted by nengo_snnconv.compat>"


class TensorFlowWithKeras2(_Wrapped):
    """TensorFlow with tf-keras as its ``keras``, for a session whose ``tf.keras`` is Keras 3."""

    def __init__(self, tensorflow):
        super().__init__(tensorflow)
        self.keras = importlib.import_module("tf_keras.api._v2.keras")
        for name in ("losses", "metrics", "optimizers", "initializers"):  # aliases in TensorFlow itself
            setattr(self, name, getattr(self.keras, name))

    def __reduce__(self):
        return compat.tensorflow_with_keras2, ()


class _SubprocessWithGPUCheck(_Wrapped):
    """Module subprocess for nengo_dl.utils, which would start a process to look for a GPU.

    That process would load TensorFlow a second time.  nengo_dl starts it because CUDA_VISIBLE_DEVICES is read only
    once; all other settings of a GPU can still be changed after a check in this process.
    """

    def call(self, command, *arguments, **options):
        if command[:2] == [sys.executable, "-c"] and "list_physical_devices('GPU')" in command[2]:
            with import_hook.without_native_stderr():  # TensorFlow prints errors if there is no GPU
                return int(not compat.tensorflow_with_keras2().config.list_physical_devices("GPU"))
        return self._module.call(command, *arguments, **options)


NEED_OLDER_NUMPY = ("nengo_loihi.block", "nengo_loihi.neurons", "nengo_loihi.emulator.interface")


class OlderNumPy(_Wrapped):
    """NumPy with the behavior that nengo_loihi expects.

    ``array(x, copy=False)`` copies if needed; ``full`` casts NaN to integers, which are overwritten later, without a
    warning.
    """

    def __init__(self, numpy):
        super().__init__(numpy)
        self._copy_if_needed = None if int(numpy.__version__.partition(".")[0]) >= 2 else False

    def array(self, *arguments, copy=True, **options):
        return self._module.array(*arguments, copy=copy or self._copy_if_needed, **options)

    def full(self, *arguments, **options):
        with self._module.errstate(invalid="ignore"):
            return self._module.full(*arguments, **options)
