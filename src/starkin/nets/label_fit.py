"""Labels of many stars at once: damped Gauss–Newton with masks, errors and a prior.

For a spectrum x with noise covariance K, a model f(θ) and a Gaussian prior N(μ, P⁻¹), the
posterior is highest where

    |L⁻¹(x − f(θ))|² + (θ − μ)ᵀ P (θ − μ),     K = L Lᵀ,

is least. Each star takes steps of Levenberg (1944) and Marquardt (1963) with a damping of its
own, and stops by itself: a star's labels do not depend on which others are fitted with it.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from copy import copy
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = [
    "CorrelatedNoise",
    "IndependentNoise",
    "LabelFit",
    "Noise",
    "Prior",
    "best_start",
    "fit_labels",
    "value_and_jacobian",
]

#: Maps labels, shape (n_stars, n_labels), to spectra, shape (n_stars, n_pixels), row by row.
Predict = Callable[[Tensor], Tensor]

_ITERATIONS = 120
_DAMPING = 1e-3
_MOST_DAMPING = 1e8
#: A step below this part of a posterior standard deviation ends a star's fit …
_TOLERANCE = 1e-3
#: … and so does one that lowers χ² by no more than this: half of it is a probability's logarithm.
_NO_GAIN = 1e-5
#: Of a derivative, in standardised labels.
_STEP = 1e-4
_LOG_2PI = math.log(2 * math.pi)


class Noise(ABC):
    """What whitens residuals: K = L Lᵀ of each star, without its masked pixels."""

    n_used: Tensor  # shape (n_stars,)
    weight: Tensor  # inverse variances, correlations left aside; shape (n_stars, n_pixels)

    @abstractmethod
    def whiten(self, columns: Tensor) -> Tensor:
        """L⁻¹ of columns of shape (n_stars, n_pixels, k); masked pixels give 0."""

    @abstractmethod
    def log_determinant(self) -> Tensor:
        """log |K| over the pixels used, shape (n_stars,)."""

    def __getitem__(self, rows: Tensor) -> Noise:
        """That of some of the stars."""
        part = copy(self)
        for name, tensor in vars(self).items():
            setattr(part, name, tensor[rows])
        return part


class IndependentNoise(Noise):
    """Errors of one pixel know nothing of the next.

    Parameters
    ----------
    variance : Tensor, shape (n_stars, n_pixels)
    used : Tensor of bool, shape (n_stars, n_pixels)
        False where masked.
    """

    def __init__(self, variance: Tensor, used: Tensor) -> None:
        self.weight = used / variance
        self.n_used = used.sum(1)
        self._root = self.weight.sqrt()[:, :, None]
        self._log_determinant = (torch.log(variance) * used).sum(1)

    def whiten(self, columns: Tensor) -> Tensor:
        return columns * self._root

    def log_determinant(self) -> Tensor:
        return self._log_determinant


class CorrelatedNoise(Noise):
    """Full covariance of each star.

    Parameters
    ----------
    covariance : Tensor, shape (n_stars, n_pixels, n_pixels)
        Positive definite over the pixels used.
    used : Tensor of bool, shape (n_stars, n_pixels)
        False where masked: such rows and columns are left out, whatever stands there.
    """

    def __init__(self, covariance: Tensor, used: Tensor) -> None:
        both = used[:, :, None] & used[:, None, :]
        kept = torch.where(both, covariance, 0.0)
        kept = kept + torch.diag_embed((~used).to(covariance))
        self._used = used[:, :, None]
        self._factor = torch.linalg.cholesky(kept)
        self.n_used = used.sum(1)
        self.weight = used / torch.diagonal(kept, dim1=1, dim2=2)

    def whiten(self, columns: Tensor) -> Tensor:
        return torch.linalg.solve_triangular(self._factor, columns * self._used, upper=False)

    def log_determinant(self) -> Tensor:
        return 2 * torch.diagonal(self._factor, dim1=1, dim2=2).log().sum(1)


@dataclass(frozen=True)
class Prior:
    """Independent normal distributions of the labels.

    Attributes
    ----------
    mean, precision : Tensor, shape (n_stars, n_labels)
        A precision of 0 leaves a label free.
    """

    mean: Tensor
    precision: Tensor

    def __getitem__(self, rows: Tensor) -> Prior:
        """That of some of the stars."""
        return Prior(self.mean[rows], self.precision[rows])

    def misfit(self, labels: Tensor) -> Tensor:
        """(θ − μ)ᵀ P (θ − μ), shape (n_stars,)."""
        return ((labels - self.mean) ** 2 * self.precision).sum(1)


@dataclass(frozen=True)
class LabelFit:
    """Most probable labels.

    Attributes
    ----------
    labels : Tensor, shape (n_stars, n_labels)
    covariance : Tensor, shape (n_stars, n_labels, n_labels)
        Inverse of JᵀK⁻¹J + P there.
    chi2 : Tensor, shape (n_stars,)
        Of the spectrum, the prior left aside.
    log_evidence : Tensor, shape (n_stars,)
        Laplace's approximation to log p(x) [nat]; the prior must be proper.
    converged : Tensor of bool, shape (n_stars,)
    """

    labels: Tensor
    covariance: Tensor
    chi2: Tensor
    log_evidence: Tensor
    converged: Tensor


def value_and_jacobian(predict: Predict, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Spectra (n_stars, n_pixels) and derivatives (n_stars, n_pixels, n_labels).

    Central differences: labels are standardised, so one step suits them all, and in double
    precision its error is 1e-8 of a typical derivative (tested against forward-mode
    differentiation, which takes eight times as long for networks as small as these).
    """
    n, d = labels.shape
    steps = _STEP * torch.eye(d).to(labels).repeat_interleave(n, dim=0)
    around = torch.cat([steps, -steps, torch.zeros_like(labels)]) + labels.repeat(2 * d + 1, 1)
    spectra = predict(around)
    above, below, value = spectra.split([d * n, d * n, n])
    jacobian = (above - below) / (2 * _STEP)
    return value, jacobian.reshape(d, n, -1).permute(1, 2, 0)


