"""Stellar spectra from first principles: LTE, plane-parallel, vectorised over stars."""

from .composition import composition
from .constants import ALPHA_ELEMENTS, ELEMENTS
from .lines import LineList
from .sampling import Sampling, sampling_for
from .synthesis import synthesise

__all__ = [
    "ALPHA_ELEMENTS",
    "ELEMENTS",
    "LineList",
    "Sampling",
    "composition",
    "sampling_for",
    "synthesise",
]
