"""Models side by side: compare."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from .console import console, errors, steps

if TYPE_CHECKING:
    from ..latent.comparison import Comparison

PANEL = "Models"
# Column of the table, heading, format.
_SHOWN = (
    ("model", "model", "{}"),
    ("fit_seconds", "fit [s]", "{:.0f}"),
    ("n_failed", "lost", "{:d}"),
    ("rms", "rms/σ", "{:.3f}"),
    ("chi2", "χ²/n", "{:.3f}"),
    ("rms_truth", "truth", "{:.3f}"),
    ("ratio", "ratio", "{:.3f}"),
    ("alpha_balanced_accuracy", "α", "{:.3f}"),
    ("matched_accuracy", "α pairs", "{:.3f}"),
    ("gap_missing", "gap", "{:.2f}"),
)


def add_to(app: typer.Typer) -> None:
    app.command(rich_help_panel=PANEL)(compare)


def compare(
    config: Annotated[Path, typer.Argument(help="TOML or JSON file: data, split, models.")],
    out: Annotated[Path, typer.Option(help="The run (a folder).")],
    overwrite: Annotated[
        bool, typer.Option(help="Replace a run on other data, split or seed.")
    ] = False,
) -> None:
    """Train models on the same stars and judge them by the same measures.

    A killed run goes on when the same command is given again; models that are added or
    changed later are trained, the others are not.

    Example: starkin compare comparison.toml --out comparison
    """
    from ..report import write_comparison
    from ..survey import CompareConfig, read_settings
    from ..survey import compare as run

    with errors():
        settings = CompareConfig.from_dict(read_settings(config))
        with steps() as show:
            found = run(settings, out, overwrite=overwrite, progress=show)
        with console.status("writing the report"):
            page = write_comparison(found, out)
        _show(found)
        console.print(f"table:  {out / 'comparison.fits'} (also .ecsv, .csv, .md)")
        console.print(f"report: {page}")


def _show(found: Comparison) -> None:
    """The main measures of every model, and why some have none."""
    table = Table(title=f"{len(found.table)} models on {found.run['stars']['n_test']:,} stars")
    shown = [column for column in _SHOWN if column[0] in found.table.colnames]
    for name, heading, _ in shown:
        table.add_column(heading, justify="left" if name == "model" else "right")
    for row in found.table:
        table.add_row(*(_cell(row[name], form) for name, _, form in shown))
    console.print(table)
    for row in found.table if "problem" in found.table.colnames else ():
        if row["problem"]:
            text = f"[yellow]![/] {row['model']}: {row['problem']}"
            console.print(text, highlight=False, soft_wrap=True)


def _cell(value: object, form: str) -> str:
    import numpy as np

    if isinstance(value, (float, np.floating)) and not np.isfinite(value):
        return "-"
    return form.format(value)
