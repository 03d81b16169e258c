# ruff: noqa: E501 - one line per species reads better
"""Partition functions: atoms from their lowest terms, diatomic molecules from constants.

Atomic terms (statistical weight, mean energy in eV) are condensed from the NIST Atomic
Spectra Database; neighbouring high terms are lumped, which is harmless wherever the species
is abundant. Diatomics use the spectroscopic constants of Huber & Herzberg 1979
("Constants of Diatomic Molecules"); for TiO those compiled by Jørgensen 1994, A&A 284, 179.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .constants import BOLTZMANN_EV, ELEMENTS, INVERSE_CM_TO_EV

__all__ = ["MOLECULES", "ElectronicState", "Molecule", "atomic_partition", "molecular_partition"]

_Terms = tuple[tuple[float, float], ...]

# (g, E[eV]) of the neutral, the singly and the doubly charged atom.
TERMS: dict[str, tuple[_Terms, _Terms, _Terms]] = {
    "H": (((2, 0), (8, 10.199), (18, 12.088)), ((1, 0),), ((1, 0),)),
    "He": (((1, 0), (3, 19.82), (1, 20.62), (9, 20.96), (3, 21.22)), ((2, 0), (8, 40.8)), ((1, 0),)),
    "C": (
        ((9, 0.0036), (5, 1.264), (1, 2.684), (5, 4.183), (9, 7.48), (3, 7.68), (45, 8.8)),
        ((6, 0.0053), (12, 5.335), (10, 9.29), (2, 11.96)),
        ((1, 0), (9, 6.5)),
    ),
    "N": (
        ((4, 0), (10, 2.384), (6, 3.576), (12, 10.33), (6, 10.69)),
        ((9, 0.011), (5, 1.899), (1, 4.053), (5, 5.80), (15, 11.4)),
        ((6, 0.014), (12, 7.1)),
    ),
    "O": (
        ((9, 0.0097), (5, 1.967), (1, 4.190), (5, 9.146), (3, 9.52), (24, 10.9)),
        ((4, 0), (10, 3.325), (6, 5.017)),
        ((9, 0.024), (5, 2.51), (1, 5.35)),
    ),
    "Na": (
        ((2, 0), (6, 2.104), (2, 3.191), (10, 3.617), (6, 3.753), (22, 4.3)),
        ((1, 0),),
        ((6, 0.06),),
    ),
    "Mg": (
        ((1, 0), (9, 2.714), (3, 4.346), (3, 5.108), (1, 5.394), (5, 5.753), (24, 5.94)),
        ((2, 0), (6, 4.43), (2, 8.65), (10, 8.86), (6, 10.0)),
        ((1, 0),),
    ),
    "Al": (
        ((6, 0.0093), (2, 3.143), (12, 3.60), (10, 4.021), (6, 4.085), (12, 4.8)),
        ((1, 0), (9, 4.65), (3, 7.42)),
        ((2, 0), (6, 6.68)),
    ),
    "Si": (
        ((9, 0.0185), (5, 0.781), (1, 1.909), (5, 4.132), (9, 4.93), (3, 5.08), (50, 5.8)),
        ((6, 0.0237), (12, 5.33), (10, 6.86), (2, 8.12), (10, 9.84)),
        ((1, 0), (9, 6.55)),
    ),
    "P": (((4, 0), (10, 1.41), (6, 2.322), (12, 6.95)), ((9, 0.04), (5, 1.101), (1, 2.675)), ((6, 0.046),)),
    "S": (
        ((9, 0.024), (5, 1.145), (1, 2.750), (5, 6.524), (3, 6.860), (24, 7.9)),
        ((4, 0), (10, 1.843), (6, 3.043), (12, 9.9)),
        ((9, 0.06), (5, 1.40)),
    ),
    "K": (((2, 0), (6, 1.615), (2, 2.607), (10, 2.670), (6, 3.064), (24, 3.5)), ((1, 0),), ((6, 0.09),)),
    "Ca": (
        ((1, 0), (9, 1.892), (15, 2.524), (5, 2.709), (3, 2.933), (3, 3.910), (1, 4.131), (21, 4.443),
         (9, 4.53), (20, 4.70), (40, 5.1)),
        ((2, 0), (10, 1.697), (6, 3.142), (2, 6.468), (10, 7.05), (6, 7.51)),
        ((1, 0),),
    ),
    "Sc": (
        ((10, 0.0126), (28, 1.44), (14, 1.86), (40, 2.3), (120, 3.1)),
        ((15, 0.014), (5, 0.315), (21, 0.607), (5, 1.357), (1, 1.455), (9, 1.504), (9, 1.768), (60, 3.4)),
        ((10, 0.015), (2, 3.17)),
    ),
    "Ti": (
        ((21, 0.028), (35, 0.834), (5, 0.900), (9, 1.054), (21, 1.440), (9, 1.503), (15, 1.739),
         (27, 1.881), (45, 2.03), (35, 2.11), (18, 2.16), (42, 2.24), (25, 2.30), (36, 2.43),
         (60, 2.7), (150, 3.3), (200, 3.8)),
        ((28, 0.028), (28, 0.135), (14, 0.595), (10, 1.082), (18, 1.121), (12, 1.18), (18, 1.23),
         (32, 1.57), (18, 1.89), (6, 2.05), (14, 2.59), (10, 3.10), (36, 3.70), (60, 4.0)),
        ((21, 0.035), (5, 1.05), (9, 1.32), (9, 1.79)),
    ),
    "V": (
        ((28, 0.033), (30, 0.276), (20, 1.05), (12, 1.19), (18, 1.36), (16, 1.80), (44, 1.86),
         (28, 1.95), (42, 2.06), (30, 2.25), (100, 2.6), (200, 3.2)),
        ((25, 0.023), (35, 0.36), (21, 1.09), (9, 1.43), (33, 1.57), (36, 1.69), (27, 1.81), (60, 2.4)),
        ((28, 0.04), (12, 1.45), (18, 1.5)),
    ),
    "Cr": (
        ((7, 0), (5, 0.941), (25, 0.990), (45, 2.54), (15, 2.71), (21, 2.90), (15, 3.32), (60, 3.3),
         (120, 4.0)),
        ((6, 0), (30, 1.52), (20, 2.45), (36, 2.54), (12, 2.71), (20, 3.10), (44, 3.75), (60, 4.2)),
        ((25, 0.07), (33, 2.2), (21, 2.5)),
    ),
    "Mn": (
        ((6, 0), (30, 2.15), (24, 2.30), (20, 2.91), (18, 3.07), (60, 3.7), (120, 4.3)),
        ((7, 0), (5, 1.174), (25, 1.81), (45, 3.42), (15, 3.70), (21, 4.78)),
        ((6, 0), (36, 3.35)),
    ),
    "Fe": (
        ((25, 0.052), (35, 0.929), (21, 1.557), (15, 2.19), (9, 2.36), (33, 2.43), (35, 2.45),
         (21, 2.58), (27, 2.72), (49, 2.81), (9, 2.84), (48, 2.97), (9, 3.0), (25, 3.23), (35, 3.37),
         (15, 3.63), (21, 3.90), (25, 4.14), (35, 4.20), (45, 4.35), (300, 4.7), (500, 5.3)),
        ((30, 0.052), (28, 0.292), (20, 1.04), (12, 1.69), (18, 1.99), (6, 2.28), (22, 2.54), (10, 2.57),
         (56, 2.65), (28, 2.82), (6, 2.89), (36, 3.17), (40, 3.9), (30, 4.79), (42, 5.22), (108, 5.5)),
        ((25, 0.05), (42, 2.5), (21, 2.7), (27, 3.1)),
    ),
    "Co": (
        ((28, 0.098), (28, 0.513), (14, 0.97), (12, 1.75), (12, 1.92), (28, 2.1), (22, 2.28), (72, 3.05),
         (200, 3.8)),
        ((21, 0.077), (35, 0.50), (21, 1.26), (15, 2.24), (40, 2.9)),
        ((28, 0.1), (12, 1.9), (18, 2.1)),
    ),
    "Ni": (
        ((15, 0.09), (21, 0.12), (5, 0.423), (5, 1.676), (1, 1.826), (9, 1.95), (9, 2.74), (25, 3.30),
         (45, 3.48), (35, 3.60), (100, 4.1)),
        ((10, 0.075), (28, 1.13), (14, 1.72), (16, 2.92), (6, 3.05), (18, 4.03)),
        ((21, 0.1), (5, 1.74), (9, 2.07)),
    ),
    "Cu": (((2, 0), (10, 1.49), (6, 3.80), (2, 5.35)), ((1, 0), (15, 2.81), (5, 3.26)), ((10, 0.1),)),
    "Sr": (((1, 0), (9, 1.82), (15, 2.27), (5, 2.50), (3, 2.69)), ((2, 0), (10, 1.83), (6, 3.0)), ((1, 0),)),
    "Y": (
        ((10, 0.04), (6, 1.31), (28, 1.40), (60, 2.2)),
        ((1, 0), (15, 0.145), (5, 0.41), (21, 1.03), (9, 1.73), (5, 1.84), (9, 1.96)),
        ((10, 0.055), (2, 0.93)),
    ),
    "Zr": (
        ((21, 0.09), (9, 0.53), (5, 0.63), (35, 0.66), (9, 1.0), (15, 1.36), (90, 1.9)),
        ((28, 0.095), (28, 0.43), (10, 0.54), (6, 0.75), (14, 0.76), (12, 0.97), (18, 1.0), (12, 1.2),
         (60, 2.0)),
        ((21, 0.1), (5, 0.7), (9, 1.0)),
    ),
    "Ba": (((1, 0), (15, 1.15), (5, 1.413), (9, 1.60), (3, 2.239)), ((2, 0), (10, 0.66), (6, 2.65)), ((1, 0),)),
    # Lanthanides have hundreds of low levels: lumped so that U is right within 20 % at 4000-6000 K.
    "Ce": (
        ((9, 0), (60, 0.2), (150, 0.5), (250, 0.8), (500, 1.2), (900, 1.7)),
        ((8, 0), (60, 0.2), (120, 0.5), (200, 0.8), (400, 1.2), (600, 1.7)),
        ((9, 0), (30, 0.3), (50, 0.7)),
    ),
    "Nd": (
        ((9, 0), (56, 0.35), (100, 1.0), (300, 1.4), (600, 1.9)),
        ((8, 0), (80, 0.25), (140, 0.7), (280, 1.1), (400, 1.5)),
        ((9, 0), (56, 0.35)),
    ),
}  # fmt: skip


@dataclass(frozen=True)
class ElectronicState:
    """Constants of one electronic state of a diatomic molecule [cm^-1].

    ``weight`` counts electronic (spin and Λ) degeneracy; ``energy`` is T_e.
    """

    energy: float
    weight: int
    omega: float
    omega_x: float
    rotation: float
    rotation_alpha: float


@dataclass(frozen=True)
class Molecule:
    """A diatomic molecule: its two atoms, dissociation energy D0 [eV] and electronic states."""

    atoms: tuple[str, str]
    dissociation: float
    states: dict[str, ElectronicState]

    @property
    def symmetry(self) -> int:
        return 2 if self.atoms[0] == self.atoms[1] else 1

    @property
    def reduced_mass(self) -> float:
        """Reduced mass [u]."""
        mass = {e.symbol: e.mass for e in ELEMENTS}
        a, b = (mass[s] for s in self.atoms)
        return a * b / (a + b)

    @property
    def mass(self) -> float:
        """Mass [u]."""
        mass = {e.symbol: e.mass for e in ELEMENTS}
        return sum(mass[s] for s in self.atoms)


_S = ElectronicState

# D0: Huber & Herzberg 1979, with the revisions of Barklem & Collet 2016 for CN, C2, MgH and TiO.
MOLECULES: dict[str, Molecule] = {
    "H2": Molecule(("H", "H"), 4.4781, {"X": _S(0, 1, 4401.21, 121.34, 60.853, 3.062)}),
    "CH": Molecule(
        ("C", "H"),
        3.465,
        {
            "X": _S(0, 4, 2858.5, 63.02, 14.457, 0.534),
            "a": _S(5844, 4, 3090.9, 102.17, 15.046, 0.566),
            "A": _S(23189.8, 4, 2930.7, 96.65, 14.934, 0.697),
            "B": _S(25698, 2, 2251, 229, 13.39, 1.2),
            "C": _S(31801.5, 2, 2840.2, 125.96, 14.603, 0.7185),
        },
    ),
    "CN": Molecule(
        ("C", "N"),
        7.737,
        {
            "X": _S(0, 2, 2068.59, 13.087, 1.8997, 0.0174),
            "A": _S(9245.28, 4, 1812.56, 12.609, 1.7151, 0.01708),
            "B": _S(25752.0, 2, 2163.9, 20.2, 1.973, 0.023),
        },
    ),
    "C2": Molecule(
        ("C", "C"),
        6.371,
        {
            "X": _S(0, 1, 1854.71, 13.34, 1.8198, 0.0177),
            "a": _S(716.24, 6, 1641.35, 11.67, 1.6324, 0.01661),
            "b": _S(6434.27, 3, 1470.45, 11.19, 1.4985, 0.01634),
            "A": _S(8391.0, 2, 1608.35, 12.078, 1.61634, 0.01686),
            "d": _S(20022.5, 6, 1788.22, 16.44, 1.7527, 0.01608),
        },
    ),
    "CO": Molecule(("C", "O"), 11.092, {"X": _S(0, 1, 2169.81, 13.288, 1.93128, 0.01750)}),
    "N2": Molecule(("N", "N"), 9.759, {"X": _S(0, 1, 2358.57, 14.324, 1.99824, 0.01732)}),
    "NH": Molecule(
        ("N", "H"),
        3.42,
        {
            "X": _S(0, 3, 3282.27, 78.35, 16.6993, 0.6490),
            "A": _S(29807, 6, 3231.2, 98.6, 16.6745, 0.7454),
        },
    ),
    "OH": Molecule(
        ("O", "H"),
        4.392,
        {
            "X": _S(0, 4, 3737.76, 84.88, 18.911, 0.7242),
            "A": _S(32684.1, 2, 3178.86, 92.92, 17.358, 0.786),
        },
    ),
    "SiO": Molecule(("Si", "O"), 8.26, {"X": _S(0, 1, 1241.56, 5.966, 0.72675, 0.00504)}),
    "MgH": Molecule(
        ("Mg", "H"),
        1.285,
        {
            "X": _S(0, 2, 1495.2, 31.89, 5.8257, 0.1859),
            "A": _S(19226.8, 4, 1598.9, 31.93, 6.1913, 0.1931),
        },
    ),
    "CaH": Molecule(
        ("Ca", "H"),
        1.70,
        {
            "X": _S(0, 2, 1298.34, 19.10, 4.2766, 0.0970),
            "A": _S(14413, 4, 1333, 20.0, 4.3480, 0.106),
            "B": _S(15762, 2, 1285, 20.0, 4.396, 0.108),
        },
    ),
    "TiO": Molecule(
        ("Ti", "O"),
        6.869,
        {
            "X": _S(98, 6, 1009.17, 4.556, 0.535431, 0.003022),
            "a": _S(3448, 2, 1018.27, 4.521, 0.537602, 0.00298),
            "d": _S(5664, 1, 1023.8, 5.0, 0.5490, 0.0034),
            "E": _S(12034, 6, 924.2, 5.1, 0.5173, 0.0033),
            "A": _S(14265, 6, 867.78, 3.942, 0.507390, 0.003158),
            "b": _S(14767, 2, 918.7, 3.9, 0.513340, 0.00296),
            "B": _S(16315, 6, 875.0, 5.0, 0.507812, 0.00314),
            "C": _S(19525, 6, 838.257, 4.7592, 0.489888, 0.003062),
            "c": _S(21340, 2, 917.55, 4.6, 0.523040, 0.0034),
        },
    ),
}


def atomic_partition(symbol: str, stage: int, temperature: np.ndarray) -> np.ndarray:
    """Partition function of an atom or ion.

    Parameters
    ----------
    symbol : str
        Chemical symbol.
    stage : int
        0 neutral, 1 singly, 2 doubly charged.
    temperature : ndarray
        [K]
    """
    g, energy = np.array(TERMS[symbol][stage], dtype=float).T
    boltzmann = np.exp(-energy / (BOLTZMANN_EV * np.asarray(temperature)[..., None]))
    return (g * boltzmann).sum(-1)


def vibrational_levels(
    state: ElectronicState, limit: float = np.inf
) -> tuple[np.ndarray, np.ndarray]:
    """Energies above the bottom of the well and rotational constants B_v [cm^-1].

    Levels end at the Morse maximum or at ``limit``, whichever comes first.
    """
    n_morse = int(state.omega / (2 * state.omega_x)) if state.omega_x > 0 else 60
    v = np.arange(max(1, min(n_morse, 60)))
    energy = state.omega * (v + 0.5) - state.omega_x * (v + 0.5) ** 2
    rotation = np.maximum(state.rotation - state.rotation_alpha * (v + 0.5), 0.2 * state.rotation)
    keep = energy - energy[0] <= limit
    return energy[keep], rotation[keep]


def molecular_partition(name: str, temperature: np.ndarray) -> np.ndarray:
    """Internal partition function of a diatomic, from the lowest level of its ground state.

    Sum over electronic states and vibrational levels below dissociation, with the classical
    rotor kT/(hcB_v) and its first correction 1/3 (Herzberg 1950, eq. III,160).
    """
    molecule = MOLECULES[name]
    ground = next(iter(molecule.states.values()))
    kt = BOLTZMANN_EV / INVERSE_CM_TO_EV * np.asarray(temperature)[..., None]  # cm^-1
    zero_point = ground.energy + vibrational_levels(ground)[0][0]
    total = np.zeros(np.shape(temperature))
    for state in molecule.states.values():
        room = molecule.dissociation / INVERSE_CM_TO_EV - (state.energy - ground.energy)
        if room <= 0:
            continue
        energy, rotation = vibrational_levels(state, room)
        above = state.energy + energy - zero_point
        total = total + (
            state.weight * np.exp(-above / kt) * (kt / rotation + 1 / 3) / molecule.symmetry
        ).sum(-1)
    return total
