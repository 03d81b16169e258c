"""Sets of XP spectra with a known linear-Gaussian truth."""

from __future__ import annotations

import numpy as np

from starkin.spectra import SpectrumSet, XPGrid, columns

N_FACTORS = 3


def linear_spectra(n: int, seed: int, *, masked: bool = False) -> SpectrumSet:
    """XP spectra x = b + W·z + noise, times a G flux of their own, with unequal errors."""
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
    return spectra.with_labels(**{columns.G_FLUX: flux})
