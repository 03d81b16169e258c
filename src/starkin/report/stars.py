"""The stars as the page and the figures show them: named columns with ranges to plot.

Nothing here is a measurement. Sky positions are projected, a distance modulus
is added, long tables are packed so that a browser can hold them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.table import Column, Table

from ..latent.discovery import Discovery
from ..spectra import columns
from .style import axis_label, population_numbers

__all__ = [
    "ABSOLUTE_G",
    "MIN_PARALLAX_SNR",
    "Packed",
    "StarColumn",
    "Stars",
    "hammer",
    "input_name",
    "plain",
]

ABSOLUTE_G = "absolute_g"
#: Stars below it have no useful distance from their parallax alone.
MIN_PARALLAX_SNR = 5.0
#: Columns beyond this number stay in the catalogue and out of the page.
MAX_LABELS = 24
#: A text column with more distinct values than this is an identifier, not a class.
MAX_CATEGORIES = 24
_MISSING = np.uint16(65535)

_FIRST = (
    columns.OUTLIER_SCORE,
    columns.MEMBERSHIP,
    columns.LOG_LIKELIHOOD,
    columns.G_MAG,
    columns.BP_RP,
    ABSOLUTE_G,
    columns.PARALLAX,
    columns.TEFF,
    columns.LOGG,
    columns.M_H,
    columns.ALPHA_M,
    columns.C_M,
    columns.A_V,
    columns.GLON,
    columns.GLAT,
    columns.RA,
    columns.DEC,
)
_NOT_LABELS = {columns.POPULATION, columns.SOURCE_ID, columns.FLAGS, columns.NORMALISATION_FLUX}


@dataclass(frozen=True)
class Packed:
    """Numbers in 16 bits: ``offset + scale * code``, the last code meaning missing."""

    code: np.ndarray
    offset: float
    scale: float

    @classmethod
    def of(cls, values: np.ndarray) -> Packed:
        values = np.asarray(values, dtype=np.float64)
        good = np.isfinite(values)
        if not good.any():
            return cls(np.full(values.shape, _MISSING), 0.0, 1.0)
        low, high = values[good].min(), values[good].max()
        scale = (high - low) / (int(_MISSING) - 1) or 1.0
        code = np.full(values.shape, _MISSING)
        code[good] = np.rint((values[good] - low) / scale).astype(np.uint16)
        return cls(code, float(low), float(scale))

    def unpack(self) -> np.ndarray:
        values = self.offset + self.scale * self.code
        return np.where(self.code == _MISSING, np.nan, values)


@dataclass(frozen=True)
class StarColumn:
    """One column of the catalogue, ready to plot.

    Attributes
    ----------
    values : ndarray of float, shape (n_stars,)
        NaN where missing; the index into ``categories`` for a text column.
    low, high : float
        Range that holds all but the 0.2 % most extreme values at each end, and
        the same of 98 % of every population, however rare.
    """

    name: str
    label: str
    values: np.ndarray
    low: float
    high: float
    description: str = ""
    categories: tuple[str, ...] = ()

    @classmethod
    def of(
        cls, name: str, values: np.ndarray, groups: Sequence[np.ndarray] = (), **more: Any
    ) -> StarColumn:
        """``groups`` are the masks of the populations."""
        values = np.asarray(values, dtype=np.float64)
        more.setdefault("label", axis_label(name))
        if more.get("categories"):
            return cls(name, values=values, low=-0.6, high=len(more["categories"]) - 0.4, **more)
        good = np.isfinite(values)
        ends = [np.percentile(values[good], (0.2, 99.8))] if good.any() else [(0.0, 1.0)]
        ends += [np.percentile(values[g & good], (1, 99)) for g in groups if (g & good).any()]
        low, high = min(low for low, _ in ends), max(high for _, high in ends)
        pad = 0.04 * (high - low) or 0.5
        return cls(name, values=values, low=float(low - pad), high=float(high + pad), **more)


def hammer(longitude: np.ndarray, latitude: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Hammer's equal-area projection, longitude growing to the left, 0 in the middle.

    Parameters
    ----------
    longitude, latitude : ndarray
        Galactic coordinates [deg].

    Returns
    -------
    x, y : ndarray
        Within the ellipse |x| ≤ 2√2, |y| ≤ √2 (Snyder 1987, USGS PP 1395, p. 182).
    """
    half = np.radians((np.asarray(longitude) + 180.0) % 360.0 - 180.0) / 2
    b = np.radians(latitude)
    d = np.sqrt(2 / (1 + np.cos(b) * np.cos(half)))
    return -2 * d * np.cos(b) * np.sin(half), d * np.sin(b)


