"""The forest of weak metal lines, generated: no real line is where these stand.

What is drawn follows published statistics: the number of lines above a strength falls as a
power of the strength (Learner 1982, J. Phys. B 15, L891), levels crowd towards the ionisation
limit, and the counts per species follow Kurucz's predicted lines (2011, Can. J. Phys. 89, 417).
The density in wavelength is set so that the Sun loses to lines about what it does (Ardeberg &
Virdefors 1979, A&A 72, 42).
The same seed gives the same lines on every machine, so that a spectrum is a smooth function of
the star's parameters.
"""

from __future__ import annotations

import numpy as np

from . import constants as c
from .lines import LineList

__all__ = ["generated_lines"]

# Species, lines relative to Fe I before the cut in strength, scale of level crowding [eV].
_SPECIES: tuple[tuple[str, float, float], ...] = (
    ("Fe I", 1.00, 1.2),
    ("Fe II", 0.45, 1.6),
    ("Ti I", 0.80, 0.9),
    ("Ti II", 0.40, 1.0),
    ("Cr I", 0.60, 1.1),
    ("Cr II", 0.25, 1.6),
    ("V I", 0.80, 0.9),
    ("V II", 0.40, 1.0),
    ("Mn I", 0.35, 1.2),
    ("Co I", 0.70, 1.0),
    ("Ni I", 0.45, 1.2),
    ("Sc II", 0.20, 0.9),
    ("Zr II", 0.30, 0.9),
    ("Y II", 0.15, 0.9),
    ("Si I", 0.05, 1.5),
    ("Mg I", 0.01, 1.5),
    ("Ca I", 0.06, 1.3),
    ("C I", 0.03, 2.0),
)
_SLOPE = 0.62  # d log N(> strength) / d log strength
_STRONGEST_LOG_GF = 0.1
# log(A gf) - θχ of the weakest lines kept: about 0.3 pm in the Sun at 500 nm, and in an M star.
_WEAKEST = {1.0: -10.8, 1.5: -11.5}
_STRONGEST = -7.6  # what is stronger is a line that everyone knows
# The number of drawn Fe I lines per nm against wavelength [nm].
_DENSITY_NM = np.array(
    [250.0, 330.0, 370.0, 400.0, 450.0, 500.0, 560.0, 650.0, 800.0, 1100.0, 2500.0]
)
_DENSITY = np.array([20.0, 15.0, 13.0, 6.5, 4.6, 3.8, 2.0, 1.1, 0.5, 0.25, 0.1])


def generated_lines(low_nm: float, high_nm: float, seed: int = 20111) -> LineList:
    """Weak lines between two vacuum wavelengths [nm].

    The list is drawn nm by nm, each from its own stream of random numbers, so that a line does
    not depend on the window asked for.
    """
    parts = []
    for nm in range(int(np.floor(low_nm)), int(np.ceil(high_nm))):
        rng = np.random.default_rng([seed, nm])
        expected = np.interp(nm + 0.5, _DENSITY_NM, _DENSITY)
        for name, relative, crowding in _SPECIES:
            n = rng.poisson(expected * relative)
            position = nm + rng.random(n)
            element, roman = name.split()
            chi = c.ELEMENTS[c.ELEMENT_INDEX[element]].ionisation[0 if roman == "I" else 1]
            # Lower levels from 0 up to where the upper one reaches the ionisation limit.
            top = np.clip(chi - 0.3 - 1239.84 / position, 0.3, 7.0)
            u = rng.random(n)
            energy = crowding * np.log1p(u * np.expm1(top / crowding))
            log_gf = _STRONGEST_LOG_GF + np.log10(rng.random(n)) / _SLOPE
            parts.append((position, np.full(n, name), log_gf, energy))
    lines = LineList.from_columns(*(np.concatenate(x) for x in zip(*parts, strict=True)))
    strength = lines.strength(theta=1.0)
    counts = np.logical_or.reduce([lines.strength(t) > least for t, least in _WEAKEST.items()])
    return lines.take(
        counts
        & (strength < _STRONGEST)
        & (lines.wavelength_nm >= low_nm)
        & (lines.wavelength_nm <= high_nm)
    )
