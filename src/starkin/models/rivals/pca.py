"""PCA of spectra, plain or probabilistic, alone or after a polynomial in the conditions."""

from __future__ import annotations

from typing import ClassVar

from .linear import LinearModel
from .linear_config import PCAConfig, PolynomialPCAConfig

__all__ = ["PCA", "PolynomialPCA"]


class PCA(LinearModel):
    """Principal components of spectra, with errors and missing values or without.

    Parameters
    ----------
    config : PCAConfig, optional
    device : str
    threads : int
        CPU threads of torch in this model's work; 0 leaves torch's own number.

    Examples
    --------
    >>> from starkin.models.rivals import PCA, PCAConfig
    >>> PCA(PCAConfig(n_latent=10)).conditions
    ()
    """

    kind: ClassVar[str] = "pca"
    config_class: ClassVar[type] = PCAConfig


class PolynomialPCA(LinearModel):
    """A polynomial in the conditions removed from every pixel, then PCA of what is left.

    After Price-Jones & Bovy 2018 (MNRAS 475, 1410) and the comparison of de Mijolla et
    al. 2021 (arXiv:2103.06377).

    Parameters
    ----------
    config : PolynomialPCAConfig, optional
    device : str
    threads : int
        As for :class:`PCA`.
    """

    kind: ClassVar[str] = "polynomial-pca"
    config_class: ClassVar[type] = PolynomialPCAConfig
