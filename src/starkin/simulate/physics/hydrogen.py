"""Bound hydrogen: Stark-broadened lines that run into the photoionisation continuum.

Upper levels dissolve in the fields of neighbouring ions (Hummer & Mihalas 1988, ApJ 331, 794;
occupation numbers in the form of Hubeny, Hummer & Lanz 1994, A&A 282, 151, eqs. 4.24-4.26).
What a series loses in lines it gains as continuum beyond its limit, so the Balmer and Paschen
jumps are rounded as in real stars and move with electron density.

Line profiles have the Holtsmark wing (Δλ^-5/2, twice the ionic value to allow for electrons:
Griem 1967, ApJ 147, 1092; scale constants of Edmonds, Schlüter & Wells 1967, MmRAS 71, 271),
a Doppler core, and unit area.
"""

from __future__ import annotations

from functools import cache, partial

import numpy as np
import torch

from . import constants as c
from .opacity import Column, stimulated_emission
from .state import State

__all__ = ["hydrogen_columns", "occupation", "oscillator_strength"]

_NE_NODES = 10.0 ** np.arange(11.0, 18.76, 0.5)
_N_LOWER = 8
_WING = 1.5
_SHORT = 1.02  # ratio of the ends of a window that shows single lines
_WING_AREA = 2.3963  # ∫ (1 + u²)^(-5/4) du
_N_UPPER = 42
# Absorption oscillator strengths of the first members of a series (Wiese & Fuhr 2009).
_FIRST_F = {
    1: (0.41641, 0.079142, 0.029006, 0.013945),
    2: (0.64108, 0.119380, 0.044694, 0.022105, 0.012711),
    3: (0.84254, 0.150660, 0.055881, 0.027691, 0.016041),
    4: (1.03814, 0.179377, 0.065510, 0.032302, 0.018710),
}
_EXCITATION = 13.5984 * (1 - 1 / np.arange(1, _N_LOWER + 1) ** 2)  # eV


@cache
def oscillator_strength(lower: int, upper: int) -> float:
    """Absorption f of H: tabulated for first members, Kramers × the last Gaunt factor above."""

    def kramers(m: int) -> float:
        return 32 / (3 * np.pi * np.sqrt(3)) * (1 / lower**2 - 1 / m**2) ** -3 / (lower**5 * m**3)

    first = _FIRST_F.get(lower, ())
    position = upper - lower - 1
    if position < len(first):
        return first[position]
    gaunt = first[-1] / kramers(lower + len(first)) if first else 0.93
    return gaunt * kramers(upper)


def occupation(
    level: np.ndarray, electrons: float | np.ndarray, temperature: np.ndarray
) -> np.ndarray:
    """Probability that a level of (effective) quantum number ``level`` survives.

    Hubeny, Hummer & Lanz 1994, eqs. 4.24-4.26, for charged perturbers.
    """
    n = np.asarray(level, dtype=float)
    k = np.where(n <= 3.001, 1.0, 16 / 3 * n**2 * (n + 7 / 6) / ((n + 1) ** 2 * (n**2 + n + 0.5)))
    beta = 8.3e14 * electrons ** (-2 / 3) * k / n**4
    a = 0.09 * electrons ** (1 / 6) / np.sqrt(temperature)
    x = (1 + a) ** 3.15
    f = 0.1402 * (x + 4 * a**3) * beta**3 / (1 + 0.1285 * x * beta**1.5)
    return f / (1 + f)


