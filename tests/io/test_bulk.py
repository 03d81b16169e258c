"""The bulk dialect: exact numbers, every damage named, everything else survives."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from starkin.io import bulk_text, read
from starkin.io.bulk import BulkFile
from starkin.spectra import SpectrumSet, StarkinError, XPGrid

NAMES = (
    "source_id,solution_id,bp_standard_deviation,bp_coefficients,bp_coefficient_errors,"
    "bp_coefficient_correlations,bp_n_relevant_bases,rp_coefficients,rp_coefficient_errors,"
    "rp_coefficient_correlations,rp_relative_shrinking"
)
GRID = XPGrid(3, 3)


def row(source_id: object, **changed: str) -> str:
    """One line of a file with three coefficients a band."""
    cells = {
        "source_id": str(source_id),
        "solution_id": "4545469030156206080",
        "bp_standard_deviation": "1.25",
        "bp_coefficients": '"[1.5, -2.25, 3.0]"',
        "bp_coefficient_errors": '"[0.5, 0.25, 0.125]"',
        "bp_coefficient_correlations": '"[0.1, 0.2, -0.3]"',
        "bp_n_relevant_bases": "3",
        "rp_coefficients": '"(4.0, 5.0, 6.0)"',
        "rp_coefficient_errors": '"(0.5, 0.5, 0.5)"',
        "rp_coefficient_correlations": '"(0.0, 0.5, 1.0E-4)"',
        "rp_relative_shrinking": "0.75",
    }
    return ",".join({**cells, **changed}.values())


def write(path: Path, *lines: str, end: str = "\n") -> Path:
    path.write_bytes((end.join([NAMES, *lines]) + end).encode())
    return path


def decode(path: Path, size: int = 100, **options) -> tuple[SpectrumSet, list]:  # type: ignore[no-untyped-def]
    batches = list(BulkFile(path).batches(size, **options))
    rejected = [r for batch in batches for r in batch.rejected]
    return SpectrumSet.concatenate([batch.spectra for batch in batches]), rejected


# --- numbers ----------------------------------------------------------------
digits = st.text("0123456789", min_size=1, max_size=24)
numbers = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.floats(width=32, allow_nan=False, allow_infinity=False).map(
        lambda x: repr(np.float32(x).item())
    ),
    st.floats(-1, 1).map(lambda x: str(np.float32(x))),
    st.builds("{}{}.{}".format, st.sampled_from(["", "-"]), digits, digits),
    st.builds(
        "{}.{}{}{}".format,
        digits,
        digits,
        st.sampled_from(["e", "E", "e+", "E-", "e-"]),
        st.integers(0, 330).map(str),
    ),
    # Halfway between two doubles, and one unit of the last digit beside it.
    st.builds(
        lambda m, off: str((2**53 + 2 * m + 1) * 1 + off) + ".0",
        st.integers(0, 2**40),
        st.sampled_from([-1, 0, 1]),
    ),
    st.builds(lambda a, b: f"0.{a:018d}{b}", st.integers(0, 10**18 - 1), st.integers(0, 9)),
)


def bits(x: float) -> bytes:
    return struct.pack("<d", x)


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(numbers, min_size=60, max_size=60))
def test_numbers_equal_float_to_the_last_bit(tmp_path: Path, texts: list[str]) -> None:
    lines = [row(i, bp_coefficients=f'"[{", ".join(texts[i : i + 3])}]"') for i in range(0, 60, 3)]
    batch = next(BulkFile(write(tmp_path / "a.csv", *lines)).batches(20))
    assert batch.rejected == []
    got = batch.spectra.values[:, :3].ravel()
    expected = [float(text) for text in texts]
    for text, x, y in zip(texts, got, expected, strict=True):
        # What is not finite is masked and becomes 0.
        assert bits(x) == bits(y if np.isfinite(y) else 0.0), text


@pytest.mark.parametrize(
    "text",
    [
        "9007199254740993.0",  # 2^53 + 1: a tie, to even
        "9007199254740995.0",
        "0.500000000000000166533453693773481063544750213623046875",  # a tie of 54 digits
        "123456789012345678901234567890.5",
        "0.30000000000000004",
        "2.2250738585072011e-308",  # the number that once hung PHP and Java
        "5e-324",
        "1e22",
        "1e23",  # 10^23 is no double
        "-0.0",
        "00000000000000000000001.5",
        "8.5E-5",
        ".5",
        "5.",
        "+1.5",
        " 1.5 ",
    ],
)
def test_hard_numbers(tmp_path: Path, text: str) -> None:
    path = write(tmp_path / "a.csv", row(1, bp_coefficients=f'"[1.0, {text},2.0]"'))
    spectra, rejected = decode(path)
    assert not rejected
    assert bits(spectra.values[0, 1]) == bits(float(text))


def test_hand_worked_row(tmp_path: Path) -> None:
    spectra, rejected = decode(write(tmp_path / "a.csv", row(7)))
    assert not rejected
    assert spectra.grid == GRID
    assert spectra.source_id.tolist() == [7]
    assert spectra.values.tolist() == [[1.5, -2.25, 3.0, 4.0, 5.0, 6.0]]
    assert spectra.errors.tolist() == [[0.5, 0.25, 0.125, 0.5, 0.5, 0.5]]
    expected = np.array([[0.1, 0.2, -0.3, 0.0, 0.5, 1e-4]]).astype(np.float32)
    np.testing.assert_array_equal(spectra.correlations, expected)
    assert spectra.labels.colnames == [
        "solution_id", "bp_standard_deviation", "bp_n_relevant_bases", "rp_relative_shrinking",
    ]  # fmt: skip
    assert spectra.labels["bp_n_relevant_bases"].dtype == np.int16
    assert spectra.labels["bp_standard_deviation"][0] == np.float32(1.25)
    assert spectra.labels["bp_n_relevant_bases"].description


# --- what is missing ----------------------------------------------------------
@pytest.mark.parametrize("nothing", ["", "null", '""', '"null"', '"[]"', '"()"', '"[ ]"', "NULL"])
def test_missing_band(tmp_path: Path, nothing: str) -> None:
    gone = {f"bp_coefficient{s}": nothing for s in ("s", "_errors", "_correlations")}
    gone |= {"bp_n_relevant_bases": "null", "bp_standard_deviation": ""}
    spectra, rejected = decode(write(tmp_path / "a.csv", row(1), row(2, **gone)))
    assert not rejected
    assert spectra.band_missing("bp").tolist() == [False, True]
    assert not spectra.band_missing("rp").any()
    assert np.isnan(spectra.correlations[1, :3]).all()
    assert np.isfinite(spectra.correlations[1, 3:]).all()
    assert spectra.labels["bp_n_relevant_bases"].mask.tolist() == [False, True]
    assert np.isnan(spectra.label("bp_standard_deviation")).tolist() == [False, True]


@pytest.mark.parametrize("text", ["null", "NaN", "nan", "inf", "-Infinity"])
def test_one_missing_number_is_masked(tmp_path: Path, text: str) -> None:
    path = write(tmp_path / "a.csv", row(1, bp_coefficients=f'"[1.0, {text}, 2.0]"'))
    spectra, rejected = decode(path)
    assert not rejected
    assert spectra.mask.tolist() == [[False, True, False, False, False, False]]


def test_impossible_correlations_are_dropped_and_the_star_stays(tmp_path: Path) -> None:
    lines = [
        row(1, bp_coefficient_correlations='"[0.1, 1.5, 0.2]"'),
        # r01 = r02 = 0.9 and r12 = -0.9: determinant 1 - 3 * 0.81 - 2 * 0.729 < 0
        row(2, bp_coefficient_correlations='"[0.9, 0.9, -0.9]"'),
    ]
    path = write(tmp_path / "a.csv", *lines)
    spectra, rejected = decode(path)
    assert not rejected
    assert np.isnan(spectra.correlations[:, :3]).all(axis=1).tolist() == [True, False]
    spectra, _ = decode(path, check_correlations=True)
    assert np.isnan(spectra.correlations[:, :3]).all(axis=1).tolist() == [True, True]
    assert np.isfinite(spectra.correlations[:, 3:]).all()


# --- damage -------------------------------------------------------------------
DAMAGE = {
    "short": (row(2, bp_coefficients='"[1.0, 2.0]"'), "bp_coefficients has 2 numbers where 3"),
    "long": (row(2, rp_coefficients='"[1, 2, 3, 4]"'), "rp_coefficients has 4 numbers where 3"),
    "word": (row(2, bp_coefficients='"[1.0, x2, 3.0]"'), "number 2 of bp_coefficients is 'x2'"),
    "gap": (row(2, bp_coefficients='"[1.0, , 3.0]"'), "number 2 of bp_coefficients is ''"),
    "two": (row(2, bp_coefficients='"[1.0 2.0, 3.0, 4.0]"'), "is '1.0 2.0', which is no number"),
    "python": (row(2, bp_coefficients='"[1_0, 2.0, 3.0]"'), "is '1_0', which is no number"),
    "hex": (row(2, bp_coefficients='"[0x1, 2.0, 3.0]"'), "is '0x1', which is no number"),
    "points": (row(2, bp_coefficients='"[1.2.3, 2.0, 3.0]"'), "is '1.2.3', which is no number"),
    "exponent": (row(2, bp_coefficients='"[1e, 2.0, 3.0]"'), "is '1e', which is no number"),
    "scalar": (row(2, bp_standard_deviation="1.x"), "bp_standard_deviation is '1.x'"),
    "id": (row("star"), "source_id is 'star', which is no integer"),
    "no id": (row(""), "source_id is no integer"),
    "integer": (row(2, bp_n_relevant_bases="3.5"), "bp_n_relevant_bases is no integer"),
    "range": (row(2, bp_n_relevant_bases="70000"), "bp_n_relevant_bases is 70000, out of range"),
    "quote": (row(2, bp_coefficients='"[1.0, 2.0, 3.0]'), "bp_coefficients is no complete array"),
    "bracket": (row(2, bp_coefficients='"[1.0, 2.0, 3.0)"'), "bp_coefficients is no complete"),
    "no bracket": (row(2, bp_coefficients='"1.0, 2.0"'), "bp_coefficients is no complete array"),
    "cut": (row(2)[:90], "is no complete array: the line is cut off"),
    "few": (row(2).rsplit(",", 1)[0], "10 columns where 11 are expected"),
    "many": (row(2) + ",5", "12 columns where 11 are expected"),
    "no errors": (row(2, bp_coefficient_errors="null"), "bp_coefficient_errors is empty though"),
    "no values": (row(2, rp_coefficients="null"), "rp_coefficients is empty though"),
    "binary": ("\0\1\2,,,", "source_id is"),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_row_is_named_and_the_others_survive(tmp_path: Path, kind: str) -> None:
    line, reason = DAMAGE[kind]
    path = write(tmp_path / "a.csv", row(1), row(8), line, row(3))
    spectra, (rejection,) = decode(path)
    assert spectra.source_id.tolist() == [1, 8, 3]
    assert spectra.values[2].tolist() == [1.5, -2.25, 3.0, 4.0, 5.0, 6.0]
    assert rejection.file == str(path)
    assert rejection.row == 3
    assert reason in rejection.reason
    assert "(line 4)" in rejection.reason
    known = None if kind in ("id", "no id", "binary") else 2
    assert rejection.source_id == known


@settings(
    max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.data())
def test_random_damage_never_touches_other_rows(tmp_path: Path, data: st.DataObject) -> None:
    """Bytes of one line change at random: the line is rejected or read; the others stand."""
    line = bytearray(row(2).encode())
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(line) - 1))
        line[at] = data.draw(st.sampled_from(list(b'0123456789,."[]() -eEnx\r\0\xff')))
    path = tmp_path / "a.csv"
    path.write_bytes(b"\n".join([NAMES.encode(), row(1).encode(), bytes(line), row(3).encode()]))
    batch = next(BulkFile(path).batches(10))
    ids = batch.spectra.source_id.tolist()
    assert (ids[0], ids[-1]) == (1, 3)
    assert len(ids) + len(batch.rejected) == 3
    for i in (0, -1):
        assert batch.spectra.values[i].tolist() == [1.5, -2.25, 3.0, 4.0, 5.0, 6.0]


# --- files ----------------------------------------------------------------------
def test_truncated_gzip_keeps_the_whole_rows(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    lines = [
        row(i, bp_coefficients=f'"[{", ".join(map(repr, rng.normal(size=3).tolist()))}]"')
        for i in range(1, 4001)
    ]
    whole = gzip.compress(("\n".join([NAMES, *lines]) + "\n").encode())
    path = tmp_path / "a.csv.gz"
    path.write_bytes(whole[: len(whole) // 2])
    batches = list(BulkFile(path).batches(1000))
    ids = np.concatenate([b.spectra.source_id for b in batches])
    assert 1000 < ids.size < 3000
    np.testing.assert_array_equal(ids, np.arange(1, ids.size + 1))
    assert "ends early" in batches[-1].damage
    (rejection,) = batches[-1].rejected
    assert rejection.row == ids.size + 1
    assert rejection.source_id is None
    assert "cut off" in rejection.reason


def test_damaged_gzip_keeps_what_stands_before(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    lines = [
        row(i, bp_coefficients=f'"[{", ".join(map(repr, rng.normal(size=3).tolist()))}]"')
        for i in range(1, 60001)
    ]
    content = bytearray(gzip.compress(("\n".join([NAMES, *lines]) + "\n").encode()))
    content[-5000:-4900] = bytes(100)
    path = tmp_path / "a.csv.gz"
    path.write_bytes(content)
    batches = list(BulkFile(path).batches(5000))
    assert sum(len(b.spectra) for b in batches) > 10000
    assert "damaged" in batches[-1].damage


def test_several_gzip_members_and_padding(tmp_path: Path) -> None:
    path = tmp_path / "a.csv.gz"
    text = "\n".join([NAMES, row(1), row(2)]).encode()
    path.write_bytes(gzip.compress(text[:200]) + gzip.compress(text[200:]) + bytes(64))
    spectra, rejected = decode(path)
    assert not rejected
    assert spectra.source_id.tolist() == [1, 2]


@pytest.mark.parametrize(
    "content", [b"", gzip.compress(b"", mtime=0), gzip.compress(b"", mtime=0)[:8]]
)
def test_empty_file(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.csv.gz"
    path.write_bytes(content)
    with pytest.raises(StarkinError, match=r"a\.csv\.gz (is empty|holds nothing|is not a bulk)"):
        BulkFile(path)
    assert BulkFile.recognise(path) is None


def test_file_without_rows(tmp_path: Path) -> None:
    assert list(BulkFile(write(tmp_path / "a.csv")).batches(10)) == []


def test_not_a_bulk_file(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("source_id,ra,dec\n1,2,3\n")
    with pytest.raises(StarkinError, match="no column 'bp_coefficients'"):
        BulkFile(path)


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(StarkinError, match=r"Cannot read .*gone\.csv\.gz"):
        BulkFile(tmp_path / "gone.csv.gz")


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_line_ends_blank_lines_and_no_last_newline(tmp_path: Path, end: str) -> None:
    path = write(tmp_path / "a.csv", row(1), "", row(2), end=end)
    path.write_bytes(path.read_bytes()[: -len(end)])
    spectra, rejected = decode(path)
    assert not rejected
    assert spectra.source_id.tolist() == [1, 2]


@pytest.mark.parametrize("block", [700, 1000, 3000, 10**6])
@pytest.mark.parametrize("size", [1, 7, 100])
def test_blocks_and_batches_do_not_matter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: int, size: int
) -> None:
    rng = np.random.default_rng(block)
    values = rng.normal(size=(23, 3))
    lines = [
        row(i, bp_coefficients=f'"[{", ".join(map(repr, v.tolist()))}]"')
        for i, v in enumerate(values)
    ]
    lines[5] = lines[5][:100]
    path = write(tmp_path / "a.csv", *lines)
    monkeypatch.setattr(bulk_text, "_BLOCK", block)
    monkeypatch.setattr(bulk_text, "_PIECE", max(block // 3, 50))
    spectra, rejected = decode(path, size)
    good = [i for i in range(23) if i != 5]
    assert spectra.source_id.tolist() == good
    np.testing.assert_array_equal(spectra.values[:, :3], values[good])
    assert [r.row for r in rejected] == [6]


@pytest.mark.parametrize("start", [0, 1, 5, 6, 22, 23, 40])
def test_start_leaves_rows_out(tmp_path: Path, start: int) -> None:
    lines = [row(i) for i in range(23)]
    lines[5] = lines[5][:100]
    path = write(tmp_path / "a.csv", *lines)
    batches = list(BulkFile(path).batches(4, start=start))
    ids = [i for b in batches for i in b.spectra.source_id.tolist()]
    assert ids == [i for i in range(start, 23) if i != 5]
    rows = [i for b in batches for i in b.rows.tolist()]
    assert rows == [i + 1 for i in ids]
    assert [r.row for b in batches for r in b.rejected] == ([6] if start <= 5 else [])


def test_dtype_and_no_correlations(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", row(1, bp_coefficients='"[0.1, 0.2, 0.3]"'))
    spectra, _ = decode(path, dtype="float32", correlations=False)
    assert spectra.correlations is None
    assert spectra.values.dtype == np.float32
    assert spectra.values[0, 0] == np.float32(0.1)


def test_sizes_come_from_most_rows(tmp_path: Path) -> None:
    """A damaged first row does not decide for the file; DR4's 51 + 55 works."""
    rng = np.random.default_rng(0)

    def array(n: int) -> str:
        return '"[' + ", ".join(map(repr, rng.uniform(0.1, 0.9, n).tolist())) + ']"'

    def line(i: int, n: int) -> str:
        return row(
            i,
            bp_coefficients=array(n), bp_coefficient_errors=array(n),
            bp_coefficient_correlations=array(n * (n - 1) // 2),
            rp_coefficients=array(55), rp_coefficient_errors=array(55),
            rp_coefficient_correlations=array(1485),
        )  # fmt: skip

    path = write(tmp_path / "a.csv", line(1, 50), line(2, 51), line(3, 51))
    assert BulkFile(path).grid == XPGrid(51, 55)
    spectra, rejected = decode(path)
    assert spectra.source_id.tolist() == [2, 3]
    assert "bp_coefficients has 50 numbers where 51 are expected" in rejected[0].reason


@pytest.mark.parametrize("suffix", ["csv", "ecsv"])
def test_real_rows_as_the_general_reader_gives_them(shared: Path, suffix: str) -> None:
    path = shared / "gaia_xp" / f"XP_CONTINUOUS_RAW_with_missing_BP.{suffix}"
    expected = read(path)
    spectra, rejected = decode(path)
    assert not rejected
    assert spectra.fingerprint == expected.fingerprint
    np.testing.assert_array_equal(spectra.correlations, expected.correlations)
    assert spectra.labels.colnames == expected.labels.colnames
    for name in expected.labels.colnames:
        np.testing.assert_array_equal(spectra.label(name), expected.label(name))
        assert spectra.labels[name].dtype == expected.labels[name].dtype
        assert spectra.labels[name].description == expected.labels[name].description
