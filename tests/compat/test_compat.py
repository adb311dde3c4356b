"""TensorFlow, Keras, nengo-dl and nengo_snnconv work together, or the error says what to install."""

import importlib
import os
import subprocess
import sys

import pytest
from documents import ROOT

import nengo_snnconv as snc
from nengo_snnconv import CompatibilityError, compat
from nengo_snnconv.compat import import_hook

WORKING = {"tensorflow": (2, 21), "tf-keras": (2, 21), "nengo": (4, 1), "nengo-dl": (3, 6)}

SESSIONS = ROOT / "tests" / "helpers" / "session_checks.py"


def run(*arguments, legacy=None, **environment):
    """Run another Python process, by default without ``TF_USE_LEGACY_KERAS``, and return its standard output."""
    environment = {**os.environ, **environment}
    environment.pop("TF_USE_LEGACY_KERAS", None)
    if legacy is not None:
        environment["TF_USE_LEGACY_KERAS"] = legacy
    done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, env=environment, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


class TestVersions:
    @pytest.mark.parametrize(
        ("text", "numbers"), [("2.21.0", (2, 21)), ("2.21rc0", (2, 21)), ("3", (3, 0)), ("2.20.0.dev3+cpu", (2, 20))]
    )
    def test_numbers_of_a_version(self, monkeypatch, text, numbers):
        monkeypatch.setattr("importlib.metadata.version", lambda package: text)
        assert compat.version_of("tensorflow") == numbers

    def check(self, **changes):
        versions = WORKING | {name.replace("_", "-"): version for name, version in changes.items()}
        compat.check_versions(versions.get)

    def test_accepts_what_works(self):
        self.check()
        self.check(tensorflow=(2, 19), tf_keras=(2, 19))
        self.check(tensorflow=None, **{"tensorflow-cpu": (2, 21)})

    @pytest.mark.parametrize(
        ("changes", "advice"),
        [
            ({"tensorflow": None}, "TensorFlow is not installed: pip install"),
            ({"tensorflow": (2, 16)}, "TensorFlow 2.16 is installed.*pip install"),
            ({"tensorflow": (2, 22)}, "needs 2.19 to 2.21"),
            ({"tf-keras": None}, "tf-keras is not installed.*pip install"),
            ({"tf-keras": (2, 19)}, r'tf-keras 2.19 is installed.*pip install "tf-keras==2.21'),
            ({"nengo": (3, 2)}, "nengo 4.1 is needed: pip install"),
            ({"nengo-dl": None}, "nengo-dl 3.6.0 is needed: pip install"),
        ],
    )
    def test_says_in_one_sentence_what_to_install(self, changes, advice):
        with pytest.raises(CompatibilityError, match=advice) as error:
            self.check(**changes)
        assert "\n" not in str(error.value)

    @pytest.mark.parametrize(
        ("package", "line", "message"),
        [
            (
                "nengo_dl",
                "import no_such_module",
                "nengo-dl 3.6.0 cannot be imported .*No module named 'no_such_module'",
            ),
            ("nengo_dl", "1 / 0", "nengo-dl 3.6.0 cannot be imported .*ZeroDivisionError"),
            ("tensorflow", "raise ImportError('no libcudart')", "TensorFlow and tf-keras .* cannot .*no libcudart"),
        ],
    )
    def test_damaged_packages(self, package, line, message, tmp_path):
        (tmp_path / package).mkdir()
        (tmp_path / package / "__init__.py").write_text(line)
        code = f"""
import sys
sys.path.insert(0, {str(tmp_path)!r})
import re
import nengo_snnconv
for statement in ("import nengo_dl", "from nengo_snnconv.compat import nengo_dl", "nengo_snnconv.compat.install()"):
    try:
        exec(statement)
    except nengo_snnconv.CompatibilityError as error:
        assert re.match({message!r}, str(error)), error
        assert "pip install" in str(error) and "\\n" not in str(error), error
    else:
        raise AssertionError(statement)
"""
        run("-c", code)

    def test_files_of_nengo_dl_are_missing(self, monkeypatch):
        monkeypatch.setattr(importlib, "import_module", missing)
        with pytest.raises(CompatibilityError, match="its files are missing"):
            compat._import_nengo_dl()


def missing(name):
    raise ModuleNotFoundError(f"No module named {name!r}", name=name)


