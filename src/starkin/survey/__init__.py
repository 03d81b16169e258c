"""The same encode and discover over files and stores."""

from .compare import compare
from .compare_settings import CompareConfig
from .discover import discover
from .editing import edit_spectra, with_chemistry_of
from .encode import encode_catalogue
from .evaluate_twins import evaluate_twins
from .evaluation_settings import TwinEvaluation
from .inputs import attach_labels, load_spectra
from .settings import DiscoverConfig, read_settings
from .twin_search import find_twins

__all__ = [
    "CompareConfig",
    "DiscoverConfig",
    "TwinEvaluation",
    "attach_labels",
    "compare",
    "discover",
    "edit_spectra",
    "encode_catalogue",
    "evaluate_twins",
    "find_twins",
    "load_spectra",
    "read_settings",
    "with_chemistry_of",
]
