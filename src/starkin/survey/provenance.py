"""What was run, on what: for manifests, reports and bug reports."""

from __future__ import annotations

import platform
import sys
from importlib.metadata import PackageNotFoundError, version

from .. import __version__

__all__ = ["versions"]

_LIBRARIES = (
    "torch",
    "numpy",
    "scipy",
    "astropy",
    "pyarrow",
    "polars",
    "GaiaXPy",
    "scikit-learn",
    "hdbscan",
    "bokeh",
    "astroquery",
)


def versions() -> dict[str, str]:
    """Versions of starkin, Python, the machine and the libraries whose numbers may differ."""
    found = {
        "starkin": __version__,
        "python": sys.version.split()[0],
        "platform": platform.platform(),
    }
    for library in _LIBRARIES:
        try:
            found[library] = version(library)
        except PackageNotFoundError:
            found[library] = "not installed"
    return found
