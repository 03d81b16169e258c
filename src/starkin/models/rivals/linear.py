"""What PCA, polynomial PCA and RSCA share: a linear-Gaussian model of spectra in closed form.

A star's spectrum is a polynomial in its conditions plus loadings times latents plus scatter
(:mod:`starkin.models.ppca`); the latents that users see are an affine map of the model's own.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Mapping
from typing import Self

import numpy as np
import torch
from astropy.table import Table
from sklearn.preprocessing import PolynomialFeatures
from torch import Tensor

from ...io.latents import Latents
from ...spectra import SpectrumSet, StarkinError
from ...spectra.flags import Flag
from .. import training
from ..base import Decoded, Progress
from ..inputs import Inputs, PreparedInputs, few_of, split_rows
from ..ppca import PPCA, Posterior, Source, fit_mean, fit_ppca, infer, principal_axes
from ..stored_model import StoredModel
from .linear_config import PCAConfig

__all__ = ["LinearModel"]

#: Stars from which the usual distances are learnt, at most.
_CALIBRATION_STARS = 5000


class LinearModel(StoredModel):
    """Fit, encode, decode, sample and score of the linear models."""

    config: PCAConfig
    _model: PPCA
    #: y = ``_map`` · (z − ``_origin``): from the model's latents to the user's.
    _map: Tensor
    _origin: Tensor
    #: Median and spread of the distance's deviation from χ², and the largest usual |z|².
    _usual: np.ndarray

    @property
    def degree(self) -> int:
        return int(getattr(self.config, "degree", 0))

    # --- training -----------------------------------------------------------
    def fit(
        self,
        train: SpectrumSet,
        validation: SpectrumSet | None = None,
        *,
        seed: int = 0,
        checkpoint: str | os.PathLike[str] | None = None,
        checkpoint_seconds: float = 30.0,
        progress: Progress | None = None,
    ) -> Self:
        """Fit in closed form, or by a few passes of EM.

        There is nothing to resume: a fit that was killed starts anew and gives the same
        bits, so ``checkpoint`` is not written. ``seed`` decides what is held out.
        """
        started = time.perf_counter()
        train, rows, held_out_set, held_out = split_rows(
            train, validation, self.conditions, self.config.validation_fraction, seed
        )
        if self.config.n_latent >= min(len(rows), train.n_pixels):
            raise StarkinError(
                f"{type(self.config).__name__}.n_latent is {self.config.n_latent}, but there are "
                f"only {len(rows)} training stars of {train.n_pixels} pixels; take fewer."
            )
        inputs = Inputs.fit(train, rows, self.conditions)
        prepared = inputs.prepare(train)
        with training.explicit_threads(self.threads):
            source = self._source(prepared)
            self._model, history = self._fit_ppca(rows, source, prepared, seed, progress)
            self._map, self._origin = self._latent_map(train, rows, source, seed)
            few = few_of(rows, _CALIBRATION_STARS)
            self._usual = _usual(self._posterior(few, source))
            metrics = self._metrics(inputs.prepare(held_out_set), held_out)
        seconds = time.perf_counter() - started
        card = self._provenance(train.fingerprint, len(rows), len(held_out), seed)
        card["metrics"] = metrics
        card["history"] = {"log_likelihood": history, "seconds": seconds}
        self._adopt(train.grid, inputs, card)
        return self

    def _fit_ppca(
        self,
        rows: np.ndarray,
        source: Source,
        prepared: PreparedInputs,
        seed: int,
        progress: Progress | None,
    ) -> tuple[PPCA, list[float]]:
        config = self.config
        mean = fit_mean(rows, source, device=self.device)
        if not config.weighted and not prepared.prepared.mask[rows].any():
            axes, variances, rest = principal_axes(rows, source, mean, config.n_latent, seed=seed)
            rest = max(rest, 1e-12 * float(variances[0]))
            return PPCA(mean, axes * torch.sqrt((variances - rest).clamp(min=1e-30)), rest), []

        def told(done: int, value: float) -> None:
            if progress is not None:
                progress(done, config.iterations, f"log-likelihood {value:.3f} nat/star")

        return fit_ppca(
            rows,
            source,
            mean,
            config.n_latent,
            iterations=config.iterations,
            tolerance=config.tolerance,
            seed=seed,
            device=self.device,
            progress=told,
        )

    def _latent_map(
        self, train: SpectrumSet, rows: np.ndarray, source: Source, seed: int
    ) -> tuple[Tensor, Tensor]:
        """The map to the user's latents, and its origin."""
        squared = (self._model.loadings**2).sum(0).cpu()
        scale = torch.ones_like(squared)
        if not self.config.weighted and self.config.whiten:
            # A score's variance over the stars is the factor's and the scatter's together.
            scale = torch.sqrt(squared / (squared + self._model.variance))
        elif not self.config.whiten:
            scale = torch.sqrt(squared)
        return torch.diag(scale), torch.zeros_like(scale)

    def _source(self, prepared: PreparedInputs) -> Source:
        def source(rows: np.ndarray) -> tuple[Tensor, Tensor | None, Tensor | None, Tensor]:
            x, sigma, used = prepared.tensors(rows)
            features = torch.from_numpy(self._features(prepared.u[rows]))
            return x, sigma if self.config.weighted else None, used, features

        return source

    def _features(self, u: np.ndarray) -> np.ndarray:
        """All powers and products of the standardised conditions up to the degree, 1 first."""
        if not self.degree:
            return np.ones((len(u), 1))
        return PolynomialFeatures(self.degree).fit_transform(u)

    def _posterior(self, rows: np.ndarray, source: Source) -> Posterior:
        prior = 1.0 if self.config.weighted else 0.0
        return infer(self._model, rows, source, prior=prior, device=self.device)

    def _metrics(self, prepared: PreparedInputs, rows: np.ndarray) -> dict[str, float]:
        source = self._source(prepared)
        found = self._posterior(rows, source)
        squares, count = 0.0, 0
        scale = torch.tensor(prepared.prepared.standardiser.scale)
        for start in range(0, len(rows), 1024):
            x, _, used, features = source(rows[start : start + 1024])
            z = found.mean[start : start + 1024]
            residual = (x - self._values(features, z)) * scale
            if used is not None:
                residual = residual * used
            squares += float((residual**2).sum())
            count += residual.numel() if used is None else int(used.sum())
        return {
            "mse": squares / count,
            "log_likelihood": float(found.log_likelihood.mean()),
            "scatter": math.sqrt(self._model.variance),
        }

    def _values(self, features: Tensor, z: Tensor) -> Tensor:
        """Expected values at the model's own latents, in its own unit."""
        return features @ self._model.coefficients.cpu().T + z @ self._model.loadings.cpu().T

    # --- what it is for -------------------------------------------------------
    def encode(self, spectra: SpectrumSet) -> Latents:
        """Posterior mean and covariance of each star's latents; labels travel along."""
        prepared = self._prepare(spectra)
        with training.explicit_threads(self.threads):
            found = self._posterior(np.arange(len(spectra)), self._source(prepared))
        far = (found.mean**2).sum(1).numpy() > self._usual[2]
        prepared.flags[far & ~prepared.lost] |= Flag.FAR_FROM_TRAINING
        mean = (found.mean - self._origin) @ self._map.T
        covariance = self._map @ found.covariance @ self._map.T
        return self._latents(prepared, mean.numpy(), covariance.numpy())

    def decode(self, latents: np.ndarray, conditions: np.ndarray | None = None) -> Decoded:
        """Spectra at latents and conditions, and the scatter that is not explained."""
        y = torch.from_numpy(self._check_latents(latents, len(self._map)))
        told = self._standardised(conditions, len(y))
        features = torch.from_numpy(self._features(told))
        z = torch.linalg.solve(self._map, y.T).T + self._origin
        standardiser = self.inputs.preprocessing.standardiser
        values = self._values(features, z).numpy() * standardiser.scale + standardiser.mean
        scatter = math.sqrt(self._model.variance) * standardiser.scale
        return Decoded(values, np.broadcast_to(scatter, values.shape))

    def sample(self, n: int, *, seed: int = 0) -> SpectrumSet:
        """New stars: latents from their prior, conditions evenly over the trained range.

        There is no measurement noise; ``errors`` holds the scatter that was drawn from.
        """
        generator = np.random.default_rng(seed)
        z = torch.from_numpy(generator.standard_normal((n, len(self._map))))
        y = ((z - self._origin) @ self._map.T).numpy()
        return self._drawn(y, generator)

    def score(self, spectra: SpectrumSet) -> Table:
        """log p(x) of the values a star has, and how far its χ² lies above what is usual.

        The outlier score is the deviation of the squared Mahalanobis distance from the
        number of values, in its own standard deviation √(2n), less its median over the
        training stars and in units of their robust spread.
        """
        prepared = self._prepare(spectra)
        with training.explicit_threads(self.threads):
            found = self._posterior(np.arange(len(spectra)), self._source(prepared))
        median, spread, _ = self._usual
        outlier = (_deviation(found) - median) / spread
        return self._score_table(prepared, found.log_likelihood.numpy(), outlier)

    # --- as a directory ---------------------------------------------------------
    def _weights(self) -> dict[str, Tensor]:
        return {
            "coefficients": self._model.coefficients,
            "loadings": self._model.loadings,
            "variance": torch.tensor(self._model.variance, dtype=torch.float64),
            "map": self._map,
            "origin": self._origin,
        }

    def _transform(self) -> dict[str, np.ndarray]:
        return {"usual": self._usual}

    def _restore(self, weights: Mapping[str, Tensor], transform: Mapping[str, np.ndarray]) -> None:
        self._model = PPCA(weights["coefficients"], weights["loadings"], float(weights["variance"]))
        self._map, self._origin = weights["map"], weights["origin"]
        self._usual = transform["usual"]


def _deviation(found: Posterior) -> np.ndarray:
    n = found.n_used.clamp(min=1)
    return ((found.distance - n) / torch.sqrt(2 * n)).numpy()


def _usual(found: Posterior) -> np.ndarray:
    deviation = _deviation(found)
    median = np.median(deviation)
    spread = max(1e-6, 1.4826 * float(np.median(np.abs(deviation - median))))
    radius = (found.mean**2).sum(1).numpy()
    return np.array([median, spread, 1.5 * np.quantile(radius, 0.999)])
