"""The official Gaia XP bases: coefficients to absolute flux, and what lies in between.

Everything here is linear algebra on the package data of GaiaXPy, the Gaia
consortium's own tool. The data files are read directly, through GaiaXPy's
``config.ini``: importing GaiaXPy itself takes seconds and switches off every
``RuntimeWarning`` in the process, reading its files takes some 50 ms. The
results are tested against GaiaXPy's own functions.

How a mean spectrum is built (De Angeli et al. 2023, A&A 674, A2; Montegriffo
et al. 2023, A&A 674, A3), per band, with coefficients ``c`` [electron/s]:

- internal spectrum on pseudo-wavelength u (:func:`internal_bases`)::

      f(u) = Σ_i c_i φ_i(u),      φ_i = Σ_j T_ij H_j(x(u))    [electron/s per sample]

  with H_j the orthonormal Hermite functions and x(u) linear in u;
- absolute spectrum on wavelength λ (:func:`band_design`)::

      F(λ) = hc / (P R(λ) λ) · Σ_i c_i ψ_i(u(λ)),   ψ_i = Σ_jk T_ij B_jk H_k(x(u))

  with u(λ) the dispersion, R(λ) the response, P the telescope pupil area and
  B the "inverse bases": ψ_i is the spectrum that the instrument, with its line
  spread, turns into φ_i;
- the two bands are joined with weights that cross linearly from BP to RP over
  635-643 nm (:func:`merge_weights`).

Two tabulations of the absolute bases exist. With no wavelengths given, the
bundled matrix on 336-1020 nm in steps of 2 nm is used (six digits, made with
slightly other settings); with wavelengths, the formula above is evaluated.
They differ by up to 0.4 % of a basis function in BP (1e-6 in RP). Both are what
``gaiaxpy.calibrate`` does.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from configparser import ConfigParser
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
from astropy import units as u
from scipy.interpolate import make_interp_spline

from .columns import BANDS
from .errors import StarkinError
from .grid import Grid, XPGrid

__all__ = [
    "DESIGN_UNIT",
    "BandModel",
    "band_design",
    "band_model",
    "default_wavelength",
    "internal_bases",
    "merge_weights",
    "sampling_design",
]

#: Of every design matrix: absolute flux for one electron per second.
DESIGN_UNIT = u.Unit("W m-2 nm-1") / u.Unit("electron s-1")

# gaiaxpy.core.satellite and gaiaxpy.core.nature (Gaia Parameter Database).
PUPIL_AREA = 0.7278  # [m2]
BAND_RANGE = {"bp": (330.0, 643.0), "rp": (635.0, 1020.0)}  # [nm]
SAMPLING_RANGE = (330.0, 1050.0)  # [nm], accepted by gaiaxpy.calibrate
_HC = 6.62607004e-34 * 2.99792458e8 * 1e9  # [J nm]
# The instrument models of DR3; gaiaxpy.calibrate's defaults.
_MODEL = {"bp": "v375wi", "rp": "v142r"}


def _config_folder() -> Path:
    spec = find_spec("gaiaxpy")  # finds the package without running it
    if spec is None or not spec.submodule_search_locations:
        raise StarkinError("The XP bases come with GaiaXPy: install it with `pip install GaiaXPy`.")
    return Path(spec.submodule_search_locations[0]) / "config"


@lru_cache(maxsize=1)
def _config() -> ConfigParser:
    config = ConfigParser()
    config.read(_config_folder() / "config.ini")
    return config


def _config_file(section: str, key: str, **parts: str) -> Path:
    """The data file that GaiaXPy's ``config.ini`` names, placeholders filled in."""
    name = _config().get(section, key)
    for placeholder, value in parts.items():
        name = name.replace(placeholder, value)
    folder = _config_folder() / "filters" if section == "filter" else _config_folder()
    if not (folder / name).is_file():
        raise StarkinError(f"GaiaXPy's data file {name} is missing: reinstall GaiaXPy>=2.1.5.")
    return folder / name


