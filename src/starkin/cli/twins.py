"""Commands for twins: find them, edit spectra, judge models by them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .console import console, errors, steps

PANEL = "Twins"

evaluate = typer.Typer(help="Judge models on data whose truth is known.", no_args_is_help=True)


def add_to(app: typer.Typer) -> None:
    app.command(rich_help_panel=PANEL)(twins)
    app.command(rich_help_panel=PANEL)(edit)
    app.add_typer(evaluate, name="evaluate", rich_help_panel=PANEL)


def twins(
    model: Annotated[Path, typer.Argument(help="A model folder.")],
    latents: Annotated[Path, typer.Argument(help="A latent catalogue that it encoded.")],
    star: Annotated[
        list[int] | None, typer.Option(help="source_id of a star; may be repeated.")
    ] = None,
    all_: Annotated[bool, typer.Option("--all", help="Every star of the catalogue.")] = False,
    k: Annotated[int, typer.Option("-k", help="Twins of each star.", min=1)] = 20,
    out: Annotated[
        Path | None, typer.Option(help="Table: .fits, .parquet, .vot, .ecsv or .csv.")
    ] = None,
    spectra: Annotated[
        list[str] | None, typer.Option(help="Spectra of the catalogue, to compare the twins'.")
    ] = None,
    figure: Annotated[
        Path | None, typer.Option(help="Figure of the first star (.pdf, .png); needs --spectra.")
    ] = None,
    report: Annotated[
        Path | None, typer.Option(help="Folder for the page to explore; needs --spectra.")
    ] = None,
    expected_twins: Annotated[
        float, typer.Option(help="Twins that a star has in the catalogue, as a prior.")
    ] = 1.0,
    learn: Annotated[
        bool, typer.Option(help="Let the catalogue's mutual best twins teach the metric first.")
    ] = False,
) -> None:
    """The twins of a star, or of all: ranked, with distance and probability.

    Example: starkin twins model latents.parquet --star 5012 -k 20 --out twins.fits
    """
    from ..io import Latents
    from ..io.catalogue import write_table
    from ..models.load import load_model
    from ..spectra.errors import StarkinError
    from ..survey.inputs import load_spectra
    from ..survey.twin_search import find_twins
    from .tables import show_twins

    with errors():
        if bool(star) == all_:
            raise StarkinError("Name stars with --star ID, or ask for every star with --all.")
        if (figure or report) and not spectra:
            raise StarkinError("A figure or a report needs the spectra: give them by --spectra.")
        if all_ and spectra:
            raise StarkinError("Spectra are compared for stars named by --star, not for --all.")
        with steps() as show:
            found = find_twins(
                load_model(model),
                Latents.read(latents),
                star,
                k=k,
                spectra=load_spectra(spectra) if spectra else None,
                expected_twins=expected_twins,
                learn=learn,
                progress=show.of("twins"),
            )
        if out is not None:
            write_table(found.to_table(), out)
        if figure is not None:
            from ..report.twin_figures import write_twin_figure

            write_twin_figure(found.differences[0], found.twins, figure)
        if report is not None:
            from ..report.twin_page import write_twin_report

            console.print(f"report: {write_twin_report(found.with_their_twins(), report)}")
        if not all_:
            show_twins(console, found.twins)
        if out is not None:
            console.print(f"{len(found.twins):,} stars with up to {k} twins each: {out}")
        elif all_:
            raise StarkinError("Twins of all stars need a table to stand in: give --out.")


def edit(
    model: Annotated[Path, typer.Argument(help="A model folder.")],
    files: Annotated[list[str], typer.Argument(help="Spectra with the labels the model needs.")],
    out: Annotated[Path, typer.Option(help="File; the suffix chooses the format.")],
    teff: Annotated[float | None, typer.Option(help="New effective temperature [K].")] = None,
    logg: Annotated[float | None, typer.Option(help="New surface gravity.")] = None,
    m_h: Annotated[float | None, typer.Option(help="New [M/H], if the model is told it.")] = None,
    chemistry_of: Annotated[
        str | None,
        typer.Option(help="Instead: keep Teff and log g, take the chemistry of these spectra."),
    ] = None,
    residual: Annotated[
        bool, typer.Option(help="Keep what the model does not explain of a star.")
    ] = True,
) -> None:
    """Spectra at another temperature and gravity, their chemistry kept; or the reverse.

    Example: starkin edit model stars.h5 --teff 4500 --logg 1.8 --out edited.h5
    """
    from ..io import write_spectra, write_vectors
    from ..models.load import load_model
    from ..spectra import StarkinError, XPGrid
    from ..survey.editing import edit_spectra, with_chemistry_of
    from ..survey.inputs import load_spectra

    with errors():
        given = {"teff": teff, "logg": logg, "m_h": m_h}
        new = {name: value for name, value in given.items() if value is not None}
        if bool(new) == bool(chemistry_of):
            raise StarkinError("Give new conditions (--teff, --logg) or --chemistry-of, not both.")
        network, spectra = load_model(model), load_spectra(files)
        if chemistry_of:
            donors = load_spectra([chemistry_of])
            edited = with_chemistry_of(network, spectra, donors, keep_residual=residual)
        else:
            edited = edit_spectra(network, spectra, keep_residual=residual, latents=None, **new)
        write = write_spectra if isinstance(edited.grid, XPGrid) else write_vectors
        write(edited, out)
        console.print(f"{len(edited):,} edited spectra written to {out}")


@evaluate.command("twins")
def evaluate_twins(
    models: Annotated[list[Path], typer.Argument(help="Model folders.")],
    pairs: Annotated[list[str], typer.Option(help="Noiseless spectra of pairs; may be repeated.")],
    out: Annotated[Path, typer.Option(help="Folder of the evaluation.")],
    snr: Annotated[
        list[float] | None, typer.Option(help="S/N per pixel, or inf; may be repeated.")
    ] = None,
    seeds: Annotated[int, typer.Option(help="Noise seeds at each S/N.", min=1)] = 3,
    track: Annotated[
        list[str] | None,
        typer.Option(help="inductive, transductive or pairs; all three by default."),
    ] = None,
    condition: Annotated[
        list[str] | None,
        typer.Option(help="Label whose leakage is measured, repeatable; teff and logg by default."),
    ] = None,
    stars: Annotated[int, typer.Option(help="Size of the pool; 0 for all.", min=0)] = 0,
    ceiling: Annotated[
        Path | None, typer.Option(help="Fisher matrices (.npz) of the pool, for the ceiling.")
    ] = None,
    overwrite: Annotated[bool, typer.Option(help="Replace another evaluation.")] = False,
) -> None:
    """Judge models by the twins they find: ranks, swaps, leakage, calibration.

    A killed evaluation goes on when the same command is given again; models, S/N and seeds may
    be added to it.

    Example: starkin evaluate twins model --pairs pairs.h5 --snr inf --snr 50 --out judged
    """
    from ..simulate.degrade import with_noise
    from ..survey.evaluate_twins import DEFAULT_CONDITIONS
    from ..survey.evaluate_twins import evaluate_twins as run
    from ..survey.evaluation_settings import TRACKS, TwinEvaluation
    from ..survey.inputs import load_spectra
    from ..survey.twin_ceiling import Ceiling

    with errors():
        settings = TwinEvaluation(
            snr=tuple(snr) if snr else TwinEvaluation.snr,
            n_seeds=seeds,
            tracks=tuple(track) if track else TRACKS,
            max_stars=stars,
        )
        spectra = load_spectra(pairs)
        for name in condition or ():
            spectra.label(name)  # a name that is none says so before the work
        with steps() as show:
            table = run(
                {path.name: path for path in models},
                spectra,
                out,
                settings,
                conditions=tuple(condition) if condition else DEFAULT_CONDITIONS,
                ceiling=Ceiling.read(ceiling) if ceiling else None,
                observe=with_noise,
                overwrite=overwrite,
                progress=show,
            )
        console.print((out / "twins.md").read_text(), highlight=False)
        console.print(f"{len(table)} rows: {out / 'twins.csv'} (also .fits, .md)")
