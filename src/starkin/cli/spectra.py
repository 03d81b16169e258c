"""The command that makes one set of normalised spectra of survey files: prepare."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .console import console, errors, steps


def add_to(app: typer.Typer) -> None:
    app.command(rich_help_panel="Data")(prepare)


def prepare(
    files: Annotated[list[str], typer.Argument(help="Files, folders or patterns.")],
    out: Annotated[Path, typer.Option(help="Table to write: .parquet, .h5 or .fits.")],
    grid: Annotated[
        str, typer.Option(help="apogee, apogee-aspcap, apogee-dr12, galah; or none.")
    ] = "none",
    continuum: Annotated[
        str, typer.Option(help="auto, polynomial, quantile, known or none.")
    ] = "auto",
    labels: Annotated[
        Path | None, typer.Option(help="Catalogue to join: allStar, GALAH's, or any table.")
    ] = None,
    keep_sky_lines: Annotated[
        bool, typer.Option(help="Do not mask pixels near strong sky lines (APOGEE).")
    ] = False,
    input_format: Annotated[
        str | None, typer.Option("--format", help="Of the files, if their content leaves a choice.")
    ] = None,
    skip_bad: Annotated[
        bool, typer.Option(help="Leave out files and rows that cannot be used, and list them.")
    ] = False,
) -> None:
    """Spectra at rest on one grid, divided by the continuum, with labels, in one file.

    Example: starkin prepare apStar-*.fits --grid apogee-aspcap --labels allStar.fits --out s.h5
    """
    from ..io.pixel_masks import BAD_PIXELS
    from ..io.prepare import prepare as run
    from ..io.write_vectors import write_vectors
    from ..spectra.grids import named_grid
    from ..spectra.summary import summarise
    from .tables import show_summary

    with errors():
        target = None if grid == "none" else named_grid(grid)
        masked = tuple(b for b in BAD_PIXELS if not (keep_sky_lines and b == "SIG_SKYLINE"))
        with steps() as show:
            spectra = run(
                list(files),
                grid=target,
                continuum=continuum,
                labels=labels,
                bad_pixels=masked,
                format=input_format,
                on_error="reject" if skip_bad else "raise",
                progress=show.of("read"),
            )
        write_vectors(spectra, out)
        show_summary(console, summarise(spectra))
        for text in spectra.meta.get("unreadable", []):
            console.print(f"[yellow]![/] left out: {text}", highlight=False, soft_wrap=True)
        if lacking := spectra.meta.get("without_labels"):
            console.print(f"[yellow]![/] {lacking:,} stars are not in {labels}", highlight=False)
        console.print(f"{len(spectra):,} stars written to {out}", highlight=False)