def plain(column: Column) -> np.ndarray:
    """A column's values as a plain array, missing numbers as NaN and missing text as ''."""
    values = np.ma.asarray(column)
    if values.dtype.kind in "OSU":
        text = np.array(["" if v is np.ma.masked or v is None else str(v) for v in values.tolist()])
        return text if text.size else text.astype("U1")
    # asarray, because a Column's `data` is no buffer and Bokeh would write it wrongly.
    return np.asarray(np.ma.filled(values.astype(np.float64), np.nan))


def _label(name: str, column: Column, groups: Sequence[np.ndarray]) -> StarColumn | None:
    """A catalogue column as a label to show, or None when there is nothing to see in it."""
    if column.ndim != 1:
        return None
    values = plain(column)
    more: dict[str, Any] = {
        "label": axis_label(name, str(column.unit or "")),
        "description": column.description or columns.info(name).description,
    }
    if values.dtype.kind == "U":
        names, codes = np.unique(values, return_inverse=True)
        if not 1 < len(names) <= MAX_CATEGORIES:
            return None
        shown = tuple(str(n) or "(none)" for n in names)
        return StarColumn.of(name, codes.astype(float), categories=shown, **more)
    good = values[np.isfinite(values)]
    if good.size == 0 or good.min() == good.max():
        return None
    return StarColumn.of(name, values, groups, **more)


@dataclass(frozen=True)
class Stars:
    """All stars in drawing order: the noise first, rare populations last and on top.

    Attributes
    ----------
    order : ndarray of int, shape (n_stars,)
        Catalogue row of each star shown.
    source_id, flags, position : ndarray, shape (n_stars,)
        ``position`` is the row of the star's population in the table, -1 for none.
    numbers : list of int
        Population number at each position.
    columns : dict
        Name to :class:`StarColumn`: latents first, then labels.
    left_out : list of str
        Label columns that stay in the catalogue only.
    """

    order: np.ndarray
    source_id: np.ndarray
    flags: np.ndarray
    position: np.ndarray
    numbers: list[int]
    columns: dict[str, StarColumn]
    latents: list[str]
    labels: list[str]
    left_out: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, discovery: Discovery) -> Stars:
        catalogue = discovery.catalogue
        table = catalogue.columns
        n = len(catalogue)
        numbers = population_numbers(discovery)
        number = (
            np.ma.filled(np.ma.asarray(table[columns.POPULATION]), -1).astype(int)
            if columns.POPULATION in table.colnames
            else np.full(n, -1)
        )
        position = np.full(n, -1)
        for i, population in enumerate(numbers):
            position[number == population] = i
        size = np.array([(position == i).sum() for i in range(-1, len(numbers))])
        size[0] = n + 1
        order = np.argsort(-size[position + 1], kind="stable")

        groups = [position[order] == i for i in range(len(numbers))]
        shown: dict[str, StarColumn] = {}
        for i in range(catalogue.n_latent):
            name = columns.latent(i)
            shown[name] = StarColumn.of(name, catalogue.mean[order, i], groups)
        latents = list(shown)
        labels, left_out = _labels(table[order] if table.colnames else table, shown, groups)
        return cls(
            order=order,
            source_id=catalogue.source_id[order],
            flags=np.asarray(catalogue.flags)[order],
            position=position[order],
            numbers=numbers,
            columns=shown,
            latents=latents,
            labels=labels,
            left_out=left_out,
        )

    def __len__(self) -> int:
        return len(self.source_id)

    def values(self, name: str) -> np.ndarray | None:
        return self.columns[name].values if name in self.columns else None

    @property
    def groups(self) -> list[np.ndarray]:
        """Mask of each population's stars, by position."""
        return [self.members(i) for i in range(len(self.numbers))]

    def members(self, position: int) -> np.ndarray:
        """Mask of the stars of one population (-1: of none), shape (n_stars,)."""
        return self.position == position

    @cached_property
    def sky(self) -> tuple[np.ndarray, np.ndarray] | None:
        """Projected Galactic positions, or None when the catalogue has no coordinates."""
        longitude, latitude = self.values(columns.GLON), self.values(columns.GLAT)
        if longitude is None or latitude is None:
            return None
        return hammer(longitude, latitude)

    @cached_property
    def good_parallax(self) -> np.ndarray:
        """Stars whose parallax tells a distance, shape (n_stars,)."""
        parallax, error = self.values(columns.PARALLAX), self.values(columns.PARALLAX_ERROR)
        if parallax is None:
            return np.zeros(len(self), dtype=bool)
        if error is None:
            return parallax > 0
        with np.errstate(invalid="ignore", divide="ignore"):
            return parallax / error > MIN_PARALLAX_SNR


