"""From survey files to one normalised set at rest: against the spectrum that was put in."""

from __future__ import annotations

import numpy as np
import pytest
from astropy import units as u
from astropy.table import Table

from starkin.io import read, write_vectors
from starkin.io.prepare import prepare
from starkin.spectra import SpectrumSet, StarkinError, WavelengthGrid, XPGrid
from starkin.spectra.continuum import Continuum
from starkin.spectra.frames import doppler_factor, to_vacuum
from starkin.spectra.grids import apogee_grid, galah_grid, log_grid

from . import survey_files as files

NAMES = ["2M00000317+5821383", "2M00000032+5737103"]


@pytest.fixture
def apstars(tmp_path):
    folder = tmp_path / "spectra"
    folder.mkdir()
    for name in NAMES:
        files.apstar(folder / f"apStar-dr17-{name}.fits", name)
    rows = [files.allstar_row(name, GAIAEDR3_SOURCE_ID=i + 100) for i, name in enumerate(NAMES[:1])]
    files.allstar(tmp_path / "allStar.fits", rows)
    return folder


def test_apstars_onto_the_aspcap_pixels(apstars):
    labels = apstars.parent / "allStar.fits"
    spectra = prepare([apstars], grid=apogee_grid("aspcap"), labels=labels)
    assert spectra.n_pixels == 7514
    assert spectra.unit == u.dimensionless_unscaled
    used = ~spectra.mask
    assert np.median(spectra.values[used]) == pytest.approx(1, abs=0.06)
    # The raw pixels are those of the file: the grids coincide, only the continuum is divided out.
    raw = read(apstars)
    ratio = raw.values[:, 246:3274] / np.where(spectra.mask, np.nan, spectra.values)[:, :3028]
    smooth = np.nanmax(np.abs(np.diff(ratio, axis=1)), axis=1)
    assert (smooth < 0.1).all()
    np.testing.assert_allclose(
        spectra.errors[used] / spectra.values[used],
        (raw.errors / np.where(raw.mask, 1, raw.values))[:, np.r_[246:3274, 3585:6080, 6344:8335]][
            used
        ],
        rtol=1e-5,
    )
    assert spectra.meta["without_labels"] == 1
    assert set(spectra.source_id.tolist()) & {100}
    star = spectra[spectra.source_id == 100]
    assert star.label("teff")[0] == 4723.5
    assert spectra.meta["continuum"]["method"] == "polynomial"
    assert len(spectra.meta["files"]) == 2


def test_written_and_read_again(apstars, tmp_path):
    spectra = prepare(apstars, grid=apogee_grid("aspcap-dr12"))
    write_vectors(spectra, tmp_path / "prepared.parquet")
    again = prepare(tmp_path / "prepared.parquet")
    np.testing.assert_array_equal(again.values, spectra.values)  # normalised already
    assert again.meta["continuum"] == spectra.meta["continuum"]
    assert again.meta["resampled"] == spectra.meta["resampled"]


def test_known_continuum(tmp_path):
    content = files.mwm(tmp_path / "mwmStar-0.6.0-34.fits", {"APOGEE/APO": 1})
    spectra = prepare(tmp_path / "mwmStar-0.6.0-34.fits", continuum="known")
    np.testing.assert_allclose(spectra.values[0, 10:], content["APOGEE/APO"][0, 10:])
    assert spectra.unit == u.dimensionless_unscaled
    assert spectra.meta["continuum"]["method"] == "known"
    files.apstar(tmp_path / "apStar.fits")
    with pytest.raises(StarkinError, match="brings no continuum"):
        prepare(tmp_path / "apStar.fits", continuum="known")
    flux = np.full((2, 50), 6.0)
    table = Table({"source_id": [1, 2], "flux": flux, "ivar": np.full((2, 50), 4.0)})
    table["continuum"] = np.full((2, 50), 2.0)
    table["wavelength"] = np.tile(np.linspace(5000, 5010, 50), (2, 1))
    known = prepare(table, continuum="known")
    np.testing.assert_array_equal(known.values, 3)
    np.testing.assert_array_equal(known.errors, 0.25)


def galah_star(folder, star, velocity):
    """The four cameras of a star of which the spectrum at rest is a known function."""
    from astropy.io import fits

    for camera in (1, 2, 3, 4):
        content = files.galah(folder, star, camera, velocity)
        wavelength = content["start"] + content["step"] * np.arange(4096)
        rest = wavelength * doppler_factor(velocity)
        with fits.open(content["path"], mode="update") as hdus:
            hdus[0].data = (1000 * at_rest(rest)).astype(np.float32)


def at_rest(wavelength):
    flux = np.ones_like(wavelength)
    for line in (4861.323, 5700.0, 6562.797, 7700.0):
        flux = flux - 0.5 * np.exp(-0.5 * ((wavelength - line) / 0.6) ** 2)
    return flux


