"""Cycle-StarNet: synthetic and observed spectra over the same latents, without pairs of stars."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, ClassVar, Literal, Self

import numpy as np
import torch
from astropy.units import Unit
from torch import Tensor
from torch.func import jacrev, vmap

from ...io.latents import Latents
from ...io.registry import read
from ...nets.cycle import (
    CycleAutoencoder,
    CycleLoss,
    CycleNetwork,
    Spectra,
    cycle_loss,
)
from ...spectra import SpectrumSet, StarkinError
from ...spectra.flags import Flag
from .. import training
from ..base import Decoded, Progress, refuse_conditions
from ..compression import Compression
from ..drawn import mark_normalised
from ..inputs import Inputs, PreparedInputs, few_of, lowest_snr, split_rows
from ..preprocessing import Preprocessing
from .cycle_config import CycleStarNetConfig
from .cycle_inputs import CommonAxes, usual_scaling
from .reconstructing import CALIBRATION_STARS, CHUNK, ReconstructingModel

__all__ = ["CycleStarNet"]

Domain = Literal["observed", "synthetic"]


class CycleStarNet(ReconstructingModel):
    """Transfer between a synthetic and an observed domain (O'Briain et al. 2021).

    Its latents are those that both domains share. What varies among observed spectra that
    synthetic ones cannot say is kept in split latents (:meth:`split`); where spectra are decoded
    from shared latents alone, the split ones stand at their mean and their effect is part of the
    scatter.

    Parameters
    ----------
    config : CycleStarNetConfig, optional
    device : str
        ``"cpu"``, ``"cuda"``, …
    threads : int
        CPU threads of torch in this model's work; 0 leaves torch's own number.

    Examples
    --------
    >>> from starkin.models.rivals import CycleStarNet, CycleStarNetConfig
    >>> CycleStarNet(CycleStarNetConfig(n_split=3)).kind
    'cycle-starnet'
    """

    kind: ClassVar[str] = "cycle-starnet"
    config_class: ClassVar[type] = CycleStarNetConfig
    config: CycleStarNetConfig
    _network: CycleAutoencoder
    #: Of observed and of synthetic spectra: the same axes, about the domain's own mean.
    _axes: CommonAxes
    #: Mean split latents of the training stars, shape (n_split,).
    _usual_split: Tensor

    # --- training -----------------------------------------------------------
    def fit(
        self,
        train: SpectrumSet,
        validation: SpectrumSet | None = None,
        *,
        synthetic: SpectrumSet | None = None,
        seed: int = 0,
        checkpoint: str | os.PathLike[str] | None = None,
        checkpoint_seconds: float = 30.0,
        progress: Progress | None = None,
    ) -> Self:
        """Train on two sets of spectra of different stars.

        Parameters
        ----------
        train, validation : SpectrumSet
            Observed spectra. Without ``validation`` a seeded part of ``train`` is held out.
        synthetic : SpectrumSet, optional
            On the same grid; read from the file that the setting ``synthetic`` names if it is
            not given. Their stars should be distributed as the observed ones are.
        seed : int
            Decides the split, the first weights, the order and which stars meet.
        checkpoint : path-like, optional
            File to resume from if it exists.
        checkpoint_seconds : float
            Least time between two checkpoints [s].
        progress : callable, optional
            Told of every epoch.

        Raises
        ------
        StarkinError
            If there are no synthetic spectra, or they are on another grid.
        """
        config = self.config
        made = self._synthetic(synthetic)
        train.grid.require(made.grid, "The synthetic set")
        train, rows, held_out_set, held_out = split_rows(
            train, validation, (), config.validation_fraction, seed
        )
        made, made_rows, _, made_held_out = split_rows(
            made, None, (), config.validation_fraction, seed + 1
        )
        scaling = Preprocessing(usual_scaling(train, rows, config.floor))
        inputs = Inputs(scaling, None, lowest_snr(train, rows))
        prepared, prepared_made = inputs.prepare(train), inputs.prepare(made)
        identity: dict[str, Any] = {
            "settings": config.to_dict(),
            "seed": seed,
            "synthetic": made.fingerprint,
            **prepared.identity(rows),
        }
        self._inputs = inputs
        with training.explicit_threads(self.threads):
            self._axes = CommonAxes.fit(
                (prepared, rows), (prepared_made, made_rows), config.components, seed=seed
            )
            network = self._fresh(seed)
            history = training.train(
                network,
                self._tensors(prepared, rows, self._axes.observed),
                self._tensors(inputs.prepare(held_out_set), held_out, self._axes.observed),
                self._loss(
                    network,
                    self._tensors(prepared_made, made_rows, self._axes.synthetic),
                    self._tensors(prepared_made, made_held_out, self._axes.synthetic),
                ),
                config.training(),
                seed=seed,
                device=self.device,
                checkpoint=checkpoint,
                checkpoint_seconds=checkpoint_seconds,
                run_id=training.run_id(identity),
                progress=progress,
            )
            self._network = network.autoencoder.eval()
            few = few_of(rows, CALIBRATION_STARS)
            self._usual_split = self._encode(prepared, few)[1].mean(0)
            self._calibrate(prepared, few)
            mse = self._mse(inputs.prepare(held_out_set), held_out)
        card = self._provenance(identity["train"], len(rows), len(held_out), seed)
        card["data"] |= {"synthetic": identity["synthetic"], "n_synthetic": len(made_rows)}
        card["metrics"] = {
            "mse": mse,
            "critic_information": history.validation_kl[-1],
            "latent_variance": self._latent_covariance.diagonal().tolist(),
        }
        card["history"] = asdict(history)
        self._adopt(train.grid, inputs, card)
        return self

    def _synthetic(self, given: SpectrumSet | None) -> SpectrumSet:
        if given is not None:
            return given
        if not self.config.synthetic:
            raise StarkinError(
                "A cycle-starnet model learns from synthetic spectra beside the observed ones: "
                "name their file in the setting synthetic, or give them to fit."
            )
        found = read(self.config.synthetic, on_error="reject")
        if len(found) == 0:
            raise StarkinError(f"{self.config.synthetic} holds no usable synthetic spectrum.")
        return found

    def _fresh(self, seed: int) -> CycleNetwork:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return CycleNetwork(self._autoencoder(), self.config.critic)

    def _autoencoder(self) -> CycleAutoencoder:
        config = self.config
        return CycleAutoencoder(
            self._axes.observed.size, config.n_latent, config.n_split, config.hidden
        )

    @staticmethod
    def _tensors(
        prepared: PreparedInputs, rows: np.ndarray, axes: Compression
    ) -> tuple[Tensor, ...]:
        """Scores, scaled spectra and weights of some stars."""
        x, sigma, used = prepared.tensors(rows)
        weight = 1 / (1 + sigma**2)
        if used is not None:
            weight = weight * used
        return axes.scores(prepared, rows), x, weight

    def _loss(
        self, network: CycleNetwork, made: tuple[Tensor, ...], held_out: tuple[Tensor, ...]
    ) -> training.Loss:
        """Each batch of observed stars meets as many synthetic ones, drawn by the generator."""
        made, held_out = (tuple(t.to(self.device) for t in part) for part in (made, held_out))
        axes = self._axes.observed.axes.to(self.device)
        means = [part.mean.to(self.device) for part in (self._axes.observed, self._axes.synthetic)]
        weights = self.config.weights()

        def loss(batch: training.Batch, generator: torch.Generator, done: float) -> CycleLoss:
            pool = made if torch.is_grad_enabled() else held_out
            drawn = torch.randint(
                len(pool[0]), (len(batch[0]),), generator=generator, device=generator.device
            )
            observed, synthetic = (
                Spectra(y, x, weight, mean)
                for (y, x, weight), mean in zip(
                    (batch, (t[drawn] for t in pool)), means, strict=True
                )
            )
            with_split = done >= self.config.split_from
            return cycle_loss(network, observed, synthetic, axes, weights, with_split=with_split)

        return loss

    # --- what follows from the trained network --------------------------------
    @torch.no_grad()
    def _encode(self, prepared: PreparedInputs, rows: np.ndarray) -> tuple[Tensor, Tensor]:
        """Shared and split latents of observed spectra."""
        shared, split = [], []
        for start in range(0, len(rows), CHUNK):
            y = self._axes.observed.scores(prepared, rows[start : start + CHUNK])
            z, s = self._network.encode_observed(y.to(self.device))
            shared.append(z.cpu())
            split.append(s.cpu())
        if not shared:
            return torch.empty((0, self.config.n_latent)), torch.empty((0, self.config.n_split))
        return torch.cat(shared), torch.cat(split)

    @torch.no_grad()
    def _encode_synthetic(self, prepared: PreparedInputs, rows: np.ndarray) -> Tensor:
        z = [
            self._network.encode_synthetic(
                self._axes.synthetic.scores(prepared, rows[i : i + CHUNK]).to(self.device)
            ).cpu()
            for i in range(0, len(rows), CHUNK)
        ]
        return torch.cat(z) if z else torch.empty((0, self.config.n_latent))

    @torch.no_grad()
    def _decode(self, z: Tensor, split: Tensor | None = None) -> Tensor:
        """Scaled observed spectra; with the usual split latents if none are given."""
        split = self._usual_split.expand(len(z), -1) if split is None else split
        y = self._network.decode_observed(z.to(self.device), split.to(self.device))
        return self._axes.observed.restore(y.cpu())

    @torch.no_grad()
    def _decode_synthetic(self, z: Tensor) -> Tensor:
        y = self._network.decode_synthetic(z.to(self.device))
        return self._axes.synthetic.restore(y.cpu())

    def _latent_means(self, prepared: PreparedInputs, rows: np.ndarray) -> Tensor:
        return self._encode(prepared, rows)[0]

    def _reconstructed(self, prepared: PreparedInputs, rows: np.ndarray) -> Tensor:
        return self._decode(self._encode(prepared, rows)[0])

    @torch.no_grad()
    def _slopes(self, prepared: PreparedInputs, rows: np.ndarray) -> Tensor:
        """Jacobian of the shared latents by the scores, shape (n_stars, n_latent, n_inputs)."""
        y = self._axes.observed.scores(prepared, rows).to(self.device)
        return vmap(jacrev(lambda one: self._network.encode_observed(one[None])[0][0]))(y).cpu()

    # --- what it is for -------------------------------------------------------
    def encode(self, spectra: SpectrumSet) -> Latents:
        """Shared latents of observed spectra, with the covariance that the errors make of them.

        To first order; the errors of a star are taken as white in units of the usual errors, at
        their mean square over the values used.
        """
        prepared = self._prepare(spectra)
        rows = np.arange(len(spectra))
        n_latent = self.config.n_latent
        covariance = np.empty((len(rows), n_latent, n_latent), dtype=np.float32)
        with training.explicit_threads(self.threads):
            mean = self._encode(prepared, rows)[0].numpy()
            for start in range(0, len(rows), CHUNK):
                some = rows[start : start + CHUNK]
                # The axes are orthonormal: white noise of pixels is white along them.
                slopes = self._slopes(prepared, some).double()
                found = slopes @ slopes.transpose(1, 2)
                found = found * self._level(prepared, some)[:, None, None]
                least = 1e-6 * torch.einsum("nii->n", found).clamp(min=1e-20)
                eye = torch.eye(n_latent, dtype=found.dtype)
                covariance[some] = (found + least[:, None, None] * eye).float().numpy()
        far = self._radius(mean.astype(np.float64)) > self._usual[2]
        prepared.flags[far & ~prepared.lost] |= Flag.FAR_FROM_TRAINING
        return self._latents(prepared, mean, covariance)

    def encode_synthetic(self, spectra: SpectrumSet) -> np.ndarray:
        """Shared latents of synthetic spectra, shape (n_stars, n_latent); NaN where lost."""
        return self._of(spectra, self._encode_synthetic)

    def split(self, spectra: SpectrumSet) -> np.ndarray:
        """Split latents of observed spectra, shape (n_stars, n_split); NaN where lost."""
        return self._of(spectra, lambda prepared, rows: self._encode(prepared, rows)[1])

    def _of(self, spectra: SpectrumSet, encode: Any) -> np.ndarray:
        prepared = self._prepare(spectra)
        with training.explicit_threads(self.threads):
            found = encode(prepared, np.arange(len(spectra))).numpy()
        found[prepared.lost] = np.nan
        return found

    def decode(self, latents: np.ndarray, conditions: np.ndarray | None = None) -> Decoded:
        """Observed spectra at shared latents, and the scatter that is not explained."""
        refuse_conditions(self, conditions)
        z = torch.from_numpy(self._check_latents(latents, self.config.n_latent)).float()
        with training.explicit_threads(self.threads):
            values = self._physical(self._decode(z))
        scale = self.inputs.preprocessing.standardiser.scale
        return Decoded(values, np.broadcast_to(self._scatter * scale, values.shape))

    def to_observed(self, spectra: SpectrumSet, split: np.ndarray | None = None) -> SpectrumSet:
        """Synthetic spectra as the observed domain has them: missing lines, its blur and all.

        Parameters
        ----------
        spectra : SpectrumSet
            Synthetic spectra.
        split : ndarray, shape (n_split,) or (n_stars, n_split), optional
            Split latents that the synthetic spectra lack; the mean of the observed training
            stars without it.

        Returns
        -------
        SpectrumSet
            In the unit in which the model decodes; ``errors`` hold its scatter, of what is split
            too. Stars that cannot be encoded are masked.
        """
        if split is not None:
            split = np.broadcast_to(split, (len(spectra), self.config.n_split))
        return self._transferred(spectra, "observed", split)

    def to_synthetic(self, spectra: SpectrumSet) -> SpectrumSet:
        """Observed spectra as the synthesiser would have made them; see :meth:`to_observed`."""
        return self._transferred(spectra, "synthetic", None)

    def _transferred(
        self, spectra: SpectrumSet, to: Domain, split: np.ndarray | None
    ) -> SpectrumSet:
        prepared = self._prepare(spectra)
        rows = np.arange(len(spectra))
        with training.explicit_threads(self.threads):
            if to == "observed":
                at = None if split is None else torch.from_numpy(np.array(split)).float()
                x = self._decode(self._encode_synthetic(prepared, rows), at)
            else:
                x = self._decode_synthetic(self._encode(prepared, rows)[0])
        values = self._physical(x)
        standardiser = self.inputs.preprocessing.standardiser
        mask = np.broadcast_to(prepared.lost[:, np.newaxis], values.shape)
        labels = prepared.spectra.labels.copy()
        mark_normalised(labels, self.grid, len(rows))
        return SpectrumSet(
            source_id=spectra.source_id,
            values=values,
            errors=np.broadcast_to(self._scatter * standardiser.scale, values.shape),
            grid=self.grid,
            mask=mask,
            labels=labels,
            unit=Unit(standardiser.unit),
            meta={**spectra.meta, "transferred": {"to": to, "model_id": self.model_id}},
        )

    def _physical(self, x: Tensor) -> np.ndarray:
        standardiser = self.inputs.preprocessing.standardiser
        return x.numpy() * standardiser.scale + standardiser.mean

    # --- as a directory ---------------------------------------------------------
    def _weights(self) -> dict[str, Tensor]:
        weights = {f"network.{k}": v for k, v in self._network.state_dict().items()}
        weights |= {f"axes.{k}": v for k, v in self._axes.to_tensors().items()}
        return weights

    def _transform(self) -> dict[str, np.ndarray]:
        return self._calibration() | {"usual_split": self._usual_split.numpy()}

    def _restore(self, weights: Mapping[str, Tensor], transform: Mapping[str, np.ndarray]) -> None:
        parts: dict[str, dict[str, Any]] = {"network": {}, "axes": {}}
        for name, tensor in weights.items():
            part, key = name.split(".", 1)
            parts[part][key] = tensor
        self._restore_calibration(transform)
        self._usual_split = torch.from_numpy(np.array(transform["usual_split"]))
        self._axes = CommonAxes.from_tensors(parts["axes"])
        self._network = self._autoencoder()
        self._network.load_state_dict(parts["network"])
        self._network.to(self.device).eval()
