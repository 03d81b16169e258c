"""How two domains of spectra become scores along common axes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import torch
from torch import Tensor

from ...spectra import SpectrumSet, StarkinError
from ...spectra.transform import Standardiser
from ..compression import Compression
from ..inputs import PreparedInputs, few_of
from ..ppca import fit_mean, principal_axes
from .reconstructing import CALIBRATION_STARS

__all__ = ["CommonAxes", "usual_scaling"]

#: Stars of each domain that the axes are computed from, at most.
_STARS = 5000


def usual_scaling(spectra: SpectrumSet, rows: np.ndarray, floor: float) -> Standardiser:
    """Each pixel about its mean, in units of its usual error.

    To the median error joins, in squares, ``floor`` times the pixel's scatter. A pixel that is
    masked in all stars takes the median of the others'.

    Raises
    ------
    StarkinError
        If no pixel is known of two stars.
    """
    few = few_of(rows, CALIBRATION_STARS)
    values, errors, mask = spectra.values[few], spectra.errors[few], spectra.mask[few]
    count = (~mask).sum(0)
    known = count > 1
    if not known.any():
        raise StarkinError("No pixel of the observed spectra is known of two training stars.")
    mean = np.sum(values, axis=0, where=~mask, dtype=np.float64) / np.maximum(count, 1)
    squares = np.sum((values - mean) ** 2, axis=0, where=~mask, dtype=np.float64)
    spread = np.sqrt(squares / np.maximum(count, 1))
    usual = np.ma.median(np.ma.masked_array(errors, mask), axis=0)
    scale = np.hypot(np.ma.filled(usual, 0.0).astype(np.float64), floor * spread)
    known &= scale > 0
    mean[~known], scale[~known] = np.median(mean[known]), np.median(scale[known])
    return Standardiser(mean, scale, spectra.unit.to_string())


@dataclass(frozen=True)
class CommonAxes:
    """Scores of both domains along the same axes, each about its own mean spectrum.

    Attributes
    ----------
    observed, synthetic : Compression
        Alike but for their means.
    """

    observed: Compression
    synthetic: Compression

    @classmethod
    def fit(
        cls,
        observed: tuple[PreparedInputs, np.ndarray],
        synthetic: tuple[PreparedInputs, np.ndarray],
        n_components: int,
        *,
        seed: int,
    ) -> Self:
        """Principal axes of what varies within the domains, as many stars of each.

        Parameters
        ----------
        observed, synthetic : (PreparedInputs, ndarray of int)
            Spectra and the rows to learn from.
        n_components : int
            Axes; no more than there are pixels and stars.
        seed : int
            Of the randomised decomposition of many pixels.
        """
        n = min(len(observed[1]), len(synthetic[1]))
        parts = [
            (prepared, few_of(rows, min(n, _STARS))) for prepared, rows in (observed, synthetic)
        ]
        sizes = [len(rows) for _, rows in parts]
        features = torch.zeros((sum(sizes), 2), dtype=torch.float64)
        features[: sizes[0], 0] = features[sizes[0] :, 1] = 1

        def source(some: np.ndarray) -> tuple[Tensor, None, Tensor | None, Tensor]:
            """Stars of both, observed first; a domain's own mean is the weight of its feature."""
            pieces = []
            for first, (prepared, rows) in zip((0, sizes[0]), parts, strict=True):
                mine = some[(some >= first) & (some < first + len(rows))] - first
                if len(mine):
                    x, _, used = prepared.tensors(rows[mine])
                    pieces.append(
                        (x, torch.ones_like(x, dtype=torch.bool) if used is None else used)
                    )
            x, used = (torch.cat(piece) for piece in zip(*pieces, strict=True))
            return x, None, None if bool(used.all()) else used, features[some]

        every = np.arange(sum(sizes))
        means = fit_mean(every, source)
        n_axes = min(n_components, means.shape[0], len(every) - 2)
        axes, variances, _ = principal_axes(every, source, means, n_axes, seed=seed)
        size = torch.sqrt(variances.clamp(min=1e-12 * float(variances[0]))).float()
        first, second = means.float().T.contiguous()
        own = Compression(first.clone(), axes.float(), size)
        return cls(own, replace(own, mean=second.clone()))

    # --- as tensors of a model directory -----------------------------------
    def to_tensors(self) -> dict[str, Tensor]:
        return {**self.observed.to_tensors(), "synthetic_mean": self.synthetic.mean}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor]) -> Self:
        own = Compression.from_tensors(tensors)
        return cls(own, replace(own, mean=tensors["synthetic_mean"]))
