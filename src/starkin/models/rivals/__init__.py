"""Published models of spectra to stand beside, each behind the one contract."""

from .linear_config import PCAConfig, PolynomialPCAConfig, RSCAConfig
from .pca import PCA, PolynomialPCA
from .rsca import RSCA

__all__ = ["PCA", "RSCA", "PCAConfig", "PolynomialPCA", "PolynomialPCAConfig", "RSCAConfig"]
