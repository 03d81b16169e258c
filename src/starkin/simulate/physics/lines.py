"""Spectral lines: the line list, Voigt profiles, and their cross-sections as opacity columns.

A Voigt profile depends on pressure through its damping, which a table in temperature alone
cannot hold. But it is close to linear in the damping parameter a: with the secant
``G(v) = H(1, v) - H(0, v)``,

    H(a, v) ≈ exp(-v²) + a G(v),

exact at a = 0 and a = 1, of exact area for every a, and with the exact Lorentz wings. So each
species has two columns: one per absorber (Doppler core and natural damping), one per absorber
and perturber (van der Waals damping) — and, where a list brings Stark constants, a third.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy.special import wofz

from ...spectra import StarkinError
from . import constants as c
from .opacity import Column, stimulated_emission
from .partition import MOLECULES
from .state import State

__all__ = ["LineList", "line_columns", "voigt"]

_STAGES = {"I": 0, "II": 1, "III": 2}
_PERTURBERS = 1e16  # cm^-3, unit of the second column

_V = np.concatenate([np.linspace(0, 6, 601), np.geomspace(6.02, 50, 200)])
_G = wofz(_V + 1j).real - np.exp(-(_V**2))


def _secant(v: np.ndarray) -> np.ndarray:
    """``H(1, v) - H(0, v)``; beyond v = 50 its Lorentz wing."""
    return np.where(v < 50, np.interp(v, _V, _G), 1 / (np.sqrt(np.pi) * np.maximum(v, 1) ** 2))


def voigt(a: np.ndarray | float, v: np.ndarray) -> np.ndarray:
    """Hjerting function H(a, v) in the approximation the engine uses (see the module)."""
    v = np.abs(v)
    return np.exp(-(v**2)) + a * _secant(v)


@dataclass(frozen=True)
class LineList:
    """Lines of atoms, ions and molecules; every array has shape ``(n_lines,)``.

    Attributes
    ----------
    wavelength_nm : ndarray
        Vacuum wavelength [nm].
    species : ndarray of str
        ``"Fe I"``, ``"Ca II"``, ``"CN"``.
    log_gf : ndarray
    excitation_ev : ndarray
        Energy of the lower level [eV].
    gamma_rad : ndarray
        Natural damping [s^-1]; NaN for the classical value.
    gamma_vdw : ndarray
        Van der Waals damping per perturber at 10^4 K [s^-1 cm^3]; NaN for Unsöld's value.
    gamma_stark : ndarray
        Stark damping per electron at 10^4 K [s^-1 cm^3]; zero where unknown.
    """

    wavelength_nm: np.ndarray
    species: np.ndarray
    log_gf: np.ndarray
    excitation_ev: np.ndarray
    gamma_rad: np.ndarray
    gamma_vdw: np.ndarray
    gamma_stark: np.ndarray

    @classmethod
    def from_columns(
        cls,
        wavelength_nm: Sequence[float] | np.ndarray,
        species: Sequence[str] | np.ndarray,
        log_gf: Sequence[float] | np.ndarray,
        excitation_ev: Sequence[float] | np.ndarray,
        gamma_rad: Sequence[float] | np.ndarray | None = None,
        gamma_vdw: Sequence[float] | np.ndarray | None = None,
        gamma_stark: Sequence[float] | np.ndarray | None = None,
    ) -> LineList:
        """A list from plain columns, sorted by wavelength, default damping filled in.

        Raises
        ------
        StarkinError
            If a column has another length, a number is not finite, or a species is unknown.
        """
        lam = np.asarray(wavelength_nm, dtype=float)
        n = lam.size

        def column(name: str, values, default: float | None = None) -> np.ndarray:
            array = np.full(n, default) if values is None else np.asarray(values, dtype=float)
            if array.shape != (n,):
                raise StarkinError(f"Line list column {name} has {array.size} rows, expected {n}.")
            if default is None and not np.isfinite(array).all():
                row = int(np.flatnonzero(~np.isfinite(array))[0])
                raise StarkinError(f"Line list column {name} is not a number in row {row}.")
            return array

        names = np.asarray(species).astype(str)
        if names.shape != (n,):
            raise StarkinError(f"Line list column species has {names.size} rows, expected {n}.")
        for name in np.unique(names):
            _parse_species(name)
        new = cls(
            lam,
            names,
            column("log_gf", log_gf),
            column("excitation_ev", excitation_ev),
            column("gamma_rad", gamma_rad, np.nan),
            column("gamma_vdw", gamma_vdw, np.nan),
            column("gamma_stark", gamma_stark, 0.0),
        )
        return new.take(np.argsort(lam, kind="stable"))._with_default_damping()

    def __len__(self) -> int:
        return self.wavelength_nm.size

    def take(self, index: np.ndarray) -> LineList:
        """Some of the lines (indices or a mask)."""
        return LineList(*(getattr(self, f)[index] for f in self.__dataclass_fields__))

    @staticmethod
    def concatenate(lists: Sequence[LineList]) -> LineList:
        """Several lists as one, sorted by wavelength."""
        fields = LineList.__dataclass_fields__
        both = LineList(*(np.concatenate([getattr(x, f) for x in lists]) for f in fields))
        return both.take(np.argsort(both.wavelength_nm, kind="stable"))

    def _with_default_damping(self) -> LineList:
        classical = 2.223e13 / self.wavelength_nm**2  # s^-1, Mihalas 1978, eq. 4-34
        return replace(
            self,
            gamma_rad=np.where(np.isfinite(self.gamma_rad), self.gamma_rad, classical),
            gamma_vdw=np.where(np.isfinite(self.gamma_vdw), self.gamma_vdw, self._unsoeld()),
        )

    def _unsoeld(self, enhancement_dex: float = 0.3) -> np.ndarray:
        """Unsöld's van der Waals damping at 10^4 K per H atom (Gray 2005, eqs. 11.29-11.30).

        Raised by a factor of two, as collision theory finds it (Barklem et al. 2000).
        """
        out = np.zeros(len(self))
        for name in np.unique(self.species):
            element, stage = _parse_species(name)
            rows = self.species == name
            if element is None:
                continue  # molecules: rotation broadens them less than their Doppler width
            chi = c.ELEMENTS[c.ELEMENT_INDEX[element]].ionisation[min(stage, 1)]
            charge2 = (stage + 1) ** 2
            low = np.maximum(chi - self.excitation_ev[rows], 0.3)
            high = np.maximum(low - 1239.84 / self.wavelength_nm[rows], 0.3)
            c6 = 0.3e-30 * charge2 * np.maximum(1 / high**2 - 1 / low**2, 1e-4)
            mass = c.ELEMENTS[c.ELEMENT_INDEX[element]].mass
            speed = np.sqrt(
                8 * c.BOLTZMANN * 1e4 / (np.pi * c.ATOMIC_MASS_UNIT) * (1 / 1.008 + 1 / mass)
            )
            out[rows] = 17.0 * c6**0.4 * speed**0.6 * 10**enhancement_dex
        return out

    def strength(self, theta: float = 1.1) -> np.ndarray:
        """``log(A gf) - θχ``: the strength of a weak line at temperature 5040/θ K."""
        abundance = np.empty(len(self))
        for name in np.unique(self.species):
            element, stage = _parse_species(name)
            if element is None:
                a, b = MOLECULES[name].atoms
                eps = min(c.ELEMENTS[c.ELEMENT_INDEX[s]].log_eps for s in (a, b)) - 3
            else:
                e = c.ELEMENTS[c.ELEMENT_INDEX[element]]
                eps = e.log_eps + (1.3 if stage else 0.0)
            abundance[self.species == name] = eps - 12
        return abundance + self.log_gf - theta * self.excitation_ev


def _parse_species(name: str) -> tuple[str | None, int]:
    """``"Fe II"`` → ("Fe", 1); a molecule → (None, 0)."""
    if name in MOLECULES:
        return None, 0
    element, _, roman = name.partition(" ")
    if element not in c.ELEMENT_INDEX or roman not in _STAGES:
        raise StarkinError(
            f"Line list species {name!r} is unknown: write an element of "
            f"{sorted(c.ELEMENT_INDEX)} and a roman numeral I-III, or one of {sorted(MOLECULES)}."
        )
    return element, _STAGES[roman]


def _mass(name: str) -> float:
    element, _ = _parse_species(name)
    return MOLECULES[name].mass if element is None else c.ELEMENTS[c.ELEMENT_INDEX[element]].mass


def _amount(name: str):
    element, stage = _parse_species(name)
    if element is None:
        return lambda s: s.molecule_over_partition(name)
    return lambda s: s.density_over_partition(element, stage)


def _perturbers(state: State) -> torch.Tensor:
    """Hydrogen atoms and what else collides, weighted by polarisability (Gray 2005, p. 243)."""
    helium = state.abundances[:, 1] * state.hydrogen
    return state.h1 + 0.42 * helium + 0.85 * state.h2


@dataclass(frozen=True)
class _LineOpacity:
    """Cross-sections of the lines of one species, its two or three columns sharing the work."""

    lines: LineList
    mass: float
    velocity_kms: float
    pivot_ev: float

    def reach(self) -> np.ndarray:
        """Half-width [nm] to which each line is followed.

        Where the Lorentz wing of a solar-like line falls below a thousandth of the continuum,
        times three for denser or cooler atmospheres.
        """
        saturation = self.lines.strength() + 11.6
        return np.clip(0.009 * 10 ** (0.5 * saturation), 0.04, 40.0) * (
            self.lines.wavelength_nm / 500.0
        )

    def __call__(self, temperature: np.ndarray, wavelength_nm: np.ndarray, part: str) -> np.ndarray:
        out = np.zeros((len(temperature), wavelength_nm.size))
        reach = self.reach()
        lo = np.searchsorted(wavelength_nm, self.lines.wavelength_nm - reach)
        hi = np.searchsorted(wavelength_nm, self.lines.wavelength_nm + reach)
        count = hi - lo
        used = np.flatnonzero(count > 0)
        if used.size == 0:
            return out
        lines, count = self.lines.take(used), count[used]
        # One flat list of (line, wavelength) pairs.
        line = np.repeat(np.arange(used.size), count)
        first = np.cumsum(count) - count
        pixel = np.arange(line.size) - np.repeat(first - lo[used], count)
        lam_cm = lines.wavelength_nm * 1e-7
        delta = np.abs(wavelength_nm[pixel] - lines.wavelength_nm[line])
        for i, t in enumerate(temperature):
            doppler = (
                lines.wavelength_nm
                / c.SPEED_OF_LIGHT
                * np.sqrt(
                    2 * c.BOLTZMANN * t / (self.mass * c.ATOMIC_MASS_UNIT)
                    + (self.velocity_kms * 1e5) ** 2
                )
            )  # nm
            strength = (
                c.CLASSICAL_LINE
                * 10**lines.log_gf
                * np.exp(-lines.excitation_ev / (c.BOLTZMANN_EV * t))
                * lam_cm**2
                / (np.sqrt(np.pi) * doppler * 1e-7)
            )
            # a = γ λ² / (4π c ΔλD)
            damping = lam_cm**2 / (4 * np.pi * c.SPEED_OF_LIGHT * doppler * 1e-7)
            v = delta / doppler[line]
            if part == "core":
                value = strength[line] * np.exp(-(np.minimum(v, 26.0) ** 2))
                rest = strength * damping * lines.gamma_rad
                value += rest[line] * _secant(v)
            else:
                per = (
                    lines.gamma_vdw * _PERTURBERS * (t / 1e4) ** 0.3
                    if part == "vdw"
                    else lines.gamma_stark * _PERTURBERS * (t / 1e4) ** (1 / 6)
                )
                value = (strength * damping * per)[line] * _secant(v)
            out[i] = np.bincount(pixel, value, minlength=wavelength_nm.size)
        return out * stimulated_emission(temperature, wavelength_nm)


def line_columns(lines: LineList, velocity_kms: float = 1.5) -> list[Column]:
    """Opacity columns of a line list.

    Parameters
    ----------
    lines : LineList
    velocity_kms : float
        Microturbulence.
    """
    columns = []
    for name in dict.fromkeys(lines.species.tolist()):
        own = lines.take(lines.species == name)
        # The excitation that carries most opacity around 5000 K.
        weight = 10 ** (own.log_gf - 1.0 * own.excitation_ev)
        pivot = float((weight * own.excitation_ev).sum() / weight.sum())
        opacity = _LineOpacity(own, _mass(name), velocity_kms, pivot)
        amount = _amount(name)
        columns.append(
            Column(f"{name} lines", amount, lambda t, w, o=opacity: o(t, w, "core"), pivot)
        )
        if own.gamma_vdw.any():
            columns.append(
                Column(
                    f"{name} pressure wings",
                    lambda s, a=amount: a(s) * (_perturbers(s) / _PERTURBERS),
                    lambda t, w, o=opacity: o(t, w, "vdw"),
                    pivot,
                )
            )
        if own.gamma_stark.any():
            columns.append(
                Column(
                    f"{name} Stark wings",
                    lambda s, a=amount: a(s) * (s.electrons / _PERTURBERS),
                    lambda t, w, o=opacity: o(t, w, "stark"),
                    pivot,
                )
            )
    return columns
