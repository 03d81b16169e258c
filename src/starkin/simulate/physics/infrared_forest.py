"""The forest of weak atomic lines beyond 1.1 µm, generated: no real line is where these stand.

As for the visible (:mod:`.forest`), the number of lines above a strength falls as a power of the
strength (Learner 1982, J. Phys. B 15, L891). Here the lines run between excited levels, so lower
energies lie close to the ionisation limit less the photon's 0.7 eV: 4-6.5 eV in the iron group,
6-7 eV in Si and Mg, low only where the term systems are low (Ti, V, and the ions of lanthanides).
Shares of the species follow the counts of lines in the list of APOGEE (Shetrone et al. 2015,
ApJS 221, 24, section 2), those of Fe I leading; the total is set so that a red giant of 4500 K and
solar metallicity loses to lines about what APOGEE sees (10-15 % of the light at R = 22,500).

Lines are drawn nm by nm, each from its own stream, so that a line does not depend on the window
asked for; the same seed gives the same lines on every machine.
"""

from __future__ import annotations

import numpy as np

from .lines import LineList

__all__ = ["generated_infrared_lines"]

# Species, lines per nm above _WEAKEST, range of lower energies [eV], shift of strength [dex].
_SPECIES: tuple[tuple[str, float, tuple[float, float], float], ...] = (
    ("Fe I", 1.60, (4.2, 6.5), 0.0),
    ("Si I", 0.30, (5.9, 7.1), -0.1),
    ("Ti I", 0.30, (1.0, 4.0), -0.3),
    ("Ni I", 0.28, (5.2, 6.2), -0.2),
    ("Cr I", 0.30, (3.0, 5.8), -0.3),
    ("Mn I", 0.18, (3.8, 6.0), -0.3),
    ("Co I", 0.24, (3.0, 5.8), -0.4),
    ("V I", 0.24, (1.0, 4.0), -0.6),
    ("Ca I", 0.14, (4.4, 5.3), -0.2),
    ("Mg I", 0.12, (5.9, 6.9), -0.1),
    ("Al I", 0.08, (4.0, 5.2), -0.2),
    ("Na I", 0.08, (3.2, 4.4), -0.6),
    ("K I", 0.07, (2.6, 3.7), -0.6),
    ("S I", 0.12, (7.8, 8.8), -0.3),
    ("P I", 0.08, (7.0, 8.2), -0.7),
    ("C I", 0.14, (8.6, 9.9), -0.3),
    ("Cu I", 0.08, (3.8, 6.0), -0.7),
    ("Ce II", 0.14, (0.0, 1.6), -0.8),
    ("Nd II", 0.14, (0.0, 1.6), -0.9),
)
_SLOPE = 0.62  # d log N(> strength) / d log strength
_THETA = 0.9  # 5600 K: high excitation forms deep
_WEAKEST, _STRONGEST = -11.6, -9.4  # log(A gf) - θχ


def generated_infrared_lines(
    low_nm: float, high_nm: float, density: float = 1.0, seed: int = 16_000
) -> LineList:
    """Weak lines between two vacuum wavelengths beyond 1100 nm.

    Parameters
    ----------
    low_nm, high_nm : float
        Window [nm]; what lies below 1100 nm stays empty.
    density : float
        Factor on the number of lines: more of them blend more.
    seed : int
        Of the line list. Another seed is another nature.
    """
    parts: list[tuple[np.ndarray, ...]] = []
    span = 1 - 10 ** (-_SLOPE * (_STRONGEST - _WEAKEST))
    for nm in range(max(1100, int(np.floor(low_nm))), int(np.ceil(high_nm))):
        rng = np.random.default_rng([seed, nm])
        for name, per_nm, (e_low, e_high), shift in _SPECIES:
            # Drawn for the largest density, thinned below it: lists of two densities share lines.
            n = rng.poisson(per_nm * 4.0)
            position, rank = nm + rng.random(n), rng.random(n)
            energy = rng.uniform(e_low, e_high, n)
            strength = _WEAKEST - np.log10(1 - span * rng.random(n)) / _SLOPE + shift
            keep = rank < density / 4.0
            columns = (position, np.full(n, name), strength, energy)
            parts.append(tuple(column[keep] for column in columns))
    if not parts:
        return LineList.from_columns([], [], [], [])
    position, species, strength, energy = (np.concatenate(x) for x in zip(*parts, strict=True))
    # Strengths are drawn in the units of LineList.strength, where gf = 1 has this one:
    unit = LineList.from_columns(position, species, np.zeros(position.size), energy)
    order = np.argsort(position, kind="stable")
    log_gf = strength[order] - unit.strength(_THETA)
    lines = LineList.from_columns(position[order], species[order], log_gf, energy[order])
    return lines.take((lines.wavelength_nm >= low_nm) & (lines.wavelength_nm <= high_nm))
