"""Toy latents with known populations."""

from __future__ import annotations

import numpy as np

from starkin.io import Latents


def as_latents(points: np.ndarray, variance: float = 0.01) -> Latents:
    return Latents(
        source_id=np.arange(len(points)) + 1,
        mean=np.asarray(points, dtype=np.float64),
        covariance=np.full(np.shape(points), variance),
    )


def islands(seed: int = 0, background: int = 2400) -> tuple[np.ndarray, np.ndarray]:
    """A curved background (class 0) and three islands of 240, 90 and 45 stars, in 4-D."""
    rng = np.random.default_rng(seed)
    t = rng.uniform(-1, 1, background)
    points = [np.column_stack([3 * t, 2 * t**2, np.sin(2 * t), 0 * t])]
    points[0] += 0.3 * rng.normal(size=points[0].shape)
    truth = [np.zeros(background, dtype=int)]
    centres = [(0, 3, 0, 0), (2, -2, 0, 1), (-2, 0, 0, 3)]
    for number, (size, centre) in enumerate(zip((240, 90, 45), centres, strict=True), start=1):
        points.append(np.array(centre) + 0.2 * rng.normal(size=(size, 4)))
        truth.append(np.full(size, number))
    order = rng.permutation(background + 375)
    return np.concatenate(points)[order], np.concatenate(truth)[order]
