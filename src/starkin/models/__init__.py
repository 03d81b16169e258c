"""Models of spectra, all behind one contract."""

from .base import Decoded, Progress, SpectrumModel
from .import_checkpoint import import_checkpoint
from .preprocessing import Preprocessing
from .scatter_config import ScatterVAEConfig
from .scatter_vae import ScatterVAE

__all__ = [
    "Decoded",
    "Preprocessing",
    "Progress",
    "ScatterVAE",
    "ScatterVAEConfig",
    "SpectrumModel",
    "import_checkpoint",
]