# imports of a session, and the expected version of tf.keras
ORDERS = {
    "one line": ("import nengo_snnconv, nengo_dl", 2),
    "TensorFlow before": ("import tensorflow as tf, nengo_snnconv; from tensorflow.keras import layers", 2),
    "Keras 3 before": ("import keras, nengo_snnconv", 2),
    "Keras 3 after": ("import nengo_snnconv, keras; from nengo_dl import Layer", 2),
    "tf-keras before": ("import tf_keras, nengo_snnconv, nengo_dl.converter", 2),
    "tf-keras after": ("import nengo_snnconv, tf_keras, importlib; importlib.import_module('nengo_dl.simulator')", 2),
    "compat": ("from nengo_snnconv.compat import nengo_dl, tf", 2),
    "tf.keras before": ("import tensorflow as tf; tf.keras.layers; import nengo_snnconv, nengo_dl", 3),
    "tensorflow.keras before": ("from tensorflow.keras.layers import Dense; import nengo_snnconv", 3),
    "failed before": (
        """
try:
    import nengo_dl
except ImportError:
    pass
else:
    raise AssertionError
import nengo_snnconv
from nengo_dl.converter import Converter
""",
        2,
    ),
}

FULLY_CHECKED = ("one line", "TensorFlow before", "tf.keras before")


class TestOrders:
    @pytest.mark.parametrize("order", FULLY_CHECKED)
    def test_everything(self, order):
        code, version = ORDERS[order]
        assert run("-W", "error", SESSIONS, code, str(version), "all") == "every check passed\n"

    def test_everything_where_the_user_wants_keras3(self):
        assert run(SESSIONS, "import nengo_snnconv, nengo_dl", "3", "all", legacy="0") == "every check passed\n"

    @pytest.mark.parametrize("order", [name for name in ORDERS if name not in FULLY_CHECKED])
    def test_nengo_dl(self, order):
        code, version = ORDERS[order]
        assert run(SESSIONS, code, str(version), "nengo_dl") == "every check passed\n"

    def test_triton_before_tensorflow(self, tmp_path):
        """PyTorch imports triton when it is first needed, which after TensorFlow would end the process."""
        for name in ("triton", "tensorflow"):
            (tmp_path / f"{name}.py").write_text(f"print({name!r})")
        code = "import nengo_snnconv; print('nengo_snnconv'); import tensorflow"
        assert run("-c", code, PYTHONPATH=str(tmp_path)).split() == ["nengo_snnconv", "triton", "tensorflow"]

    def test_triton_that_cannot_be_imported(self, tmp_path):
        (tmp_path / "triton.py").write_text("raise OSError('no such library')")
        (tmp_path / "tensorflow.py").write_text("print('tensorflow')")
        assert run("-c", "import nengo_snnconv, tensorflow", PYTHONPATH=str(tmp_path)).split() == ["tensorflow"]

    def test_threads(self):
        code = """
import threading, os
import nengo_snnconv
failed = []
def load(code):
    try:
        exec(code, {})
    except BaseException as error:
        failed.append((code, error))
statements = [
    "import nengo_dl; nengo_dl.Simulator",
    "from nengo_snnconv.compat import tf; tf.keras.layers",
    "from nengo_snnconv.compat import nengo_dl; nengo_dl.Layer",
    "from nengo_dl import Converter",
    "import tensorflow; tensorflow.constant",
    "import nengo_snnconv; nengo_snnconv.preset('lif-mnist')",
]
threads = [threading.Thread(target=load, args=(code,)) for code in statements]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join(200)
assert not failed and not any(thread.is_alive() for thread in threads), failed
import nengo_snnconv, sys
os.write(2, b"standard error is back")
"""
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
        assert done.stderr.endswith("standard error is back")

    def test_worker_processes(self, tmp_path):
        """joblib and Dask pickle a function with the modules that it uses, which a worker has not imported."""
        code = """
import tensorflow as tf
tf.keras.layers  # Keras 3
import nengo_snnconv
import nengo, nengo_dl, sys
from nengo_snnconv.compat import tf
import cloudpickle
def work():
    with nengo.Network() as network:
        probe = nengo.Probe(nengo_dl.Layer(tf.keras.layers.Dense(1, kernel_initializer="ones"))(nengo.Node([1.0, 2.0])))
    with nengo_dl.Simulator(network, progress_bar=False) as simulator:
        simulator.run_steps(1)
    return float(simulator.data[probe][0, 0])
with open(sys.argv[1], "wb") as file:
    cloudpickle.dump(work, file)
"""
        run("-c", code, tmp_path / "function")
        worker = "import pickle, sys; print(pickle.load(open(sys.argv[1], 'rb'))())"
        assert run("-c", worker, tmp_path / "function") == "3.0\n"

    def test_no_python_is_started_to_look_for_a_gpu(self):
        code = """
import subprocess, sys
call, Popen = subprocess.call, subprocess.Popen
class Checked(Popen):
    def __init__(self, command, *arguments, **options):
        assert sys.executable not in command, command
        super().__init__(command, *arguments, **options)
subprocess.Popen = Checked
import nengo_snnconv, nengo_dl
import tensorflow as tf
assert nengo_dl.utils.tf_gpu_installed == bool(tf.config.list_physical_devices("GPU"))
assert subprocess.call is call
assert nengo_dl.utils.subprocess.call(["true"]) == 0
"""
        run("-W", "error", "-c", code)


