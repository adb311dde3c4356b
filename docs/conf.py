"""Settings of the documentation: ``make docs`` builds it."""

import importlib.util
import pathlib
import sys

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
    "sphinx_design",
    "command_line",
    "drawn",
]
exclude_patterns = ["_build", "results/*"]
myst_enable_extensions = ["colon_fence", "dollarmath"]
myst_heading_anchors = 3

html_theme = "furo"
html_theme_options = {"top_of_page_buttons": []}
html_title = f"nengo_snnconv {release}"
# the equations need no internet: MathJax, as one file that draws with SVG, comes from a package
mathjax = pathlib.Path(importlib.util.find_spec("sphinx-mathjax-offline").origin).parent / "static/mathjax/tex-svg.js"
html_static_path = ["_static", str(mathjax)]
html_css_files = ["extra.css"]
mathjax_path = mathjax.name
mathjax3_config = {"options": {"enableMenu": False}}

autodoc_typehints = "none"
autodoc_member_order = "bysource"
nitpicky = True
# docstrings name types in words, such as "ndarray, (images,)", which are no references
nitpick_ignore_regex = [("py:class", ".*")]
nitpick_ignore = [("py:exc", "nengo.exceptions.ValidationError")]
