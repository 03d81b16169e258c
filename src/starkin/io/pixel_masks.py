"""Bits that APOGEE sets for pixels, and which of them make a pixel unusable.

APOGEE_PIXMASK of SDSS DR17 (https://www.sdss4.org/dr17/irspec/apogee-bitmasks).
The survey's own software counts bits 0-7 and 14 as bad. Residuals of strong sky
lines (bit 12) are left to the user there; here they are masked unless the
user keeps them, as Bovy's ``apogee`` and most abundance work do.
"""

from __future__ import annotations

import numpy as np

from ..spectra.errors import StarkinError

__all__ = ["BAD_PIXELS", "PIXMASK", "bad_pixels"]

PIXMASK = {
    "BADPIX": 0,
    "CRPIX": 1,
    "SATPIX": 2,
    "UNFIXABLE": 3,
    "BADDARK": 4,
    "BADFLAT": 5,
    "BADERR": 6,
    "NOSKY": 7,
    "LITTROW_GHOST": 8,
    "PERSIST_HIGH": 9,
    "PERSIST_MED": 10,
    "PERSIST_LOW": 11,
    "SIG_SKYLINE": 12,
    "SIG_TELLURIC": 13,
    "NOT_ENOUGH_PSF": 14,
}

#: Masked unless the user chooses otherwise.
BAD_PIXELS = (
    "BADPIX", "CRPIX", "SATPIX", "UNFIXABLE", "BADDARK", "BADFLAT", "BADERR", "NOSKY",
    "NOT_ENOUGH_PSF", "SIG_SKYLINE",
)  # fmt: skip


def bad_pixels(flags: np.ndarray, names: tuple[str, ...] = BAD_PIXELS) -> np.ndarray:
    """Which pixels have any of the named bits set; shape of ``flags``.

    Raises
    ------
    StarkinError
        If a name is no bit of APOGEE_PIXMASK.
    """
    if unknown := [name for name in names if name not in PIXMASK]:
        raise StarkinError(
            f"There is no pixel bit {unknown[0]!r}; APOGEE_PIXMASK has {', '.join(PIXMASK)}."
        )
    bits = sum(1 << PIXMASK[name] for name in names)
    flags = np.asarray(flags)
    if flags.dtype.kind == "f":  # some tables hold bits as floats
        flags = np.nan_to_num(flags, nan=1)
    return (flags.astype(np.int64) & bits) != 0
