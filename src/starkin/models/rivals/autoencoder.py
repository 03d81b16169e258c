"""What the fader and FactorDis share: a conditional autoencoder trained against an adversary."""

from __future__ import annotations

import os
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor, nn

from ...io.latents import Latents
from ...nets.adversarial import Adversarial, ConditionalAutoencoder
from ...spectra import SpectrumSet
from ...spectra.flags import Flag
from .. import training
from ..base import Decoded, Progress
from ..compression import Compression
from ..inputs import Inputs, PreparedInputs, few_of, split_rows
from .autoencoder_config import AutoencoderConfig
from .reconstructing import CALIBRATION_STARS, CHUNK, ReconstructingModel

__all__ = ["AdversarialAutoencoder"]

# The published scaling of normalised flux: 4·flux − 3.5.
_CENTRE, _SCALE = 0.875, 0.25


class AdversarialAutoencoder(ReconstructingModel):
    """Training, encoding and directory of the adversarial autoencoders."""

    config: AutoencoderConfig
    _network: ConditionalAutoencoder
    _compression: Compression | None

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
        prepared = inputs.prepare(train)
        identity: dict[str, Any] = {
            "settings": self.config.to_dict(),
            "seed": seed,
            **prepared.identity(rows),
        }
        self._inputs, self._compression = inputs, None
        with training.explicit_threads(self.threads):
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
                run_id=training.run_id(identity),
                progress=progress,
            )
            self._network = network.autoencoder.eval()
            self._calibrate(prepared, few_of(rows, CALIBRATION_STARS))
            mse = self._mse(inputs.prepare(held_out_set), held_out)
        card = self._provenance(identity["train"], len(rows), len(held_out), seed)
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
            self._network.encode(x[i : i + CHUNK].to(self.device), u[i : i + CHUNK].to(self.device))
            for i in range(0, len(rows), CHUNK)
        ]
        return torch.cat(z).cpu() if z else torch.empty((0, self.config.n_latent)), x, u

    @torch.no_grad()
    def _decode(self, z: Tensor, u: Tensor) -> Tensor:
        """Expected spectra in the scaled flux."""
        found = self._network.decode(z.to(self.device), u.to(self.device)).cpu()
        return found if self._compression is None else self._compression.restore(found)

    def _latent_means(self, prepared: PreparedInputs, rows: np.ndarray) -> Tensor:
        return self._encode(prepared, rows)[0]

    def _reconstructed(self, prepared: PreparedInputs, rows: np.ndarray) -> Tensor:
        z, _, u = self._encode(prepared, rows)
        return self._decode(z, u)

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
            for start in range(0, len(rows), CHUNK):
                some = rows[start : start + CHUNK]
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

    def decode(self, latents: np.ndarray, conditions: np.ndarray | None = None) -> Decoded:
        """Spectra at latents and conditions, and the scatter that is not explained."""
        z = torch.from_numpy(self._check_latents(latents, self.config.n_latent)).float()
        u = self._over_range(self._standardised(conditions, len(z)))
        standardiser = self.inputs.preprocessing.standardiser
        with training.explicit_threads(self.threads):
            found = [
                self._decode(z[i : i + CHUNK], u[i : i + CHUNK]) for i in range(0, len(z), CHUNK)
            ]
        x = torch.cat(found).numpy() if found else np.empty((0, len(self._scatter)))
        values = x * standardiser.scale + standardiser.mean
        return Decoded(values, np.broadcast_to(self._scatter * standardiser.scale, values.shape))

    # --- as a directory ---------------------------------------------------------
    def _weights(self) -> dict[str, Tensor]:
        weights = {f"network.{k}": v for k, v in self._network.state_dict().items()}
        if self._compression is not None:
            weights |= {f"compression.{k}": v for k, v in self._compression.to_tensors().items()}
        return weights

    def _transform(self) -> dict[str, np.ndarray]:
        return self._calibration()

    def _restore(self, weights: Mapping[str, Tensor], transform: Mapping[str, np.ndarray]) -> None:
        parts: dict[str, dict[str, Any]] = {"network": {}, "compression": {}}
        for name, tensor in weights.items():
            part, key = name.split(".", 1)
            parts[part][key] = tensor
        self._restore_calibration(transform)
        self._compression = None
        n_inputs = len(self._scatter)
        if parts["compression"]:
            self._compression = Compression.from_tensors(parts["compression"])
            n_inputs = len(self._compression.size)
        self._network = self._autoencoder(n_inputs)
        self._network.load_state_dict(parts["network"])
        self._network.to(self.device).eval()
