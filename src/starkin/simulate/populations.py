"""Stars of the Galaxy as a magnitude-limited survey sees them.

The components are the thin disc (its youngest stars apart), the outer disc, the thick disc
and the halo.

Each component has an age and composition distribution; stars are spread over mass by
the initial mass function of Kroupa 2001 (MNRAS 322, 231) up to the turn-off, and over
the later phases by how long they last, ξ(m) |dm/dt| Δt, on the tracks of
:mod:`starkin.simulate.tracks`. Which of them a survey sees follows from
:func:`starkin.simulate.galaxy.visible`.

The two α sequences lie on either side of the split of Patil et al. 2023
(arXiv:2306.09319): [α/M] = 0.1754 x³ + 0.1119 x² - 0.1253 x + 0.1353, x = [M/H]. Both are
populated from [M/H] of -0.8 to -0.1, the high one at the same place in the plane everywhere
but rare beyond R = 11 kpc and common off the plane (Hayden et al. 2015, ApJ 808, 132): the
thick disc, which is short and thick, is the one, the outer disc the other. Both scatter by
0.04 dex about their means (Vincenzo et al. 2021, arXiv:2101.04488).
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from functools import lru_cache

import numpy as np

from . import galaxy, tracks

__all__ = [
    "PHASES",
    "Stars",
    "about_tracks",
    "alpha_split",
    "draw_field",
    "draw_single",
    "g_absolute",
]

PHASES = ("main_sequence", "subgiant", "giant_branch", "red_clump")
# Density near the Sun of each component, all masses (Bland-Hawthorn & Gerhard 2016, sec. 5-6).
# The outer disc's is chosen: with it the two sequences are equally common at [M/H] of -0.5
# to -0.4 in surveys of giants, and one low-α star in ten near the Sun is below -0.3.
_LOCAL_DENSITY = {
    "young_disc": 0.25,
    "thin_disc": 0.75,
    "thick_disc": 0.06,
    "halo": 0.004,
    "outer_disc": 0.05,
}
_MASS_RANGE = (0.12, 8.0)
# Intrinsic scatter of [α/M] at a metallicity, in either sequence (Vincenzo et al. 2021) [dex].
_ALPHA_SCATTER = 0.04
# Bolometric correction in G: Andrae et al. 2018 (A&A 616, A8), table 4, at 3300-8000 K;
# continued beyond with a black body's. Only the sampling uses it.
_BC_TEFF = [2300, 2800, 3000, 3300, 3500, 4000, 4500, 5000, 5772, 6500, 7000, 8000, 9000]
_BC_TEFF += [10000, 12000, 15000, 20000, 30000]
_BC_G = [-4.0, -2.3, -1.7, -1.06, -0.88, -0.50, -0.21, -0.05, 0.06, 0.08, 0.08, 0.02, -0.10]
_BC_G += [-0.25, -0.65, -1.20, -1.90, -2.90]
_M_BOL_SUN = 4.74


@dataclass(frozen=True)
class Stars:
    """Intrinsic properties of stars, one entry each.

    Attributes
    ----------
    component, phase : ndarray of int
        Into :data:`galaxy.COMPONENTS` and :data:`PHASES`.
    teff, logg : ndarray
        [K], log [cm s⁻²]
    m_h, alpha_m, c_m : ndarray
        [dex]
    mass, log_l, age : ndarray
        [M☉], log [L☉], [Gyr]
    lon, lat, distance, a_v, g_mag : ndarray
        Place (:class:`galaxy.Places`): [deg], [deg], [kpc], [mag], [mag].
    """

    component: np.ndarray
    phase: np.ndarray
    teff: np.ndarray
    logg: np.ndarray
    m_h: np.ndarray
    alpha_m: np.ndarray
    c_m: np.ndarray
    mass: np.ndarray
    log_l: np.ndarray
    age: np.ndarray
    lon: np.ndarray
    lat: np.ndarray
    distance: np.ndarray
    a_v: np.ndarray
    g_mag: np.ndarray

    def __len__(self) -> int:
        return int(self.teff.size)

    def __getitem__(self, index: np.ndarray | slice) -> Stars:
        return Stars(**{f.name: getattr(self, f.name)[index] for f in fields(self)})

    @property
    def radius(self) -> np.ndarray:
        """[R☉]"""
        return tracks.radius(self.log_l, self.teff)

    @staticmethod
    def concatenate(parts: list[Stars]) -> Stars:
        return Stars(
            **{
                f.name: np.concatenate([getattr(part, f.name) for part in parts])
                for f in fields(Stars)
            }
        )


def alpha_split(m_h: np.ndarray) -> np.ndarray:
    """[α/M] that divides the two sequences at a metallicity (Patil et al. 2023)."""
    return np.polyval([0.1754, 0.1119, -0.1253, 0.1353], m_h)


def g_absolute(log_l: np.ndarray, teff: np.ndarray) -> np.ndarray:
    """Absolute G magnitude from log L [L☉] and effective temperature [K], to about 0.1 mag."""
    return _M_BOL_SUN - 2.5 * np.asarray(log_l) - np.interp(teff, _BC_TEFF, _BC_G)


def _composition(
    component: str, n: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Ages [Gyr], [M/H] and [α/M] of a component."""
    if component == "young_disc":
        age = rng.uniform(0.1, 2.0, n)
        m_h = np.clip(rng.normal(0.02, 0.10, n), -0.4, 0.4)
        alpha = 0.03 - 0.12 * m_h + rng.normal(0, 0.022, n)
    elif component == "thin_disc":
        age = rng.uniform(2.0, 9.0, n)
        # Radial migration broadens the metallicities of older stars (Casagrande et al. 2011).
        m_h = rng.normal(0.0, 0.12 + 0.015 * age) - 0.005 * age
        m_h = np.clip(m_h, -0.75, 0.45)
        alpha = 0.03 - 0.12 * m_h + rng.normal(0, 0.022, n)
    elif component == "thick_disc":
        age = np.clip(rng.normal(9.5, 1.5, n), 5.0, 13.0)
        m_h = np.clip(rng.normal(-0.4, 0.25, n), -1.3, 0.15)
        # A plateau, then a knee where type Ia supernovae set in.
        alpha = 0.31 - 0.16 * np.clip(m_h + 0.6, 0, None) + rng.normal(0, _ALPHA_SCATTER, n)
    elif component == "outer_disc":
        age = rng.uniform(2.0, 10.0, n)
        m_h = np.clip(rng.normal(-0.4, 0.18, n), -0.85, 0.1)
        alpha = 0.03 - 0.12 * m_h + rng.normal(0, _ALPHA_SCATTER, n)
    else:
        age = np.clip(rng.normal(12.0, 0.7, n), 9.5, 13.5)
        m_h = np.clip(rng.normal(-1.5, 0.45, n), -2.8, -0.7)
        alpha = 0.27 + rng.normal(0, 0.05, n)
    return age, m_h, alpha


