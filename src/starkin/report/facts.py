"""Reads the run's statistics and record into plain shapes that panels can draw.

The analysis may leave parts out (no second model seed, no null test), so every
reader here answers with something empty rather than failing.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..latent.discovery import Discovery
from ..spectra import columns

__all__ = [
    "Card",
    "flatten",
    "headline",
    "history",
    "null_counts",
    "number",
    "p_value",
    "series",
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


def series(mapping: Mapping[str, Any] | None, *words: str, but: Sequence[str] = ()) -> list[float]:
    """The first list of numbers whose (nested) key has all ``words`` and none of ``but``."""
    for key, value in _walk(mapping or {}):
        name = key.lower()
        if all(w in name for w in words) and not any(w in name for w in but):
            numbers = _numbers(value)
            if numbers:
                return numbers
    return []


def _walk(mapping: Mapping[str, Any], path: str = "") -> Iterable[tuple[str, Any]]:
    for key, value in mapping.items():
        name = f"{path}.{key}" if path else str(key)
        if isinstance(value, Mapping):
            yield from _walk(value, name)
        else:
            yield name, value


def _numbers(value: Any) -> list[float]:
    if not isinstance(value, (list, tuple)):
        return []
    flat: list[float] = []
    for item in value:
        if isinstance(item, (list, tuple)):
            flat += _numbers(item)
        elif isinstance(item, (int, float)) and not isinstance(item, bool):
            if math.isfinite(item):
                flat.append(float(item))
        elif item is not None:
            return []
    return flat


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
    return number(value, 6) if isinstance(value, float) else str(value)


@dataclass(frozen=True)
class Stability:
    """Adjusted Rand indices against the partition shown."""

    resampling: list[float]
    seeds: list[float]


def stability(statistics: Mapping[str, Any]) -> Stability:
    part = statistics.get("stability") or {}
    seeds = series(part, "seed", "ari") or series(part, "seed", but=("seeds",))
    resampling = series(part, "ari", but=("seed",))
    return Stability(resampling, seeds)


def null_counts(statistics: Mapping[str, Any]) -> list[int]:
    """Populations found in each survey that holds a single one."""
    part = statistics.get("null") or {}
    for word in ("n_populations", "n_clusters", "counts", "populations", "clusters"):
        found = series(part, word)
        if found:
            return [int(v) for v in found]
        for key, value in _walk(part):
            if word in key and isinstance(value, int) and not isinstance(value, bool):
                return [value]
    return []


def sweep(statistics: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Rows of the settings sweep; the one chosen has ``chosen`` true."""
    clustering = statistics.get("clustering") or {}
    rows = [dict(row) for row in clustering.get("sweep") or [] if isinstance(row, Mapping)]
    settings = clustering.get("settings") or {}
    for row in rows:
        if "chosen" not in row:
            shared = [key for key in row if key in settings]
            row["chosen"] = bool(shared) and all(row[key] == settings[key] for key in shared)
    return rows


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
    found = statistics.get("votes") or {}
    found = found.get("counts", found) if isinstance(found, Mapping) else {}
    counts = {
        str(population): {
            str(kind): int(n) for kind, n in row.items() if isinstance(n, (int, float))
        }
        for population, row in found.items()
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
            if k
            else "nothing stood out from the crowd",
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
    found = stability(statistics)
    if found.resampling:
        cards.append(
            Card(
                f"{np.mean(found.resampling):.2f}",
                "stability (ARI)",
                f"mean of {len(found.resampling)} resamples; 1 is the same partition every "
                "time, 0 is chance",
            )
        )
    if found.seeds:
        cards.append(
            Card(
                f"{np.mean(found.seeds):.2f}",
                "across model seeds (ARI)",
                f"mean of {len(found.seeds)} model{'s' if len(found.seeds) > 1 else ''} "
                "trained from another start",
            )
        )
    null = null_counts(statistics)
    if null:
        most = max(null)
        cards.append(
            Card(
                str(most) if len(null) == 1 else f"≤ {most}",
                "found in the null test",
                "populations in a survey that holds a single one; should be 0 or 1",
            )
        )
    return cards
