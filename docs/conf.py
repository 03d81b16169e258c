"""Sphinx configuration: Markdown pages, NumPy docstrings, warnings are errors (make docs)."""

from starkin import __version__

project = "Starkin"
author = "The Starkin developers"
release = version = __version__
extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.mathjax",
    "sphinx.ext.viewcode",
]
myst_enable_extensions = ["dollarmath", "colon_fence", "deflist"]
myst_heading_anchors = 3
html_theme = "furo"
html_title = "Starkin"
autodoc_member_order = "bysource"
autodoc_typehints = "none"
napoleon_use_rtype = False
suppress_warnings = ["ref.python"]  # attributes of one name in several classes
exclude_patterns = ["_build"]
