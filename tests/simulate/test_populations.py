"""Tracks, Galaxy and populations against published anchors and worked cases."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import kstest

from starkin.simulate import galaxy, tracks
from starkin.simulate.populations import (
    about_tracks,
    alpha_split,
    component_fractions,
    draw_component,
    draw_field,
    draw_single,
    g_absolute,
)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_the_sun():
    t_ms, _ = tracks.lifetime(np.array(1.0), np.array(0.0))
    assert t_ms == pytest.approx(11.0, abs=0.2)  # Hurley et al. 2000, fig. 4: 11 Gyr
    log_l, teff = tracks.main_sequence(1.0, 0.0, 4.57 / t_ms)
    assert log_l == pytest.approx(0.0, abs=0.02)
    assert teff == pytest.approx(5772, abs=40)
    assert tracks.gravity(1.0, log_l, teff) == pytest.approx(4.438, abs=0.02)
    assert tracks.radius(log_l, teff) == pytest.approx(1.0, abs=0.02)
    # Absolute G of the Sun: 4.66 to 4.68 (Casagrande & VandenBerg 2018; Creevey et al. 2023).
    assert g_absolute(log_l, teff) == pytest.approx(4.67, abs=0.05)


@pytest.mark.parametrize(
    ("mass", "zeta", "fraction", "teff", "log_l"),
    [  # PARSEC and MIST isochrones at about these ages
        (0.5, 0.0, 0.03, 3750, -1.42),
        (0.7, 0.0, 0.1, 4400, -0.85),
        (1.5, 0.0, 0.4, 7100, 0.80),
        (2.0, 0.0, 0.3, 8900, 1.29),
        (0.75, -1.5, 0.6, 6050, -0.18),
    ],
)
def test_main_sequence_anchors(mass, zeta, fraction, teff, log_l):
    found_l, found_t = tracks.main_sequence(mass, zeta, fraction)
    assert found_t == pytest.approx(teff, rel=0.05)
    assert found_l == pytest.approx(log_l, abs=0.15)


def test_turnoff_mass_inverts_the_lifetime():
    age, zeta = np.array([0.5, 2.0, 5.0, 10.0, 12.5]), np.array([0.2, 0.0, -0.3, -0.8, -2.0])
    mass = tracks.turnoff_mass(age, zeta)
    assert tracks.lifetime(mass, zeta)[0] == pytest.approx(age, rel=2e-3)
    assert np.all(np.diff(tracks.turnoff_mass(age, np.zeros(5))) < 0)


@pytest.mark.parametrize(
    ("log_l", "teff", "logg"), [(0.45, 5000, 3.75), (1.7, 4550, 2.35), (3.4, 3450, 0.15)]
)
def test_solar_giant_branch(log_l, teff, logg):
    """MIST, 1 M☉, [Fe/H] = 0: base of the branch, clump luminosity, tip (to 150 K)."""
    found_t, found_g = tracks.rgb_state(np.array(log_l), np.array(0.0), np.array(1.0))
    assert found_t == pytest.approx(teff, abs=150)
    assert found_g == pytest.approx(logg, abs=0.15)


def test_metal_poor_stars_are_hotter_and_alpha_counts_as_metals():
    poor, _ = tracks.rgb_state(np.array(1.7), np.array(-1.5), np.array(0.8))
    rich, _ = tracks.rgb_state(np.array(1.7), np.array(0.2), np.array(0.8))
    assert 250 < poor - rich < 700
    # Salaris et al. 1993 by hand: 0.694·10^0.3 + 0.306 = 1.6907, log = 0.2281.
    assert tracks.effective_metallicity(-1.0, 0.3) == pytest.approx(-1.0 + 0.2281, abs=1e-4)


def test_patil_split_by_hand():
    # x = -0.5: -0.021925 + 0.027975 + 0.06265 + 0.1353
    assert alpha_split(np.array([0.0, -0.5])) == pytest.approx([0.1353, 0.204])


def test_the_two_alpha_sequences_lie_on_either_side_of_the_split():
    stars = draw_field(4000, 6.0, 17.65, rng())
    above = stars.alpha_m > alpha_split(stars.m_h)
    for component, high in (("thick_disc", True), ("thin_disc", False), ("outer_disc", False)):
        rows = stars.component == galaxy.COMPONENTS.index(component)
        assert (above[rows] == high).mean() > 0.97


def test_both_sequences_are_populated_at_the_same_metallicity():
    """In the sense of Hayden et al. 2015: no metallicity tells the sequence."""
    stars = draw_field(8000, 6.0, 15.0, rng())
    above = stars.alpha_m > alpha_split(stars.m_h)
    disc = (stars.m_h > -0.8) & (stars.m_h < -0.1)
    for low in (-0.7, -0.6, -0.5, -0.4, -0.3):
        share = above[(stars.m_h >= low) & (stars.m_h < low + 0.1)].mean()
        assert 0.1 < share < 0.9
    # The best threshold in [M/H] is far from telling the sequences apart …
    cuts = np.arange(-0.8, -0.1, 0.01)
    poor = stars.m_h[disc, np.newaxis] < cuts
    balanced = 0.5 * (poor[above[disc]].mean(0) + (~poor)[~above[disc]].mean(0))
    assert balanced.max() < 0.78
    # … and each scatters by 0.04 dex about its line.
    outer = stars.component == galaxy.COMPONENTS.index("outer_disc")
    line = 0.03 - 0.12 * stars.m_h[outer]
    assert np.std(stars.alpha_m[outer] - line) == pytest.approx(0.04, rel=0.15)


def test_high_alpha_stars_are_off_the_plane_and_rare_in_the_outer_disc():
    """In the sense of Hayden et al. 2015: at one metallicity, the mixture changes with place."""
    stars = draw_field(8000, 6.0, 16.0, rng(1))
    above = stars.alpha_m > alpha_split(stars.m_h)
    lon, lat = np.radians(stars.lon), np.radians(stars.lat)
    x = galaxy.R_SUN_KPC - stars.distance * np.cos(lat) * np.cos(lon)
    y = stars.distance * np.cos(lat) * np.sin(lon)
    r, z = np.hypot(x, y), np.abs(stars.distance * np.sin(lat))
    disc = (stars.m_h > -0.8) & (stars.m_h < -0.1)
    near = disc & (r > 7) & (r < 9)
    plane, high = above[near & (z < 0.5)].mean(), above[near & (z > 1) & (z < 2)].mean()
    inner, outer = (above[disc & (r > a) & (r < b)].mean() for a, b in ((3, 7), (9.5, 15)))
    assert high > 2 * plane
    assert inner > 2 * outer


def test_what_a_magnitude_limit_shows():
    stars = draw_field(6000, 6.0, 17.65, rng(1))
    assert stars.g_mag.min() >= 6.0
    assert stars.g_mag.max() <= 17.65
    share = component_fractions(6.0, 17.65)
    assert share.sum() == pytest.approx(1.0)
    assert share[1] > share[2] > share[3]  # thin disc, thick disc, halo
    giants = (stars.logg < 3.5).mean()
    assert 0.12 < giants < 0.40
    # Counts rise by 0.2 to 0.45 dex a magnitude in the Gaia catalogue at these magnitudes.
    faint, bright = (
        (stars.g_mag > 16.65).sum(),
        ((stars.g_mag > 14.65) & (stars.g_mag < 15.65)).sum(),
    )
    assert 0.15 < np.log10(faint / bright) / 2 < 0.45
    # A bright survey sees nearer stars.
    near = draw_field(2000, 6.0, 13.0, rng(1))
    assert np.median(near.distance) < 0.5 * np.median(stars.distance)


def test_the_red_clump_is_where_it_should_be():
    stars = draw_component("thin_disc", 3000, 6.0, 15.0, rng(2), lambda s: s["phase"] == 3)
    solar = np.abs(stars.m_h) < 0.1
    assert np.median(stars.logg[solar]) == pytest.approx(2.5, abs=0.12)
    assert np.median(stars.teff[solar]) == pytest.approx(4750, abs=120)
    # M_G of the clump: 0.4 to 0.5 (Hawkins et al. 2017)
    assert np.median(g_absolute(stars.log_l, stars.teff)[solar]) == pytest.approx(0.45, abs=0.2)


def test_no_star_outlives_its_age():
    stars = draw_field(3000, 6.0, 17.65, rng(3))
    zeta = tracks.effective_metallicity(stars.m_h, stars.alpha_m)
    dwarf = stars.phase == 0
    t_ms, _ = tracks.lifetime(stars.mass[dwarf], zeta[dwarf])
    assert np.all(t_ms > 0.98 * stars.age[dwarf])


def test_masses_follow_kroupa_where_every_star_is_seen():
    """In a volume so near that all are bright enough, the counts are the mass function."""
    stars = draw_component(
        "thin_disc", 4000, -30.0, 200.0, rng(4), lambda s: (s["phase"] == 0) & (s["mass"] < 0.9)
    )
    edges = np.array([0.15, 0.3, 0.5, 0.8])
    counts, _ = np.histogram(stars.mass, edges)

    def integral(low, high, slope):
        return (high ** (1 - slope) - low ** (1 - slope)) / (1 - slope)

    # ξ ∝ m^-1.3 below 0.5 M☉ and m^-2.3 above, continuous there.
    expected = np.array(
        [integral(0.15, 0.3, 1.3), integral(0.3, 0.5, 1.3), 0.5 * integral(0.5, 0.8, 2.3)]
    )
    expected *= counts.sum() / expected.sum()
    assert counts == pytest.approx(expected, rel=0.12)


def test_dust_to_the_pole_by_hand():
    # ∫ exp(-z/0.125 kpc) dz = 0.125 (1 - e^{-d/0.125}) at 1 mag/kpc; R changes by nothing.
    found = galaxy.dust(np.array([0.0]), np.array([np.pi / 2]), np.array([1.0]))
    assert found == pytest.approx([0.125 * (1 - np.exp(-8.0))], rel=0.02)
    inner, outer = galaxy.dust(np.array([0.0, np.pi]), np.zeros(2), np.full(2, 3.0))
    assert inner > 3.0 > outer > 1.5


def test_places_follow_density_times_volume():
    """Stars so near that density is constant fill the ball: (d/d_max)³ is uniform."""
    # Absolute magnitudes such that G = 15 is at 50 pc; the model begins at 10 pc.
    found = galaxy.place("halo", np.full(4000, 11.505), -9.0, 15.0, rng(5))
    low, high = 0.012, 0.048
    inside = found.distance[(found.distance > low) & (found.distance < high)]
    share = (inside**3 - low**3) / (high**3 - low**3)
    assert kstest(share, "uniform").pvalue > 1e-3
    assert kstest(np.sin(np.radians(found.lat)), "uniform", (-1, 2)).pvalue > 1e-3


def test_thick_disc_is_thicker():
    heights = {}
    for component in ("young_disc", "thin_disc", "outer_disc", "thick_disc", "halo"):
        where = galaxy.place(component, np.full(3000, 1.0), 6.0, 16.0, rng(6))
        heights[component] = np.median(np.abs(where.distance * np.sin(np.radians(where.lat))))
    assert sorted(heights, key=heights.get) == list(heights)


def test_parallax_errors_as_published():
    # G = 15: z = 1, √870 = 29.5 µas; G = 13 and brighter: z = 10^-0.8, √(40 + 126.8 + 0.75).
    assert galaxy.parallax_error(np.array([15.0, 10.0])) == pytest.approx(
        [0.029496, 0.012945], rel=1e-3
    )


def test_source_ids_encode_the_position_as_gaia_does():
    # Proxima Centauri, Gaia DR3 5853498713190525696, at 217.392°, -62.676°; compared at
    # HEALPix level 6, since the star has moved since its identifier was made.
    found = galaxy.source_ids(np.array([217.392]), np.array([-62.676]), np.array([7]))[0]
    assert (found >> (35 + 12)) == (5853498713190525696 >> (35 + 12))
    ids = galaxy.source_ids(np.full(50_000, 10.0), np.full(50_000, 20.0), np.arange(50_000))
    assert np.unique(ids).size == 50_000
    assert ids.min() > 0


def test_single_population_is_one_sequence():
    stars = draw_single(500, 6.0, 17.65, rng(7))
    assert np.unique(stars.component).size == 1
    assert stars.logg.min() > 3.7
    assert stars.mass.min() >= 0.7
    assert stars.mass.max() <= 1.2


def test_off_the_tracks_luminosity_stays():
    stars = draw_field(2000, 6.0, 15.0, rng(8))
    moved = about_tracks(stars, 0.01, rng(9))
    off = np.log(moved.teff / stars.teff)
    assert off.std() == pytest.approx(0.01, rel=0.06)
    assert abs(off.mean()) < 4 * 0.01 / np.sqrt(2000)
    assert np.array_equal(moved.log_l, stars.log_l)
    by_hand = tracks.gravity(moved.mass, moved.log_l, moved.teff)
    on_track = tracks.gravity(stars.mass, stars.log_l, stars.teff)
    assert moved.logg - stars.logg == pytest.approx(by_hand - on_track, abs=1e-9)
