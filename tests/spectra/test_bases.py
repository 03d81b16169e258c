"""The official bases, against GaiaXPy's own functions and against their definition."""

from __future__ import annotations

import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from scipy.special import eval_hermite, gammaln

from starkin.spectra import StarkinError, XPGrid, bases

USER_GRID = np.concatenate([np.arange(330.0, 650, 7.3), np.arange(650.0, 1050, 11.1)])


@pytest.fixture(scope="module")
def gaiaxpy():
    with warnings.catch_warnings():  # GaiaXPy silences RuntimeWarning for the whole process
        import gaiaxpy

        yield gaiaxpy


def test_hermite_functions_match_their_definition():
    x = np.linspace(-4, 4, 33)
    for n in (0, 1, 2, 7, 20):
        norm = np.exp(-0.5 * (n * np.log(2) + gammaln(n + 1) + 0.5 * np.log(np.pi)))
        expected = norm * eval_hermite(n, x) * np.exp(-(x**2) / 2)
        np.testing.assert_allclose(bases.hermite_functions(x, n + 1)[n], expected, atol=1e-12)


def test_hermite_functions_are_orthonormal_up_to_the_last():
    x = np.linspace(-20, 20, 4001)
    h = bases.hermite_functions(x, 55)
    np.testing.assert_allclose(h @ h.T * (x[1] - x[0]), np.eye(55), atol=1e-12)


def test_default_sampling_is_gaiaxpys(gaiaxpy):
    from gaiaxpy.core.config import load_xpmerge_from_xml, load_xpsampling_from_xml

    wavelength, weights = load_xpmerge_from_xml()
    design = load_xpsampling_from_xml()
    np.testing.assert_array_equal(bases.default_wavelength(), wavelength)
    np.testing.assert_array_equal(wavelength, np.arange(336.0, 1021, 2))
    for band in ("bp", "rp"):
        np.testing.assert_array_equal(bases.band_design(band), design[band])
        np.testing.assert_array_equal(bases.merge_weights()[band], weights[band])


@pytest.mark.parametrize("band", ["bp", "rp"])
def test_user_sampling_is_gaiaxpys(gaiaxpy, band):
    from gaiaxpy.calibrator.external_instrument_model import ExternalInstrumentModel
    from gaiaxpy.config.paths import config_path
    from gaiaxpy.spectrum.sampled_basis_functions import SampledBasisFunctions

    model = {"bp": "v375wi", "rp": "v142r"}[band]
    files = [
        str(Path(config_path) / f"{band}C03_{model}_{key}.csv")
        for key in ("dispersion", "response", "bases")
    ]
    theirs = SampledBasisFunctions.from_external_instrument_model(
        USER_GRID, np.ones(USER_GRID.size), ExternalInstrumentModel.from_config_csv(*files)
    ).get_design_matrix()
    # Where the response all but vanishes (1e-10) it is a rounding error of a spline:
    # compare where the band is used.
    low, high = bases.BAND_RANGE[band]
    used = (low <= USER_GRID) & (high >= USER_GRID)
    ours = bases.band_design(band, USER_GRID)
    np.testing.assert_allclose(ours[:, used], theirs[:, used], rtol=1e-9, atol=1e-12 * theirs.max())


def test_internal_bases_are_the_converters(gaiaxpy):
    from gaiaxpy.config.paths import hermite_bases_file
    from gaiaxpy.converter.config import parse_config
    from gaiaxpy.converter.converter import get_design_matrices

    u = np.linspace(0, 60, 31)
    theirs = get_design_matrices(u, parse_config(hermite_bases_file))
    for band in ("bp", "rp"):
        np.testing.assert_allclose(
            bases.internal_bases(band, u), theirs[band].get_design_matrix(), atol=1e-8
        )


def test_bands_cross_linearly_between_635_and_643_nm():
    weights = bases.merge_weights(np.array([600.0, 635, 637, 639, 643, 700]))
    np.testing.assert_allclose(weights["bp"], [1, 1, 0.75, 0.5, 0, 0])
    np.testing.assert_allclose(weights["bp"] + weights["rp"], 1)


def test_sampling_design_stacks_bp_then_rp():
    design = bases.sampling_design(XPGrid())
    assert design.shape == (110, 343)
    wavelength = bases.default_wavelength()
    assert not design[:55, wavelength > 643].any()
    assert not design[55:, wavelength < 635].any()
    blue, red = wavelength < 635, wavelength > 643
    np.testing.assert_array_equal(design[:55, blue], bases.band_design("bp")[:, blue])
    np.testing.assert_array_equal(design[55:, red], bases.band_design("rp")[:, red])


def test_cached_matrices_cannot_be_changed_by_accident():
    with pytest.raises(ValueError, match="read-only"):
        bases.band_design("bp")[0, 0] = 1.0
    with pytest.raises(ValueError, match="read-only"):
        bases.band_design("bp", USER_GRID)[0, 0] = 1.0


def test_unpublished_bases_are_refused():
    with pytest.raises(StarkinError, match="55 BP bases and the spectra have 51"):
        bases.sampling_design(XPGrid(51, 55))


@pytest.mark.parametrize(
    ("wavelength", "message"),
    [
        ([300.0, 400.0], "330-1050 nm"),
        ([400.0, 1100.0], "330-1050 nm"),
        ([500.0, 400.0], "strictly increasing"),
        ([400.0, np.nan], "strictly increasing"),
        ([], "strictly increasing"),
    ],
)
def test_unusable_wavelengths_are_refused(wavelength, message):
    with pytest.raises(StarkinError, match=message):
        bases.sampling_design(XPGrid(), np.array(wavelength))


def test_gaiaxpy_itself_is_never_imported():
    code = (
        "import sys; from starkin.spectra import bases; bases.sampling_design(); "
        "bases.band_model('bp'); sys.exit('gaiaxpy' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
