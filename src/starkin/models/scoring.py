"""What a trained scatter VAE says of a star and of its own latents.

log p(x) is estimated by importance sampling (Burda et al. 2016) with a defensive
mixture: half of the draws from q(z | x), half from the same Gaussian twice as wide,
so that a posterior that is too narrow does not ruin the estimate. The draws are one
fixed set for every star: a star's score does not depend on its neighbours in a batch.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Self

import numpy as np
import torch
from torch import Tensor

from ..nets import ScatterNetwork
from ..nets.likelihood import log_likelihood
from .preprocessing import Standardised

__all__ = [
    "Calibration",
    "LatentActivity",
    "Scores",
    "calibrate",
    "held_out_metrics",
    "latent_activity",
    "log_evidence",
    "score",
]

_CHUNK = 1024
_N_SAMPLES = 32
_WIDE = 2.0
_N_BINS = 20
_LOG_2PI = math.log(2 * math.pi)


@dataclass(frozen=True)
class LatentActivity:
    """Whether each latent dimension is used.

    Attributes
    ----------
    variance : ndarray, shape (n_latent,)
        Variance over stars of the posterior mean (Burda et al. 2016; dead below 0.01).
    sensitivity : ndarray, shape (n_latent,)
        Mean over stars of the χ² between x̂(z) and x̂ with this latent at its average.
    kl : ndarray, shape (n_latent,)
        Mean KL of the marginal posterior from the prior [nat].
    """

    variance: np.ndarray
    sensitivity: np.ndarray
    kl: np.ndarray

    @property
    def active(self) -> np.ndarray:
        """Variance above 0.01 and a mean effect on the spectrum above χ² = 1."""
        return (self.variance > 0.01) & (self.sensitivity > 1.0)


@torch.no_grad()
def latent_activity(
    network: ScatterNetwork, data: Standardised, device: str = "cpu"
) -> LatentActivity:
    """Use of each latent over a set of spectra."""
    posteriors = [
        network.posterior(*(t.to(device) for t in data[i : i + 8192].tensors))
        for i in range(0, len(data), 8192)
    ]
    mean = torch.cat([p.mean for p in posteriors])
    kl = torch.cat([p.kl_per_dimension() for p in posteriors]).double().mean(0)
    average = mean.mean(0)
    sensitivity = torch.zeros(mean.shape[1], dtype=torch.float64)
    for start in range(0, len(data), 8192):
        z = mean[start : start + 8192]
        _, sigma, used = (t.to(device) for t in data[start : start + 8192].tensors)
        x_hat, scatter_variance = network.decode(z)
        weight = used / (scatter_variance + sigma**2)
        for i in range(z.shape[1]):
            without = z.clone()
            without[:, i] = average[i]
            change = ((network.decode(without)[0] - x_hat) ** 2 * weight).sum(1)
            sensitivity[i] += float(change.double().sum()) / len(data)
    variance = mean.double().var(0, correction=0)
    return LatentActivity(variance.cpu().numpy(), sensitivity.numpy(), kl.cpu().numpy())


def held_out_metrics(
    network: ScatterNetwork, data: Standardised, device: str = "cpu"
) -> dict[str, float | int | list[float]]:
    """What a model card says of the validation set."""
    activity = latent_activity(network, data, device)
    return {
        "active_units": int(activity.active.sum()),
        "latent_variance": activity.variance.tolist(),
        "latent_sensitivity": activity.sensitivity.tolist(),
        "latent_kl": activity.kl.tolist(),
        "log_likelihood": float(log_evidence(network, data, device).double().mean()),
    }


@torch.no_grad()
def log_evidence(
    network: ScatterNetwork,
    data: Standardised,
    device: str = "cpu",
    *,
    n_samples: int = _N_SAMPLES,
    seed: int = 0,
) -> Tensor:
    """log p(x) of standardised spectra [nat], with the 2π terms; shape (n_stars,).

    Only the coefficients a star has are counted; a star without any has 0.
    """
    d = network.n_latent
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn((n_samples, d), generator=generator)
    noise[n_samples // 2 :] *= _WIDE
    narrow = -0.5 * (noise**2).sum(1)
    wide = -0.5 * ((noise / _WIDE) ** 2).sum(1) - d * math.log(_WIDE)
    log_mixture = torch.logaddexp(narrow, wide) - math.log(2) - 0.5 * d * _LOG_2PI
    noise, log_mixture = noise.to(device), log_mixture.to(device)
    pieces = []
    for start in range(0, len(data), _CHUNK):
        x, sigma, used = (t.to(device) for t in data[start : start + _CHUNK].tensors)
        posterior = network.posterior(x, sigma, used)
        scale = posterior.scale_tril()
        log_q0 = -posterior.log_scale.sum(1)
        variance = sigma**2
        weights = []
        for k in range(n_samples):
            z = posterior.mean + scale @ noise[k]
            mean, scatter_variance = network.decode(z)
            log_prior = -0.5 * (z**2).sum(1) - 0.5 * d * _LOG_2PI
            fit = log_likelihood(x, mean, scatter_variance + variance, used)
            weights.append(fit + log_prior - log_q0 - log_mixture[k])
        estimate = torch.logsumexp(torch.stack(weights), dim=0) - math.log(n_samples)
        pieces.append(torch.where(used.any(1), estimate, 0.0).cpu())
    return torch.cat(pieces) if pieces else torch.empty(0)


@dataclass(frozen=True)
class Calibration:
    """What is usual among training stars; scores are measured against it.

    Attributes
    ----------
    scatter_variance : ndarray, shape (n_pixels,)
        Mean intrinsic variance.
    noise_level, surprise, spread : ndarray, shape (n_bins,)
        Median and robust standard deviation of the surprise, by noise level.
    radius, radius_spread : ndarray, scalar
        Median and robust standard deviation of |posterior mean|.
    latent_limit : ndarray, scalar
        Squared radius beyond which a star is flagged as far from training.
    """

    scatter_variance: np.ndarray
    noise_level: np.ndarray
    surprise: np.ndarray
    spread: np.ndarray
    radius: np.ndarray
    radius_spread: np.ndarray
    latent_limit: np.ndarray

    def to_arrays(self) -> dict[str, np.ndarray]:
        return {f.name: np.asarray(getattr(self, f.name)) for f in fields(self)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> Self:
        return cls(**arrays)


@dataclass(frozen=True)
class Scores:
    """One entry a star; NaN for a star without any coefficient.

    Attributes
    ----------
    log_likelihood : ndarray, shape (n_stars,)
        log p(x) of the standardised coefficients a star has [nat].
    outlier_score : ndarray, shape (n_stars,)
        In robust standard deviations above what is usual for stars of such errors.
    """

    log_likelihood: np.ndarray
    outlier_score: np.ndarray


def calibrate(
    network: ScatterNetwork, data: Standardised, device: str = "cpu", *, most: int = 20_000
) -> Calibration:
    """Learn what is usual from (at most ``most``, evenly picked) training stars."""
    if len(data) > most:
        data = data[torch.linspace(0, len(data) - 1, most).long()]
    mean = _posterior_mean(network, data, device)
    with torch.no_grad():
        chunks = [network.decode(z.to(device))[1].double().sum(0) for z in mean.split(8192)]
    scatter_variance = (torch.stack(chunks).sum(0) / len(data)).cpu().numpy()
    log_p = log_evidence(network, data, device).double().numpy()
    level, surprise = _surprise(data, log_p, scatter_variance)
    order = np.argsort(level)
    bins = np.array_split(order, min(_N_BINS, max(1, len(order) // 50)))
    radius = mean.norm(dim=1).double().numpy()
    return Calibration(
        scatter_variance=scatter_variance,
        noise_level=np.array([np.median(level[b]) for b in bins]),
        surprise=np.array([np.median(surprise[b]) for b in bins]),
        spread=np.array([_robust_spread(surprise[b]) for b in bins]),
        radius=np.array(np.median(radius)),
        radius_spread=np.array(_robust_spread(radius)),
        latent_limit=np.array(1.5 * np.quantile(radius**2, 0.999)),
    )


def score(
    network: ScatterNetwork,
    data: Standardised,
    calibration: Calibration | None,
    device: str = "cpu",
) -> Scores:
    """Log-likelihood and outlier score of each star.

    The outlier score is the larger of two deviations from the usual, each in robust
    standard deviations: of the surprise −log p(x), beyond what the errors of the
    star lead one to expect, and of the distance from the centre of the latent space.
    Without a calibration (an imported checkpoint) it is NaN.
    """
    log_p = log_evidence(network, data, device).double().numpy()
    empty = ~data.used.any(1).numpy()
    outlier = np.full(len(data), np.nan)
    if calibration is not None and len(data):
        level, surprise = _surprise(data, log_p, calibration.scatter_variance)
        usual = np.interp(level, calibration.noise_level, calibration.surprise)
        spread = np.interp(level, calibration.noise_level, calibration.spread)
        radius = _posterior_mean(network, data, device).norm(dim=1).double().numpy()
        outlier = np.maximum(
            (surprise - usual) / spread,
            (radius - calibration.radius) / calibration.radius_spread,
        )
    return Scores(np.where(empty, np.nan, log_p), np.where(empty, np.nan, outlier))


def _posterior_mean(network: ScatterNetwork, data: Standardised, device: str) -> Tensor:
    with torch.no_grad():
        pieces = [
            network.posterior(*(t.to(device) for t in data[i : i + 8192].tensors)).mean.cpu()
            for i in range(0, len(data), 8192)
        ]
    return torch.cat(pieces) if pieces else torch.empty((0, network.n_latent))


def _surprise(
    data: Standardised, log_p: np.ndarray, scatter_variance: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Noise level, and −log p less its expectation at that noise, in its own spread.

    Were the model exact and the scatter the same for all, −log p(x | z) would have the
    expectation ½Σ[1 + log 2πv] and the standard deviation √(n/2).
    """
    variance = data.sigma.double().numpy() ** 2 + scatter_variance
    used = data.used.numpy()
    n = np.maximum(used.sum(1), 1)
    expected = 0.5 * np.where(used, 1 + np.log(2 * np.pi * variance), 0).sum(1)
    return expected / n, (-log_p - expected) / np.sqrt(n / 2)


def _robust_spread(values: np.ndarray) -> float:
    """1.4826 times the median absolute deviation: σ of a normal distribution."""
    return max(1e-6, 1.4826 * float(np.median(np.abs(values - np.median(values)))))
