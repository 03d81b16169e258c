"""`Latents`: the only way results of a model travel, their catalogue, and what twins look like."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from astropy.table import Table, hstack, vstack

from ..spectra import columns
from ..spectra.errors import StarkinError
from .catalogue import read_table, write_table

__all__ = ["Latents", "TwinPrior"]


@dataclass(frozen=True, eq=False, repr=False)
class Latents:
    """Posterior mean and covariance of the latent of each star.

    Parameters
    ----------
    source_id : ndarray of int64, shape (n_stars,)
    mean : ndarray, shape (n_stars, n_latent)
        Posterior mean; NaN for a star that could not be encoded.
    covariance : ndarray, shape (n_stars, n_latent, n_latent) or (n_stars, n_latent)
        Posterior covariance, or its diagonal where the model gives no more.
    flags : ndarray of int32, shape (n_stars,)
        Bits of :class:`starkin.spectra.flags.Flag`.
    model_id : str
        Fingerprint of the model.
    columns : astropy.table.Table
        Whatever travels along: labels, scores, populations.
    meta : dict
        Provenance, kept in the catalogue's header.
    """

    source_id: np.ndarray
    mean: np.ndarray
    covariance: np.ndarray
    flags: np.ndarray = None  # type: ignore[assignment]  # always an array after construction
    model_id: str = ""
    columns: Table = field(default_factory=Table)
    meta: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        n, d = np.shape(self.mean)
        if np.shape(self.covariance) not in ((n, d), (n, d, d)):
            raise StarkinError(
                f"Latents.covariance has shape {np.shape(self.covariance)}; "
                f"expected {(n, d, d)} or {(n, d)}."
            )
        if np.shape(self.source_id) != (n,):
            raise StarkinError(f"Latents has {n} means for {np.size(self.source_id)} source ids.")
        if self.columns.colnames and len(self.columns) != n:
            raise StarkinError(f"Latents.columns has {len(self.columns)} rows for {n} stars.")
        object.__setattr__(self, "source_id", np.asarray(self.source_id, dtype=np.int64))
        if self.flags is None:
            object.__setattr__(self, "flags", np.zeros(n, dtype=np.int32))

    def __len__(self) -> int:
        return len(self.source_id)

    @property
    def n_latent(self) -> int:
        return int(self.mean.shape[1])

    @property
    def variance(self) -> np.ndarray:
        """Diagonal of the covariance, shape (n_stars, n_latent)."""
        if self.covariance.ndim == 2:
            return self.covariance
        return np.einsum("nii->ni", self.covariance)

    def covariance_matrices(self) -> np.ndarray:
        """Full matrices, shape (n_stars, n_latent, n_latent)."""
        if self.covariance.ndim == 3:
            return self.covariance
        return self.covariance[:, :, None] * np.eye(self.n_latent, dtype=self.covariance.dtype)

    @property
    def usable(self) -> np.ndarray:
        """Stars whose latents are finite, shape (n_stars,)."""
        return np.isfinite(self.mean).all(axis=1)

    def __getitem__(self, index: Any) -> Latents:
        return replace(
            self,
            source_id=self.source_id[index],
            mean=self.mean[index],
            covariance=self.covariance[index],
            flags=self.flags[index],
            columns=self.columns[index] if self.columns.colnames else Table(),
        )

    def with_columns(self, **new: Any) -> Latents:
        """A copy with columns added or replaced."""
        table = self.columns.copy(copy_data=False)
        for name, values in new.items():
            table[name] = values
        return replace(self, columns=table)

    @classmethod
    def concatenate(cls, parts: Iterable[Latents]) -> Latents:
        """Latents of one model, one after the other."""
        parts = list(parts)
        if len({part.model_id for part in parts}) != 1:
            raise StarkinError("Only latents of one model can be put together.")
        return replace(
            parts[0],
            source_id=np.concatenate([part.source_id for part in parts]),
            mean=np.concatenate([part.mean for part in parts]),
            covariance=np.concatenate([part.covariance for part in parts]),
            flags=np.concatenate([part.flags for part in parts]),
            columns=vstack([part.columns for part in parts], metadata_conflicts="silent"),
        )

    # --- as a catalogue ---------------------------------------------------
    def to_table(self) -> Table:
        """One row a star: id, ``z1``…, ``z1_error``…, ``z1_z2_corr``…, flags, the rest."""
        d = self.n_latent
        table = Table()
        table[columns.SOURCE_ID] = self.source_id
        for i in range(d):
            table[columns.latent(i)] = self.mean[:, i]
            table[columns.latent(i)].description = f"Latent {i + 1}: posterior mean"
        error = np.sqrt(self.variance)
        for i in range(d):
            table[columns.latent_error(i)] = error[:, i]
            table[columns.latent_error(i)].description = f"Latent {i + 1}: standard deviation"
        if self.covariance.ndim == 3:
            for j in range(d):
                for i in range(j):
                    name = columns.latent_correlation(i, j)
                    with np.errstate(invalid="ignore", divide="ignore"):
                        table[name] = self.covariance[:, i, j] / (error[:, i] * error[:, j])
                    table[name].description = f"Correlation of latents {i + 1} and {j + 1}"
        table[columns.FLAGS] = self.flags
        if self.columns.colnames:
            rest = self.columns.copy(copy_data=False)
            rest.remove_columns([c for c in rest.colnames if c in table.colnames])
            table = hstack([table, rest]) if rest.colnames else table
        for name in table.colnames:
            known = columns.info(name)
            if known.unit and table[name].unit is None:
                table[name].unit = known.unit
            if not table[name].description and known.description:
                table[name].description = known.description
        table.meta = {**self.meta, columns.MODEL_ID: self.model_id, "n_latent": d}
        return table

    @classmethod
    def from_table(cls, table: Table) -> Latents:
        """The inverse of :meth:`to_table`.

        Raises
        ------
        StarkinError
            If the table has no ``source_id`` or no ``z1``.
        """
        if columns.SOURCE_ID not in table.colnames or columns.latent(0) not in table.colnames:
            raise StarkinError("Not a latent catalogue: it needs the columns source_id and z1.")
        d = 0
        while columns.latent(d) in table.colnames:
            d += 1
        mean = np.column_stack([np.asarray(table[columns.latent(i)]) for i in range(d)])
        error = np.column_stack([np.asarray(table[columns.latent_error(i)]) for i in range(d)])
        used = {columns.SOURCE_ID, columns.FLAGS}
        used |= {columns.latent(i) for i in range(d)} | {columns.latent_error(i) for i in range(d)}
        covariance = error**2
        pairs = [(i, j) for j in range(d) for i in range(j)]
        names = [columns.latent_correlation(i, j) for i, j in pairs]
        if pairs and all(name in table.colnames for name in names):
            covariance = covariance[:, :, None] * np.eye(d, dtype=error.dtype)
            for (i, j), name in zip(pairs, names, strict=True):
                covariance[:, i, j] = np.asarray(table[name]) * error[:, i] * error[:, j]
                covariance[:, j, i] = covariance[:, i, j]
            used |= set(names)
        rest = table[[name for name in table.colnames if name not in used]]
        meta = dict(table.meta)
        flags = np.zeros(len(table), dtype=np.int32)
        if columns.FLAGS in table.colnames:
            flags = np.asarray(table[columns.FLAGS], dtype=np.int32)
        return cls(
            source_id=np.asarray(table[columns.SOURCE_ID]),
            mean=mean,
            covariance=covariance,
            flags=flags,
            model_id=str(meta.pop(columns.MODEL_ID, "")),
            columns=rest,
            meta=meta,
        )

    def write(self, path: str | os.PathLike[str]) -> None:
        """Write the catalogue as Parquet, FITS, VOTable, ECSV or CSV, by the file's suffix."""
        write_table(self.to_table(), path)

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> Latents:
        """Read a catalogue that :meth:`write` (or TOPCAT, from it) wrote."""
        return cls.from_table(read_table(path))

    def __repr__(self) -> str:
        model = self.model_id or "?"
        return f"<Latents: {len(self)} stars, {self.n_latent} dimensions, model {model}>"


@dataclass(frozen=True, eq=False)
class TwinPrior:
    """How the latents of one composition differ, and how those of two compositions do.

    A latent is ``z = composition's own value + leakage + measurement noise``; the noise of
    each star is the covariance that :meth:`starkin.models.SpectrumModel.encode` gives.

    Attributes
    ----------
    mean : ndarray, shape (n_latent,)
        Of the compositions' own values.
    within : ndarray, shape (n_latent, n_latent)
        Covariance of the leakage: what temperature, gravity and the model's own limits
        move while the composition stays. Noise is not in it.
    between : ndarray, shape (n_latent, n_latent)
        Covariance of the compositions' own values.
    """

    mean: np.ndarray
    within: np.ndarray
    between: np.ndarray
