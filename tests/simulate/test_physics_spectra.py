"""Spectra of stars against what every spectroscopist knows."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from starkin.simulate.physics import ELEMENTS, synthesise
from starkin.simulate.physics.energy import bolometric_ratio, temperature_scale
from starkin.simulate.physics.sampling import direct_sampling, sampling_for
from starkin.spectra import StarkinError

WAVE = np.arange(336.0, 1021.0, 4.0)


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def spectra(teff, logg, m_h=0.0, alpha_m=0.0, c_m=0.0, **more):
    return synthesise(teff, logg, m_h, alpha_m, c_m, wavelength_nm=WAVE, **more).astype(float)


def band(flux, low, high):
    return flux[:, (low <= WAVE) & (high >= WAVE)].mean(1)


def depth(flux, line, *sides):
    """Depth of a feature below the mean of its sides."""
    level = np.mean([band(flux, *s) for s in sides], axis=0)
    return 1 - band(flux, *line) / level


def test_flux_is_that_of_the_effective_temperature():
    teff = torch.tensor([3800.0, 4500, 5200, 5777, 6500, 8500], dtype=torch.float64)
    logg = torch.tensor([1.0, 2.5, 4.6, 4.44, 4.0, 4.0], dtype=torch.float64)
    m_h = torch.tensor([0.0, -0.5, 0.2, 0.0, -1.5, 0.0], dtype=torch.float64)
    ratio = bolometric_ratio(teff, logg, m_h, temperature_scale(teff, logg, m_h))
    np.testing.assert_allclose(ratio.numpy(), 1.0, atol=0.04)


def test_solar_spectrum_in_absolute_units():
    # Solar irradiance at 1 au [W m^-2 nm^-1], rounded values of the tabulated spectra (for
    # instance Thuillier et al. 2003), times (au / R)² = 46,230 for the flux at the surface.
    sun = spectra([5777.0], [4.44])
    for (low, high), irradiance in {
        (495, 505): 1.91, (595, 605): 1.75, (795, 805): 1.12, (895, 905): 0.91,
    }.items():  # fmt: skip
        assert band(sun, low, high)[0] == pytest.approx(irradiance * 46230, rel=0.08)


def test_balmer_lines_are_strongest_in_early_a_stars():
    teff = np.array([5500.0, 6500, 7500, 8500, 9500, 10500, 12000, 15000, 20000])
    h_beta = depth(spectra(teff, 4.0), (482, 490), (464, 472), (500, 508))
    assert 8000 < teff[h_beta.argmax()] < 10800
    assert (np.diff(h_beta[:4]) > 0).all()
    assert (np.diff(h_beta[-4:]) < 0).all()


def test_balmer_lines_narrow_and_jump_sharpens_in_supergiants():
    flux = spectra([9000.0, 9000.0, 9000.0], [2.0, 3.0, 4.2])
    wing = depth(flux, (482, 490), (464, 472), (500, 508))
    assert (np.diff(wing) > 0).all()
    # At the series limit high members blend in dwarfs: the jump sets in to the red of 365 nm.
    edge = band(flux, 366, 374) / band(flux, 400, 404)
    assert edge[0] > edge[2]


def test_balmer_jump_grows_as_gravity_falls_in_f_stars():
    flux = spectra([7000.0, 7000.0, 7000.0], [2.0, 3.0, 4.2])
    jump = band(flux, 400, 408) / band(flux, 350, 362)
    assert (np.diff(jump) < 0).all()


def test_titanium_oxide_appears_in_m_stars_and_vanishes_in_carbon_stars():
    flux = spectra([3400.0, 3800, 4600, 3400.0], [1.0, 1.2, 2.0, 1.0], 0.0, 0.0, [0, 0, 0, 0.6])
    tio = depth(flux, (708, 724), (696, 704), (744, 756))
    assert tio[0] > 0.35
    assert tio[0] > tio[1] > tio[2]
    assert abs(tio[2]) < 0.06
    assert tio[3] < 0.5 * tio[0]
    swan = 1 - band(flux, 508, 516) / band(flux, 520, 528)
    assert swan[3] > 0.3
    assert swan[3] > swan[0] + 0.2


def test_magnesium_and_calcium_tell_dwarfs_from_giants():
    flux = spectra([4500.0, 4500.0, 4500.0], [1.5, 3.0, 4.7])
    magnesium = depth(flux, (512, 520), (492, 504), (532, 544))
    sodium = depth(flux, (588, 591), (572, 580), (600, 608))
    assert magnesium[2] > magnesium[0] + 0.03
    assert sodium[2] > sodium[0]


def test_metals_redden_monotonically():
    m_h = np.array([-4.0, -3.0, -2.0, -1.0, -0.5, 0.0, 0.4])
    flux = spectra(5600.0, 4.3, m_h)
    colour = band(flux, 340, 420) / band(flux, 600, 800)
    assert (np.diff(colour) < 0).all()
    assert colour[0] / colour[-1] > 1.25


def test_carbon_shows_in_cemp_stars():
    flux = spectra(4900.0, 2.2, -2.5, 0.4, np.array([0.0, 0.7, 1.4, 2.1]))
    g_band = depth(flux, (424, 432), (416, 420), (444, 452))
    swan = 1 - band(flux, 464, 472) / band(flux, 480, 488)
    assert (np.diff(g_band) > 0).all()
    assert (np.diff(swan)[1:] > 0).all()
    assert swan[3] > swan[0] + 0.05


def test_alpha_elements_show_at_fixed_metallicity():
    flux = spectra([4600.0, 4600, 4700, 4700], [4.6, 4.6, 2.5, 2.5], -0.5, [0, 0.3, 0, 0.3])
    ratio = flux[1::2] / flux[::2]
    # Against the continuum at 606 nm: Mg b with MgH, and Ca II H and K, deepen.
    ratio = ratio / band(ratio, 600, 612)[:, None]
    magnesium, calcium = band(ratio, 512, 520), band(ratio, 392, 396)
    assert magnesium[0] < 0.985
    assert (calcium < 0.97).all()
    # More oxygen binds more carbon in CO: CN weakens in the giant.
    assert band(ratio, 380, 384)[1] > 1.03


def test_one_element_at_a_time():
    offsets = np.zeros((2, len(ELEMENTS)))
    sodium = [e.symbol for e in ELEMENTS].index("Na")
    offsets[1, sodium] = 0.5
    flux = spectra([4600.0, 4600.0], [4.6, 4.6], abundances=offsets)
    change = flux[1] / flux[0] - 1
    assert WAVE[np.abs(change).argmin()] > 0
    inside = (WAVE > 580) & (WAVE < 600)
    assert change[inside].min() < -0.01
    # Representative wavelengths stand for a pixel to two or three parts in a thousand.
    assert np.abs(change[(WAVE > 640) & (WAVE < 760)]).max() < 0.01


def test_everything_is_finite_and_positive_over_the_whole_range():
    rng = np.random.default_rng(5)
    n = 96
    teff = np.exp(rng.uniform(np.log(2500), np.log(40000), n))
    logg = rng.uniform(-1, 9, n)
    teff[:4], logg[:4] = [2500, 40000, 2500, 40000], [-1, -1, 9, 9]
    flux = spectra(
        teff, logg, rng.uniform(-6, 1, n), rng.uniform(-0.5, 1, n), rng.uniform(-1, 4, n)
    )
    assert np.isfinite(flux).all()
    assert (flux.max(1) > 0).all()
    assert (flux >= 0).all()


def test_response_is_smooth():
    # Second differences of log flux along Teff are small against first differences.
    teff = 4700 + 10.0 * np.arange(9)
    log_flux = np.log(spectra(teff, 2.5, -0.3))
    second = np.abs(np.diff(log_flux, 2, axis=0)).max()
    assert second < 0.004


def test_order_and_company_of_stars_do_not_matter():
    args = np.array([[5000.0, 3.0, 0.0], [6000.0, 4.0, -1.0], [4000.0, 1.5, 0.2]])
    together = spectra(*args.T)
    alone = np.concatenate([spectra(*row[:, None]) for row in args[::-1]])[::-1]
    np.testing.assert_allclose(together, alone, rtol=2e-4)


def test_sampling_is_honest_about_its_error():
    sampling = sampling_for(WAVE)
    assert np.allclose(sampling.weights.sum(1), 1, atol=1e-5)
    assert (sampling.weights >= 0).all()
    # A pixel of the solar spectrum computed line by line.
    pixel = int(np.argmin(abs(WAVE - 516)))
    fine = np.arange(WAVE[pixel] - 2 + 0.005, WAVE[pixel] + 2, 0.01)
    resolved = synthesise(5777.0, 4.44, 0.0, wavelength_nm=fine, sampling=direct_sampling(fine))
    assert spectra(5777.0, 4.44)[0, pixel] == pytest.approx(resolved.mean(), rel=0.06)


def test_a_fine_grid_shows_lines():
    fine = np.arange(588.5, 590.5, 0.005)
    flux = synthesise(5777.0, 4.44, 0.0, wavelength_nm=fine)[0]
    # D1 and D2 in vacuum; in LTE about a quarter of the continuum is left at their centres.
    for centre in (589.158, 589.756):
        assert flux[np.abs(fine - centre).argmin()] < 0.3 * flux.max()


@pytest.mark.parametrize(
    ("name", "value"), [("teff", 2000.0), ("logg", 12.0), ("m_h", np.nan), ("c_m", 9.0)]
)
def test_parameters_outside_the_range_are_refused(name, value):
    star = {"teff": 5000.0, "logg": 4.0, "m_h": 0.0, "c_m": 0.0} | {name: value}
    with pytest.raises(StarkinError, match=f"{name} of star 0"):
        synthesise(**star, wavelength_nm=WAVE)
