"""Spectra with one row a star: what is written is read back number for number."""

from __future__ import annotations

from importlib import import_module

import numpy as np
import pytest
from astropy import units as u
from astropy.table import MaskedColumn, Table

from starkin.io import read, write_vectors
from starkin.spectra import SpectrumSet, StarkinError, WavelengthGrid

SUFFIXES = ["fits", "parquet", "h5"]


@pytest.fixture
def spectra() -> SpectrumSet:
    rng = np.random.default_rng(3)
    n, p = 6, 40
    values = rng.normal(1, 0.1, (n, p)).astype(np.float32)
    errors = rng.uniform(0.01, 0.02, (n, p)).astype(np.float32)
    mask = rng.random((n, p)) < 0.1
    mask[4] = True
    labels = Table()
    labels["teff"] = rng.uniform(4000, 5000, n)
    labels["teff"].unit = "K"
    labels["mg_h"] = np.where(np.arange(n) == 2, np.nan, rng.normal(size=n)).astype("f4")
    labels["composition_id"] = MaskedColumn(np.arange(n) // 2, mask=np.arange(n) == 5)
    labels["apogee_id"] = [f"2M0000000{i}+0000000" for i in range(n)]
    labels["good"] = np.arange(n) % 2 == 0
    labels["latent"] = rng.normal(size=(n, 3))
    return SpectrumSet(
        source_id=2**60 + np.arange(n),
        values=values,
        errors=errors,
        mask=mask,
        grid=WavelengthGrid(
            15100 * 10 ** (6e-6 * np.arange(p)), "Angstrom", "vacuum", "rest", 22500.0
        ),
        labels=labels,
        unit=u.dimensionless_unscaled,
        meta={"seed": 5, "files": ["nowhere"]},
    )


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_round_trip_is_exact(spectra, tmp_path, assert_identical, suffix, dtype):
    spectra = spectra.replace(values=spectra.values.astype(dtype) / 3)
    path = tmp_path / f"spectra.{suffix}"
    write_vectors(spectra, path)
    back = read(path)
    assert_identical(spectra, back)
    assert back.grid.resolution == 22500.0
    assert back.values.dtype.isnative
    assert back.labels["teff"].unit == "K"
    assert back.labels["composition_id"].mask.tolist() == [False] * 5 + [True]
    assert back.meta["seed"] == 5
    assert back.meta["files"] == [str(path)]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_several_blocks_make_one_set(spectra, tmp_path, assert_identical, suffix, monkeypatch):
    monkeypatch.setattr(import_module("starkin.io.write_vectors"), "_BLOCK", 80)
    monkeypatch.setattr(import_module("starkin.io.vectors_to_spectra"), "BLOCK", 160)
    path = tmp_path / f"spectra.{suffix}"
    write_vectors(spectra, path)
    assert_identical(spectra, read(path))


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_stars_without_labels(spectra, tmp_path, assert_identical, suffix):
    bare = spectra.replace(
        labels=None, mask=np.zeros_like(spectra.mask), unit=u.Unit("erg / (s cm2 nm)")
    )
    path = tmp_path / f"spectra.{suffix}"
    write_vectors(bare, path)
    assert_identical(bare, read(path))


def test_xp_coefficients_are_refused(make_spectra, tmp_path):
    with pytest.raises(StarkinError, match="write_spectra"):
        write_vectors(make_spectra(), tmp_path / "x.fits")


def test_unknown_suffix(spectra, tmp_path):
    with pytest.raises(StarkinError, match=r"\.parquet"):
        write_vectors(spectra, tmp_path / "x.csv")
    assert list(tmp_path.iterdir()) == []
