"""Results as terminal tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from ..latent.discovery import Discovery

__all__ = ["show_discovery", "show_summary"]

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
    table = Table(title=f"{len(found.populations)} populations in {len(found.catalogue):,} stars")
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
