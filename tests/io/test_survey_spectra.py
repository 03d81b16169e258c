"""Readers of the surveys' own layouts, against what was put into the files and specutils."""

from __future__ import annotations

import gzip
import warnings

import numpy as np
import pytest
from astropy.io import fits

from starkin.io import identify, read
from starkin.io.pixel_masks import BAD_PIXELS
from starkin.spectra import StarkinError
from starkin.spectra.flags import Flag
from starkin.spectra.quality import quality_flags

from . import survey_files as files

NAME = "2M00000317+5821383"


def specutils_read(path, kind):
    from specutils import Spectrum

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return Spectrum.read(path, format=kind)


def test_apstar(tmp_path):
    path = tmp_path / f"apStar-dr17-{NAME}.fits"
    content = files.apstar(path)
    assert identify(path) == "apstar"
    spectra = read(path)
    assert (len(spectra), spectra.n_pixels) == (1, 8575)
    grid = spectra.grid
    assert (grid.medium, grid.frame, grid.unit) == ("vacuum", "rest", "Angstrom")
    assert grid.wavelength[0] == pytest.approx(15100.8015, abs=1e-4)
    assert grid.wavelength[-1] == pytest.approx(10 ** (4.179 + 6e-6 * 8574))
    np.testing.assert_array_equal(spectra.values[0, 310:], content["flux"][310:])
    np.testing.assert_array_equal(spectra.errors[0, 310:], 2)
    assert np.flatnonzero(spectra.mask[0]).tolist() == [*range(200), 300, 301, 303]
    assert spectra.labels["apogee_id"][0] == NAME
    assert spectra.label("radial_velocity")[0] == -25.4
    assert spectra.labels["radial_velocity"].unit == "km / s"
    assert spectra.label("snr")[0] == 47.3
    assert spectra.source_id[0] < 0
    assert str(spectra.unit) == "1e-17 erg / (Angstrom s cm2)"


def test_sky_lines_are_kept_by_choice(tmp_path):
    path = tmp_path / "apStar.fits"
    files.apstar(path)
    kept = read(path, bad_pixels=tuple(b for b in BAD_PIXELS if b != "SIG_SKYLINE"))
    assert np.flatnonzero(kept.mask[0, 200:]).tolist() == [100, 103]
    stricter = read(path, bad_pixels=(*BAD_PIXELS, "PERSIST_LOW"))
    assert stricter.mask[0, 302]
    with pytest.raises(StarkinError, match="SIG_SKYLINES"):
        read(path, bad_pixels=("SIG_SKYLINES",))


def test_apstar_agrees_with_specutils(tmp_path):
    path = tmp_path / "apStar.fits"
    files.apstar(path)
    theirs = specutils_read(path, "APOGEE apStar")
    ours = read(path)
    np.testing.assert_allclose(
        ours.grid.wavelength, theirs.spectral_axis.to_value("AA"), rtol=1e-12
    )
    used = ~ours.mask[0]
    np.testing.assert_array_equal(ours.values[0, used], theirs.flux.value[used])
    np.testing.assert_array_equal(ours.errors[0, used], theirs.uncertainty.array[used])
    assert theirs.flux.unit.is_equivalent(ours.unit)


def test_a_single_visit_is_one_row(tmp_path):
    path = tmp_path / "apStar.fits"
    content = files.apstar(path, visits=1)
    np.testing.assert_array_equal(read(path).values[0, 400:], content["flux"][400:])


def test_a_folder_of_apstars_is_one_set(tmp_path):
    names = [NAME, "2M00000032+5737103", "2M00000068+5710233"]
    for name in names:
        files.apstar(tmp_path / f"apStar-dr17-{name}.fits", name)
    spectra = read(tmp_path)
    assert sorted(spectra.labels["apogee_id"]) == sorted(names)
    assert len(set(spectra.source_id.tolist())) == 3
    again = read(tmp_path / f"apStar-dr17-{NAME}.fits")
    assert again.source_id[0] in spectra.source_id


def test_aspcapstar(tmp_path):
    path = tmp_path / f"aspcapStar-dr17-{NAME}.fits"
    content = files.aspcapstar(path)
    assert identify(path) == "aspcapstar"
    spectra = read(path)
    assert spectra.source_id[0] == 422596679964513792
    assert np.flatnonzero(spectra.mask[0]).tolist() == [400, *range(3274, 3585)]
    used = ~spectra.mask[0]
    np.testing.assert_array_equal(spectra.values[0, used], content["flux"][used])
    assert spectra.label("teff")[0] == 4723.5
    assert spectra.label("mg_h")[0] == pytest.approx(-0.1)
    assert np.isnan(spectra.label("na_h")[0])
    theirs = specutils_read(path, "APOGEE aspcapStar")
    np.testing.assert_array_equal(spectra.values[0, used], theirs.flux.value[used])
    np.testing.assert_allclose(
        spectra.grid.wavelength, theirs.spectral_axis.to_value("AA"), rtol=1e-12
    )


