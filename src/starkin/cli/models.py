"""Commands that train models and use them: train, encode, import-checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .console import console, errors, steps

PANEL = "Models"


def add_to(app: typer.Typer) -> None:
    app.command(rich_help_panel=PANEL)(train)
    app.command(rich_help_panel=PANEL)(encode)
    app.command("import-checkpoint", rich_help_panel=PANEL)(import_checkpoint)


def train(
    files: Annotated[list[str], typer.Argument(help="Files, folders, patterns or a store.")],
    out: Annotated[Path, typer.Option(help="The model (a folder).")],
    recipe: Annotated[str, typer.Option(help="starkin or laroche-speagle.")] = "starkin",
    config: Annotated[
        Path | None, typer.Option(help="TOML or JSON file with the model's settings.")
    ] = None,
    epochs: Annotated[int | None, typer.Option(help="Instead of the recipe's.", min=1)] = None,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:1, …")] = "cpu",
    cut: Annotated[str, typer.Option(help="full, good or pristine.")] = "full",
    select: Annotated[str, typer.Option(help="Condition on label columns.")] = "",
) -> None:
    """Train a scatter VAE; a killed run goes on when the same command is given again.

    Example: starkin train survey.fits --out model --seed 1
    """
    from ..models import ScatterVAE, ScatterVAEConfig
    from ..survey.derived import fill_in
    from ..survey.inputs import load_spectra
    from ..survey.selection import selected
    from ..survey.settings import read_settings

    with errors():
        settings = {"recipe": recipe} | (read_settings(config) if config else {})
        if epochs is not None:
            settings["epochs"] = epochs
        model = ScatterVAE(ScatterVAEConfig.from_dict(settings), device=device)
        spectra = load_spectra(files)
        spectra = spectra[selected(fill_in(spectra), cut, select)]
        checkpoint = out.with_name(f".{out.name}.checkpoint")
        with steps() as show:
            model.fit(spectra, seed=seed, checkpoint=checkpoint, progress=show.of("train"))
        model.save(out)
        checkpoint.unlink(missing_ok=True)
        metrics = model.card["metrics"]
        console.print(
            f"{out}: validation loss {metrics['validation']:.3f} nat a star, "
            f"{metrics['active_units']} of {model.config.n_latent} latents in use"
        )


def encode(
    model: Annotated[Path, typer.Argument(help="A model folder.")],
    files: Annotated[list[str], typer.Argument(help="Files, folders, patterns or a store.")],
    out: Annotated[Path, typer.Option(help="Catalogue: .parquet, .fits, .vot, .ecsv or .csv.")],
    batch: Annotated[int, typer.Option(help="Stars in memory at a time.", min=1)] = 65_536,
) -> None:
    """Encode spectra to a latent catalogue; a store streams in bounded memory.

    Example: starkin encode model store --out latents.parquet
    """
    from ..models import ScatterVAE
    from ..survey.encode import encode_catalogue
    from ..survey.inputs import stream_spectra

    with errors():
        network = ScatterVAE.load(model)
        n_stars, batches = stream_spectra(files, batch)
        with steps() as show:
            n_done = encode_catalogue(
                network, batches, out, n_stars=n_stars, progress=show.of("encode")
            )
        console.print(f"{n_done:,} stars written to {out}")


def import_checkpoint(
    weights: Annotated[Path, typer.Argument(help="Released torch state dict (.pt).")],
    out: Annotated[Path, typer.Option(help="The model (a folder).")],
    config: Annotated[
        Path | None, typer.Option(help="Its config.json; the one beside it by default.")
    ] = None,
    standardise_on: Annotated[
        list[str] | None,
        typer.Option(help="Spectra to take means and standard deviations from."),
    ] = None,
) -> None:
    """Import a released scatter-VAE checkpoint as a model folder.

    The release holds no statistics of its training spectra: without
    --standardise-on the model only takes spectra that are standardised already.

    Example: starkin import-checkpoint epoch_1000_weight.pt --out published-model
    """
    from ..models import Preprocessing
    from ..models import import_checkpoint as run
    from ..survey.inputs import load_spectra

    with errors():
        model = run(weights, config)
        if standardise_on:
            model = model.with_preprocessing(Preprocessing.fit(load_spectra(standardise_on)))
        model.save(out)
        console.print(f"{out}: imported from {weights}")