def _galactic(table: Table, shown: dict[str, StarColumn]) -> None:
    """Add Galactic coordinates where only equatorial ones are given."""
    have = set(table.colnames)
    if {columns.GLON, columns.GLAT} <= have or not {columns.RA, columns.DEC} <= have:
        return
    ra, dec = plain(table[columns.RA]), plain(table[columns.DEC])
    good = np.isfinite(ra) & np.isfinite(dec)
    longitude, latitude = np.full(len(ra), np.nan), np.full(len(ra), np.nan)
    sky = SkyCoord(ra[good] * u.deg, dec[good] * u.deg, frame="icrs").galactic
    longitude[good], latitude[good] = sky.l.deg, sky.b.deg
    shown[columns.GLON] = StarColumn.of(columns.GLON, longitude)
    shown[columns.GLAT] = StarColumn.of(columns.GLAT, latitude)


def _photometry(shown: dict[str, StarColumn], groups: Sequence[np.ndarray]) -> None:
    """Add colour and absolute magnitude where their parts are given."""
    bp, rp = shown.get(columns.BP_MAG), shown.get(columns.RP_MAG)
    if columns.BP_RP not in shown and bp is not None and rp is not None:
        shown[columns.BP_RP] = StarColumn.of(columns.BP_RP, bp.values - rp.values, groups)
    g, parallax = shown.get(columns.G_MAG), shown.get(columns.PARALLAX)
    if ABSOLUTE_G not in shown and g is not None and parallax is not None:
        near = np.where(parallax.values > 0, parallax.values, np.nan)
        shown[ABSOLUTE_G] = StarColumn.of(
            ABSOLUTE_G,
            g.values + 5 * np.log10(near) - 10,
            groups,
            description="G + 5 log10(parallax / mas) - 10, no correction for extinction",
        )


def _labels(
    table: Table, shown: dict[str, StarColumn], groups: Sequence[np.ndarray]
) -> tuple[list[str], list[str]]:
    """Add every label to ``shown``; return the names for the page and those left out of it."""
    latents = set(shown)
    for name in table.colnames:
        if name not in _NOT_LABELS and name not in shown:
            label = _label(name, table[name], groups)
            if label is not None:
                shown[name] = label
    _galactic(table, shown)
    _photometry(shown, groups)

    def rank(name: str) -> tuple[int, bool]:
        # Errors say little in a histogram, so they give way when there are many columns.
        if name.endswith(columns.probability("")):
            return -1, False  # who had a class looked for wants to see it
        return _FIRST.index(name) if name in _FIRST else len(_FIRST), name.endswith("_error")

    names = sorted((name for name in shown if name not in latents), key=rank)
    return names[:MAX_LABELS], names[MAX_LABELS:]


def input_name(discovery: Discovery) -> str:
    """The sample's name for titles: the first input file's, and how many more there are."""
    inputs = discovery.run.get("inputs")
    files: list[str] = []
    for entry in inputs if isinstance(inputs, list) else []:
        files += entry.get("files") or [] if isinstance(entry, dict) else [entry]
    if not files:
        return "this sample"
    more = f" and {len(files) - 1} more" if len(files) > 1 else ""
    return f"{Path(str(files[0])).name}{more}"
