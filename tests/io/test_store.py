"""The store gives back what went in, streams it, and never shows half a part."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from astropy.table import MaskedColumn, Table
from hypothesis import given, settings
from hypothesis import strategies as st

from starkin.io import store_part
from starkin.io.store import Store
from starkin.spectra import SpectrumSet, StarkinError, WavelengthGrid, XPGrid

GRID = XPGrid(4, 3)


def spectra(n: int, seed: int = 0, *, correlations: bool = False) -> SpectrumSet:
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(n, 7)).astype(np.float32)
    mask = rng.random((n, 7)) < 0.1
    mask[::3, :4] = True
    labels = Table(
        {
            "teff": rng.uniform(3000, 9000, n),
            "bp_n_relevant_bases": MaskedColumn(
                rng.integers(0, 55, n).astype(np.int16), mask=np.arange(n) % 4 == 1
            ),
            "kind": np.array(["star", "giant", "dwarf"])[rng.integers(0, 3, n)],
        }
    )
    labels["teff"].unit = "K"
    labels["kind"].description = "What it is"
    packed = rng.uniform(-1, 1, (n, 9)).astype(np.float32) if correlations else None
    if packed is not None:
        packed[1::5] = np.nan
    return SpectrumSet(
        source_id=rng.permutation(10**12 + np.arange(n)),
        values=values,
        errors=np.abs(values) + np.float32(0.1),
        grid=GRID,
        mask=mask,
        correlations=packed,
        labels=labels,
    )


def same(a: SpectrumSet, b: SpectrumSet) -> None:
    assert a.fingerprint == b.fingerprint
    assert a.labels.colnames == b.labels.colnames
    for name in a.labels.colnames:
        x, y = np.ma.asarray(a.labels[name]), np.ma.asarray(b.labels[name])
        np.testing.assert_array_equal(np.ma.getmaskarray(x), np.ma.getmaskarray(y))
        assert x.dtype.kind == y.dtype.kind
        assert (x == y).all()
        assert a.labels[name].unit == b.labels[name].unit
    if a.correlations is not None:
        np.testing.assert_array_equal(a.correlations, b.correlations)


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """100 stars in parts of 40, 40 and 20, row groups of 16."""
    monkeypatch.setattr("starkin.io.store.ROW_GROUP", 16)
    made = Store.create(tmp_path / "store", GRID, correlations=True)
    whole = spectra(100, correlations=True)
    for start in (0, 40, 80):
        made.append(whole[start : start + 40])
    return Store.open(made.path)


def test_what_went_in_comes_out(store: Store) -> None:
    same(store.read(correlations=True), spectra(100, correlations=True))
    assert len(store) == 100
    assert store.grid == GRID
    assert store.label_names == ["teff", "bp_n_relevant_bases", "kind"]
    assert store.read().correlations is None
    assert store.read().labels["kind"].description == "What it is"


def test_units_and_descriptions_stand_in_the_file(store: Store) -> None:
    schema = pq.read_schema(store.path / "part-00000.parquet")
    assert schema.field("teff").metadata == {
        b"unit": b"K", b"description": b"Effective temperature",
    }  # fmt: skip
    about = schema.field("values").metadata
    assert (about[b"dtype"], about[b"shape"], about[b"unit"]) == (b"<f4", b"7", b"electron / s")


def test_a_cell_is_plain_numbers_for_other_tools(store: Store) -> None:
    table = pq.read_table(store.path / "part-00000.parquet")
    cell = np.frombuffer(table["values"][2].as_py(), dtype="<f4")
    expected = spectra(100, correlations=True)
    good = ~expected.mask[2]
    np.testing.assert_array_equal(cell[good], expected.values[2, good])
    assert np.isnan(cell[~good]).all()


@settings(deadline=None, max_examples=20)
@given(st.integers(1, 120))
def test_batches_of_any_size(size: int) -> None:
    import tempfile

    whole = spectra(100)
    with tempfile.TemporaryDirectory() as folder:
        made = Store.create(Path(folder) / "store", GRID)
        made.append(whole[:40])
        made.append(whole[40:])
        batches = list(made.batches(size))
        assert [len(b) for b in batches[:-1]] == [size] * (len(batches) - 1)
        same(SpectrumSet.concatenate(batches), whole)


def test_only_wanted_columns(store: Store) -> None:
    (batch,) = store.batches(100, columns=["kind"])
    assert batch.labels.colnames == ["kind"]
    (batch,) = store.batches(100, columns=[])
    assert batch.labels.colnames == []
    with pytest.raises(StarkinError, match="no label column 'mass'"):
        store.batches(100, columns=["mass"])


@pytest.mark.parametrize(
    "rows", [[3], [99, 0, 41, 41], list(range(30, 90)), [], np.arange(100) % 7 == 0]
)
def test_rows_by_number_or_mask_in_their_order(store: Store, rows: list[int]) -> None:
    picked = np.asarray(rows, dtype=bool if isinstance(rows, np.ndarray) else np.int64)
    got = store.read(picked, correlations=True)
    same(got, spectra(100, correlations=True)[picked])


@pytest.mark.parametrize("rows", [[100], [-1]])
def test_rows_outside_the_store(store: Store, rows: list[int]) -> None:
    with pytest.raises(StarkinError, match=r"0\.\.99"):
        store.read(np.array(rows))
    with pytest.raises(StarkinError, match="mask has 5 rows, the store has 100"):
        store.read(np.zeros(5, dtype=bool))


def test_sample_is_seeded_and_without_replacement(store: Store) -> None:
    a, b = store.sample(30, seed=5), store.sample(30, seed=5)
    same(a, b)
    assert len(np.unique(a.source_id)) == 30
    assert set(store.sample(30, seed=6).source_id) != set(a.source_id)
    assert len(store.sample(1000)) == 100
    # Every star is as likely: 100 stars, 30 drawn, 400 seeds gives 120 +- 9 times each.
    counts = np.zeros(100)
    place = {int(i): k for k, i in enumerate(store.read().source_id)}
    for seed in range(400):
        for source_id in store.sample(30, seed=seed, columns=[]).source_id:
            counts[place[int(source_id)]] += 1
    assert counts.sum() == 12000
    assert counts.min() > 75
    assert counts.max() < 165


def test_float64_keeps_every_digit(tmp_path: Path) -> None:
    whole = spectra(10)
    exact = whole.replace(values=whole.values.astype(np.float64) / 3)
    store = Store.create(tmp_path / "store", GRID, dtype="float64")
    store.append(exact)
    np.testing.assert_array_equal(store.read().values, exact.values)


def test_wavelength_grids_too(tmp_path: Path) -> None:
    grid = WavelengthGrid(np.linspace(400, 900, 11), medium="air", resolution=1800.0)
    flux = np.random.default_rng(0).normal(size=(5, 11)).astype(np.float32)
    store = Store.create(tmp_path / "store", grid, unit="W m-2 nm-1")
    store.append(SpectrumSet(np.arange(5), flux, np.ones_like(flux), grid, unit=store.unit))
    again = Store.open(store.path)
    assert again.grid == grid
    assert again.read().unit == store.unit
    np.testing.assert_array_equal(again.read().values, flux)


def test_fingerprint_follows_the_content(tmp_path: Path) -> None:
    made = []
    for i, changed in enumerate((False, False, True)):
        whole = spectra(20)
        if changed:
            whole.values[3, 6] += 1e-3 if not whole.mask[3, 6] else 0
            whole = whole.replace(source_id=whole.source_id + 1)
        made.append(Store.create(tmp_path / str(i), GRID))
        made[-1].append(whole)
    assert made[0].fingerprint == made[1].fingerprint != made[2].fingerprint


def test_missing_labels_become_null_and_unknown_ones_are_refused(tmp_path: Path) -> None:
    whole = spectra(10)
    store = Store.create(tmp_path / "store", GRID)
    store.append(whole)
    store.append(whole.replace(labels=whole.labels["teff", "kind"]))
    got = store.read(np.arange(10, 20))
    assert np.ma.getmaskarray(np.ma.asarray(got.labels["bp_n_relevant_bases"])).all()
    with pytest.raises(StarkinError, match="no label column 'mass'"):
        store.append(whole.with_labels(mass=np.ones(10)))
    assert len(Store.open(store.path)) == 20


def test_what_does_not_fit_is_refused(tmp_path: Path) -> None:
    store = Store.create(tmp_path / "store", GRID)
    other = XPGrid(3, 4)
    wrong = SpectrumSet(np.arange(2), np.ones((2, 7)), np.ones((2, 7)), other)
    with pytest.raises(StarkinError, match="another grid"):
        store.append(wrong)
    with pytest.raises(StarkinError, match="no correlations"):
        store.batches(10, correlations=True)
    with pytest.raises(StarkinError, match="exists already"):
        Store.create(store.path, GRID)
    with pytest.raises(StarkinError, match="float32 or float64"):
        Store.create(tmp_path / "b", GRID, dtype="float16")
    assert sorted(p.name for p in store.path.iterdir()) == ["manifest.json"]


def test_empty_store(tmp_path: Path) -> None:
    store = Store.create(tmp_path / "store", GRID)
    assert len(store) == 0
    assert len(store.read()) == 0
    assert list(store.batches(10)) == []


def test_damage_is_named(store: Store, tmp_path: Path) -> None:
    with pytest.raises(StarkinError, match="is not a store"):
        Store.open(tmp_path)
    part = store.path / "part-00001.parquet"
    content = part.read_bytes()
    part.write_bytes(content[:-10])
    with pytest.raises(StarkinError, match=r"part-00001\.parquet is missing or damaged"):
        Store.open(store.path)
    part.write_bytes(content[:-200] + bytes(200))
    with pytest.raises(StarkinError, match=r"part-00001\.parquet is damaged"):
        Store.open(store.path).read()
    (store.path / "manifest.json").write_text("{}")
    with pytest.raises(StarkinError, match="damaged"):
        Store.open(store.path)
    (store.path / "manifest.json").write_text(json.dumps({"format": "x", "version": 1}))
    with pytest.raises(StarkinError, match="another version"):
        Store.open(store.path)


def test_a_part_that_fails_leaves_the_store_as_it_was(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {p.name: p.read_bytes() for p in store.path.iterdir()}

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(store_part.pq.ParquetWriter, "write_table", full)
    with pytest.raises(StarkinError, match="No space left on device"):
        store.append(spectra(10, correlations=True))
    assert {p.name: p.read_bytes() for p in store.path.iterdir()} == before
