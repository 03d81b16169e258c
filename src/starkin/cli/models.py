"""Commands that train models and use them: train, encode, import-checkpoint."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .console import console, errors, steps

if TYPE_CHECKING:
    import numpy as np

PANEL = "Models"
_DEFAULT_KIND = "scatter-vae"


def add_to(app: typer.Typer) -> None:
    app.command(rich_help_panel=PANEL)(train)
    app.command(rich_help_panel=PANEL)(encode)
    app.command("import-checkpoint", rich_help_panel=PANEL)(import_checkpoint)


def train(
    what: Annotated[
        list[str],
        typer.Argument(
            metavar="[KIND] FILES…",
            help="A kind (scatter-vae without one), then files, folders, patterns or a store.",
        ),
    ],
    out: Annotated[Path, typer.Option(help="The model (a folder).")],
    recipe: Annotated[
        str | None, typer.Option(help="One of the kind's own: starkin, published, light, …")
    ] = None,
    config: Annotated[
        Path | None, typer.Option(help="TOML or JSON file with the model's settings.")
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="One setting; wins over the file."),
    ] = None,
    epochs: Annotated[int | None, typer.Option(help="Instead of the recipe's.", min=1)] = None,
    synthetic: Annotated[
        str | None, typer.Option(help="Synthetic spectra beside FILES (cycle-starnet).")
    ] = None,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:1, …")] = "cpu",
    cut: Annotated[str, typer.Option(help="full, good or pristine.")] = "full",
    select: Annotated[str, typer.Option(help="Condition on label columns.")] = "",
) -> None:
    """Train a model; a killed run goes on when the same command is given again.

    KIND is the name of a model: scatter-vae (the default), chemical, fader, factor-dis,
    polynomial-pca, pca, rsca, … A wrong setting's message lists those that the kind has.

    Example: starkin train survey.fits --out model --seed 1

    Example: starkin train fader pairs.h5 --out model --set adversary_weight=1e-4
    """
    from ..models.load import kinds, new_model
    from ..spectra.errors import StarkinError
    from ..survey.derived import fill_in
    from ..survey.inputs import load_spectra
    from ..survey.selection import of_those, selected
    from ..survey.settings import read_settings

    with errors():
        known = kinds()
        kind, files = (what[0], what[1:]) if what[0] in known else (_DEFAULT_KIND, what)
        if not files:
            raise StarkinError(f"Name the spectra to train a {kind} model on.")
        settings = read_settings(config)
        settings |= dict(_setting(text) for text in set_ or [])
        options = {"recipe": recipe, "epochs": epochs, "synthetic": synthetic}
        settings |= {name: value for name, value in options.items() if value is not None}
        model = new_model(kind, settings, device=device)
        spectra = load_spectra(files)
        spectra = of_those(spectra, selected(fill_in(spectra), cut, select))
        checkpoint = out.with_name(f".{out.name}.checkpoint")
        with steps() as show:
            model.fit(spectra, seed=seed, checkpoint=checkpoint, progress=show.of("train"))
        model.save(out)
        checkpoint.unlink(missing_ok=True)
        console.print(f"{out}: {_summary(model.card['metrics'])}")


def _setting(text: str) -> tuple[str, Any]:
    """``name=value``, the value read as in a TOML file, or as a word."""
    from ..spectra.errors import StarkinError

    name, equals, value = text.partition("=")
    if not equals or not name:
        raise StarkinError(f"--set {text} is no setting; write name=value.")
    try:
        return name, tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return name, value


def _summary(metrics: Mapping[str, Any]) -> str:
    """What a model card says of the held-out stars, in one line."""
    if "active_units" in metrics:
        return (
            f"validation loss {metrics['validation']:.3f} nat a star, {metrics['active_units']} of "
            f"{len(metrics['latent_kl'])} latents in use"
        )
    numbers = {k: v for k, v in metrics.items() if isinstance(v, int | float)}
    return ", ".join(f"{name.replace('_', ' ')} {value:.4g}" for name, value in numbers.items())


def encode(
    model: Annotated[Path, typer.Argument(help="A model folder, of any kind.")],
    files: Annotated[list[str], typer.Argument(help="Files, folders, patterns or a store.")],
    out: Annotated[Path, typer.Option(help="Catalogue: .parquet, .fits, .vot, .ecsv or .csv.")],
    batch: Annotated[int, typer.Option(help="Stars in memory at a time.", min=1)] = 65_536,
) -> None:
    """Encode spectra to a latent catalogue; a store streams in bounded memory.

    Example: starkin encode model store --out latents.parquet
    """
    from ..models.load import load_model
    from ..spectra.flags import Flag
    from ..survey.encode import encode_catalogue
    from ..survey.inputs import stream_spectra

    counts = dict.fromkeys(Flag, 0)

    def count(flags: np.ndarray) -> None:
        for flag in Flag:
            counts[flag] += int(((flags & flag) != 0).sum())

    with errors():
        loaded = load_model(model)
        n_stars, batches = stream_spectra(files, batch)
        with steps() as show:
            n_done = encode_catalogue(
                loaded, batches, out, n_stars=n_stars, progress=show.of("encode"), on_flags=count
            )
        for flag, n in counts.items():
            if n:
                console.print(f"! {n:,} flagged {flag.name}: {Flag.legend()[flag]}")
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
