"""A module imports only from rooms above it, as the design says."""

import ast
import pathlib
import subprocess
import sys

import pytest

PACKAGE = pathlib.Path(__file__).parents[1] / "nengo_snnconv"

# the rooms from the ground up; within a room, a module may import those before it
ROOMS = [
    ("_version", "exceptions", "atomic", "ordinary", "strict_json", "printable")
    + ("progress", "interrupts", "compat", "machine"),
    ("checks", "model", "keras_reader", "passes", "encoding", "datasets", "metrics", "input_range", "memory")
    + ("kept_kernels", "counting", "events", "inputs"),
    ("neurons", "build"),
    ("conversion", "presets", "training", "histograms", "calibration", "normalization")
    + ("simulator", "loihi_synapses", "loihi_emulator", "backends", "runner", "tally", "operations")
    + ("evaluation", "recording", "first_spike", "costs", "thresholds")
    + ("bounds", "diagnosis", "comparison")
    + ("jobs", "sweeps", "tuning"),
    ("plots", "report", "gui"),
    ("cli", "__init__", "__main__"),
]
ORDER = [name for room in ROOMS for name in room]
# packages that a room and those above it do not import; TensorFlow and nengo_dl come through compat
FORBIDDEN = {0: {"numpy", "nengo", "matplotlib"}, 1: {"nengo", "matplotlib"}, 2: {"matplotlib"}, 3: {"matplotlib"}}
# methods that open a room below: Evaluation.plot, Diagnosis.plot, Efficiency.plot, ThresholdErrors.plot,
# Comparison.plot, Sweep.plot and Tuning.plot
PLOTTED = ("evaluation", "diagnosis", "costs", "thresholds", "comparison", "sweeps", "tuning")
DOORS = {(name, "plots") for name in PLOTTED}

MODULES = sorted(path for path in PACKAGE.rglob("*.py") if "data" not in path.relative_to(PACKAGE).parts)


def name_of(path):
    """The entry of ORDER to which a file belongs: its top-level module or package."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports_of(path):
    """(own modules, other packages) that a file imports anywhere."""
    own, other = set(), set()
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            other |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            other.add(node.module.split(".")[0])
        elif isinstance(node, ast.ImportFrom):
            base = parts[: len(parts) - node.level]
            target = [*base, *(node.module.split(".") if node.module else [])]
            own |= {target[0]} if target else {alias.name for alias in node.names}
    return own, other


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_only_from_above(path):
    name = name_of(path)
    assert name in ORDER, f"{name} belongs to no room: add it to tests/test_layering.py"
    own, other = imports_of(path)
    if name in ("cli", "__init__"):
        own -= {n for n in own if n not in ORDER}  # public names, from the package itself
    for imported in own - {name}:
        above = ORDER.index(imported) < ORDER.index(name)
        assert above or (name, imported) in DOORS, f"{name} imports {imported}, which is below it"
    room = next(i for i, names in enumerate(ROOMS) if name in names)
    assert not other & FORBIDDEN.get(room, set())
    if name != "compat":
        assert not other & {"tensorflow", "nengo_dl", "nengo_loihi", "tf_keras", "keras"}, "import them from .compat"


@pytest.mark.parametrize("module", ["nengo_snnconv", "nengo_snnconv.cli"])
def test_importing_the_package_loads_nothing_heavy(module):
    heavy = {"numpy", "tensorflow", "nengo", "nengo_dl", "matplotlib", "keras", "tf_keras"}
    code = f"import sys, {module}; print(sorted({heavy!r} & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