def _initial_mass_function(mass: np.ndarray) -> np.ndarray:
    """Kroupa 2001, ξ(m) dm up to a factor."""
    return np.where(mass < 0.5, (mass / 0.5) ** -1.3, (mass / 0.5) ** -2.3)


def _carbon(phase: np.ndarray, m_h: np.ndarray, log_l: np.ndarray) -> np.ndarray:
    """Mean [C/M]: near zero in dwarfs, lower after the first dredge-up.

    Gratton et al. 2000 (A&A 354, 169): -0.1 to -0.2 dex at the base of the giant
    branch, and further down beyond its bump in metal-poor stars.
    """
    dredged = np.isin(phase, (2, 3))
    mixed = dredged & ((log_l > 1.9) | (phase == 3)) & (m_h < -0.7)
    return np.where(dredged, -0.13, 0.0) - np.where(mixed, 0.25, 0.0) + 0.05 * (m_h < -1.0)


def _evolve(
    component: str, n: int, rng: np.random.Generator
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Stars of a component and their numbers per unit volume over how often they are proposed."""
    age, m_h, alpha = _composition(component, n, rng)
    zeta = tracks.effective_metallicity(m_h, alpha)
    m_to = tracks.turnoff_mass(age, zeta)
    phase = rng.choice(4, size=n, p=_PROPOSAL)
    x = rng.uniform(size=n)

    # Main sequence: masses uniform in their logarithm.
    low = np.log(_MASS_RANGE[0])
    mass = np.where(phase == 0, np.exp(low + x * (np.log(m_to) - low)), m_to)
    t_ms, t_bgb = tracks.lifetime(mass, zeta)
    log_l, teff = tracks.main_sequence(mass, zeta, age / t_ms)
    weight = _initial_mass_function(mass) * mass * (np.log(m_to) - low)

    # Later phases: all at the turn-off mass, ξ(m) |dm/dt| Δt of them.
    step = 1e-3
    rate = (
        _initial_mass_function(m_to)
        * m_to
        * step
        / (
            age - tracks.lifetime(m_to * np.exp(step), zeta)[0]  # lifetimes fall with mass
        )
    )
    sub = phase == 1
    log_l_bgb = np.clip(0.30 + 2.6 * np.log10(m_to) + 0.15, 0.35, 2.0)
    t_base, _ = tracks.rgb_state(log_l_bgb, zeta, m_to)
    # Slowly off the main sequence, quickly through the gap of the heavier stars.
    path = x**1.5
    log_l = np.where(sub, log_l + path * (np.maximum(log_l_bgb, log_l - 0.15) - log_l), log_l)
    teff = np.where(sub, 10 ** (np.log10(teff) + path * (np.log10(t_base / teff))), teff)
    gap = (t_bgb - t_ms) * np.where(m_to > 1.6, 0.35, 1.0)
    weight = np.where(sub, rate * gap, weight)

    giant = phase == 2
    # dN/dlog L falls as L^-0.75: 0.3 dex a magnitude, as globular clusters show.
    slope = 0.75 * np.log(10)
    tip = np.where(m_to > 1.9, 2.6, tracks.LOG_L_TIP)
    span = 1 - np.exp(-slope * (tip - log_l_bgb))
    climbed = log_l_bgb - np.log(1 - x * span) / slope
    clump = phase == 3
    log_l = np.where(giant, climbed, log_l)
    log_l = np.where(clump, 1.70 + 0.05 * rng.standard_normal(n), log_l)
    later_mass = np.where(clump & (m_to < 1.8), m_to - 0.1, m_to)
    t_giant, _ = tracks.rgb_state(log_l, zeta, later_mass)
    bluer = 130 + np.clip(-m_h - 1.0, 0, None) * 800 * np.exp(0.4 * rng.standard_normal(n))
    teff = np.where(giant, t_giant, np.where(clump, np.minimum(t_giant + bluer, 8500), teff))
    weight = np.where(giant, rate * 0.06 * t_bgb, np.where(clump, rate * 0.1, weight))
    mass = np.where(clump, later_mass, mass)

    stars = {
        "phase": phase,
        "teff": teff,
        "logg": tracks.gravity(mass, log_l, teff),
        "m_h": m_h,
        "alpha_m": alpha,
        "c_m": _carbon(phase, m_h, log_l) + 0.05 * rng.standard_normal(n),
        "mass": mass,
        "log_l": log_l,
        "age": age,
    }
    return stars, weight / np.array(_PROPOSAL)[phase]


# How often each phase is proposed: what a magnitude limit shows, not what there is.
_PROPOSAL = (0.55, 0.15, 0.15, 0.15)


def _propose(
    component: str, n: int, bright: float, faint: float, rng: np.random.Generator
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    stars, weight = _evolve(component, n, rng)
    absolute = g_absolute(stars["log_l"], stars["teff"])
    return stars, weight * galaxy.visible(component, absolute, bright, faint)


@lru_cache(maxsize=64)
def _scale(component: str, bright: float, faint: float) -> tuple[float, float]:
    """Mean and a high quantile of the weights: how many stars in sight, and when to accept.

    Weights above the quantile (2 in 1,000) are cut to it.
    """
    rng = np.random.default_rng([2023, galaxy.COMPONENTS.index(component)])
    _, weight = _propose(component, 30_000, bright, faint, rng)
    cap = float(np.quantile(weight[weight > 0], 0.998)) if (weight > 0).any() else 1.0
    return float(np.minimum(weight, cap).mean()), cap


def component_fractions(bright: float, faint: float) -> np.ndarray:
    """Share of each component among the stars in sight, shape (4,)."""
    share = np.array([_LOCAL_DENSITY[c] * _scale(c, bright, faint)[0] for c in galaxy.COMPONENTS])
    return share / share.sum()


def draw_component(
    component: str,
    n: int,
    bright: float,
    faint: float,
    rng: np.random.Generator,
    keep=None,
) -> Stars:
    """Stars of one component between two apparent magnitudes.

    Parameters
    ----------
    component : str
        One of :data:`galaxy.COMPONENTS`.
    n : int
        How many.
    bright, faint : float
        Limits of G.
    rng : Generator
        Source of chance.
    keep : callable, optional
        Takes a dictionary of the intrinsic properties, returns a boolean array: only
        such stars are drawn.
    """
    _, cap = _scale(component, bright, faint)
    parts: list[dict[str, np.ndarray]] = []
    found = 0
    while found < n:
        stars, weight = _propose(component, max(8 * n, 2000), bright, faint, rng)
        accepted = rng.uniform(size=weight.size) * cap < weight
        if keep is not None:
            accepted &= keep(stars)
        parts.append({name: column[accepted] for name, column in stars.items()})
        found += int(accepted.sum())
    columns = {name: np.concatenate([p[name] for p in parts])[:n] for name in parts[0]}
    return settle(component, columns, bright, faint, rng)


def settle(
    component: str,
    columns: dict[str, np.ndarray],
    bright: float,
    faint: float,
    rng: np.random.Generator,
    brighter: np.ndarray | float = 0.0,
) -> Stars:
    """Give stars of a component their places; ``brighter`` [mag] is a companion's light."""
    absolute = g_absolute(columns["log_l"], columns["teff"]) - brighter
    where = galaxy.place(component, absolute, bright, faint, rng)
    n = absolute.size
    return Stars(
        component=np.full(n, galaxy.COMPONENTS.index(component)), **columns, **where.__dict__
    )


def draw_field(n: int, bright: float, faint: float, rng: np.random.Generator) -> Stars:
    """The ordinary stars of a magnitude-limited survey, all components mixed."""
    chosen = rng.choice(len(galaxy.COMPONENTS), size=n, p=component_fractions(bright, faint))
    parts, order = [], []
    for i, component in enumerate(galaxy.COMPONENTS):
        where = np.flatnonzero(chosen == i)
        if where.size:
            parts.append(draw_component(component, where.size, bright, faint, rng))
            order.append(where)
    return Stars.concatenate(parts)[np.argsort(np.concatenate(order), kind="stable")]


def draw_single(n: int, bright: float, faint: float, rng: np.random.Generator) -> Stars:
    """One population without a gap: main-sequence stars of the thin disc, 0.7 to 1.2 M☉.

    For null tests: a method that finds two groups here finds groups anywhere.
    """

    def keep(stars: dict[str, np.ndarray]) -> np.ndarray:
        return (stars["phase"] == 0) & (stars["mass"] > 0.7) & (stars["mass"] < 1.2)

    stars = draw_component("thin_disc", n, bright, faint, rng, keep)
    return replace(stars, phase=np.zeros(n, dtype=int))


def about_tracks(stars: Stars, scatter: float, rng: np.random.Generator) -> Stars:
    """Stars moved off their tracks in temperature, at constant luminosity and mass.

    Parameters
    ----------
    stars : Stars
        On the tracks.
    scatter : float
        Standard deviation of ln Teff.
    rng : Generator
        Source of chance.
    """
    off = scatter * rng.standard_normal(len(stars))
    # g ∝ M Teff⁴ / L
    return replace(stars, teff=stars.teff * np.exp(off), logg=stars.logg + 4 * off / np.log(10))
