"""Rare classes: what they are astrophysically, and the light they emit.

Each class is drawn as a :class:`Group`: stars with their places, a companion's light
where there is one, and a function that dresses the summed spectrum with what an
atmosphere alone does not emit. All stellar light comes from the same atmospheres as
the ordinary stars'.

==================  ===========================================================
``cemp``            carbon-enhanced metal-poor giants and subgiants of the halo: s-rich
                    ones polluted by a companion, A(C) ≈ 7.9; the rest born carbon-rich,
                    A(C) ≈ 6.8 (the two bands of Spite et al. 2013, Yoon et al. 2016)
``carbon``          cool giants with C/O > 1 after the third dredge-up
``be``              B stars with a decretion disc: Balmer and Paschen emission, Balmer
                    and infrared excess; one in five with forbidden lines (B[e])
``binary``          two unresolved main-sequence stars of one age and composition
``eclipsing_binary``  Algols: an A or late B star with a Roche-lobe filling K subgiant,
                    the combination that eclipses are found in most easily
``lpv``             Mira variables: cool asymptotic giants at random phase, deep TiO and
                    VO, Balmer emission from shocks that rises towards Hδ
``wd_ms``           a white dwarf (DA) beside an M dwarf
``unknown``         cyclotron humps of a strongly magnetic accreting white dwarf (a
                    polar) with He II and Balmer emission: like no star
``giant``           cool metal-rich giants, whose CN and TiO pass for CH
``main_sequence``   K dwarfs, whose MgH does
==================  ===========================================================
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from . import tracks
from .populations import Stars, draw_component, draw_field, draw_single, settle

__all__ = ["CLASSES", "Group", "Light", "draw_class"]

Dress = Callable[[np.ndarray, np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Light:
    """Atmospheric parameters and radius [R☉] of a light source, one entry a star."""

    teff: np.ndarray
    logg: np.ndarray
    m_h: np.ndarray
    alpha_m: np.ndarray
    c_m: np.ndarray
    radius: np.ndarray


@dataclass(frozen=True)
class Group:
    """Stars of one class.

    Attributes
    ----------
    name : str
        One of :data:`CLASSES`.
    stars : Stars
        The star that the labels describe, and the place.
    companion : Light, optional
        A second source, unresolved.
    dress : callable, optional
        From wavelength [nm], shape (n_wave,), and the flux of the star and its
        companion, shape (n_stars, n_wave), to the flux that leaves the system.
    stellar : bool
        Whether labels of a single star mean anything.
    """

    name: str
    stars: Stars
    companion: Light | None = None
    dress: Dress | None = None
    stellar: bool = True


def _companion(stars: Stars, teff, logg, radius) -> Light:
    """A companion of the same composition."""
    return Light(teff, logg, stars.m_h, stars.alpha_m, stars.c_m, radius)


def _columns(n: int, rng: np.random.Generator, **given) -> dict[str, np.ndarray]:
    """Properties of stars off the tracks: given ones, and a thin disc's composition."""
    m_h = given.pop("m_h", np.clip(rng.normal(-0.05, 0.15, n), -0.6, 0.4))
    columns = {
        "phase": np.full(n, given.pop("phase", 2)),
        "m_h": m_h,
        "alpha_m": given.pop("alpha_m", 0.03 - 0.12 * m_h + rng.normal(0, 0.02, n)),
        "c_m": given.pop("c_m", rng.normal(0, 0.05, n)),
        "age": given.pop("age", rng.uniform(1, 8, n)),
        **given,
    }
    columns["logg"] = tracks.gravity(columns["mass"], columns["log_l"], columns["teff"])
    return columns