def test_galah_cameras_become_one_star_at_rest(tmp_path):
    stars = {170418003701205: 0.0, 170418003701206: 80.0, 170418003701207: -150.0}
    for star, velocity in stars.items():
        galah_star(tmp_path, star, velocity)
    (tmp_path / "1704180037012074.fits").unlink()  # the infrared camera of one star is missing
    spectra = prepare(tmp_path, grid=galah_grid(), continuum="none")
    assert spectra.source_id.tolist() == list(stars)
    assert spectra.grid.medium == "air"
    assert "camera" not in spectra.labels.colnames
    expected = 1000 * at_rest(spectra.grid.wavelength)
    for i in range(3):
        used = ~spectra.mask[i]
        assert used.mean() > (0.73 if i == 2 else 0.95)
        np.testing.assert_allclose(spectra.values[i, used], expected[used], atol=12)
    assert spectra.mask[2, spectra.grid.wavelength > 7600].all()
    normalised = prepare(tmp_path, grid=galah_grid(), continuum=Continuum("quantile"))
    used = ~normalised.mask[0]
    assert np.median(normalised.values[0, used]) == pytest.approx(1, abs=0.01)


def test_velocities_from_a_catalogue(tmp_path):
    grid = log_grid(16000, 16060, 2e-6)
    line = 1 - 0.5 * np.exp(-0.5 * ((grid.wavelength - 16030) / 0.3) ** 2)
    observed = np.interp(grid.wavelength * doppler_factor(40.0), grid.wavelength, line)
    barycentric = WavelengthGrid(grid.wavelength, "Angstrom", "vacuum", "barycentric")
    spectra = SpectrumSet(
        [5], observed[None], np.full((1, line.size), 0.01), barycentric, unit=u.one
    )
    write_vectors(spectra, tmp_path / "s.h5")
    target = log_grid(16005, 16055, 6e-6)
    with pytest.raises(StarkinError, match="radial_velocity"):
        prepare(tmp_path / "s.h5", grid=target)
    labels = Table({"source_id": [5], "radial_velocity": [40.0]})
    new = prepare(tmp_path / "s.h5", grid=target, labels=labels, continuum="none")
    assert target.wavelength[np.argmin(new.values[0])] == pytest.approx(16030, abs=0.25)
    with pytest.raises(StarkinError, match="--grid"):
        prepare(tmp_path / "s.h5", labels=labels)


def test_air_and_vacuum_files_meet_on_one_grid(tmp_path):
    air = log_grid(6540, 6580, 3e-6, medium="air")
    vacuum = WavelengthGrid(to_vacuum(air.wavelength), "Angstrom", "vacuum", "rest")
    flux = (1 - 0.5 * np.exp(-0.5 * ((air.wavelength - 6562.8) / 0.5) ** 2))[None]
    for star, grid in ((1, air), (2, vacuum)):
        spectra = SpectrumSet([star], flux, np.full(flux.shape, 0.01), grid, unit=u.one)
        write_vectors(spectra, tmp_path / f"{star}.fits")
    with pytest.raises(StarkinError, match="another grid"):
        prepare(tmp_path)
    target = log_grid(6550, 6570, 6e-6, medium="air")
    both = prepare(tmp_path, grid=target, continuum="none")
    np.testing.assert_allclose(both.values[0], both.values[1], atol=5e-3)


def test_unreadable_files_are_listed(apstars):
    bad = apstars / "apStar-dr17-broken.fits"
    bad.write_bytes((apstars / f"apStar-dr17-{NAMES[0]}.fits").read_bytes()[:20_000])
    with pytest.raises(StarkinError, match="broken"):
        prepare(apstars, grid=apogee_grid())
    spectra = prepare(apstars, grid=apogee_grid(), on_error="reject")
    assert len(spectra) == 2
    assert "broken" in spectra.meta["unreadable"][0]


def test_what_cannot_be_prepared(apstars, make_spectra):
    with pytest.raises(StarkinError, match="continuum must be"):
        prepare(apstars, continuum="spline")
    with pytest.raises(StarkinError, match="need no preparing"):
        prepare([make_spectra()])
    assert isinstance(make_spectra().grid, XPGrid)
    files.apstar(apstars / "again.fits", NAMES[0])
    with pytest.raises(StarkinError, match="comes 2 times"):
        prepare(apstars, grid=apogee_grid())


def test_large_sets_pass_in_pieces(tmp_path, monkeypatch):
    from importlib import import_module

    rng = np.random.default_rng(0)
    grid = log_grid(16000, 16100, 3e-6)
    values = 100 * rng.normal(1, 0.01, (7, grid.n_pixels))
    spectra = SpectrumSet(np.arange(7), values, np.ones_like(values), grid, unit=u.count)
    target = log_grid(16010, 16090, 6e-6)
    whole = prepare([spectra], grid=target)
    monkeypatch.setattr(import_module("starkin.io.prepare"), "_TOGETHER", 3)
    pieces = prepare([spectra], grid=target)
    np.testing.assert_allclose(pieces.values, whole.values, rtol=1e-12)
    np.testing.assert_array_equal(pieces.source_id, whole.source_id)
    assert pieces.meta == whole.meta
