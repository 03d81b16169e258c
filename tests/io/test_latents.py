"""The latent catalogue survives every format, with units, and refuses what it is not."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings

import numpy as np
import pytest
from astropy import units as u
from astropy.table import MaskedColumn, Table

from starkin.io import Latents
from starkin.io.atomic import atomic_directory, atomic_file
from starkin.io.catalogue import read_table, write_table
from starkin.spectra import StarkinError


@pytest.fixture
def latents() -> Latents:
    rng = np.random.default_rng(0)
    factor = rng.normal(size=(5, 3, 3))
    labels = Table(
        {
            "teff": MaskedColumn([5000.0, 0, 4000, 3000, 6000], mask=[0, 1, 0, 0, 0]),
            "n_obs": MaskedColumn([1, 2, 3, 4, 5], mask=[0, 0, 0, 1, 0]),
            "class_name": ["giant", "", "dwarf", "dwarf", "giant"],
        }
    )
    return Latents(
        source_id=np.arange(5) + 5853498713190525696,
        mean=rng.normal(size=(5, 3)),
        covariance=factor @ factor.transpose(0, 2, 1),
        flags=np.array([0, 1, 2, 4, 8], dtype=np.int32),
        model_id="0123456789abcdef",
        columns=labels,
        meta={"survey": "test"},
    )


@pytest.mark.parametrize("suffix", ["parquet", "fits", "vot", "ecsv"])
def test_round_trip_keeps_numbers_units_and_provenance(tmp_path, latents, suffix):
    path = tmp_path / f"catalogue.{suffix}"
    latents.write(path)
    back = Latents.read(path)
    np.testing.assert_array_equal(back.source_id, latents.source_id)
    np.testing.assert_allclose(back.mean, latents.mean)
    np.testing.assert_allclose(back.covariance, latents.covariance)
    np.testing.assert_array_equal(back.flags, latents.flags)
    assert back.model_id == latents.model_id
    assert back.meta["survey"] == "test"
    assert str(back.columns["teff"].unit) == "K"
    assert back.columns["teff"].description == "Effective temperature"
    np.testing.assert_array_equal(np.ma.getmaskarray(back.columns["n_obs"]), [0, 0, 0, 1, 0])
    assert back.columns["class_name"].tolist()[2] == "dwarf"


@pytest.mark.parametrize("suffix", ["parquet", "fits", "vot", "ecsv"])
def test_columns_of_fits_files_are_written_to_every_format(tmp_path, latents, suffix):
    big_endian = {
        "m_h": np.arange(5, dtype=">f4") / 4,
        "visits": MaskedColumn(np.arange(5, dtype=">i4"), mask=[1, 0, 0, 0, 0]),
        "field": np.array(["M67", "", "NGC 188", "", ""], dtype=">U8"),
        "pair": np.arange(10, dtype=">f8").reshape(5, 2),
    }
    path = tmp_path / f"catalogue.{suffix}"
    latents.with_columns(**big_endian).write(path)
    back = Latents.read(path).columns
    np.testing.assert_array_equal(back["m_h"], [0, 0.25, 0.5, 0.75, 1])
    assert back["visits"].tolist()[1:] == [1, 2, 3, 4]
    assert np.ma.getmaskarray(back["visits"]).tolist() == [True, False, False, False, False]
    assert back["field"].tolist()[2] == "NGC 188"
    np.testing.assert_array_equal(back["pair"], big_endian["pair"])


def test_astropy_opens_the_parquet_file_without_help(tmp_path, latents):
    latents.write(tmp_path / "c.parquet")
    for format_ in ("parquet", "parquet.votable"):
        table = Table.read(tmp_path / "c.parquet", format=format_)
        assert str(table["teff"].unit) == "K"
        np.testing.assert_array_equal(table["source_id"], latents.source_id)


def test_variance_is_the_diagonal(latents):
    by_hand = [[c[0, 0], c[1, 1], c[2, 2]] for c in latents.covariance]
    np.testing.assert_array_equal(latents.variance, by_hand)
    diagonal = Latents(latents.source_id, latents.mean, latents.variance)
    np.testing.assert_array_equal(
        diagonal.covariance_matrices()[1], np.diag(latents.covariance[1].diagonal())
    )


def test_unknown_suffix_and_foreign_table_are_refused(tmp_path, latents):
    with pytest.raises(StarkinError, match="suffix"):
        latents.write(tmp_path / "catalogue.docx")
    Table({"a": [1]}).write(tmp_path / "other.fits")
    with pytest.raises(StarkinError, match="source_id"):
        Latents.read(tmp_path / "other.fits")
    (tmp_path / "damaged.parquet").write_bytes(b"PAR1 no")
    with pytest.raises(StarkinError, match=r"damaged\.parquet"):
        Latents.read(tmp_path / "damaged.parquet")


def test_a_failure_in_mid_write_leaves_the_old_file_alone(tmp_path):
    target = tmp_path / "a.txt"
    target.write_text("old")
    with pytest.raises(RuntimeError), atomic_file(target) as path:
        path.write_text("half")
        raise RuntimeError
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]
    assert target.read_text() == "old"
    with pytest.raises(StarkinError, match="No space left"), atomic_directory(tmp_path / "d") as d:
        (d / "x").write_text("half")
        raise OSError(28, "No space left on device")
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


@pytest.mark.parametrize("suffix", ["parquet", "fits", "vot", "ecsv"])
def test_units_survive_also_those_the_standards_do_not_know(tmp_path, suffix):
    table = Table({"flux": [1.0, 2.0], "logg": [4.0, 2.0], "parallax": [1.0, 2.0]})
    units = {"flux": "electron s-1", "logg": "log(cm.s**-2)", "parallax": "mas"}
    for name, unit in units.items():
        table[name].unit = unit
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        write_table(table, tmp_path / f"t.{suffix}")
        back = read_table(tmp_path / f"t.{suffix}")
    assert back["flux"].unit == u.electron / u.s
    assert back["parallax"].unit == u.mas
    assert "log" in str(back["logg"].unit)


def test_what_a_killed_writer_left_is_swept_and_a_living_one_s_is_not(tmp_path):
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    left = tmp_path / f".a.{dead.pid}.part.txt"
    busy = tmp_path / f".a.{os.getppid()}.part.txt"
    left.write_text("half")
    busy.write_text("half")
    with atomic_file(tmp_path / "a.txt") as path:
        path.write_text("whole")
    assert not left.exists()
    assert busy.exists()
    assert (tmp_path / "a.txt").read_text() == "whole"
