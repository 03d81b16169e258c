"""`starkin simulate pairs` as typed."""

from __future__ import annotations

import numpy as np
from typer.testing import CliRunner

from starkin.cli.app import app
from starkin.io import read
from starkin.survey.twin_ceiling import Ceiling

RUNNER = CliRunner()


def _grid(tmp_path):
    """A small grid of spectra in place of the engine."""
    wavelength = 10 ** (4.19 + 6e-6 * np.arange(50))
    teff, fe_h = np.linspace(4000, 5000, 3), np.linspace(-0.6, 0.6, 3)
    flux = 1 - 1e-5 * teff[:, None, None] - 0.1 * fe_h[None, :, None] * np.ones(50)
    path = tmp_path / "grid.npz"
    np.savez(path, wavelength=wavelength, flux=flux, labels=["teff", "fe_h"], teff=teff, fe_h=fe_h)
    return path


def test_pairs_are_written_with_and_without_noise(tmp_path):
    out = tmp_path / "pairs"
    args = ["simulate", "pairs", "--train", "6", "--validation", "4", "--seed", "3"]
    args += ["--own-grid", str(_grid(tmp_path)), "--out", str(out), "--snr", "50", "--snr", "30"]
    args += ["--teff-error", "100", "--masked", "0.2"]
    result = RUNNER.invoke(app, args)
    assert result.exit_code == 0, result.output
    names = sorted(p.name for p in out.iterdir())
    assert names == sorted(
        f"{n}{s}.parquet" for n in ("train", "validation") for s in ("", "_snr50", "_snr30")
    )
    clean, noisy = read(out / "validation.parquet"), read(out / "validation_snr50.parquet")
    assert len(clean) == 8
    np.testing.assert_array_equal(clean.label("composition_id"), np.repeat(range(4), 2))
    seen = ~clean.mask
    assert 0.1 < 1 - seen.mean() < 0.35
    np.testing.assert_allclose(noisy.errors[seen], 0.02, rtol=1e-3)
    assert np.std((noisy.values - clean.values)[seen]) > 0.015
    assert np.std(clean.label("teff") - clean.label("true_teff")) > 30
    train = read(out / "train.parquet")
    assert not np.isin(train.label("true_fe_h"), clean.label("true_fe_h")).any()


def test_the_ceiling_is_that_of_the_validation_stars(tmp_path):
    out = tmp_path / "pairs"
    args = ["simulate", "pairs", "--train", "2", "--validation", "4", "--ceiling"]
    result = RUNNER.invoke(app, [*args, "--own-grid", str(_grid(tmp_path)), "--out", str(out)])
    assert result.exit_code == 0, result.output
    ceiling = Ceiling.read(out / "ceiling.npz")
    assert ceiling.elements == ("fe_h",)
    # 50 pixels that answer with -0.1 a dex: 50 · 0.1² · 100² per dex².
    np.testing.assert_allclose(ceiling.fisher, np.full((8, 1, 1), 5000.0), rtol=1e-4)


def test_a_wrong_setting_is_one_sentence(tmp_path):
    args = ["simulate", "pairs", "--out", str(tmp_path / "x"), "--own-grid"]
    args += [str(_grid(tmp_path)), "--setting", "planets"]
    result = RUNNER.invoke(app, args)
    assert result.exit_code == 1
    assert "PairsConfig.setting must be one of giants, dwarfs" in result.output
