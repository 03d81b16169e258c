"""Numbers of nature that the engine rests on, in cgs units unless the name says otherwise.

Sources
-------
Fundamental constants: CODATA 2018 (Tiesinga et al. 2021, Rev. Mod. Phys. 93, 025010).
Atomic masses: IUPAC 2013 standard atomic weights.
Solar abundances: Asplund, Grevesse, Sauval & Scott 2009, ARA&A 47, 481, table 1 (photosphere).
Ionisation energies: NIST Atomic Spectra Database, as tabulated by Barklem & Collet 2016,
A&A 588, A96.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["ALPHA_ELEMENTS", "ELEMENTS", "ELEMENT_INDEX", "Element", "solar_abundances"]

SPEED_OF_LIGHT = 2.99792458e10  # cm s^-1
PLANCK = 6.62607015e-27  # erg s
BOLTZMANN = 1.380649e-16  # erg K^-1
BOLTZMANN_EV = 8.617333262e-5  # eV K^-1
ELECTRON_MASS = 9.1093837015e-28  # g
ELECTRON_CHARGE = 4.80320471e-10  # esu
ATOMIC_MASS_UNIT = 1.66053906660e-24  # g
STEFAN_BOLTZMANN = 5.670374419e-5  # erg cm^-2 s^-1 K^-4
THOMSON = 6.6524587321e-25  # cm^2
RYDBERG = 109677.583  # cm^-1, for hydrogen of finite mass
INVERSE_CM_TO_EV = 1.239841984e-4
HC_OVER_K_NM = 1.438776877e7  # nm K

# πe²/(mₑc²): integrated cross-section of a line of unit oscillator strength, per wavenumber.
CLASSICAL_LINE = np.pi * ELECTRON_CHARGE**2 / (ELECTRON_MASS * SPEED_OF_LIGHT**2)  # cm

HYDROGEN_ION_ENERGY = 0.754195  # eV, electron affinity of H (Lykke, Murray & Lineberger 1991)


@dataclass(frozen=True)
class Element:
    """One chemical element as the engine knows it.

    Attributes
    ----------
    symbol : str
    mass : float
        Atomic weight [u].
    log_eps : float
        Solar photospheric abundance, log10(N_X / N_H) + 12.
    ionisation : tuple of float
        First and second ionisation energy [eV]; infinity where there is none.
    """

    symbol: str
    mass: float
    log_eps: float
    ionisation: tuple[float, float]


_INF = float("inf")

ELEMENTS: tuple[Element, ...] = (
    Element("H", 1.008, 12.00, (13.5984, _INF)),
    Element("He", 4.0026, 10.93, (24.5874, 54.418)),
    Element("C", 12.011, 8.43, (11.2603, 24.385)),
    Element("N", 14.007, 7.83, (14.5341, 29.601)),
    Element("O", 15.999, 8.69, (13.6181, 35.121)),
    Element("Na", 22.990, 6.24, (5.1391, 47.286)),
    Element("Mg", 24.305, 7.60, (7.6462, 15.035)),
    Element("Al", 26.982, 6.45, (5.9858, 18.829)),
    Element("Si", 28.085, 7.51, (8.1517, 16.346)),
    Element("P", 30.974, 5.41, (10.4867, 19.769)),
    Element("S", 32.06, 7.12, (10.3600, 23.338)),
    Element("K", 39.098, 5.03, (4.3407, 31.625)),
    Element("Ca", 40.078, 6.34, (6.1132, 11.872)),
    Element("Sc", 44.956, 3.15, (6.5615, 12.800)),
    Element("Ti", 47.867, 4.95, (6.8281, 13.575)),
    Element("V", 50.942, 3.93, (6.7462, 14.620)),
    Element("Cr", 51.996, 5.64, (6.7665, 16.486)),
    Element("Mn", 54.938, 5.43, (7.4340, 15.640)),
    Element("Fe", 55.845, 7.50, (7.9025, 16.199)),
    Element("Co", 58.933, 4.99, (7.8810, 17.084)),
    Element("Ni", 58.693, 6.22, (7.6399, 18.169)),
    Element("Cu", 63.546, 4.19, (7.7264, 20.292)),
    Element("Sr", 87.62, 2.87, (5.6949, 11.030)),
    Element("Y", 88.906, 2.21, (6.2173, 12.224)),
    Element("Zr", 91.224, 2.58, (6.6339, 13.130)),
    Element("Ba", 137.327, 2.18, (5.2117, 10.004)),
    Element("Ce", 140.116, 1.58, (5.5386, 10.956)),
    Element("Nd", 144.242, 1.42, (5.5250, 10.783)),
)
ELEMENT_INDEX: dict[str, int] = {e.symbol: i for i, e in enumerate(ELEMENTS)}

# The even-Z elements that move with [alpha/M]; Ne and Ar have no lines here.
ALPHA_ELEMENTS: tuple[str, ...] = ("O", "Mg", "Si", "S", "Ca", "Ti")


def solar_abundances() -> np.ndarray:
    """Solar number fractions relative to hydrogen, shape ``(n_elements,)``."""
    return 10.0 ** (np.array([e.log_eps for e in ELEMENTS]) - 12.0)
