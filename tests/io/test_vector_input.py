"""Tables of spectra by other hands: spellings, units, masks, and everything that can be wrong."""

from __future__ import annotations

import contextlib
import io

import h5py
import hypothesis.strategies as st
import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy.io import fits
from astropy.table import Table
from hypothesis import HealthCheck, given, settings

from starkin.io import identify, read, write_spectra, write_vectors
from starkin.io.star_ids import id_of_name
from starkin.spectra import SpectrumSet, StarkinError, WavelengthGrid

WAVE = np.linspace(16000, 16010, 6)


def table(n=3, **changes):
    columns = {
        "source_id": np.arange(1, n + 1),
        "flux": np.arange(6.0 * n).reshape(n, 6) + 1,
        "ivar": np.full((n, 6), 4.0),
        "wavelength": np.tile(WAVE, (n, 1)),
    } | changes
    return Table({k: v for k, v in columns.items() if v is not None})


# --- by other hands ---------------------------------------------------------------------
def test_astropy_table_in_memory():
    spectra = read(table())
    np.testing.assert_array_equal(spectra.values[0], np.arange(6) + 1)
    np.testing.assert_array_equal(spectra.errors, 0.5)
    assert spectra.grid.wavelength.tolist() == WAVE.tolist()
    assert any("Angstrom" in text for text in spectra.meta["assumed"])
    assert any("vacuum" in text for text in spectra.meta["assumed"])


@pytest.mark.parametrize("suffix", ["fits", "parquet", "h5"])
def test_tables_that_other_libraries_wrote(tmp_path, suffix):
    path = tmp_path / f"t.{suffix}"
    given_table = table(mask=np.arange(18).reshape(3, 6) == 8)
    given_table["flux"].unit = "Jy"
    given_table["teff"] = [5000.0, 4500.0, np.nan]
    if suffix == "fits":
        given_table.write(path)
    elif suffix == "parquet":
        del given_table["wavelength"]
        frame = pl.DataFrame({n: given_table[n].tolist() for n in given_table.colnames})
        meta = {"wavelength": str(WAVE.tolist()), "wavelength_unit": "AA", "medium": "air"}
        pq.write_table(frame.to_arrow().replace_schema_metadata(meta), path)
    else:
        with h5py.File(path, "w") as file:
            for name in given_table.colnames:
                file[name] = given_table[name][0] if name == "wavelength" else given_table[name]
            file["wavelength"].attrs["unit"] = "Angstrom"
    spectra = read(path)
    assert np.flatnonzero(spectra.mask.ravel()).tolist() == [8]
    assert spectra.values.ravel()[[0, 17]].tolist() == [1, 18]
    assert spectra.label("teff")[:2].tolist() == [5000, 4500]
    assert spectra.grid.medium == ("air" if suffix == "parquet" else "vacuum")


def test_spellings():
    spectra = read(
        table(flux=None, ivar=None, wavelength=None, FLUX=np.ones((3, 6)),
              flux_err=np.full((3, 6), 0.1), loglam=np.tile(np.log10(WAVE), (3, 1)))
    )  # fmt: skip
    np.testing.assert_allclose(spectra.grid.wavelength, WAVE)
    np.testing.assert_array_equal(spectra.errors, 0.1)


@pytest.mark.parametrize(
    ("values", "unit"),
    [(WAVE / 10, "nm"), (WAVE / 1e4, "micron"), (WAVE / 1e10, "m"), (WAVE / 1e4, "")],
)
def test_units_of_wavelength(values, unit):
    given_table = table(wavelength=np.tile(values, (3, 1)))
    given_table.meta["wavelength_unit"] = unit
    grid = read(given_table).grid
    factor = 10 if grid.unit == "nm" else 1
    np.testing.assert_allclose(grid.wavelength * factor, WAVE)


