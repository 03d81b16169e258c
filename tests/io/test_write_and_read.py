"""What is written is read back to the last bit, in every form."""

from __future__ import annotations

import gzip
import zipfile
from pathlib import Path

import astropy.table
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from starkin.io import formats, identify, read, write_spectra
from starkin.io.store import Store
from starkin.spectra import StarkinError, WavelengthGrid, XPGrid

FORMS = [
    ("stars.csv", None, "csv"),
    ("stars.csv.gz", None, "csv"),
    ("stars.ecsv", None, "ecsv"),
    ("stars.ecsv.gz", None, "ecsv"),
    ("XpContinuousMeanSpectrum_000000-003111.csv.gz", None, "ecsv"),
    ("stars.fits", None, "fits"),
    ("stars.fits.gz", None, "fits"),
    ("stars.vot", None, "votable"),
    ("stars.xml.gz", None, "votable"),
    ("binary.vot", "votable-binary", "votable"),
    ("plain.vot", "votable-plain", "votable"),
    ("stars.parquet", None, "parquet"),
]
GRIDS = [XPGrid(55, 55), XPGrid(51, 55), XPGrid(4, 3)]


@pytest.mark.parametrize(("name", "format_", "found"), FORMS)
@pytest.mark.parametrize("grid", GRIDS, ids=["dr3", "dr4", "small"])
def test_round_trip(
    tmp_path: Path, make_spectra, assert_identical, name: str, format_: str | None, found: str, grid
) -> None:
    stars = make_spectra(grid=grid)
    write_spectra(stars, tmp_path / name, format=format_)
    assert identify(tmp_path / name) == found
    back = read(tmp_path / name)
    # A plain CSV has no place for units and descriptions of the user's own columns.
    assert_identical(stars, back, described=False)
    if found != "csv":
        assert back.labels["kind"].description == "A text of the user's own"
    assert str(back.labels["teff"].unit) == "K"
    assert back.labels["bp_n_relevant_bases"].dtype == np.int16


@pytest.mark.parametrize(("name", "format_"), [form[:2] for form in FORMS])
def test_round_trip_without_correlations_or_gaps(
    tmp_path: Path, make_spectra, assert_identical, name: str, format_: str | None
) -> None:
    stars = make_spectra(correlations=False, missing=False)
    write_spectra(stars, tmp_path / name, format=format_)
    back = read(tmp_path / name)
    assert_identical(stars, back)
    assert not back.mask.any()


def test_astropy_reads_what_is_written(tmp_path: Path, make_spectra) -> None:
    stars = make_spectra()
    for name in ("a.fits", "a.vot", "a.ecsv"):
        write_spectra(stars, tmp_path / name)
        table = astropy.table.Table.read(tmp_path / name)
        np.testing.assert_array_equal(table["source_id"], stars.source_id)
        np.testing.assert_array_equal(
            np.asarray(table["rp_coefficients"][0], dtype=np.float64), stars.values[0, 5:]
        )
        assert str(table["teff"].unit) == "K"


def test_bulk_dialect_is_the_archives(tmp_path: Path, make_spectra) -> None:
    path = tmp_path / "XpContinuousMeanSpectrum_000000-003111.csv.gz"
    write_spectra(make_spectra(), path)
    lines = gzip.decompress(path.read_bytes()).decode().splitlines()
    assert lines[0] == "# %ECSV 1.0"
    rows = [line for line in lines if not line.startswith("#")]
    assert rows[0].startswith("source_id,solution_id,bp_n_relevant_bases,bp_coefficients") or (
        rows[0].startswith("source_id,solution_id,bp_coefficients")
    )
    assert ',"[' in rows[1]
    assert ",null," in rows[2]  # the star without BP


@pytest.mark.parametrize("grid", GRIDS, ids=["dr3", "dr4", "small"])
def test_tables_in_memory(tmp_path: Path, make_spectra, assert_identical, grid: XPGrid) -> None:
    stars = make_spectra(grid=grid)
    write_spectra(stars, tmp_path / "a.parquet")
    frame = pl.read_parquet(tmp_path / "a.parquet")
    arrow = frame.to_arrow()
    for table, name in (
        (frame, "polars"),
        (arrow, "arrow"),
        (frame.to_pandas(), "pandas"),
        (frame.to_pandas(use_pyarrow_extension_array=True), "pandas"),
        (astropy.table.Table.read(_fits(tmp_path, stars)), "astropy"),
    ):
        assert identify(table) == name
        assert_identical(stars, read(table))