def test_mwmstar_prefers_apogee_and_the_better_site(tmp_path):
    path = tmp_path / "mwmStar-0.6.0-34.fits"
    content = files.mwm(path, {"BOSS/APO": 1, "APOGEE/APO": 1, "APOGEE/LCO": 1})
    assert identify(path) == "mwm"
    spectra = read(path)
    assert spectra.source_id.tolist() == [77]
    assert spectra.n_pixels == 8575
    assert np.flatnonzero(spectra.mask[0]).tolist() == [5, 6]
    used = ~spectra.mask[0]
    np.testing.assert_array_equal(spectra.values[0, used], content["APOGEE/LCO"][0, used])
    np.testing.assert_allclose(spectra.errors[0, used], 0.2)
    assert spectra.labels["sdss_id"][0] == 34
    assert spectra.grid == read_grid(tmp_path)
    boss = read(path, format="mwm-boss")
    assert boss.n_pixels == 4648
    assert np.flatnonzero(boss.mask[0]).tolist() == [5]


def read_grid(folder):
    files.apstar(folder / "apStar.fits")
    return read(folder / "apStar.fits").grid


def test_mwmvisit_keeps_every_visit(tmp_path):
    path = tmp_path / "mwmVisit-0.6.0-34.fits"
    content = files.mwm(path, {"APOGEE/APO": 3}, visit=True)
    spectra = read(path)
    assert len(spectra) == len(set(spectra.source_id.tolist())) == 3
    assert spectra.labels["star_id"].tolist() == [77, 77, 77]
    assert spectra.labels["mjd"].tolist() == [59804, 59805, 59806]
    np.testing.assert_array_equal(spectra.values[:, 10:], content["APOGEE/APO"][:, 10:])


def test_a_visit_that_no_velocity_brought_to_rest_is_masked(tmp_path):
    path = tmp_path / "mwmVisit-0.6.0-34.fits"
    files.mwm(path, {"APOGEE/APO": 3, "APOGEE/LCO": 1}, visit=True, stray=(1,))
    spectra = read(path)
    assert spectra.mask.all(axis=1).tolist() == [False, True, False, False]
    assert spectra.labels["in_stack"].tolist() == [True, False, True, True]
    assert np.flatnonzero(spectra.mask[0]).tolist() == [5, 6]


def test_a_visit_that_could_not_be_resampled_is_masked(tmp_path):
    """Astra leaves flux and inverse variance at zero there."""
    path = tmp_path / "mwmVisit-0.6.0-34.fits"
    files.mwm(path, {"APOGEE/LCO": 2}, visit=True)
    with fits.open(path, mode="update") as hdus:
        hdus[4].data["flux"][1] = 0
        hdus[4].data["ivar"][1] = 0
    spectra = read(path)
    assert spectra.mask.all(axis=1).tolist() == [False, True]
    assert (quality_flags(spectra) & Flag.NOT_ENCODED).astype(bool).tolist() == [False, True]


@pytest.mark.parametrize("write", [files.apstar, files.aspcapstar])
def test_gzipped_files_give_the_same(tmp_path, write):
    path = tmp_path / f"asStar-dr17-{NAME}.fits"
    write(path)
    packed = path.with_name(path.name + ".gz")
    packed.write_bytes(gzip.compress(path.read_bytes()))
    plain, again = read(path), read(packed)
    np.testing.assert_array_equal(plain.values, again.values)
    np.testing.assert_array_equal(plain.mask, again.mask)
    assert plain.source_id[0] == again.source_id[0]
    assert plain.labels["apogee_id"][0] == again.labels["apogee_id"][0] == NAME


def test_mwmstar_agrees_with_specutils_on_every_table(tmp_path):
    from specutils.io.default_loaders.sdss_v import load_sdss_mwm_list

    path = tmp_path / "mwmStar-0.6.0-34.fits"
    files.mwm(path, {"BOSS/LCO": 1, "APOGEE/APO": 1})
    boss, apogee = load_sdss_mwm_list(str(path))
    for theirs, ours in ((boss, read(path, format="mwm-boss")), (apogee, read(path))):
        # Their wavelengths are the column's float32.
        np.testing.assert_allclose(ours.grid.wavelength, theirs.spectral_axis.value, rtol=1e-7)
        used = ~ours.mask[0]
        np.testing.assert_array_equal(ours.values[0, used], np.ravel(theirs.flux.value)[used])