@pytest.mark.parametrize("suffix", ["fits", "memory"])
def test_units_of_errors(tmp_path, suffix):
    given_table = table(flux_error=np.full((3, 6), 250.0), ivar=None)
    given_table["flux"].unit, given_table["flux_error"].unit = "Jy", "mJy"
    given_table["wavelength"].unit = "Angstrom"
    if suffix == "fits":
        given_table.write(tmp_path / "t.fits")
    spectra = read(tmp_path / "t.fits" if suffix == "fits" else given_table)
    np.testing.assert_allclose(spectra.errors, 0.25)
    assert str(spectra.unit) == "Jy"
    ivar = table()
    ivar["flux"].unit, ivar["ivar"].unit = "Jy", "mJy**-2"
    np.testing.assert_allclose(read(ivar).errors, 0.5e-3)
    ivar["ivar"].unit = "Jy"
    with pytest.raises(StarkinError, match="does not go with flux in 'Jy'"):
        read(ivar)


def test_other_ids():
    names = ["2M1", "2M2", "2M3"]
    spectra = read(table(source_id=None, apogee_id=names))
    assert spectra.source_id.tolist() == [id_of_name(n) for n in names]
    assert spectra.labels["apogee_id"].tolist() == names
    spectra = read(table(source_id=None, GAIAEDR3_SOURCE_ID=[7, 8, 9]))
    assert spectra.source_id.tolist() == [7, 8, 9]
    with pytest.raises(StarkinError, match="no column 'source_id'"):
        read(table(source_id=None))


@pytest.mark.parametrize("suffix", ["fits", "parquet"])
def test_coefficients_with_a_label_called_flux(make_spectra, tmp_path, suffix):
    spectra = make_spectra(correlations=False, missing=False).with_labels(flux=np.arange(7.0))
    write_spectra(spectra, tmp_path / f"xp.{suffix}")
    assert identify(tmp_path / f"xp.{suffix}") == suffix
    assert read(tmp_path / f"xp.{suffix}").label("flux").tolist() == list(range(7))


def test_bad_values_are_masked():
    flux, ivar = np.ones((3, 6)), np.ones((3, 6))
    flux[0, 0], flux[0, 1] = np.nan, np.inf
    ivar[1, 0], ivar[1, 1], ivar[1, 2] = 0, -1, np.nan
    ivar[2] = 0
    spectra = read(table(flux=flux, ivar=ivar))
    assert np.flatnonzero(spectra.mask).tolist() == [0, 1, 6, 7, 8, *range(12, 18)]
    assert spectra.mask[2].all()


# --- what is wrong ------------------------------------------------------------------------
def written(tmp_path, arrow, **meta):
    path = tmp_path / "t.parquet"
    meta = {"wavelength": str(WAVE.tolist())} | meta
    pq.write_table(arrow.replace_schema_metadata(meta), path)
    return path


def test_arrays_of_unequal_length(tmp_path):
    rows = [list(range(6)), list(range(5)), None, [1.0, None, 1, 1, 1, 1]]
    arrow = pa.table(
        {"source_id": [1, 2, 3, 4], "flux": pa.array(rows, pa.list_(pa.float32())),
         "ivar": pa.array([[1.0] * 6] * 4, pa.list_(pa.float32()))}
    )  # fmt: skip
    path = written(tmp_path, arrow)
    with pytest.raises(StarkinError, match=r"row 2 \(source_id 2\): flux has 5 numbers where 6"):
        read(path)
    spectra = read(path, on_error="reject")
    assert spectra.source_id.tolist() == [1, 3, 4]
    assert [r.row for r in spectra.meta["rejected"]] == [2]
    assert spectra.mask[1].all()
    assert np.flatnonzero(spectra.mask[2]).tolist() == [1]


def test_ids_that_are_missing(tmp_path):
    arrow = pa.table(
        {
            "source_id": pa.array([1, None], pa.int64()),
            "flux": [[1.0] * 6] * 2,
            "ivar": [[1.0] * 6] * 2,
        }
    )
    path = written(tmp_path, arrow)
    with pytest.raises(StarkinError, match="row 2: source_id is missing"):
        read(path)
    assert read(path, on_error="reject").source_id.tolist() == [1]


