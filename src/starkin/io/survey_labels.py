"""Catalogues of spectroscopic surveys as tables of labels in our names and units.

APOGEE's allStar (DR16, DR17), Astra's allStar tables (SDSS-V) and GALAH DR4: names
are mapped (TEFF → teff, [X/Fe] → x_h = [X/Fe] + [Fe/H]), values that stand for
"missing" (-9999 and the like) become NaN, duplicates go.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from astropy.table import Column, Table

from ..spectra import columns
from ..spectra.errors import StarkinError
from .catalogue import read_table
from .fits_files import open_fits
from .source import Source
from .star_ids import GAIA_NAMES, NAME_COLUMNS, ids_of_names

__all__ = ["is_survey_catalogue", "read_labels", "survey_labels"]

#: Below this a survey's number means "not measured" (-9999, -9999.99, -999999).
_MISSING_BELOW = -990.0

#: EXTRATARG bit of allStar for further observations of a star that is in it already.
_DUPLICATE = 1 << 4

# Lower-case names of surveys → ours; the first that is there is taken.
_NAMES: dict[str, tuple[str, ...]] = {
    columns.TEFF: ("teff",),
    columns.LOGG: ("logg",),
    columns.M_H: ("m_h", "m_h_atm"),
    columns.ALPHA_M: ("alpha_m", "alpha_m_atm"),
    columns.TEFF_ERROR: ("teff_err", "e_teff"),
    columns.LOGG_ERROR: ("logg_err", "e_logg"),
    columns.M_H_ERROR: ("m_h_err", "e_m_h", "e_m_h_atm"),
    columns.ALPHA_M_ERROR: ("alpha_m_err", "e_alpha_m", "e_alpha_m_atm"),
    columns.SNR: ("snr", "snrev", "snr_px_ccd3"),
    columns.RADIAL_VELOCITY: ("vhelio_avg", "v_rad", "rv_comp_1"),
    columns.RA: ("ra",),
    columns.DEC: ("dec",),
    columns.GLON: ("glon",),
    columns.GLAT: ("glat",),
    columns.STARFLAG: ("starflag", "spectrum_flags"),
    columns.ASPCAPFLAG: ("aspcapflag", "result_flags"),
    "flag_sp": ("flag_sp",),
    columns.APOGEE_ID: ("apogee_id", "sdss4_apogee_id"),
    columns.SDSS_ID: ("sdss_id",),
    columns.SOBJECT_ID: ("sobject_id",),
}

_ELEMENTS = (
    "li", "c", "ci", "n", "o", "na", "mg", "al", "si", "s", "p", "k",
    "ca", "sc", "ti", "tiii", "v", "cr", "mn", "fe", "co", "ni", "cu", "zn",
    "rb", "sr", "y", "zr", "mo", "ru", "ba", "la", "ce", "nd", "sm", "eu",
)  # fmt: skip
_ABUNDANCE = re.compile(rf"^({'|'.join(_ELEMENTS)})_(fe|h)$")
# A catalogue of a survey has its own id and parameters under the survey's names.
_MARKS = ({"apogee_id", "teff", "aspcapflag"}, {"sdss_id", "teff"}, {"sobject_id", "teff"})


def is_survey_catalogue(names: Iterable[str]) -> bool:
    """Whether columns of these names are a survey's catalogue that we know."""
    lower = {name.lower() for name in names}
    return any(marks <= lower for marks in _MARKS)


def read_labels(path: str | Path) -> Table:
    """A table of labels from any catalogue: a survey's in our names, others as they are.

    Of a survey's large FITS catalogue only the columns that are used are read.

    Raises
    ------
    StarkinError
        If the file cannot be read as a table.
    """
    path = Path(path)
    if not path.exists():
        raise StarkinError(f"{path} does not exist.")
    source = Source(path)
    if not source.head().startswith(b"SIMPLE  ="):
        table = read_table(path)
        return survey_labels(table, str(path)) if is_survey_catalogue(table.colnames) else table
    with open_fits(source, mapped=True) as hdus:
        for hdu in hdus:
            names = [str(n) for n in getattr(getattr(hdu, "columns", None), "names", ())]
            if is_survey_catalogue(names):
                wanted = [n for n in names if _is_wanted(n.lower())]
                table = Table({n: np.array(hdu.data[n]) for n in wanted}, copy=False)
                return survey_labels(table, str(path))
    return read_table(path)


def _is_wanted(name: str) -> bool:
    plain = re.sub(r"^(e_|flag_)|(_err|_flags?)$", "", name)
    known = {n for names in _NAMES.values() for n in names}
    return (
        name in known or name in GAIA_NAMES or name == "extratarg" or bool(_ABUNDANCE.match(plain))
    )


