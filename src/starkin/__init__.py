"""Starkin: find a star's kin from its spectrum alone.

The names of everyday use are here and import on first use, so that
``import starkin`` is quick; everything else is in the rooms below
(:mod:`starkin.spectra`, :mod:`starkin.io`, :mod:`starkin.models`, …).
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_HOME = {
    "DiscoverConfig": "starkin.survey",
    "Latents": "starkin.io",
    "PopulationFinder": "starkin.latent.clusters",
    "Populations": "starkin.latent.populations",
    "ScatterVAE": "starkin.models",
    "ScatterVAEConfig": "starkin.models",
    "SpectrumSet": "starkin.spectra",
    "StarkinError": "starkin.spectra",
    "discover": "starkin.survey",
    "read": "starkin.io",
    "simulate_survey": "starkin.simulate",
    "write_report": "starkin.report",
    "write_spectra": "starkin.io",
}

__all__ = ["__version__", *_HOME]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module 'starkin' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOME])
