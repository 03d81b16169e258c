"""One clear sentence for each thing that goes wrong, or a mask where a user wants the star."""

from __future__ import annotations

import gzip
import re
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest
from astropy.table import Table

from starkin.io import identify, read, write_spectra
from starkin.spectra import StarkinError, XPGrid, pack_correlations


def csv_rows(path: Path) -> list[list[str]]:
    import csv

    with path.open(newline="") as stream:
        return list(csv.reader(stream))


def save_rows(path: Path, rows: list[list[str]]) -> None:
    import csv

    with path.open("w", newline="") as stream:
        csv.writer(stream, lineterminator="\n").writerows(rows)


@pytest.fixture
def damaged(tmp_path: Path, make_spectra):
    """A CSV of seven stars in which the test may change cells, by row (from 1) and column."""
    path = tmp_path / "stars.csv"
    write_spectra(make_spectra(missing=False), path)
    rows = csv_rows(path)

    def change(row: int, column: str, cell: str) -> Path:
        rows[row][rows[0].index(column)] = cell
        save_rows(path, rows)
        return path

    return change


@pytest.mark.parametrize(
    ("column", "cell", "message"),
    [
        ("bp_coefficients", "(1, 2, 3)", "bp_coefficients has 3 numbers where 5 are expected"),
        ("rp_coefficient_errors", "(1, 2)", "rp_coefficient_errors has 2 numbers where 6"),
        ("rp_coefficient_correlations", "(0.1)", "correlations has 1 numbers where 15"),
        ("bp_coefficients", "(1, two, 3, 4, 5)", "bp_coefficients holds 'two', which is not a num"),
        ("bp_coefficients", "(1, 2, ..., 4, 5)", "'...', which is not a number"),
        ("bp_coefficients", "(1, 2 3, 4, 5, 6)", "bp_coefficients holds '2 3', which is not a num"),
        ("bp_coefficients", "(1, , 3, 4, 5)", "bp_coefficients holds '', which is not a number"),
        ("bp_coefficients", "(1, 2, 3, 4, 5", "bp_coefficients is not an array in brackets"),
        ("bp_coefficients", "7.5", "bp_coefficients is not an array in brackets but '7.5'"),
        ("rp_coefficients", "", "rp_coefficients is empty though rp_coefficient_errors is not"),
        ("rp_coefficient_errors", "()", "rp_coefficient_errors is empty though rp_coefficients is"),
        ("source_id", "", "source_id is missing"),
    ],
)
def test_a_bad_row_is_named_or_left_out(damaged, column: str, cell: str, message: str) -> None:
    path = damaged(3, column, cell)
    with pytest.raises(StarkinError, match=rf"stars\.csv, row 3.*{re.escape(message)}"):
        read(path)
    stars = read(path, on_error="reject")
    whole = read(path, on_error="reject").meta["rejected"]
    assert len(stars) == 6
    assert [r.row for r in whole] == [3]
    assert message in whole[0].reason


def test_several_bad_rows_are_all_listed(damaged) -> None:
    damaged(2, "bp_coefficients", "(1, 2)")
    path = damaged(6, "source_id", "null")
    stars = read(path, on_error="reject")
    assert [r.row for r in stars.meta["rejected"]] == [2, 6]
    with pytest.raises(StarkinError, match=r"row 2 .*\(1 more rows are bad too\)"):
        read(path)


def test_a_row_with_too_few_cells(tmp_path: Path, make_spectra) -> None:
    path = tmp_path / "a.csv"
    stars = make_spectra()
    write_spectra(stars, path)
    rows = csv_rows(path)
    rows[4] = rows[4][:5]
    save_rows(path, rows)
    with pytest.raises(StarkinError, match="row 4: has 5 cells instead of"):
        read(path)
    back = read(path, on_error="reject")
    keep = [0, 1, 2, 4, 5, 6]
    np.testing.assert_array_equal(back.source_id, stars.source_id[keep])
    np.testing.assert_array_equal(back.values, stars.values[keep])