def test_mwm_agrees_with_specutils(tmp_path):
    from specutils.io.default_loaders.sdss_v import load_sdss_mwm_1d

    path = tmp_path / "mwmVisit-0.6.0-34.fits"
    files.mwm(path, {"APOGEE/APO": 2}, visit=True)
    theirs, ours = load_sdss_mwm_1d(str(path), hdu=3), read(path)
    np.testing.assert_allclose(ours.grid.wavelength, theirs.spectral_axis.value, rtol=1e-12)
    used = ~ours.mask
    np.testing.assert_array_equal(ours.values[used], theirs.flux.value[used])
    np.testing.assert_allclose(ours.errors[used] ** -2.0, theirs.uncertainty.array[used], rtol=1e-6)
    # specutils masks by any flag; the inverse variance of 0 is left to its user.
    np.testing.assert_array_equal(ours.mask, theirs.mask | (theirs.uncertainty.array == 0))


def test_an_mwm_without_spectra(tmp_path):
    path = tmp_path / "mwmStar-0.6.0-34.fits"
    files.mwm(path, {})
    with pytest.raises(StarkinError, match="holds no spectrum"):
        read(path)
    with pytest.raises(StarkinError, match="no spectrum of BOSS"):
        read(path, format="mwm-boss")


def test_galah(tmp_path):
    content = files.galah(tmp_path, 170418003701205, 2)
    assert identify(content["path"]) == "galah"
    spectra = read(content["path"])
    assert spectra.source_id.tolist() == [170418003701205]
    assert (spectra.grid.medium, spectra.grid.frame) == ("air", "barycentric")
    assert spectra.grid.wavelength[[0, 2]].tolist() == pytest.approx([5648.0, 5648.1094])
    np.testing.assert_allclose(spectra.values[0, 8:], content["flux"][8:], rtol=1e-6)
    np.testing.assert_allclose(spectra.errors[0, 8:], 0.02 * content["flux"][8:], rtol=1e-6)
    assert np.flatnonzero(spectra.mask[0]).tolist() == [7]
    assert spectra.label("radial_velocity")[0] == 30
    assert spectra.label("camera")[0] == 2


def test_galah_with_the_slit_mask_and_without_names_of_extensions(tmp_path):
    content = files.galah(tmp_path, 170418003701205, 3, slit="IN      ", named=False)
    assert identify(content["path"]) == "galah"
    spectra = read(content["path"])
    assert spectra.grid.resolution == 42_000
    np.testing.assert_allclose(spectra.errors[0, 8:], 0.02 * content["flux"][8:], rtol=1e-6)


def test_galah_under_another_name(tmp_path):
    content = files.galah(tmp_path, 170418003701205, 2)
    other = content["path"].rename(tmp_path / "spectrum.fits")
    with pytest.raises(StarkinError, match="sobject_id and camera"):
        read(other)


def test_spectra_on_different_grids_say_to_resample(tmp_path):
    files.apstar(tmp_path / "apStar-dr17-x.fits")
    files.galah(tmp_path, 170418003701205, 1)
    with pytest.raises(StarkinError, match="resample"):
        read(tmp_path)


def test_a_catalogue_is_no_spectrum(tmp_path):
    files.allstar(tmp_path / "allStar.fits", [files.allstar_row()])
    with pytest.raises(StarkinError, match="--labels"):
        read(tmp_path / "allStar.fits")


def test_what_only_specutils_reads(tmp_path):
    """An apVisit: three chips, wavelengths as an array, decreasing."""
    path = tmp_path / "apVisit.fits"
    primary = fits.PrimaryHDU()
    primary.header.update({"SURVEY": "apogee2"})
    primary.header["HISTORY"] = "APOGEE Reduction Pipeline"
    wavelength = np.linspace(16900, 15100, 30).reshape(3, 10)
    arrays = [(np.arange(30.0).reshape(3, 10), "Flux"), (np.full((3, 10), 2.0), "Flux error")]
    arrays += [(np.zeros((3, 10), np.int16), "Mask"), (wavelength, "Wavelength")]
    hdus = [fits.ImageHDU(array, header=fits.Header({"BUNIT": unit})) for array, unit in arrays]
    fits.HDUList([primary, *hdus]).writeto(path)
    assert identify(path) == "specutils"
    spectra = read(path)
    np.testing.assert_allclose(spectra.grid.wavelength, wavelength.ravel()[::-1])
    np.testing.assert_array_equal(spectra.values[0], np.arange(30.0)[::-1])
    np.testing.assert_array_equal(spectra.errors[0], 2)
    assert any("vacuum" in text for text in spectra.meta["assumed"])


@pytest.mark.parametrize("keep", [0.3, 0.7, 0.98])
def test_truncated_survey_files(tmp_path, keep):
    path = tmp_path / "apStar.fits"
    files.apstar(path)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * keep)])
    with pytest.raises(StarkinError, match=str(path)):
        read(path)


def test_damaged_layouts(tmp_path):
    path = tmp_path / "apStar.fits"
    files.apstar(path)
    with fits.open(path, mode="update") as hdus:
        del hdus[1].header["CDELT1"]
    with pytest.raises(StarkinError, match="CDELT1"):
        read(path)
