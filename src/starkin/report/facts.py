"""Reads the run's statistics and record into plain shapes that panels can draw.

The analysis may leave parts out (no second model seed, no null test), so every
reader here answers with something empty rather than failing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..latent.discovery import Discovery
from ..latent.votes import UNMATCHED
from ..spectra import columns

__all__ = [
    "Card",
    "Null",
    "flatten",
    "headline",
    "history",
    "null",
    "number",
    "p_value",
    "stability",
    "sweep",
    "votes",
]


def number(value: Any, digits: int = 3) -> str:
    """A number for people: thousands separated, no needless digits, a dash for none."""
    if value is None or value is np.ma.masked:
        return "–"
    if isinstance(value, (bool, np.bool_)):
        return "yes" if value else "no"
    if isinstance(value, (int, np.integer)):
        return f"{int(value):,}"
    if isinstance(value, (float, np.floating)):
        value = float(value)
        if not math.isfinite(value):
            return "–"
        if value != 0 and abs(value) < 10 ** -(digits + 1):
            return f"{value:.1e}"
        if abs(value) >= 1000:
            return f"{value:,.0f}"
        return f"{value:.{digits}g}"
    return str(value)


def p_value(value: Any) -> str:
    """A p-value for people: two digits, and never a bare zero."""
    if value is None or value is np.ma.masked or not math.isfinite(float(value)):
        return "–"
    value = float(value)
    if value < 0.0001:
        return "< 0.0001"
    return f"{value:.4f}" if value < 0.001 else f"{value:.3f}" if value < 0.1 else f"{value:.2f}"


def flatten(mapping: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Dotted key and text of every leaf, lists of plain values on one line."""
    rows = []
    for key, value in mapping.items():
        if isinstance(value, Mapping):
            rows += [(f"{key}.{k}", v) for k, v in flatten(value)] or [(str(key), "–")]
        elif isinstance(value, (list, tuple)) and any(isinstance(v, Mapping) for v in value):
            for i, item in enumerate(value):
                rows += flatten({f"{key}[{i}]": item})
        elif isinstance(value, (list, tuple)):
            rows.append((str(key), ", ".join(_leaf(v) for v in value) or "–"))
        else:
            rows.append((str(key), _leaf(value)))
    return rows


def _leaf(value: Any) -> str:
    if value is None:
        return "not set"
    return number(value, 6) if isinstance(value, float) else str(value) or "–"


def _finite(values: Any) -> list[float]:
    if not isinstance(values, (list, tuple)):
        return []
    return [float(v) for v in values if isinstance(v, (int, float)) and math.isfinite(v)]


def stability(statistics: Mapping[str, Any]) -> dict[str, list[float]]:
    """Adjusted Rand indices by what was compared; only what was run is in it."""
    found = statistics.get("stability") or {}
    seeds = found.get("model_seeds") or {}
    rows = {
        "resamples, members": found.get("ari"),
        "resamples, all stars": found.get("ari_all"),
        "model seeds, members": seeds.get("ari"),
        "model seeds, all stars": seeds.get("ari_all"),
    }
    return {name: _finite(values) for name, values in rows.items() if _finite(values)}


@dataclass(frozen=True)
class Null:
    """What the search found in references that hold a single population."""

    counts: list[int]
    observed: int | None
    p: float | None
    kind: str

    @property
    def sentence(self) -> str:
        one = sum(c <= 1 for c in self.counts)
        text = (
            f"In {len(self.counts)} references that hold a single population"
            f"{f' ({self.kind})' if self.kind else ''}, the same search found one or none in "
            f"{one}, and at most {max(self.counts)}"
        )
        if self.observed is not None:
            text += f"; in the sample, at the same size, {self.observed}"
        return f"{text} (p = {p_value(self.p)})." if self.p is not None else f"{text}."


def null(statistics: Mapping[str, Any]) -> Null | None:
    found = statistics.get("null") or {}
    counts = [int(v) for v in _finite(found.get("n_reference"))]
    if not counts:
        return None
    return Null(counts, found.get("n_observed"), found.get("p_number"), str(found.get("kind", "")))


