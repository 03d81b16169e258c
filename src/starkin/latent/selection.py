"""What a selection by probability costs: completeness and contamination by threshold."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..spectra.errors import StarkinError

__all__ = ["SelectionCurve", "selection_curve"]


@dataclass(frozen=True)
class SelectionCurve:
    """One entry a threshold: stars with probability ≥ threshold are selected.

    Attributes
    ----------
    threshold : ndarray, shape (n_thresholds,)
        Increasing.
    completeness : ndarray, shape (n_thresholds,)
        Share of the true members that are selected.
    contamination : ndarray, shape (n_thresholds,)
        Share of the selected that are no members; NaN where none is selected.
    n_selected : ndarray of int, shape (n_thresholds,)
    """

    threshold: np.ndarray
    completeness: np.ndarray
    contamination: np.ndarray
    n_selected: np.ndarray

    def threshold_for(self, contamination: float) -> float:
        """The least threshold from which on the contamination stays at or below a limit.

        Raises
        ------
        StarkinError
            If no selection is so clean.
        """
        clean = self.contamination <= contamination
        clean |= self.n_selected == 0
        # From the strict end: one lucky threshold among dirty ones does not count.
        stays = np.logical_and.accumulate(clean[::-1])[::-1] & (self.n_selected > 0)
        if not stays.any():
            raise StarkinError(
                f"No threshold keeps the contamination at or below {contamination:g}; "
                "allow more, or train on more examples."
            )
        return float(self.threshold[stays][0])


def selection_curve(
    probability: np.ndarray, member: np.ndarray, thresholds: np.ndarray | None = None
) -> SelectionCurve:
    """Completeness and contamination of "probability at least t".

    Parameters
    ----------
    probability : ndarray, shape (n_stars,)
        NaN for a star without one: it is never selected, but counts as missed.
    member : ndarray of bool, shape (n_stars,)
        Truth.
    thresholds : ndarray, shape (n_thresholds,), optional
        0, 0.01, …, 1 without it.

    Raises
    ------
    StarkinError
        If there is no true member: completeness would have no meaning.
    """
    probability, member = np.asarray(probability, dtype=float), np.asarray(member, dtype=bool)
    if not member.any():
        raise StarkinError("Completeness needs at least one true member among the stars.")
    grid = np.linspace(0, 1, 101) if thresholds is None else np.sort(np.asarray(thresholds, float))
    known = np.isfinite(probability)

    def count(values: np.ndarray) -> np.ndarray:
        ordered = np.sort(values)
        return ordered.size - np.searchsorted(ordered, grid, side="left")

    selected, right = count(probability[known]), count(probability[known & member])
    with np.errstate(invalid="ignore"):
        contamination = np.where(selected > 0, 1 - right / selected, np.nan)
    return SelectionCurve(grid, right / member.sum(), contamination, selected)
