"""Settings of the chemical model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from ..nets.chemical import Degrees
from ..spectra import StarkinError, columns
from ..spectra.strict import require_range, settings_from, settings_to

__all__ = ["ChemicalConfig", "Stage"]

#: What pipelines of today reach; larger errors are the user's to tell.
_USUAL_ERRORS = {columns.TEFF: 100.0, columns.LOGG: 0.2, columns.M_H: 0.1}


@dataclass(frozen=True)
class Stage:
    """Part of a training run: how rich the decoder is, and how many sweeps it gets."""

    degrees: Degrees
    sweeps: int


@dataclass(frozen=True)
class ChemicalConfig:
    """Settings of a :class:`~starkin.models.chemical.ChemicalModel`.

    Parameters
    ----------
    conditions : tuple of str
        Label columns that are not chemistry: the latents are made free of them.
    condition_errors : tuple of float
        Standard error of each condition in its column's unit, for stars without a column
        ``<condition>_error``. In ``encode`` the conditions are estimated together with the
        latents within these errors; 0 takes a condition as exact. Left empty: 100 K, 0.2 dex in
        log g and 0.1 dex in [M/H], which a spectrum improves upon by itself; 0 for others.
    n_latent : int
        Latent dimensions; more than there are elements to be seen does no harm.
    n_components : int
        Principal components that stand for the pixels.
    mean_degree, loading_degree, curvature_degree : int
        Total degree in the conditions of the mean spectrum, of the response to a latent and of
        the response's curvature; a curvature of −1 leaves the decoder linear in the latents.
    sweeps : int
        Alternations of latents and decoder in each of the three stages of training.
    continuum_degree : int
        Degree of the error of the continuum to which a star's latents are blind; −1 trusts
        the normalisation.
    rotation_degree : int
        Total degree in the conditions of the rotation that aligns the latents.
    ridge : float
        Penalty on the decoder's coefficients, per star.
    reference_error : float
        Error of the normalised flux in which the components are measured (0.01 is S/N 100).
    leakage_inflation : float
        Factor on the covariance of the leakage that the fit itself can see.
    basis_stars : int
        At most so many stars decide the principal components.
    validation_fraction : float
        Part of the training set held out, to be judged by, when no validation set is given.
    """

    conditions: tuple[str, ...] = (columns.TEFF, columns.LOGG)
    condition_errors: tuple[float, ...] = ()
    n_latent: int = 20
    n_components: int = 80
    mean_degree: int = 5
    loading_degree: int = 3
    curvature_degree: int = 1
    sweeps: int = 8
    continuum_degree: int = 1
    rotation_degree: int = 2
    ridge: float = 1e-4
    reference_error: float = 0.01
    leakage_inflation: float = 1.0
    basis_stars: int = 12_000
    validation_fraction: float = 0.02

    def __post_init__(self) -> None:
        for name in ("conditions", "condition_errors"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        if not self.conditions or len(set(self.conditions)) != len(self.conditions):
            raise StarkinError(
                "ChemicalConfig.conditions must name one or more different label columns, "
                f"got {self.conditions!r}."
            )
        if not self.condition_errors:
            usual = tuple(_USUAL_ERRORS.get(name, 0.0) for name in self.conditions)
            object.__setattr__(self, "condition_errors", usual)
        if len(self.condition_errors) != len(self.conditions):
            raise StarkinError(
                f"ChemicalConfig.condition_errors needs {len(self.conditions)} numbers, one per "
                f"condition, got {self.condition_errors!r}."
            )
        if not all(error >= 0 for error in self.condition_errors):
            raise StarkinError(
                "ChemicalConfig.condition_errors must not be negative, "
                f"got {self.condition_errors!r}."
            )
        require_range(self, "n_latent", 1, 256)
        require_range(self, "n_components", 1, 1024)
        require_range(self, "mean_degree", 0, 12)
        require_range(self, "loading_degree", 0, 12)
        require_range(self, "curvature_degree", -1, 12)
        require_range(self, "sweeps", 1, 1000)
        require_range(self, "continuum_degree", -1, 20)
        require_range(self, "rotation_degree", 0, 6)
        require_range(self, "ridge", 1e-12, 1e6)
        require_range(self, "reference_error", 1e-6, 1.0)
        require_range(self, "leakage_inflation", 0.0, 1e4)
        require_range(self, "basis_stars", 10, 10_000_000)
        require_range(self, "validation_fraction", 0.001, 0.9)
        if self.n_latent > self.n_components:
            raise StarkinError(
                f"ChemicalConfig.n_latent must not exceed n_components = {self.n_components}, "
                f"got {self.n_latent}."
            )

    # --- as JSON ------------------------------------------------------------
    def to_dict(self) -> dict[str, Any]:
        """JSON types only; :meth:`from_dict` reads it back."""
        return settings_to(self)

    @classmethod
    def from_dict(cls, settings: Mapping[str, Any]) -> Self:
        """Settings from JSON or a configuration file.

        Raises
        ------
        StarkinError
            If a key is unknown or a value out of range.
        """
        return settings_from(cls, settings, "the chemical model")

    # --- what follows from them ----------------------------------------------
    @property
    def degrees(self) -> Degrees:
        """Of the decoder at the end of training."""
        return Degrees(self.mean_degree, self.loading_degree, self.curvature_degree)

    @property
    def stages(self) -> tuple[Stage, ...]:
        """From a stiff linear decoder to the final one: rich ones from the start go astray."""
        end = self.degrees
        plain = Degrees(min(4, end.mean), min(2, end.loadings), -1)
        bent = Degrees(min(4, end.mean), end.loadings, min(0, end.curvature))
        return tuple(Stage(degrees, self.sweeps) for degrees in (plain, bent, end))
