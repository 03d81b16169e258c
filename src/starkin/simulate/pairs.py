"""Chemically identical stars at high resolution, with known truth.

Stars of one composition share it to the last digit and differ in Teff and log g, which are drawn
along the giant branch or the main sequence with a spread: what tells them apart is not chemical.
Twins that share a pattern have the same [X/Fe] and metallicities of their own: to find them, a
model must have taken [M/H] out as well.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from astropy import units as u

from ..spectra import SpectrumSet, StarkinError, columns
from ..spectra.strict import require_one_of, settings_from
from .compositions import CompositionConfig, draw_compositions, draw_patterns
from .synthesiser import WORLDS, SpectralModel, Synthesiser

__all__ = ["NOMINAL_ERROR", "SETTINGS", "PairsConfig", "simulate_clusters", "simulate_pairs"]

#: Kinds of stars.
SETTINGS = ("giants", "dwarfs")
#: What twins have in common.
SHARED = ("composition", "pattern")
#: Error that noiseless spectra carry: the synthesiser's own accuracy.
NOMINAL_ERROR = 1e-4

# Teff range [K]; log g at both ends; spread; limits of log g.
_STARS = {
    # Red giant branch of PARSEC isochrones of 2-10 Gyr, solar metallicity, without the clump.
    "giants": ((4000.0, 5000.0), (0.8, 3.0), 0.3, (0.5, 3.5)),
    # Main sequence, with the spread that age and metallicity bring.
    "dwarfs": ((4800.0, 6400.0), (4.62, 4.20), 0.1, (3.9, 4.8)),
}


@dataclass(frozen=True)
class PairsConfig:
    """Settings of simulated pairs.

    Parameters
    ----------
    setting : {"giants", "dwarfs"}
        Giants, to be freed of Teff and log g as in the published study; or dwarfs, of which
        [M/H] is meant to be disentangled as well.
    world : str
        One of :data:`~starkin.simulate.synthesiser.WORLDS`.
    compositions : CompositionConfig
        How compositions are drawn.
    shared : {"composition", "pattern"}
        What twins have in common: every [X/H]; or every [X/Fe] but not [M/H], for models that are
        told the metallicity and must find twins without it.
    """

    setting: str = "giants"
    world: str = "standard"
    compositions: CompositionConfig = field(default_factory=CompositionConfig)
    shared: str = "composition"

    def __post_init__(self) -> None:
        require_one_of(self, "setting", SETTINGS)
        require_one_of(self, "world", tuple(WORLDS))
        require_one_of(self, "shared", SHARED)

    @classmethod
    def from_dict(cls, given: dict[str, Any]) -> PairsConfig:
        """Settings from JSON or TOML; every key must be known."""
        parts = dict(given)
        compositions = parts.pop("compositions", {})
        if isinstance(compositions, str):
            compositions = {"kind": compositions}
        return settings_from(
            cls,
            parts,
            "simulated pairs",
            compositions=settings_from(CompositionConfig, compositions, "compositions"),
        )


def simulate_pairs(
    n_pairs: int,
    seed: int,
    *,
    setting: str = "giants",
    compositions: str | CompositionConfig = "independent",
    shared: str = "composition",
    world: str = "standard",
    model: SpectralModel | None = None,
    threads: int | None = None,
    progress: Callable[[int, int, str], None] | None = None,
) -> SpectrumSet:
    """Pairs of stars that share a composition, noiseless and continuum-normalised.

    Rows 2i and 2i + 1 are twins. The stars depend on ``seed``, the settings and the elements of
    the model; a longer set begins with the compositions of a shorter one.

    Parameters
    ----------
    n_pairs : int
        Twice as many stars.
    seed : int
        The same seed and settings give the same stars.
    setting : {"giants", "dwarfs"}
        Kind of stars.
    compositions : str or CompositionConfig
        ``"independent"``, ``"galactic"``, or settings.
    shared : {"composition", "pattern"}
        What twins have in common: all [X/H], or [X/Fe] at metallicities of their own.
    world : str
        One of :data:`~starkin.simulate.synthesiser.WORLDS`.
    model : SpectralModel, optional
        In place of the engine: a :class:`~.synthesiser.Synthesiser` with other pixels or lines,
        or a grid or emulator of your own. ``world`` does not matter then.
    threads : int, optional
        Chunks of stars computed at once; by default as many as torch may use.
    progress : callable, optional
        Told the stars done, the stars in all and a short line.

    Returns
    -------
    SpectrumSet
        Labels: teff, logg, m_h, their truth, true_<x>_h of every element, composition_id.

    Raises
    ------
    StarkinError
        If a setting is out of range.
    """
    if n_pairs < 1:
        raise StarkinError(f"There must be at least one pair, got n_pairs = {n_pairs}.")
    config = _config(setting, compositions, world, shared)
    return _simulate(np.full(n_pairs, 2), seed, config, model, threads, progress)


def simulate_clusters(
    n_clusters: int,
    n_members: int,
    n_field: int,
    seed: int,
    *,
    setting: str = "giants",
    compositions: str | CompositionConfig = "galactic",
    world: str = "standard",
    model: SpectralModel | None = None,
    threads: int | None = None,
    progress: Callable[[int, int, str], None] | None = None,
) -> SpectrumSet:
    """Clusters of one composition each among field stars, noiseless.

    Parameters
    ----------
    n_clusters, n_members : int
        Clusters and stars in each.
    n_field : int
        Stars with a composition of their own; their composition_id is -1.
    seed, setting, compositions, world, model, threads, progress
        As in :func:`simulate_pairs`.

    Returns
    -------
    SpectrumSet
        Clusters first, then the field.
    """
    if n_clusters < 0 or n_members < 1 or n_field < 0 or n_clusters + n_field < 1:
        raise StarkinError(
            "simulate_clusters needs n_clusters >= 0, n_members >= 1, n_field >= 0 and one star, "
            f"got {n_clusters}, {n_members} and {n_field}."
        )
    members = np.concatenate([np.full(n_clusters, n_members), np.ones(n_field, dtype=int)])
    stars = _simulate(
        members, seed, _config(setting, compositions, world), model, threads, progress
    )
    composition = stars.label(columns.COMPOSITION_ID).astype(int)
    composition[composition >= n_clusters] = -1
    return stars.with_labels(**{columns.COMPOSITION_ID: composition})


def _config(
    setting: str,
    compositions: str | CompositionConfig,
    world: str,
    shared: str = "composition",
) -> PairsConfig:
    if isinstance(compositions, str):
        compositions = CompositionConfig(kind=compositions)
    return PairsConfig(setting, world, compositions, shared)


def draw_stars(n: int, setting: str, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Teff [K] and log g of stars along the giant branch or the main sequence."""
    (cool, hot), ends, spread, limits = _STARS[setting]
    draws = rng.random(n), rng.standard_normal(n)
    teff = cool + (hot - cool) * draws[0]
    logg = np.interp(teff, (cool, hot), ends) + spread * draws[1]
    return teff, np.clip(logg, *limits)