@dataclass(frozen=True)
class FilterTable:
    """A tabulated set of XP bases, one row a coefficient and one column a sample.

    Attributes
    ----------
    wavelength : ndarray, shape (n_samples,)
        Of the samples, or mean wavelengths of the passbands [nm].
    design : mapping of band to ndarray, shape (n_band, n_samples)
    weights : mapping of band to ndarray, shape (n_samples,)
    zero_points : ndarray, shape (n_samples,) or (0,)
    passbands : tuple of str
    """

    wavelength: np.ndarray
    design: Mapping[str, np.ndarray]
    weights: Mapping[str, np.ndarray]
    zero_points: np.ndarray
    passbands: tuple[str, ...]


@lru_cache(maxsize=8)
def filter_table(system: str = "") -> FilterTable:
    """One of GaiaXPy's filter files: a photometric system, or (without one) flux samples."""
    models = _MODEL["bp"] + _MODEL["rp"]
    placeholder, value = ("system", system) if system else ("system_", "")
    path = _config_file("filter", "filter", **{placeholder: value, "model": models})
    root = ElementTree.parse(path).getroot()

    def numbers(tag: str) -> np.ndarray:
        element = root.find(tag)
        return np.array([float(v.text or "nan") for v in element] if element is not None else [])

    design = {}
    for band in BANDS:
        element = root.find(f"XpSampling/{band}SampledBases")
        if element is None:
            raise StarkinError(f"{path.name} of GaiaXPy holds no {band.upper()} bases.")
        matrix = numbers(f"XpSampling/{band}SampledBases")
        design[band] = _frozen(matrix.reshape(-1, int(element.attrib["dimension"])).T)
    bands = root.find("bands")
    return FilterTable(
        wavelength=_frozen(numbers("XpMerge/sampleMeanWavelengths")),
        design=design,
        weights={band: _frozen(numbers(f"XpMerge/{band}Weights")) for band in BANDS},
        zero_points=_frozen(numbers("zeropoints")),
        passbands=tuple(v.text or "" for v in bands) if bands is not None else (),
    )


def _frozen(array: np.ndarray) -> np.ndarray:
    array = np.ascontiguousarray(array)
    array.setflags(write=False)  # cached and shared: nobody may change it
    return array


@dataclass(frozen=True)
class BandModel:
    """The external instrument model of one band.

    Attributes
    ----------
    dispersion : ndarray, shape (2, n)
        Wavelength [nm] and pseudo-wavelength.
    response : ndarray, shape (2, n)
        Wavelength [nm] and response (dimensionless).
    transformation : ndarray, shape (n_band, n_hermite)
        T above.
    inverse_bases : ndarray, shape (n_hermite, n_hermite)
        B above.
    pwl_range, norm_range : tuple of float
        Which pseudo-wavelengths x(u) maps to which arguments of the Hermite functions.
    """

    dispersion: np.ndarray
    response: np.ndarray
    transformation: np.ndarray
    inverse_bases: np.ndarray
    pwl_range: tuple[float, float]
    norm_range: tuple[float, float]

    @property
    def scale(self) -> float:
        """dx/du."""
        return (self.norm_range[1] - self.norm_range[0]) / (self.pwl_range[1] - self.pwl_range[0])

    def pseudo_wavelength(self, wavelength: np.ndarray, derivative: int = 0) -> np.ndarray:
        """u(λ), or its derivative [1/nm], at wavelengths in nm."""
        spline = make_interp_spline(*self.dispersion, k=3)
        return spline(np.asarray(wavelength, dtype=np.float64), nu=derivative)

    def throughput(self, wavelength: np.ndarray) -> np.ndarray:
        """R(λ), zero where the instrument sees nothing."""
        spline = make_interp_spline(*self.response, k=3)
        return np.maximum(spline(np.asarray(wavelength, dtype=np.float64)), 0.0)

    def photons(self, wavelength: np.ndarray) -> np.ndarray:
        """Electrons per second and nm for a flux of 1 W m⁻² nm⁻¹: P R(λ) λ / hc."""
        wavelength = np.asarray(wavelength, dtype=np.float64)
        return PUPIL_AREA * self.throughput(wavelength) * wavelength / _HC

    def hermite(self, pseudo_wavelength: np.ndarray) -> np.ndarray:
        """H_j(x(u)), shape (n_hermite, n)."""
        x = self.norm_range[0] + (np.asarray(pseudo_wavelength) - self.pwl_range[0]) * self.scale
        return hermite_functions(x, self.inverse_bases.shape[1])

    def internal(self, pseudo_wavelength: np.ndarray) -> np.ndarray:
        """φ_i(u), shape (n_band, n): bases of the spectrum as the instrument records it."""
        return self.transformation @ self.hermite(pseudo_wavelength)

    def incident(self, wavelength: np.ndarray) -> np.ndarray:
        """ψ_i(u(λ)), shape (n_band, n): the same before line spread [electron s⁻¹ nm⁻¹]."""
        hermite = self.hermite(self.pseudo_wavelength(wavelength))
        return self.transformation @ (self.inverse_bases @ hermite)

    def absolute(self, wavelength: np.ndarray) -> np.ndarray:
        """F_i(λ), shape (n_band, n) [W m⁻² nm⁻¹ per electron/s]; 0 where R(λ) is."""
        photons = self.photons(wavelength)
        seen = photons > 0
        return np.where(seen, self.incident(wavelength) / np.where(seen, photons, 1.0), 0.0)


