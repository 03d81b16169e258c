"""Synthetic surveys with known truth: Gaia XP spectra, and pairs of twins at high resolution."""

from .broadening import with_macroturbulence, with_rotation
from .compositions import COMPOSITIONS, CompositionConfig
from .config import PRESETS, SurveyConfig
from .degrade import (
    with_continuum_tilt,
    with_label_errors,
    with_masked_pixels,
    with_noise,
    with_sky_residuals,
)
from .fisher import FisherRegression, fisher_matrices
from .line_files import read_lines
from .own_model import FunctionModel, GridModel
from .pairs import PairsConfig, simulate_clusters, simulate_pairs
from .spectrograph import Spectrograph
from .survey import iterate_survey, simulate_survey
from .synthesiser import ELEMENTS, WORLDS, SpectralModel, Synthesiser, World

__all__ = [
    "COMPOSITIONS",
    "ELEMENTS",
    "PRESETS",
    "WORLDS",
    "CompositionConfig",
    "FisherRegression",
    "FunctionModel",
    "GridModel",
    "PairsConfig",
    "SpectralModel",
    "Spectrograph",
    "SurveyConfig",
    "Synthesiser",
    "World",
    "fisher_matrices",
    "iterate_survey",
    "read_lines",
    "simulate_clusters",
    "simulate_pairs",
    "simulate_survey",
    "with_continuum_tilt",
    "with_label_errors",
    "with_macroturbulence",
    "with_masked_pixels",
    "with_noise",
    "with_rotation",
    "with_sky_residuals",
]
