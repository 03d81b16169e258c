"""Continuous absorption and scattering.

========================  =====================================================================
process                   source
========================  =====================================================================
H- bound-free, free-free  John 1988, A&A 193, 189, tables 1 and 3
H I free-free             Gray 2005, eqs. 8.10 with the Gaunt factor of eq. 8.6
He I, ions free-free      as H I with the ions' charge density
Rayleigh H                Dalgarno 1962 (Kurucz 1970, p. 79)
Rayleigh H2               Dalgarno & Williams 1962, ApJ 136, 690
Rayleigh He               Kurucz 1970, p. 79
Thomson                   classical
metals bound-free         thresholds and cross-sections of Travis & Matsushima 1968, ApJ 154, 689
                          and Mathisen 1984, power law in wavelength
========================  =====================================================================

H I bound-free is with the hydrogen lines (:mod:`.hydrogen`), because the two share the
dissolution of the upper levels. Scattering is treated as absorption (S = B): the engine is LTE.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from . import constants as c
from .opacity import Column, CrossSection, species_amount, stimulated_emission
from .state import State

__all__ = ["continuum_columns"]

_JOHN_BF = (152.519, 49.534, -118.858, 92.536, -34.194, 4.982)
_JOHN_LAMBDA0 = 1.6419  # µm
# Rows A..F, columns n = 1..6; λ > 0.3645 µm and 0.1823-0.3645 µm.
_JOHN_FF_LONG = np.array(
    [
        [0.0, 2483.3460, -3449.8890, 2200.0400, -696.2710, 88.2830],
        [0.0, 285.8270, -1158.3820, 2427.7190, -1841.4000, 444.5170],
        [0.0, -2054.2910, 8746.5230, -13651.1050, 8624.9700, -1863.8640],
        [0.0, 2827.7760, -11485.6320, 16755.5240, -10051.5300, 2095.2880],
        [0.0, -1341.5370, 5303.6090, -7510.4940, 4400.0670, -901.7880],
        [0.0, 208.9520, -812.9390, 1132.7380, -655.0200, 132.9850],
    ]
)
_JOHN_FF_SHORT = np.array(
    [
        [518.1021, 473.2636, -482.2089, 115.5291, 0.0, 0.0],
        [-734.8666, 1443.4137, -737.1616, 169.6374, 0.0, 0.0],
        [1021.1775, -1977.3395, 1096.8827, -245.6490, 0.0, 0.0],
        [-479.0721, 922.3575, -521.1341, 114.2430, 0.0, 0.0],
        [93.1373, -178.9275, 101.7963, -21.9972, 0.0, 0.0],
        [-6.4285, 12.3600, -7.0571, 1.5097, 0.0, 0.0],
    ]
)

# (species, threshold [nm], lower term g, E [eV], σ at threshold [cm^2], power of λ)
_METAL_EDGES = (
    ("Mg I", 162.1, 1, 0.00, 1.18e-18, 10.0),
    ("Mg I", 251.4, 9, 2.71, 20.0e-18, 2.7),
    ("Mg I", 375.6, 3, 4.35, 45.0e-18, 2.7),
    ("Al I", 207.1, 6, 0.01, 65.0e-18, 4.4),
    ("Si I", 152.5, 9, 0.02, 37.0e-18, 3.0),
    ("Si I", 168.2, 5, 0.78, 35.0e-18, 3.0),
    ("Si I", 198.6, 1, 1.91, 46.0e-18, 5.0),
    ("Ca I", 293.0, 9, 1.89, 22.0e-18, 2.0),
    ("Fe I", 180.0, 35, 0.93, 4.0e-18, 3.0),
    ("Fe I", 260.0, 60, 3.10, 4.0e-18, 3.0),
    ("Fe I", 400.0, 300, 4.70, 4.0e-18, 3.0),
    ("C I", 144.0, 5, 1.26, 16.0e-18, 2.0),
)


def h_minus_bound_free(temperature: np.ndarray, wavelength_nm: np.ndarray) -> np.ndarray:
    """Photodetachment cross-section per H- ion [cm^2], John 1988, eq. 5."""
    lam = wavelength_nm * 1e-3
    x = np.clip(1 / lam - 1 / _JOHN_LAMBDA0, 0.0, None)
    series = sum(cn * x ** (n / 2) for n, cn in enumerate(_JOHN_BF))
    # Below 0.125 µm the fit is not defined; nothing emerges there from a star with H-.
    sigma = 1e-18 * lam**3 * x**1.5 * np.maximum(series, 0.0)
    return sigma * stimulated_emission(temperature, wavelength_nm)


def h_minus_free_free(temperature: np.ndarray, wavelength_nm: np.ndarray) -> np.ndarray:
    """Per H atom and unit electron pressure [cm^4 dyn^-1], John 1988, eq. 6."""
    lam = np.maximum(wavelength_nm * 1e-3, 0.1823)
    powers = np.stack([lam**2, np.ones_like(lam), 1 / lam, lam**-2, lam**-3, lam**-4])
    # The fit covers 1400-10080 K; hotter gas has no neutral hydrogen to speak of.
    theta = np.clip(5040.0 / temperature, 0.5, 3.6)
    orders = theta[:, None] ** (0.5 * np.arange(2, 8))
    long, short = (orders @ (table.T @ powers) for table in (_JOHN_FF_LONG, _JOHN_FF_SHORT))
    return 1e-29 * np.maximum(np.where(lam > 0.3645, long, short), 0.0)


def hydrogen_free_free(temperature: np.ndarray, wavelength_nm: np.ndarray) -> np.ndarray:
    """Per ion (Z = 1) and electron [cm^5], Kramers with the Gaunt factor of Gray 2005, eq. 8.6."""
    nu = c.SPEED_OF_LIGHT / (wavelength_nm * 1e-7)
    x = c.HC_OVER_K_NM / (wavelength_nm * temperature[:, None])
    gaunt = 1 + 0.3456 / (wavelength_nm * 1e-7 * c.RYDBERG) ** (1 / 3) * (1 / x + 0.5)
    kramers = 3.6921e8 / np.sqrt(temperature)[:, None] / nu**3
    return kramers * gaunt * stimulated_emission(temperature, wavelength_nm)


def _rayleigh(terms: tuple[tuple[float, int], ...], floor_nm: float) -> CrossSection:
    def cross_section(temperature: np.ndarray, wavelength_nm: np.ndarray) -> np.ndarray:
        angstrom = 10 * np.maximum(wavelength_nm, floor_nm)
        sigma = sum(a * angstrom**-p for a, p in terms)
        return np.broadcast_to(sigma, (len(temperature), wavelength_nm.size))

    return cross_section


_RAYLEIGH_H = _rayleigh(((5.799e-13, 4), (1.422e-6, 6), (2.784, 8)), 102.6)
_RAYLEIGH_H2 = _rayleigh(((8.14e-13, 4), (1.28e-6, 6), (1.61, 8)), 121.6)


def _rayleigh_helium(temperature: np.ndarray, wavelength_nm: np.ndarray) -> np.ndarray:
    w2 = (10 * np.maximum(wavelength_nm, 58.4)) ** 2
    sigma = 5.484e-14 / w2**2 * (1 + (2.44e5 + 5.94e10 / (w2 - 2.90e5)) / w2) ** 2
    return np.broadcast_to(sigma, (len(temperature), wavelength_nm.size))


def _thomson(temperature: np.ndarray, wavelength_nm: np.ndarray) -> np.ndarray:
    return np.full((len(temperature), wavelength_nm.size), c.THOMSON)


def _h_minus(state: State) -> torch.Tensor:
    """Density of H- by Saha, U(H-) = 1, U(H) = 2."""
    t = state.temperature
    ln = 1.5 * torch.log(
        c.PLANCK**2 / (2 * np.pi * c.ELECTRON_MASS * c.BOLTZMANN * t)
    ) + c.HYDROGEN_ION_ENERGY / (c.BOLTZMANN_EV * t)
    return state.h1 * state.electrons * torch.exp(ln) / 4.0


def _metal_bound_free(edges: Sequence[tuple[float, ...]]) -> CrossSection:
    def cross_section(temperature: np.ndarray, wavelength_nm: np.ndarray) -> np.ndarray:
        total = np.zeros((len(temperature), wavelength_nm.size))
        for edge, g, energy, sigma0, power in edges:
            shape = np.where(wavelength_nm <= edge, (wavelength_nm / edge) ** power, 0.0)
            population = g * np.exp(-energy / (c.BOLTZMANN_EV * temperature))
            total += sigma0 * population[:, None] * shape
        return total * stimulated_emission(temperature, wavelength_nm)

    return cross_section


def _neutral_helium(state: State) -> torch.Tensor:
    r1, r2 = state.ratios[:, 1].unbind(-1)
    return state.abundances[:, 1] * state.hydrogen / (1 + r1 * (1 + r2))


def continuum_columns(metals: bool = True) -> list[Column]:
    """All continuous absorbers but bound hydrogen.

    Without ``metals``, the ultraviolet edges are left out, and with them the need to know how
    metals are shared out among molecules: enough for a Rosseland mean.
    """
    columns = [
        Column("H- bf", _h_minus, h_minus_bound_free),
        Column(
            "H- ff",
            lambda s: s.h1 * s.electrons * c.BOLTZMANN * s.temperature,
            h_minus_free_free,
        ),
        # Every free electron has left one positive charge behind: H+, He+ and metals alike.
        Column("ion ff", lambda s: s.electrons**2, hydrogen_free_free),
        Column("Rayleigh H", lambda s: s.h1, _RAYLEIGH_H),
        Column("Rayleigh H2", lambda s: s.h2, _RAYLEIGH_H2),
        Column("Rayleigh He", _neutral_helium, _rayleigh_helium),
        Column("Thomson", lambda s: s.electrons, _thomson),
    ]
    for name in dict.fromkeys(edge[0] for edge in _METAL_EDGES) if metals else ():
        edges = [e[1:] for e in _METAL_EDGES if e[0] == name]
        columns.append(
            Column(f"{name} bf", species_amount(name), _metal_bound_free(edges), (edges[-1][2],))
        )
    return columns
