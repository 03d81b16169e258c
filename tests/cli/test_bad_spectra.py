"""Wrong spectra given as a user would give them: one clear sentence, or a flag for each star."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from astropy import units as u
from typer.testing import CliRunner

from starkin.cli import app
from starkin.io import Latents, write_vectors
from starkin.spectra import SpectrumSet, WavelengthGrid
from starkin.spectra.flags import Flag

run = CliRunner().invoke
GRID = WavelengthGrid(15200 * 10 ** (6e-6 * np.arange(40)), "Angstrom", "vacuum", "rest", 22_500)


def stars(wanted: int = 120) -> SpectrumSet:
    draw, n = np.random.default_rng(1), 120
    teff, logg = draw.uniform(4000, 5500, n), draw.uniform(1, 3, n)
    depth = draw.random(40) * 0.3
    values = 1 - depth * (1 + 0.1 * draw.normal(size=(n, 1)) + ((teff - 4750) / 3000)[:, None])
    errors = np.full((n, 40), 0.005)
    spectra = SpectrumSet(
        np.arange(n) + 1,
        values + errors * draw.normal(size=(n, 40)),
        errors,
        GRID,
        unit=u.dimensionless_unscaled,
    )
    return spectra.with_labels(teff=teff, logg=logg)[:wanted]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    write_vectors(stars(), folder / "train.parquet")
    train, out = str(folder / "train.parquet"), str(folder / "m")
    said = run(app, ["train", "polynomial-pca", train, "--out", out, "--set", "n_latent=3"])
    assert said.exit_code == 0, said.output
    return folder / "m"


def without(spectra: SpectrumSet, name: str) -> SpectrumSet:
    labels = spectra.labels.copy()
    labels.remove_column(name)
    return spectra.replace(labels=labels)


def scaled(spectra: SpectrumSet, factor: float, unit: str = "") -> SpectrumSet:
    return spectra.replace(
        values=spectra.values * factor, errors=spectra.errors * factor, unit=u.Unit(unit)
    )


REFUSED = {
    "air": (lambda s: s.replace(grid=replace(GRID, medium="air")), "medium is air, not vacuum"),
    "frame": (lambda s: s.replace(grid=replace(GRID, frame="observed")), "frame is observed"),
    "shifted": (
        lambda s: s.replace(grid=replace(GRID, wavelength=GRID.wavelength + 1)),
        "pixels away from where they should be",
    ),
    "nm called Angstrom": (
        lambda s: s.replace(grid=replace(GRID, wavelength=GRID.wavelength / 10)),
        "pixels away from where they should be",
    ),
    "flux": (lambda s: scaled(s, 900, "1e-17 erg / (s cm2 Angstrom)"), "divide by the continuum"),
    "counts": (lambda s: scaled(s, 900), "the median flux of these spectra is"),
    "no teff": (lambda s: without(s, "teff"), "no label column 'teff'; the columns are logg"),
}


@pytest.mark.parametrize("case", REFUSED)
@pytest.mark.parametrize("command", ["train", "encode"])
def test_refused_in_one_sentence(case: str, command: str, model: Path, tmp_path: Path) -> None:
    spoil, message = REFUSED[case]
    bad = tmp_path / "bad.parquet"
    write_vectors(spoil(stars(60)), bad)
    files = [str(bad)]
    if command == "train":
        # Beside good ones, where they would spoil a grid; alone, where they are a set of their own.
        if spoil(stars(4)).grid != GRID:
            files.insert(0, str(model.parent / "train.parquet"))
        said = run(app, ["train", "polynomial-pca", *files, "--out", str(tmp_path / "m")])
    else:
        said = run(app, ["encode", str(model), *files, "--out", str(tmp_path / "x.parquet")])
    text = " ".join(said.output.split())
    assert said.exit_code == 1, text
    assert text.count("error:") == 1
    assert message in text
    assert "Traceback" not in text
    assert not (tmp_path / "x.parquet").exists()


def test_each_star_that_is_wrong_gets_its_flag(model: Path, tmp_path: Path) -> None:
    good = stars(60)
    mask, errors = good.mask.copy(), np.array(good.errors)
    values = np.array(good.values)
    mask[1] = True
    errors[2] = np.inf  # inverse variance 0
    values[3] *= 50
    errors[3] *= 50
    teff = good.label("teff").copy()
    teff[4], teff[5], teff[6] = np.nan, 9000, -9999
    mask |= ~np.isfinite(errors)
    errors[mask] = 1
    bad = good.replace(values=values, errors=errors, mask=mask).with_labels(teff=teff)
    write_vectors(bad, tmp_path / "bad.h5")
    out = tmp_path / "x.parquet"
    said = run(app, ["encode", str(model), str(tmp_path / "bad.h5"), "--out", str(out)])
    assert said.exit_code == 0, said.output
    text = " ".join(said.output.split())
    assert "! 3 flagged NOT_ENCODED: nothing usable" in text
    assert "! 2 flagged LABEL_OUT_OF_RANGE" in text
    latents = Latents.read(out)
    flags = latents.flags
    for star, expected in {
        1: Flag.NOT_ENCODED,
        2: Flag.NOT_ENCODED,
        3: Flag.NOT_NORMALISED,
        4: Flag.LABEL_MISSING,
        5: Flag.LABEL_OUT_OF_RANGE,
        6: Flag.LABEL_OUT_OF_RANGE,
    }.items():
        assert flags[star] & expected, (star, flags[star])
    assert np.isnan(latents.mean[[1, 2, 4]]).all()
    rest = flags[[0, *range(7, 60)]]
    assert not (rest & ~int(Flag.FAR_FROM_TRAINING)).any(), rest


def test_a_table_that_does_not_state_its_resolution_is_encoded(model: Path, tmp_path: Path) -> None:
    plain = replace(GRID, resolution=None, wavelength=np.round(GRID.wavelength, 3))
    write_vectors(stars(10).replace(grid=plain), tmp_path / "plain.fits")
    out = tmp_path / "x.parquet"
    said = run(app, ["encode", str(model), str(tmp_path / "plain.fits"), "--out", str(out)])
    assert said.exit_code == 0, said.output
    assert len(Latents.read(out)) == 10


def test_nothing_to_train_on(tmp_path: Path) -> None:
    write_vectors(stars(30).replace(mask=np.ones((30, 40), bool)), tmp_path / "masked.parquet")
    said = run(
        app,
        ["train", "polynomial-pca", str(tmp_path / "masked.parquet"), "--out", str(tmp_path / "m")],
    )
    assert said.exit_code == 1
    said_in_one_line = " ".join(said.output.split())
    assert "needs usable spectra" in said_in_one_line
    assert "of 30 stars 30 have no usable pixel" in said_in_one_line
