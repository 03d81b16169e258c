"""The table of populations: what stands in ``populations.ecsv``, formatted for reading."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from astropy.table import Table

from ...latent.discovery import Discovery
from ..facts import number, p_value, votes
from ..style import axis_label, colour, population_label, population_numbers

__all__ = ["Cell", "Heading", "PopulationTable", "population_table", "vote_table"]


@dataclass(frozen=True)
class Cell:
    text: str
    sort: float | str
    title: str = ""
    strong: bool = False


@dataclass(frozen=True)
class Heading:
    group: str
    name: str
    title: str


@dataclass(frozen=True)
class PopulationTable:
    """Headings and one row a population; ``groups`` are the headings' spans."""

    headings: list[Heading]
    rows: list[dict[str, Any]]

    @property
    def groups(self) -> list[tuple[str, int]]:
        out: list[tuple[str, int]] = []
        for heading in self.headings:
            if out and out[-1][0] == heading.group:
                out[-1] = (heading.group, out[-1][1] + 1)
            else:
                out.append((heading.group, 1))
        return out


_COLUMNS = {
    "n_stars": ("Stars", "number", "How many stars carry this population's number"),
    "fraction": ("Stars", "share", "Its part of all stars in the sample"),
    "persistence": (
        "Stability",
        "persistence",
        "How long the group survives as the density threshold rises; larger is more pronounced",
    ),
    "jaccard": (
        "Stability",
        "Jaccard",
        "Mean overlap with the best match over resamples: below 0.5 the group dissolves, "
        "from 0.75 it is stable",
    ),
    "jaccard_low": ("Stability", "lowest tenth", "A tenth of the resamples overlap less than this"),
}
_TESTS = {
    "spectroscopic": "Spectra against random groups of equal size",
    "photometric": "Place in the colour–magnitude diagram against random groups of equal size",
    "sky": "Places on the sky against random groups of equal size",
}
_VOTES = {
    "simbad_type": ("type", "The most frequent object type among matched members"),
    "simbad_votes": ("votes", "Matched members of that type"),
    "simbad_matched": ("matched", "Members with a known object type"),
    "simbad_entropy": (
        "entropy [bit]",
        "0: all matched members agree; larger: types are mixed",
    ),
    "simbad_p": ("p", "Chance that a random group of as many matched stars has as many votes"),
    "simbad_excess": (
        "stands out",
        "The type whose share exceeds the sample's most; common types win votes everywhere",
    ),
    "simbad_excess_p": ("p", "Chance of such an excess, allowing for the types compared"),
}


def _finite(value: Any) -> float:
    try:
        return float(value) if value is not np.ma.masked else float("nan")
    except (TypeError, ValueError):
        return float("nan")


def _cell(name: str, value: Any, row: Any) -> Cell:
    if value is np.ma.masked:
        return Cell("–", float("nan"))
    if name.endswith("_p_adjusted") or name in ("simbad_p", "simbad_excess_p"):
        raw = name.removesuffix("_adjusted")
        title = f"unadjusted p = {p_value(row[raw])}" if raw in row.colnames else ""
        value = _finite(value)
        return Cell(p_value(value), value, title, strong=value < 0.05)
    if name == "fraction":
        return Cell(f"{100 * _finite(value):.2f} %", _finite(value))
    if isinstance(value, (str, np.str_, bytes)):
        return Cell(str(value) or "–", str(value))
    return Cell(number(value), _finite(value))


def _headings(table: Table) -> dict[str, Heading]:
    out = {}
    for name, (group, title, meaning) in _COLUMNS.items():
        out[name] = Heading(group, title, meaning)
    for test, meaning in _TESTS.items():
        out[f"{test}_statistic"] = Heading(f"Distinct: {test}", "statistic", meaning)
        out[f"{test}_p_adjusted"] = Heading(
            f"Distinct: {test}", "p adj.", f"{meaning}; permutation p-value, adjusted for the "
            "number of tests"
        )  # fmt: skip
        if f"{test}_p_adjusted" not in table.colnames:
            out[f"{test}_p"] = Heading(f"Distinct: {test}", "p", f"{meaning}; permutation p-value")
    for name, (title, meaning) in _VOTES.items():
        out[name] = Heading("SIMBAD vote", title, meaning)
    known = {f"{test}_p" for test in _TESTS} | {"population"}
    for name in table.colnames:
        if name.startswith("median_"):
            label = axis_label(name.removeprefix("median_"), str(table[name].unit or ""))
            out[name] = Heading("Medians", label, f"Median of {label} over members")
        elif name not in out and name not in known:
            out[name] = Heading("Other", name, table[name].description or name)
    return {name: heading for name, heading in out.items() if name in table.colnames}


def population_table(discovery: Discovery, medians: bool) -> PopulationTable:
    """The table of statistics, or (``medians``) that of the members' median labels."""
    table = discovery.populations
    headings = {
        name: h for name, h in _headings(table).items() if (h.group == "Medians") == medians
    }
    rows = []
    position = {n: i for i, n in enumerate(population_numbers(discovery))}
    for row in table:
        k = int(row["population"])
        if k not in position:
            continue
        rows.append(
            {
                "position": position[k],
                "label": population_label(k),
                "colour": colour(position[k]),
                "cells": [_cell(name, row[name], row) for name in headings],
            }
        )
    return PopulationTable(list(headings.values()), rows)


def vote_table(discovery: Discovery, limit: int = 14) -> dict[str, Any] | None:
    """Counts of object types by population, the rarest types summed up."""
    types, counts = votes(discovery.statistics)
    if not types:
        return None
    shown, rest = types[:limit], types[limit:]
    rows = []
    for position, k in enumerate(population_numbers(discovery)):
        row = counts.get(str(k), {})
        total = sum(row.values())
        values = [row.get(kind, 0) for kind in shown]
        if rest:
            values.append(sum(row.get(kind, 0) for kind in rest))
        cells = [(n, n / total if total else 0.0) for n in values]
        rows.append(
            {"label": population_label(k), "colour": colour(position), "total": total,
             "cells": cells}
        )  # fmt: skip
    return {"types": [*shown, *(["other"] if rest else [])], "rows": rows}
