"""Ingest: a kill, a full disk and bad files change nothing in what ends up in the store."""

from __future__ import annotations

import csv
import gzip
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from astropy.table import Table

from starkin.io import ingest as ingest_module
from starkin.io import read, write_spectra
from starkin.io.ingest import ingest
from starkin.io.seen_ids import SeenIds
from starkin.io.store import Store
from starkin.spectra import SpectrumSet, StarkinError, XPGrid

GRID = XPGrid(4, 3)


def spectra(ids: np.ndarray, seed: int = 0) -> SpectrumSet:
    rng = np.random.default_rng(seed)
    n = len(ids)
    values = rng.normal(size=(n, 7)) * 100
    packed = np.full((n, 9), 0.1, dtype=np.float32)
    labels = Table({"bp_n_relevant_bases": rng.integers(1, 5, n).astype(np.int16)})
    return SpectrumSet(ids, values, np.ones((n, 7)), GRID, correlations=packed, labels=labels)


def bulk(path: Path, ids: np.ndarray, seed: int = 0) -> SpectrumSet:
    whole = spectra(ids, seed)
    write_spectra(whole, path, format="bulk")
    return whole


def listed(store: Path) -> list[dict[str, str]]:
    with (store / "rejected.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def content(store: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in sorted(store.iterdir())}


def test_files_go_into_a_store(tmp_path: Path) -> None:
    a = bulk(tmp_path / "XpContinuousMeanSpectrum_000000-000010.csv.gz", np.arange(1, 51), 1)
    b = bulk(tmp_path / "XpContinuousMeanSpectrum_000011-000020.csv.gz", np.arange(51, 91), 2)
    seen: list[tuple[int, int]] = []
    report = ingest(
        sorted(tmp_path.glob("*.csv.gz")),
        tmp_path / "store",
        progress=lambda done, total, note="": seen.append((done, total)),
    )
    assert (report.stars, report.rejected, report.files) == (90, 0, 2)
    assert seen[-1][0] == seen[-1][1]
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    got = Store.open(tmp_path / "store").read(correlations=True)
    np.testing.assert_array_equal(got.source_id, np.arange(1, 91))
    expected = np.concatenate([a.values, b.values]).astype(np.float32)
    np.testing.assert_array_equal(got.values, expected)
    np.testing.assert_array_equal(got.correlations, np.full((90, 9), 0.1, dtype=np.float32))
    assert got.labels["bp_n_relevant_bases"].dtype == np.int16
    assert str(report).startswith("90 stars from 2 files")


@pytest.mark.parametrize("suffix", ["csv", "ecsv", "fits", "xml", "parquet", "csv.gz"])
def test_every_format_gives_the_same_store(tmp_path: Path, suffix: str) -> None:
    whole = spectra(np.arange(1, 31))
    write_spectra(whole, tmp_path / f"a.{suffix}")
    bulk(tmp_path / "bulk.csv.gz", np.arange(1, 31))
    ingest(tmp_path / f"a.{suffix}", tmp_path / "one", dtype="float64")
    ingest(tmp_path / "bulk.csv.gz", tmp_path / "two", dtype="float64")
    one, two = (Store.open(tmp_path / name) for name in ("one", "two"))
    assert one.fingerprint == two.fingerprint
    np.testing.assert_array_equal(one.read().values, whole.values)


def test_real_files(shared: Path, tmp_path: Path) -> None:
    folder = shared / "gaia_xp"
    encodings = sorted(folder.glob("XP_CONTINUOUS_RAW_with_missing_BP*"))
    report = ingest(encodings, tmp_path / "store", dtype="float64")
    assert (report.stars, report.duplicates, report.files) == (3, 12, 5)
    got = Store.open(report.store).read(correlations=True)
    expected = read(encodings[0])
    assert got.fingerprint == expected.replace(errors=expected.errors.astype(float)).fingerprint
    np.testing.assert_array_equal(got.correlations, expected.correlations)
    report = ingest(folder / "xp_continuous_1400_wide.fits", tmp_path / "wide")
    assert report.stars == 1400


def test_duplicates_are_found_across_files_and_the_first_is_kept(tmp_path: Path) -> None:
    a = bulk(tmp_path / "a.csv.gz", np.array([1, 2, 3, 2]), 1)
    bulk(tmp_path / "b.csv.gz", np.array([4, 3, 5]), 2)
    report = ingest([tmp_path / "a.csv.gz", tmp_path / "b.csv.gz"], tmp_path / "store")
    got = Store.open(tmp_path / "store").read()
    assert got.source_id.tolist() == [1, 2, 3, 4, 5]
    np.testing.assert_array_equal(got.values[1], a.values[1].astype(np.float32))
    assert (report.rejected, report.duplicates) == (2, 2)
    rows = [(Path(r["file"]).name, r["row"], r["source_id"]) for r in listed(tmp_path / "store")]
    assert rows == [("a.csv.gz", "4", "2"), ("b.csv.gz", "2", "3")]
    assert "same source came before" in listed(tmp_path / "store")[0]["reason"]


def test_labels_are_joined(tmp_path: Path) -> None:
    bulk(tmp_path / "a.csv.gz", np.array([5, 3, 9, 7]))
    table = Table(
        {
            "SOURCE_ID": [9, 5, 7, 1],
            "phot_g_mean_flux": [900.0, 500.0, 700.0, 1.0],
            "n": [9, 5, 7, 1],
        }
    )
    table.write(tmp_path / "labels.fits")
    for i, labels in enumerate((table, tmp_path / "labels.fits")):
        report = ingest(tmp_path / "a.csv.gz", tmp_path / str(i), labels=labels)
        assert report.unlabelled == 1
        got = Store.open(tmp_path / str(i)).read()
        np.testing.assert_array_equal(got.label("phot_g_mean_flux"), [500, np.nan, 900, 700])
        assert got.labels["phot_g_mean_flux"].unit == "electron / s"
        assert got.labels["n"].mask.tolist() == [False, True, False, False]
        assert got.labels.colnames[0] == "bp_n_relevant_bases" or "n" in got.labels.colnames
    with pytest.raises(StarkinError, match="no column 'source_id'"):
        ingest(tmp_path / "a.csv.gz", tmp_path / "x", labels=Table({"id": [1]}))
    with pytest.raises(StarkinError, match="source_id 4 twice"):
        ingest(tmp_path / "a.csv.gz", tmp_path / "x", labels=Table({"source_id": [4, 4]}))


def test_bad_rows_and_bad_files_are_listed_and_the_rest_is_kept(tmp_path: Path) -> None:
    bulk(tmp_path / "a.csv.gz", np.arange(1, 11))
    lines = gzip.decompress((tmp_path / "a.csv.gz").read_bytes()).split(b"\n")
    first = next(i for i, line in enumerate(lines) if line.startswith(b"1,"))
    lines[first + 4] = lines[first + 4][:60]
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(b"\n".join(lines)))
    good = bulk(tmp_path / "b.csv.gz", np.arange(11, 21))
    (tmp_path / "c.csv.gz").write_bytes(b"")
    (tmp_path / "d.csv.gz").write_bytes(b"not a table at all\n")
    whole = (tmp_path / "b.csv.gz").read_bytes()
    (tmp_path / "e.csv.gz").write_bytes(whole[: len(whole) * 2 // 3])
    report = ingest(sorted(tmp_path.glob("*.csv.gz")), tmp_path / "store")
    got = Store.open(tmp_path / "store").read()
    assert got.source_id.tolist() == [i for i in range(1, 21) if i != 5]
    np.testing.assert_array_equal(got.values[9:], good.values.astype(np.float32))
    assert sorted(Path(name).name for name in report.damaged) == [
        "c.csv.gz",
        "d.csv.gz",
        "e.csv.gz",
    ]
    assert "ends early" in report.damaged[str(tmp_path / "e.csv.gz")]
    by_file = {Path(r["file"]).name: r for r in listed(tmp_path / "store")}
    assert by_file["a.csv.gz"]["row"] == "5"
    assert "complete array" in by_file["a.csv.gz"]["reason"]
    assert "is empty" in by_file["c.csv.gz"]["reason"]


def test_nothing_usable_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "c.csv.gz").write_bytes(b"")
    with pytest.raises(StarkinError, match=r"None of the files.*c\.csv\.gz is empty"):
        ingest(tmp_path / "c.csv.gz", tmp_path / "store")
    with pytest.raises(StarkinError, match="does not exist"):
        ingest(tmp_path / "nowhere*.csv", tmp_path / "other")


def test_other_sizes_are_kept_apart(tmp_path: Path) -> None:
    bulk(tmp_path / "a.csv.gz", np.arange(1, 11))
    other = XPGrid(3, 3)
    wrong = SpectrumSet(np.arange(20, 25), np.ones((5, 6)), np.ones((5, 6)), other)
    write_spectra(wrong, tmp_path / "b.csv.gz", format="bulk")
    report = ingest([tmp_path / "a.csv.gz", tmp_path / "b.csv.gz"], tmp_path / "store")
    assert report.stars == 10
    assert "3 BP coefficients, the store has 4" in report.damaged[str(tmp_path / "b.csv.gz")]


def test_again_changes_nothing_and_new_files_are_added(tmp_path: Path) -> None:
    bulk(tmp_path / "a.csv.gz", np.arange(1, 11))
    ingest(tmp_path / "a.csv.gz", tmp_path / "store")
    before = Store.open(tmp_path / "store").fingerprint
    report = ingest(tmp_path / "a.csv.gz", tmp_path / "store")
    assert (report.stars, report.rejected) == (10, 0)
    assert Store.open(tmp_path / "store").fingerprint == before
    bulk(tmp_path / "b.csv.gz", np.arange(8, 15))
    report = ingest([tmp_path / "a.csv.gz", tmp_path / "b.csv.gz"], tmp_path / "store")
    assert (report.stars, report.duplicates) == (14, 3)


def test_a_changed_file_or_setting_is_noticed(tmp_path: Path) -> None:
    bulk(tmp_path / "a.csv.gz", np.arange(1, 11))
    ingest(tmp_path / "a.csv.gz", tmp_path / "store")
    with pytest.raises(StarkinError, match="begun with correlations=True, not False"):
        ingest(tmp_path / "a.csv.gz", tmp_path / "store", correlations=False)
    bulk(tmp_path / "a.csv.gz", np.arange(1, 12))
    with pytest.raises(StarkinError, match=r"a\.csv\.gz has changed since"):
        ingest(tmp_path / "a.csv.gz", tmp_path / "store")
    foreign = Store.create(tmp_path / "foreign", GRID, correlations=True)
    foreign.append(spectra(np.arange(3)))
    with pytest.raises(StarkinError, match="not made by ingest"):
        ingest(tmp_path / "a.csv.gz", foreign.path)


_CHILD = """
import sys
from starkin.io import ingest as module
module.ROW_GROUP = 200
module.ingest(sys.argv[2:], sys.argv[1], part_rows=1000)
"""


def _child(out: Path, files: list[Path], code: str = _CHILD) -> subprocess.Popen[bytes]:
    arguments = [sys.executable, "-c", code, str(out), *map(str, files)]
    return subprocess.Popen(arguments, stderr=subprocess.PIPE)


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two files of 10,000 rows with duplicates and a bad row."""
    folder = tmp_path_factory.mktemp("large")
    ids = np.random.default_rng(3).permutation(19_000)[:10_000]
    bulk(folder / "a.csv.gz", ids, 1)
    bulk(folder / "b.csv.gz", np.arange(8_000, 18_000), 2)
    lines = gzip.decompress((folder / "b.csv.gz").read_bytes()).split(b"\n")
    lines[5000] = lines[5000][:50]
    (folder / "b.csv.gz").write_bytes(gzip.compress(b"\n".join(lines)))
    return [folder / "a.csv.gz", folder / "b.csv.gz"]


@pytest.fixture(scope="module")
def whole(large: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The store that an undisturbed run makes of them."""
    store = tmp_path_factory.mktemp("whole") / "store"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ingest_module, "ROW_GROUP", 200)
        ingest(large, store, part_rows=1000)
    return store