def _lines(wave: np.ndarray, flux: np.ndarray, lines: list[tuple[float, np.ndarray]]) -> np.ndarray:
    """Add emission lines (wavelength [nm], equivalent width [nm], one a star).

    They are as wide as a pixel: narrower than XP resolves, wide enough to be sampled.
    """
    out = flux.copy()
    for centre, equivalent in lines:
        near = np.abs(wave - centre) < 15
        continuum = flux[:, near].mean(axis=1)
        width = np.gradient(wave)[np.argmin(np.abs(wave - centre))]
        profile = np.exp(-0.5 * ((wave - centre) / width) ** 2) / (width * np.sqrt(2 * np.pi))
        out += (continuum * equivalent)[:, np.newaxis] * profile
    return out


def _field(n: int, bright: float, faint: float, rng: np.random.Generator) -> Group:
    return Group("field", draw_field(n, bright, faint, rng))


def _single(n: int, bright: float, faint: float, rng: np.random.Generator) -> Group:
    return Group("field", draw_single(n, bright, faint, rng))


def _cemp(n: int, bright: float, faint: float, rng: np.random.Generator) -> Group:
    def keep(s: dict[str, np.ndarray]) -> np.ndarray:
        # Hotter than 6000 K the CH band hardly shows at this resolution.
        cool = (s["teff"] > 4200) & (s["teff"] < 6000)
        return (s["phase"] > 0) & (s["m_h"] < -1.7) & cool

    stars = draw_component("halo", n, bright, faint, rng, keep)
    born_rich = rng.uniform(size=n) < np.clip(0.2 - 0.5 * (stars.m_h + 2.0), 0.05, 0.7)
    absolute = np.where(born_rich, rng.normal(6.8, 0.25, n), rng.normal(7.9, 0.25, n))
    c_m = np.maximum(absolute - 8.43 - stars.m_h, 0.8)  # Asplund et al. 2009: A(C)☉ = 8.43
    return Group("cemp", replace(stars, c_m=c_m))


def _carbon(n: int, bright: float, faint: float, rng: np.random.Generator) -> Group:
    log_l = rng.normal(3.75, 0.15, n)
    columns = _columns(
        n,
        rng,
        teff=rng.uniform(2700, 3500, n),
        log_l=log_l,
        mass=rng.uniform(1.5, 3.0, n),
        m_h=np.clip(rng.normal(-0.25, 0.2, n), -0.9, 0.2),
        # C/O from 1.1 to 2.5 where the Sun has 0.55.
        c_m=np.log10(rng.uniform(1.1, 2.5, n) / 0.55),
    )
    return Group("carbon", settle("thin_disc", columns, bright, faint, rng))


def _be(n: int, bright: float, faint: float, rng: np.random.Generator) -> Group:
    mass = np.exp(rng.uniform(np.log(3.5), np.log(9.0), n))
    log_l, teff = tracks.main_sequence(mass, np.zeros(n), rng.uniform(0.3, 0.95, n))
    columns = _columns(n, rng, teff=teff, log_l=log_l, mass=mass, phase=0, age=0.05 + 0 * mass)
    stars = settle("young_disc", columns, bright, faint, rng)
    h_alpha = np.exp(rng.normal(np.log(3.5), 0.45, n))  # equivalent width [nm]
    forbidden = (rng.uniform(size=n) < 0.2) * rng.uniform(0.3, 1.0, n)
    excess = np.clip(rng.normal(0.35, 0.12, n), 0.05, None)

    def dress(wave: np.ndarray, flux: np.ndarray) -> np.ndarray:
        # Free-free and bound-free light of the disc: redder than the star, and a Balmer jump.
        disc = excess[:, np.newaxis] * np.where(wave < 820, 0.6, 1.0) * (wave / 820) ** 1.5
        balmer = (0.5 * excess)[:, np.newaxis] / (1 + np.exp((wave - 368) / 2))
        flux = flux * (1 + disc + balmer)
        lines = [(656.5, h_alpha), (486.3, 0.13 * h_alpha), (434.2, 0.04 * h_alpha)]
        lines += [(844.9, 0.12 * h_alpha), (777.4, 0.04 * h_alpha)]
        # Paschen series P17 to P11, and Ca II among it.
        lines += [(x, 0.05 * h_alpha) for x in (846.9, 850.5, 854.8, 860.1, 866.7, 875.3, 886.5)]
        lines += [(x, forbidden) for x in (630.2, 636.6, 729.3, 732.5, 501.9, 516.9)]
        return _lines(wave, flux, lines)

    return Group("be", stars, dress=dress)


