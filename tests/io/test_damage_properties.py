"""Random tables, random damage: the exact numbers or a StarkinError, nothing else."""

from __future__ import annotations

import csv
import io
import tempfile
from pathlib import Path

import numpy as np
import pytest
from astropy.table import Table
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from starkin.io import read, write_spectra
from starkin.spectra import SpectrumSet, StarkinError, XPGrid

FORMS = {
    "csv": "a.csv",
    "csv.gz": "a.csv.gz",
    "ecsv": "a.ecsv",
    "bulk": "XpContinuousMeanSpectrum_0-1.csv.gz",
    "fits": "a.fits",
    "votable": "a.vot",
    "parquet": "a.parquet",
}
COMMON = settings(
    max_examples=20,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)

# What text formats can carry in a cell; FITS keeps ASCII without trailing blanks.
TEXT = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=8).filter(
    lambda t: t.lower() not in {"null", "none", "nan", "--", "masked", "true", "false"}
)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


@st.composite
def spectra(draw, text: bool = True) -> SpectrumSet:
    n = draw(st.integers(1, 5))
    grid = XPGrid(draw(st.integers(2, 4)), draw(st.integers(2, 4)))
    ids = draw(st.lists(st.integers(1, 2**63 - 1), min_size=n, max_size=n, unique=True))
    cells = n * grid.n_pixels
    values = draw(
        st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=cells, max_size=cells)
    )
    errors = draw(
        st.lists(
            st.floats(2.0**-100, 2.0**100, width=32, allow_subnormal=False),
            min_size=cells,
            max_size=cells,
        )
    )
    mask = np.zeros((n, grid.n_pixels), dtype=bool)
    packed = None
    if draw(st.booleans()):
        # Diagonally dominant for up to 4 coefficients, so positive definite.
        count = n * grid.n_correlations
        numbers = st.floats(-0.25, 0.25, width=32)
        packed = np.array(
            draw(st.lists(numbers, min_size=count, max_size=count)), dtype=np.float32
        ).reshape(n, -1)
    for band in ("bp", "rp"):
        for star in range(n):
            # The first star keeps both bands: without any, the sizes could not be known.
            if star and draw(st.integers(0, 4)) == 0:
                mask[star, grid.band(band)] = True
                if packed is not None:
                    packed[star, grid.correlation_slice(band)] = np.nan
    labels = Table({"phot_g_mean_mag": draw(st.lists(st.floats(0, 30), min_size=n, max_size=n))})
    if text:
        words = draw(st.lists(TEXT, min_size=n, max_size=n))
        # A column of nothing but numbers is one of numbers in a format without types.
        labels["words"] = ["x" + w for w in words]
    return SpectrumSet(
        source_id=np.array(ids, dtype=np.int64),
        values=np.array(values).reshape(n, -1),
        errors=np.array(errors, dtype=np.float32).reshape(n, -1),
        grid=grid,
        mask=mask,
        correlations=packed,
        labels=labels,
    )


def written(stars: SpectrumSet, name: str) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        write_spectra(stars, Path(folder) / name)
        return (Path(folder) / name).read_bytes()


def read_bytes(content: bytes, name: str, **how) -> SpectrumSet:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(content)
        return read(path, **how)


def assert_rows_exact(found: SpectrumSet, truth: SpectrumSet, *, but: set[int] = frozenset()):
    """Every star found has the numbers of the star of that id, save the ids in ``but``."""
    where = {int(i): k for k, i in enumerate(truth.source_id)}
    for k, source_id in enumerate(found.source_id.tolist()):
        if source_id in but:
            continue
        j = where[source_id]
        for name in ("values", "errors", "mask"):
            np.testing.assert_array_equal(getattr(found, name)[k], getattr(truth, name)[j])
        if truth.correlations is not None and found.correlations is not None:
            np.testing.assert_array_equal(found.correlations[k], truth.correlations[j])


@pytest.mark.parametrize("form", FORMS)
@COMMON
@given(stars=spectra())
def test_what_is_written_is_read_exactly(form: str, stars: SpectrumSet) -> None:
    back = read_bytes(written(stars, FORMS[form]), FORMS[form])
    np.testing.assert_array_equal(back.source_id, stars.source_id)
    assert_rows_exact(back, stars)
    assert list(back.labels["words"]) == list(stars.labels["words"])
    np.testing.assert_array_equal(back.label("phot_g_mean_mag"), stars.label("phot_g_mean_mag"))


