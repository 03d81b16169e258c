"""The table of the twin evaluation, for machines and for readers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from astropy.table import Table

__all__ = ["markdown", "table_of"]

_MEASURES = {"own": "the model's likelihood ratio", "l1": "L1 distance", "l2": "L2 distance"}
_RANKS = {
    "first": "part of queries whose twin is the nearest, by",
    "within_0.1_percent": "part of queries whose twin is within the nearest 0.1 %, by",
    "within_1_percent": "part of queries whose twin is within the nearest 1 %, by",
    "median_rank": "median rank of the true twin, by",
}
_DESCRIPTIONS = {
    "model": "name of the model",
    "model_id": "fingerprint of the model",
    "track": "what the metric was made from",
    "snr": "signal-to-noise ratio per pixel",
    "seed": "seed of the noise",
    "n_queries": "stars whose twin was looked for",
    "not_encoded": "stars without latents; they count as failures",
    "ece": "expected calibration error of the twin probability",
    "mse": "mean squared error of the reconstructed flux",
    "mse_swapped": "the same with the twin's latent",
    "swap_ratio": "mse_swapped / mse",
    "kept_mean": "mean R2 of abundances from latents, best probe",
    "kept_linear_mean": "mean R2 of abundances from latents, linear",
    **{f"{m}_{r}": f"{text} {by}" for m, by in _MEASURES.items() for r, text in _RANKS.items()},
}
#: Columns of the readers' table: name, heading, factor, format.
_SHOWN = (
    ("own_first", "first, own", 100, "{:.1f}"),
    ("own_within_0.1_percent", "0.1 %", 100, "{:.1f}"),
    ("own_within_1_percent", "1 %", 100, "{:.1f}"),
    ("own_median_rank", "median", 1, "{:.0f}"),
    ("l1_first", "first, L1", 100, "{:.1f}"),
    ("l2_first", "first, L2", 100, "{:.1f}"),
    ("ece", "ECE", 1, "{:.3f}"),
    ("mse", "MSE", 1, "{:.1e}"),
    ("swap_ratio", "swapped / own", 1, "{:.1f}"),
    ("leakage_teff", "R² Teff", 1, "{:.3f}"),
    ("leakage_logg", "R² log g", 1, "{:.3f}"),
    ("leakage_m_h", "R² [M/H]", 1, "{:.3f}"),
    ("kept_mean", "R² [X/H]", 1, "{:.3f}"),
)


def table_of(rows: Sequence[Mapping[str, Any]]) -> Table:
    """Rows with possibly different keys as one table, NaN where a figure is missing."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    text = {"model", "model_id", "track"}
    table = Table()
    for name in names:
        missing = "" if name in text else np.nan
        table[name] = [row.get(name, missing) for row in rows]
        described = _DESCRIPTIONS.get(name)
        if described is None and "_" in name:
            what, _, of = name.partition("_")
            described = {
                "leakage": f"R2 of {of} from latents, best probe: wanted 0",
                "kept": f"R2 of {of} from latents, best probe",
            }.get(what)
        table[name].description = described
    return table


def markdown(table: Table) -> str:
    """Means over seeds, ± their standard deviation, a row for each model, track and S/N."""
    shown = [column for column in _SHOWN if column[0] in table.colnames]
    heads = ["model", "track", "S/N", *(heading for _, heading, _, _ in shown)]
    lines = [f"| {' | '.join(heads)} |", "|" + "---|" * len(heads)]
    order: dict[tuple[str, str, float], list[int]] = {}
    for i, row in enumerate(table):
        order.setdefault((str(row["model"]), str(row["track"]), float(row["snr"])), []).append(i)
    for (model, track, snr), members in order.items():
        level = "∞" if np.isinf(snr) else f"{snr:g}"
        cells = [
            _mean(np.asarray(table[name][members], dtype=float) * factor, form)
            for name, _, factor, form in shown
        ]
        lines.append(f"| {' | '.join([model, track, level, *cells])} |")
    n_seeds = len(set(table["seed"]))
    note = (
        f"Percentages of {int(np.nanmax(table['n_queries'])):,} queries; mean ± standard deviation "
        f"over up to {n_seeds} noise seeds. First: the true twin is the nearest of all other stars."
    )
    return "\n".join([*lines, "", note, ""])


def _mean(values: np.ndarray, form: str) -> str:
    values = values[np.isfinite(values)]
    if not values.size:
        return "–"
    mean = form.format(values.mean())
    return mean if len(values) == 1 else f"{mean} ± {form.format(values.std(ddof=1))}"
