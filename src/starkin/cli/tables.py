"""Results as terminal tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from ..latent.discovery import Discovery
    from ..latent.twins import Twins
    from ..spectra.flux_summary import FluxSummary
    from ..spectra.summary import Summary

__all__ = ["show_discovery", "show_summary", "show_twins"]

# Column of the population table, heading, format.
_COLUMNS = (
    ("population", "population", "{:d}"),
    ("n_stars", "stars", "{:,d}"),
    ("fraction", "share", "{:.1%}"),
    ("jaccard", "Jaccard", "{:.2f}"),
    ("spectroscopic_p_adjusted", "p spectra", "{:.2g}"),
    ("photometric_p_adjusted", "p HR", "{:.2g}"),
    ("sky_p_adjusted", "p sky", "{:.2g}"),
    ("simbad_type", "majority", "{}"),
    ("simbad_votes", "votes", "{:d}"),
)


def show_discovery(console: Console, found: Discovery) -> None:
    """The populations with their tests, and the two numbers that qualify them all."""
    n = len(found.populations)
    title = f"{n} population{'s' * (n != 1)} in {len(found.catalogue):,} stars"
    table = Table(title=title)
    shown = [column for column in _COLUMNS if column[0] in found.populations.colnames]
    for name, heading, _ in shown:
        table.add_column(heading, justify="left" if name == "simbad_type" else "right")
    for row in found.populations:
        table.add_row(*(_cell(row[name], form) for name, _, form in shown))
    console.print(table)
    clustering, stability = found.statistics["clustering"], found.statistics["stability"]
    console.print(
        f"in none: {clustering['noise_fraction']:.1%} of stars; "
        f"agreement of resamples (ARI): {stability['ari_mean']:.2f}"
    )


def _cell(value: object, form: str) -> str:
    if isinstance(value, (float, np.floating)) and not np.isfinite(value):
        return "-"
    return form.format(value)


def show_summary(console: Console, summary: Summary) -> None:
    """What is in a set of spectra, and what is wrong with it."""
    facts = [
        ("stars", f"{summary.stars:,}"),
        ("spectra", f"{summary.grid}, in {summary.unit}"),
        ("missing", _counts(summary.missing_bands)),
        (
            "partly masked",
            f"{summary.partly_masked:,} stars ({summary.masked_fraction:.2%} of values)",
        ),
    ]
    facts += _xp_facts(summary) if summary.fluxes is None else _flux_facts(summary.fluxes)
    table = Table(show_header=False, box=None)
    for name, value in facts:
        table.add_row(f"[bold]{name}", value)
    console.print(table)
    if summary.labels:
        labels = Table("column", "unit", "missing", "lowest", "highest")
        for label in summary.labels:
            ends = ("" if v is None else f"{v:.6g}" for v in (label.lowest, label.highest))
            labels.add_row(label.name, label.unit, f"{label.missing:,}", *ends)
        console.print(labels)
    for problem in summary.problems:
        console.print(f"[yellow]![/] {problem}", highlight=False, soft_wrap=True)
    if not summary.problems:
        console.print("no problem found")


def _xp_facts(summary: Summary) -> list[tuple[str, str]]:
    low, high = summary.g_range or (None, None)
    return [
        ("correlations", f"{summary.with_correlations:,} stars"),
        ("noise at high orders", _counts(summary.noise_scatter, "{:.2f} of its error")),
        ("G", "unknown" if low is None else f"{low:.2f} to {high:.2f} mag"),
        ("normalised by", _counts(summary.normalisation)),
    ]


def _flux_facts(fluxes: FluxSummary) -> list[tuple[str, str]]:
    stretches = ", ".join(f"{low:.1f}-{high:.1f}" for low, high in fluxes.coverage)
    says = f"lines say {fluxes.medium_of_lines}" if fluxes.medium_of_lines else "lines cannot tell"
    return [
        ("coverage", f"{stretches} Angstrom"),
        ("wavelengths", f"{fluxes.medium} ({says}), {fluxes.frame} frame"),
        ("S/N per pixel", _percentiles(fluxes.snr)),
        ("median flux", f"{_percentiles(fluxes.level)}; {fluxes.normalised:,} stars near 1"),
        ("bad pixels", f"{fluxes.bad_pixels:,} that more than half of the stars lack"),
    ]


def _percentiles(values: tuple[float, ...] | None) -> str:
    if values is None:
        return "unknown"
    low, middle, high = values
    return f"{middle:.4g} (90 % of stars {low:.4g} to {high:.4g})"


def _counts(counts: Mapping[str, float], form: str = "{:,}") -> str:
    parts = [f"{name} {form.format(count)}" for name, count in counts.items() if count]
    return ", ".join(parts) or "none"


def show_twins(console: Console, twins: Twins) -> None:
    """The twins of each star asked for, best first."""
    for i, star in enumerate(twins.source_id):
        table = Table(title=f"Twins of {star}")
        for heading in ("rank", "twin", "distance", "log ratio", "probability"):
            table.add_column(heading, justify="right")
        for rank in np.flatnonzero(twins.twin_row[i] >= 0):
            table.add_row(
                f"{rank + 1}",
                f"{twins.twin_id[i, rank]}",
                f"{twins.distance[i, rank]:.2f}",
                f"{twins.log_ratio[i, rank]:.1f}",
                f"{twins.probability[i, rank]:.3f}",
            )
        console.print(table)
