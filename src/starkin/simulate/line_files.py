"""Read real line lists: VALD, Turbospectrum (BSYN), MOOG and Kurucz (gfall) layouts.

``vald``
    Long extract ("extract all", "extract stellar"): element and ion, wavelength (the header says
    air or vacuum, eV or cm^-1), log gf, lower energy, logs of radiative, Stark and van der Waals
    damping; van der Waals above 20 is σ.α of Anstee, Barklem & O'Mara (Barklem, Piskunov & O'Mara
    2000, A&AS 142, 467).
``turbospectrum``
    Blocks of a species, ``' 26.000 ' 1 2`` and a name; air wavelength [Å], χ [eV], log gf, damping
    (negative: log γ; above 20: σ.α; else a factor on Unsöld's value), 2J + 1, radiative γ.
``moog``
    Air wavelength [Å], species ``26.1``, χ [eV], log gf, van der Waals (log γ if negative).
``kurucz``
    Fixed columns of gfall: wavelength [nm], log gf, ``26.01``, both energies [cm^-1], log γ.

Air is turned into vacuum as in Morton 2000 above 2000 Å. Lines of species that the engine does not
know are left out with a warning.
"""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy.special import gamma as gamma_function

from ..spectra import StarkinError
from .physics import constants as c
from .physics.atomic_lines import air_to_vacuum
from .physics.lines import LineList
from .physics.partition import MOLECULES

__all__ = ["LAYOUTS", "read_lines"]

# fmt: off
_SYMBOLS = (
    "H", "He", "Li", "Be", "B", "C", "N", "O", "F", "Ne", "Na", "Mg", "Al", "Si", "P",
    "S", "Cl", "Ar", "K", "Ca", "Sc", "Ti", "V", "Cr", "Mn", "Fe", "Co", "Ni", "Cu", "Zn",
    "Ga", "Ge", "As", "Se", "Br", "Kr", "Rb", "Sr", "Y", "Zr", "Nb", "Mo", "Tc", "Ru", "Rh",
    "Pd", "Ag", "Cd", "In", "Sn", "Sb", "Te", "I", "Xe", "Cs", "Ba", "La", "Ce", "Pr", "Nd",
    "Pm", "Sm", "Eu", "Gd", "Tb", "Dy", "Ho", "Er", "Tm", "Yb", "Lu", "Hf", "Ta", "W", "Re",
    "Os", "Ir", "Pt", "Au", "Hg", "Tl", "Pb", "Bi", "Po", "At", "Rn", "Fr", "Ra", "Ac", "Th",
    "Pa", "U",
)
# fmt: on
_ROMAN = ("I", "II", "III", "IV", "V", "VI")


class _Line(NamedTuple):
    """One line as a file has it; damping NaN (zero for Stark) where the file says nothing."""

    vacuum_nm: float
    species: str
    log_gf: float
    excitation_ev: float
    gamma_rad: float = np.nan
    gamma_vdw: float = np.nan
    gamma_stark: float = 0.0


def _power(text: str | float) -> float:
    """10 to a tabulated logarithm; 0 means that there is none."""
    value = float(text)
    return 10**value if value != 0 else np.nan


def _vacuum(angstrom: float, in_air: bool = True) -> float:
    nm = angstrom / 10
    return float(air_to_vacuum(np.array(nm))) if in_air and angstrom > 2000 else nm


def _collision(packed: float, species: str) -> float:
    """Damping per H atom at 10^4 K [s^-1 cm^3] from a packed σ.α (Barklem et al. 2000, eq. 3)."""
    sigma, alpha = np.floor(packed), packed % 1
    mass = {e.symbol: e.mass for e in c.ELEMENTS}.get(species.split()[0], np.inf)
    reduced = c.ATOMIC_MASS_UNIT / (1 / 1.008 + 1 / mass)
    speed = np.sqrt(8 * c.BOLTZMANN * 1e4 / (np.pi * reduced))
    bohr2 = 2.8002852e-17  # cm^2
    width = (4 / np.pi) ** (alpha / 2) * gamma_function(2 - alpha / 2)
    return float(2 * width * sigma * bohr2 * speed * (speed / 1e6) ** -alpha)


