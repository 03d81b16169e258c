"""Spectra at high resolution respond to what they should respond to."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from starkin.simulate.physics import composition
from starkin.simulate.physics.atmosphere import build_atmosphere
from starkin.simulate.physics.atomic_lines import air_to_vacuum
from starkin.simulate.physics.continuum import continuum_columns
from starkin.simulate.physics.emergence import emergent_flux
from starkin.simulate.physics.energy import temperature_scale
from starkin.simulate.physics.hydrogen import hydrogen_columns
from starkin.simulate.physics.infrared_forest import generated_infrared_lines
from starkin.simulate.physics.infrared_lines import infrared_lines
from starkin.simulate.physics.lines import LineList, line_columns
from starkin.simulate.physics.opacity import OpacityTable
from starkin.simulate.physics.resolved import ResolvedTable, normalised_flux
from starkin.simulate.spectrograph import Spectrograph
from starkin.simulate.synthesiser import ELEMENTS, Synthesiser, World
from starkin.spectra import StarkinError, WavelengthGrid
from starkin.spectra.grids import apogee_grid, galah_grid

# A strong line of each element [Å, air], and the head of CO 3-0.
STRONG = {
    "Mg": 15748.988, "Al": 16718.957, "Si": 15960.063, "Mn": 15217.740, "Ni": 16818.760,
    "Ce": 15784.750,
}  # fmt: skip
CO_HEAD = 15581.6
BRACKETT_11 = 16811.1


def vacuum(angstrom):
    return 10 * float(air_to_vacuum(np.array(angstrom / 10)))


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def pixels_at(wavelength, resolution=22_500.0):
    return Spectrograph(WavelengthGrid(wavelength, "Angstrom", "vacuum", "rest", resolution))


def spectrograph():
    everything = apogee_grid().wavelength
    centres = [*map(vacuum, STRONG.values()), CO_HEAD + 3]
    near = np.any([np.abs(everything - x) < 3.0 for x in centres], axis=0)
    return pixels_at(everything[near | (np.abs(everything - BRACKETT_11) < 5)])


@pytest.fixture(scope="module")
def model():
    return Synthesiser(spectrograph())


@pytest.fixture(scope="module")
def responses(model):
    """Change of the flux of a giant per 0.2 dex of each element, and the flux."""
    x_h = np.concatenate([np.zeros((1, len(ELEMENTS))), 0.2 * np.eye(len(ELEMENTS))])
    flux = model(np.full(len(x_h), 4400.0), np.full(len(x_h), 1.8), x_h)
    return flux[1:] - flux[0], flux[0]


def at(model, wavelength, width=0.35):
    return np.abs(model.spectrograph.pixels - wavelength) < width


def test_spectrographs():
    apogee = Spectrograph()
    assert apogee.n_pixels == 7214
    assert apogee.grid() == apogee_grid("aspcap-dr12")
    fine = apogee.fine_wavelength(1.38)
    assert np.diff(np.log(fine)).min() > 0
    # Chips and their wings, not what lies between.
    assert fine.size == pytest.approx(3 * 7214, rel=0.02)
    rows = apogee.projection(fine, 3.0)
    np.testing.assert_allclose(np.asarray(rows.sum(1)).ravel(), 1.0, atol=1e-5)
    # A linear spectrum stays as it is; the variance of the kernel is that of both Gaussians.
    np.testing.assert_allclose(rows @ fine, apogee.pixels, atol=1e-2)
    spread = rows[4000] @ (fine - apogee.pixels[4000]) ** 2
    sigma = np.hypot(apogee.pixels[4000] / 22_500 / 2.3548, apogee.pixels[4000] * 3.0 / 299_792)
    assert np.sqrt(spread) == pytest.approx(sigma, rel=0.01)
    galah = Spectrograph(galah_grid())
    assert galah.pixels[0] - galah.grid().wavelength[0] == pytest.approx(1.318, abs=0.01)
    window = Spectrograph.window(15_000, 15_500, 50_000)
    assert np.median(np.diff(window.pixels)) == pytest.approx(15_250 / 50_000 / 3.2, rel=0.01)


def test_lines_respond_to_their_element(model, responses):
    change, flux = responses
    for symbol, air in STRONG.items():
        own = change[ELEMENTS.index(symbol)]
        # Nowhere among the windows does the element do much more than at its own line.
        there = own[at(model, vacuum(air))].min()
        assert there < min(-0.004, 0.5 * own.min()), symbol
    assert flux[at(model, vacuum(STRONG["Mg"]))].min() < 0.75


def test_molecules_share_carbon_and_oxygen(model, responses):
    change, flux = responses
    head = at(model, CO_HEAD + 1.0, 1.0)
    carbon, oxygen = (change[ELEMENTS.index(x), head].mean() for x in "CO")
    assert flux[head].mean() < 0.93
    # All carbon is in CO: its lines follow C, and O only helps at the top.
    assert carbon < -0.005
    assert carbon < oxygen


def test_electron_donors_change_lines_of_others(model, responses):
    change, _ = responses
    # More Mg: more electrons, more H-, shallower lines of everyone else.
    aluminium = at(model, vacuum(STRONG["Al"]))
    assert change[ELEMENTS.index("Mg"), aluminium].mean() > 5e-5


def test_brackett_line_in_hot_dwarfs_and_not_in_giants(model):
    flux = model(np.array([7800.0, 4200.0]), np.array([4.0, 1.5]), np.zeros((2, 21)))
    wing = at(model, BRACKETT_11 - 3.0, 1.0)
    assert flux[0, wing].max() < 0.85
    assert flux[1, wing].max() > 0.93


def test_agrees_with_the_engine_that_takes_no_short_cuts():
    lines = infrared_lines()
    lines = lines.take(np.abs(lines.wavelength_nm - 1577.0) < 6)
    fine = 10 ** np.arange(np.log10(1575.0), np.log10(1579.0), 2e-6)
    teff, logg, m_h = (
        torch.tensor(x, dtype=torch.float64) for x in ([4200, 5500], [1.5, 4.4], [0, 0])
    )
    mix = torch.from_numpy(composition(np.zeros(2)))
    atmosphere = build_atmosphere(teff, logg, m_h, mix, temperature_scale(teff, logg, m_h))
    quick = normalised_flux(atmosphere, ResolvedTable(fine, lines))
    with_lines = OpacityTable(line_columns(lines) + continuum_columns() + hydrogen_columns(), fine)
    without = OpacityTable(continuum_columns() + hydrogen_columns(lines=False), fine)
    exact = emergent_flux(atmosphere, with_lines) / emergent_flux(atmosphere, without)
    # What is left is interpolation in temperature, coarser in the reference.
    assert (quick - exact).pow(2).mean().sqrt() < 5e-4
    assert (quick - exact).abs().max() < 3e-3
    assert exact.min() < 0.6


def test_curve_of_growth():
    # One Fe line, alone: in proportion to its atoms while weak, and later when the gas is calm.
    window = pixels_at(np.geomspace(15746.0, 15754.0, 40))
    width = {}
    for speed in (0.6, 2.5):
        flux = {}
        for log_gf in (-12.0, -3.6, -3.3, -0.6, -0.3):
            line = LineList.from_columns([1575.0], ["Fe I"], [log_gf], [5.4])
            model = Synthesiser(window, World(microturbulence=speed), lines=line)
            flux[log_gf] = model([4500.0], [2.0], np.zeros((1, 21)))
            width[speed, log_gf] = (flux[-12.0] - flux[log_gf]).sum()
    for speed in (0.6, 2.5):
        assert width[speed, -3.3] / width[speed, -3.6] == pytest.approx(2.0, rel=0.05)
    assert width[0.6, -3.6] == pytest.approx(width[2.5, -3.6], rel=0.05)
    assert width[0.6, -0.6] < 0.85 * width[2.5, -0.6]
    assert width[2.5, -0.3] / width[2.5, -0.6] < 1.9


def test_the_forest_is_the_same_everywhere_and_thins_out():
    whole = generated_infrared_lines(1600.0, 1610.0)
    part = generated_infrared_lines(1604.0, 1606.0)
    inside = (whole.wavelength_nm >= 1604.0) & (whole.wavelength_nm <= 1606.0)
    np.testing.assert_array_equal(whole.wavelength_nm[inside], part.wavelength_nm)
    dense = generated_infrared_lines(1600.0, 1610.0, density=2.0)
    assert np.isin(whole.wavelength_nm, dense.wavelength_nm).all()
    assert len(dense) == pytest.approx(2 * len(whole), rel=0.3)
    assert len(generated_infrared_lines(500.0, 600.0)) == 0
    # Learner's law: strengths of one species fall as a power of 0.62 a dex.
    many = generated_infrared_lines(1500.0, 1700.0, density=4.0)
    iron = many.take(many.species == "Fe I")
    strength = iron.strength(0.9)
    ratio = (strength > -10.6).sum() / (strength > -11.1).sum()
    span = 10 ** (-0.62 * np.array([1.0, 0.5])) - 10 ** (-0.62 * 2.2)
    assert ratio == pytest.approx(span[0] / span[1], rel=0.1)


def test_labels_are_checked(model):
    with pytest.raises(StarkinError, match="teff of star 1 is 9000"):
        model([4500.0, 9000.0], [2.0, 2.0], np.zeros((2, 21)))
    with pytest.raises(StarkinError, match=r"\[Mg/H\] of star 0 is nan"):
        x_h = np.zeros((1, 21))
        x_h[0, ELEMENTS.index("Mg")] = np.nan
        model([4500.0], [2.0], x_h)
    with pytest.raises(StarkinError, match="shapes"):
        model([4500.0], [2.0], np.zeros((1, 5)))
    with pytest.raises(StarkinError, match="world must be one of standard, saturated"):
        Synthesiser(world="flat")
    with pytest.raises(StarkinError, match=r"World\.microturbulence"):
        World(microturbulence=99.0)
    with pytest.raises(StarkinError, match=r"resolution must lie in 1000\.\.200000, got 10"):
        Spectrograph.window(15_000, 15_500, 10)
    with pytest.raises(StarkinError, match="needs a grid with a resolution"):
        pixels_at(np.linspace(15_000, 15_500, 100), None)


def test_threads_and_order_do_not_matter(model, monkeypatch):
    monkeypatch.setattr("starkin.simulate.synthesiser._CHUNK", 16)
    rng = np.random.default_rng(3)
    teff, logg, x_h = rng.uniform(4200, 4800, 40), np.full(40, 2.0), np.zeros((40, 21))
    one = model(teff, logg, x_h)
    two = Synthesiser(model.spectrograph, threads=2)
    two.__dict__["table"] = model.table
    np.testing.assert_allclose(two(teff, logg, x_h), one, atol=2e-6)
    np.testing.assert_allclose(model(teff[::-1], logg, x_h)[::-1], one, atol=2e-6)
