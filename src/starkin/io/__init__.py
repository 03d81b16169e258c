"""Files in and out."""

from .latents import Latents
from .prepare import prepare
from .registry import formats, identify, read
from .write_vectors import write_vectors
from .write_xp import write_spectra

__all__ = ["Latents", "formats", "identify", "prepare", "read", "write_spectra", "write_vectors"]