def _binary(n: int, bright: float, faint: float, rng: np.random.Generator) -> Group:
    def keep(s: dict[str, np.ndarray]) -> np.ndarray:
        return s["phase"] == 0

    stars = draw_component("thin_disc", n, bright, faint, rng, keep)
    mass = np.maximum(stars.mass * rng.uniform(0.3, 1.0, n), 0.12)
    zeta = tracks.effective_metallicity(stars.m_h, stars.alpha_m)
    log_l, teff = tracks.main_sequence(mass, zeta, stars.age / tracks.lifetime(mass, zeta)[0])
    logg, radius = tracks.gravity(mass, log_l, teff), tracks.radius(log_l, teff)
    return Group("binary", stars, _companion(stars, teff, logg, radius))


def _eclipsing(n: int, bright: float, faint: float, rng: np.random.Generator) -> Group:
    mass = rng.uniform(1.9, 3.5, n)
    log_l, teff = tracks.main_sequence(mass, np.zeros(n), rng.uniform(0.2, 0.8, n))
    columns = _columns(n, rng, teff=teff, log_l=log_l, mass=mass, phase=0, age=rng.uniform(0.2, 1))
    columns["age"] = np.broadcast_to(columns["age"], (n,)).copy()
    cool = rng.uniform(4100, 5000, n)
    # The K subgiant fills its Roche lobe: radii of 3 to 8 R☉ in known Algols
    # (Ibanoglu et al. 2006, MNRAS 373, 435).
    size = np.exp(rng.uniform(np.log(3.5), np.log(8.0), n))
    stars = settle("young_disc", columns, bright, faint, rng, brighter=0.3)
    donor_mass = mass * rng.uniform(0.18, 0.35, n)
    logg = tracks.LOGG_SUN + np.log10(donor_mass) - 2 * np.log10(size)
    return Group("eclipsing_binary", stars, _companion(stars, cool, logg, size))


def _lpv(n: int, bright: float, faint: float, rng: np.random.Generator) -> Group:
    phase = rng.uniform(0, 2 * np.pi, n)
    # Cooler at minimum light by several hundred kelvin (Reid & Goldston 2002).
    teff = np.clip(rng.uniform(2750, 3150, n) + 200 * np.cos(phase), 2520, None)
    columns = _columns(
        n, rng, teff=teff, log_l=rng.normal(3.6, 0.15, n), mass=rng.uniform(0.9, 1.6, n)
    )
    stars = settle("thin_disc", columns, bright, faint, rng)
    # Shocks reach the photosphere around maximum light.
    shock = np.clip(0.25 + 0.75 * np.cos(phase - 0.6), 0, None) * rng.uniform(0.5, 1.5, n)
    vanadium = np.clip((3150 - teff) / 400, 0, 1.5) * rng.uniform(0.6, 1.0, n)

    def dress(wave: np.ndarray, flux: np.ndarray) -> np.ndarray:
        bands = sum(
            depth * np.exp(-0.5 * ((wave - centre) / width) ** 2)
            for centre, width, depth in ((744, 8, 0.5), (792, 8, 0.6), (862, 9, 0.35))
        )
        flux = flux * np.exp(-vanadium[:, np.newaxis] * bands)
        # Hα and Hβ are smothered by TiO above the shock, Hδ is not: the Mira decrement.
        lines = [(410.3, 4 * shock), (434.2, 2.5 * shock), (486.3, 0.5 * shock)]
        return _lines(wave, flux, [*lines, (656.5, 0.5 * shock)])

    return Group("lpv", stars, dress=dress)