def _add_line(
    total: np.ndarray,
    wavelength_nm: np.ndarray,
    centre: float,
    doppler_nm: np.ndarray,
    stark_nm: float,
    factor: np.ndarray,
) -> None:
    """Add a line to ``total`` (n_t, n_wave): Doppler core, Holtsmark wings, unit area × factor.

    ``stark_nm`` is the shift at the normal field strength, K·F0; ``doppler_nm`` and ``factor``
    have shape ``(n_t,)``. The wings are ``1.5·stark^1.5·|Δλ|^-2.5`` per nm on either side.
    """
    # Width at which the wing form alone has unit area; the Doppler width rounds the rest.
    own = (_WING * _WING_AREA) ** (2 / 3) * stark_nm
    width = np.sqrt(own**2 + doppler_nm**2)[:, None]
    amplitude = _WING * stark_nm**1.5 / width**2.5
    reach = min(0.12 * centre, 3000.0 * own + 8.0 * doppler_nm.max())
    lo, hi = np.searchsorted(wavelength_nm, (centre - reach, centre + reach))
    delta = wavelength_nm[None, lo:hi] - centre
    falloff = 1 / (1 + (delta / width) ** 2)
    total[:, lo:hi] += factor[:, None] * amplitude * falloff * np.sqrt(np.sqrt(falloff))
    core = 6.0 * doppler_nm.max()
    lo, hi = np.searchsorted(wavelength_nm, (centre - core, centre + core))
    doppler = doppler_nm[:, None]
    gauss = np.exp(-(((wavelength_nm[None, lo:hi] - centre) / doppler) ** 2))
    rest = (1 - amplitude * _WING_AREA * width) / (np.sqrt(np.pi) * doppler)
    total[:, lo:hi] += factor[:, None] * rest * gauss


def _own_grid(wavelength_nm: np.ndarray, lowers: range, doppler_nm: float) -> np.ndarray:
    """Wavelengths enough to draw the lines by straight pieces: fewer than a fine grid has.

    In a short window they lie closer: what one pixel in a thousand of a wide spectrum sees is
    here the whole. Between points a ratio q apart, wings (Δλ^-5/2) are off by (q - 1)² at most.
    """
    low, high = wavelength_nm[0], wavelength_nm[-1]
    short = high / low < _SHORT
    per_ln, n_offsets = (40_000, 80) if short else (2500, 26)
    smooth = np.geomspace(low, high, max(2, int(np.log(high / low) * per_ln) + 2))
    offsets = np.concatenate([[0.0], np.geomspace(0.15 * doppler_nm, 40 * doppler_nm, n_offsets)])
    offsets = np.concatenate([-offsets[:0:-1], offsets])
    edges = [1e7 * n**2 / c.RYDBERG for n in lowers]
    points = [smooth, *[np.array([e, np.nextafter(e, 2 * e)]) for e in edges]]
    for lower in lowers:
        for upper in range(lower + 1, _N_UPPER + 1):
            centre = _line_centre(lower, upper)
            around = centre + offsets * centre / 500.0
            # Lines beyond the edge too: their wings reach in.
            if around[-1] > low and around[0] < high:
                points.append(around)
    grid = np.unique(np.concatenate(points))
    return grid[(grid >= low) & (grid <= high)]


def _line_centre(lower: int, upper: int) -> float:
    """Vacuum wavelength [nm] without fine structure."""
    return 1e7 / (c.RYDBERG * (1 / lower**2 - 1 / upper**2))


def _bound_free_gaunt(level: int, wavelength_nm: np.ndarray) -> np.ndarray:
    """Gray 2005, eq. 8.5 (Menzel & Pekeris 1935)."""
    lr = wavelength_nm * 1e-7 * c.RYDBERG
    return np.clip(1 - 0.3456 / lr ** (1 / 3) * (lr / level**2 - 0.5), 0.3, 1.2)


