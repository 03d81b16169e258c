"""Sets of spectra with a known truth."""

from __future__ import annotations

import numpy as np
from astropy import units as u_

from starkin.spectra import SpectrumSet, WavelengthGrid, XPGrid, columns

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
