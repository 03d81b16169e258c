"""Commands that make, read and store spectra: simulate, ingest, info."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .console import EXIT_FAILED, console, errors, steps
from .pairs import pairs

simulate = typer.Typer(
    help="Write simulated spectra with known truth, in the archive's own formats.",
    no_args_is_help=True,
)


def add_to(app: typer.Typer) -> None:
    simulate.command(epilog="Example: starkin simulate pairs --seed 1 --snr 50 --out pairs")(pairs)
    app.add_typer(simulate, name="simulate", rich_help_panel="Data")
    app.command(rich_help_panel="Data")(ingest)
    app.command(rich_help_panel="Data")(info)


@simulate.command(epilog="Example: starkin simulate survey --n 20000 --seed 1 --out survey.csv.gz")
def survey(
    out: Annotated[Path, typer.Option(help="File; the suffix chooses the format.")],
    n: Annotated[int, typer.Option(help="Number of stars.", min=1)] = 10_000,
    seed: Annotated[int, typer.Option(help="The same seed gives the same stars.", min=0)] = 0,
    preset: Annotated[
        str, typer.Option(help="survey, cemp (CEMP-like candidates) or single (one population).")
    ] = "survey",
    correlations: Annotated[bool, typer.Option(help="Write coefficient correlations.")] = True,
    noise: Annotated[bool, typer.Option(help="Measurement noise; without it, models.")] = True,
    alpha: Annotated[bool, typer.Option(help="Let [α/M] show in the spectra.")] = True,
) -> None:
    """Simulate a Gaia XP survey and write it with labels and true classes."""
    from ..io import write_spectra
    from ..simulate import simulate_survey

    with errors():
        with steps() as show:
            spectra = simulate_survey(
                n,
                seed=seed,
                preset=preset,
                correlations=correlations,
                noise=noise,
                alpha_signal=alpha,
                progress=show.of("simulate"),
            )
        write_spectra(spectra, out)
        console.print(f"{len(spectra):,} stars written to {out}")


def ingest(
    files: Annotated[list[str], typer.Argument(help="Files, folders or patterns.")],
    out: Annotated[Path, typer.Option(help="The store (a folder).")],
    labels: Annotated[
        Path | None, typer.Option(help="Table of columns to join by source_id.")
    ] = None,
    correlations: Annotated[bool, typer.Option(help="Keep coefficient correlations.")] = True,
) -> None:
    """Turn archive files of any size into a store that streams.

    A killed run goes on when the same command is given again. Rows that cannot
    be used are listed with their reason in STORE/rejected.csv.

    Example: starkin ingest XpContinuousMeanSpectrum_*.csv.gz --out store
    """
    from ..io.ingest import ingest as run

    with errors():
        with steps() as show:
            report = run(
                files, out, labels=labels, correlations=correlations, progress=show.of("ingest")
            )
        console.print(str(report), highlight=False, soft_wrap=True)
        if report.damaged:
            raise typer.Exit(EXIT_FAILED)


def info(
    files: Annotated[list[str], typer.Argument(help="Files, folders, patterns or a store.")],
) -> None:
    """Say what is in a file of spectra and what is wrong with it.

    Example: starkin info XP_CONTINUOUS_RAW.fits
    """
    from ..spectra.summary import summarise
    from ..survey.inputs import load_spectra
    from .tables import show_summary

    with errors():
        show_summary(console, summarise(load_spectra(files)))