@pytest.mark.parametrize("form", FORMS)
@COMMON
@given(stars=spectra(), where=st.floats(0, 1, exclude_max=True))
def test_a_file_cut_anywhere(form: str, stars: SpectrumSet, where: float) -> None:
    """Cut between two rows a text file is simply shorter; all that is read must be right."""
    content = written(stars, FORMS[form])
    cut = content[: int(where * len(content))]
    try:
        back = read_bytes(cut, FORMS[form])
    except StarkinError:
        return
    assert form in ("csv", "ecsv", "votable", "fits") or len(back) == len(stars)
    assert_rows_exact(back, stars)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # Arrow's handler
@pytest.mark.filterwarnings("ignore:non-ASCII characters")
@pytest.mark.parametrize("form", FORMS)
@COMMON
@given(
    stars=spectra(),
    damage=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(1, 255)), min_size=1),
)
def test_flipped_bytes(form: str, stars: SpectrumSet, damage: list[tuple[float, int]]) -> None:
    """No format but gzip has a checksum of everything; none may fail in another way."""
    content = bytearray(written(stars, FORMS[form]))
    for where, pattern in damage:
        content[int(where * len(content))] ^= pattern
    try:
        back = read_bytes(bytes(content), FORMS[form])
    except StarkinError:
        return
    assert isinstance(back, SpectrumSet)
    if form in ("csv.gz", "bulk"):
        assert_rows_exact(back, stars)


def _cut_short(cell: str, k: int) -> str:
    return cell[: 1 + k % max(len(cell) - 1, 1)] if len(cell) > 1 else "("


def _one_less(cell: str, k: int) -> str:
    return cell[0] + cell[1:-1].rpartition(",")[0] + cell[-1]


def _one_more(cell: str, k: int) -> str:
    return cell[:-1] + ",1.5" + cell[-1]


def _junk(cell: str, k: int) -> str:
    words = ["x", "1.0.0", "0x1F", "1e", "∞", "1 2", "1  2", "#", "True", "1_000"]
    numbers = cell[1:-1].split(",")
    numbers[k % len(numbers)] = words[k % len(words)]
    return cell[0] + ",".join(numbers) + cell[-1]


def _nothing(cell: str, k: int) -> str:
    return ["", "null", "nan", "()", "[]"][k % 5]


@pytest.mark.parametrize("form", ["csv", "ecsv"])
@settings(COMMON, max_examples=50)
@given(
    stars=spectra(text=False),
    damage=st.sampled_from([_cut_short, _one_less, _one_more, _junk, _nothing]),
    row=st.integers(0, 4),
    column=st.integers(0, 5),
    k=st.integers(0, 1000),
)
def test_one_damaged_array(form: str, stars: SpectrumSet, damage, row, column, k) -> None:
    """The other stars come back whole; the damaged one is refused or loses what was damaged."""
    lines = written(stars, FORMS[form]).decode().splitlines(keepends=True)
    head = [line for line in lines if line.startswith("#")]
    rows = list(csv.reader(lines[len(head) :]))
    names = [n for n in rows[0] if "coefficient" in n]
    name = names[column % len(names)]
    row = row % len(stars)
    cell = rows[row + 1][rows[0].index(name)]
    if cell in ("", "null") and damage is not _junk:
        return
    new = damage(cell, k) if cell else "x"
    rows[row + 1][rows[0].index(name)] = new
    body = io.StringIO()
    csv.writer(body, lineterminator="\n").writerows(rows)
    content = ("".join(head) + body.getvalue()).encode()
    damaged = int(stars.source_id[row])
    back = read_bytes(content, FORMS[form], on_error="reject")
    refused = {r.source_id for r in back.meta["rejected"]}
    if back.grid != stars.grid:
        # Few stars: the odd length may be the common one, and then the sound ones are refused.
        assert refused
        return
    assert refused <= set(stars.source_id.tolist())
    assert set(back.source_id.tolist()) | refused == set(stars.source_id.tolist())
    assert refused <= {damaged} or len(stars) <= 2 * len(refused)
    assert_rows_exact(back, stars, but={damaged})
    if damaged not in refused and damaged in back.source_id:
        assert damage is _nothing or new in ("()", "[]")  # one less than one is none
        k_back = back.source_id.tolist().index(damaged)
        kept = ~back.mask[k_back]
        np.testing.assert_array_equal(back.values[k_back][kept], stars.values[row][kept])