def _fits(folder: Path, stars) -> Path:
    write_spectra(stars, folder / "a.fits")
    return folder / "a.fits"


def test_units_of_coefficients_and_a_table_left_alone(make_spectra) -> None:
    """Coefficients already divided by the G flux have no dimension, and say so."""
    table = astropy.table.Table({"SOURCE_ID": [1, 2], "TEFF": [5000.0, 6000.0]})
    for band in ("bp", "rp"):
        table[f"{band}_coefficients"] = np.arange(6.0).reshape(2, 3) + 1
        table[f"{band}_coefficients"].unit = ""
        table[f"{band}_coefficient_errors"] = np.ones((2, 3))
    before = table.copy()
    stars = read(table)
    assert stars.unit == ""
    assert stars.labels.colnames == ["teff"]
    assert str(stars.labels["teff"].unit) == "K"
    assert table.colnames == before.colnames
    assert table["TEFF"].unit is None
    assert table["TEFF"].description is None
    table["rp_coefficients"].unit = "electron / s"
    with pytest.raises(StarkinError, match="different units"):
        read(table)
    table["rp_coefficients"].unit = "furlongs of light"
    with pytest.raises(StarkinError, match=r"unit .*furlongs of light.* is not known"):
        read(table)


def test_frames_with_text_arrays(tmp_path: Path, make_spectra, assert_identical) -> None:
    """A CSV that pandas or astropy has read keeps the arrays as text."""
    stars = make_spectra()
    stars.labels.remove_column("is_giant")  # astropy leaves "True" as text
    write_spectra(stars, tmp_path / "a.csv")
    assert_identical(stars, read(pd.read_csv(tmp_path / "a.csv")))
    assert_identical(stars, read(astropy.table.Table.read(tmp_path / "a.csv")))
    assert_identical(stars, read(pl.read_csv(tmp_path / "a.csv")))


def test_fixed_size_lists(make_spectra) -> None:
    stars = make_spectra(missing=False, correlations=False)
    table = pa.table(
        {
            "source_id": stars.source_id,
            **{
                f"{band}_{what}": pa.FixedSizeListArray.from_arrays(
                    pa.array(np.ascontiguousarray(matrix[:, stars.grid.band(band)]).reshape(-1)),
                    stars.grid.band_size(band),
                )
                for band in ("bp", "rp")
                for what, matrix in (
                    ("coefficients", stars.values),
                    ("coefficient_errors", stars.errors),
                )
            },
        }
    )
    back = read(table)
    np.testing.assert_array_equal(back.values, stars.values)
    np.testing.assert_array_equal(back.errors, stars.errors)


@pytest.mark.parametrize(
    ("value", "error"),
    [
        ("{b}_coeff_{i}", "e_{b}_coeff_{i}"),
        ("{b}_coefficients_{i}", "{b}_coefficient_errors_{i}"),
        ("{B}_COEFF_{i}", "{B}_COEFF_{i}_ERR"),
        ("{b}_{i}", "{b}_err_{i}"),
        ("{b}{i1}", "e_{b}{i1}"),
    ],
)
@pytest.mark.parametrize("suffix", ["fits", "csv", "parquet", "vot"])
def test_wide_tables(tmp_path: Path, make_spectra, value: str, error: str, suffix: str) -> None:
    stars = make_spectra(correlations=False)
    wide = {"SOURCE_ID": stars.source_id}
    for band in ("bp", "rp"):
        where = stars.grid.band(band)
        for pattern, matrix in ((value, stars.values), (error, stars.errors)):
            matrix = np.where(stars.mask, np.nan, matrix)[:, where]
            for i in range(matrix.shape[1]):
                name = pattern.format(b=band, B=band.upper(), i=i, i1=i + 1)
                wide[name] = matrix[:, i].astype(np.float64 if pattern == value else np.float32)
    wide["bp_rp"] = np.arange(len(stars), dtype=np.float64)
    path = tmp_path / f"wide.{suffix}"
    if suffix == "parquet":
        pl.DataFrame(wide).write_parquet(path)
    elif suffix == "csv":
        pl.DataFrame(wide).write_csv(path)
    else:
        astropy.table.Table(wide).write(path, format="votable" if suffix == "vot" else suffix)
    back = read(path)
    np.testing.assert_array_equal(back.source_id, stars.source_id)
    np.testing.assert_array_equal(back.values, stars.values)
    np.testing.assert_array_equal(back.errors, stars.errors)
    np.testing.assert_array_equal(back.mask, stars.mask)
    assert back.labels.colnames == ["bp_rp"]


