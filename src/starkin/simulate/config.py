"""Settings of a simulated survey, and the presets it comes with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..spectra import StarkinError
from .instrument import MISSING_BP_RATE
from .rare import CLASSES

__all__ = ["PRESETS", "SurveyConfig"]

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
    track_scatter : float
        Standard deviation of ln Teff of ordinary stars about the tracks, at constant
        luminosity: what helium, convection, rotation and spots do and tracks leave out.
        Without it, gravity, temperature and metallicity tell age and α of a giant.
    g_bright, g_faint : float
        Limits of G; DR3 publishes XP spectra to 17.65.
    correlations : bool
        Whether the spectra carry the correlations of their coefficients.
    error_underestimate : float
        True over stated standard deviation of the coefficients.
    missing_bp, missing_rp : float
        Shares of stars without a band; DR3 has one in 219 million without BP.
    noise : bool
        False gives the noiseless coefficients of the same stars, with the errors,
        correlations and labels that they have with noise: the truth to judge models by.
    """

    preset: str = "survey"
    fractions: Mapping[str, float] | None = None
    alpha_signal: bool = True
    track_scatter: float = 0.0
    g_bright: float = 6.0
    g_faint: float = 17.65
    correlations: bool = False
    error_underestimate: float = 1.0
    missing_bp: float = MISSING_BP_RATE
    missing_rp: float = 0.0
    noise: bool = True

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
        if not 0 <= self.track_scatter <= 0.1:
            raise StarkinError(
                f"SurveyConfig.track_scatter must lie in 0..0.1, got {self.track_scatter}."
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
