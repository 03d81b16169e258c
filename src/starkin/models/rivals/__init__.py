"""Published models of spectra to stand beside, each behind the one contract."""

from .beta_vae import BetaVAE, BetaVAEConfig
from .cannon import Cannon, CannonConfig
from .linear_config import PCAConfig, PolynomialPCAConfig, RSCAConfig
from .payne import Payne, PayneConfig
from .pca import PCA, PolynomialPCA
from .rsca import RSCA

__all__ = [
    "PCA",
    "RSCA",
    "BetaVAE",
    "BetaVAEConfig",
    "Cannon",
    "CannonConfig",
    "PCAConfig",
    "Payne",
    "PayneConfig",
    "PolynomialPCA",
    "PolynomialPCAConfig",
    "RSCAConfig",
]