def _wd_ms(n: int, bright: float, faint: float, rng: np.random.Generator) -> Group:
    mass = rng.uniform(0.15, 0.5, n)
    log_l, teff = tracks.main_sequence(mass, np.zeros(n), np.full(n, 0.02))
    columns = _columns(n, rng, teff=teff, log_l=log_l, mass=mass, phase=0)
    hot = np.exp(rng.uniform(np.log(9000), np.log(28000), n))
    size = rng.normal(0.0128, 0.0008, n)
    logg = tracks.LOGG_SUN + np.log10(0.6) - 2 * np.log10(size)
    stars = settle("thin_disc", columns, bright, faint, rng, brighter=0.7)
    pure_hydrogen = Light(
        hot, logg, np.full(n, -5.0), np.zeros(n), np.zeros(n), size
    )  # a DA's metals have sunk
    return Group("wd_ms", stars, pure_hydrogen)


def _unknown(n: int, bright: float, faint: float, rng: np.random.Generator) -> Group:
    size = rng.normal(0.0115, 0.0008, n)
    teff = rng.uniform(11000, 20000, n)
    columns = _columns(
        n,
        rng,
        teff=teff,
        log_l=2 * np.log10(size) + 4 * np.log10(teff / tracks.TEFF_SUN),
        mass=np.full(n, 0.8),
        m_h=np.full(n, -5.0),
        alpha_m=np.zeros(n),
        c_m=np.zeros(n),
        phase=0,
    )
    stars = settle("thin_disc", columns, bright, faint, rng, brighter=1.5)
    field = rng.uniform(20, 60, n)  # [MG]
    strength = np.exp(rng.normal(np.log(4.0), 0.3, n))
    lines_strength = rng.uniform(2.0, 6.0, n)

    def dress(wave: np.ndarray, flux: np.ndarray) -> np.ndarray:
        level = flux[:, np.abs(wave - 700) < 20].mean(axis=1)
        out = flux.copy()
        for harmonic in range(1, 12):
            # λ = 10710 nm / n at 10 MG; seen under an angle, harmonics are broadened.
            centre = (107_100.0 / (harmonic * field))[:, np.newaxis]
            hump = np.exp(-0.5 * ((wave - centre) / (0.055 * centre)) ** 2)
            faded = np.exp(-0.5 * ((harmonic - 4.5) / 2.5) ** 2)
            out += (strength * level)[:, np.newaxis] * faded * hump
        lines = [(656.5, 2 * lines_strength), (486.3, 1.2 * lines_strength)]
        lines += [(434.2, 0.8 * lines_strength), (468.7, 0.8 * lines_strength)]
        return _lines(wave, out, [*lines, (587.7, 0.5 * lines_strength)])

    return Group("unknown", stars, dress=dress, stellar=False)


def _giant(n: int, bright: float, faint: float, rng: np.random.Generator) -> Group:
    def keep(s: dict[str, np.ndarray]) -> np.ndarray:
        return (s["phase"] == 2) & (s["teff"] > 3700) & (s["teff"] < 4500)

    return Group("giant", draw_component("thin_disc", n, bright, faint, rng, keep))


def _dwarf(n: int, bright: float, faint: float, rng: np.random.Generator) -> Group:
    def keep(s: dict[str, np.ndarray]) -> np.ndarray:
        return (s["phase"] == 0) & (s["teff"] > 3900) & (s["teff"] < 4900)

    return Group("main_sequence", draw_component("thin_disc", n, bright, faint, rng, keep))


_DRAW = {
    "field": _field,
    "single": _single,
    "cemp": _cemp,
    "carbon": _carbon,
    "be": _be,
    "binary": _binary,
    "eclipsing_binary": _eclipsing,
    "lpv": _lpv,
    "wd_ms": _wd_ms,
    "unknown": _unknown,
    "giant": _giant,
    "main_sequence": _dwarf,
}
CLASSES = tuple(_DRAW)


def draw_class(name: str, n: int, bright: float, faint: float, rng: np.random.Generator) -> Group:
    """``n`` stars of a class between two apparent G magnitudes."""
    return _DRAW[name](n, bright, faint, rng)