def test_several_files_folder_zip_and_pattern(
    tmp_path: Path, make_spectra, assert_identical
) -> None:
    stars = make_spectra(9)
    folder = tmp_path / "datalink"
    names = ["1.fits", "2.csv", "3.ecsv.gz"]
    for i, name in enumerate(names):
        write_spectra(stars[3 * i : 3 * i + 3], folder / name)
    (folder / "README.txt").write_text("not a table")
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        for name in names:
            archive.write(folder / name, name)
    assert identify(tmp_path / "all.zip") == "zip"
    assert identify(folder) == "folder"
    for items in (folder, tmp_path / "all.zip", [folder / n for n in names], f"{folder}/[123]*"):
        back = read(items)
        assert_identical(stars, back)
        assert len(back.meta["files"]) == 3


def test_a_file_without_any_bp_takes_its_size_from_the_others(tmp_path: Path, make_spectra) -> None:
    """One star a file, as DataLink delivers them: DR4's 51 must not become 55."""
    stars = make_spectra(4, grid=XPGrid(51, 55))
    for i in range(4):
        write_spectra(stars[i : i + 1], tmp_path / f"{i}.csv")
    back = read([tmp_path / f"{i}.csv" for i in (1, 3, 0, 2)])
    assert back.grid == XPGrid(51, 55)
    np.testing.assert_array_equal(back.source_id, stars.source_id[[1, 3, 0, 2]])
    np.testing.assert_array_equal(back.values, stars.values[[1, 3, 0, 2]])


def test_a_store(tmp_path: Path, make_spectra, assert_identical) -> None:
    stars = make_spectra()
    store = Store.create(tmp_path / "stars", stars.grid, dtype="float64", correlations=True)
    store.append(stars)
    assert identify(tmp_path / "stars") == "store"
    back = read(tmp_path / "stars")
    np.testing.assert_array_equal(back.values, stars.values)
    np.testing.assert_array_equal(back.correlations, stars.correlations)
    assert back.labels.colnames == stars.labels.colnames


def test_numpy_text_arrays() -> None:
    """``str(array)`` in a cell: blanks between the numbers."""
    frame = pl.DataFrame(
        {
            "source_id": [1, 2],
            **{f"{b}_coefficients": ["[1.  2.5\n 3.]", "[4 5 6]"] for b in ("bp", "rp")},
            **{f"{b}_coefficient_errors": ["[ 1. 1. 1. ]", "[1, 1, 1]"] for b in ("bp", "rp")},
        }
    )
    assert read(frame).values.tolist() == [[1, 2.5, 3] * 2, [4, 5, 6] * 2]


def test_every_format_has_a_description() -> None:
    assert {"csv", "ecsv", "fits", "votable", "parquet", "pandas"} <= set(formats())
    assert all(formats().values())


def test_what_cannot_be_written(tmp_path: Path, make_spectra) -> None:
    stars = make_spectra()
    with pytest.raises(StarkinError, match=r"\.xlsx"):
        write_spectra(stars, tmp_path / "a.xlsx")
    with pytest.raises(StarkinError, match="compresses by itself"):
        write_spectra(stars, tmp_path / "a.parquet.gz")
    with pytest.raises(StarkinError, match="as they were read"):
        write_spectra(stars.replace(unit=""), tmp_path / "a.csv")
    flat = stars.replace(grid=WavelengthGrid(np.arange(11.0)), correlations=None)
    with pytest.raises(StarkinError, match="archive form"):
        write_spectra(flat, tmp_path / "a.csv")
    assert list(tmp_path.iterdir()) == []


def test_a_failed_write_leaves_nothing(tmp_path: Path, make_spectra) -> None:
    stars = make_spectra()
    labels = stars.labels.copy()
    labels["thing"] = [object() for _ in range(len(stars))]
    with pytest.raises(StarkinError, match="thing"):
        write_spectra(stars.replace(labels=labels), tmp_path / "a.fits")
    assert list(tmp_path.iterdir()) == []
