"""Settings of the linear models: PCA, polynomial removal and PCA, RSCA."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from ...spectra import StarkinError, columns
from ...spectra.strict import require_range, settings_from, settings_to

__all__ = ["PCAConfig", "PolynomialPCAConfig", "RSCAConfig", "require_names"]


def require_names(settings: Any, name: str) -> None:
    """A tuple of different column names."""
    names = getattr(settings, name)
    good = isinstance(names, tuple) and all(isinstance(n, str) and n for n in names)
    if not good or len(set(names)) < len(names):
        raise StarkinError(
            f"{type(settings).__name__}.{name} must be different column names, got {names!r}."
        )


@dataclass(frozen=True)
class PCAConfig:
    """Settings of a :class:`~starkin.models.rivals.pca.PCA`.

    Parameters
    ----------
    n_latent : int
        Components kept.
    weighted : bool
        True: probabilistic PCA, every value weighted by its error, fitted by EM. False:
        plain PCA, every value weighing the same; masked ones are still missing, not zero.
    whiten : bool
        True: latents have unit variance over the stars. False: they are in the unit of
        the spectra, as plain PCA's scores are.
    iterations : int
        Of the EM, at most.
    tolerance : float
        The EM stops when the log-likelihood of one value gains less [nat].
    validation_fraction : float
        Part of the training set held out when no validation set is given.
    """

    _what: ClassVar[str] = "PCA"

    n_latent: int = 30
    weighted: bool = True
    whiten: bool = True
    iterations: int = 15
    tolerance: float = 1e-6
    validation_fraction: float = 0.02

    def __post_init__(self) -> None:
        require_range(self, "n_latent", 1, 1024)
        require_range(self, "iterations", 1, 10_000)
        require_range(self, "tolerance", 0.0, 1.0)
        require_range(self, "validation_fraction", 0.001, 0.9)
        for name in ("weighted", "whiten"):
            if not isinstance(getattr(self, name), bool):
                raise StarkinError(
                    f"{type(self).__name__}.{name} must be true or false, "
                    f"got {getattr(self, name)!r}."
                )

    def to_dict(self) -> dict[str, Any]:
        """JSON types only; :meth:`from_dict` reads it back."""
        return settings_to(self)

    @classmethod
    def from_dict(cls, settings: Mapping[str, Any]) -> Self:
        """Settings from JSON or a configuration file; refuses unknown keys."""
        return settings_from(cls, settings, cls._what)


@dataclass(frozen=True)
class PolynomialPCAConfig(PCAConfig):
    """Settings of a :class:`~starkin.models.rivals.pca.PolynomialPCA`.

    Parameters
    ----------
    conditions : tuple of str
        Label columns whose effect is removed.
    degree : int
        Of the polynomial in all of them together, fitted to every pixel.
    """

    _what: ClassVar[str] = "polynomial PCA"

    conditions: tuple[str, ...] = (columns.TEFF, columns.LOGG)
    degree: int = 2

    def __post_init__(self) -> None:
        super().__post_init__()
        require_names(self, "conditions")
        require_range(self, "degree", 0, 8)
        if self.degree and not self.conditions:
            raise StarkinError(
                f"{type(self).__name__}.degree must be 0 where there are no conditions."
            )


@dataclass(frozen=True)
class RSCAConfig(PolynomialPCAConfig):
    """Settings of an :class:`~starkin.models.rivals.rsca.RSCA`.

    ``degree = 0`` with ``conditions = ()`` is RSCA alone, on spectra as they are.

    Parameters
    ----------
    groups : str
        Label column that stars of one known composition share; negative or missing
        for a star of none.
    n_groups : int
        At most so many groups are used, picked by the seed; 0 for all there are.
    robust : bool
        Scatter within groups from the median absolute deviation, as published, rather
        than from the mean square.
    """

    _what: ClassVar[str] = "RSCA"

    groups: str = columns.COMPOSITION_ID
    n_groups: int = 100
    robust: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        require_range(self, "n_groups", 0, 10_000_000)
        if not isinstance(self.groups, str) or not self.groups:
            raise StarkinError(f"RSCAConfig.groups must name a label column, got {self.groups!r}.")
        if not isinstance(self.robust, bool):
            raise StarkinError(f"RSCAConfig.robust must be true or false, got {self.robust!r}.")