@pytest.mark.parametrize(
    ("changes", "meta", "message"),
    [
        ({"ivar": None}, {}, "neither a column 'flux_error' nor 'ivar'"),
        ({"wavelength": None}, {}, "gives no wavelengths"),
        ({"wavelength": np.tile(WAVE, (3, 1)) + np.eye(3)[:, [1]]}, {}, "row 2 is on other wave"),
        ({"wavelength": np.tile(WAVE[::-1], (3, 1))}, {}, "must be finite and increase"),
        ({"wavelength": np.tile(np.arange(6) + 1e6, (3, 1))}, {}, "gives no unit"),
        ({}, {"wavelength_unit": "eV"}, "give them in Angstrom, nm or micron"),
        ({}, {"wavelength_unit": "nm"}, "is their unit really nm"),
        ({}, {"medium": "water"}, "medium must be one of"),
        ({}, {"frame": "galactic"}, "frame must be one of"),
        ({}, {"flux_unit": "parrots"}, "'parrots' is not known"),
        ({"flux": [1.0, 2.0, 3.0]}, {}, "single values"),
        ({"source_id": [1.0, 2.0, 3.0]}, {}, "64-bit integer"),
        ({"source_id": [1, 1, 2]}, {}, "the same source came before"),
    ],
)
def test_one_sentence(changes, meta, message):
    given_table = table(**changes)
    given_table.meta.update(meta)
    with pytest.raises(StarkinError, match=message):
        read(given_table)


def test_hdf5_of_unequal_lengths(tmp_path):
    path = tmp_path / "t.h5"
    with h5py.File(path, "w") as file:
        file["flux"], file["ivar"], file["wavelength"] = np.ones((3, 6)), np.ones((2, 6)), WAVE
        file["source_id"] = [1, 2, 3]
    with pytest.raises(StarkinError, match="'ivar' has 2 rows and 'flux' has 3"):
        read(path)
    with h5py.File(path, "a") as file:
        del file["ivar"], file["source_id"]
        file["ivar"], file["source_id"] = np.ones((3, 6)), [1, 2]
    with pytest.raises(StarkinError, match="'source_id' has 2 rows and 'flux' has 3"):
        read(path)
    with h5py.File(path, "w") as file:
        file["something"] = [1]
    with pytest.raises(StarkinError, match="no column 'flux'"):
        read(path)


def test_files_on_different_grids_are_named(tmp_path):
    for star, shift in ((1, 0), (2, 1)):
        one = table(1, source_id=[star], wavelength=WAVE[None] + shift)
        one.write(tmp_path / f"{star}.fits")
    with pytest.raises(StarkinError, match=r"2\.fits is on another grid .*1\.fits.*--grid"):
        read(tmp_path)


# --- damage ----------------------------------------------------------------------------------
def _file(suffix: str) -> bytes:
    rng = np.random.default_rng(0)
    spectra = SpectrumSet(
        np.arange(5), rng.normal(1, 0.1, (5, 40)).astype("f4"), np.full((5, 40), 0.1, "f4"),
        WavelengthGrid(np.linspace(16000, 16100, 40), "Angstrom"),
    ).with_labels(teff=np.linspace(4000, 5000, 5), name=list("abcde"))  # fmt: skip
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"s.{suffix}"
        write_vectors(spectra, path)
        return path.read_bytes()


@pytest.fixture(scope="module")
def whole_files():
    return {suffix: _file(suffix) for suffix in ("fits", "parquet", "h5")}


@pytest.mark.parametrize("suffix", ["fits", "parquet", "h5"])
@pytest.mark.parametrize("keep", [0.1, 0.5, 0.8, 0.99])
def test_truncated(tmp_path, whole_files, suffix, keep):
    content = whole_files[suffix]
    path = tmp_path / f"s.{suffix}"
    path.write_bytes(content[: int(len(content) * keep)])
    with pytest.raises(StarkinError, match=str(path)):
        read(path)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data(), suffix=st.sampled_from(["fits", "parquet", "h5"]))
