"""Spectra and their grids: the container everything else passes around."""

from .bases import sampling_design
from .continuum import Continuum, normalise_continuum
from .correlations import pack_correlations, unpack_correlations
from .cuts import Quality, select
from .errors import GridMismatchError, StarkinError
from .grid import Grid, WavelengthGrid, XPGrid, grid_from_arrays
from .grids import apogee_grid, log_grid
from .photometry import normalise, synthetic_photometry
from .projection import project
from .quality import require_normalised
from .resample import resample
from .sampling import fit_coefficients, sample_spectra, sampled_covariance
from .spectrum_set import SpectrumSet
from .splits import Split, assign_splits
from .summary import Summary, summarise
from .transform import Standardiser

__all__ = [
    "Continuum",
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
    "apogee_grid",
    "assign_splits",
    "fit_coefficients",
    "grid_from_arrays",
    "log_grid",
    "normalise",
    "normalise_continuum",
    "pack_correlations",
    "project",
    "require_normalised",
    "resample",
    "sample_spectra",
    "sampled_covariance",
    "sampling_design",
    "select",
    "summarise",
    "synthetic_photometry",
    "unpack_correlations",
]
