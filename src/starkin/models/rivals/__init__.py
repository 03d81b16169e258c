"""Published models of spectra to stand beside, each behind the one contract."""

from .autoencoder_config import FactorDisConfig, FaderConfig
from .beta_vae import BetaVAE, BetaVAEConfig
from .cannon import Cannon, CannonConfig
from .factor_dis import FactorDis
from .fader import Fader
from .linear_config import PCAConfig, PolynomialPCAConfig, RSCAConfig
from .payne import Payne, PayneConfig
from .pca import PCA, PolynomialPCA
from .rsca import RSCA
from .zgr import ZGR, ZGRConfig

__all__ = [
    "PCA",
    "RSCA",
    "ZGR",
    "BetaVAE",
    "BetaVAEConfig",
    "Cannon",
    "CannonConfig",
    "FactorDis",
    "FactorDisConfig",
    "Fader",
    "FaderConfig",
    "PCAConfig",
    "Payne",
    "PayneConfig",
    "PolynomialPCA",
    "PolynomialPCAConfig",
    "RSCAConfig",
    "ZGRConfig",
]