def test_damage_is_an_error_of_ours_or_a_sound_set(tmp_path, whole_files, data, suffix):
    content = bytearray(whole_files[suffix])
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(content) - 1))
        content[place] = data.draw(st.integers(0, 255))
    path = tmp_path / f"s.{suffix}"
    path.write_bytes(bytes(content))
    with contextlib.suppress(StarkinError):
        spectra = read(path, on_error="reject")
        assert spectra.values.shape == spectra.errors.shape == spectra.mask.shape
        assert np.isfinite(spectra.values).all()
        assert (spectra.errors > 0).all()


_ROW = st.one_of(
    st.none(),
    st.lists(
        st.one_of(st.none(), st.floats(width=32), st.just(float("nan"))), min_size=0, max_size=8
    ),
)


@settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(flux=st.lists(_ROW, min_size=1, max_size=5), data=st.data())
def test_any_rows_are_read_or_refused(tmp_path, flux, data):
    """Rows of any length and content: those of the right length keep their usable numbers."""
    n = len(flux)
    ivar = [data.draw(_ROW) for _ in range(n)]
    arrow = pa.table(
        {"source_id": list(range(1, n + 1)), "flux": pa.array(flux, pa.list_(pa.float32())),
         "ivar": pa.array(ivar, pa.list_(pa.float32()))}
    )  # fmt: skip
    spectra = read(written(tmp_path, arrow), on_error="reject")
    sound = [all(len(row or []) in (0, 6) for row in pair) for pair in zip(flux, ivar, strict=True)]
    assert spectra.source_id.tolist() == [i + 1 for i in range(n) if sound[i]]
    assert len(spectra.meta["rejected"]) == n - sum(sound)
    for position, i in enumerate(np.flatnonzero(sound)):
        for pixel in range(6):
            f = flux[i][pixel] if flux[i] else None
            w = ivar[i][pixel] if ivar[i] else None
            usable = f is not None and w is not None and np.isfinite(f) and 0 < w < np.inf
            with np.errstate(all="ignore"):
                usable = usable and np.isfinite(np.float32(1) / np.sqrt(np.float32(w)))
            assert spectra.mask[position, pixel] == (not usable)
            if usable:
                assert spectra.values[position, pixel] == np.float32(f)


def test_gzipped_fits(tmp_path):
    import gzip

    buffer = io.BytesIO()
    hdu = fits.BinTableHDU(table())
    fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(buffer)
    path = tmp_path / "t.fits.gz"
    path.write_bytes(gzip.compress(buffer.getvalue()))
    assert identify(path) == "fits-vectors"
    assert len(read(path)) == 3


def test_labels_in_other_units(tmp_path):
    n = 3
    table = Table({"source_id": np.arange(1, n + 1), "flux": np.ones((n, 5))})
    table["flux_error"] = np.full((n, 5), 0.01)
    table["wavelength"] = np.tile(np.linspace(15200, 15201, 5), (n, 1))
    table["teff"] = [0.45, 0.5, 0.55]
    table["teff"].unit = "1e4 K"
    table["radial_velocity"] = [12_000.0, -3_000.0, 0.0]
    table["radial_velocity"].unit = "m / s"
    table.write(tmp_path / "units.fits")
    spectra = read(tmp_path / "units.fits")
    np.testing.assert_allclose(spectra.label("teff"), [4500, 5000, 5500])
    assert spectra.labels["teff"].unit == "K"
    np.testing.assert_allclose(spectra.label("radial_velocity"), [12, -3, 0])
    table["teff"].unit = "pc"
    table.write(tmp_path / "parsec.fits")
    with pytest.raises(StarkinError, match=r"Label column 'teff' is in 'pc', expected 'K'"):
        read(tmp_path / "parsec.fits")
