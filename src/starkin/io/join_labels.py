"""Labels of a catalogue joined to spectra by the id that both have."""

from __future__ import annotations

from typing import Any

import numpy as np
from astropy.table import Column, MaskedColumn, Table

from ..spectra import SpectrumSet, columns
from ..spectra.errors import StarkinError
from .star_ids import NAME_COLUMNS

__all__ = ["join_labels"]


def join_labels(
    spectra: SpectrumSet, table: Table, name: str = "the table of labels"
) -> tuple[SpectrumSet, int]:
    """``spectra`` with the table's columns; theirs of the same name are replaced.

    Stars are recognised by ``source_id``, by the star that a visit belongs to, or by what a
    survey calls them (``apogee_id``, ``sdss_id``, ``sobject_id``), whichever finds most. Where
    a survey's name finds the star, the table's ``source_id`` becomes the spectrum's.

    Parameters
    ----------
    spectra : SpectrumSet
        With any of these ids.
    table : Table
        One row a star, in any order (:func:`~starkin.io.survey_labels.read_labels`).
    name : str
        What messages call the table.

    Returns
    -------
    SpectrumSet
    int
        How many spectra the table does not know; their labels are missing.

    Raises
    ------
    StarkinError
        If there is no id in common, or the table has a star twice.
    """
    if not len(table):
        raise StarkinError(f"{name} is empty.")
    best: tuple[int, str, str, np.ndarray, np.ndarray] | None = None
    for theirs, ours in _keys(spectra, table):
        place, found = _look_up(_texts(table[theirs]), _of_spectra(spectra, ours))
        if best is None or found.sum() > best[0]:
            best = (int(found.sum()), theirs, ours, place, found)
    if best is None:
        raise StarkinError(
            f"{name} has no column {columns.SOURCE_ID} nor another id that the spectra have; "
            f"rename the id column to that."
        )
    _, theirs, ours, place, found = best
    if not found.any():
        raise StarkinError(f"{name} shares no {theirs} with the spectra.")
    _refuse_repeats(table, theirs, name)
    joined = {
        column: _picked(table[column], place, found)
        for column in table.colnames
        if column != columns.SOURCE_ID
    }
    result = spectra.with_labels(**joined)
    if columns.SOURCE_ID in table.colnames and ours in NAME_COLUMNS:
        result = _with_ids(result, np.asarray(table[columns.SOURCE_ID])[place], found)
    return result, int(np.count_nonzero(~found))


def _keys(spectra: SpectrumSet, table: Table) -> list[tuple[str, str]]:
    """Pairs of a column of the table and an id of the spectra that may mean the same."""
    keys = []
    if columns.SOURCE_ID in table.colnames:
        keys.append((columns.SOURCE_ID, columns.SOURCE_ID))
        if spectra.has_label(columns.STAR_ID):
            keys.append((columns.SOURCE_ID, columns.STAR_ID))
    keys += [(n, n) for n in NAME_COLUMNS if n in table.colnames and spectra.has_label(n)]
    return keys


def _of_spectra(spectra: SpectrumSet, name: str) -> np.ndarray:
    if name == columns.SOURCE_ID:
        return spectra.source_id
    return _texts(spectra.labels[name])


def _texts(column: Any) -> np.ndarray:
    values = np.ma.asarray(column)
    if values.dtype.kind in "iu":
        return np.asarray(values.filled(-1) if np.ma.isMaskedArray(values) else values)
    return np.char.strip(np.asarray(values.astype(np.str_).filled("")))  # type: ignore[attr-defined]


def _look_up(known: np.ndarray, wanted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Row of ``known`` for each of ``wanted`` (any row where there is none), and if there is."""
    if known.dtype.kind != wanted.dtype.kind and "U" in known.dtype.kind + wanted.dtype.kind:
        known, wanted = known.astype(np.str_), wanted.astype(np.str_)
    order = np.argsort(known, kind="stable")
    place = order[np.searchsorted(known[order], wanted).clip(max=len(known) - 1)]
    return place, known[place] == wanted


def _refuse_repeats(table: Table, key: str, name: str) -> None:
    ids, counts = np.unique(_texts(table[key]), return_counts=True)
    named = ids.astype(np.str_) != ""  # stars without a name of that survey
    if (counts[named] > 1).any():
        n = int((counts[named] - 1).sum())
        raise StarkinError(f"{name} names {n} stars twice; keep one row a star.")


def _picked(column: Any, place: np.ndarray, found: np.ndarray) -> Any:
    picked = column[place]
    if found.all():
        return picked
    if isinstance(picked, Column) and not isinstance(picked, MaskedColumn):
        picked = MaskedColumn(picked)
    if not isinstance(picked, MaskedColumn):
        raise StarkinError(f"Column {column.info.name!r} of the labels is no plain column.")
    picked.mask = np.ma.getmaskarray(picked) | ~found
    return picked


def _with_ids(spectra: SpectrumSet, given: np.ndarray, found: np.ndarray) -> SpectrumSet:
    ids = np.where(found, given, spectra.source_id)
    if np.unique(ids).size < np.unique(spectra.source_id).size:
        return spectra  # two names of one star: its own number keeps each spectrum apart
    return spectra.replace(source_id=ids)
