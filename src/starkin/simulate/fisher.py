"""What a spectrum can say at most of a composition: Fisher information of the abundances.

With Gaussian noise of inverse variance w per pixel, ``F = Jᵀ diag(w) J`` with the Jacobian
``J = ∂flux/∂[X/H]`` of the true generative model at the star's own Teff, log g and composition
(Cramér-Rao; Ting et al. 2017, ApJ 843, 32). Its inverse is the smallest covariance that any
unbiased estimate of the abundances can have, hence the ceiling of every method that looks for
twins. Jacobians are central differences of the synthesiser.

A Jacobian costs two spectra an element. For many stars, F is computed for some and carried to the
others: each entry of its Cholesky factor (the diagonal as a logarithm) is fitted by a quadratic
in Teff, log g and [Fe/H] plus a line and a square in every abundance. Being a Cholesky factor,
the result is a covariance whatever the fit does; :class:`FisherRegression` says how far it is off
on stars that it was not fitted to.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from astropy.table import Table

from ..spectra import StarkinError, columns
from .synthesiser import SpectralModel, Synthesiser

__all__ = ["FisherRegression", "fisher_matrices", "jacobians"]

_STEP_DEX = 0.03
_RIDGE = 1e-3
_BATCH = 24  # stars whose spectra are computed together


def jacobians(
    model: SpectralModel, teff: np.ndarray, logg: np.ndarray, x_h: np.ndarray
) -> np.ndarray:
    """∂flux/∂[X/H] per dex, shape ``(n_stars, n_elements, n_pixels)``, float32."""
    teff, logg, x_h = (np.asarray(x, dtype=float) for x in (teff, logg, x_h))
    n, n_elements = x_h.shape
    shift = _STEP_DEX * np.concatenate([np.eye(n_elements), -np.eye(n_elements)])
    moved = (x_h[:, None, :] + shift).reshape(-1, n_elements)
    repeats = 2 * n_elements
    flux = model(np.repeat(teff, repeats), np.repeat(logg, repeats), moved)
    flux = flux.reshape(n, 2, n_elements, -1)
    return (flux[:, 0] - flux[:, 1]) / np.float32(2 * _STEP_DEX)


def _exact(
    model: SpectralModel,
    teff: np.ndarray,
    logg: np.ndarray,
    x_h: np.ndarray,
    progress: Callable[[int, int, str], None] | None = None,
) -> np.ndarray:
    """Fisher matrices per unit of squared signal-to-noise ratio per pixel."""
    out = np.empty((len(teff), x_h.shape[1], x_h.shape[1]))
    for start in range(0, len(teff), _BATCH):
        rows = slice(start, start + _BATCH)
        j = jacobians(model, teff[rows], logg[rows], x_h[rows]).astype(float)
        out[rows] = np.einsum("nap,nbp->nab", j, j, optimize=True)
        if progress is not None:
            progress(min(start + _BATCH, len(teff)), len(teff), "Fisher matrices")
    return out


def abundances_of(labels: Table, elements: Sequence[str]) -> np.ndarray:
    """True [X/H] of a table of labels, shape ``(n_stars, n_elements)``.

    Raises
    ------
    StarkinError
        If an abundance is missing.
    """
    names = [columns.truth(columns.abundance(symbol)) for symbol in elements]
    for name in names:
        if name not in labels.colnames:
            raise StarkinError(f"The labels have no column {name!r}, which a simulation writes.")
    return np.stack([np.asarray(labels[name], dtype=float) for name in names], axis=1)


def _true(labels: Table, name: str) -> np.ndarray:
    """The truth where there is one: labels may carry errors."""
    own = columns.truth(name) if columns.truth(name) in labels.colnames else name
    return np.asarray(labels[own], dtype=float)


@dataclass(frozen=True)
class FisherRegression:
    """Fisher matrices as a smooth function of the stars.

    Attributes
    ----------
    elements : tuple of str
    centre, scale : ndarray, shape (2 + n_elements,)
        Of Teff, log g and the abundances.
    coefficients : ndarray, shape (n_terms, n_elements (n_elements + 1) / 2)
        Of the entries of the Cholesky factor.
    error : float
        Relative root mean square error of the predicted standard deviations (square root of
        the diagonal of F^-1) of stars that the fit has not seen.
    """

    elements: tuple[str, ...]
    centre: np.ndarray
    scale: np.ndarray
    coefficients: np.ndarray
    error: float

    @classmethod
    def fit(
        cls,
        model: SpectralModel,
        teff: np.ndarray,
        logg: np.ndarray,
        x_h: np.ndarray,
        progress: Callable[[int, int, str], None] | None = None,
    ) -> FisherRegression:
        """Fit to stars, every sixth of which is held out to measure the error."""
        exact = _exact(model, teff, logg, x_h, progress)
        held = np.arange(len(teff)) % 6 == 5
        points = np.column_stack([teff, logg, x_h])
        centre = points.mean(0)
        scale = np.maximum(points.std(0), 1e-6)
        features = _features((points - centre) / scale, list(model.elements))
        targets = _factors(exact)
        fitted = features[~held]
        # Columns of order one: a little ridge keeps a small sample from running wild.
        gram = fitted.T @ fitted + _RIDGE * len(fitted) * np.eye(fitted.shape[1])
        coefficients = np.linalg.solve(gram, fitted.T @ targets[~held])
        new = cls(tuple(model.elements), centre, scale, coefficients, float("nan"))
        if held.any():
            predicted = new(teff[held], logg[held], x_h[held])
            ratio = _deviations(predicted) / _deviations(exact[held])
            object.__setattr__(new, "error", float(np.sqrt(np.mean((ratio - 1) ** 2))))
        return new

    def __call__(self, teff: np.ndarray, logg: np.ndarray, x_h: np.ndarray) -> np.ndarray:
        """Matrices per unit of squared S/N, shape ``(n_stars, n_elements, n_elements)``."""
        points = (np.column_stack([teff, logg, x_h]) - self.centre) / self.scale
        entries = _features(points, list(self.elements)) @ self.coefficients
        n = len(self.elements)
        lower = np.zeros((len(entries), n, n))
        lower[(slice(None), *np.tril_indices(n))] = entries
        diagonal = np.arange(n)
        lower[:, diagonal, diagonal] = np.exp(lower[:, diagonal, diagonal])
        return lower @ lower.transpose(0, 2, 1)


def _features(points: np.ndarray, elements: list[str]) -> np.ndarray:
    """1; quadratics in Teff, log g, [Fe/H]; a line and a square in every abundance."""
    main = points[:, [0, 1, 2 + elements.index("Fe")]]
    pairs = [main[:, i] * main[:, j] for i in range(3) for j in range(i + 1)]
    cubes = [main[:, 0] ** 3, main[:, 0] ** 2 * main[:, 1], main[:, 0] * main[:, 1] ** 2]
    return np.column_stack([np.ones(len(points)), points, *pairs, *cubes, points[:, 2:] ** 2])


def _factors(matrices: np.ndarray) -> np.ndarray:
    """Entries of Cholesky factors, the diagonal as logarithms, shape ``(n, n_entries)``."""
    n = matrices.shape[-1]
    floor = 1e-9 * np.trace(matrices, axis1=1, axis2=2)[:, None, None] * np.eye(n)
    lower = np.linalg.cholesky(matrices + floor)
    diagonal = np.arange(n)
    lower[:, diagonal, diagonal] = np.log(lower[:, diagonal, diagonal])
    return lower[(slice(None), *np.tril_indices(n))]


def _deviations(matrices: np.ndarray) -> np.ndarray:
    return np.sqrt(np.diagonal(np.linalg.inv(matrices), axis1=1, axis2=2))


def fisher_matrices(
    labels: Table,
    snr: float | np.ndarray = 100.0,
    *,
    model: SpectralModel | None = None,
    n_exact: int = 600,
    seed: int = 0,
    progress: Callable[[int, int, str], None] | None = None,
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Fisher matrices of the abundances of simulated stars.

    Parameters
    ----------
    labels : Table
        Of a simulated :class:`~starkin.spectra.SpectrumSet`: true Teff, log g and [X/H].
    snr : float or ndarray, shape (n_stars,)
        Signal-to-noise ratio per pixel, the same in all pixels.
    model : SpectralModel, optional
        What the spectra were made with; the engine in its standard world by default.
    n_exact : int
        Stars for which the matrix is computed; if there are more, the others follow by
        :class:`FisherRegression`.
    seed : int
        Of the choice of those stars.
    progress : callable, optional
        Told the stars done, the stars in all and a short line.

    Returns
    -------
    ndarray, shape (n_stars, n_elements, n_elements)
        Per dex²; the inverse is the smallest covariance of the abundances.
    tuple of str
        The elements.
    """
    model = model or Synthesiser()
    elements = tuple(model.elements)
    x_h = abundances_of(labels, elements)
    teff, logg = _true(labels, columns.TEFF), _true(labels, columns.LOGG)
    if len(teff) <= n_exact:
        unit = _exact(model, teff, logg, x_h, progress)
    else:
        rows = np.random.default_rng(seed).choice(len(teff), n_exact, replace=False)
        fit = FisherRegression.fit(model, teff[rows], logg[rows], x_h[rows], progress)
        unit = fit(teff, logg, x_h)
    squared = np.broadcast_to(np.asarray(snr, dtype=float) ** 2, len(teff))
    return unit * squared[:, None, None], elements
