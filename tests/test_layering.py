"""The rooms of the package import each other as docs/development/architecture.md says."""

import ast
import re
import subprocess
import sys

import pytest
from documents import DOCS, ROOT

PACKAGE = ROOT / "nengo_snnconv"
PAGE = DOCS / "development" / "architecture.md"
# packages that only some rooms import at all; all others get TensorFlow and its companions from compat
ONLY_IN = {
    "matplotlib": {"plots", "report", "gui"},
    **dict.fromkeys(("tensorflow", "nengo_dl", "nengo_loihi", "tf_keras", "keras"), {"compat"}),
    # loaded by name in formats, when a model of theirs is read
    **dict.fromkeys(("onnx", "torch"), set()),
}
MODULES = sorted(PACKAGE.rglob("*.py"))


def rooms():
    """Return the rows of the page's table: {room: rooms that it imports}, in the order of the page."""
    rows = re.findall(r"^\| `(\w+)/?` \| [^|]* \| ([^|]*) \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    return {room: set(re.findall(r"`(\w+)`", imported)) for room, imported in rows}


def room_of(path):
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports_of(path):
    """Return (rooms, other packages) that a file imports anywhere."""
    own, other = set(), set()
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            other |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            other.add(node.module.split(".")[0])
        elif isinstance(node, ast.ImportFrom):
            base = parts[: len(parts) - node.level]
            target = [*base, *(node.module.split(".") if node.module else [])]
            own |= {target[0]} if target else {alias.name for alias in node.names}
    return own, other


def imported_rooms(room):
    """Return the rooms that a room imports; public names, which `cli` takes from the package itself, apart."""
    found = set().union(*(imports_of(path)[0] for path in MODULES if room_of(path) == room))
    return {name for name in found if (PACKAGE / name).is_dir() or (PACKAGE / f"{name}.py").exists()} - {room}


def test_every_room_is_on_the_page():
    assert set(rooms()) == {room_of(path) for path in MODULES}


@pytest.mark.parametrize("room", sorted({room_of(path) for path in MODULES}))
def test_a_room_imports_what_the_page_says(room):
    order = list(rooms())
    assert imported_rooms(room) == rooms()[room]
    assert all(order.index(imported) < order.index(room) for imported in rooms()[room])


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_packages_are_imported_only_where_they_belong(path):
    for package in imports_of(path)[1] & set(ONLY_IN):
        assert room_of(path) in ONLY_IN[package], f"{path} imports {package}"


@pytest.mark.parametrize("module", ["nengo_snnconv", "nengo_snnconv.cli"])
def test_importing_the_package_loads_nothing_heavy(module):
    heavy = {"numpy", "tensorflow", "nengo", "nengo_dl", "matplotlib", "keras", "tf_keras", "onnx", "torch"}
    code = f"import sys, {module}; print(sorted({heavy!r} & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
