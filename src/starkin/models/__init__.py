"""Models of spectra, all behind one contract."""

from .base import Decoded, Progress, SpectrumModel, TwinPrior
from .chemical import ChemicalModel
from .chemical_config import ChemicalConfig
from .conditions import Conditions
from .import_checkpoint import import_checkpoint
from .preprocessing import Preprocessing
from .scatter_config import ScatterVAEConfig
from .scatter_vae import ScatterVAE

__all__ = [
    "ChemicalConfig",
    "ChemicalModel",
    "Conditions",
    "Decoded",
    "Preprocessing",
    "Progress",
    "ScatterVAE",
    "ScatterVAEConfig",
    "SpectrumModel",
    "TwinPrior",
    "import_checkpoint",
]
