"""Spectral lines: the line list, Voigt profiles, and their cross-sections as opacity columns.

A Voigt profile depends on pressure through its damping, which a table in temperature alone
cannot hold. But it is close to linear in the damping parameter a: with the secant
``G(v) = H(1, v) - H(0, v)``,

    H(a, v) ≈ exp(-v²) + a G(v),

with the exact Lorentz wings. (G is cut at -exp(-v²)/20 in the core so that no damping turns
absorption into emission; the area of a line is then too large by 0.35 a, 1-3 % in giants.) So
each species has two columns: one per absorber (Doppler core and natural damping), one per
absorber and perturber (van der Waals damping) — and, where a list brings Stark constants, a third.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from scipy.special import wofz

from ...spectra import StarkinError
from . import constants as c
from .opacity import Amount, Column, species_amount, stimulated_emission
from .partition import MOLECULES
from .state import State

__all__ = ["LineList", "line_columns", "voigt"]

_STAGES = {"I": 0, "II": 1, "III": 2}
_PERTURBERS = 1e16  # cm^-3, unit of the second column
_TYPICAL_PERTURBERS = 5e16  # cm^-3, in the line-forming layers of the Sun

_V_STEP, _V_MAX = 0.01, 12.0
_V = np.arange(0.0, _V_MAX + 2 * _V_STEP, _V_STEP)
# The secant falls to -0.57 in the core; cut at -exp(-v²)/20, the sum stays positive up to a = 20,
# beyond what the deep layers of M dwarfs have.
_G = np.exp(-(_V**2))
_G = np.maximum(wofz(_V + 1j).real - _G, -0.05 * _G).astype(np.float32)


def _secant(v: np.ndarray) -> np.ndarray:
    """``H(1, v) - H(0, v)`` for v ≥ 0: a table, and beyond it the Lorentz wing."""
    x = np.minimum(v, np.float32(_V_MAX)) * np.float32(1 / _V_STEP)
    i = x.astype(np.int32)
    low = _G[i]
    near = low + (x - i) * (_G[i + 1] - low)
    inverse = 1 / np.maximum(v, 1.0) ** 2
    far = np.float32(1 / np.sqrt(np.pi)) * inverse * (1 + np.float32(0.5) * inverse)
    return np.where(v < _V_MAX, near, far)


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
        for name in np.unique(names).tolist():
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


def _perturbers(state: State) -> torch.Tensor:
    """Hydrogen atoms and what else collides, weighted by polarisability (Gray 2005, p. 243)."""
    helium = state.abundances[:, 1] * state.hydrogen
    return state.h1 + 0.42 * helium + 0.85 * state.h2


@dataclass(frozen=True)
class _LineOpacity:
    """Cross-sections of the lines of one species, its two or three columns sharing the work."""

    name: str
    lines: LineList
    velocity_kms: float

    @property
    def mass(self) -> float:
        """[u]"""
        element, _ = _parse_species(self.name)
        if element is None:
            return MOLECULES[self.name].mass
        return c.ELEMENTS[c.ELEMENT_INDEX[element]].mass

    @property
    def pivot_ev(self) -> float:
        """The excitation that carries most opacity around 5000 K."""
        weight = 10 ** (self.lines.log_gf - self.lines.excitation_ev)
        return float((weight * self.lines.excitation_ev).sum() / weight.sum())

    @property
    def hottest(self) -> float:
        """Temperature [K] above which the species has vanished from any photosphere."""
        element, stage = _parse_species(self.name)
        if element is None:
            return 8500.0
        # At χ/kT of 5 even dense photospheres have the next ion only.
        chi = c.ELEMENTS[c.ELEMENT_INDEX[element]].ionisation[min(stage, 1)]
        return max(12000.0, chi / (5.0 * c.BOLTZMANN_EV))

    def reach(self) -> np.ndarray:
        """Half-width [nm] to which each line is followed.

        Where the Lorentz wing of a solar-like line falls below a thousandth of the continuum,
        times three for denser or cooler atmospheres.
        """
        saturation = self.lines.strength() + 11.6
        # Molecular lines have no pressure wings, and natural ones drown in their neighbours.
        widest = 0.12 if self.name in MOLECULES else 40.0
        reach = np.clip(0.009 * 10 ** (0.5 * saturation), 0.04, widest)
        return reach * self.lines.wavelength_nm / 500.0

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
        delta = np.abs(wavelength_nm[pixel] - lines.wavelength_nm[line]).astype(np.float32)
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
            v = delta * (1 / doppler).astype(np.float32)[line]
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


def line_columns(
    lines: LineList, velocity_kms: float = 1.5, fold_below: float = -np.inf
) -> list[Column]:
    """Opacity columns of a line list.

    Parameters
    ----------
    lines : LineList
        Any mixture of atoms, ions and molecules.
    velocity_kms : float
        Microturbulence.
    fold_below : float
        A species whose strongest line is weaker than this (see :meth:`LineList.strength`) gets
        no pressure wings of its own; its damping is that of a solar photosphere. Saves time
        where lines are not resolved.
    """
    parts: dict[str, list[_LineOpacity]] = {"core": [], "vdw": [], "stark": []}
    for name in dict.fromkeys(lines.species.tolist()):
        own = lines.take(lines.species == name)
        if own.strength().max() < fold_below:
            typical = own.gamma_vdw * _TYPICAL_PERTURBERS
            own = replace(own, gamma_rad=own.gamma_rad + typical, gamma_vdw=0.0 * typical)
        opacity = _LineOpacity(name, own, velocity_kms)
        parts["core"].append(opacity)
        if own.gamma_vdw.any():
            parts["vdw"].append(opacity)
        if own.gamma_stark.any():
            parts["stark"].append(opacity)
    partners: dict[str, Amount] = {
        "core": lambda s: torch.ones_like(s.h1),
        "vdw": lambda s: _perturbers(s) / _PERTURBERS,
        "stark": lambda s: s.electrons / _PERTURBERS,
    }
    return [
        Column(
            f"lines, {part}",
            _times(species_amount(*(o.name for o in group)), partners[part]),
            partial(_stack, group, part),
            tuple(o.pivot_ev for o in group),
        )
        for part, group in parts.items()
        if group
    ]


def _times(amount: Amount, partner: Amount) -> Amount:
    return lambda state: amount(state) * partner(state)[:, None]


def _stack(
    group: list[_LineOpacity], part: str, temperature: np.ndarray, wavelength_nm: np.ndarray
) -> np.ndarray:
    """Cross-sections of several species, zero where they have vanished."""
    out = np.zeros((len(temperature), len(group), wavelength_nm.size))
    for k, opacity in enumerate(group):
        cool = temperature <= opacity.hottest
        out[cool, k] = opacity(temperature[cool], wavelength_nm, part)
    return out
