"""The documentation as a site: it builds without a warning, draws its figures, and covers what is public."""

import importlib.util
import re
import subprocess
import sys

import matplotlib.pyplot as plt
import pytest
from documents import DOCS, PAGES, ROOT

import nengo_snnconv as snc
from nengo_snnconv import cli

FIGURES = sorted(path for path in (DOCS / "figures").glob("*.py") if path.stem != "for_figures")


def module_of(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def drawn():
    """The extension that draws figures, and small networks for them."""
    pytest.importorskip("docutils", reason="the extra docs is not installed")
    patch = pytest.MonkeyPatch()
    patch.syspath_prepend(str(DOCS / "figures"))
    import for_figures

    patch.setattr(for_figures, "IMAGES", 200)
    patch.setattr(for_figures, "EPOCHS", 1)
    yield module_of(DOCS / "extensions" / "drawn.py")
    sys.modules.pop("for_figures")
    patch.undo()


@pytest.mark.parametrize("path", FIGURES, ids=lambda path: path.stem)
def test_figures_draw(path, drawn, tmp_path):
    drawn.save(drawn.function_of(path)(), tmp_path / "figure.png")
    height, width, _ = plt.imread(tmp_path / "figure.png").shape
    assert min(height, width) > 100
    assert not plt.get_fignums(), "a figure that pyplot keeps is one that notebooks would show again"
    pages = [page.name for page in PAGES if f"figures/{path.name}" in page.read_text(encoding="utf-8")]
    assert pages, f"no page shows {path.name}"


def test_the_site_builds_without_warnings(tmp_path):
    pytest.importorskip("sphinx", reason="the extra docs is not installed")
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-D", "draw_figures=0"]
    folders = [str(DOCS), str(tmp_path / "site"), "-d", str(tmp_path / "doctrees")]
    built = subprocess.run([*command, *folders], capture_output=True, text=True)
    assert built.returncode == 0, built.stderr
    # equations need nothing from the internet
    page = (tmp_path / "site" / "concepts" / "integrate-and-fire.html").read_text(encoding="utf-8")
    (script,) = re.findall(r'src="([^"]*tex-svg\.js)', page)
    assert not script.startswith("http")
    assert (tmp_path / "site" / "_static" / "tex-svg.js").stat().st_size > 1e6
    commands = (tmp_path / "site" / "reference" / "command-line.html").read_text(encoding="utf-8")
    for name, parser in cli.commands().items():
        assert f'id="command-{name}"' in commands
        own = set(parser._option_string_actions) - {"-h", "--help", "--json", "--debug"}
        assert all(f'class="pre">{option}' in commands for option in own), name
    # what it shows is what is public: every name has an entry to which it can be linked
    documented = (tmp_path / "site" / "genindex.html").read_text(encoding="utf-8")
    for name in snc.__all__:
        assert getattr(snc, name) is not None
        home = "nengo_snnconv.errors" if name in snc._HOMES["errors"] else "nengo_snnconv"
        assert name == "__version__" or f'#{home}.{name}"' in documented, f"docs/reference does not have {name}"


@pytest.mark.parametrize(
    "path", [ROOT / "README.md", *sorted((ROOT / "notebooks").glob("*.ipynb"))], ids=lambda p: p.name
)
def test_links_and_paths_exist(path):
    """Links of README, whose targets Sphinx does not see, and files that notebooks and README name."""
    text = path.read_text(encoding="utf-8")
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", text):
        assert (path.parent / target).exists(), target
    for target in re.findall(r"\bdocs/[\w/.-]+\w", text):
        assert "_build" in target or (ROOT / target).exists(), target


def test_notebooks_that_pages_name_exist():
    for page in PAGES:
        for name in re.findall(r"notebooks/[\w-]+\.ipynb", page.read_text(encoding="utf-8")):
            assert (ROOT / name).exists(), f"{page.name}: {name}"


def test_the_table_of_all_methods_is_that_of_the_results():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    shown = text.split("<!-- begin overview -->\n")[1].split("<!-- end overview -->")[0]
    assert shown == module_of(ROOT / "benchmarks" / "overview.py").overview()


def test_the_citation_is_that_of_this_version():
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert re.search(r"^version: (.*)$", citation, re.MULTILINE)[1] == snc.__version__
    assert f"version = {{{snc.__version__}}}" in (DOCS / "citing.md").read_text(encoding="utf-8")