def hermite_functions(x: np.ndarray, n: int) -> np.ndarray:
    """The first ``n`` orthonormal Hermite functions at ``x``, shape (n, \\*x.shape).

    By the three-term recurrence H_j = √(2/j) x H_{j-1} − √((j-1)/j) H_{j-2},
    which stays finite where the polynomials themselves would overflow.
    """
    x = np.asarray(x, dtype=np.float64)
    out = np.empty((n, *x.shape))
    out[0] = np.pi**-0.25 * np.exp(-(x**2) / 2)
    if n > 1:
        out[1] = np.sqrt(2) * x * out[0]
    for j in range(2, n):
        out[j] = np.sqrt(2 / j) * x * out[j - 1] - np.sqrt((j - 1) / j) * out[j - 2]
    return out


def _bracketed(text: str) -> np.ndarray:
    return np.array(text.strip("()").split(","), dtype=np.float64)


@lru_cache(maxsize=4)
def band_model(band: str) -> BandModel:
    """The DR3 instrument model of ``"bp"`` or ``"rp"``, as shipped with GaiaXPy."""
    if band not in BANDS:
        raise StarkinError(f"The XP bands are 'bp' and 'rp', not {band!r}.")

    def file(key: str) -> Path:
        return _config_file("calibrator", key, xp=band, model=_MODEL[band])

    header, row = _read_one_row(file("bases"))
    fields = dict(zip(header, row, strict=True))
    n_bases, n_hermite = int(fields["nBases"]), int(fields["nInverseBasesCoefficients"])
    return BandModel(
        dispersion=_frozen(np.loadtxt(file("dispersion"), delimiter=",")),
        response=_frozen(np.loadtxt(file("response"), delimiter=",")),
        transformation=_frozen(_bracketed(fields["transformationMatrix"]).reshape(n_bases, -1)),
        inverse_bases=_frozen(
            _bracketed(fields["inverseBasesCoefficients"]).reshape(n_bases, n_hermite)
        ),
        pwl_range=(float(fields["pwlRangeMin"]), float(fields["pwlRangeMax"])),
        norm_range=(float(fields["normRangeMin"]), float(fields["normRangeMax"])),
    )


def _read_one_row(path: Path) -> tuple[list[str], list[str]]:
    with path.open(newline="") as lines:
        rows = csv.reader(lines)
        return next(rows), next(rows)


def internal_bases(band: str, pseudo_wavelength: np.ndarray) -> np.ndarray:
    """Bases of the internal mean spectrum of ``band``, shape (n_band, n) [per sample].

    ``coefficients @ internal_bases(band, u)`` is what ``gaiaxpy.convert`` gives.
    """
    return band_model(band).internal(pseudo_wavelength)


def default_wavelength() -> np.ndarray:
    """The official sampling, 336-1020 nm in steps of 2 nm, shape (343,)."""
    return filter_table().wavelength


