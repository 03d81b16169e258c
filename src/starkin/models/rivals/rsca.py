"""RSCA: latents scaled so that distances show chemistry, learnt from known groups.

de Mijolla & Ness 2022 (arXiv:2110.02250): PPCA, whitening, a change of basis to the axes in
which stars of one group differ, and a division of each axis by √(σ²/(1 − σ²)), σ² the
variance within groups as a share of that of all stars. An axis that the groups do not share
any better than strangers do (σ² → 1) is divided by a huge number and drops out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np
import torch
from scipy.stats import median_abs_deviation
from sklearn.decomposition import PCA as Axes
from torch import Tensor

from ...io.latents import TwinPrior
from ...spectra import SpectrumSet, StarkinError
from ..ppca import Source
from .linear import LinearModel
from .linear_config import RSCAConfig

__all__ = ["RSCA", "relative_scale"]

#: Largest σ² share: an axis beyond it is as good as dropped.
_MOST = 0.9999999


def relative_scale(sigma: np.ndarray) -> np.ndarray:
    """√(σ²/(1 − σ²)) of standard deviations within groups, with 1 for that of all stars."""
    share = np.minimum(sigma, _MOST) ** 2
    return np.sqrt(share / (1 - share))


class RSCA(LinearModel):
    """PPCA latents in axes and scales that known groups of one composition decide.

    Parameters
    ----------
    config : RSCAConfig, optional
    device : str
    threads : int
        CPU threads of torch in this model's work; 0 leaves torch's own number.
    """

    kind: ClassVar[str] = "rsca"
    config_class: ClassVar[type] = RSCAConfig
    config: RSCAConfig
    _prior: TwinPrior

    def _latent_map(
        self, train: SpectrumSet, rows: np.ndarray, source: Source, seed: int
    ) -> tuple[Tensor, Tensor]:
        found = self._posterior(rows, source)
        z = found.mean.numpy()
        members = _members(train, rows, self.config, seed)
        whitener = Axes(whiten=True).fit(z)
        whitened = whitener.transform(z)
        residual = np.concatenate([whitened[m] - whitened[m].mean(0) for m in members])
        axes = Axes().fit(residual).components_
        sigma = _within(whitened @ axes.T, members, self.config.robust)
        scale = relative_scale(sigma)
        # What the whitener's transform does, as one matrix.
        whitening = whitener.components_ / np.sqrt(whitener.explained_variance_)[:, None]
        self._prior = _twin_prior(
            axes @ whitening, scale, z - whitener.mean_, found.covariance.numpy(), members
        )
        matrix = (axes @ whitening) / scale[:, None]
        return torch.from_numpy(matrix), torch.from_numpy(whitener.mean_)

    def twin_prior(self) -> TwinPrior:
        """From the same groups: the residuals' covariance less the mean noise, and the rest."""
        _ = self.inputs
        return self._prior

    def _transform(self) -> dict[str, np.ndarray]:
        prior = self._prior
        return super()._transform() | {
            "twin_mean": prior.mean,
            "twin_within": prior.within,
            "twin_between": prior.between,
        }

    def _restore(self, weights: Mapping[str, Tensor], transform: Mapping[str, np.ndarray]) -> None:
        super()._restore(weights, transform)
        self._prior = TwinPrior(
            transform["twin_mean"], transform["twin_within"], transform["twin_between"]
        )


def _members(
    train: SpectrumSet, rows: np.ndarray, config: RSCAConfig, seed: int
) -> list[np.ndarray]:
    """Positions within ``rows`` of the stars of each group used; groups of one are left out."""
    label = train.label(config.groups)[rows]
    known = np.flatnonzero(np.isfinite(label) & (label >= 0))
    order = known[np.argsort(label[known], kind="stable")]
    groups = np.split(order, np.flatnonzero(np.diff(label[order])) + 1) if len(order) else []
    groups = [group for group in groups if len(group) > 1]
    if config.n_groups and len(groups) > config.n_groups:
        chosen = np.random.default_rng(seed).choice(len(groups), config.n_groups, replace=False)
        groups = [groups[i] for i in np.sort(chosen)]
    freedom = sum(len(group) - 1 for group in groups)
    if freedom < config.n_latent:
        raise StarkinError(
            f"RSCA needs known groups with at least {config.n_latent + len(groups)} stars in all "
            f"for its {config.n_latent} latents, and the label column {config.groups!r} of the "
            f"training spectra has {freedom + len(groups)} in {len(groups)} groups; "
            "name more groups or lower n_latent."
        )
    return groups


def _within(values: np.ndarray, members: list[np.ndarray], robust: bool) -> np.ndarray:
    """Standard deviation within groups, pooled over them by n − 1, shape (n_latent,)."""
    freedom = np.array([len(m) - 1 for m in members])
    if robust:
        # As published: the square of each group's MAD, made a σ of a normal distribution.
        each = [median_abs_deviation(values[m], axis=0, scale="normal") ** 2 for m in members]
    else:
        each = [values[m].var(axis=0, ddof=1) for m in members]
    return np.sqrt(freedom @ np.array(each) / freedom.sum())


def _twin_prior(
    rotation: np.ndarray,
    scale: np.ndarray,
    z: np.ndarray,
    noise: np.ndarray,
    members: list[np.ndarray],
) -> TwinPrior:
    """Covariances within and between compositions in the scaled latents, noise taken out.

    Both are made positive before the scaling, where all axes have the variance 1.
    """
    y = z @ rotation.T
    residual = np.concatenate([y[m] - y[m].mean(0) for m in members])
    freedom = sum(len(m) - 1 for m in members)
    grouped = np.concatenate(members)
    own = rotation @ noise[grouped].mean(0) @ rotation.T
    within = _positive(residual.T @ residual / freedom - own)
    between = _positive(np.cov(y.T) - rotation @ noise.mean(0) @ rotation.T - within)
    unit = np.outer(scale, scale)
    return TwinPrior(np.zeros(len(scale)), within / unit, between / unit)


def _positive(covariance: np.ndarray) -> np.ndarray:
    """The nearest covariance without an eigenvalue below 10⁻⁵."""
    values, vectors = np.linalg.eigh((covariance + covariance.T) / 2)
    return (vectors * np.maximum(values, 1e-5)) @ vectors.T
