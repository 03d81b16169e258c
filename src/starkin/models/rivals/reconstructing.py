"""What models without a density of spectra share: scatter, scores and samples from a round trip."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping

import numpy as np
import torch
from astropy.table import Table
from torch import Tensor

from ...spectra import SpectrumSet
from .. import training
from ..inputs import PreparedInputs, Rows
from ..stored_model import StoredModel

__all__ = ["CALIBRATION_STARS", "CHUNK", "ReconstructingModel"]

#: Stars computed on at a time.
CHUNK = 2048
#: Stars from which the scatter and the usual scores are learnt, at most.
CALIBRATION_STARS = 5000


class ReconstructingModel(StoredModel):
    """A deterministic encoder, judged by what its spectra look like after a round trip.

    A subclass trains, then calls :meth:`_calibrate` on some training stars.
    """

    #: Unexplained scatter of each pixel, in the scaled flux.
    _scatter: np.ndarray
    #: Median and spread of the χ²'s deviation; mean and covariance of the latents, and the
    #: largest usual distance from that mean.
    _usual: np.ndarray
    _latent_mean: np.ndarray
    _latent_covariance: np.ndarray

    @abstractmethod
    def _latent_means(self, prepared: PreparedInputs, rows: np.ndarray) -> Tensor:
        """Latents of some stars, on the CPU."""

    @abstractmethod
    def _reconstructed(self, prepared: PreparedInputs, rows: np.ndarray) -> Tensor:
        """Scaled spectra of some stars after a round trip, on the CPU."""

    def _residuals(self, prepared: PreparedInputs, rows: np.ndarray) -> tuple[Tensor, ...]:
        """x − x̂, σ and what is used of a chunk of stars."""
        x, sigma, used = prepared.tensors(rows)
        used = torch.ones_like(x, dtype=torch.bool) if used is None else used
        return (x - self._reconstructed(prepared, rows)) * used, sigma, used

    def _calibrate(self, prepared: PreparedInputs, rows: np.ndarray) -> None:
        squares = noise = count = torch.zeros(prepared.spectra.n_pixels, dtype=torch.float64)
        for start in range(0, len(rows), CHUNK):
            left, sigma, used = self._residuals(prepared, rows[start : start + CHUNK])
            squares = squares + (left**2).double().sum(0)
            noise = noise + (sigma**2 * used).double().sum(0)
            count = count + used.double().sum(0)
        mean = squares / count.clamp(min=1)
        # At least a thousandth of the residuals, where the errors alone explain them.
        variance = torch.maximum(mean - noise / count.clamp(min=1), 1e-6 * mean).clamp(min=1e-16)
        self._scatter = np.sqrt(variance.numpy())
        z = self._latent_means(prepared, rows).double().numpy()
        self._latent_mean = z.mean(0)
        spread = np.atleast_2d(np.cov(z.T))
        self._latent_covariance = spread + 1e-9 * np.trace(spread) / len(spread) * np.eye(
            len(spread)
        )
        deviation, _ = self._deviation(prepared, rows)
        median = np.median(deviation)
        spread_of = max(1e-6, 1.4826 * float(np.median(np.abs(deviation - median))))
        self._usual = np.array([median, spread_of, 1.5 * np.quantile(self._radius(z), 0.999)])

    def _radius(self, z: np.ndarray) -> np.ndarray:
        away = z - self._latent_mean
        return np.einsum("ni,ni->n", away, np.linalg.solve(self._latent_covariance, away.T).T)

    def _deviation(self, prepared: PreparedInputs, rows: np.ndarray) -> tuple[np.ndarray, ...]:
        """(χ² − n)/√(2n) and log-likelihood of the reconstruction of each star."""
        deviations, likelihoods = [], []
        own = torch.from_numpy(self._scatter.astype(np.float32)) ** 2
        for start in range(0, len(rows), CHUNK):
            left, sigma, used = self._residuals(prepared, rows[start : start + CHUNK])
            variance = sigma**2 + own
            chi2 = (left**2 / variance).double().sum(1)
            n = used.double().sum(1).clamp(min=1)
            deviations.append((chi2 - n) / torch.sqrt(2 * n))
            logs = (torch.log(2 * torch.pi * variance) * used).double().sum(1)
            likelihoods.append(-0.5 * (chi2 + logs))
        return torch.cat(deviations).numpy(), torch.cat(likelihoods).numpy()

    def _mse(self, prepared: PreparedInputs, rows: np.ndarray) -> float:
        scale = torch.tensor(prepared.prepared.standardiser.scale)
        squares = count = 0.0
        for start in range(0, len(rows), CHUNK):
            left, _, used = self._residuals(prepared, rows[start : start + CHUNK])
            squares += float(((left * scale) ** 2).sum())
            count += float(used.sum())
        return squares / count

    def _level(self, prepared: PreparedInputs, rows: Rows) -> Tensor:
        """Mean σ² of the values used, times n_pixels/n_used: less is known of a masked star."""
        _, sigma, used = prepared.tensors(rows)
        squares = (sigma**2).double()
        if used is None:
            return squares.mean(1)
        n = used.double().sum(1).clamp(min=1)
        return (squares * used).sum(1) / n * (used.shape[1] / n)

    def sample(self, n: int, *, seed: int = 0) -> SpectrumSet:
        """New stars: latents from the normal distribution of the training stars' latents.

        Conditions are even over the trained range. There is no measurement noise;
        ``errors`` holds the scatter that was drawn from.
        """
        _ = self.inputs
        generator = np.random.default_rng(seed)
        z = generator.multivariate_normal(self._latent_mean, self._latent_covariance, size=n)
        return self._drawn(z, generator)

    def score(self, spectra: SpectrumSet) -> Table:
        """log-likelihood of each star's *reconstruction*, and its χ² beside what is usual.

        An autoencoder has no density of its spectra: this is that of a normal distribution
        about the reconstruction, with the errors and the scatter of each pixel.
        """
        prepared = self._prepare(spectra)
        with training.explicit_threads(self.threads):
            deviation, log_likelihood = self._deviation(prepared, np.arange(len(spectra)))
        median, spread, _ = self._usual
        return self._score_table(prepared, log_likelihood, (deviation - median) / spread)

    # --- for a subclass's part of the directory -----------------------------------
    def _calibration(self) -> dict[str, np.ndarray]:
        """What :meth:`_calibrate` has learnt, for ``transform.npz``."""
        return {
            "scatter": self._scatter,
            "usual": self._usual,
            "latent_mean": self._latent_mean,
            "latent_covariance": self._latent_covariance,
        }

    def _restore_calibration(self, transform: Mapping[str, np.ndarray]) -> None:
        self._scatter, self._usual = transform["scatter"], transform["usual"]
        self._latent_mean = transform["latent_mean"]
        self._latent_covariance = transform["latent_covariance"]
