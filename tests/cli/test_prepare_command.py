"""`starkin prepare` and `starkin info` on survey files, as typed."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from starkin.cli import app
from starkin.io import read

run = CliRunner().invoke


def _survey_files():
    """The makers of survey files that the readers' tests use."""
    path = Path(__file__).parents[1] / "io" / "survey_files.py"
    spec = importlib.util.spec_from_file_location("survey_files", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


files = _survey_files()
NAMES = ["2M00000317+5821383", "2M00000032+5737103", "2M00000068+5710233"]


@pytest.fixture
def folder(tmp_path):
    for name in NAMES:
        files.apstar(tmp_path / f"apStar-dr17-{name}.fits", name)
    rows = [files.allstar_row(name, GAIAEDR3_SOURCE_ID=7 + i) for i, name in enumerate(NAMES[:2])]
    files.allstar(tmp_path / "labels.fits", rows)
    return tmp_path


def test_prepare(folder):
    out = folder / "prepared.h5"
    result = run(
        app,
        ["prepare", str(folder / "apStar-*.fits"), "--grid", "apogee-dr12", "--out", str(out),
         "--labels", str(folder / "labels.fits"), "--continuum", "quantile", "--keep-sky-lines"],
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert "3 stars written" in result.output
    assert "1 stars are not in" in result.output
    spectra = read(out)
    assert spectra.n_pixels == 7214
    assert sorted(spectra.source_id.tolist())[1:] == [7, 8]
    assert spectra.meta["continuum"] == {"method": "quantile", "quantile": 0.9, "window": 50.0}
    result = run(app, ["info", str(out)])
    assert result.exit_code == 0, result.output
    for text in ("S/N per pixel", "vacuum (lines cannot tell), rest frame", "3 stars near 1",
                 "15168.", "teff"):  # fmt: skip
        assert text in result.output


def test_info_of_raw_files_says_what_to_do(folder):
    result = run(app, ["info", str(folder / "apStar-*.fits")])
    assert result.exit_code == 0, result.output
    assert "not continuum-normalised" in result.output
    assert "203 that more than half of the stars lack" in " ".join(result.output.split())


def test_mistakes_are_one_sentence(folder):
    pattern, out = str(folder / "apStar-*.fits"), str(folder / "x.h5")
    for options, message in (
        (["--grid", "apoge"], "choose from apogee"),
        (["--continuum", "spline"], "polynomial, quantile"),
        (["--continuum", "known"], "brings no continuum"),
        (["--labels", str(folder / "none.fits")], "does not exist"),
    ):
        result = run(app, ["prepare", pattern, "--out", out, *options])
        assert result.exit_code == 1, result.output
        assert message in " ".join(result.stderr.split())
    assert run(app, ["prepare", pattern, "--out", str(folder / "x.csv")]).exit_code == 1
    broken = folder / "apStar-dr17-broken.fits"
    broken.write_bytes(b"SIMPLE  =                    T" + bytes(4000))
    assert run(app, ["prepare", pattern, "--out", out]).exit_code == 1
    result = run(app, ["prepare", pattern, "--out", out, "--skip-bad"])
    assert result.exit_code == 0, result.output
    assert "left out" in result.output
    assert len(read(out)) == 3
    assert np.isfinite(read(out).values).all()
