"""Spectra as scores along their principal axes, so that networks need not see every pixel.

The axes are orthonormal: a squared error of the scores is the squared error of the spectra
along the axes kept, and what is left out is a constant. White noise stays white.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from torch import Tensor

from .inputs import PreparedInputs, few_of
from .ppca import fit_mean, principal_axes

__all__ = ["Compression"]

#: Stars that the axes are computed from, at most.
_STARS = 10_000
#: Rounds in which masked values are replaced by what the scores say of them. The error falls
#: by about the masked share in each.
_ROUNDS = 8
_CHUNK = 2048


@dataclass(frozen=True)
class Compression:
    """Scores y = Aᵀ(x − mean).

    Attributes
    ----------
    mean : Tensor of float32, shape (n_pixels,)
    axes : Tensor of float32, shape (n_pixels, n_components)
    size : Tensor of float32, shape (n_components,)
        Standard deviation of each score over the training stars, noise expected included.
    """

    mean: Tensor
    axes: Tensor
    size: Tensor

    @classmethod
    def fit(
        cls,
        prepared: PreparedInputs,
        rows: np.ndarray,
        n_components: int,
        *,
        seed: int,
        noise: float = 0.0,
    ) -> Self:
        """Axes of (at most 10,000, evenly picked) training stars.

        ``noise``, a standard deviation in the scaled flux, joins the size of every score.
        """
        few = few_of(rows, _STARS)

        def source(some: np.ndarray) -> tuple[Tensor, None, Tensor | None, Tensor]:
            x, _, used = prepared.tensors(some)
            return x, None, used, torch.ones((len(some), 1), dtype=torch.float64)

        mean = fit_mean(few, source)
        axes, variances, _ = principal_axes(few, source, mean, n_components, seed=seed)
        size = torch.sqrt(variances.clamp(min=1e-12 * float(variances[0])) + noise**2)
        return cls(mean[:, 0].float(), axes.float(), size.float())

    def scores(self, prepared: PreparedInputs, rows: np.ndarray) -> Tensor:
        """Scores of some stars, shape (n_stars, n_components)."""
        out = torch.empty((len(rows), self.axes.shape[1]))
        for start in range(0, len(rows), _CHUNK):
            x, _, used = prepared.tensors(rows[start : start + _CHUNK])
            out[start : start + _CHUNK] = self.project(x, used)
        return out

    def project(self, x: Tensor, used: Tensor | None) -> Tensor:
        """Scores of scaled spectra; masked values are what the other scores make of them."""
        away = x - self.mean
        if used is None:
            return away @ self.axes
        scores = (away * used) @ self.axes
        partly = ~used.all(dim=1)
        y, seen, hidden = scores[partly], (away * used)[partly], ~used[partly]
        for _ in range(_ROUNDS):
            y = (seen + hidden * (y @ self.axes.T)) @ self.axes
        scores[partly] = y
        return scores

    def restore(self, scores: Tensor) -> Tensor:
        """Spectra of scores, shape (n_stars, n_pixels)."""
        return scores @ self.axes.T + self.mean

    # --- as tensors of a model directory -----------------------------------
    def to_tensors(self) -> dict[str, Tensor]:
        return {"mean": self.mean, "axes": self.axes, "size": self.size}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor]) -> Self:
        return cls(tensors["mean"], tensors["axes"], tensors["size"])
