"""Toy twins: a linear-Gaussian world in which the likelihood ratio is the best there is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from starkin.io.latents import Latents, TwinPrior


@dataclass(frozen=True)
class TwinWorld:
    """Pairs of stars: composition ~ N(m, B), leakage ~ N(0, W), noise ~ N(0, C_i)."""

    prior: TwinPrior
    latents: Latents
    composition: np.ndarray

    @property
    def partner(self) -> np.ndarray:
        order = np.argsort(self.composition, kind="stable").reshape(-1, 2)
        out = np.empty(len(self.composition), dtype=np.int64)
        out[order[:, 0]], out[order[:, 1]] = order[:, 1], order[:, 0]
        return out


def positive(rng: np.random.Generator, d: int, scale: float, spread: float) -> np.ndarray:
    """A random covariance whose eigenvalues lie between scale / spread and scale * spread."""
    rotation = np.linalg.qr(rng.normal(size=(d, d)))[0]
    values = scale * spread ** rng.uniform(-1, 1, d)
    return (rotation * values) @ rotation.T


def twin_world(
    n_pairs: int,
    d: int = 8,
    *,
    seed: int = 0,
    within: float = 0.01,
    noise: float = 0.01,
    noise_ratio: float = 1.0,
    diagonal: bool = False,
) -> TwinWorld:
    """``noise_ratio``: the stars' noise variances vary by this factor up and down."""
    rng = np.random.default_rng(seed)
    between = positive(rng, d, 1.0, 5.0)
    leak = positive(rng, d, within, 20.0)
    mean = rng.normal(size=d)
    composition = rng.permutation(np.repeat(np.arange(n_pairs), 2))
    n = len(composition)
    y = rng.multivariate_normal(mean, between, size=n_pairs)[composition]
    z = y + rng.multivariate_normal(np.zeros(d), leak, size=n)
    factor = noise_ratio ** rng.uniform(-1, 1, n)
    one = positive(rng, d, noise, 3.0)
    if diagonal:
        one = np.diag(np.diag(one))
    z = z + np.sqrt(factor)[:, None] * rng.multivariate_normal(np.zeros(d), one, size=n)
    covariance = factor[:, None, None] * one
    if diagonal:
        covariance = np.ascontiguousarray(np.einsum("nii->ni", covariance))
    latents = Latents(np.arange(n) + 1000, z, covariance, model_id="toy")
    return TwinWorld(TwinPrior(mean, leak, between), latents, composition)