def sweep(statistics: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Rows of the settings sweep; the one used has ``chosen`` true."""
    rows = (statistics.get("clustering") or {}).get("sweep") or []
    return [{"chosen": False, **row} for row in rows if isinstance(row, Mapping)]


def history(statistics: Mapping[str, Any]) -> dict[str, list[float]]:
    """Training history as columns, whether it was kept as rows or as columns."""
    found = (statistics.get("model") or {}).get("history")
    if isinstance(found, Mapping):
        columns_ = {str(k): list(v) for k, v in found.items() if isinstance(v, (list, tuple))}
    elif isinstance(found, (list, tuple)) and found and isinstance(found[0], Mapping):
        keys = list(dict.fromkeys(key for row in found for key in row))
        columns_ = {key: [row.get(key) for row in found] for key in keys}
    else:
        return {}
    length = max((len(v) for v in columns_.values()), default=0)
    out = {}
    for key, values in columns_.items():
        numeric = [
            float(v) if isinstance(v, (int, float)) and not isinstance(v, bool) else math.nan
            for v in values
        ]
        if len(numeric) == length and any(math.isfinite(v) for v in numeric):
            out[key] = numeric
    return out


def votes(statistics: Mapping[str, Any]) -> tuple[list[str], dict[str, dict[str, int]]]:
    """Object types by falling total, and their counts by population."""
    counts = {
        str(population): {str(kind): int(n) for kind, n in row.items() if kind != UNMATCHED}
        for population, row in (statistics.get("votes") or {}).items()
        if isinstance(row, Mapping)
    }
    total: dict[str, int] = {}
    for row in counts.values():
        for kind, n in row.items():
            total[kind] = total.get(kind, 0) + n
    return sorted((k for k in total if total[k]), key=lambda k: -total[k]), counts


@dataclass(frozen=True)
class Card:
    """One headline number with its plain meaning."""

    value: str
    title: str
    meaning: str


def headline(discovery: Discovery) -> list[Card]:
    """What a reader wants first: how many, how certain."""
    statistics = discovery.statistics
    n = len(discovery.catalogue)
    bad = int((~discovery.catalogue.usable).sum())
    k = len(discovery.populations)
    cards = [
        Card(f"{n:,}", "stars", f"{bad:,} could not be encoded" if bad else "all encoded"),
        Card(
            str(k),
            "population" if k == 1 else "populations",
            "groups denser than their surroundings in latent space"
            if k > 1
            else "no sub-population stood out from the sample",
        ),
    ]
    noise = (statistics.get("clustering") or {}).get("noise_fraction")
    table = discovery.catalogue.columns
    if noise is None and columns.POPULATION in table.colnames:
        noise = float((np.asarray(table[columns.POPULATION]) < 0).mean())
    if noise is not None:
        cards.append(
            Card(f"{100 * noise:.1f} %", "in no population", "stars left unassigned, shown in grey")
        )
    # One population agrees with itself: that is no success to boast of.
    found = stability(statistics) if k > 1 else {}
    for what, title, meaning in (
        ("resamples", "stability (ARI)", "mean over {n} resamples of the stars"),
        ("model seeds", "across models (ARI)", "mean over {n} pairs of models of other seeds"),
    ):
        members, everyone = (found.get(f"{what}, {who}") for who in ("members", "all stars"))
        shown = members or everyone
        if shown:
            more = f" ({np.mean(everyone):.2f} counting unassigned stars)" if everyone else ""
            text = meaning.format(n=len(shown))
            if len(shown) == 1:
                text = text.removeprefix("mean over 1 ").replace("pairs", "one pair")
            cards.append(Card(f"{np.mean(shown):.2f}", title, f"{text}{more}; 1 = same partition"))
    reference = null(statistics)
    if reference is not None:
        most = max(reference.counts)
        cards.append(
            Card(
                str(most),
                "at most, in null tests",
                "populations found where there is a single one; should be 0 or 1",
            )
        )
    return cards
