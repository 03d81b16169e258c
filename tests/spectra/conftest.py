"""Real rows of the archive, read with astropy alone: these tests need no reader of ours."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from astropy.table import Table

from starkin.spectra import SpectrumSet, XPGrid


@pytest.fixture(scope="session")
def three_stars_file(shared: Path) -> Path:
    return shared / "gaia_xp" / "XP_CONTINUOUS_RAW_with_missing_BP.csv"


@pytest.fixture(scope="session")
def three_stars(three_stars_file: Path) -> SpectrumSet:
    """Three real sources with correlations; the second has no BP."""
    table = Table.read(three_stars_file.with_suffix(".fits"))
    grid = XPGrid()
    parts = {}
    for key, size in (
        ("coefficients", 55),
        ("coefficient_errors", 55),
        ("coefficient_correlations", 1485),
    ):
        rows = np.full((len(table), 2, size), np.nan)
        for b, band in enumerate(("bp", "rp")):
            for i, cell in enumerate(table[f"{band}_{key}"]):
                if np.size(cell) == size:
                    rows[i, b] = cell
        parts[key] = rows.reshape(len(table), 2 * size)
    return SpectrumSet(
        source_id=np.asarray(table["source_id"]),
        values=parts["coefficients"],
        errors=parts["coefficient_errors"],
        correlations=parts["coefficient_correlations"].astype(np.float32),
        grid=grid,
    )


@pytest.fixture(scope="session")
def real_sample(shared: Path) -> SpectrumSet:
    """1,400 real sources, without correlations or G flux."""
    table = Table.read(shared / "gaia_xp" / "xp_continuous_1400_wide.fits")

    def columns(prefix: str) -> np.ndarray:
        names = [f"{prefix}{band}_coeff_{i}" for band in ("bp", "rp") for i in range(55)]
        return np.stack([np.asarray(table[name], dtype=np.float64) for name in names], axis=1)

    return SpectrumSet(
        source_id=np.asarray(table["source_id"]),
        values=columns(""),
        errors=columns("e_"),
        grid=XPGrid(),
    )
