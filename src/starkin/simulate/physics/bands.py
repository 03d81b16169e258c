"""Molecular band systems, line by line, from spectroscopic constants.

Every electronic system is expanded into vibrational bands and rotational lines. Positions come
from the constants of :data:`~.partition.MOLECULES` (with centrifugal distortion
D = 4B³/ω², Kratzer), intensities from the electronic oscillator strength, the Franck-Condon
factor of two Morse potentials (solved on a grid), and the Hönl-London factors of
the case without spin; multiplets are split into equal components. Band heads and their
shading follow from B' - B'' and are not put in by hand.

Oscillator strengths: TiO as in Alvarez & Plez 1998, A&A 330, 1109; C2 Swan Langhoff et al. 1990;
CN violet and red Larsson, Siegbahn & Ågren 1983, Bauschlicher et al. 1988; CH Larsson &
Siegbahn 1986; NH Seong et al. 1994; OH Langhoff et al. 1982; MgH Kirby, Saxon & Liu 1979;
CaH Leininger & Jeung 1995.

The bands of TiO are so crowded (five isotopes, three spin components) that their lines just
overlap: they are smoothed to a continuous cross-section, the just-overlapping-line
approximation of Golden 1967 (JQSRT 7, 225) and Zeidler & Koester 1982 (A&A 113, 173).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy.linalg import eigh_tridiagonal
from scipy.ndimage import gaussian_filter1d

from . import constants as c
from .lines import LineList
from .opacity import Column, species_amount, stimulated_emission
from .partition import MOLECULES, ElectronicState, Molecule

__all__ = [
    "ALWAYS_SMOOTH",
    "SMOOTH_UNRESOLVED",
    "SYSTEMS",
    "BandSystem",
    "band_lines",
    "franck_condon",
    "smooth_band_column",
]

_HBAR2_2MU = 16.857629  # cm^-1 Å^2 u: ħ²/(2μ) for μ in u


@dataclass(frozen=True)
class BandSystem:
    """One electronic transition of a molecule.

    Attributes
    ----------
    name : str
        As spectroscopists call it.
    molecule, upper, lower : str
        Keys of ``MOLECULES`` and of its states.
    oscillator_strength : float
        Electronic absorption oscillator strength.
    parallel : bool
        ΔΛ = 0: P and R branches only; otherwise P, Q, R.
    splitting : tuple of float
        Shifts of the multiplet components from the band origin [cm^-1].
    """

    name: str
    molecule: str
    upper: str
    lower: str
    oscillator_strength: float
    parallel: bool
    splitting: tuple[float, ...] = (0.0,)
    v_max: int = 7
    j_max: int = 90


SYSTEMS: tuple[BandSystem, ...] = (
    BandSystem("CH A-X (G band)", "CH", "A", "X", 0.0055, False, (-6.0, 6.0), 2, 32),
    BandSystem("CH B-X", "CH", "B", "X", 0.0038, False, (-6.0, 6.0), 1, 20),
    BandSystem("CN violet", "CN", "B", "X", 0.0370, True, (-0.6, 0.6), 5, 90),
    BandSystem("CN red", "CN", "A", "X", 0.0055, False, (-26.0, 26.0), 9, 90),
    BandSystem("C2 Swan", "C2", "d", "a", 0.0335, True, (-3.0, 0.0, 3.0), 7, 90),
    BandSystem("NH A-X", "NH", "A", "X", 0.0080, False, (-10.0, 0.0, 10.0), 2, 32),
    BandSystem("OH A-X", "OH", "A", "X", 0.0013, False, (-30.0, 30.0), 2, 32),
    BandSystem("MgH A-X", "MgH", "A", "X", 0.170, False, (-17.5, 17.5), 3, 48),
    BandSystem("CaH A-X", "CaH", "A", "X", 0.20, False, (-39.5, 39.5), 3, 48),
    BandSystem("CaH B-X", "CaH", "B", "X", 0.12, True, (-3.0, 3.0), 3, 48),
    BandSystem("TiO alpha", "TiO", "C", "X", 0.106, True, (-12.0, 0.0, 12.0), 7, 140),
    BandSystem("TiO beta", "TiO", "c", "a", 0.125, False, (0.0,), 5, 140),
    BandSystem("TiO gamma", "TiO", "A", "X", 0.0786, False, (-69.0, 6.0, 72.0), 6, 140),
    BandSystem("TiO gamma'", "TiO", "B", "X", 0.0935, False, (-45.0, 5.0, 40.0), 6, 140),
    BandSystem("TiO delta", "TiO", "b", "a", 0.048, False, (0.0,), 5, 140),
    BandSystem("TiO epsilon", "TiO", "E", "X", 0.0019, False, (-60.0, 0.0, 60.0), 5, 140),
    BandSystem("TiO phi", "TiO", "b", "d", 0.0178, False, (0.0,), 5, 140),
)

ALWAYS_SMOOTH = tuple(s.name for s in SYSTEMS if s.molecule == "TiO")
"""Systems in the just-overlapping-line approximation at every resolution."""

SMOOTH_UNRESOLVED = (*ALWAYS_SMOOTH, "C2 Swan", "CN red")
"""Systems smoothed where single lines are not resolved: crowded when they are strong."""


def _morse_states(state: ElectronicState, reduced_mass: float, r: np.ndarray, n: int) -> np.ndarray:
    """Lowest ``n`` vibrational wave functions of a Morse potential on the grid ``r`` [Å]."""
    depth = state.omega**2 / (4 * state.omega_x)
    stiffness = np.sqrt(state.omega_x * reduced_mass / _HBAR2_2MU)
    equilibrium = np.sqrt(_HBAR2_2MU / (reduced_mass * state.rotation))
    potential = depth * (1 - np.exp(-stiffness * (r - equilibrium))) ** 2
    kinetic = _HBAR2_2MU / reduced_mass / (r[1] - r[0]) ** 2
    _, psi = eigh_tridiagonal(
        2 * kinetic + potential,
        np.full(r.size - 1, -kinetic),
        select="i",
        select_range=(0, n - 1),
    )
    return psi.T


@cache
def franck_condon(molecule: str, upper: str, lower: str, n: int) -> np.ndarray:
    """Franck-Condon factors ``q[v', v'']`` of two Morse potentials, shape ``(n, n)``."""
    species = MOLECULES[molecule]
    mu = species.reduced_mass
    equilibria = [np.sqrt(_HBAR2_2MU / (mu * species.states[s].rotation)) for s in (upper, lower)]
    r = np.linspace(0.62 * min(equilibria), 1.9 * max(equilibria), 1600)
    psi_upper = _morse_states(species.states[upper], mu, r, n)
    psi_lower = _morse_states(species.states[lower], mu, r, n)
    return (psi_upper @ psi_lower.T) ** 2


def _vibration(state: ElectronicState, v: int) -> float:
    return state.omega * (v + 0.5) - state.omega_x * (v + 0.5) ** 2


def _rotation(state: ElectronicState, v: int, j: np.ndarray) -> np.ndarray:
    b = state.rotation - state.rotation_alpha * (v + 0.5)
    distortion = 4 * b**3 / state.omega**2
    x = j * (j + 1.0)
    return b * x - distortion * x**2


def band_lines(system: BandSystem) -> LineList:
    """Every rotational line of the strong bands of a system."""
    molecule: Molecule = MOLECULES[system.molecule]
    up, low = molecule.states[system.upper], molecule.states[system.lower]
    ground = next(iter(molecule.states.values()))
    zero = ground.energy + _vibration(ground, 0)
    n = system.v_max + 1
    factors = franck_condon(system.molecule, system.upper, system.lower, n)
    origin00 = up.energy - low.energy + _vibration(up, 0) - _vibration(low, 0)
    j = np.arange(1, system.j_max + 1).astype(float)
    if system.parallel:
        branches: tuple[tuple[int, np.ndarray], ...] = (
            (1, (j + 1) / (2 * j + 1)),
            (-1, j / (2 * j + 1)),
        )
    else:
        branches = (
            (1, (j + 2) / (4 * j + 2)),
            (0, np.full_like(j, 0.5)),
            (-1, (j - 1) / (4 * j + 2)),
        )
    wavenumber, energy, gf = [], [], []
    for v_up in range(n):
        for v_low in range(n):
            q = factors[v_up, v_low]
            if q < 3e-4:
                continue
            origin = up.energy - low.energy + _vibration(up, v_up) - _vibration(low, v_low)
            strength = system.oscillator_strength * q * origin / origin00
            level = low.energy + _vibration(low, v_low) - zero + _rotation(low, v_low, j)
            for step, share in branches:
                shift = _rotation(up, v_up, j + step) - _rotation(low, v_low, j)
                for component in system.splitting:
                    wavenumber.append(origin + component + shift)
                    energy.append(level)
                    gf.append(
                        low.weight
                        * (2 * j + 1)
                        / molecule.symmetry
                        * strength
                        * share
                        / len(system.splitting)
                    )
    nu, e, g = (np.concatenate(x) for x in (wavenumber, energy, gf))
    keep = (nu > 1000.0) & (g > 0)
    return LineList.from_columns(
        1e7 / nu[keep],
        np.full(keep.sum(), system.molecule),
        np.log10(g[keep]),
        e[keep] * c.INVERSE_CM_TO_EV,
    )


def smooth_band_column(molecule: str, lines: LineList, smoothing_kms: float = 60.0) -> Column:
    """All lines of a molecule as one continuous cross-section (just overlapping lines)."""
    step = 0.25 * smoothing_kms / 2.99792458e5

    def cross_section(temperature: np.ndarray, wavelength_nm: np.ndarray) -> np.ndarray:
        pad = 20 * step
        low = np.log(wavelength_nm.min()) - pad
        n = int((np.log(wavelength_nm.max()) + pad - low) / step) + 2
        where = (np.log(lines.wavelength_nm) - low) / step
        inside = (where > 0) & (where < n - 1)
        own, bin_of = lines.take(inside), np.rint(where[inside]).astype(int)
        grid = low + step * np.arange(n)
        # Per wavenumber: dν̃ = d ln λ / λ.
        base = c.CLASSICAL_LINE * 10**own.log_gf * own.wavelength_nm * 1e-7 / step
        out = np.empty((len(temperature), wavelength_nm.size))
        for i, t in enumerate(temperature):
            boltzmann = np.exp(-own.excitation_ev / (c.BOLTZMANN_EV * t))
            sticks = np.bincount(bin_of, base * boltzmann, minlength=n)
            out[i] = np.interp(np.log(wavelength_nm), grid, gaussian_filter1d(sticks, 4.0))
        return out * stimulated_emission(temperature, wavelength_nm)

    return Column(f"{molecule} bands", species_amount(molecule), cross_section, (0.3,))
