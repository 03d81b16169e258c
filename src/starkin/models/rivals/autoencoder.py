"""What the fader and FactorDis share: a conditional autoencoder trained against an adversary."""

from __future__ import annotations

import hashlib
import json
import os
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Self

import numpy as np
import torch
from astropy.table import Table
from torch import Tensor, nn

from ...io.latents import Latents
from ...nets.adversarial import Adversarial, ConditionalAutoencoder
from ...spectra import SpectrumSet
from ...spectra.flags import Flag
from .. import training
from ..base import Decoded, Progress
from ..compression import Compression
from ..inputs import Inputs, PreparedInputs, Rows, split_rows
from ..stored_model import StoredModel
from .autoencoder_config import AutoencoderConfig

__all__ = ["AdversarialAutoencoder"]

# The published scaling of normalised flux: 4·flux − 3.5.
_CENTRE, _SCALE = 0.875, 0.25
_CHUNK = 2048
#: Stars from which the scatter and the usual scores are learnt, at most.
_CALIBRATION_STARS = 5000


class AdversarialAutoencoder(StoredModel):
    """Training, encoding and directory of the adversarial autoencoders."""

    config: AutoencoderConfig
    _network: ConditionalAutoencoder
    _compression: Compression | None
    #: Unexplained scatter of each pixel, in the scaled flux.
    _scatter: np.ndarray
    #: Median and spread of the χ²'s deviation; mean and inverse covariance of the latents, and
    #: the largest usual distance from that mean.
    _usual: np.ndarray
    _latent_mean: np.ndarray
    _latent_covariance: np.ndarray

    @abstractmethod
    def _adversary(self, n_inputs: int) -> nn.Module | None:
        """A fresh adversary; None for none."""

    @abstractmethod
    def _loss(self, network: Adversarial, u: Tensor, n_pixels: int) -> training.Loss:
        """The loss of a batch (x, u[, used]); ``u`` is that of all training stars."""

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
        """Train on spectra with the conditions among their labels.

        Parameters
        ----------
        train, validation : SpectrumSet
            Without ``validation`` a seeded part of ``train`` is held out.
        seed : int
            Decides the split, the first weights, the order and all noise.
        checkpoint : path-like, optional
            File to resume from if it exists.
        checkpoint_seconds : float
            Least time between two checkpoints [s].
        progress : callable, optional
            Told of every epoch.
        """
        train, rows, held_out_set, held_out = split_rows(
            train, validation, self.conditions, self.config.validation_fraction, seed
        )
        inputs = Inputs.fit(train, rows, self.conditions, centre=_CENTRE, scale=_SCALE)
        identity = {
            "settings": self.config.to_dict(),
            "seed": seed,
            "train": train.fingerprint,
            "rows": hashlib.sha256(rows.tobytes()).hexdigest(),
        }
        self._inputs, self._compression = inputs, None
        with training.explicit_threads(self.threads):
            prepared = inputs.prepare(train)
            if self.config.components:
                count = min(self.config.components, train.n_pixels, len(rows) - 1)
                self._compression = Compression.fit(
                    prepared, rows, count, seed=seed, noise=self._noise()
                )
            data = self._tensors(prepared, rows)
            network = self._fresh(data[0].shape[1], seed)
            history = training.train(
                network,
                data,
                self._tensors(inputs.prepare(held_out_set), held_out),
                self._loss(network, data[1], train.n_pixels),
                self.config.training(),
                seed=seed,
                device=self.device,
                checkpoint=checkpoint,
                checkpoint_seconds=checkpoint_seconds,
                run_id=hashlib.sha256(json.dumps(identity).encode()).hexdigest()[:16],
                progress=progress,
            )
            self._network = network.autoencoder.eval()
            few = rows[np.unique(np.linspace(0, len(rows) - 1, _CALIBRATION_STARS).astype(int))]
            self._calibrate(prepared, few)
            mse = self._mse(inputs.prepare(held_out_set), held_out)
        card = self._provenance(train, len(rows), len(held_out), seed)
        card["metrics"] = {
            "mse": mse,
            "adversary_information": history.validation_kl[-1],
            "latent_variance": self._latent_covariance.diagonal().tolist(),
        }
        card["history"] = asdict(history)
        self._adopt(train.grid, inputs, card)
        return self

    def _fresh(self, n_inputs: int, seed: int) -> Adversarial:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return Adversarial(self._autoencoder(n_inputs), self._adversary(n_inputs))

    def _autoencoder(self, n_inputs: int) -> ConditionalAutoencoder:
        config = self.config
        return ConditionalAutoencoder(
            n_inputs,
            len(config.conditions),
            config.n_latent,
            config.encoder,
            config.decoder,
            None if self._compression is None else self._compression.size,
        )

    def _tensors(self, prepared: PreparedInputs, rows: np.ndarray) -> tuple[Tensor, ...]:
        """Network inputs and labels over −1..1 of some stars, and what is used of pixels."""
        x, used = self._seen(prepared, rows)
        u = self._over_range(prepared.u[rows])
        if self._compression is not None:
            return x, u
        return x, u, torch.ones_like(x, dtype=torch.bool) if used is None else used

    def _seen(self, prepared: PreparedInputs, rows: np.ndarray) -> tuple[Tensor, Tensor | None]:
        if self._compression is not None:
            return self._compression.scores(prepared, rows), None
        x, _, used = prepared.tensors(rows)
        return x, used

    def _seen_noisy(self, x: Tensor, generator: torch.Generator) -> Tensor | None:
        """What the encoder sees in training: half of the stars with white noise, of random size.

        White noise of pixels is white along orthonormal axes: one rule serves both recipes.
        """
        if not self.config.added_noise or not torch.is_grad_enabled():
            return None
        draw = 2 * torch.rand((len(x), 1), generator=generator, device=generator.device) - 1
        noise = torch.randn(x.shape, generator=generator, device=generator.device)
        return x + self._noise() * draw.clamp(min=0) * noise

    def _noise(self) -> float:
        """``added_noise`` in the network's unit: that of XP is a standard deviation already."""
        scale = self.inputs.preprocessing.standardiser.scale
        return self.config.added_noise / (float(scale[0]) if np.ptp(scale) == 0 else 1.0)

    def _over_range(self, u: np.ndarray) -> Tensor:
        """Standardised conditions moved to −1..1 over the range of the training stars."""
        told = self.inputs.conditions
        assert told is not None
        low, high = (told.low - told.centre) / told.scale, (told.high - told.centre) / told.scale
        return torch.from_numpy((2 * (u - low) / (high - low) - 1).astype(np.float32))

    # --- what follows from the trained network --------------------------------
    @torch.no_grad()
    def _encode(self, prepared: PreparedInputs, rows: np.ndarray) -> tuple[Tensor, Tensor, Tensor]:
        """Latents, network inputs and labels of some stars."""
        x, _ = self._seen(prepared, rows)
        u = self._over_range(prepared.u[rows])
        z = [
            self._network.encode(
                x[i : i + _CHUNK].to(self.device), u[i : i + _CHUNK].to(self.device)
            )
            for i in range(0, len(rows), _CHUNK)
        ]
        return torch.cat(z).cpu() if z else torch.empty((0, self.config.n_latent)), x, u

    @torch.no_grad()
    def _decode(self, z: Tensor, u: Tensor) -> Tensor:
        """Expected spectra in the scaled flux."""
        found = self._network.decode(z.to(self.device), u.to(self.device)).cpu()
        return found if self._compression is None else self._compression.restore(found)

    def _residuals(self, prepared: PreparedInputs, rows: np.ndarray) -> tuple[Tensor, ...]:
        """x − x̂, σ and what is used of a chunk of stars."""
        z, _, u = self._encode(prepared, rows)
        x, sigma, used = prepared.tensors(rows)
        used = torch.ones_like(x, dtype=torch.bool) if used is None else used
        return (x - self._decode(z, u)) * used, sigma, used

    def _calibrate(self, prepared: PreparedInputs, rows: np.ndarray) -> None:
        squares = noise = count = torch.zeros(prepared.spectra.n_pixels, dtype=torch.float64)
        for start in range(0, len(rows), _CHUNK):
            left, sigma, used = self._residuals(prepared, rows[start : start + _CHUNK])
            squares = squares + (left**2).double().sum(0)
            noise = noise + (sigma**2 * used).double().sum(0)
            count = count + used.double().sum(0)
        mean = squares / count.clamp(min=1)
        # At least a thousandth of the residuals, where the errors alone explain them.
        variance = torch.maximum(mean - noise / count.clamp(min=1), 1e-6 * mean).clamp(min=1e-16)
        self._scatter = np.sqrt(variance.numpy())
        z = self._encode(prepared, rows)[0].double().numpy()
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
        for start in range(0, len(rows), _CHUNK):
            left, sigma, used = self._residuals(prepared, rows[start : start + _CHUNK])
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
        for start in range(0, len(rows), _CHUNK):
            left, _, used = self._residuals(prepared, rows[start : start + _CHUNK])
            squares += float(((left * scale) ** 2).sum())
            count += float(used.sum())
        return squares / count

    def _input_noise(self) -> Tensor:
        """Covariance (or its diagonal) of the network's inputs under white noise."""
        if self._compression is None:
            return torch.ones(len(self._scatter), device=self.device)
        return (self._compression.axes.T @ self._compression.axes).to(self.device)

    # --- what it is for -------------------------------------------------------
    def encode(self, spectra: SpectrumSet) -> Latents:
        """Latents, with the covariance that the errors have after the encoder, to first order.

        The errors of a star are taken as white, at their mean square over the values used.
        """
        prepared = self._prepare(spectra)
        rows = np.arange(len(spectra))
        covariance = torch.empty((len(rows), self.config.n_latent, self.config.n_latent))
        mean = torch.empty((len(rows), self.config.n_latent))
        with training.explicit_threads(self.threads):
            noise = self._input_noise()
            for start in range(0, len(rows), _CHUNK):
                some = rows[start : start + _CHUNK]
                z, x, u = self._encode(prepared, some)
                mean[some] = z
                found = self._network.latent_covariance(
                    x.to(self.device), u.to(self.device), noise
                ).cpu()
                found = found * self._level(prepared, some)[:, None, None]
                least = 1e-6 * torch.einsum("nii->n", found).clamp(min=1e-20)
                eye = torch.eye(found.shape[1], dtype=found.dtype)
                covariance[some] = (found + least[:, None, None] * eye).float()
        far = self._radius(mean.double().numpy()) > self._usual[2]
        prepared.flags[far & ~prepared.lost] |= Flag.FAR_FROM_TRAINING
        return self._latents(prepared, mean.numpy(), covariance.numpy())

    def _level(self, prepared: PreparedInputs, rows: Rows) -> Tensor:
        """Mean σ² of the values used, times n_pixels/n_used: less is known of a masked star."""
        _, sigma, used = prepared.tensors(rows)
        squares = (sigma**2).double()
        if used is None:
            return squares.mean(1)
        n = used.double().sum(1).clamp(min=1)
        return (squares * used).sum(1) / n * (used.shape[1] / n)

    def decode(self, latents: np.ndarray, conditions: np.ndarray | None = None) -> Decoded:
        """Spectra at latents and conditions, and the scatter that is not explained."""
        z = torch.from_numpy(self._check_latents(latents, self.config.n_latent)).float()
        u = self._over_range(self._standardised(conditions, len(z)))
        standardiser = self.inputs.preprocessing.standardiser
        with training.explicit_threads(self.threads):
            found = [
                self._decode(z[i : i + _CHUNK], u[i : i + _CHUNK]) for i in range(0, len(z), _CHUNK)
            ]
        x = torch.cat(found).numpy() if found else np.empty((0, len(self._scatter)))
        values = x * standardiser.scale + standardiser.mean
        return Decoded(values, np.broadcast_to(self._scatter * standardiser.scale, values.shape))

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

    # --- as a directory ---------------------------------------------------------
    def _weights(self) -> dict[str, Tensor]:
        weights = {f"network.{k}": v for k, v in self._network.state_dict().items()}
        if self._compression is not None:
            weights |= {f"compression.{k}": v for k, v in self._compression.to_tensors().items()}
        return weights

    def _transform(self) -> dict[str, np.ndarray]:
        return {
            "scatter": self._scatter,
            "usual": self._usual,
            "latent_mean": self._latent_mean,
            "latent_covariance": self._latent_covariance,
        }

    def _restore(self, weights: Mapping[str, Tensor], transform: Mapping[str, np.ndarray]) -> None:
        parts: dict[str, dict[str, Any]] = {"network": {}, "compression": {}}
        for name, tensor in weights.items():
            part, key = name.split(".", 1)
            parts[part][key] = tensor
        self._scatter, self._usual = transform["scatter"], transform["usual"]
        self._latent_mean = transform["latent_mean"]
        self._latent_covariance = transform["latent_covariance"]
        self._compression = None
        n_inputs = len(self._scatter)
        if parts["compression"]:
            self._compression = Compression.from_tensors(parts["compression"])
            n_inputs = len(self._compression.size)
        self._network = self._autoencoder(n_inputs)
        self._network.load_state_dict(parts["network"])
        self._network.to(self.device).eval()
