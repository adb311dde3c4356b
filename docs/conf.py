"""Configuration of the documentation, which ``make docs`` builds."""

import importlib.util
import pathlib
import sys

from sphinx.util.nodes import make_refnode

from nengo_snnconv import __version__

sys.path.insert(0, str(pathlib.Path(__file__).parent / "extensions"))

project = "nengo_snnconv"
author = "The nengo_snnconv founders"
copyright = "2026, the nengo_snnconv founders"
release = version = __version__
extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.mathjax",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "command_line",
]
exclude_patterns = ["_build", "results/*"]
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3

html_theme = "furo"
html_theme_options = {"top_of_page_buttons": []}
html_title = f"nengo_snnconv {release}"
# equations need no internet access: MathJax comes from a package, as one file
mathjax = pathlib.Path(importlib.util.find_spec("sphinx-mathjax-offline").origin).parent / "static/mathjax/tex-svg.js"
html_static_path = ["_static", str(mathjax)]
html_css_files = ["extra.css"]
mathjax_path = mathjax.name
mathjax3_config = {"options": {"enableMenu": False}}

autodoc_typehints = "none"
autodoc_member_order = "bysource"
nitpicky = True
# types in docstrings are descriptions such as "ndarray, (images,)", not references
nitpick_ignore_regex = [("py:class", ".*")]
nitpick_ignore = [("py:exc", "nengo.exceptions.ValidationError")]


def resolve_in_submodules(app, env, node, contnode):
    """Find public names that docstrings mention without their module, such as ``event_frames``."""
    objects, name = env.domains["py"].objects, node.get("reftarget", "").rpartition(".")[2]
    for module in ("", "plots.", "events.", "errors.", "gui.", "report."):
        found = objects.get(f"nengo_snnconv.{module}{name}")
        if found:
            return make_refnode(app.builder, node["refdoc"], found.docname, found.node_id, contnode, name)
    return None


def setup(app):
    app.connect("missing-reference", resolve_in_submodules)
