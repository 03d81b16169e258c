"""The same encode and discover over files and stores."""

from .compare import compare
from .compare_settings import CompareConfig
from .discover import discover
from .encode import encode_catalogue
from .inputs import attach_labels, load_spectra
from .settings import DiscoverConfig, read_settings

__all__ = [
    "CompareConfig",
    "DiscoverConfig",
    "attach_labels",
    "compare",
    "discover",
    "encode_catalogue",
    "load_spectra",
    "read_settings",
]
