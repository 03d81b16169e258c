"""Rare classes: the stars they are, and what their light shows."""

from __future__ import annotations

import numpy as np
import pytest

from starkin.simulate import tracks
from starkin.simulate.light import WAVELENGTH, extinction
from starkin.simulate.rare import CLASSES, _lines, draw_class

N = 400


@pytest.fixture(scope="module")
def groups():
    return {name: draw_class(name, N, 6.0, 17.65, np.random.default_rng(11)) for name in CLASSES}


@pytest.mark.parametrize("name", CLASSES)
def test_every_class_is_drawn_whole(groups, name):
    group = groups[name]
    stars = group.stars
    assert len(stars) == N
    for column in (stars.teff, stars.logg, stars.m_h, stars.alpha_m, stars.c_m, stars.a_v):
        assert np.isfinite(column).all()
    assert stars.teff.min() >= 2500
    assert stars.g_mag.max() <= 17.65
    assert np.ptp(stars.lon) > 200
    # gravity, mass and luminosity are those of one star
    assert stars.logg == pytest.approx(
        tracks.gravity(stars.mass, stars.log_l, stars.teff), abs=0.01
    )
    if group.companion is not None:
        assert group.companion.radius.shape == (N,)


def test_cemp_stars_are_metal_poor_and_carbon_rich_in_two_bands(groups):
    stars = groups["cemp"].stars
    assert stars.m_h.max() < -1.7
    assert stars.logg.max() < 4.2  # evolved: dwarf carbon stars are another matter
    assert stars.c_m.min() >= 0.7  # the definition of Aoki et al. 2007
    absolute = stars.c_m + stars.m_h + 8.43  # A(C)
    low, high = (absolute < 7.3), (absolute > 7.5)
    assert low.mean() > 0.1
    assert high.mean() > 0.4
    assert stars.m_h[low].mean() < stars.m_h[high].mean()  # the low band is the more metal-poor


def test_carbon_stars_have_more_carbon_than_oxygen(groups):
    # (C/O)☉ = 0.55, and [O/M] is [α/M]
    stars = groups["carbon"].stars
    assert (0.55 * 10**stars.c_m).min() > 1.0
    assert np.all((stars.teff < 3600) & (stars.logg < 1.5))


def test_an_emission_line_has_the_equivalent_width_asked_for():
    flux = np.full((2, WAVELENGTH.size), 3.0)
    added = _lines(WAVELENGTH, flux, [(656.5, np.array([2.0, 5.0]))]) - flux
    assert np.trapezoid(added, WAVELENGTH) / 3.0 == pytest.approx([2.0, 5.0], rel=0.02)


def test_be_stars_shine_in_h_alpha_and_in_the_red(groups):
    flat = np.ones((N, WAVELENGTH.size))
    dressed = groups["be"].dress(WAVELENGTH, flat)
    at = {x: dressed[:, np.argmin(np.abs(WAVELENGTH - x))] for x in (600, 656.5, 700, 1000)}
    assert np.all(at[656.5] > at[700])
    assert np.all(at[1000] > at[600])
    assert groups["be"].stars.teff.min() > 10_000


def test_miras_show_a_steep_decrement(groups):
    flat = np.ones((N, WAVELENGTH.size))
    dressed = groups["lpv"].dress(WAVELENGTH, flat)
    h_delta = dressed[:, np.argmin(np.abs(WAVELENGTH - 410.3))] - 1
    h_beta = dressed[:, np.argmin(np.abs(WAVELENGTH - 486.3))] - 1
    shining = h_delta > 0.05
    assert 0.3 < shining.mean() < 1.0  # not at every phase
    assert np.all(h_delta[shining] > 3 * h_beta[shining])
    assert dressed[:, np.argmin(np.abs(WAVELENGTH - 744))].mean() < 0.9  # VO


def test_cyclotron_humps_stand_at_the_harmonics_of_the_field(groups):
    flat = np.ones((N, WAVELENGTH.size))
    dressed = groups["unknown"].dress(WAVELENGTH, flat)
    assert np.median(dressed.max(axis=1)) > 2
    # In frequency the humps are equally spaced: 1/λ = n B / 107,100 nm MG. The strongest one
    # of each star lies at such a place for some field within the range drawn.
    red = (WAVELENGTH > 690) & (WAVELENGTH < 1000)
    peak = WAVELENGTH[red][np.argmax(dressed[:, red], axis=1)]
    fields = 107_100 / (peak[:, np.newaxis] * np.arange(1, 12))
    assert np.all(((fields > 19) & (fields < 61)).any(axis=1))
    assert not groups["unknown"].stellar


def test_algols_mix_a_hot_and_a_cool_star(groups):
    group = groups["eclipsing_binary"]
    assert group.stars.teff.min() > 6800
    assert np.all((group.companion.teff > 4000) & (group.companion.teff < 5100))
    assert np.all((group.companion.logg > 2.0) & (group.companion.logg < 3.9))


def test_white_dwarfs_are_hot_small_and_free_of_metals(groups):
    companion = groups["wd_ms"].companion
    assert companion.logg == pytest.approx(np.full(N, 8.0), abs=0.3)
    assert companion.m_h.max() <= -5
    assert groups["wd_ms"].stars.teff.max() < 4000


def test_binaries_share_composition_and_the_lighter_star_is_cooler(groups):
    group = groups["binary"]
    assert np.array_equal(group.companion.m_h, group.stars.m_h)
    assert (group.companion.teff <= group.stars.teff + 1).mean() > 0.9


def test_extinction_law_is_normalised_and_reddens():
    at = {x: extinction()[np.argmin(np.abs(WAVELENGTH - x))] for x in (400, 550, 900)}
    assert at[550] == pytest.approx(1.0, abs=0.03)
    assert at[400] > 1.3
    assert at[900] < 0.6
