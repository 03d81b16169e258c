"""A plain partition of a latent space: what any clustering would first be made of."""

from __future__ import annotations

import numpy as np
from sklearn.cluster import KMeans

__all__ = ["partition"]


def partition(latents: np.ndarray, *, n_parts: int = 8, seed: int = 0) -> np.ndarray:
    """Standardised latents in ``n_parts`` by k-means, shape (n_stars,)."""
    scale = latents.std(axis=0)
    z = (latents - latents.mean(axis=0)) / np.where(scale > 0, scale, 1.0)
    n_parts = min(n_parts, len(np.unique(z, axis=0)))
    return KMeans(n_parts, n_init=3, random_state=seed).fit_predict(z)
