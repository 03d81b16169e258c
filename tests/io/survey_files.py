"""Files in the surveys' own layouts, with known content."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits
from astropy.table import Table

N_APSTAR = 8575


def apstar(path: Path, name: str = "2M00000317+5821383", visits: int = 2, **header: Any) -> dict:
    """An apStar of DR17: 2 combinations and the visits, gaps as in the real grid."""
    rng = np.random.default_rng(len(name) + visits)
    rows = visits + 2 if visits > 1 else 1
    flux = rng.normal(100, 2, (rows, N_APSTAR)).astype(np.float32)
    error = np.full((rows, N_APSTAR), 2, dtype=np.float32)
    mask = np.zeros((rows, N_APSTAR), dtype=np.int16)
    flux[:, :200] = 0  # before the first chip
    error[:, :200] = 1e10
    mask[0, 300] = 1 << 0  # BADPIX
    mask[0, 301] = 1 << 12  # SIG_SKYLINE
    mask[0, 302] = 1 << 11  # PERSIST_LOW: not bad
    mask[0, 303] = 1 << 14  # NOT_ENOUGH_PSF
    mask[-1, 310] = 1 if rows > 1 else 0  # in a visit, not in the combination
    primary = fits.PrimaryHDU()
    primary.header.update(
        {"OBJID": name, "NVISITS": visits, "SNR": 47.3, "VHELIO": -25.4, "STARFLAG": 512}
    )
    primary.header.update({"RA": 0.0132, "DEC": 58.36, "VRAD": 0.0, **header})
    primary.header["SFILE1"] = "apVisit-dr17-6846-56408-018.fits"
    primary.header["HISTORY"] = "APOGEE Reduction Pipeline Version: dr17"
    hdus = [primary]
    units = ("Flux (10^-17 erg/s/cm^2/Ang)", "Err (10^-17 erg/s/cm^2/Ang)", "Mask")
    for array, unit in zip((flux, error, mask), units, strict=True):
        hdu = fits.ImageHDU(array[0] if rows == 1 else array)
        wcs = {"CRVAL1": 4.179, "CDELT1": 6e-6, "CRPIX1": 1, "CTYPE1": "LOG-LINEAR", "DC-FLAG": 1}
        hdu.header.update({**wcs, "BUNIT": unit})
        hdus.append(hdu)
    hdus += [fits.ImageHDU(np.ones((1, 5), np.float32)) for _ in range(5)]  # sky, telluric, …
    hdus.append(fits.BinTableHDU(Table({"NMASK": [1]})))
    fits.HDUList(hdus).writeto(path, overwrite=True)
    return {"flux": flux[0], "error": error[0]}


def allstar_row(name: str = "2M00000317+5821383", **other: Any) -> dict[str, Any]:
    row = {
        "APOGEE_ID": name,
        "GAIAEDR3_SOURCE_ID": 422596679964513792,
        "TEFF": 4723.5,
        "LOGG": 2.41,
        "M_H": -0.21,
        "ALPHA_M": 0.05,
        "TEFF_ERR": 8.0,
        "FE_H": -0.2,
        "FE_H_ERR": 0.03,
        "FE_H_FLAG": 0,
        "MG_FE": 0.1,
        "MG_FE_ERR": 0.04,
        "MG_FE_FLAG": 0,
        "NA_FE": -9999.99,
        "NA_FE_ERR": -9999.99,
        "SNR": 150.0,
        "VHELIO_AVG": -25.4,
        "STARFLAG": 512,
        "ASPCAPFLAG": 0,
        "EXTRATARG": 0,
        "RA": 0.0132,
        "DEC": 58.36,
    }
    return row | other


def allstar(path: Path, rows: list[dict[str, Any]]) -> None:
    table = Table(rows=rows)
    table["PARAM"] = np.zeros((len(rows), 9), dtype=np.float32)
    fits.HDUList([fits.PrimaryHDU(), fits.BinTableHDU(table)]).writeto(path, overwrite=True)


def aspcapstar(path: Path, **other: Any) -> dict:
    rng = np.random.default_rng(5)
    flux = rng.uniform(0.9, 1.02, N_APSTAR).astype(np.float32)
    error = np.full(N_APSTAR, 0.01, dtype=np.float32)
    flux[3274:3585] = 0
    error[400] = 1e10
    hdus = [fits.PrimaryHDU()]
    for array in (flux, error, flux):
        hdu = fits.ImageHDU(array)
        hdu.header.update({"CRVAL1": 4.179, "CDELT1": 6e-6, "CRPIX1": 1, "CTYPE1": "LOG-LINEAR"})
        hdus.append(hdu)
    hdus.append(fits.BinTableHDU(Table(rows=[allstar_row(**other)])))
    fits.HDUList(hdus).writeto(path, overwrite=True)
    return {"flux": flux, "error": error}


_MWM = {
    "APOGEE": (4.179, 6e-6, N_APSTAR),
    "BOSS": (3.5523, 1e-4, 4648),
}


def mwm(
    path: Path,
    tables: dict[str, int],
    *,
    visit: bool = False,
    gaia: int = 77,
    stray: tuple[int, ...] = (),
) -> dict:
    """An mwmStar or mwmVisit; ``tables`` counts the rows of APOGEE/APO and so on.

    Visits ``stray`` are not in the stack: resampled with no velocity.
    """
    rng = np.random.default_rng(9)
    primary = fits.PrimaryHDU()
    primary.header.update({"V_ASTRA": "0.6.0", "SDSS_ID": 34, "APOGEEID": "", "RA": 198.4346})
    primary.header.update({"GAIA2_ID": 23423, "GAIA3_ID": gaia, "DEC": 67.110405})
    primary.header["DATASUM"] = "0"
    hdus, content = [primary], {}
    for where in ("BOSS/APO", "BOSS/LCO", "APOGEE/APO", "APOGEE/LCO"):
        instrument, site = where.split("/")
        start, step, size = _MWM[instrument]
        n = tables.get(where, 0)
        flux = rng.uniform(0.5, 2, (n, size)).astype(np.float32)
        ivar = np.full((n, size), 25, dtype=np.float32)
        flags = np.zeros((n, size), dtype=np.int64)
        ivar[:, 5], flags[:, 6] = 0, 1
        table = Table({"sdss_id": np.full(n, 34), "telescope": np.full(n, site.lower() + "25m")})
        table["snr"] = np.linspace(50, 80, n) + (10 if site == "LCO" else 0)
        table["v_rad"] = np.full(n, 12.0)
        if visit:
            table["mjd"] = 59804 + np.arange(n)
            table["in_stack"] = ~np.isin(np.arange(n), stray)
            flags = flags.astype(np.uint64)
        else:
            table["min_mjd"], table["max_mjd"] = np.full(n, 59804), np.full(n, 59866)
            table["wavelength"] = np.tile(
                (10 ** (start + step * np.arange(size))).astype(np.float32), (n, 1)
            )
        table["flux"], table["ivar"], table["pixel_flags"] = flux, ivar, flags
        table["continuum"] = np.ones_like(flux)
        hdu = fits.BinTableHDU(table, name=where)
        cards = {"INSTRMNT": instrument, "OBSRVTRY": site, "CRVAL": start, "CDELT": step}
        hdu.header.update({**cards, "CTYPE": "LOG-LINEAR", "CUNIT": "Angstrom (Vacuum)"})
        hdu.header.update({"CRPIX": 1, "NPIXELS": size, "DATASUM": str(n)})
        hdus.append(hdu)
        content[where] = flux
    fits.HDUList(hdus).writeto(path, overwrite=True)
    return content


def galah(
    folder: Path,
    star: int,
    camera: int,
    velocity: float = 30.0,
    slit: str = "OUT",
    named: bool = True,
) -> dict:
    start, step = {
        1: (4713.0, 0.046),
        2: (5648.0, 0.0547),
        3: (6478.0, 0.0631),
        4: (7585.0, 0.0735),
    }[camera]
    rng = np.random.default_rng(camera)
    flux = rng.uniform(900, 1100, 4096)
    relative = np.full(4096, 0.02)
    relative[7] = 0
    primary = fits.PrimaryHDU(flux.astype(np.float32))
    primary.header.update({"CRVAL1": start, "CDELT1": step, "CRPIX1": 1, "RVCOM": velocity})
    primary.header.update({"WAV_OK": 1, "PLATE": 1, "SLITMASK": slit})
    hdus = [primary]
    for name in ("normalized", "relative_error", "sky", "teluric", "scattered", "cross_talk"):
        data = relative if name == "relative_error" else np.ones(4096)
        hdus.append(fits.ImageHDU(data.astype(np.float32), name=name if named else None))
    hdus.append(fits.ImageHDU(np.full(4096, 0.2, np.float32), name="resolution_profile"))
    path = folder / f"{star}{camera}.fits"
    fits.HDUList(hdus).writeto(path, overwrite=True)
    return {"path": path, "flux": flux, "start": start, "step": step}
