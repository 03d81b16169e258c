"""Settings that every label-dependent model has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from ...spectra import StarkinError, columns
from ...spectra.strict import require_range, settings_from, settings_to

__all__ = ["KEPT_LABELS", "LabelSettings"]

#: Training stars whose labels a model keeps, to start fits from and to sample by.
KEPT_LABELS = 2000


@dataclass(frozen=True)
class LabelSettings:
    """Settings that every label-dependent model has.

    Parameters
    ----------
    labels : tuple of str
        Label columns, in the order of the model's latents.
    prior_width : float
        Width of the normal prior of each label about the training mean, in standard deviations
        of the training stars. It matters where a spectrum says little; very large gives maximum
        likelihood.
    n_starts : int
        Training stars whose labels are tried as the start of a fit.
    correlated : bool
        Use the correlations of XP coefficients where a set has them.
    validation_fraction : float
        Part of the training set held out when no validation set is given.
    """

    labels: tuple[str, ...] = (columns.TEFF, columns.LOGG, columns.M_H)
    prior_width: float = 3.0
    n_starts: int = 128
    correlated: bool = True
    validation_fraction: float = 0.1

    def __post_init__(self) -> None:
        if not self.labels or len(set(self.labels)) < len(self.labels):
            raise StarkinError(
                f"{type(self).__name__}.labels must name different label columns, "
                f"got {self.labels!r}."
            )
        require_range(self, "prior_width", 1e-3, 1e9)
        require_range(self, "n_starts", 1, KEPT_LABELS)
        require_range(self, "validation_fraction", 0.001, 0.9)

    def to_dict(self) -> dict[str, Any]:
        """JSON types only; :meth:`from_dict` reads it back."""
        return settings_to(self)

    @classmethod
    def from_dict(cls, settings: Mapping[str, Any]) -> Self:
        """Settings from JSON or a configuration file; refuses unknown keys."""
        return settings_from(cls, settings, cls.__name__)
