"""Which grids can stand for each other, and what is said where they cannot."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from starkin.spectra import StarkinError, WavelengthGrid, XPGrid
from starkin.spectra.errors import GridMismatchError

GRID = WavelengthGrid(
    15_100 * 10 ** (6e-6 * np.arange(300)), "Angstrom", "vacuum", "rest", resolution=22_500
)


@pytest.mark.parametrize(
    "other",
    [
        GRID,
        replace(GRID, wavelength=GRID.wavelength.astype(np.float32)),
        replace(GRID, wavelength=np.round(GRID.wavelength, 3)),
        replace(GRID, resolution=None),
    ],
)
def test_rounding_and_what_is_not_stated_are_no_difference(other):
    assert GRID.difference(other) == other.difference(GRID) == ""
    GRID.require(other, "a.fits")


@pytest.mark.parametrize(
    ("other", "why"),
    [
        (replace(GRID, medium="air"), "the medium is air, not vacuum"),
        (replace(GRID, frame="barycentric"), "the frame is barycentric, not rest"),
        (replace(GRID, wavelength=GRID.wavelength / 10, unit="nm"), "the unit is nm, not Angstrom"),
        (replace(GRID, wavelength=GRID.wavelength[:-1]), "there are 299 pixels, not 300"),
        (replace(GRID, resolution=28_000), "the resolution is 28000, not 22500"),
        # Half a pixel of 0.2087 Angstrom.
        (replace(GRID, wavelength=GRID.wavelength + 0.1043), "up to 0.5 pixels away"),
        (XPGrid(), "another kind"),
    ],
)
def test_one_sentence_says_what_differs(other, why):
    assert why in GRID.difference(other)
    with pytest.raises(
        GridMismatchError, match=r"^a\.fits is on another grid .*prepare --grid"
    ) as e:
        GRID.require(other, "a.fits")
    assert why in str(e.value)


def test_bases():
    assert XPGrid().difference(XPGrid()) == ""
    with pytest.raises(StarkinError, match="51 BP"):
        XPGrid().require(XPGrid(51, 55), "DR4")