def best_start(predict: Predict, x: Tensor, noise: Noise, starts: Tensor) -> Tensor:
    """For each star the one of several sets of labels with the least χ².

    Correlations are left aside, so that all stars and starts are two matrix products.

    Parameters
    ----------
    predict : callable
        Labels to spectra.
    x : Tensor, shape (n_stars, n_pixels)
        Spectra; finite where masked.
    noise : Noise
        Of the same stars.
    starts : Tensor, shape (n_starts, n_labels)
        Candidates.

    Returns
    -------
    Tensor, shape (n_stars, n_labels)
    """
    candidates = predict(starts)
    misfit = noise.weight @ (candidates**2).T - 2 * (noise.weight * x) @ candidates.T
    return starts[misfit.argmin(dim=1)]


def fit_labels(predict: Predict, x: Tensor, noise: Noise, prior: Prior, start: Tensor) -> LabelFit:
    """Most probable labels of each star.

    Parameters
    ----------
    predict : callable
        Labels to spectra, row by row and smoothly.
    x : Tensor, shape (n_stars, n_pixels)
        Spectra; finite where masked. In double precision, like all the rest.
    noise : Noise
        Of the same stars.
    prior : Prior
        Without it a star with fewer pixels than labels has no answer.
    start : Tensor, shape (n_stars, n_labels)
        Where to begin.
    """

    labels = start.clone()
    running = torch.arange(len(labels), device=labels.device)
    here = _Running(x, noise, prior, labels, torch.full_like(labels[:, 0], _DAMPING))
    for _ in range(_ITERATIONS):
        goes_on = here.step(predict)
        labels[running] = here.labels
        running, here = running[goes_on], here[goes_on]
        if not len(running):
            break
    converged = torch.ones_like(labels[:, 0], dtype=torch.bool)
    converged[running] = False
    value, jacobian = value_and_jacobian(predict, labels)
    residual = noise.whiten((x - value)[:, :, None])
    curvature, _ = _normal_equations(noise.whiten(jacobian), residual, prior, labels)
    factor = torch.linalg.cholesky(curvature)
    log_prior = torch.log(prior.precision).sum(1) - prior.misfit(labels)
    log_width = -2 * torch.diagonal(factor, dim1=1, dim2=2).log().sum(1)
    chi2 = (residual**2).sum((1, 2))
    log_evidence = 0.5 * (
        log_prior + log_width - chi2 - noise.log_determinant() - noise.n_used * _LOG_2PI
    )
    return LabelFit(labels, torch.cholesky_inverse(factor), chi2, log_evidence, converged)


@dataclass
class _Running:
    """Stars whose fits have not ended."""

    x: Tensor
    noise: Noise
    prior: Prior
    labels: Tensor
    damping: Tensor

    def __getitem__(self, rows: Tensor) -> _Running:
        parts = (self.x, self.noise, self.prior, self.labels, self.damping)
        return _Running(*(part[rows] for part in parts))  # type: ignore[arg-type]

    def step(self, predict: Predict) -> Tensor:
        """One step of each star; which of them go on, shape (n_stars,)."""
        value, jacobian = value_and_jacobian(predict, self.labels)
        residual, cost = self._misfit(self.labels, value)
        curvature, slope = _normal_equations(
            self.noise.whiten(jacobian), residual, self.prior, self.labels
        )
        diagonal = torch.diagonal(curvature, dim1=1, dim2=2)
        damped = curvature + torch.diag_embed(self.damping[:, None] * diagonal)
        step = torch.linalg.solve(damped, slope)
        trial = self.labels + step
        gain = cost - self._misfit(trial, predict(trial))[1]
        better = gain > 0
        self.labels = torch.where(better[:, None], trial, self.labels)
        # A step too small to matter ends the fit, taken or not; so does a damping without end.
        moved = (step**2 * diagonal).sum(1).sqrt()
        stuck = torch.where(better, gain <= _NO_GAIN, self.damping >= _MOST_DAMPING)
        factor = torch.where(better, 0.1, 10.0).to(self.damping)
        self.damping = (self.damping * factor).clamp(1e-12, _MOST_DAMPING)
        return (moved > _TOLERANCE) & ~stuck

    def _misfit(self, labels: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        residual = self.noise.whiten((self.x - value)[:, :, None])
        return residual, (residual**2).sum((1, 2)) + self.prior.misfit(labels)


def _normal_equations(
    jacobian: Tensor, residual: Tensor, prior: Prior, labels: Tensor
) -> tuple[Tensor, Tensor]:
    """AᵀA + P and Aᵀr − P(θ − μ) of a whitened Jacobian and residual.

    A trace of the identity keeps the matrix invertible where neither data nor prior speak.
    """
    precision = torch.diag_embed(prior.precision + 1e-12)
    curvature = jacobian.transpose(1, 2) @ jacobian + precision
    slope = (jacobian.transpose(1, 2) @ residual)[:, :, 0] - prior.precision * (labels - prior.mean)
    return curvature, slope
