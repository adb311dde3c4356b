import subprocess
import sys

import pytest

from nengo_snnconv import CompatibilityError, compat

WORKING = {"tensorflow": (2, 21), "tf-keras": (2, 21), "nengo": (4, 1), "nengo-dl": (3, 6)}


def check(**changes):
    versions = WORKING | {name.replace("_", "-"): version for name, version in changes.items()}
    compat.check_versions(versions.get)


def test_accepts_what_works():
    check()
    check(tensorflow=(2, 19), tf_keras=(2, 19))
    check(tensorflow=None, **{"tensorflow-cpu": (2, 21)})


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
def test_says_in_one_sentence_what_to_install(changes, advice):
    with pytest.raises(CompatibilityError, match=advice) as error:
        check(**changes)
    assert "\n" not in str(error.value)


def test_nengo_dl_runs_on_the_installed_tensorflow():
    import nengo
    import numpy as np

    nengo_dl, tf = compat.nengo_dl, compat.tf
    with nengo.Network(seed=0) as network:
        source = nengo.Node([1.0, 2.0])
        probe = nengo.Probe(nengo_dl.Layer(tf.keras.layers.Dense(1, kernel_initializer="ones"))(source))
    with nengo_dl.Simulator(network, progress_bar=False) as simulator:
        simulator.run_steps(2)
        assert np.array_equal(simulator.data[probe], [[3.0], [3.0]])


def test_recovers_from_a_failed_import_of_nengo_dl_and_starts_no_process():
    code = """
try:
    import nengo_dl
except ImportError:
    pass
import subprocess
call, subprocess.Popen = subprocess.call, None
from nengo_snnconv.compat import nengo_dl, tf
print(nengo_dl.Simulator.__name__)
assert nengo_dl.utils.tf_gpu_installed == bool(tf.config.list_physical_devices("GPU"))
assert subprocess.call is call
"""
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout == "Simulator\n"


def test_unknown_attribute():
    with pytest.raises(AttributeError):
        compat.torch  # noqa: B018
