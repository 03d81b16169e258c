"""What every model in a directory of its own shares: save, load, fingerprint and card."""

from __future__ import annotations

import os
from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np
import torch
from astropy import units as u
from astropy.table import Table
from torch import Tensor

from .. import __version__
from ..io.latents import Latents
from ..spectra import Grid, SpectrumSet, StarkinError, columns
from . import directory as model_directory
from .base import SpectrumModel, refuse_conditions
from .directory import ModelFiles
from .drawn import drawn_spectra
from .inputs import Inputs, PreparedInputs

__all__ = ["StoredModel"]


class StoredModel(SpectrumModel):
    """A model whose whole state is named tensors and arrays.

    A subclass trains, then calls :meth:`_adopt`; it says in :meth:`_weights` and
    :meth:`_transform` what it has learnt beside its :attr:`inputs`, and takes the same
    back in :meth:`_restore`.

    Parameters
    ----------
    config : dataclass, optional
        Settings of the class's own kind.
    device : str
        ``"cpu"``, ``"cuda"``, …
    threads : int
        CPU threads of torch in this model's work; 0 leaves torch's own number.
    """

    config_class: ClassVar[Any]
    config: Any

    def __init__(self, config: Any = None, *, device: str = "cpu", threads: int = 0) -> None:
        self.config = config or self.config_class()
        self.device = device
        self.threads = threads
        self._inputs: Inputs | None = None
        self._card: dict[str, Any] = {}
        self._model_id = ""

    @property
    def conditions(self) -> tuple[str, ...]:
        return tuple(getattr(self.config, "conditions", ()))

    # --- what a subclass has learnt -----------------------------------------
    @abstractmethod
    def _weights(self) -> dict[str, Tensor]:
        """Tensors for ``weights.safetensors``."""

    def _transform(self) -> dict[str, np.ndarray]:
        """Arrays for ``transform.npz``, beside those of the inputs."""
        return {}

    @abstractmethod
    def _restore(self, weights: Mapping[str, Tensor], transform: Mapping[str, np.ndarray]) -> None:
        """Take back what :meth:`_weights` and :meth:`_transform` gave."""

    def _adopt(self, grid: Grid, inputs: Inputs, card: Mapping[str, Any]) -> None:
        """Called when everything learnt is in place."""
        self.grid, self._inputs, self._card = grid, inputs, dict(card)
        self._model_id = model_directory.fingerprint(self._files())

    @property
    def inputs(self) -> Inputs:
        """How spectra and labels become this model's numbers."""
        if self._inputs is None:
            raise StarkinError(f"This {self.kind} model is not trained yet: call fit or load.")
        return self._inputs

    # --- for the methods of the contract --------------------------------------
    def _prepare(self, spectra: SpectrumSet) -> PreparedInputs:
        inputs = self.inputs  # Says so where the model is not trained.
        self.grid.require(spectra.grid, "The set of spectra")
        return inputs.prepare(spectra)

    def _latents(
        self, prepared: PreparedInputs, mean: np.ndarray, covariance: np.ndarray
    ) -> Latents:
        """With NaN for the stars that could not be encoded; labels travel along."""
        mean[prepared.lost], covariance[prepared.lost] = np.nan, np.nan
        return Latents(
            source_id=prepared.spectra.source_id,
            mean=mean,
            covariance=covariance,
            flags=prepared.flags,
            model_id=self.model_id,
            columns=prepared.spectra.labels,
            meta=dict(prepared.spectra.meta),
        )

    def _check_latents(self, latents: np.ndarray, n_latent: int) -> np.ndarray:
        latents = np.asarray(latents, dtype=np.float64)
        if latents.ndim != 2 or latents.shape[1] != n_latent:
            raise StarkinError(
                f"Latents have shape {latents.shape}; this model has {n_latent} "
                "latent dimensions, one row a star."
            )
        return latents

    def _standardised(self, conditions: np.ndarray | None, n_stars: int) -> np.ndarray:
        """``decode``'s conditions, standardised; no columns for a model that takes none."""
        told = self.inputs.conditions
        if told is None:
            refuse_conditions(self, conditions)
            return np.empty((n_stars, 0))
        if conditions is None:
            raise StarkinError(
                f"decode of a {self.kind} model needs the conditions {', '.join(told.names)}."
            )
        values = told.standardise(conditions)
        if len(values) != n_stars:
            raise StarkinError(f"There are {len(values)} conditions for {n_stars} latents.")
        return values

    def _drawn(self, latents: np.ndarray, generator: np.random.Generator) -> SpectrumSet:
        """Spectra at latents, with scatter; conditions even over the trained range.

        ``errors`` holds the scatter that was drawn from. Latents and conditions stand in
        the label columns.
        """
        n = len(latents)
        told = self.inputs.conditions
        table = Table({columns.latent(i): column for i, column in enumerate(latents.T)})
        values = None
        if told is not None:
            values = generator.uniform(told.low, told.high, size=(n, len(told)))
            for name, column in zip(told.names, values.T, strict=True):
                table[name] = column
        decoded = self.decode(latents, values)
        unit = u.Unit(self.inputs.preprocessing.standardiser.unit)
        meta = {columns.MODEL_ID: self.model_id}
        return drawn_spectra(self.grid, decoded, table, generator, unit=unit, meta=meta)

    @staticmethod
    def _score_table(
        prepared: PreparedInputs, log_likelihood: np.ndarray, outlier: np.ndarray
    ) -> Table:
        table = Table({columns.SOURCE_ID: prepared.spectra.source_id})
        for name, values in (
            (columns.LOG_LIKELIHOOD, log_likelihood),
            (columns.OUTLIER_SCORE, outlier),
        ):
            table[name] = np.where(prepared.lost, np.nan, values)
            table[name].description = columns.info(name).description
        return table

    @staticmethod
    def _provenance(train: str, n_train: int, n_validation: int, seed: int) -> dict[str, Any]:
        """The part of a card that says what was trained on; ``train`` is its fingerprint."""
        return {
            "starkin": __version__,
            "torch": torch.__version__,
            "seed": seed,
            "data": {
                "train": train,
                "n_train": n_train,
                "n_validation": n_validation,
            },
        }

    # --- as a directory ---------------------------------------------------------
    def _files(self) -> ModelFiles:
        arrays = {f"inputs.{k}": v for k, v in self.inputs.to_arrays().items()}
        arrays |= {f"model.{k}": v for k, v in self._transform().items()}
        return ModelFiles(
            kind=self.kind,
            config=self.config.to_dict(),
            weights=self._weights(),
            transform=arrays,
            grid=self.grid,
            card=self._card,
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
        model = cls(cls.config_class.from_dict(files.config), device=device, threads=threads)
        parts: dict[str, dict[str, np.ndarray]] = {"inputs": {}, "model": {}}
        for name, array in files.transform.items():
            part, key = name.split(".", 1)
            parts[part][key] = array
        model.grid = files.grid
        try:
            # First: a network may need the standardisation that it works behind.
            inputs = model._inputs = Inputs.from_arrays(parts["inputs"])
            model._restore(files.weights, parts["model"])
        except (RuntimeError, KeyError) as error:
            raise StarkinError(f"The weights in {directory} do not fit its settings.") from error
        model._adopt(files.grid, inputs, files.card)
        return model

    @property
    def model_id(self) -> str:
        _ = self.inputs
        return self._model_id

    @property
    def card(self) -> dict[str, Any]:
        return dict(self._card)