def test_row_numbers_count_from_the_file_after_a_skipped_row(tmp_path: Path, make_spectra) -> None:
    path = tmp_path / "a.csv"
    write_spectra(make_spectra(missing=False), path)
    rows = csv_rows(path)
    rows[2] = rows[2][:3]
    rows[5][rows[0].index("rp_coefficients")] = "(1)"
    save_rows(path, rows)
    assert [r.row for r in read(path, on_error="reject").meta["rejected"]] == [2, 5]


@pytest.mark.parametrize("name", ["a.csv.gz", "a.ecsv.gz", "a.fits.gz", "a.vot.gz"])
def test_truncated_gzip(tmp_path: Path, make_spectra, name: str) -> None:
    path = tmp_path / name
    write_spectra(make_spectra(40), path)
    whole = path.read_bytes()
    for size in (len(whole) - 4, len(whole) // 2, 30):
        path.write_bytes(whole[:size])
        with pytest.raises(StarkinError, match=rf"{re.escape(name)} is not a whole gzip file"):
            read(path)


def test_gzip_with_a_flipped_byte(tmp_path: Path, make_spectra) -> None:
    path = tmp_path / "a.csv.gz"
    write_spectra(make_spectra(40), path)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(StarkinError, match=r"a\.csv\.gz"):
        read(path)


@pytest.mark.parametrize("name", ["a.fits", "a.vot", "a.parquet"])
def test_truncated_binary_files(tmp_path: Path, make_spectra, name: str) -> None:
    path = tmp_path / name
    write_spectra(make_spectra(30), path)
    whole = path.read_bytes()
    for fraction in (0.3, 0.9, 0.999):
        path.write_bytes(whole[: int(len(whole) * fraction)])
        with pytest.raises(StarkinError, match=re.escape(name)):
            read(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (gzip.compress(b"", mtime=0), "is empty"),
        (b"source_id,bp_coefficients\n", "holds no rows"),
        (b"\x89HDF\r\n\x1a\n" + b"\0" * 64, "as hdf5"),
        (b"<!DOCTYPE html>\n<html>busy</html>", "a web page"),
        (b"name,age\nx,1\n", "does not name a column source_id"),
        (b"\x7fELF\0\0\0\0", "in no format that starkin knows"),
        (b"\x80\x04pickle", "a Python dump"),
        (b"source_id,teff\n1,5000\n", "has no column 'bp_coefficients'"),
        (b"bp_coeff_0,bp_coeff_1,bp_coeff_2\n1,2,3\n", "has no column 'source_id'"),
        (b"source_id,source_id,bp_coefficients\n1,1,(1)\n", "two columns called 'source_id'"),
        (b"# %ECSV 1.0\n# ---\n# datatype:\n# - {name: [\nsource_id\n1\n", "header is damaged"),
        (b"# %ECSV 1.0\n# ---\n# a: b\nsource_id\n1\n", "lists no columns"),
        (b"# %ECSV 1.0\n# ---\n# datatype:\n# - {name: a, datatype: int64}\n", "ends before"),
        (b"PK\x03\x04 not a zip", "not a whole ZIP file"),
    ],
)
def test_files_that_are_no_spectra(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "thing"
    path.write_bytes(content)
    with pytest.raises(StarkinError, match=re.escape(message)) as caught:
        read(path)
    assert "thing" in str(caught.value)


def test_server_error_in_a_votable(tmp_path: Path) -> None:
    path = tmp_path / "answer.vot"
    path.write_text(
        '<?xml version="1.0"?><VOTABLE version="1.4" xmlns="http://www.ivoa.net/xml/VOTable/v1.3">'
        '<RESOURCE type="results"><INFO name="QUERY_STATUS" value="ERROR">too many ids</INFO>'
        "</RESOURCE></VOTABLE>"
    )
    with pytest.raises(StarkinError, match="the server says 'too many ids'"):
        read(path)


def test_paths_and_objects(tmp_path: Path) -> None:
    with pytest.raises(StarkinError, match="does not exist"):
        read(tmp_path / "nothing.csv")
    with pytest.raises(StarkinError, match="does not exist"):
        identify(tmp_path / "nothing.csv")
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(StarkinError, match="holds no spectra"):
        read(tmp_path)
    with pytest.raises(StarkinError, match="No file matches"):
        read(f"{tmp_path}/*.csv")
    with pytest.raises(StarkinError, match="from a dict"):
        read({"source_id": [1]})
    with pytest.raises(StarkinError, match="There is nothing to read"):
        read([])
    with pytest.raises(StarkinError, match="on_error"):
        read(tmp_path, on_error="ignore")
    with pytest.raises(StarkinError, match="no format 'excel'"):
        read(tmp_path / "notes.txt", format="excel")
    with pytest.raises(StarkinError, match=r"notes\.txt as fits"):
        read(tmp_path / "notes.txt", format="fits")
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("readme.txt", "nothing")
    with pytest.raises(StarkinError, match=r"a\.zip holds no spectra"):
        read(tmp_path / "a.zip")


def tiny(**changes) -> dict:
    columns = {"source_id": [10, 20]}
    for band in ("bp", "rp"):
        columns[f"{band}_coefficients"] = [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]
        columns[f"{band}_coefficient_errors"] = [[0.1, 0.2, 0.3], [0.1, 0.2, 0.3]]
    return columns | changes


def test_wrong_column_types() -> None:
    with pytest.raises(StarkinError, match=r"source_id.*float64.*cannot hold"):
        read(pl.DataFrame(tiny(source_id=[1.0, 2.0])))
    with pytest.raises(StarkinError, match=r"'bp_coefficients' must hold one array.*double"):
        read(pl.DataFrame(tiny(bp_coefficients=[1.0, 2.0])))
    with pytest.raises(StarkinError, match=r"'bp_coefficients' must hold one array.*float64"):
        read(Table(tiny(bp_coefficients=[1.0, 2.0])))
    with pytest.raises(StarkinError, match="'rp_coefficients' must hold arrays of numbers"):
        read(pl.DataFrame(tiny(rp_coefficients=[["a", "b", "c"], ["d", "e", "f"]])))
    with pytest.raises(StarkinError, match="row 2: source_id 'x7' is not an integer"):
        read(pl.DataFrame(tiny(source_id=["12", "x7"])))
    with pytest.raises(StarkinError, match="mixes types"):
        read(pd.DataFrame(tiny(bp_coefficients=[[1.0, 2.0, 3.0], "text"])))


def test_missing_and_gapped_wide_columns() -> None:
    wide = {"source_id": [1]} | {
        f"{e}{b}_coeff_{i}": [1.0] for b in ("bp", "rp") for e in ("", "e_") for i in range(4)
    }
    assert read(pl.DataFrame(wide)).grid == XPGrid(4, 4)
    gapped = dict(wide)
    del gapped["bp_coeff_2"]
    with pytest.raises(StarkinError, match=r"bp_coefficients is spread .* number 2 is missing"):
        read(pl.DataFrame(gapped))
    without = {k: v for k, v in wide.items() if not k.startswith("e_rp")}
    with pytest.raises(StarkinError, match="no column 'rp_coefficient_errors'"):
        read(pl.DataFrame(without))
    with pytest.raises(StarkinError, match="'bp_coeff_1' must hold numbers"):
        read(pl.DataFrame(wide | {"bp_coeff_1": ["x"]}))


def test_text_ids_are_read_exactly() -> None:
    assert read(pl.DataFrame(tiny(source_id=["5853498713190525697", "7"]))).source_id.tolist() == [
        5853498713190525697,
        7,
    ]


def test_mixed_data_releases(tmp_path: Path, make_spectra) -> None:
    write_spectra(make_spectra(2, grid=XPGrid(55, 55)), tmp_path / "dr3.csv")
    write_spectra(make_spectra(2, grid=XPGrid(51, 55)), tmp_path / "dr4.csv")
    with pytest.raises(StarkinError, match=r"dr4\.csv has 51 BP .*dr3\.csv has 55"):
        read([tmp_path / "dr3.csv", tmp_path / "dr4.csv"])


def test_the_grid_asked_for(tmp_path: Path, make_spectra) -> None:
    stars = make_spectra(4, grid=XPGrid(51, 55))
    write_spectra(stars[1:2], tmp_path / "no_bp.csv")
    assert read(tmp_path / "no_bp.csv", grid=XPGrid(51, 55)).grid == XPGrid(51, 55)
    write_spectra(stars, tmp_path / "dr4.csv")
    with pytest.raises(StarkinError, match=r"51 BP coefficients and the grid asked for has 55"):
        read(tmp_path / "dr4.csv", grid=XPGrid(55, 55))


def test_duplicated_ids() -> None:
    frame = pl.DataFrame(tiny(source_id=[10, 10]))
    with pytest.raises(StarkinError, match=r"row 2 \(source_id 10\): the same source came before"):
        read(frame)
    stars = read(frame, on_error="reject")
    assert len(stars) == 1
    assert stars.values[0, 0] == 1.0


def test_a_star_without_any_number_keeps_its_row() -> None:
    nan = float("nan")
    bands = {f"{b}_coefficients": [[nan] * 3, [4.0, 5.0, 6.0]] for b in ("bp", "rp")}
    stars = read(pl.DataFrame(tiny(**bands)))
    assert stars.source_id.tolist() == [10, 20]
    assert stars.mask.all(axis=1).tolist() == [True, False]


def test_errors_that_are_not_positive_mask_their_value() -> None:
    stars = read(
        pl.DataFrame(tiny(bp_coefficient_errors=[[0.1, 0.0, -0.3], [0.1, float("inf"), 0.3]]))
    )
    assert stars.mask[:, :3].tolist() == [[False, True, True], [False, True, False]]
    assert not stars.mask[:, 3:].any()
    assert stars.meta["masked_errors"] == 2
    assert stars.values[0].tolist() == [1.0, 0.0, 0.0, 1.0, 2.0, 3.0]


def test_impossible_correlations_are_dropped_and_the_star_kept() -> None:
    sound = pack_correlations(np.eye(3) + 0.4 - 0.4 * np.eye(3)).tolist()
    # Eigenvalues of [[1, a, -a], [a, 1, a], [-a, a, 1]] are 1 + a (twice) and 1 - 2a.
    indefinite, singular = [0.9, -0.9, 0.9], [0.5, -0.5, 0.5]
    frame = pl.DataFrame(
        tiny(
            source_id=[1, 2, 3, 4],
            **{
                f"{b}_{w}": [[1.0, 2.0, 3.0]] * 4
                for b in ("bp", "rp")
                for w in ("coefficients", "coefficient_errors")
            },
            bp_coefficient_correlations=[sound, indefinite, [0.1, 1.5, 0.1], singular],
            rp_coefficient_correlations=[sound] * 4,
        )
    )
    stars = read(frame)
    assert stars.meta["dropped_correlations"] == 2
    assert np.isnan(stars.correlations[:, :3]).all(axis=1).tolist() == [False, True, True, False]
    np.testing.assert_array_equal(stars.correlations[:, 3:], np.float32([sound] * 4))
    assert not stars.mask.any()
    unchecked = read(frame, check_correlations=False)
    assert unchecked.meta["dropped_correlations"] == 1  # out of range: no matrix needed to see it


def test_bands_of_one_coefficient_have_no_correlations() -> None:
    one = {
        f"{b}_{w}": [[1.0]] for b in ("bp", "rp") for w in ("coefficients", "coefficient_errors")
    }
    stars = read(
        pl.DataFrame({"source_id": [1], **one, "bp_coefficient_correlations": [[0.5]]}),
        on_error="reject",
    )
    assert stars.meta["rejected"][0].reason.endswith("has 1 numbers where 0 are expected")


def test_missing_g_flux_is_no_error() -> None:
    stars = read(pl.DataFrame(tiny(phot_g_mean_flux=[None, 12.0])))
    assert np.isnan(stars.label("phot_g_mean_flux")[0])
    assert str(stars.labels["phot_g_mean_flux"].unit) == "electron / s"


@pytest.mark.parametrize("spelling", ["", "null", "nan", "()", "[]", "NaN"])
def test_spellings_of_a_missing_band(damaged, spelling: str) -> None:
    damaged(3, "bp_coefficients", spelling)
    damaged(3, "bp_coefficient_correlations", spelling)
    path = damaged(3, "bp_coefficient_errors", spelling)
    assert read(path).band_missing("bp").tolist() == [False, False, True, *[False] * 4]
