"""Spectra that only `specutils` knows how to read, one at a time."""

from __future__ import annotations

import importlib.util
import warnings
from typing import Any

import numpy as np
from astropy import units as u
from astropy.table import Table

from ...spectra import SpectrumSet, WavelengthGrid, columns
from ...spectra.errors import StarkinError
from ..fits_spectra import outline
from ..registry import Choices, register_spectra
from ..source import Source
from ..star_ids import gaia_id, id_of_name

__all__: list[str] = []


def _specutils_knows(source: Source, head: bytes) -> bool:
    look = outline(source, head)
    if look is None or source.file is None or importlib.util.find_spec("specutils") is None:
        return False
    if any(name.lower() == columns.SOURCE_ID for names in look.columns for name in names):
        return False  # a table of the archive; importing specutils takes seconds
    from astropy.io import registry
    from specutils import Spectrum

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        known = registry.identify_format("read", Spectrum, str(source.file), None, [], {})
    # A loader that takes any table is no proof that there is a spectrum.
    return any(not name.startswith(("tabular", "ASCII", "IPAC", "ECSV")) for name in known)


@register_spectra("specutils", "any single spectrum that specutils reads", matches=_specutils_knows)
def read_specutils(source: Source, choices: Choices) -> SpectrumSet:
    """A spectrum with a wavelength axis and an uncertainty.

    Raises
    ------
    StarkinError
        If specutils is not installed, or the spectrum has no wavelengths or no errors.
    """
    try:
        from specutils import Spectrum
    except ImportError:
        raise StarkinError(
            f"{source.name} needs specutils to be read: pip install specutils."
        ) from None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        spectrum = Spectrum.read(source.name)
    wavelength = spectrum.spectral_axis.to_value(u.AA, equivalencies=u.spectral())
    flux = np.atleast_2d(spectrum.flux.value)
    errors = _errors(spectrum, source.name)
    order = np.argsort(wavelength)
    mask = np.zeros(flux.shape, bool) if spectrum.mask is None else np.atleast_2d(spectrum.mask)
    header = spectrum.meta.get("header", {})
    star = gaia_id(header) or id_of_name(source.name.rsplit("/", 1)[-1])
    ids = np.array([star + i for i in range(len(flux))])
    unit = spectrum.flux.unit
    return SpectrumSet(
        source_id=ids,
        values=flux[:, order],
        errors=errors[:, order],
        mask=mask[:, order].astype(bool),
        grid=WavelengthGrid(wavelength[order], "Angstrom", "vacuum", "observed"),
        labels=Table(),
        unit=u.dimensionless_unscaled if isinstance(unit, u.UnrecognizedUnit) else unit,
        meta={
            "files": [source.name],
            "rejected": [],
            "assumed": ["wavelengths are in vacuum", "wavelengths are in the observer's frame"],
        },
    )


def _errors(spectrum: Any, name: str) -> np.ndarray:
    from astropy.nddata import StdDevUncertainty

    if spectrum.uncertainty is None:
        raise StarkinError(f"{name} has no errors: starkin needs the error of every pixel.")
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.atleast_2d(spectrum.uncertainty.represent_as(StdDevUncertainty).array)
