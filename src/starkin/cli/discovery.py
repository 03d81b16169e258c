"""The main job and its last parts: discover, cluster, report, demo."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .console import console, errors, steps

PANEL = "Populations"


def add_to(app: typer.Typer) -> None:
    for command in (discover, cluster, report, demo):
        app.command(rich_help_panel=PANEL)(command)


def discover(
    files: Annotated[list[str], typer.Argument(help="Files, folders, patterns or a store.")],
    out: Annotated[Path, typer.Option(help="The run (a folder).")],
    labels: Annotated[
        Path | None, typer.Option(help="Table of columns to join by source_id.")
    ] = None,
    crossmatch: Annotated[
        Path | None, typer.Option(help="Your own table of source_id and object type.")
    ] = None,
    simbad: Annotated[
        bool, typer.Option(help="Ask SIMBAD for object types (needs a network).")
    ] = False,
    classifier: Annotated[
        Path | None,
        typer.Option(help="Trained classifier (a folder) whose probability the page shows."),
    ] = None,
    config: Annotated[Path | None, typer.Option(help="TOML or JSON file with settings.")] = None,
    seed: Annotated[int | None, typer.Option(min=0)] = None,
    cut: Annotated[str | None, typer.Option(help="full, good or pristine.")] = None,
    select: Annotated[str | None, typer.Option(help="Condition on label columns.")] = None,
    overwrite: Annotated[bool, typer.Option(help="Replace a run with other settings.")] = False,
) -> None:
    """From spectra to a latent catalogue, tested populations and a report.

    A killed run goes on when the same command is given again.

    Examples:

    starkin discover XpContinuousMeanSpectrum_*.csv.gz --labels gaia.fits --out run

    starkin discover store --out run --select "bp_rp < 2" --seed 7

    starkin discover store --out run --classifier comparison/classifier/model
    """
    from ..survey import DiscoverConfig, read_settings
    from ..survey import discover as run
    from .tables import show_discovery

    with errors():
        settings = read_settings(config)
        given = {"seed": seed, "cut": cut, "select": select}
        settings |= {name: value for name, value in given.items() if value is not None}
        with steps() as show:
            found = run(
                files,
                out,
                DiscoverConfig.from_dict(settings),
                labels=labels,
                crossmatch=crossmatch,
                simbad=simbad,
                classifier=classifier,
                overwrite=overwrite,
                progress=show,
            )
        page = _write_report(found, out)
        show_discovery(console, found)
        console.print(f"catalogue: {out / 'catalogue.fits'} (also .parquet, .vot)")
        console.print(f"report:    {page}")


def cluster(
    catalogue: Annotated[Path, typer.Argument(help="A latent catalogue.")],
    out: Annotated[Path, typer.Option(help="Catalogue with populations, same formats.")],
    populations: Annotated[
        Path | None, typer.Option(help="Folder to save the populations in, for --assign.")
    ] = None,
    assign: Annotated[
        Path | None, typer.Option(help="Assign to saved populations instead of clustering.")
    ] = None,
    model: Annotated[
        Path | None,
        typer.Option(help="The model that encoded: cluster by its metric of composition."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0)] = 0,
) -> None:
    """Find populations in a latent catalogue, or assign its stars to known ones.

    With --model, latents are first whitened by what that model says of leakage and noise, so
    that the groups are stars of one composition.

    Example: starkin cluster latents.parquet --out populations.fits
    """
    from ..io import Latents
    from ..latent.clusters import FinderSettings, PopulationFinder
    from ..latent.populations import Populations

    with errors():
        latents = Latents.read(catalogue)
        searched = latents if model is None else _by_composition(latents, model)
        if assign is not None:
            found = Populations.load(assign).assign(searched)
        else:
            scaling = "total" if model is None else "none"
            with steps() as show:
                fitted = PopulationFinder(FinderSettings(seed=seed, scaling=scaling)).fit(
                    searched, progress=show.of("cluster")
                )
            if populations is not None:
                fitted.save(populations)
            found = fitted.assignment
        latents.with_columns(population=found.labels, membership=found.membership).write(out)
        noise = (found.labels < 0).mean()
        console.print(
            f"{found.soft.shape[1]} populations, {100 * noise:.1f} % of stars in none: {out}"
        )


def report(
    run: Annotated[Path, typer.Argument(help="A run folder of starkin discover.")],
) -> None:
    """Write the report and the figures of a run anew.

    Example: starkin report run
    """
    from ..latent.discovery import Discovery

    with errors():
        console.print(f"report: {_write_report(Discovery.read(run), run)}")


def demo(
    out: Annotated[Path, typer.Option(help="Folder for everything the demo makes.")] = Path(
        "demo-run"
    ),
    n: Annotated[int, typer.Option(help="Stars to simulate.", min=500)] = 8_000,
    seed: Annotated[int, typer.Option(min=0)] = 1,
    config: Annotated[Path | None, typer.Option(help="TOML or JSON file with settings.")] = None,
) -> None:
    """Simulate CEMP-like candidates and find the populations hidden among them."""
    from ..io import write_spectra
    from ..io.catalogue import write_table
    from ..simulate import simulate_survey
    from ..simulate.crossmatch import simulate_crossmatch

    with errors():
        spectra, known = out / "survey.parquet", out / "known_objects.csv"
        if not (spectra.exists() and known.exists()):
            with steps() as show:
                simulated = simulate_survey(
                    n, seed=seed, preset="cemp", progress=show.of("simulate")
                )
            write_spectra(simulated, spectra)
            write_table(simulate_crossmatch(simulated, seed=seed), known)
    discover([str(spectra)], out / "run", crossmatch=known, config=config, seed=seed)


def _by_composition(latents, model: Path):
    from ..latent.whitened import whitened_latents
    from ..models.load import load_model
    from ..spectra.errors import StarkinError

    network = load_model(model)
    prior = network.twin_prior()
    if prior is None:
        raise StarkinError(f"{model} does not say what twins look like; cluster without --model.")
    if latents.model_id != network.model_id:
        raise StarkinError(f"The catalogue was not encoded by {model}; encode with it first.")
    return whitened_latents(latents, prior)


def _write_report(found, out: Path) -> Path:
    from ..report import write_report

    with console.status("writing the report"):
        return write_report(found, out)