def _van_der_waals(value: float, species: str) -> float:
    if value >= 20:
        return _collision(value, species)
    return 10**value if value < 0 else np.nan


def _species_of(code: str) -> str:
    """``26.1`` → Fe II, ``607.012014`` → CN; what cannot be named keeps its code."""
    whole, _, rest = code.strip().partition(".")
    number = int(whole)
    if number < 100:
        stage = int(rest[:1] or 0)
        known = 1 <= number <= len(_SYMBOLS) and stage < len(_ROMAN)
        return f"{_SYMBOLS[number - 1]} {_ROMAN[stage]}" if known else code
    light, heavy = divmod(number, 100)
    if max(light, heavy) > len(_SYMBOLS) or not light:
        return code
    atoms = {_SYMBOLS[light - 1], _SYMBOLS[heavy - 1]}
    for name, molecule in MOLECULES.items():
        if set(molecule.atoms) == atoms and (light == heavy) == (len(set(molecule.atoms)) == 1):
            return name
    return code


def _read_vald(text: Sequence[str]) -> Iterator[_Line]:
    header = " ".join(line for line in text[:4] if not line.lstrip().startswith("'"))
    in_air = "WL_vac" not in header
    ev = "cm-1" not in header.split("WL_", 1)[-1] and "cm^-1" not in header
    for line in text:
        match = re.match(r"\s*'([A-Za-z0-9]+)\s+(\d+)'\s*,(.*)", line)
        if not match:
            continue
        symbol, ion, rest = match.groups()
        fields = [f for f in rest.split(",") if f.strip()]
        stage = int(ion) - 1
        species = symbol if symbol in MOLECULES else f"{symbol} {_ROMAN[min(stage, 5)]}"
        if len(fields) < 12:
            raise ValueError(f"{len(fields)} numbers instead of at least 12 in {line.strip()!r}")
        wavelength, log_gf, energy = (float(f) for f in fields[:3])
        rad, stark, waals = fields[9:12]
        yield _Line(
            _vacuum(wavelength, in_air),
            species,
            log_gf,
            energy if ev else energy * c.INVERSE_CM_TO_EV,
            _power(rad),
            _van_der_waals(float(waals), species) if float(waals) else np.nan,
            np.nan_to_num(_power(stark)),
        )


def _read_turbospectrum(text: Sequence[str]) -> Iterator[_Line]:
    species = ""
    for line in text:
        block = re.match(r"\s*'\s*([\d.]+)\s*'\s*(\d+)\s+(\d+)", line)
        if block:
            code, ion = block.group(1), int(block.group(2))
            whole = code.split(".")[0]
            species = _species_of(f"{int(whole)}.{ion - 1}" if int(whole) < 100 else code)
            continue
        if not line.strip() or line.lstrip().startswith(("'", "#")):
            continue
        if not species:
            raise ValueError(f"a line before any species block: {line.strip()!r}")
        fields = line.split()
        wavelength, energy, log_gf, damping = (float(f) for f in fields[:4])
        rad = float(fields[5]) if len(fields) > 5 and _is_number(fields[5]) else 0.0
        waals = _van_der_waals(damping, species)
        yield _Line(
            _vacuum(wavelength), species, log_gf, energy, rad if rad > 1e3 else np.nan, waals
        )


def _read_moog(text: Sequence[str]) -> Iterator[_Line]:
    for line in text:
        fields = line.split()
        if line.lstrip().startswith("#") or len(fields) < 4:
            continue
        if not all(_is_number(f) for f in fields[:4]):
            continue  # the title
        species = _species_of(fields[1])
        # A fifth number is van der Waals damping where negative, else a strength or a width.
        waals = float(fields[4]) if len(fields) > 4 and _is_number(fields[4]) else 0.0
        yield _Line(
            _vacuum(abs(float(fields[0]))),
            species,
            float(fields[3]),
            float(fields[2]),
            gamma_vdw=10**waals if waals < 0 else np.nan,
        )