def _cross_section(
    electrons: float,
    temperature: np.ndarray,
    wavelength_nm: np.ndarray,
    velocity_kms: float,
    lowers: range,
    lines: bool = True,
    edges: bool = True,
) -> np.ndarray:
    """Per n(H I)/U of bound hydrogen in some lower levels, at one electron density."""
    grid = wavelength_nm
    if wavelength_nm.size > 1:
        own_grid = _own_grid(wavelength_nm, lowers, 0.02)
        grid = own_grid if own_grid.size < wavelength_nm.size else wavelength_nm
    lam_cm = grid * 1e-7
    nu = c.SPEED_OF_LIGHT / lam_cm
    field = 1.25e-9 * electrons ** (2 / 3)  # normal field strength F0, esu cm^-2
    thermal = np.sqrt(
        2 * c.BOLTZMANN * temperature / (1.008 * c.ATOMIC_MASS_UNIT) + (velocity_kms * 1e5) ** 2
    )
    total = np.zeros((len(temperature), grid.size))
    for lower in lowers:
        population = 2 * lower**2 * np.exp(-_EXCITATION[lower - 1] / (c.BOLTZMANN_EV * temperature))
        if edges:
            edge = 1e7 * lower**2 / c.RYDBERG  # nm
            # Photoionisation; to the red of the edge, absorption to levels that are dissolved.
            inverse = np.maximum(1 / lower**2 - 1 / (lam_cm * c.RYDBERG), 1e-12)
            effective = np.minimum(1 / np.sqrt(inverse), 1e3)
            gone = 1 - occupation(effective, electrons, temperature[:, None])
            # A level must lie well above the lower one to be dissolved into a continuum.
            gone = np.where(effective < lower + 1, 0.0, gone)
            share = np.where(grid <= edge, 1.0, gone)
            sigma = 2.815e29 / (lower**5 * nu**3) * _bound_free_gaunt(lower, grid)
            total += population[:, None] * sigma * share
        for upper in range(lower + 1, _N_UPPER + 1) if lines else ():
            centre = _line_centre(lower, upper)
            if not grid[0] / 1.12 < centre < grid[-1] * 1.12:
                continue
            survives = occupation(np.array(float(upper)), electrons, temperature)
            if survives.max() < 1e-6:
                break
            stark = 5.5e-6 * (lower * upper) ** 4 / (upper**2 - lower**2) * field  # nm
            doppler = centre * thermal / c.SPEED_OF_LIGHT
            # Per wavenumber → per nm: dν̃ = dλ/λ² (λ in cm, 1 nm = 1e-7 cm).
            strength = c.CLASSICAL_LINE * oscillator_strength(lower, upper) * centre**2 * 1e-7
            _add_line(total, grid, centre, doppler, stark, population * survives * strength)
    if grid is not wavelength_nm:
        total = np.stack([np.interp(wavelength_nm, grid, row) for row in total])
    return total * stimulated_emission(temperature, wavelength_nm)


def _node_amounts(state: State) -> torch.Tensor:
    """n(H I)/U shared out to the nodes of an interpolation linear in ne, shape ``(n, n_nodes)``.

    Stark wings are proportional to ne, so an interpolation linear in ne has them exact.
    """
    nodes = torch.tensor(_NE_NODES, dtype=torch.float64)
    ne = state.electrons.clamp(float(nodes[0]), float(nodes[-1]))
    left = (torch.searchsorted(nodes, ne, right=True) - 1).clamp(0, len(nodes) - 2)
    upper = (ne - nodes[left]) / (nodes[left + 1] - nodes[left])
    out = torch.zeros(len(ne), len(nodes), dtype=torch.float64)
    amount = state.h1 / 2.0
    out.scatter_(1, left[:, None], (amount * (1 - upper))[:, None])
    out.scatter_(1, left[:, None] + 1, (amount * upper)[:, None])
    return out


def hydrogen_columns(
    velocity_kms: float = 1.5, lines: bool = True, edges: bool = True
) -> list[Column]:
    """Bound-free (``edges``) and bound-bound hydrogen (``lines``)."""
    excited = range(2, _N_LOWER + 1)

    def cross_section(temperature: np.ndarray, wavelength_nm: np.ndarray) -> np.ndarray:
        nodes = [
            _cross_section(ne, temperature, wavelength_nm, velocity_kms, excited, lines, edges)
            for ne in _NE_NODES
        ]
        return np.stack(nodes, axis=1)

    return [
        Column("H I excited", _node_amounts, cross_section, (10.2,) * len(_NE_NODES)),
        # Lyman series and continuum: no part of any visible spectrum, one density will do.
        Column(
            "H I Lyman",
            lambda s: s.h1 / 2.0,
            partial(
                _cross_section,
                1e14,
                velocity_kms=velocity_kms,
                lowers=range(1, 2),
                lines=lines,
                edges=edges,
            ),
        ),
    ]
