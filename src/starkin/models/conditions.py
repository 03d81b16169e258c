"""Known quantities of a star (temperature, gravity, …) that a model is told beside its spectrum."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from ..spectra import SpectrumSet, StarkinError
from ..spectra.flags import Flag

__all__ = ["Conditions"]


@dataclass(frozen=True)
class Conditions:
    """Standardised label columns, and the range in which a model has learnt them.

    Attributes
    ----------
    names : tuple of str
        Label columns, in the order of the columns of every array of conditions.
    centre, scale : ndarray, shape (n_conditions,)
        Mean and standard deviation over the training stars, in the columns' units.
    low, high : ndarray, shape (n_conditions,)
        Smallest and largest value in the training stars.
    """

    names: tuple[str, ...]
    centre: np.ndarray
    scale: np.ndarray
    low: np.ndarray
    high: np.ndarray

    @classmethod
    def fit(
        cls, spectra: SpectrumSet, names: Sequence[str], rows: np.ndarray | None = None
    ) -> Self:
        """Learn from the labels of a training set, or of the stars ``rows`` of a larger one.

        Raises
        ------
        StarkinError
            If a column is missing, or has no value, or only one.
        """
        values = np.column_stack([spectra.label(name) for name in names])
        values = values if rows is None else values[rows]
        for name, column in zip(names, values.T, strict=True):
            if np.unique(column[np.isfinite(column)]).size < 2:
                raise StarkinError(
                    f"The label column {name!r} has fewer than two different values in the "
                    "training spectra; leave it out of the model's conditions."
                )
        return cls(
            tuple(names),
            np.nanmean(values, axis=0),
            np.nanstd(values, axis=0),
            np.nanmin(values, axis=0),
            np.nanmax(values, axis=0),
        )

    def __len__(self) -> int:
        return len(self.names)

    def of(self, spectra: SpectrumSet) -> np.ndarray:
        """Values in the columns' units, shape (n_stars, n_conditions); NaN where missing."""
        return np.column_stack([spectra.label(name) for name in self.names])

    def standardise(self, values: np.ndarray) -> np.ndarray:
        """``(values - centre) / scale``, shape (n_stars, n_conditions).

        Raises
        ------
        StarkinError
            If there is not one column per condition.
        """
        values = np.asarray(values, dtype=np.float64)
        if values.ndim != 2 or values.shape[1] != len(self):
            raise StarkinError(
                f"Conditions have shape {values.shape}; this model needs "
                f"{', '.join(self.names)} as columns, one row a star."
            )
        return (values - self.centre) / self.scale

    def flags(self, values: np.ndarray) -> np.ndarray:
        """:class:`Flag` bits of values in the columns' units, shape (n_stars,)."""
        missing = ~np.isfinite(values).all(axis=1)
        outside = ((values < self.low) | (values > self.high)).any(axis=1)
        flags = np.where(missing, Flag.LABEL_MISSING, 0)
        return (flags | np.where(outside, Flag.LABEL_OUT_OF_RANGE, 0)).astype(np.int32)

    # --- as arrays of a model directory -----------------------------------
    def to_arrays(self) -> dict[str, np.ndarray]:
        return {
            "names": np.array(self.names),
            "centre": self.centre,
            "scale": self.scale,
            "low": self.low,
            "high": self.high,
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> Self:
        names = tuple(str(name) for name in arrays["names"])
        return cls(names, *(arrays[key] for key in ("centre", "scale", "low", "high")))
