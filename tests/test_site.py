"""The documentation: the site builds without warnings, figures can be drawn, and public names are documented."""

import importlib.util
import re
import subprocess
import sys

import matplotlib.pyplot as plt
import pytest
from documents import DOCS, PAGES, ROOT

import nengo_snnconv as snc
from nengo_snnconv import cli

FIGURES = DOCS / "figures"
HELPERS = ("make_figures", "networks", "rooms")
SCRIPTS = sorted(path for path in FIGURES.glob("*.py") if path.stem not in HELPERS)


def load_script(path):
    """Import a script that is not part of a package."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def figures():
    """Return the module that draws figures, with networks that are trained briefly."""
    patch = pytest.MonkeyPatch()
    patch.syspath_prepend(str(FIGURES))
    import networks

    patch.setattr(networks, "IMAGES", 200)
    patch.setattr(networks, "EPOCHS", 1)
    yield load_script(FIGURES / "make_figures.py")
    sys.modules.pop("networks")
    patch.undo()


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_figures_can_be_drawn(path, figures, tmp_path):
    figures.save(figures.draw(path), tmp_path / "figure.png")
    height, width, _ = plt.imread(tmp_path / "figure.png").shape
    assert min(height, width) > 100
    assert not plt.get_fignums(), "notebooks would show figures that pyplot keeps a second time"


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_figures_are_committed_and_shown(path):
    picture = path.with_suffix(".png")
    assert picture.stat().st_size < 60_000
    assert [page for page in PAGES if f"figures/{picture.name})" in page.read_text(encoding="utf-8")]


def test_pictures_are_small():
    sizes = {path: path.stat().st_size for path in DOCS.rglob("*") if path.suffix in (".png", ".gif")}
    assert sum(size for path, size in sizes.items() if "_build" not in path.parts) < 2_000_000


def test_the_map_shows_every_room(figures):
    rooms = load_script(FIGURES / "rooms.py")
    table = rooms.read_table(DOCS / "development" / "architecture.md")
    texts = {text.get_text() for text in rooms.draw().axes[0].texts}
    assert set(table) <= texts
    assert (DOCS / "development" / "rooms.png").exists()


def test_the_site_builds_without_warnings(tmp_path):
    pytest.importorskip("sphinx", reason="the extra docs is not installed")
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q"]
    folders = [str(DOCS), str(tmp_path / "site"), "-d", str(tmp_path / "doctrees")]
    built = subprocess.run([*command, *folders], capture_output=True, text=True)
    assert built.returncode == 0, built.stderr
    # equations need no internet access
    page = (tmp_path / "site" / "concepts" / "integrate-and-fire.html").read_text(encoding="utf-8")
    (script,) = re.findall(r'src="([^"]*tex-svg\.js)', page)
    assert not script.startswith("http")
    assert (tmp_path / "site" / "_static" / "tex-svg.js").stat().st_size > 1e6
    commands = (tmp_path / "site" / "reference" / "command-line.html").read_text(encoding="utf-8")
    for name, parser in cli.commands().items():
        assert f'id="command-{name}"' in commands
        own = set(parser._option_string_actions) - {"-h", "--help", "--json", "--debug"}
        assert all(f'class="pre">{option}' in commands for option in own), name
    # every public name has an entry, at the top level or in its submodule
    documented = set(re.findall(r"#(nengo_snnconv[.\w]*)", (tmp_path / "site" / "genindex.html").read_text("utf-8")))
    homes = ("nengo_snnconv", *(f"nengo_snnconv.{name}" for name in snc._SUBMODULES))
    for name in set(snc.__all__) - {"__version__", *snc._SUBMODULES}:
        assert getattr(snc, name) is not None
        assert documented & {f"{home}.{name}" for home in homes}, f"docs/reference does not have {name}"


@pytest.mark.parametrize(
    "path",
    [
        *(ROOT / f"{name}.md" for name in ("README", "CONTRIBUTING", "CHANGES")),
        *sorted((ROOT / "notebooks").glob("*.ipynb")),
    ],
    ids=lambda path: path.name,
)
def test_links_and_paths_exist(path):
    """Files outside the site, whose links Sphinx does not check."""
    text = path.read_text(encoding="utf-8")
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", text):
        assert (path.parent / target).exists(), target
    for target in re.findall(r"\bdocs/[\w/.-]+\w", text):
        assert "_build" in target or (ROOT / target.rstrip("/")).exists(), target


def test_notebooks_that_pages_name_exist():
    for page in PAGES:
        for name in re.findall(r"notebooks/[\w-]+\.ipynb", page.read_text(encoding="utf-8")):
            assert (ROOT / name).exists(), f"{page.name}: {name}"


def test_the_table_of_all_methods_agrees_with_the_results():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    shown = text.split("<!-- begin overview -->\n")[1].split("<!-- end overview -->")[0]
    assert shown == load_script(ROOT / "benchmarks" / "overview.py").overview()


def test_the_citation_names_this_version():
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert re.search(r"^version: (.*)$", citation, re.MULTILINE)[1] == snc.__version__
    assert f"version = {{{snc.__version__}}}" in (DOCS / "citing.md").read_text(encoding="utf-8")
