"""The likelihood ratio "same composition" against "different", and the space to search it in.

A latent is ``z_i = y + w_i + e_i``: the composition's own value y ~ N(m, B), leakage
w_i ~ N(0, W) and measurement noise e_i ~ N(0, C_i), which differs from star to star. With
T_i = B + W + C_i (probabilistic linear discriminant analysis, Ioffe 2006; Prince & Elder 2007)

    LLR = log N([z_i; z_j]; [m; m], [[T_i, B], [B, T_j]]) - log N(z_i; m, T_i) - log N(z_j; m, T_j).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import eigh
from scipy.special import expit

from ..io.latents import Latents, TwinPrior
from ..spectra.errors import StarkinError
from ..spectra.flags import Flag
from .twin_kernels import marginal_terms, pair_distances, pair_ratios

__all__ = ["TwinMetric", "TwinStars", "twin_probability"]

#: Least part of a latent's variance that counts as noise: keeps matrices invertible when a
#: model claims none.
_FLOOR = 1e-10


@dataclass(frozen=True, eq=False)
class TwinStars:
    """Latents made ready for the metric.

    Attributes
    ----------
    z : ndarray, shape (n_stars, n_latent)
        Centred latents; NaN for a star that may have no twins.
    covariance : ndarray, shape (n_stars, n_latent, n_latent) or (n_stars, 1, n_latent)
        Noise of each star, or its diagonal.
    marginal : ndarray, shape (n_stars,)
        ``-2 log N(z_i; 0, T_i)``, without the 2 pi term.
    usable : ndarray of bool, shape (n_stars,)
    """

    z: np.ndarray
    covariance: np.ndarray
    marginal: np.ndarray
    usable: np.ndarray

    def __len__(self) -> int:
        return len(self.z)


@dataclass(frozen=True, eq=False)
class TwinMetric:
    """Same composition or not, from two latents and their noise.

    Attributes
    ----------
    mean : ndarray, shape (n_latent,)
        m.
    within, between : ndarray, shape (n_latent, n_latent)
        W and B.
    basis : ndarray, shape (n_latent, n_latent)
        U: its columns make ``U^T (W + C) U = 1`` and ``U^T B U = diag(beta)`` for a typical C.
    beta : ndarray, shape (n_latent,)
        Variance between compositions over that within one, dimension by dimension.
    """

    mean: np.ndarray
    within: np.ndarray
    between: np.ndarray
    basis: np.ndarray
    beta: np.ndarray

    @classmethod
    def fit(cls, latents: Latents, prior: TwinPrior) -> TwinMetric:
        """The metric of a prior for stars as noisy as ``latents``.

        Only the candidate space (:meth:`queries`, :meth:`points`) depends on ``latents``: it
        uses one typical noise for all stars. The ratio itself uses each star's own.

        Raises
        ------
        StarkinError
            If the prior does not fit the latents, or no star has any.
        """
        d = latents.n_latent
        for name, shape in (("mean", (d,)), ("within", (d, d)), ("between", (d, d))):
            if np.shape(getattr(prior, name)) != shape:
                raise StarkinError(
                    f"TwinPrior.{name} has shape {np.shape(getattr(prior, name))}, expected "
                    f"{shape} for these latents; encode with the model that gave the prior."
                )
        usable = usable_for_twins(latents)
        if not usable.any():
            raise StarkinError("No star has finite latents; there is nothing to compare.")
        within, between = (_symmetric(a) for a in (prior.within, prior.between))
        noise = typical_noise(latents.covariance[usable])
        scale = np.diag(between + within + noise)
        within = within + np.diag(_FLOOR * np.maximum(scale, np.finfo(float).tiny))
        beta, basis = eigh(between, within + noise)
        order = np.argsort(-beta)
        return cls(
            np.asarray(prior.mean, dtype=np.float64),
            within,
            between,
            np.ascontiguousarray(basis[:, order]),
            np.maximum(beta[order], 0),
        )

    def stars(self, latents: Latents) -> TwinStars:
        """Make latents ready; stars that were not encoded stay without twins."""
        usable = usable_for_twins(latents)
        z = np.where(usable[:, None], latents.mean.astype(np.float64) - self.mean, np.nan)
        covariance = latents.covariance
        if covariance.ndim == 2:
            covariance = covariance[:, None, :]
        covariance = np.ascontiguousarray(covariance)
        marginal = marginal_terms(z, covariance, self.within, self.between)
        return TwinStars(z, covariance, marginal, usable & np.isfinite(marginal))

    # --- one typical noise for all: a Euclidean space -----------------------
    def coordinates(self, stars: TwinStars) -> np.ndarray:
        """Latents in units of leakage and typical noise, the most telling direction first."""
        return stars.z @ self.basis

    def queries(self, stars: TwinStars) -> np.ndarray:
        """Where to search from, shape (n_stars, n_latent); see :meth:`points`."""
        factor = np.sqrt((self.beta + 1) / (2 * self.beta + 1))
        return stars.z @ (self.basis * factor)

    def points(self, stars: TwinStars) -> np.ndarray:
        """Where stars lie, shape (n_stars, n_latent).

        Where all stars are equally noisy the ratio is, in the basis' coordinates x::

            LLR_ij = c_i - |q_i - p_j|^2 / 2,  q = sqrt((beta+1)/(2 beta+1)) x,
            p = beta / sqrt((2 beta+1)(beta+1)) x

        The nearest point to a query is its best twin. Query and point differ because a latent
        far from the mean is better evidence than one close to it.
        """
        factor = self.beta / np.sqrt((2 * self.beta + 1) * (self.beta + 1))
        return stars.z @ (self.basis * factor)

    # --- each star's own noise ------------------------------------------------
    def log_ratios(
        self,
        stars: TwinStars,
        rows: np.ndarray,
        columns: np.ndarray,
        n_columns: np.ndarray | None = None,
    ) -> np.ndarray:
        """Exact LLR [nat] of star ``rows[r]`` with stars ``columns[r]``.

        Parameters
        ----------
        stars : TwinStars
            From :meth:`stars`.
        rows : ndarray of int, shape (m,)
            One star of each pair.
        columns : ndarray of int, shape (m, k)
            Negative for none.
        n_columns : ndarray of int, shape (m,), optional
            How many of a row to compute; all without it.

        Returns
        -------
        ndarray, shape (m, k)
            NaN where there is no pair.
        """
        rows, columns = np.asarray(rows, np.int64), np.asarray(columns, np.int64)
        if n_columns is None:
            n_columns = np.full(len(rows), columns.shape[1])
        return pair_ratios(
            stars.z,
            stars.covariance,
            stars.marginal,
            self.within,
            self.between,
            rows,
            columns,
            n_columns.astype(np.int64),
        )

    def distances(self, stars: TwinStars, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        """Mahalanobis distance of z_i - z_j under "same composition", shape (m, k).

        Its square is chi-squared with n_latent degrees of freedom between true twins.
        """
        return pair_distances(
            stars.z,
            stars.covariance,
            self.within,
            np.asarray(rows, np.int64),
            np.asarray(columns, np.int64),
        )


def twin_probability(
    log_ratio: np.ndarray, n_stars: int, expected_twins: float = 1.0
) -> np.ndarray:
    """Probability that a pair shares a composition: sigmoid(LLR + log prior odds).

    Parameters
    ----------
    log_ratio : ndarray
        LLR [nat].
    n_stars : int
        Stars in the pool that is searched.
    expected_twins : float
        Twins that a star is expected to have there: prior odds are
        ``expected_twins / (n_stars - 1)``.

    Raises
    ------
    StarkinError
        If there are fewer than two stars or no twin is expected.
    """
    if n_stars < 2 or not expected_twins > 0:
        raise StarkinError(
            f"A twin probability needs two or more stars and expected_twins > 0, got {n_stars} "
            f"stars and {expected_twins:g}."
        )
    return expit(np.asarray(log_ratio) + np.log(expected_twins / (n_stars - 1)))


def usable_for_twins(latents: Latents) -> np.ndarray:
    """Stars that may have twins: encoded, with finite latents and noise; shape (n_stars,)."""
    finite = np.isfinite(latents.covariance).all(axis=tuple(range(1, latents.covariance.ndim)))
    return latents.usable & finite & ((latents.flags & Flag.NOT_ENCODED) == 0)


def noise_weights(covariance: np.ndarray) -> np.ndarray:
    """Weights of stars by the inverse of their noise's trace, summing to 1; shape (n,).

    So a few hopeless stars do not blur the metric of all others.
    """
    full = covariance.ndim == 3
    trace = np.einsum("nii->n", covariance) if full else covariance.sum(axis=1)
    trace = trace.astype(np.float64)
    if not (trace > 0).all():  # A model that claims no noise for a star: all count alike.
        return np.full(len(trace), 1 / len(trace))
    return 1 / trace / np.sum(1 / trace)


def typical_noise(covariance: np.ndarray) -> np.ndarray:
    """One matrix that stands for many, shape (d, d): their mean by :func:`noise_weights`."""
    mean = np.einsum("n,n...->...", noise_weights(covariance), covariance.astype(np.float64))
    return _symmetric(mean if covariance.ndim == 3 else np.diag(mean))


def _symmetric(matrix: np.ndarray) -> np.ndarray:
    matrix = np.asarray(matrix, dtype=np.float64)
    return np.ascontiguousarray((matrix + matrix.T) / 2)