def survey_labels(table: Table, name: str) -> Table:
    """Labels under our names, one row a star, with ``source_id``.

    Parameters
    ----------
    table : astropy.table.Table
        Rows of a survey's catalogue.
    name : str
        What messages call it.

    Raises
    ------
    StarkinError
        If there is no column that identifies the stars.
    """
    lower = {n.lower(): n for n in table.colnames if np.ndim(table[n]) == 1}
    labels = Table()
    for target, spellings in _NAMES.items():
        found = next((lower[s] for s in spellings if s in lower), None)
        if found is not None:
            _put(labels, target, _clean(table[found]))
    _abundances(table, lower, labels)
    labels.add_column(_source_ids(table, lower, labels, name), name=columns.SOURCE_ID, index=0)
    return _one_row_a_star(labels, table, lower)


def _clean(column: Any) -> np.ndarray:
    values: Any = np.ma.asarray(column)
    if values.dtype.kind in "SU":
        texts = np.asarray(values.astype(np.str_).filled(""))
        return np.char.strip(texts)
    if values.dtype.kind == "f":
        data = np.asarray(values.astype(values.dtype.newbyteorder("=")).filled(np.nan))
        return np.where(data > _MISSING_BELOW, data, np.nan)
    return np.asarray(values.filled(0)).astype(values.dtype.newbyteorder("="))


def _put(labels: Table, name: str, values: np.ndarray, description: str = "") -> None:
    known = columns.info(name)
    labels[name] = Column(
        values, unit=known.unit or None, description=known.description or description or None
    )


def _abundances(table: Table, lower: dict[str, str], labels: Table) -> None:
    """[X/H], as given or from [X/Fe] + [Fe/H], with errors added in quadrature, and flags."""
    iron = _clean(table[lower["fe_h"]]) if "fe_h" in lower else None
    iron_error = _first(table, lower, "fe_h_err", "e_fe_h")
    for element in _ELEMENTS:
        target, text = columns.abundance(element), f"[{element.capitalize()}/H]"
        if f"{element}_h" in lower:
            values = _clean(table[lower[f"{element}_h"]])
            error = _first(table, lower, f"{element}_h_err", f"e_{element}_h")
            flags = _first(
                table, lower, f"{element}_h_flag", f"{element}_h_flags", f"flag_{element}_h"
            )
        elif f"{element}_fe" in lower and iron is not None:
            values = _clean(table[lower[f"{element}_fe"]]) + iron
            error = _first(table, lower, f"{element}_fe_err", f"e_{element}_fe")
            if error is not None and iron_error is not None:
                error = np.hypot(error, iron_error)
            flags = _first(table, lower, f"{element}_fe_flag", f"flag_{element}_fe")
        else:
            continue
        if values.dtype.kind != "f":
            continue
        _put(labels, target, values, f"{text} (dex)")
        if error is not None:
            _put(labels, f"{target}_error", error, f"Standard error of {text} (dex)")
        if flags is not None:
            _put(labels, f"{target}_flag", flags, f"The survey's flags of {text}")


def _first(table: Table, lower: dict[str, str], *names: str) -> np.ndarray | None:
    return next((_clean(table[lower[n]]) for n in names if n in lower), None)


def _source_ids(table: Table, lower: dict[str, str], labels: Table, name: str) -> np.ndarray:
    """Gaia's ids where they are known, the survey's own elsewhere."""
    ids = np.zeros(len(table), dtype=np.int64)
    for spelling in GAIA_NAMES:
        if spelling in lower and table[lower[spelling]].dtype.kind in "iu":
            given = np.ma.filled(np.ma.asarray(table[lower[spelling]]), 0).astype(np.int64)
            ids = np.where(ids > 0, ids, given)
    for own in NAME_COLUMNS:
        missing = ids <= 0
        if missing.any() and own in labels.colnames:
            names = np.asarray(labels[own])
            if names.dtype.kind in "iu":
                ids[missing] = names[missing]
            else:
                ids[missing] = ids_of_names(names[missing])
    if (ids == 0).any():
        raise StarkinError(
            f"{name} has no column that identifies its stars (source_id, apogee_id)."
        )
    return ids


def _one_row_a_star(labels: Table, table: Table, lower: dict[str, str]) -> Table:
    """Without rows that the survey calls duplicates; of those left the best S/N."""
    if "extratarg" in lower:
        duplicate = (np.asarray(table[lower["extratarg"]]).astype(np.int64) & _DUPLICATE) != 0
        labels = labels[~duplicate]
    ids = np.asarray(labels[columns.SOURCE_ID])
    if np.unique(ids).size == len(ids):
        return labels
    snr = (
        np.nan_to_num(np.asarray(labels[columns.SNR], dtype=np.float64), nan=-1)
        if columns.SNR in labels.colnames
        else np.zeros(len(labels))
    )
    order = np.lexsort((-snr, ids))
    first = order[np.r_[True, np.diff(ids[order]) != 0]]
    return labels[np.sort(first)]
