"""`SpectrumSet`: the only way spectra travel through starkin."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from copy import copy as shallow_copy
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from astropy import units as u
from astropy.table import Table, vstack

from . import columns
from .errors import StarkinError
from .grid import Grid, XPGrid

__all__ = ["SpectrumSet"]


@dataclass(frozen=True, eq=False, repr=False)
class SpectrumSet:
    """Spectra with errors, mask, ids, labels and provenance, one row a star.

    Parameters
    ----------
    source_id : ndarray of int64, shape (n_stars,)
    values : ndarray, shape (n_stars, n_pixels)
        Coefficients or fluxes, in ``unit``; 0 where masked.
    errors : ndarray, shape (n_stars, n_pixels)
        One standard deviation each, in ``unit``; 1 where masked.
    grid : Grid
        What the columns mean.
    mask : ndarray of bool, shape (n_stars, n_pixels), optional
        True where a value is missing or bad (numpy's and astropy's convention).
        Values or errors that are not finite, and errors that are not positive,
        are masked whatever the mask given says.
    correlations : ndarray of float32, shape (n_stars, grid.n_correlations), optional
        Packed triangles (:mod:`starkin.spectra.correlations`); NaN rows where a
        star has none.
    labels : astropy.table.Table, optional
        Anything else known of the stars, one row each, with units.
    unit : astropy.units.Unit
        Of values and errors.
    meta : dict
        Provenance: where the spectra come from and what was done to them.

    Raises
    ------
    StarkinError
        If the shapes disagree.
    """

    source_id: np.ndarray
    values: np.ndarray
    errors: np.ndarray
    grid: Grid
    mask: np.ndarray = None  # type: ignore[assignment]  # always an array after construction
    correlations: np.ndarray | None = None
    labels: Table = None  # type: ignore[assignment]  # always a table after construction
    unit: u.UnitBase = u.electron / u.s
    meta: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        set_ = object.__setattr__
        source_id = np.asarray(self.source_id, dtype=np.int64)
        values, errors = np.asarray(self.values), np.asarray(self.errors)
        shape = (source_id.size, self.grid.n_pixels)
        for name, array in (("values", values), ("errors", errors), ("mask", self.mask)):
            if array is not None and np.shape(array) != shape:
                raise StarkinError(
                    f"SpectrumSet.{name} has shape {np.shape(array)}, expected {shape} "
                    f"for {shape[0]} stars on {self.grid.describe()}."
                )
        usable = np.isfinite(values)
        usable &= errors > 0
        usable &= errors < np.inf
        bad = np.logical_not(usable, out=usable)
        if self.mask is not None:
            bad |= np.asarray(self.mask, dtype=bool)
        if bad.any() and not _harmless(values, errors, bad):
            # A masked number must never leak: make it harmless, not merely flagged.
            # (Copy and fill: streams pass here, and this is twice as fast as np.where.)
            values, errors = values.copy(), errors.copy()
            np.copyto(values, 0, where=bad)
            np.copyto(errors, 1, where=bad)
        if self.correlations is not None:
            expected = (shape[0], self.grid.n_correlations if isinstance(self.grid, XPGrid) else -1)
            if np.shape(self.correlations) != expected:
                raise StarkinError(
                    f"SpectrumSet.correlations has shape {np.shape(self.correlations)}, "
                    f"expected {expected}."
                )
        set_(self, "source_id", source_id)
        set_(self, "values", values)
        set_(self, "errors", errors)
        set_(self, "mask", bad)
        self._take_labels(Table() if self.labels is None else self.labels)

    def _take_labels(self, labels: Table) -> None:
        if len(labels.colnames) and len(labels) != len(self):
            raise StarkinError(f"SpectrumSet.labels has {len(labels)} rows for {len(self)} stars.")
        object.__setattr__(self, "labels", labels)

    # --- as a container ---------------------------------------------------
    def __len__(self) -> int:
        return int(self.source_id.size)

    @property
    def n_pixels(self) -> int:
        return self.grid.n_pixels

    def __getitem__(self, index: Any) -> SpectrumSet:
        """The stars picked by a slice, an index array or a boolean array."""
        if isinstance(index, (int, np.integer)):
            index = slice(index, index + 1) if index != -1 else slice(index, None)
        return replace(
            self,
            source_id=self.source_id[index],
            values=self.values[index],
            errors=self.errors[index],
            mask=self.mask[index],
            correlations=None if self.correlations is None else self.correlations[index],
            labels=self.labels[index] if self.labels.colnames else None,
        )

    def batches(self, size: int) -> Iterator[SpectrumSet]:
        """Consecutive pieces of at most ``size`` stars."""
        for start in range(0, len(self), size):
            yield self[start : start + size]

    def replace(self, **changes: Any) -> SpectrumSet:
        """A copy with some parts changed (as :func:`dataclasses.replace`)."""
        return replace(self, **changes)

    @classmethod
    def concatenate(cls, sets: Iterable[SpectrumSet]) -> SpectrumSet:
        """Sets on one grid, one after the other; correlations survive if all have them."""
        sets = list(sets)
        if not sets:
            raise StarkinError("There are no spectra to concatenate.")
        first = sets[0]
        for other in sets[1:]:
            first.grid.require(other.grid, "A set to be concatenated")
            if other.unit != first.unit:
                raise StarkinError(f"Cannot concatenate spectra in {other.unit} and {first.unit}.")
        correlations = None
        if all(s.correlations is not None for s in sets):
            correlations = np.concatenate([np.asarray(s.correlations) for s in sets])
        labels = None
        if all(s.labels.colnames for s in sets):
            labels = vstack([s.labels for s in sets], metadata_conflicts="silent")
        return replace(
            first,
            source_id=np.concatenate([s.source_id for s in sets]),
            values=np.concatenate([s.values for s in sets]),
            errors=np.concatenate([s.errors for s in sets]),
            mask=np.concatenate([s.mask for s in sets]),
            correlations=correlations,
            labels=labels,
        )

    # --- what is known of the stars ---------------------------------------
    def label(self, name: str) -> np.ndarray:
        """A label column as floats, NaN where it is missing.

        Raises
        ------
        StarkinError
            If there is no such column.
        """
        if name not in self.labels.colnames:
            raise StarkinError(
                f"There is no label column {name!r}; the columns are "
                f"{', '.join(self.labels.colnames) or 'none'}; rename one of them, or join a "
                "catalogue that has it (starkin prepare --labels)."
            )
        column = self.labels[name]
        # Integers have no NaN to fill in: a masked one must become a float first.
        return np.ma.filled(np.ma.asarray(column).astype(np.float64), np.nan)

    def has_label(self, name: str) -> bool:
        return name in self.labels.colnames

    def with_labels(self, **new: Any) -> SpectrumSet:
        """A copy with label columns added or replaced; units come from `columns`."""
        labels = self.labels.copy(copy_data=False)
        for name, column in new.items():
            labels[name] = column
            known = columns.info(name)
            labels[name].description = labels[name].description or known.description or None
            if known.unit and labels[name].unit is None:
                labels[name].unit = known.unit
        copy = shallow_copy(self)  # the spectra are sound already and need no second look
        copy._take_labels(labels)
        return copy

    def band_missing(self, band: str) -> np.ndarray:
        """Stars of which a whole XP band is masked, shape (n_stars,)."""
        if not isinstance(self.grid, XPGrid):
            raise StarkinError("Only XP coefficients have bands.")
        return np.all(self.mask[:, self.grid.band(band)], axis=1)

    @property
    def fingerprint(self) -> str:
        """Sixteen hexadecimal digits of ids, values, errors, mask and grid."""
        digest = hashlib.sha256(self.grid.fingerprint.encode())
        for array in (self.source_id, self.values, self.errors, self.mask):
            digest.update(np.ascontiguousarray(array))  # not its bytes: a copy of gigabytes
        return digest.hexdigest()[:16]

    def __repr__(self) -> str:
        parts = [f"{len(self)} stars", self.grid.describe(), f"unit '{self.unit}'"]
        parts.append(f"{100 * self.mask.mean() if self.mask.size else 0:.2g}% masked")
        if self.correlations is not None:
            parts.append("with correlations")
        if self.labels.colnames:
            parts.append(f"{len(self.labels.colnames)} label columns")
        return f"<SpectrumSet: {', '.join(parts)}>"


def _harmless(values: np.ndarray, errors: np.ndarray, bad: np.ndarray) -> bool:
    """Whether masked values are 0 with error 1 already: then nothing need be copied."""
    return not np.any(values, where=bad) and bool(np.all(errors == 1, where=bad))
