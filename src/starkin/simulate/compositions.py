"""Which compositions there are: independent abundances, or the Galaxy's.

``independent``: every element on its own, [X/H] = mean + scatter × a normal deviate cut at three
standard deviations. Nothing can be learnt about one element from another: the hardest space to
compress, and the setting of the published study (de Mijolla et al. 2021).

``galactic``: iron first, then two sequences in [α/Fe] (Fuhrmann 1998; Hayden et al. 2015, ApJ
808, 132), then each element from [Fe/H] and [α/Fe] with a small scatter of its own (0.02-0.05
dex: Ting & Weinberg 2022, ApJ 927, 209), more for C and N (mixing) and the s-process elements.
Slopes are rounded from the trends of APOGEE DR16 giants (Jönsson et al. 2020, AJ 160, 120).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..spectra import StarkinError
from ..spectra.strict import require_one_of, require_range

__all__ = ["COMPOSITIONS", "CompositionConfig", "draw_compositions", "draw_patterns"]

#: Kinds of compositions.
COMPOSITIONS = ("independent", "galactic")

# [X/Fe] = a + b [Fe/H] + c [α/Fe], and the scatter of the element itself [dex].
_TRENDS: dict[str, tuple[float, float, float, float]] = {
    "C": (-0.10, 0.05, 0.5, 0.06),
    "N": (0.18, 0.15, 0.0, 0.08),
    "O": (0.00, 0.00, 1.0, 0.025),
    "Na": (0.00, 0.12, 0.2, 0.05),
    "Mg": (0.00, 0.00, 1.1, 0.02),
    "Al": (0.00, 0.00, 0.8, 0.04),
    "Si": (0.00, 0.00, 0.8, 0.02),
    "P": (0.00, -0.10, 0.6, 0.08),
    "S": (0.00, -0.05, 0.8, 0.04),
    "K": (0.00, -0.05, 0.6, 0.04),
    "Ca": (0.00, 0.00, 0.6, 0.02),
    "Ti": (0.00, 0.00, 0.7, 0.03),
    "V": (0.00, 0.08, 0.3, 0.05),
    "Cr": (0.00, 0.03, -0.1, 0.03),
    "Mn": (0.00, 0.20, -0.4, 0.025),
    "Fe": (0.00, 0.00, 0.0, 0.0),
    "Co": (0.00, 0.05, 0.4, 0.03),
    "Ni": (0.00, 0.05, 0.2, 0.015),
    "Cu": (0.00, 0.25, 0.2, 0.05),
    "Ce": (0.00, -0.15, -0.3, 0.10),
    "Nd": (0.05, -0.15, 0.2, 0.10),
}
_HIGH_ALPHA_SHARE = 0.25
_CUT = 3.0  # standard deviations


@dataclass(frozen=True)
class CompositionConfig:
    """How compositions are drawn.

    Parameters
    ----------
    kind : {"independent", "galactic"}
    mean : float
        Mean [X/H] of independent abundances; shift of [Fe/H] of galactic ones [dex].
    scatter : float
        Standard deviation of each independent abundance [dex].
    element_scatter : float
        Factor on the scatter of the elements about the Galaxy's trends.
    m_h_scatter : float
        Standard deviation of [M/H] about the mean where stars share a pattern [X/Fe] but not their
        metallicity, if abundances are independent [dex].
    """

    kind: str = "independent"
    mean: float = 0.0
    scatter: float = 0.1
    element_scatter: float = 1.0
    m_h_scatter: float = 0.2

    def __post_init__(self) -> None:
        require_one_of(self, "kind", COMPOSITIONS)
        require_range(self, "mean", -2.0, 0.5)
        require_range(self, "scatter", 0.0, 0.5)
        require_range(self, "element_scatter", 0.0, 5.0)
        require_range(self, "m_h_scatter", 0.0, 0.5)


def draw_compositions(
    n: int, elements: Sequence[str], config: CompositionConfig, rng: np.random.Generator
) -> np.ndarray:
    """[X/H] of ``n`` compositions [dex], shape ``(n, n_elements)``.

    Raises
    ------
    StarkinError
        If an element has no trend in the Galaxy.
    """
    normal = np.clip(rng.standard_normal((n, len(elements))), -_CUT, _CUT)
    if config.kind == "independent":
        return config.mean + config.scatter * normal
    unknown = [symbol for symbol in elements if symbol not in _TRENDS]
    if unknown:
        raise StarkinError(f"There is no Galactic trend of {unknown[0]}; draw it independently.")
    fe_h, alpha_fe = _sequences(n, rng)
    trend = np.array([_TRENDS[symbol] for symbol in elements])
    x_fe = trend[:, 0] + np.outer(fe_h, trend[:, 1]) + np.outer(alpha_fe, trend[:, 2])
    x_fe += config.element_scatter * trend[:, 3] * normal
    return config.mean + fe_h[:, None] + x_fe


def draw_patterns(
    n_patterns: int,
    n_stars: int,
    elements: Sequence[str],
    config: CompositionConfig,
    rngs: tuple[np.random.Generator, np.random.Generator],
) -> tuple[np.ndarray, np.ndarray]:
    """Patterns [X/Fe], shape ``(n_patterns, n_elements)``, and [Fe/H] of stars, ``(n_stars,)``.

    Patterns are those of compositions drawn as ever, their iron taken out; metallicities are
    drawn apart, for every star its own.

    Parameters
    ----------
    n_patterns, n_stars : int
        How many of each.
    elements : sequence of str
        Iron among them.
    config : CompositionConfig
        How compositions are drawn.
    rngs : tuple of Generator
        Of the patterns and of the metallicities.
    """
    iron = list(elements).index("Fe")
    pattern = draw_compositions(n_patterns, elements, config, rngs[0])
    if config.kind == "independent":
        # Elements are independent of each other in [X/Fe] here, as they are in [X/H] there.
        pattern -= config.mean
        pattern[:, iron] = 0.0
        deviate = np.clip(rngs[1].standard_normal(n_stars), -_CUT, _CUT)
        return pattern, config.mean + config.m_h_scatter * deviate
    pattern -= pattern[:, [iron]]
    return pattern, draw_compositions(n_stars, elements, config, rngs[1])[:, iron]


def _sequences(n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """[Fe/H] and [α/Fe] of the low-α and the high-α sequence."""
    # Streams of their own: the first compositions do not depend on how many there are.
    shares, deviates = rng.spawn(2)
    high = shares.random(n) < _HIGH_ALPHA_SHARE
    deviate = np.clip(deviates.standard_normal((n, 2)), -_CUT, _CUT).T
    fe_h = np.where(high, -0.40 + 0.22 * deviate[0], -0.02 + 0.18 * deviate[0])
    low_alpha = 0.02 - 0.10 * fe_h
    high_alpha = np.clip(0.16 - 0.25 * fe_h, 0.05, 0.32)
    return fe_h, np.where(high, high_alpha, low_alpha) + 0.015 * deviate[1]
