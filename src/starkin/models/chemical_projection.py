"""From pixels to principal components with exact noise, and back.

Pixels are weighted by their typical error, so that the components are those of the
signal in units of noise. A star's components follow from weighted least squares with its
own errors and mask, with the error of its continuum marginalised.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from torch import Tensor

from ..spectra import Grid, StarkinError, WavelengthGrid
from ..spectra.grids import segments
from .inputs import PreparedInputs

__all__ = ["PixelBasis", "Projected"]

_PASSES = 5  # of the subspace iteration; four suffice without masked pixels
_EXTRA = 16  # directions beyond those kept, which make the iteration converge (Halko et al. 2011)
_RANK = 1e-9  # eigenvalues smaller than this part of the largest are rounding
_FOR_WEIGHTS = 2000  # stars whose errors decide the weights of pixels
_UNIFORM = 0.01  # a star whose relative errors vary less over pixels needs no weighting
_CONTINUUM_PRIOR = 0.1  # standard deviation of each continuum term, as a part of the flux


@dataclass(frozen=True)
class Projected:
    """Stars in components, in units of the reference error.

    Attributes
    ----------
    y : Tensor, shape (n_stars, n_components + n_templates)
        Components, then what the continuum templates took (without meaning where a star
        is not fitted uniformly).
    precision : Tensor, shape (n_stars, n_components, n_components) or (n_stars,)
        Inverse covariance of the components; a number where it is that times 1.
    """

    y: Tensor
    precision: Tensor


@dataclass(frozen=True)
class PixelBasis:
    """Mean, weights and components of pixels.

    Attributes
    ----------
    mean, weight : ndarray, shape (n_pixels,)
        Of the flux; the weight is relative and 0 for pixels that no star has.
    components : ndarray, shape (n_pixels, n_components)
        Orthonormal, and orthogonal to the templates.
    templates : ndarray, shape (n_pixels, n_templates)
        Orthonormal: what an error of the continuum looks like, Legendre polynomials along
        the pixels of each chip times the mean spectrum.
    unit : float
        Error of the flux that counts as 1.
    """

    mean: np.ndarray
    weight: np.ndarray
    components: np.ndarray
    templates: np.ndarray
    unit: float

    @classmethod
    def fit(
        cls,
        prepared: PreparedInputs,
        rows: np.ndarray,
        n_components: int,
        continuum_degree: int,
        unit: float,
        seed: int,
    ) -> Self:
        """Learn from the stars ``rows`` of a training set.

        Principal components by subspace iteration (Halko, Martinsson & Tropp 2011); masked
        pixels are filled with what the components of the pass before say.

        Raises
        ------
        StarkinError
            If no pixel is usable.
        """
        x, sigma, used = prepared.tensors(rows)
        count = torch.full((x.shape[1],), float(len(x))) if used is None else used.sum(0).float()
        if not bool((count > 0).any()):
            raise StarkinError("No pixel of the training spectra is usable.")
        mean = (x.double().sum(0) / count.clamp(min=1)).numpy()
        errors = sigma[:_FOR_WEIGHTS]
        if used is not None:
            errors = torch.where(used[:_FOR_WEIGHTS], errors, torch.nan)
        typical = torch.nanmedian(errors, dim=0).values.numpy().astype(np.float64)
        seen = (count.numpy() > 0.5 * float(count.max())) & np.isfinite(typical)
        weight = np.zeros(len(mean))
        weight[seen] = np.median(typical[seen]) / typical[seen]
        templates = _continuum_errors(prepared.spectra.grid, continuum_degree, mean * weight)
        x = (x - torch.tensor(mean, dtype=torch.float32)) * torch.tensor(
            weight / unit, dtype=torch.float32
        )
        if used is not None:
            x = x * used
        flat = torch.tensor(templates, dtype=torch.float32)
        generator = torch.Generator().manual_seed(seed)
        size = min(n_components + _EXTRA, *x.shape)
        basis = torch.linalg.qr(torch.randn((x.shape[1], size), generator=generator))[0]
        for _ in range(_PASSES):
            x -= (x @ flat) @ flat.T
            scores = x @ basis
            if used is not None:
                x = torch.where(used, x, scores @ basis.T)
            basis, scale, _ = torch.linalg.svd(x.T @ (x @ basis), full_matrices=False)
        rank = int((scale > _RANK * scale[0]).sum())
        components = basis[:, : min(n_components, rank)]
        components = torch.linalg.qr(components - flat @ (flat.T @ components))[0]
        return cls(mean, weight, components.numpy(), templates, unit)

    @property
    def n_components(self) -> int:
        return int(self.components.shape[1])

    @property
    def n_templates(self) -> int:
        return int(self.templates.shape[1])

    def project(self, prepared: PreparedInputs, rows: np.ndarray, chunk: int = 2048) -> Projected:
        """Components of some stars with their noise.

        A star whose errors are those of the typical star times a number, and which lacks no
        pixel, takes the short way, which is exact; the others solve their own equations.
        """
        n, k = len(rows), self.n_components
        both = torch.tensor(self._both())
        mean = torch.tensor(self.mean, dtype=torch.float32)
        scale = torch.tensor((self.weight / self.unit), dtype=torch.float32)
        alive = scale > 0
        first, second = torch.triu_indices(both.shape[1], both.shape[1])
        pairs: Tensor | None = None
        own: dict[int, Tensor] = {}
        y, level = torch.zeros((n, both.shape[1])), torch.zeros(n)
        for start in range(0, n, chunk):
            some = slice(start, min(start + chunk, n))
            x, sigma, used = prepared.tensors(rows[some])
            x = (x - mean) * scale
            inverse = torch.where(alive, (sigma * scale).clamp(min=1e-12) ** -2, 0.0)
            if used is not None:
                x, inverse = x * used, inverse * used
            inside = inverse[:, alive]
            level[some] = inside.mean(dim=1)
            y[some] = x @ both
            rest = torch.nonzero(inside.std(dim=1) > 2 * _UNIFORM * level[some])[:, 0]
            if not len(rest):
                continue
            if pairs is None:
                pairs = both[:, first] * both[:, second]
            weighted = inverse[rest]
            values, precision = self._solve(weighted @ pairs, (x[rest] * weighted) @ both)
            y[start + rest, :k] = values
            own |= {start + int(i): matrix for i, matrix in zip(rest, precision, strict=True)}
        if not own:
            return Projected(y, level)
        full = level[:, None, None] * torch.eye(k)
        numbers = torch.tensor(list(own))
        full[numbers] = torch.stack(list(own.values()))
        return Projected(y, full)

    def _solve(self, packed: Tensor, right: Tensor) -> tuple[Tensor, Tensor]:
        """Components and their precision from packed normal matrices, templates marginalised."""
        k, m = self.n_components, right.shape[1]
        matrix = torch.zeros((len(right), m, m))
        first, second = torch.triu_indices(m, m)
        matrix[:, first, second] = packed
        matrix[:, second, first] = packed
        precision, b = matrix[:, :k, :k], right[:, :k, None]
        if m > k:
            # The template has norm 1 over the pixels: a part of the flux in each of them.
            strength = _CONTINUUM_PRIOR / self.unit * float(np.linalg.norm(self.mean * self.weight))
            inner = matrix[:, k:, k:] + torch.eye(m - k) / strength**2
            cross = torch.linalg.solve(inner, matrix[:, k:, :k]).transpose(1, 2)
            b = b - cross @ right[:, k:, None]
            precision = precision - cross @ matrix[:, k:, :k]
        precision = 0.5 * (precision + precision.transpose(1, 2))
        trace = precision.diagonal(dim1=1, dim2=2).mean(1).clamp(min=1e-20)
        safe = precision + (1e-5 * trace)[:, None, None] * torch.eye(k)
        return torch.linalg.solve(safe, b)[:, :, 0], safe

    def _both(self) -> np.ndarray:
        return np.concatenate([self.components, self.templates], axis=1).astype(np.float32)

    def loadings(self) -> np.ndarray:
        """From components and template amounts to flux, shape (n_pixels, n_outputs)."""
        inverse = np.zeros(len(self.weight))
        np.divide(self.unit, self.weight, out=inverse, where=self.weight > 0)
        return self._both() * inverse[:, None].astype(np.float32)

    # --- as arrays of a model directory -----------------------------------
    def to_arrays(self) -> dict[str, np.ndarray]:
        return {
            "mean": self.mean,
            "weight": self.weight,
            "components": self.components,
            "templates": self.templates,
            "unit": np.array(self.unit),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> Self:
        names = ("mean", "weight", "components", "templates")
        mean, weight, components, templates = (arrays[name] for name in names)
        return cls(mean, weight, components, templates, float(arrays["unit"]))


def _continuum_errors(grid: Grid, degree: int, size: np.ndarray) -> np.ndarray:
    """Legendre terms times ``size`` on each chip, whose continuum was found by itself.

    Orthonormal, shape (n_pixels, n_terms); a chip without pixels in use has none.
    """
    chips = segments(grid) if isinstance(grid, WavelengthGrid) else [slice(None)]
    columns = [np.empty((len(size), 0))]
    for chip in chips:
        position = np.linspace(-1, 1, len(size[chip]))
        terms = np.polynomial.legendre.legvander(position, max(degree, 0))[:, : degree + 1]
        columns.append(np.zeros((len(size), degree + 1)))
        columns[-1][chip] = terms * size[chip, None]
    every = np.concatenate(columns, axis=1)
    norm = np.linalg.norm(every, axis=0)
    left, strength, _ = np.linalg.svd(every[:, norm > 0] / norm[norm > 0], full_matrices=False)
    return left[:, strength > _RANK]
