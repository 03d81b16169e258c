"""Vibration-rotation lines of CO and OH in their electronic ground states.

CO: energies from the Dunham expansion ``E = Σ Y_kl (v + ½)^k [J (J + 1)]^l`` with the
coefficients that follow Farrenq et al. 1991 (J. Mol. Spectrosc. 149, 375) for 12C16O, and those
for 13C16O. The second overtone (Δv = 3) of 1.56-1.70 µm has the dipole matrix element
⟨0|μ|3⟩ = 4.16e-4 D (Chackerian & Tipping 1983, J. Mol. Spectrosc. 99, 431; Goorvitch 1994, ApJS
95, 535); hot bands scale as a harmonic oscillator's, (v + 1)(v + 2)(v + 3)/6 in the square.

OH: ²Π levels between Hund's cases (a) and (b), by diagonalising the 2 × 2 Hamiltonian in N²
(Zare, Schmeltekopf, Harrop & Albritton 1973, J. Mol. Spectrosc. 46, 37) with Λ-doubling;
vibrational constants of Huber & Herzberg 1979, shifted by 0.3 cm^-1 so that the strong 2-0 and
3-1 lines fall where they are seen in Arcturus (to 1 Å; Smith et al. 2013), rotational ones after
Coxon 1980 (Can. J. Phys. 58, 933), spin-orbit and Λ-doubling ones of Maillard, Chauville &
Mantz 1976 (J. Mol. Spectrosc. 63, 120). First overtone (Δv = 2): ⟨0|μ|2⟩ = 0.0122 D, an
Einstein A of about 15 s^-1 for 2-0 as in Mies 1974 (J. Mol. Spectrosc. 53, 150); later values are
up to a factor of two smaller.

Line strengths are per statistical weight 2J + 1, as the partition functions of
:mod:`.partition` count them.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from . import constants as c
from .lines import LineList

__all__ = ["carbon_monoxide_lines", "hydroxyl_lines", "oscillator_strength"]

_DEBYE = 1e-18  # esu cm

# Y[k, l]: power k of (v + 1/2), power l of J (J + 1) [cm^-1].
_CO_12 = np.array(
    [
        [0.0, 1.9312808724, -6.121468e-6, 5.8272e-12],
        [2169.8135802, -1.75044121e-2, 1.1526e-9, 1.7375e-13],
        [-13.2883076, 5.487e-7, -1.8050e-10, 0.0],
        [1.051127e-2, 2.541e-8, 0.0, 0.0],
        [5.7440e-5, 0.0, 0.0, 0.0],
        [9.831e-7, 0.0, 0.0, 0.0],
        [-3.1660e-8, 0.0, 0.0, 0.0],
    ]
)
_CO_13 = np.array(
    [
        [0.0, 1.846151573, -5.593e-6, 5.0131e-12],
        [2121.439929, -1.635955118e-2, 0.9637e-9, 1.4379e-13],
        [-12.70252823, 4.8339e-7, -1.5103e-10, 0.0],
        [0.983714e-2, 2.1862e-8, 0.0, 0.0],
        [5.1647e-5, 0.0, 0.0, 0.0],
        [8.995e-7, 0.0, 0.0, 0.0],
        [-2.7838e-8, 0.0, 0.0, 0.0],
    ]
)
_CO_DIPOLE = 4.16e-4  # D, <0|mu|3>
_CO_V_MAX, _CO_J_MAX = 9, 100

_OH_OMEGA = (3737.76, -84.557, 0.358)
_OH_B = (18.89387, -0.72041, 0.00474)
_OH_D = (1.928e-3, -3.86e-5)
_OH_SPIN_ORBIT = -139.21
_OH_P, _OH_Q = 0.235, -0.0391
_OH_DIPOLE = 12.2e-3  # D, <0|mu|2>
_OH_V_MAX, _OH_J_MAX = 6, 30


def oscillator_strength(wavenumber: np.ndarray, dipole_squared: np.ndarray) -> np.ndarray:
    """Absorption gf of a line: ``8π² mₑ c ν̃ |μ|² S / (3 h e²)`` with |μ|² S in D².

    Larsson 1983, A&A 128, 291, eq. 10.
    """
    front = 8 * np.pi**2 * c.ELECTRON_MASS * c.SPEED_OF_LIGHT
    front /= 3 * c.PLANCK * c.ELECTRON_CHARGE**2
    return front * wavenumber * dipole_squared * _DEBYE**2


def _dunham(y: np.ndarray, v: int, j: np.ndarray) -> np.ndarray:
    return np.polynomial.polynomial.polyval2d(np.full_like(j, v + 0.5), j * (j + 1.0), y)


@cache
def carbon_monoxide_lines(carbon_ratio: float = 25.0) -> LineList:
    """Second overtone of CO, 3-0 to 12-9.

    Parameters
    ----------
    carbon_ratio : float
        12C/13C by number; 89 in the Sun, 10-30 in red giants. Infinity leaves 13C16O out.
    """
    share_13 = 1 / (1 + carbon_ratio)
    wavenumber, energy, gf = [], [], []
    for y, share in ((_CO_12, 1 - share_13), (_CO_13, share_13)):
        if share <= 0:
            continue
        zero = _dunham(y, 0, np.array(0.0))
        for v in range(_CO_V_MAX + 1):
            square = _CO_DIPOLE**2 * (v + 1) * (v + 2) * (v + 3) / 6
            for step in (1, -1):
                j = np.arange(1 if step < 0 else 0, _CO_J_MAX + 1).astype(float)
                low = _dunham(y, v, j)
                nu = _dunham(y, v + 3, j + step) - low
                honl_london = np.where(step > 0, j + 1, j)  # sums to 2J + 1 over P and R
                wavenumber.append(nu)
                energy.append(low - zero)
                gf.append(share * oscillator_strength(nu, square * honl_london))
    return _as_list("CO", wavenumber, energy, gf)


def _doublet_pi(v: int, j: np.ndarray, parity: int) -> tuple[np.ndarray, np.ndarray]:
    """Levels F1 < F2 of an (inverted) ²Π state [cm^-1]: ²Π3/2-like, ²Π1/2-like; J half-integer.

    ``parity`` is +1 for e, -1 for f. For J = 1/2 only the second exists.
    """
    x = v + 0.5
    b = _OH_B[0] + _OH_B[1] * x + _OH_B[2] * x**2
    d = _OH_D[0] + _OH_D[1] * x
    vibration = _OH_OMEGA[0] * x + _OH_OMEGA[1] * x**2 + _OH_OMEGA[2] * x**3
    z = (j + 0.5) ** 2
    root = np.sqrt(np.maximum(z - 1, 0.0))
    h_32 = 0.5 * _OH_SPIN_ORBIT + b * (z - 2) - d * ((z - 2) ** 2 + z - 1)
    h_12 = -0.5 * _OH_SPIN_ORBIT + b * z - d * (z**2 + z - 1)
    h_12 = h_12 - parity * 0.5 * (_OH_P + 2 * _OH_Q) * (j + 0.5)
    off = -root * (b - 2 * d * (z - 1) - parity * 0.5 * _OH_Q * (j + 0.5))
    middle, half = 0.5 * (h_32 + h_12), 0.5 * (h_32 - h_12)
    split = np.sqrt(half**2 + off**2)
    return vibration + middle - split, vibration + middle + split


@cache
def hydroxyl_lines() -> LineList:
    """First overtone of OH, 2-0 to 8-6, main branches P1, P2, R1, R2, Λ-doubled."""
    wavenumber, energy, gf = [], [], []
    zero = _doublet_pi(0, np.array([1.5]), 1)[0][0]
    for v in range(_OH_V_MAX + 1):
        square = _OH_DIPOLE**2 * (v + 1) * (v + 2) / 2
        for spin, omega in ((0, 1.5), (1, 0.5)):
            for parity in (1, -1):
                for step in (1, -1):
                    j = np.arange(omega + (step < 0), _OH_J_MAX) + 0.0
                    low = _doublet_pi(v, j, parity)[spin]
                    # Total parity changes: e stays e in P and R branches.
                    nu = _doublet_pi(v + 2, j + step, parity)[spin] - low
                    top = np.maximum(j, j + step)
                    honl_london = (top**2 - omega**2) / top
                    wavenumber.append(nu)
                    energy.append(low - zero)
                    gf.append(oscillator_strength(nu, square * honl_london))
    return _as_list("OH", wavenumber, energy, gf)


def _as_list(
    species: str, wavenumber: list[np.ndarray], energy: list[np.ndarray], gf: list[np.ndarray]
) -> LineList:
    nu, e, g = (np.concatenate(x) for x in (wavenumber, energy, gf))
    keep = (nu > 500.0) & (g > 0)
    return LineList.from_columns(
        1e7 / nu[keep],
        np.full(keep.sum(), species),
        np.log10(g[keep]),
        e[keep] * c.INVERSE_CM_TO_EV,
    )
