from nengo_snnconv import __version__

project = "nengo_snnconv"
author = "The nengo_snnconv founders"
release = version = __version__
myst_enable_extensions = ["dollarmath"]
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.mathjax", "sphinx.ext.napoleon"]
html_theme = "alabaster"
exclude_patterns = ["_build", "results/*"]
autodoc_typehints = "none"
autodoc_member_order = "bysource"
