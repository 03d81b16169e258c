"""Settings of the chemical model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil, comb
from typing import Any, Self

from ..nets.chemical import Degrees
from ..spectra import StarkinError, columns
from ..spectra.strict import require_range, settings_from, settings_to

__all__ = ["ChemicalConfig", "Stage"]

#: What pipelines of today reach; larger errors are the user's to tell.
_USUAL_ERRORS = {columns.TEFF: 100.0, columns.LOGG: 0.2, columns.M_H: 0.1}
_STARS_PER_TERM = 10


@dataclass(frozen=True)
class Stage:
    """Part of a training run: how many latents there are, and how many sweeps they get."""

    n_latent: int
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
        Latent dimensions at most; directions that are hidden below the noise, or below the
        reference error, get none.
    n_components : int
        Principal components that stand for the pixels.
    mean_degree, loading_degree, curvature_degree : int
        Total degree in the conditions of the mean spectrum, of the response to a latent and of
        the response's curvature; a curvature of −1 leaves the decoder linear in the latents.
    n_bent : int
        How many directions of the latents, those in which spectra bend most, have terms of high
        order, as molecules ask for; 0 for none.
    joint_degree, bent_order : int
        Highest degree of these terms in conditions and latents together, and in the latents
        alone. Lowered where there are too few stars for them.
    growth : int
        In so many steps latents are added to the first, which are as many as are bent.
    sweeps : int
        Alternations of latents and decoder once all latents are there; half as many before.
    continuum_degree : int
        Degree, chip by chip, of the error of the continuum to which latents are blind; −1 trusts
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
    n_latent: int = 24
    n_components: int = 80
    mean_degree: int = 5
    loading_degree: int = 3
    curvature_degree: int = 1
    n_bent: int = 3
    joint_degree: int = 6
    bent_order: int = 4
    growth: int = 5
    sweeps: int = 7
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
        require_range(self, "n_bent", 0, 8)
        require_range(self, "joint_degree", 2, 12)
        require_range(self, "bent_order", 2, 8)
        require_range(self, "growth", 1, 100)
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
    def degrees(self, n_stars: int) -> Degrees:
        """Of the decoder; terms of high order are as many as the stars can bear."""
        bent = 0 if self.curvature_degree < 0 else min(self.n_bent, self.n_latent)
        joint = self.joint_degree
        variables = len(self.conditions) + bent
        while joint > 2 and comb(variables + joint, joint) > n_stars / _STARS_PER_TERM:
            joint -= 1
        return Degrees(
            self.mean_degree,
            self.loading_degree,
            self.curvature_degree,
            bent if joint > 2 else 0,
            joint,
            self.bent_order,
        )

    @property
    def stages(self) -> tuple[Stage, ...]:
        """Latents are added by and by: what bends is described before what is faint is sought.

        The first stage has as many as the decoder can bend. One more would be a function of the
        others: the curvature of the strong directions is larger than the weak ones.
        """
        first = min(self.n_latent, self.n_bent or ceil(self.n_latent / self.growth))
        step = (self.n_latent - first) / self.growth
        sizes = sorted({first + round(step * k) for k in range(self.growth + 1)})
        return tuple(
            Stage(size, self.sweeps if size == sizes[-1] else ceil(self.sweeps / 2))
            for size in sizes
        )
