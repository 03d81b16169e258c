"""The scatter VAE: a label-independent model of spectra (Laroche & Speagle 2025)."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any, ClassVar, Self

import numpy as np
import torch
from astropy.table import Table
from torch import Tensor

from .. import __version__
from ..io.latents import Latents
from ..nets import (
    Chunk,
    FastEncoder,
    GaussianPosterior,
    ScatterNetwork,
)
from ..spectra import Grid, SpectrumSet, StarkinError, columns
from ..spectra.flags import Flag
from . import directory as model_directory
from . import scoring, training
from .base import Decoded, Progress, SpectrumModel, refuse_conditions
from .drawn import drawn_spectra
from .preprocessing import Prepared, Preprocessing, Standardised
from .scatter_config import ScatterVAEConfig
from .scatter_training import elbo_loss, starting_network

__all__ = ["ScatterVAE"]

_DEVICE_CHUNK = 65_536  # stars sent to an accelerator at once


class ScatterVAE(SpectrumModel):
    """Latents, spectra and intrinsic scatter from spectra alone.

    Parameters
    ----------
    config : ScatterVAEConfig, optional
    device : str
        ``"cpu"``, ``"cuda"``, …: where training and scoring run.
    threads : int
        CPU threads of torch in this model's work; 0 leaves torch's own number.

    Examples
    --------
    >>> from starkin.models.scatter_vae import ScatterVAE, ScatterVAEConfig
    >>> model = ScatterVAE(ScatterVAEConfig(recipe="laroche-speagle"))
    >>> model.config.encoder
    (90, 70, 50, 30, 10)
    """

    kind: ClassVar[str] = "scatter-vae"
    config_class: ClassVar[type] = ScatterVAEConfig

    def __init__(
        self, config: ScatterVAEConfig | None = None, *, device: str = "cpu", threads: int = 0
    ) -> None:
        self.config = config or self.config_class()
        self.device = device
        self.threads = threads
        self.preprocessing: Preprocessing | None = None
        self.calibration: scoring.Calibration | None = None
        self._network: ScatterNetwork | None = None
        self._card: dict[str, Any] = {}
        self._model_id = ""

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
        """Train on spectra as they were read.

        Parameters
        ----------
        train, validation : SpectrumSet
            Without ``validation`` a seeded part of ``train`` is held out. Stars with
            nothing usable are left out; the standardisation sees the rest of
            ``train`` only.
        seed : int
            Decides the split, the first weights, the order and all noise.
        checkpoint : path-like, optional
            File to resume from if it exists.
        checkpoint_seconds : float
            Least time between two checkpoints [s].
        progress : callable, optional
            Told of every epoch.
        """
        train = self._usable(train)
        if validation is None:
            train, validation = self._split(train, seed)
        else:
            train.grid.require(validation.grid, "The validation set")
            validation = self._usable(validation)
        if len(train) < 2 or len(validation) < 1:
            raise StarkinError(
                f"Training needs usable spectra in both parts, got {len(train)} to train on "
                f"and {len(validation)} to validate."
            )
        preprocessing = Preprocessing.fit(train)
        data, held_out = preprocessing(train), preprocessing(validation)
        identity = {
            "settings": self.config.to_dict(),
            "seed": seed,
            "train": train.fingerprint,
            "validation": validation.fingerprint,
        }
        with training.explicit_threads(self.threads):
            network = self._starting_network(data, seed)
            history = training.train(
                network,
                data.tensors,
                held_out.tensors,
                self._loss(network, train.grid),
                self.config.training(),
                seed=seed,
                device=self.device,
                checkpoint=checkpoint,
                checkpoint_seconds=checkpoint_seconds,
                run_id=training.run_id(identity),
                progress=progress,
            )
            self._after_training(network, data)
            calibration = scoring.calibrate(network, data, self.device)
            metrics = scoring.held_out_metrics(network, held_out, self.device)
        card = {
            "starkin": __version__,
            "torch": torch.__version__,
            "seed": seed,
            "data": {
                "train": identity["train"],
                "validation": identity["validation"],
                "n_train": len(train),
                "n_validation": len(validation),
            },
            "metrics": {"best_epoch": history.best_epoch, "validation": history.best, **metrics},
            "history": asdict(history),
        }
        self.adopt(network, train.grid, preprocessing, calibration, card)
        return self

    # What a variation of this model does otherwise.
    def _starting_network(self, data: Standardised, seed: int) -> ScatterNetwork:
        return starting_network(self.config, data, seed)

    def _loss(self, network: ScatterNetwork, grid: Grid) -> training.Loss:
        return elbo_loss(network, self.config, grid)

    def _after_training(self, network: ScatterNetwork, data: Standardised) -> None:
        """Set what follows from the trained network and its data in closed form."""

    @staticmethod
    def _usable(spectra: SpectrumSet) -> SpectrumSet:
        """Normalised, without the stars of which nothing is left."""
        normalised = Preprocessing.normalise(spectra)
        return normalised[~normalised.mask.all(axis=1)]

    def _split(self, spectra: SpectrumSet, seed: int) -> tuple[SpectrumSet, SpectrumSet]:
        order = np.random.default_rng(seed).permutation(len(spectra))
        n_validation = max(1, round(self.config.validation_fraction * len(spectra)))
        return spectra[np.sort(order[n_validation:])], spectra[np.sort(order[:n_validation])]

    def adopt(
        self,
        network: ScatterNetwork,
        grid: Grid,
        preprocessing: Preprocessing | None,
        calibration: scoring.Calibration | None = None,
        card: Mapping[str, Any] | None = None,
    ) -> None:
        """Take a network that was trained elsewhere (a released checkpoint, a saved model)."""
        self._network = network.to(self.device).eval()
        self.grid = grid
        self.preprocessing = preprocessing
        self.calibration = calibration
        self._card = dict(card or {})
        self._model_id = model_directory.fingerprint(self._files())
        self._encoder_arrays = network.encoder_arrays()

    def with_preprocessing(self, preprocessing: Preprocessing) -> Self:
        """This model with other statistics of normalisation; it shares the network."""
        model = type(self)(self.config, device=self.device, threads=self.threads)
        # The calibration of scores belongs to the old statistics and stays behind.
        model.adopt(self.network, self.grid, preprocessing, card=self._card)
        return model

    # --- what it is for -------------------------------------------------------
    @property
    def network(self) -> ScatterNetwork:
        """The trained network, in evaluation mode."""
        if self._network is None:
            raise StarkinError(f"This {self.kind} is not trained yet: call fit or load first.")
        return self._network

    def encode(self, spectra: SpectrumSet) -> Latents:
        """Posterior mean and full covariance of each star's latents; labels travel along."""
        prepared = self._require_preprocessing(spectra).prepare(spectra)
        n, d = len(spectra), self.config.n_latent
        mean, covariance = torch.empty((n, d)), torch.empty((n, d, d))

        def keep(rows: slice, parameters: Tensor) -> None:
            posterior = GaussianPosterior.from_parameters(parameters, d)
            mean[rows] = posterior.mean
            posterior.covariance(out=covariance[rows])

        self._run_encoder(n, prepared.tensors, keep)
        flags = self._flags(prepared, mean.numpy())
        lost = torch.from_numpy((flags & Flag.NOT_ENCODED) != 0)
        mean[lost], covariance[lost] = torch.nan, torch.nan
        return Latents(
            source_id=spectra.source_id,
            mean=mean.numpy(),
            covariance=covariance.numpy(),
            flags=flags,
            model_id=self.model_id,
            columns=prepared.spectra.labels,
            meta=dict(spectra.meta),
        )

    @torch.no_grad()
    def _run_encoder(
        self, n: int, source: Callable[[slice], Chunk], keep: Callable[[slice, Tensor], None]
    ) -> None:
        if torch.device(self.device).type == "cpu":
            threads = self.threads or torch.get_num_threads()
            FastEncoder(self._encoder_arrays, threads=threads).run(n, source, keep)
            return
        for start in range(0, n, _DEVICE_CHUNK):
            rows = slice(start, min(start + _DEVICE_CHUNK, n))
            keep(rows, self.encode_standardised(*source(rows)).parameters().cpu())

    @torch.no_grad()
    def encode_standardised(
        self, x: Tensor, sigma: Tensor | None = None, used: Tensor | None = None
    ) -> GaussianPosterior:
        """q(z | x) of spectra that are standardised already, shape (n_stars, n_pixels).

        ``sigma`` may be left out for the published recipe, which does not look at it.
        """
        x = x.to(self.device)
        sigma = torch.ones_like(x) if sigma is None else sigma.to(self.device)
        used = torch.isfinite(x) if used is None else used.to(self.device)
        return self.network.posterior(x, sigma, used)

    def decode(self, latents: np.ndarray, conditions: np.ndarray | None = None) -> Decoded:
        """Coefficients per unit of G flux, and their intrinsic scatter, at latents.

        Parameters
        ----------
        latents : ndarray, shape (n_stars, n_latent)
            One row a star.
        conditions : None
            This model has none.
        """
        refuse_conditions(self, conditions)
        latents = np.asarray(latents, dtype=np.float32)
        if latents.ndim != 2 or latents.shape[1] != self.config.n_latent:
            raise StarkinError(
                f"Latents have shape {latents.shape}; this model has {self.config.n_latent} "
                "latent dimensions, one row a star."
            )
        standardiser = self._require_preprocessing().standardiser
        with training.explicit_threads(self.threads), torch.no_grad():
            mean, variance = self.network.decode(torch.from_numpy(latents).to(self.device))
        return Decoded(
            values=mean.cpu().numpy() * standardiser.scale + standardiser.mean,
            scatter=np.sqrt(variance.cpu().numpy()) * standardiser.scale,
        )

    def sample(self, n: int, *, seed: int = 0) -> SpectrumSet:
        """New stars: latents from the prior, spectra with their intrinsic scatter.

        The coefficients are per unit of G flux. There is no measurement noise;
        ``errors`` holds the intrinsic scatter that was drawn from. The latents
        stand in the label columns ``z1``, ``z2``, …
        """
        generator = np.random.default_rng(seed)
        latents = generator.standard_normal((n, self.config.n_latent))
        decoded = self.decode(latents)
        table = Table({columns.latent(i): latents[:, i] for i in range(latents.shape[1])})
        meta = {columns.MODEL_ID: self.model_id, "seed": seed}
        return drawn_spectra(self.grid, decoded, table, generator, meta=meta)

    def score(self, spectra: SpectrumSet) -> Table:
        """log p(x) of each star and an outlier score: see :mod:`starkin.models.scoring`."""
        data = self._require_preprocessing(spectra)(spectra)
        with training.explicit_threads(self.threads):
            scores = scoring.score(self.network, data, self.calibration, self.device)
        table = Table({columns.SOURCE_ID: spectra.source_id})
        for name, values in (
            (columns.LOG_LIKELIHOOD, scores.log_likelihood),
            (columns.OUTLIER_SCORE, scores.outlier_score),
        ):
            table[name] = values
            table[name].description = columns.info(name).description
        return table

    def _require_preprocessing(self, spectra: SpectrumSet | None = None) -> Preprocessing:
        _ = self.network
        if spectra is not None:
            self.grid.require(spectra.grid, "The set of spectra")
        if self.preprocessing is None:
            raise StarkinError(
                "This model was imported without the statistics that standardise its input; "
                "give them with with_preprocessing(), or use encode_standardised()."
            )
        return self.preprocessing

    def _flags(self, prepared: Prepared, mean: np.ndarray) -> np.ndarray:
        flags = prepared.flags()
        if self.calibration is not None:
            far = np.sum(mean**2, axis=1) > self.calibration.latent_limit
            flags[far] |= Flag.FAR_FROM_TRAINING
        return flags

    # --- as a directory ---------------------------------------------------------
    def _files(self) -> model_directory.ModelFiles:
        transform: dict[str, np.ndarray] = {}
        if self.preprocessing is not None:
            transform |= {f"transform.{k}": v for k, v in self.preprocessing.to_arrays().items()}
        if self.calibration is not None:
            transform |= {f"calibration.{k}": v for k, v in self.calibration.to_arrays().items()}
        return model_directory.ModelFiles(
            kind=self.kind,
            config=self.config.to_dict(),
            weights=self.network.state_dict(),
            transform=transform,
            grid=self.grid,
            card=self.card,
        )

    def save(self, directory: str | os.PathLike[str]) -> None:
        """Write the model directory, whole or not at all."""
        model_directory.write_model(directory, self._files())

    @classmethod
    def load(
        cls, directory: str | os.PathLike[str], *, device: str = "cpu", threads: int = 0
    ) -> Self:
        """Read a model directory.

        Raises
        ------
        StarkinError
            If the directory is damaged, holds another kind of model, or its
            settings and weights do not fit together.
        """
        files = model_directory.read_model(directory, cls.kind)
        config = cls.config_class.from_dict(files.config)  # type: ignore[attr-defined]
        model = cls(config, device=device, threads=threads)
        network = model.config.network(files.grid.n_pixels, seed=0)
        try:
            network.load_state_dict(dict(files.weights))
        except RuntimeError as error:
            raise StarkinError(f"The weights in {directory} do not fit its settings.") from error
        parts: dict[str, dict[str, np.ndarray]] = {"transform": {}, "calibration": {}}
        for name, array in files.transform.items():
            part, key = name.split(".", 1)
            parts[part][key] = array
        preprocessing = None
        if parts["transform"]:
            preprocessing = Preprocessing.from_arrays(parts["transform"])
        calibration = None
        if parts["calibration"]:
            calibration = scoring.Calibration.from_arrays(parts["calibration"])
        model.adopt(network, files.grid, preprocessing, calibration, files.card)
        return model

    @property
    def model_id(self) -> str:
        _ = self.network
        return self._model_id

    @property
    def card(self) -> dict[str, Any]:
        return dict(self._card)