def merge_weights(wavelength: np.ndarray | None = None) -> dict[str, np.ndarray]:
    """How much each band counts at each wavelength [nm] when a star has both.

    BP alone below 635 nm, RP alone above 643 nm, linear in between.
    """
    if wavelength is None:
        return dict(filter_table().weights)
    low, high = BAND_RANGE["rp"][0], BAND_RANGE["bp"][1]
    rp = np.clip((np.asarray(wavelength, dtype=np.float64) - low) / (high - low), 0.0, 1.0)
    return {"bp": 1.0 - rp, "rp": rp}


def _checked(wavelength: np.ndarray) -> np.ndarray:
    wavelength = np.asarray(wavelength, dtype=np.float64)
    low, high = SAMPLING_RANGE
    if wavelength.ndim != 1 or wavelength.size == 0 or not np.all(np.diff(wavelength) > 0):
        raise StarkinError("Wavelengths must be one strictly increasing row of numbers in nm.")
    if wavelength[0] < low or wavelength[-1] > high:
        raise StarkinError(
            f"XP spectra are defined on {low:.0f}-{high:.0f} nm, but the wavelengths asked for run "
            f"from {wavelength[0]:g} to {wavelength[-1]:g} nm."
        )
    return wavelength


@lru_cache(maxsize=16)
def _evaluated(band: str, wavelength: bytes) -> np.ndarray:
    return _frozen(band_model(band).absolute(np.frombuffer(wavelength)))


def band_design(band: str, wavelength: np.ndarray | None = None) -> np.ndarray:
    """Absolute bases of one band before merging, shape (n_band, n_wave).

    Parameters
    ----------
    band : str
        ``"bp"`` or ``"rp"``.
    wavelength : ndarray, shape (n_wave,), optional
        In nm within 330-1050; without it the official default sampling.

    Returns
    -------
    ndarray
        Flux [W m⁻² nm⁻¹] for a coefficient of 1 electron/s; read-only. Beyond the
        band's own range (BP above 643 nm, RP below 635 nm) it means nothing.
    """
    if band not in BANDS:
        raise StarkinError(f"The XP bands are 'bp' and 'rp', not {band!r}.")
    if wavelength is None:
        return filter_table().design[band]
    return _evaluated(band, _checked(wavelength).tobytes())


def has_official_bases(grid: Grid) -> bool:
    """Whether coefficients on this grid can be sampled in wavelength."""
    return isinstance(grid, XPGrid) and all(
        band_model(band).transformation.shape[0] == grid.band_size(band) for band in BANDS
    )


def require_official(grid: XPGrid) -> None:
    """Raise unless bases of the grid's sizes are published.

    The 51 BP functions announced for DR4 are not: their coefficients can be
    modelled, but not yet sampled in wavelength.
    """
    for band in BANDS:
        n_official = band_model(band).transformation.shape[0]
        if grid.band_size(band) != n_official:
            raise StarkinError(
                f"The installed GaiaXPy has {n_official} {band.upper()} bases and the spectra have "
                f"{grid.band_size(band)} coefficients: install a GaiaXPy that knows this release."
            )


def sampling_design(grid: XPGrid | None = None, wavelength: np.ndarray | None = None) -> np.ndarray:
    """The matrix from coefficients, BP first, to merged absolute flux.

    Parameters
    ----------
    grid : XPGrid, optional
        DR3's 55 + 55 without it.
    wavelength : ndarray, shape (n_wave,), optional
        In nm; without it the official default sampling (343 points).

    Returns
    -------
    ndarray, shape (n_pixels, n_wave)
        ``flux = coefficients @ sampling_design(grid)`` [W m⁻² nm⁻¹] for a star
        with both bands; see :func:`starkin.spectra.sample_spectra` for the rest.

    Raises
    ------
    StarkinError
        If no bases are published for this grid, or the wavelengths are unusable.
    """
    require_official(grid or XPGrid())
    weights = merge_weights(wavelength)
    return np.concatenate([band_design(band, wavelength) * weights[band] for band in BANDS])