def test_a_kill_at_any_moment_changes_nothing(
    large: list[Path], whole: Path, tmp_path: Path
) -> None:
    killed = tmp_path / "killed"
    kills = 0
    for parts in (1, 8, 12):  # in the middle of the first file, then of the second
        process = _child(killed, large)
        while process.poll() is None and len(list(killed.glob("part-*"))) < parts:
            time.sleep(0.001)
        process.send_signal(signal.SIGKILL)
        kills += process.wait() == -signal.SIGKILL
    assert kills >= 2
    assert _child(killed, large).wait() == 0
    assert len(Store.open(killed)) > 14_000
    assert content(whole) == content(killed)
    assert sum("same source" in r["reason"] for r in listed(killed)) > 1000
    assert sum("complete array" in r["reason"] for r in listed(killed)) == 1


def test_a_second_ingest_into_the_store_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "XpContinuousMeanSpectrum_000000-000010.csv.gz"
    bulk(file, np.arange(1, 51))
    refused: list[str] = []

    def meanwhile(*_: object) -> None:
        if not refused:
            with pytest.raises(StarkinError, match="Another process is taking files into") as told:
                ingest(file, tmp_path / "store")
            refused.append(str(told.value))

    report = ingest(file, tmp_path / "store", progress=meanwhile)
    assert refused
    assert report.stars == 50
    assert {p.name for p in (tmp_path / "store").iterdir()} == {
        "manifest.json", "part-00000.parquet", "rejected.csv"
    }  # fmt: skip
    assert ingest(file, tmp_path / "store").stars == 50  # nobody there any more
    # What fails before there is a store leaves none behind, nor the lock.
    broken = tmp_path / "broken.csv"
    broken.write_text("nothing\n")
    with pytest.raises(StarkinError):
        ingest(broken, broken)
    with pytest.raises(StarkinError, match="does not exist"):
        ingest(tmp_path / "absent.csv", tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_the_lock_of_a_killed_process_is_void(tmp_path: Path) -> None:
    file = tmp_path / "XpContinuousMeanSpectrum_000000-000010.csv.gz"
    bulk(file, np.arange(1, 51))
    store = tmp_path / "store"
    code = (
        "import sys, time\nfrom pathlib import Path\nfrom starkin.io.ingest import _alone\n"
        "with _alone(Path(sys.argv[1])):\n    print('in', flush=True)\n    time.sleep(60)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(store)], stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"in\n"
        with pytest.raises(StarkinError, match="Another process"):
            ingest(file, store)
        process.kill()
    assert (store / ".lock").exists()
    assert ingest(file, store).stars == 50


def test_a_file_without_bp_takes_the_size_of_the_store(tmp_path: Path) -> None:
    """Alone it cannot tell whether BP has 51 or 55 coefficients."""
    grid = XPGrid(51, 55)
    rng = np.random.default_rng(0)
    values = rng.normal(size=(6, 106))
    mask = np.zeros((6, 106), dtype=bool)
    mask[3:, :51] = True
    both = SpectrumSet(np.arange(6) + 1, values, np.ones((6, 106)), grid, mask=mask)
    write_spectra(both[:3], tmp_path / "a.fits")
    write_spectra(both[3:], tmp_path / "b.fits")
    report = ingest([tmp_path / "a.fits", tmp_path / "b.fits"], tmp_path / "store")
    assert report.damaged == {}
    (stored,) = Store.open(tmp_path / "store").batches(100)
    assert stored.grid == grid
    np.testing.assert_array_equal(stored.mask, mask)


def test_a_full_disk_leaves_nothing_half_written(
    large: list[Path], whole: Path, tmp_path: Path
) -> None:
    """No file may grow beyond 40 kB: the first part fails as on a full disk, then room is made."""
    code = (
        "import resource, signal\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, {resource.RLIM_INFINITY}))\n"
        "import numba; numba.config.CACHE_DIR = ''\n" + _CHILD
    )
    store = tmp_path / "store"
    process = _child(store, large, code)
    _, message = process.communicate()
    assert process.returncode == 1
    last = message.decode().strip().split("\n")[-1]
    assert "StarkinError: Cannot write" in last
    assert "File too large" in last
    names = {p.name for p in store.iterdir()}
    assert names <= {"manifest.json", "rejected.csv"}
    assert len(Store.open(store)) == 0
    assert _child(store, large).wait() == 0
    assert content(whole) == content(store)


@pytest.mark.skipif(shutil.which("unshare") is None, reason="needs a mount of its own")
def test_a_really_full_disk(large: list[Path], tmp_path: Path) -> None:
    """The same on a file system of 600 kB, where the kernel allows one."""
    room = tmp_path / "room"
    room.mkdir()
    script = f"mount -t tmpfs -o size=600k tmpfs {room} || exit 77; "
    script += '"$@"; code=$?; ls -A ' + str(room / "store") + f" > {tmp_path}/left; "
    script += f"cp -r {room}/store {tmp_path}/kept; exit $code"
    command = ["unshare", "-rm", "sh", "-c", script, "sh", sys.executable, "-c", _CHILD]
    done = subprocess.run(
        [*command, str(room / "store"), *map(str, large)], capture_output=True, check=False
    )
    if done.returncode == 77 or b"unshare" in done.stderr:
        pytest.skip("no mounts here")
    assert b"No space left on device" in done.stderr
    left = (tmp_path / "left").read_text().split()
    assert all(
        name in ("manifest.json", "rejected.csv") or name.startswith("part-") for name in left
    )
    kept = Store.open(tmp_path / "kept")
    assert 0 < len(kept) < 14_000
    assert len(kept.read()) == len(kept)


def test_seen_ids_against_a_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("starkin.io.seen_ids._IN_MEMORY", 1000)  # so that files are used
    monkeypatch.setattr("starkin.io.seen_ids._MERGE", 170)
    rng = np.random.default_rng(0)
    seen, truth = SeenIds(tmp_path), set()
    for _ in range(60):
        ids = rng.integers(-5000, 5000, rng.integers(0, 400))
        expected = []
        for i in ids.tolist():
            expected.append(i not in truth)
            truth.add(i)
        assert seen.add(ids).tolist() == expected
    assert len(seen) == len(truth)
    assert len(seen._runs) <= 14
    assert any(isinstance(run, np.memmap) for run in seen._runs)
    assert list(tmp_path.iterdir()) == []
