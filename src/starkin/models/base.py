"""The contract that every model keeps."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from astropy.table import Table

from ..io.latents import Latents, TwinPrior
from ..spectra import Grid, SpectrumSet, StarkinError

__all__ = ["Decoded", "Progress", "SpectrumModel", "TwinPrior", "refuse_conditions"]

#: Called with (step done, steps in all, a short line of metrics).
Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class Decoded:
    """Spectra that a model draws from latents, in the unit of its normalised input.

    Attributes
    ----------
    values : ndarray, shape (n_stars, n_pixels)
        Expected coefficients (or fluxes).
    scatter : ndarray, shape (n_stars, n_pixels)
        Intrinsic scatter: one standard deviation that the model does not explain.
    """

    values: np.ndarray
    scatter: np.ndarray


class SpectrumModel(ABC):
    """Fit on spectra, encode them to latents, decode latents to spectra.

    A model may be told label columns beside the spectra (its :attr:`conditions`): it finds
    them in ``spectra.labels``, in :meth:`fit` and in :meth:`encode`, and :meth:`decode` takes
    them as an array. A star that lacks one is flagged ``LABEL_MISSING`` and ``NOT_ENCODED``.

    A model owns its preprocessing: it takes spectra as they were read and
    normalises, standardises and masks by itself with what it learnt from its
    training split, so that nobody can feed it wrongly scaled numbers.
    """

    kind: ClassVar[str]
    grid: Grid

    @abstractmethod
    def fit(
        self,
        train: SpectrumSet,
        validation: SpectrumSet | None = None,
        *,
        seed: int = 0,
        checkpoint: str | os.PathLike[str] | None = None,
        checkpoint_seconds: float = 30.0,
        progress: Progress | None = None,
    ) -> Self:
        """Train; with ``checkpoint`` (a file) resume from it bit for bit if it exists.

        ``checkpoint_seconds`` is the least time between two writes of it [s].
        """

    @abstractmethod
    def encode(self, spectra: SpectrumSet) -> Latents:
        """Posterior mean and covariance of each star's latent. Deterministic."""

    @property
    def conditions(self) -> tuple[str, ...]:
        """Label columns that the model is told, in the order of :meth:`decode`'s array."""
        return ()

    @abstractmethod
    def decode(self, latents: np.ndarray, conditions: np.ndarray | None = None) -> Decoded:
        """Spectra at latents of shape (n_stars, n_latent). Deterministic.

        ``conditions``, shape (n_stars, n_conditions), in the units of the label columns, is
        needed by a model that has some and refused by one that has none.
        """

    @abstractmethod
    def sample(self, n: int, *, seed: int = 0) -> SpectrumSet:
        """``n`` new spectra drawn from the model."""

    @abstractmethod
    def score(self, spectra: SpectrumSet) -> Table:
        """Columns ``source_id``, ``log_likelihood`` and ``outlier_score``, one row a star."""

    def twin_prior(self) -> TwinPrior | None:
        """What the likelihood ratio "same composition" needs; None for a model without it."""
        return None

    @abstractmethod
    def save(self, directory: str | os.PathLike[str]) -> None:
        """Write the model directory (see the architecture notes), whole or not at all."""

    @classmethod
    @abstractmethod
    def load(cls, directory: str | os.PathLike[str]) -> Self:
        """Read a model directory; refuse damaged, swapped or unknown content."""

    @property
    @abstractmethod
    def model_id(self) -> str:
        """Fingerprint of configuration and weights, sixteen hexadecimal digits."""

    @property
    @abstractmethod
    def card(self) -> dict[str, Any]:
        """Package version, data fingerprint, seed, split, metrics and training history."""


def refuse_conditions(model: SpectrumModel, conditions: np.ndarray | None) -> None:
    """For the ``decode`` of a model without conditions: whoever gives some is mistaken."""
    if conditions is not None:
        raise StarkinError(f"A model of kind {model.kind} takes no conditions; leave them out.")
