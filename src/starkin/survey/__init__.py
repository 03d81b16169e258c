"""The same encode and discover over files and stores."""

from .discover import discover
from .encode import encode_catalogue
from .inputs import attach_labels, load_spectra
from .settings import DiscoverConfig, read_settings

__all__ = [
    "DiscoverConfig",
    "attach_labels",
    "discover",
    "encode_catalogue",
    "load_spectra",
    "read_settings",
]
