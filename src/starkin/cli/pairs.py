"""`starkin simulate pairs`: chemical twins at high resolution, with known truth."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from .console import console, errors, steps

__all__ = ["pairs"]

_SETS = ("train", "validation")


def pairs(
    out: Annotated[Path, typer.Option(help="Folder for train and validation spectra.")],
    train: Annotated[int, typer.Option(help="Training pairs.", min=0)] = 25_000,
    validation: Annotated[int, typer.Option(help="Validation pairs.", min=0)] = 12_500,
    seed: Annotated[int, typer.Option(help="The same seed gives the same stars.", min=0)] = 0,
    setting: Annotated[str, typer.Option(help="giants or dwarfs.")] = "giants",
    compositions: Annotated[str, typer.Option(help="independent or galactic.")] = "independent",
    scatter: Annotated[float, typer.Option(help="Of each independent abundance [dex].")] = 0.1,
    shared: Annotated[
        str, typer.Option(help="What twins share: composition, or pattern ([X/Fe], not [M/H]).")
    ] = "composition",
    world: Annotated[str, typer.Option(help="standard or saturated.")] = "standard",
    snr: Annotated[
        list[float] | None,
        typer.Option(help="Also write the spectra at this S/N; give it again for more."),
    ] = None,
    grid: Annotated[str, typer.Option(help="Pixels of a survey.")] = "apogee-dr12",
    window: Annotated[
        tuple[float, float] | None, typer.Option(help="Other pixels: two vacuum wavelengths [Å].")
    ] = None,
    resolution: Annotated[float, typer.Option(help="λ/Δλ in the window.")] = 22_500.0,
    lines: Annotated[
        Path | None, typer.Option(help="Line list: VALD, Turbospectrum, MOOG or Kurucz.")
    ] = None,
    own_grid: Annotated[
        Path | None, typer.Option(help="Grid of spectra (.npz) in place of the engine.")
    ] = None,
    teff_error: Annotated[float, typer.Option(help="Error of the label teff [K].")] = 0.0,
    logg_error: Annotated[float, typer.Option(help="Error of the label logg [dex].")] = 0.0,
    masked: Annotated[float, typer.Option(help="Share of masked pixels.")] = 0.0,
    tilt: Annotated[float, typer.Option(help="Continuum tilt, share of the flux.")] = 0.0,
    sky: Annotated[float, typer.Option(help="Sky residuals, share of the continuum.")] = 0.0,
    rotation: Annotated[float, typer.Option(help="Unknown rotation [km/s].")] = 0.0,
    macroturbulence: Annotated[
        float, typer.Option(help="Unknown macroturbulence, its scatter [km/s].")
    ] = 0.0,
    suffix: Annotated[str, typer.Option(help="Format: .parquet, .fits or .h5.")] = ".parquet",
    ceiling: Annotated[
        bool,
        typer.Option(
            "--ceiling/--no-ceiling",
            help="Also write ceiling.npz: what the validation spectra can say of abundances at "
            "most, for starkin evaluate twins.",
        ),
    ] = False,
    threads: Annotated[
        int | None, typer.Option(help="Chunks computed at once; all cores by default.", min=1)
    ] = None,
) -> None:
    """Simulate pairs of stars of one composition and different Teff and log g.

    Writes train and validation spectra without noise, and again with noise for every --snr.
    """
    from ..io import write_vectors
    from ..simulate import CompositionConfig, simulate_pairs, with_noise
    from ..spectra import StarkinError

    with errors():
        if suffix not in (".parquet", ".fits", ".h5"):
            raise StarkinError(f"--suffix must be .parquet, .fits or .h5, got {suffix!r}.")
        model = _model(grid, window, resolution, lines, own_grid, world, threads)
        config = CompositionConfig(compositions, scatter=scatter)
        flaws = {
            "rotation": rotation,
            "macroturbulence": macroturbulence,
            "tilt": tilt,
            "sky": sky,
            "masked": masked,
        }
        out.mkdir(parents=True, exist_ok=True)
        for number, (name, n) in enumerate(zip(_SETS, (train, validation), strict=True)):
            if n == 0:
                continue
            # Streams that no other seed shares: (seed, set, flaw).
            own = [seed * 1_000 + 100 * number + k for k in range(20)]
            with steps() as show:
                spectra = simulate_pairs(
                    n,
                    own[0],
                    setting=setting,
                    compositions=config,
                    shared=shared,
                    world=world,
                    model=model,
                    progress=show.of(name),
                )
            spectra = _flawed(spectra, flaws, (teff_error, logg_error), own)
            _write(write_vectors, spectra, out / f"{name}{suffix}")
            for k, ratio in enumerate(snr or ()):
                noisy = with_noise(spectra, ratio, seed=own[10] + k)
                _write(write_vectors, noisy, out / f"{name}_snr{ratio:g}{suffix}")
        if ceiling and validation:
            with steps() as show:
                _write_ceiling(spectra.labels, model, out / "ceiling.npz", show.of("ceiling"))


def _model(
    grid: str,
    window: tuple[float, float] | None,
    resolution: float,
    lines: Path | None,
    own_grid: Path | None,
    world: str,
    threads: int | None,
) -> Any:
    from ..simulate import GridModel, Spectrograph, Synthesiser, read_lines
    from ..spectra.grids import named_grid

    if own_grid is not None:
        return GridModel.read(own_grid)
    seen = (
        Spectrograph(named_grid(grid))
        if window is None
        else Spectrograph.window(*window, resolution)
    )
    own_lines = None if lines is None else read_lines(lines)
    return Synthesiser(seen, world, own_lines, threads)


def _flawed(
    spectra: Any, flaws: dict[str, float], label_errors: tuple[float, float], seeds: list[int]
) -> Any:
    """Flaws in the order in which nature and the telescope add them."""
    from .. import simulate as s

    apply = {
        "rotation": lambda x, size, seed: s.with_rotation(x, size, seed=seed),
        "macroturbulence": lambda x, size, seed: s.with_macroturbulence(x, 0.0, size, seed=seed),
        "tilt": lambda x, size, seed: s.with_continuum_tilt(x, size, seed=seed),
        "sky": lambda x, size, seed: s.with_sky_residuals(x, size, seed=seed),
        "masked": lambda x, size, seed: s.with_masked_pixels(x, size, seed=seed),
    }
    for k, (name, function) in enumerate(apply.items()):
        if flaws[name]:
            spectra = function(spectra, flaws[name], seeds[1 + k])
    if any(label_errors):
        spectra = s.with_label_errors(spectra, *label_errors, seed=seeds[8])
    return spectra


def _write_ceiling(labels: Any, model: Any, path: Path, progress: Any) -> None:
    import numpy as np

    from ..io.atomic import atomic_file
    from ..simulate.fisher import fisher_matrices

    snr = 100.0
    matrices, elements = fisher_matrices(labels, snr, model=model, progress=progress)
    with atomic_file(path) as temporary, temporary.open("wb") as file:
        np.savez(file, fisher=matrices.astype(np.float32), elements=np.array(elements), snr=snr)
    console.print(f"Fisher matrices of {len(matrices):,} stars written to {path}", soft_wrap=True)


def _write(write: Any, spectra: Any, path: Path) -> None:
    write(spectra, path)
    console.print(f"{len(spectra):,} stars written to {path}", soft_wrap=True)
