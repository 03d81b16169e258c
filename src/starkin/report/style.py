"""Colours, sizes and words that every panel and figure shares."""

from __future__ import annotations

from ..latent.discovery import Discovery
from ..spectra import columns

__all__ = [
    "ACCENT",
    "FAINT",
    "GRID",
    "MUTED",
    "NOISE",
    "SEQUENTIAL",
    "TEXT",
    "axis_label",
    "colour",
    "dash",
    "population_label",
    "population_numbers",
]

TEXT = "#1b2330"
MUTED = "#5b6675"
FAINT = "#c3c9d2"
GRID = "#e6e9ee"
NOISE = "#9aa3af"
ACCENT = "#b3124f"

# Okabe & Ito's set without its black and its yellow (too pale on white), then
# the darker of Paul Tol's "muted" set: told apart by all common colour vision.
_POPULATIONS = (
    "#0072b2",
    "#d55e00",
    "#009e73",
    "#cc79a7",
    "#e69f00",
    "#56b4e9",
    "#882255",
    "#999933",
    "#332288",
    "#44aa99",
    "#aa4466",
    "#117733",
)
_DASHES = ("solid", "dashed", "dotted", "dotdash")

# Cividis in sixteen steps: even in lightness, the same to every colour vision.
SEQUENTIAL = "Cividis256"

_AXIS = {
    columns.G_MAG: "G [mag]",
    columns.BP_MAG: "BP [mag]",
    columns.RP_MAG: "RP [mag]",
    columns.BP_RP: "BP − RP [mag]",
    columns.PARALLAX: "parallax [mas]",
    columns.PARALLAX_ERROR: "parallax error [mas]",
    columns.GLON: "Galactic longitude l [deg]",
    columns.GLAT: "Galactic latitude b [deg]",
    columns.RA: "right ascension [deg]",
    columns.DEC: "declination [deg]",
    columns.TEFF: "Teff [K]",
    columns.LOGG: "log g [log cm s⁻²]",
    columns.M_H: "[M/H] [dex]",
    columns.ALPHA_M: "[α/M] [dex]",
    columns.C_M: "[C/M] [dex]",
    columns.A_V: "A(V) [mag]",
    columns.OUTLIER_SCORE: "outlier score",
    columns.LOG_LIKELIHOOD: "log-likelihood [nat]",
    columns.MEMBERSHIP: "membership probability",
    "cemp_probability": "probability of CEMP",
    "absolute_g": "absolute G [mag]",
}


def axis_label(name: str, unit: str = "") -> str:
    """What an axis or a column heading says for a catalogue column, unit included."""
    if name in _AXIS:
        return _AXIS[name]
    tail = columns.probability("")
    if name.endswith(tail):
        return f"probability of {name.removesuffix(tail).replace('_', ' ')}"
    unit = unit or columns.info(name).unit
    return f"{name} [{unit}]" if unit else name


def colour(position: int) -> str:
    """Colour of the population in row ``position`` of the table; -1 is the noise."""
    return NOISE if position < 0 else _POPULATIONS[position % len(_POPULATIONS)]


def dash(position: int) -> str:
    """Line pattern: changes when the colours start again."""
    return "solid" if position < 0 else _DASHES[position // len(_POPULATIONS) % len(_DASHES)]


def population_numbers(discovery: Discovery) -> list[int]:
    """Numbers of the populations in the order of the table; the position gives the colour."""
    table = discovery.populations
    if columns.POPULATION not in table.colnames:
        return []
    return [int(number) for number in table[columns.POPULATION] if int(number) >= 0]


def population_label(number: int) -> str:
    return "No population" if number < 0 else f"P{number}"
