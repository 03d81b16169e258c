"""Sets and stars that a model must not take, and what is said of them."""

from __future__ import annotations

import numpy as np
import pytest
from astropy import units as u

from starkin.spectra import SpectrumSet, StarkinError, WavelengthGrid, XPGrid
from starkin.spectra.flags import Flag
from starkin.spectra.frames import to_air, to_vacuum
from starkin.spectra.grids import apogee_grid
from starkin.spectra.line_positions import STRONG_LINES, check_medium
from starkin.spectra.quality import (
    flux_levels,
    looks_normalised,
    quality_flags,
    require_normalised,
    signal_to_noise,
)

GRID = WavelengthGrid(np.linspace(5000, 5010, 5), "Angstrom")


def make(values, errors=0.1, unit=u.dimensionless_unscaled, mask=None):
    values = np.asarray(values, dtype=float)
    errors = np.broadcast_to(np.asarray(errors, dtype=float), values.shape)
    return SpectrumSet(np.arange(len(values)), values, errors, GRID, mask=mask, unit=unit)


def test_signal_and_level_by_hand():
    mask = np.zeros((3, 5), dtype=bool)
    mask[1, :2] = True
    mask[2] = True
    spectra = make([[1, 2, 3, 4, 5], [9, 9, 1, 2, 3], [1, 1, 1, 1, 1]], 0.5, mask=mask)
    assert flux_levels(spectra)[:2].tolist() == [3, 2]
    assert signal_to_noise(spectra)[:2].tolist() == [6, 4]
    assert np.isnan(flux_levels(spectra)[2])
    assert np.isnan(signal_to_noise(spectra)[2])


def test_flags():
    values = np.ones((5, 5))
    values[1] = 100
    values[2] = 0.1
    mask = np.zeros((5, 5), dtype=bool)
    mask[3] = True
    mask[4, 0] = True
    errors = np.full((5, 5), 0.01)
    errors[4] = 0.2
    flags = quality_flags(make(values, errors, mask=mask), lowest_snr=30)
    assert flags.tolist() == [
        0,
        Flag.NOT_NORMALISED,
        Flag.NOT_NORMALISED | Flag.LOW_SNR,
        Flag.PARTLY_MASKED | Flag.NOT_ENCODED,
        Flag.PARTLY_MASKED | Flag.LOW_SNR,
    ]
    assert looks_normalised(make(values)).tolist() == [True, False, False, True, True]


def test_every_flag_is_in_the_legend():
    assert set(Flag.legend()) == {int(flag) for flag in Flag}


def test_unnormalised_sets_are_refused():
    require_normalised(make(np.ones((3, 5))))
    one_bad = np.ones((3, 5))
    one_bad[0] = 50
    require_normalised(make(one_bad))  # that star has its flag
    with pytest.raises(StarkinError, match=r"Training needs .* is 50; divide by the continuum"):
        require_normalised(make(np.full((3, 5), 50.0)), "Training")
    with pytest.raises(StarkinError, match="prepare"):
        require_normalised(make(np.ones((3, 5)), unit=u.count))
    coefficients = SpectrumSet([1], [[1e4, 3.0]], np.ones((1, 2)), XPGrid(1, 1))
    require_normalised(coefficients)


def spectrum_with_lines(positions, grid, noise=0.01, seed=0):
    rng = np.random.default_rng(seed)
    flux = np.ones(grid.n_pixels)
    for centre in [*positions, *rng.uniform(grid.wavelength[0], grid.wavelength[-1], 200)]:
        depth = 0.4 if centre in positions else rng.uniform(0.02, 0.25)
        flux -= depth * np.exp(-0.5 * ((grid.wavelength - centre) / 0.3) ** 2)
    values = flux + rng.normal(0, noise, (10, grid.n_pixels))
    return SpectrumSet(np.arange(10), values, np.full(values.shape, noise), grid, unit=u.one)


@pytest.mark.parametrize("true", ["vacuum", "air"])
@pytest.mark.parametrize("declared", ["vacuum", "air"])
@pytest.mark.parametrize("seed", range(3))
def test_lines_tell_the_medium(true, declared, seed):
    full = apogee_grid()
    grid = WavelengthGrid(full.wavelength, "Angstrom", declared, "rest")
    lines = np.array(STRONG_LINES)
    lines = lines if true == "air" else to_vacuum(lines)
    check = check_medium(spectrum_with_lines(lines.tolist(), grid, seed=seed))
    assert check.medium == true
    assert check.n_lines == 13
    expected = 0 if true == declared else (-82 if declared == "vacuum" else 82)
    assert check.shift == pytest.approx(expected, abs=4)


@pytest.mark.parametrize("seed", range(5))
def test_other_lines_tell_nothing(seed):
    check = check_medium(spectrum_with_lines([], apogee_grid(), seed=seed))
    assert check.medium == ""


def test_no_lines_in_reach():
    assert check_medium(make(np.ones((3, 5)))).n_lines == 0
    assert check_medium(make(np.ones((3, 5)))).medium == ""
    optical = WavelengthGrid(np.linspace(4800, 6700, 20000), "Angstrom", "air", "rest")
    lines = [line for line in STRONG_LINES if 4800 < line < 6700]
    assert check_medium(spectrum_with_lines(lines, optical)).medium == "air"
    assert to_air(to_vacuum(np.array(lines))) == pytest.approx(lines)