class TestEnvironment:
    @pytest.mark.parametrize("given", ["0", "1", "true", ""])
    def test_what_the_user_has_set_stays(self, given, monkeypatch):
        monkeypatch.setenv("TF_USE_LEGACY_KERAS", given)
        import_hook.prefer_keras2()
        assert os.environ["TF_USE_LEGACY_KERAS"] == given

    def environment(self, code):
        return run("-c", f"import os\n{code}\nprint(sorted(set(os.environ.items()) - before), end='')")

    def test_import_sets_one_variable(self):
        code = "before = set(os.environ.items())\nimport nengo_snnconv"
        assert self.environment(code) == "[('TF_USE_LEGACY_KERAS', '1')]"

    def test_no_variable_where_it_would_have_no_use(self):
        without_tf_keras = "import sys; sys.modules['tf_keras'] = None\n"
        assert self.environment(without_tf_keras + "before = set(os.environ.items())\nimport nengo_snnconv") == "[]"
        decided = "import tensorflow as tf; tf.keras.layers\n"
        assert self.environment(decided + "before = set(os.environ.items())\nimport nengo_snnconv") == "[]"

    @pytest.mark.parametrize("stand_in", ["None", "types.ModuleType('tensorflow')", "unittest.mock.MagicMock()", "5"])
    def test_stand_ins_for_tensorflow_and_tf_keras(self, stand_in):
        for name in ("tensorflow", "tf_keras"):
            run("-c", f"import sys, types, unittest.mock; sys.modules[{name!r}] = {stand_in}; import nengo_snnconv")

    def test_the_finder_is_there_once(self):
        import_hook.install()
        importlib.reload(snc)
        assert sum(type(finder).__module__ == import_hook.__name__ for finder in sys.meta_path) == 1

    def test_other_finders_that_ask_all_finders(self):
        code = """
import sys
import nengo_snnconv
class Asking:
    def find_spec(self, *arguments):
        specs = [finder.find_spec(*arguments) for finder in sys.meta_path if finder is not self]
        return next((spec for spec in specs if spec), None)
sys.meta_path.insert(0, Asking())
import importlib.util
spec = importlib.util.find_spec("nengo_dl")
assert spec.origin.endswith("__init__.py") and "nengo_dl" not in sys.modules
assert "Simulator" in spec.loader.get_source("nengo_dl")
assert importlib.util.find_spec("nengo_dl.no_such_module") is None
"""
        run("-c", code)

    def test_importing_is_quick(self):
        code = "import time; start = time.perf_counter(); import {}; print(time.perf_counter() - start)"
        for module in ("nengo_snnconv", "nengo_snnconv.cli"):
            assert min(float(run("-c", code.format(module))) for _ in range(5)) < 0.2

    def test_run_as_a_module(self):
        assert run("-m", "nengo_snnconv", "--version") == f"nengo-snnconv {snc.__version__}\n"
        done = subprocess.run(
            [sys.executable, "-m", "nengo_snnconv", "evaluate", "no-such-file"], capture_output=True, text=True
        )
        assert done.returncode == 1
        assert "no-such-file" in done.stderr
        importlib.import_module("nengo_snnconv.__main__")  # as tools that import every module do


def test_unknown_attribute():
    with pytest.raises(AttributeError):
        compat.torch  # noqa: B018
