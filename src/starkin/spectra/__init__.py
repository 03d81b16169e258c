"""Spectra and their grids: the container everything else passes around."""

from .bases import sampling_design
from .correlations import pack_correlations, unpack_correlations
from .cuts import Quality, select
from .errors import GridMismatchError, StarkinError
from .grid import Grid, WavelengthGrid, XPGrid, grid_from_arrays
from .photometry import normalise, synthetic_photometry
from .projection import project
from .sampling import fit_coefficients, sample_spectra, sampled_covariance
from .spectrum_set import SpectrumSet
from .splits import Split, assign_splits
from .summary import Summary, summarise
from .transform import Standardiser

__all__ = [
    "Grid",
    "GridMismatchError",
    "Quality",
    "SpectrumSet",
    "Split",
    "Standardiser",
    "StarkinError",
    "Summary",
    "WavelengthGrid",
    "XPGrid",
    "assign_splits",
    "fit_coefficients",
    "grid_from_arrays",
    "normalise",
    "pack_correlations",
    "project",
    "sample_spectra",
    "sampled_covariance",
    "sampling_design",
    "select",
    "summarise",
    "synthetic_photometry",
    "unpack_correlations",
]
