"""A survey of Gaia XP spectra with known truth.

Drawn in blocks of fixed size, each with its own random stream, so that a survey depends
on its settings and seed alone and the first stars of a larger one are those of a smaller.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Any

import numpy as np
from astropy import constants as const
from astropy import units as u
from dust_extinction.parameter_averages import G23

from ..spectra import SpectrumSet, StarkinError, XPGrid, columns
from ..spectra.bases import filter_table
from ..spectra.projection import projection_matrix
from . import galaxy
from .instrument import MISSING_BP_RATE, observe, transits
from .physics import synthesise
from .rare import CLASSES, Group, Light, draw_class

__all__ = ["PRESETS", "SurveyConfig", "iterate_survey", "simulate_survey"]

BLOCK = 2048  # stars drawn together; part of what a seed means
WAVELENGTH = np.arange(318.0, 1087.0, 2.0)  # [nm], all that either band sees
_TEN_PARSEC = (10 * u.pc / const.R_sun).decompose().value
# phot_g_mean_flux to phot_g_mean_mag (Vega): Gaia DR3 documentation, table 5.5.
ZERO_POINTS = {"G": 25.6873668671, "BP": 25.3385422158, "RP": 24.7478955012}

#: Shares of the classes; what is left are ordinary stars ("field"), or the class that a
#: preset is about.
PRESETS: dict[str, dict[str, float]] = {
    "survey": {
        "binary": 0.08,
        "cemp": 0.005,
        "carbon": 0.002,
        "be": 0.003,
        "eclipsing_binary": 0.004,
        "lpv": 0.003,
        "wd_ms": 0.002,
        "unknown": 0.001,
    },
    "cemp": {
        "giant": 0.10,
        "main_sequence": 0.06,
        "carbon": 0.04,
        "be": 0.02,
        "eclipsing_binary": 0.015,
        "lpv": 0.01,
        "unknown": 0.003,
    },
    "single": {},
}
_REST = {"survey": "field", "cemp": "cemp", "single": "single"}


@dataclass(frozen=True)
class SurveyConfig:
    """Settings of a simulated survey.

    Parameters
    ----------
    preset : {"survey", "cemp", "single"}
        An all-sky survey; a sample of candidate carbon-enhanced metal-poor stars with
        the contaminants of Lucey et al. 2023; one population without structure.
    fractions : mapping of str to float, optional
        Shares of the classes in place of the preset's; the rest goes to ordinary stars
        (in "cemp": to CEMP stars).
    alpha_signal : bool
        False computes every spectrum at [α/M] = 0 while labels keep both sequences: no
        method can tell them by the α features then.
    g_bright, g_faint : float
        Limits of G; DR3 publishes XP spectra to 17.65.
    correlations : bool
        Whether the spectra carry the correlations of their coefficients.
    error_underestimate : float
        True over stated standard deviation of the coefficients.
    missing_bp, missing_rp : float
        Shares of stars without a band; DR3 has one in 219 million without BP.
    """

    preset: str = "survey"
    fractions: Mapping[str, float] | None = None
    alpha_signal: bool = True
    g_bright: float = 6.0
    g_faint: float = 17.65
    correlations: bool = False
    error_underestimate: float = 1.0
    missing_bp: float = MISSING_BP_RATE
    missing_rp: float = 0.0

    def __post_init__(self) -> None:
        if self.preset not in PRESETS:
            raise StarkinError(
                f"SurveyConfig.preset must be one of {', '.join(PRESETS)}, got {self.preset!r}."
            )
        for name, share in self.shares.items():
            if name not in CLASSES:
                raise StarkinError(
                    f"SurveyConfig.fractions names {name!r}; the classes are {', '.join(CLASSES)}."
                )
            if not 0 <= share <= 1:
                raise StarkinError(
                    f"SurveyConfig.fractions: the share of {name} must lie in 0..1, got {share}."
                )
        if sum(self.shares.values()) > 1 + 1e-9:
            raise StarkinError(
                f"SurveyConfig.fractions sum to {sum(self.shares.values()):g}; at most 1 is left."
            )
        if not 2 <= self.g_bright < self.g_faint <= 21:
            raise StarkinError(
                "SurveyConfig.g_bright and g_faint must satisfy 2 <= g_bright < g_faint <= 21, "
                f"got {self.g_bright} and {self.g_faint}."
            )
        if not 0.2 <= self.error_underestimate <= 5:
            raise StarkinError(
                "SurveyConfig.error_underestimate must lie in 0.2..5, "
                f"got {self.error_underestimate}."
            )
        for name in ("missing_bp", "missing_rp"):
            if not 0 <= getattr(self, name) <= 1:
                raise StarkinError(
                    f"SurveyConfig.{name} must lie in 0..1, got {getattr(self, name)}."
                )

    @property
    def shares(self) -> dict[str, float]:
        return dict(PRESETS[self.preset] if self.fractions is None else self.fractions)

    def class_shares(self) -> dict[str, float]:
        """Shares of all classes, the rest included: they sum to one."""
        shares = self.shares
        rest = _REST[self.preset]
        shares[rest] = shares.get(rest, 0.0) + max(0.0, 1.0 - sum(shares.values()))
        return shares


@lru_cache(maxsize=1)
def _extinction() -> np.ndarray:
    """A(λ)/A(V) of Gordon et al. 2023 at R_V = 3.1, shape (n_wave,)."""
    return G23(Rv=3.1)(WAVELENGTH * u.nm)


def _surface(light: Light, alpha_signal: bool) -> np.ndarray:
    return synthesise(
        np.clip(light.teff, 2500, 40000),
        np.clip(light.logg, -1, 9),
        np.clip(light.m_h, -6, 1),
        light.alpha_m if alpha_signal else np.zeros_like(light.alpha_m),
        light.c_m,
        wavelength_nm=WAVELENGTH,
    )


def _light(groups: list[Group], alpha_signal: bool) -> list[np.ndarray]:
    """Flux at 10 pc, before extinction, of each group: (n_stars, n_wave) [W m⁻² nm⁻¹].

    All atmospheres of a block in one call, which is what they are quick at.
    """
    sources: list[Light] = []
    for group in groups:
        s = group.stars
        sources.append(Light(s.teff, s.logg, s.m_h, s.alpha_m, s.c_m, s.radius))
        if group.companion is not None:
            sources.append(group.companion)
    joined = Light(
        **{f.name: np.concatenate([getattr(x, f.name) for x in sources]) for f in fields(Light)}
    )
    flux = _surface(joined, alpha_signal) * (joined.radius / _TEN_PARSEC)[:, np.newaxis] ** 2
    out, start = [], 0
    for group in groups:
        n = len(group.stars)
        total = flux[start : start + n].astype(np.float64)
        start += n
        if group.companion is not None:
            total = total + flux[start : start + n]
            start += n
        out.append(total if group.dress is None else group.dress(WAVELENGTH, total))
    return out


def _photometry(coefficients: np.ndarray) -> dict[str, np.ndarray]:
    """Noiseless G, BP and RP magnitudes (Vega) by synthetic photometry of the coefficients."""
    table, grid = filter_table("GaiaDr3Vega"), XPGrid()
    flux = sum(
        coefficients[:, grid.band(b)] @ table.design[b] * table.weights[b] for b in columns.BANDS
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        magnitudes = -2.5 * np.log10(flux) + table.zero_points
    return dict(zip(table.passbands, magnitudes.T, strict=True))


def _label_errors(g_mag: np.ndarray, teff: np.ndarray) -> dict[str, np.ndarray]:
    """Standard errors of labels, as spectroscopic surveys state them: worse when faint or hot."""
    faint = np.sqrt(1 + 10 ** (0.5 * (g_mag - 16.0)))
    hot = np.clip(teff / 5500.0, 1.0, 4.0)
    return {
        columns.TEFF: 0.009 * teff * faint,
        columns.LOGG: 0.07 * faint * hot,
        columns.M_H: 0.05 * faint * hot,
        columns.ALPHA_M: 0.03 * faint * hot,
        columns.C_M: 0.05 * faint * hot,
    }


def _block(config: SurveyConfig, seed: int, index: int) -> SpectrumSet:
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(index,)))
    shares = config.class_shares()
    names = sorted(shares)
    chosen = rng.choice(len(names), size=BLOCK, p=np.array([shares[x] for x in names]))
    groups, order = [], []
    for i, name in enumerate(names):
        where = np.flatnonzero(chosen == i)
        if where.size:
            groups.append(draw_class(name, where.size, config.g_bright, config.g_faint, rng))
            order.append(where)
    back = np.argsort(np.concatenate(order), kind="stable")
    flux = np.concatenate(_light(groups, config.alpha_signal))[back]
    class_name = np.concatenate([np.full(len(g.stars), g.name, dtype="U16") for g in groups])[back]
    stellar = np.concatenate([np.full(len(g.stars), g.stellar) for g in groups])[back]
    stars = groups[0].stars.concatenate([g.stars for g in groups])[back]

    # The sampling meant a magnitude; the spectrum says how far away that is.
    dimmed = flux * 10 ** (-0.4 * stars.a_v[:, np.newaxis] * _extinction())
    at_ten_parsec = dimmed @ projection_matrix(WAVELENGTH)
    scale = 10 ** (0.4 * (_photometry(at_ten_parsec)["G"] - stars.g_mag))
    truth = at_ten_parsec * scale[:, np.newaxis]
    distance = 0.01 / np.sqrt(scale)  # [kpc]
    magnitudes = _photometry(truth)

    ra, dec = galaxy.equatorial(stars.lon, stars.lat)
    n_transits = transits(ra, dec, rng)
    seen = observe(
        truth,
        n_transits,
        rng,
        correlations=config.correlations,
        error_underestimate=config.error_underestimate,
        missing_rate={"bp": config.missing_bp, "rp": config.missing_rp},
    )
    labels = _labels(stars, class_name, stellar, magnitudes, distance, n_transits, ra, dec, rng)
    grid = XPGrid()
    mask = np.zeros(truth.shape, dtype=bool)
    for band in columns.BANDS:
        mask[:, grid.band(band)] = seen.missing[band][:, np.newaxis]
        labels[columns.standard_deviation(band)] = seen.standard_deviation[band]
        labels[columns.n_relevant_bases(band)] = seen.n_relevant_bases[band].astype(np.int16)
    correlations = seen.correlations
    if correlations is not None:
        for band in columns.BANDS:
            correlations[seen.missing[band], grid.correlation_slice(band)] = np.nan
    number = index * BLOCK + np.arange(BLOCK)
    return SpectrumSet(
        source_id=galaxy.source_ids(ra, dec, number),
        values=seen.coefficients,
        errors=seen.errors,
        grid=grid,
        mask=mask,
        correlations=correlations,
    ).with_labels(**labels)


def _labels(
    stars, class_name, stellar, magnitudes, distance, n_transits, ra, dec, rng
) -> dict[str, Any]:
    n = len(stars)
    normal = rng.standard_normal
    g = magnitudes["G"]
    # Photometric noise: photons, and a floor of calibration (Riello et al. 2021, fig. 14).
    photometric = {
        "G": np.hypot(0.0005, 0.0006 * 10 ** (0.2 * (g - 16))),
        "BP": np.hypot(0.002, 0.004 * 10 ** (0.3 * (magnitudes["BP"] - 16))),
        "RP": np.hypot(0.002, 0.003 * 10 ** (0.3 * (magnitudes["RP"] - 16))),
    }
    seen = {band: m + photometric[band] * normal(n) for band, m in magnitudes.items()}
    parallax_error = galaxy.parallax_error(g)
    labels: dict[str, Any] = {
        columns.G_FLUX: 10 ** (0.4 * (ZERO_POINTS["G"] - seen["G"])),
        columns.G_MAG: seen["G"],
        columns.BP_MAG: seen["BP"],
        columns.RP_MAG: seen["RP"],
        columns.BP_RP: seen["BP"] - seen["RP"],
        columns.PARALLAX: 1 / distance + parallax_error * normal(n),
        columns.PARALLAX_ERROR: parallax_error,
        columns.RA: ra,
        columns.DEC: dec,
        columns.GLON: stars.lon,
        columns.GLAT: stars.lat,
    }
    truth = {
        columns.TEFF: stars.teff,
        columns.LOGG: stars.logg,
        columns.M_H: stars.m_h,
        columns.ALPHA_M: stars.alpha_m,
        columns.C_M: stars.c_m,
    }
    for name, error in _label_errors(g, stars.teff).items():
        meaningless = ~stellar
        labels[name] = np.where(meaningless, np.nan, truth[name] + error * normal(n))
        labels[f"{name}_error"] = np.where(meaningless, np.nan, error)
    for name, value in truth.items():
        labels[columns.truth(name)] = np.where(stellar, value, np.nan)
    labels[columns.truth("age")] = stars.age
    labels[columns.truth("distance")] = distance
    labels[columns.truth(columns.A_V)] = stars.a_v
    labels[columns.CLASS_NAME] = class_name
    labels[columns.COMPONENT] = np.array(galaxy.COMPONENTS)[stars.component]
    return labels


def iterate_survey(n: int, *, seed: int, config: SurveyConfig) -> Iterator[SpectrumSet]:
    """The survey piece by piece, in bounded memory.

    Parameters
    ----------
    n : int
        Number of stars in all.
    seed : int
    config : SurveyConfig

    Yields
    ------
    SpectrumSet
        At most :data:`BLOCK` stars each.
    """
    if n < 1:
        raise StarkinError(f"A survey needs at least one star, got n = {n}.")
    for index, start in enumerate(range(0, n, BLOCK)):
        block = _block(config, seed, index)
        yield block[: n - start] if n - start < BLOCK else block


def simulate_survey(
    n: int,
    *,
    seed: int,
    config: SurveyConfig | None = None,
    single_population: bool = False,
    progress: Callable[[int], None] | None = None,
    **settings: Any,
) -> SpectrumSet:
    """Simulate Gaia XP spectra of a population of stars with known truth.

    Parameters
    ----------
    n : int
        Number of stars.
    seed : int
        The same seed and settings give the same survey, bit for bit, on one machine.
    config : SurveyConfig, optional
        Or its fields as keywords: ``simulate_survey(1000, seed=1, preset="cemp")``.
    single_population : bool
        Short for ``preset="single"``.
    progress : callable, optional
        Told the number of stars done, after each block.

    Returns
    -------
    SpectrumSet
        Coefficients with errors [electron/s] (and correlations), with the columns of the
        archive, labels with errors, their truth as ``true_…`` and ``class_name``.

    Raises
    ------
    StarkinError
        If a setting is out of range.
    """
    if single_population:
        settings["preset"] = "single"
    if config is None:
        known = {f.name for f in fields(SurveyConfig)}
        for name in settings:
            if name not in known:
                raise StarkinError(
                    f"There is no survey setting {name!r}; they are {', '.join(sorted(known))}."
                )
        config = SurveyConfig(**settings)
    elif settings:
        raise StarkinError("Give either config or single settings, not both.")
    parts, done = [], 0
    for part in iterate_survey(n, seed=seed, config=config):
        parts.append(part)
        done += len(part)
        if progress is not None:
            progress(done)
    survey = SpectrumSet.concatenate(parts)
    settings_used = {f.name: getattr(config, f.name) for f in fields(config)}
    return survey.replace(meta={"simulated": {"n": n, "seed": seed, **settings_used}})