def _read_kurucz(text: Sequence[str]) -> Iterator[_Line]:
    for line in text:
        if len(line) < 70 or not _is_number(line[:11]):
            continue
        code = f"{float(line[18:24]):.2f}"
        whole, _, ion = code.partition(".")
        lower = min(abs(float(line[24:36])), abs(float(line[52:64])))
        damping = [line[a:b].strip() for a, b in ((80, 86), (86, 92), (92, 98))]
        rad, stark, waals = (_power(d) if _is_number(d) else np.nan for d in damping)
        yield _Line(
            _vacuum(10 * float(line[:11])),
            _species_of(f"{whole}.{int(ion)}"),
            float(line[11:18]),
            lower * c.INVERSE_CM_TO_EV,
            rad,
            waals,
            np.nan_to_num(stark),
        )


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


#: Layouts that :func:`read_lines` knows.
LAYOUTS: dict[str, Callable[[Sequence[str]], Iterator[_Line]]] = {
    "vald": _read_vald,
    "turbospectrum": _read_turbospectrum,
    "moog": _read_moog,
    "kurucz": _read_kurucz,
}


def _layout_of(text: Sequence[str]) -> str | None:
    for line in text[:60]:
        if re.match(r"\s*'[A-Z][A-Za-z]?\w*\s+\d+'\s*,", line):
            return "vald"
        if re.match(r"\s*'\s*[\d.]+\s*'\s*\d+\s+\d+", line):
            return "turbospectrum"
        # Kurucz: energies and the labels of levels at fixed places.
        fixed = len(line) >= 80 and re.match(r"\s*\d+\.\d{4}[ -]", line)
        if fixed and all(_is_number(line[a:b]) for a, b in ((18, 24), (24, 36), (52, 64))):
            return "kurucz"
        fields = line.split()
        if 4 <= len(fields) <= 8 and all(_is_number(f) for f in fields):
            return "moog"
    return None


def read_lines(path: str | os.PathLike[str], layout: str | None = None) -> LineList:
    """A line list of your own, wavelengths in vacuum.

    Parameters
    ----------
    path : path-like
        Text, one line or a few a transition.
    layout : str, optional
        One of :data:`LAYOUTS`; by default the file tells.

    Raises
    ------
    StarkinError
        If the layout is unknown, a line cannot be read, or none is of a species the engine has.
    """
    path = Path(path)
    try:
        text = path.read_text(errors="replace").splitlines()
    except OSError as error:
        raise StarkinError(f"Cannot read the line list {path}: {error}") from error
    layout = layout or _layout_of(text)
    if layout not in LAYOUTS:
        raise StarkinError(
            f"{path} is in none of the layouts {', '.join(LAYOUTS)}; name one with layout=."
        )
    try:
        lines = list(LAYOUTS[layout](text))
    except (ValueError, IndexError) as error:
        raise StarkinError(f"{path} is not a line list in the {layout} layout: {error}.") from error
    known = [line for line in lines if _known(line.species)]
    if not known:
        raise StarkinError(f"{path} holds no line of a species that the engine knows.")
    if len(known) < len(lines):
        others = sorted({line.species for line in lines} - {line.species for line in known})
        warnings.warn(
            f"{len(lines) - len(known)} of {len(lines)} lines of {path.name} are of species that "
            f"the engine does not know ({', '.join(others[:8])}) and are left out.",
            stacklevel=2,
        )
    return LineList.from_columns(*(np.array(column) for column in zip(*known, strict=True)))


def _known(species: str) -> bool:
    element, _, roman = species.partition(" ")
    return species in MOLECULES or (element in c.ELEMENT_INDEX and roman in _ROMAN[:3])