def _simulate(
    members: np.ndarray,
    seed: int,
    config: PairsConfig,
    model: SpectralModel | None,
    threads: int | None,
    progress: Callable[[int, int, str], None] | None,
) -> SpectrumSet:
    if model is None:
        model = Synthesiser(world=config.world, threads=threads)
    if seed < 0:
        raise StarkinError(f"seed must not be negative, got {seed}.")
    chemistry, stars, metals = np.random.default_rng(seed).spawn(3)
    elements = list(model.elements)
    composition = np.repeat(np.arange(members.size), members)
    if config.shared == "pattern":
        pattern, fe_h = draw_patterns(
            members.size, composition.size, elements, config.compositions, (chemistry, metals)
        )
        x_h = pattern[composition] + fe_h[:, None]
    else:
        x_h = draw_compositions(members.size, elements, config.compositions, chemistry)[composition]
    teff, logg = draw_stars(composition.size, config.setting, stars)
    flux = model(teff, logg, x_h, progress=progress)
    m_h = x_h[:, elements.index("Fe")]
    labels: dict[str, Any] = {
        columns.TEFF: teff,
        columns.LOGG: logg,
        columns.M_H: m_h,
        columns.truth(columns.TEFF): teff,
        columns.truth(columns.LOGG): logg,
        columns.truth(columns.M_H): m_h,
        columns.SNR: np.full(composition.size, 1 / NOMINAL_ERROR),
        columns.COMPOSITION_ID: composition,
    }
    for symbol, values in zip(elements, x_h.T, strict=True):
        labels[columns.truth(columns.abundance(symbol))] = values
    return SpectrumSet(
        source_id=np.arange(1, composition.size + 1),
        values=flux,
        errors=np.full(flux.shape, NOMINAL_ERROR, dtype=np.float32),
        grid=model.grid(),
        unit=u.dimensionless_unscaled,
        meta={"simulated": {"seed": seed, "elements": elements, **asdict(config)}},
    ).with_labels(**labels)
