"""The same real stars in every encoding the archive hands out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from starkin.io import identify, read
from starkin.spectra import XPGrid

STEM = "XP_CONTINUOUS_RAW_with_missing_BP"
ENCODINGS = {
    f"{STEM}.csv": "csv",
    f"{STEM}.ecsv": "ecsv",
    f"{STEM}.fits": "fits",
    f"{STEM}.xml": "votable",
    f"{STEM}_plain.xml": "votable",
}


@pytest.mark.parametrize(("name", "format_"), ENCODINGS.items())
def test_format_is_found_from_content(
    shared: Path, tmp_path: Path, name: str, format_: str
) -> None:
    anonymous = tmp_path / "no_suffix"
    anonymous.write_bytes((shared / "gaia_xp" / name).read_bytes())
    assert identify(anonymous) == format_


def test_five_encodings_give_identical_stars(shared: Path, assert_identical) -> None:
    sets = [read(shared / "gaia_xp" / name) for name in ENCODINGS]
    for other in sets[1:]:
        assert_identical(sets[0], other)


def test_golden_values(shared: Path) -> None:
    """Read by eye from the CSV file."""
    stars = read(shared / "gaia_xp" / f"{STEM}.csv")
    assert stars.source_id[:2].tolist() == [5853498713190525696, 5405570973190252288]
    assert stars.grid == XPGrid(55, 55)
    assert stars.values.dtype == np.float64
    assert stars.values[0, 0] == 56947.03696840172
    assert stars.errors[0, 0] == np.float32(55.701263)
    assert stars.correlations[0, 1] == np.float32(0.15456073)
    assert stars.values[1, 55] == 38.18018501664883
    assert stars.band_missing("bp").tolist() == [False, True, False]
    assert not stars.band_missing("rp").any()
    assert np.isnan(stars.correlations[1, :1485]).all()
    assert np.isfinite(stars.correlations[1, 1485:]).all()
    assert stars.label("bp_n_relevant_bases")[0] == 53
    assert np.isnan(stars.label("bp_n_relevant_bases")[1])


def test_wide_table(shared: Path) -> None:
    stars = read(shared / "gaia_xp" / "xp_continuous_1400_wide.fits")
    assert len(stars) == 1400
    assert stars.grid == XPGrid(55, 55)
    assert stars.correlations is None
    assert stars.labels.colnames == ["bp_n_relevant_bases", "rp_n_relevant_bases"]
    assert stars.source_id[0] == 4295806720
    assert stars.errors[0, 109] == np.float32(0.037946437)


def test_folder_refuses_the_same_star_twice(shared: Path) -> None:
    stars = read(
        [shared / "gaia_xp" / f"{STEM}.csv", shared / "gaia_xp" / f"{STEM}.fits"], on_error="reject"
    )
    assert len(stars) == 3
    assert [r.row for r in stars.meta["rejected"]] == [1, 2, 3]
    assert all(r.file.endswith(".fits") for r in stars.meta["rejected"])
