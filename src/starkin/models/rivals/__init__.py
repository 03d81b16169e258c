"""Published models of spectra to stand beside, each behind the one contract."""

from .autoencoder_config import FactorDisConfig, FaderConfig
from .beta_vae import BetaVAE, BetaVAEConfig
from .boosted import BoostedClassifier, BoostedConfig
from .cannon import Cannon, CannonConfig
from .cycle import CycleStarNet
from .cycle_config import CycleStarNetConfig
from .factor_dis import FactorDis
from .fader import Fader
from .lb23 import LB23, LB23Config
from .linear_config import PCAConfig, PolynomialPCAConfig, RSCAConfig
from .payne import Payne, PayneConfig
from .pca import PCA, PolynomialPCA
from .rsca import RSCA
from .zgr import ZGR, ZGRConfig

__all__ = [
    "LB23",
    "PCA",
    "RSCA",
    "ZGR",
    "BetaVAE",
    "BetaVAEConfig",
    "BoostedClassifier",
    "BoostedConfig",
    "Cannon",
    "CannonConfig",
    "CycleStarNet",
    "CycleStarNetConfig",
    "FactorDis",
    "FactorDisConfig",
    "Fader",
    "FaderConfig",
    "LB23Config",
    "PCAConfig",
    "Payne",
    "PayneConfig",
    "PolynomialPCA",
    "PolynomialPCAConfig",
    "RSCAConfig",
    "ZGRConfig",
]
