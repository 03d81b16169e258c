"""Analytic evolutionary tracks: where a star of given mass, age and composition stands.

Not a stellar model, but fits good to about 100-200 K and 0.1 dex, enough for a
believable Hertzsprung-Russell diagram that moves with age and metallicity:

- zero-age main sequence: Tout et al. 1996 (MNRAS 281, 257), eqs. 1-3;
- lifetimes: Hurley, Pols & Tout 2000 (MNRAS 315, 543), eqs. 4 and 5;
- growth of L and R on the main sequence: a quadratic and a cubic in the fraction
  of the lifetime spent, through the Sun (1 L☉, 1 R☉ at 4.57 Gyr);
- giant branch: effective temperature as a quadratic in log g through PARSEC and
  MIST isochrones of 1 M☉ at [M/H] = 0 (4850 K at log g 3.3, 4370 K at 2.0, 3600 K at
  0.5), moved by [M/H] and mass;
- red clump and horizontal branch: log L = 1.70 (M_K ≈ -1.6), somewhat hotter than
  the giant branch at the same gravity, bluer below [M/H] = -1.

Both sources of fits measure metallicity from Z = 0.02; here that is [M/H] = 0, so
that the Sun falls in place. α-enhanced mixtures count as scaled-solar ones with
[M/H] + log(0.694·10^[α/M] + 0.306) (Salaris, Chieffi & Straniero 1993).
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from scipy.interpolate import RegularGridInterpolator

__all__ = [
    "TEFF_SUN",
    "effective_metallicity",
    "giant_temperature",
    "gravity",
    "lifetime",
    "main_sequence",
    "radius",
    "rgb_state",
    "turnoff_mass",
]

TEFF_SUN = 5772.0  # [K], IAU 2015 B3
LOGG_SUN = 4.438  # [cgs], IAU 2015 B3
LOG_L_TIP = 3.40  # tip of the giant branch after a degenerate helium core

# Tout et al. 1996, tables 1 and 2: polynomials in log(Z/0.02), rising powers.
_L_ZAMS = np.array(
    [
        [0.39704170, -0.32913574, 0.34776688, 0.37470851, 0.09011915],
        [8.52762600, -24.41225973, 56.43597107, 37.06152575, 5.45624060],
        [0.00025546, -0.00123461, -0.00023246, 0.00045519, 0.00016176],
        [5.43288900, -8.62157806, 13.44202049, 14.51584135, 3.39793084],
        [5.56357900, -10.32345224, 19.44322980, 18.97361347, 4.16903097],
        [0.78866060, -2.90870942, 6.54713531, 4.05606657, 0.53287322],
        [0.00586685, -0.01704237, 0.03872348, 0.02570041, 0.00383376],
    ]
)
_R_ZAMS = np.array(
    [
        [1.71535900, 0.62246212, -0.92557761, -1.16996966, -0.30631491],
        [6.59778800, -0.42450044, -12.13339427, -10.73509484, -2.51487077],
        [10.08855000, -7.11727086, -31.67119479, -24.24848322, -5.33608972],
        [1.01249500, 0.32699690, -0.00923418, -0.03876858, -0.00412750],
        [0.07490166, 0.02410413, 0.07233664, 0.03040467, 0.00197741],
        [0.01077422, 0.0, 0.0, 0.0, 0.0],
        [3.08223400, 0.94472050, -2.15200882, -2.49219496, -0.63848738],
        [17.84778000, -7.45345690, -48.96066856, -40.05386135, -9.09331816],
        [0.00022582, -0.00186899, 0.00388783, 0.00142402, -0.00007671],
    ]
)
# Hurley et al. 2000, appendix A, a1-a5.
_T_BGB = np.array(
    [
        [1.593890e3, 2.053038e3, 1.231226e3, 2.327785e2],
        [2.706708e3, 1.483131e3, 5.772723e2, 7.411230e1],
        [1.466143e2, -1.048442e2, -6.795374e1, -1.391127e1],
        [4.141960e-2, 4.564888e-2, 2.958542e-2, 5.571483e-3],
        [3.426349e-1, 0.0, 0.0, 0.0],
    ]
)
_ZETA_RANGE = (-2.3, 0.25)  # the fits reach Z = 1e-4 to 0.03
_AGE_RANGE = (0.05, 13.8)  # [Gyr]


def effective_metallicity(m_h: np.ndarray, alpha_m: np.ndarray) -> np.ndarray:
    """Scaled-solar metallicity that moves the tracks as this mixture does [dex]."""
    return np.asarray(m_h) + np.log10(0.694 * 10 ** np.asarray(alpha_m) + 0.306)


def _polynomials(table: np.ndarray, zeta: np.ndarray) -> np.ndarray:
    zeta = np.clip(zeta, *_ZETA_RANGE)
    powers = zeta[..., np.newaxis] ** np.arange(table.shape[1])
    return np.moveaxis(powers @ table.T, -1, 0)


def _zero_age(mass: np.ndarray, zeta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """log L and log R [solar] on the zero-age main sequence."""
    m, root = mass, np.sqrt(mass)
    a, b, c, d, e, f, g = _polynomials(_L_ZAMS, zeta)
    light = (a * m**5 * root + b * m**11) / (
        c + m**3 + d * m**5 + e * m**7 + f * m**8 + g * m**9 * root
    )
    a, b, c, d, e, f, g, h, i = _polynomials(_R_ZAMS, zeta)
    size = ((a * m**2 + b * m**6) * root + c * m**11 + (d + e * root) * m**19) / (
        f + g * m**2 + (h * m**8 + m**18 + i * m**19) * root
    )
    return np.log10(light), np.log10(size)


def lifetime(mass: np.ndarray, zeta: np.ndarray | float) -> tuple[np.ndarray, np.ndarray]:
    """Ages at the end of the main sequence and at the base of the giant branch [Gyr]."""
    mass, zeta = np.broadcast_arrays(np.asarray(mass, float), np.asarray(zeta, float))
    a1, a2, a3, a4, a5 = _polynomials(_T_BGB, zeta)
    base = (a1 + a2 * mass**4 + a3 * mass**5.5 + mass**7) / (a4 * mass**2 + a5 * mass**7) / 1e3
    fraction = np.clip(0.95 - 0.03 * (np.clip(zeta, *_ZETA_RANGE) + 0.30103), 0.95, 0.99)
    return fraction * base, base


def radius(log_l: np.ndarray, teff: np.ndarray) -> np.ndarray:
    """Stefan-Boltzmann: radius [R☉]."""
    return 10 ** (0.5 * log_l) * (TEFF_SUN / teff) ** 2


def gravity(mass: np.ndarray, log_l: np.ndarray, teff: np.ndarray) -> np.ndarray:
    """log g [cgs] of mass [M☉] and log L [L☉] at an effective temperature [K]."""
    return LOGG_SUN + np.log10(mass) - log_l + 4 * np.log10(teff / TEFF_SUN)


def main_sequence(
    mass: np.ndarray, zeta: np.ndarray, fraction: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """log L [L☉] and effective temperature [K] on the main sequence.

    Parameters
    ----------
    mass : ndarray
        [M☉], 0.1 to 8.
    zeta : ndarray
        Effective metallicity [dex].
    fraction : ndarray
        Age over main-sequence lifetime, 0 to 1.
    """
    mass, zeta, tau = np.broadcast_arrays(
        np.asarray(mass, float), np.asarray(zeta, float), np.clip(fraction, 0, 1)
    )
    log_l, log_r = _zero_age(mass, zeta)
    # Through the Sun; heavier stars swell more before they leave the main sequence.
    swell = np.clip((mass - 1.0) / 0.8, 0, 1)
    log_l = log_l + 0.31 * tau + 0.17 * tau**2
    log_r = log_r + 0.105 * tau + (0.11 + 0.14 * swell) * tau**3
    return log_l, TEFF_SUN * 10 ** (0.25 * log_l - 0.5 * log_r)


@lru_cache(maxsize=1)
def _turnoff_table() -> RegularGridInterpolator:
    ages = np.geomspace(*_AGE_RANGE, 96)
    zetas = np.linspace(*_ZETA_RANGE, 52)
    log_mass = np.linspace(np.log(9.0), np.log(0.5), 2000)
    # Lifetimes fall with mass: read the other way round, they are increasing.
    table = np.array(
        [np.interp(np.log(ages), np.log(lifetime(np.exp(log_mass), z)[0]), log_mass) for z in zetas]
    ).T
    return RegularGridInterpolator((np.log(ages), zetas), table)


def turnoff_mass(age: np.ndarray, zeta: np.ndarray) -> np.ndarray:
    """Mass that leaves the main sequence at an age [Gyr] [M☉]."""
    age, zeta = np.broadcast_arrays(
        np.clip(age, *_AGE_RANGE), np.clip(np.asarray(zeta, float), *_ZETA_RANGE)
    )
    return np.exp(_turnoff_table()((np.log(age), zeta)))


def giant_temperature(logg: np.ndarray, zeta: np.ndarray, mass: np.ndarray) -> np.ndarray:
    """Effective temperature of the giant branch at a surface gravity [K]."""
    x = np.asarray(logg) - 2.5
    z = np.clip(zeta, -2.6, 0.4)
    # Metal-poor giants are hotter; the effect saturates where metals no longer set opacity.
    cooler = 330 * z + 55 * z**2
    return (4580 + 400 * x - 40 * x**2 - cooler) * np.asarray(mass) ** 0.06


def rgb_state(
    log_l: np.ndarray, zeta: np.ndarray, mass: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Effective temperature [K] and log g of the giant branch at log L [L☉].

    Temperature is given as a function of gravity, and gravity follows from
    luminosity and temperature: a fixed point, reached in a few steps.
    """
    teff = np.full(np.shape(log_l), 4600.0)
    for _ in range(4):
        teff = giant_temperature(gravity(mass, log_l, teff), zeta, mass)
    return teff, gravity(mass, log_l, teff)
