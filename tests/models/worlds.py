"""Sets of spectra with a known truth."""

from __future__ import annotations

import numpy as np
from astropy import units as u_

from starkin.spectra import SpectrumSet, WavelengthGrid, XPGrid, columns
from starkin.spectra.photometry import ZERO_POINTS, passband_functionals
from starkin.spectra.projection import projection_matrix

N_FACTORS = 3


def linear_spectra(n: int, seed: int, *, masked: bool = False, labels: bool = False) -> SpectrumSet:
    """XP spectra x = b + W·z + noise, times a G flux of their own, with unequal errors.

    With ``labels`` the three z are told as teff, logg and m_h, in units like those.
    """
    world = np.random.default_rng(0)
    grid = XPGrid()
    mean = world.normal(size=grid.n_pixels) * 0.01
    loadings = world.normal(size=(grid.n_pixels, N_FACTORS)) * 0.02
    draw = np.random.default_rng(seed)
    flux = 10 ** draw.uniform(3, 5, size=n)
    errors = 0.004 * 10 ** draw.uniform(-0.3, 0.3, size=(n, 1)) * np.ones(grid.n_pixels)
    z = draw.normal(size=(n, N_FACTORS))
    values = mean + z @ loadings.T + errors * draw.normal(size=errors.shape)
    mask = np.zeros(values.shape, dtype=bool)
    if masked:
        mask[: n // 10, grid.band("bp")] = True
        mask[n // 10 : n // 5, 3:9] = True
    spectra = SpectrumSet(
        source_id=np.arange(n) + 1000,
        values=values * flux[:, None],
        errors=errors * flux[:, None],
        grid=grid,
        mask=mask,
    )
    spectra = spectra.with_labels(**{columns.G_FLUX: flux})
    if not labels:
        return spectra
    return spectra.with_labels(
        teff=5000 + 500 * z[:, 0], logg=3 + 0.8 * z[:, 1], m_h=-0.3 + 0.4 * z[:, 2]
    )


def conditional_spectra(
    n: int, seed: int, *, masked: bool = False, first: float = 15_000.0
) -> SpectrumSet:
    """Fluxes m(u) + W(u)·c + noise of pairs of stars: u = (teff, logg) is a star's, c a pair's.

    The mean is quadratic and the loadings are linear in the standardised u, so that a
    model that is not told u finds it in the spectra.
    """
    world = np.random.default_rng(7)
    n_pixels = 60
    wavelength = first * 10 ** (6e-5 * np.arange(n_pixels))
    draw = np.random.default_rng(seed)
    teff, logg = draw.uniform(4000, 5500, size=n), draw.uniform(0.5, 3.5, size=n)
    u = np.column_stack([(teff - 4750) / 433, (logg - 2) / 0.87])
    pair = np.arange(n) // 2
    composition = draw.normal(size=(n // 2 + 1, N_FACTORS))[pair]
    mean = (
        0.85 + (u @ world.normal(size=(2, n_pixels)) + u**2 @ world.normal(size=(2, n_pixels))) / 50
    )
    loadings = world.normal(size=(1 + u.shape[1], N_FACTORS, n_pixels)) * 0.03
    loadings[1:] *= 0.2
    by_star = loadings[0] + np.einsum("nu,ukp->nkp", u, loadings[1:])
    errors = 0.005 * 10 ** draw.uniform(-0.3, 0.3, size=(n, 1)) * np.ones(n_pixels)
    values = mean + np.einsum("nk,nkp->np", composition, by_star)
    mask = np.zeros(values.shape, dtype=bool)
    if masked:
        mask[: n // 5] = draw.random((n // 5, n_pixels)) < 0.15
    return SpectrumSet(
        source_id=np.arange(n) + 1,
        values=values + errors * draw.normal(size=values.shape),
        errors=errors,
        grid=WavelengthGrid(wavelength, unit="Angstrom"),
        mask=mask,
        unit=u_.dimensionless_unscaled,
    ).with_labels(teff=teff, logg=logg, composition_id=pair)


#: A(λ)/A(550 nm) of the dusty world, none that a power law of slope −1.5 has.
def dust_curve(wavelength: np.ndarray) -> np.ndarray:
    """A smooth curve with a bend: 1 at 550 nm."""
    y = 550.0 / wavelength
    return y + 0.35 * (y - 1) - 0.4 * (y - 1) ** 2


def stellar_spectra(
    n: int, seed: int, *, masked: bool = False, noise: float = 2e-3, dust_map: bool = True
) -> SpectrumSet:
    """XP spectra of black bodies with two broad features, behind dust, at known distances.

    Errors are ``noise`` of the largest coefficient, alike for all; ``a_v`` is the true
    extinction with an error of 0.1 mag, if there is a ``dust_map``.
    """
    draw = np.random.default_rng(seed)
    u = draw.uniform(-1, 1, size=(n, 3))
    teff, logg, m_h = 5500 + 1000 * u[:, 0], 3.5 + u[:, 1], -0.5 + 0.5 * u[:, 2]
    wave = np.arange(320.0, 1086.0, 2.0)
    photon = 1.438777e7 / (wave * teff[:, None])
    flux = wave**-5.0 / np.expm1(photon)
    for centre, width, strength in ((430, 25, 0.15 * u[:, 2]), (517, 12, 0.1 * u[:, 1])):
        flux *= 1 - (0.2 + strength[:, None]) * np.exp(-0.5 * ((wave - centre) / width) ** 2)
    a_v = draw.exponential(0.5, size=n)
    flux_seen = flux * 10 ** (-0.4 * a_v[:, None] * dust_curve(wave))
    project, g = projection_matrix(wave), passband_functionals()[:, 0]
    bare, seen = flux @ project, flux_seen @ project
    absolute = 5 - 4 * u[:, 0] + 2 * u[:, 1]
    modulus = draw.uniform(5, 11, size=n)
    magnitude = absolute + modulus - 2.5 * np.log10(seen @ g / (bare @ g))
    g_flux = 10 ** (0.4 * (ZERO_POINTS["G"] - magnitude))
    values = seen * (g_flux / (seen @ g))[:, None]
    errors = noise * np.abs(values).max(axis=1, keepdims=True) * np.ones(values.shape[1])
    mask = np.zeros(values.shape, dtype=bool)
    if masked:
        mask[: n // 10, XPGrid().band("bp")] = True
        mask[n // 10 : n // 5, 3:9] = True
    parallax_error = np.full(n, 0.05)
    return SpectrumSet(
        source_id=np.arange(n) + 1,
        values=values + errors * draw.normal(size=values.shape),
        errors=errors,
        grid=XPGrid(),
        mask=mask,
    ).with_labels(
        teff=teff,
        logg=logg,
        m_h=m_h,
        parallax=10 ** (2 - modulus / 5) + parallax_error * draw.normal(size=n),
        parallax_error=parallax_error,
        true_a_v=a_v,
        true_modulus=modulus,
        **({"a_v": a_v + 0.1 * draw.normal(size=n)} if dust_map else {}),
        **{columns.G_FLUX: g_flux},
    )
