"""The Cannon (Ness et al. 2015; with the penalty of Casey et al. 2016)."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any, ClassVar

from ...nets.cannon import CannonNetwork, fit_quadratic
from ...nets.label_network import LabelNetwork
from ...spectra import Grid
from ...spectra.strict import require_range
from ..base import Progress
from .label_model import LabelModel, TrainingSet, held_out
from .label_settings import LabelSettings

__all__ = ["Cannon", "CannonConfig"]


@dataclass(frozen=True)
class CannonConfig(LabelSettings):
    """Settings of :class:`Cannon`; those of every label-dependent model, and two more.

    Parameters
    ----------
    penalty : float
        Weight Λ of the L1 norm of the coefficients (the constant term is free); 0 for none.
        In standardised units of spectra and labels.
    iterations : int
        Alternations of coefficients and scatter, at most.
    """

    penalty: float = 0.0
    iterations: int = 10

    def __post_init__(self) -> None:
        super().__post_init__()
        require_range(self, "penalty", 0.0, 1e12)
        require_range(self, "iterations", 1, 1000)


class Cannon(LabelModel):
    """Every coefficient, or flux, a quadratic function of the labels with its own scatter."""

    kind: ClassVar[str] = "cannon"
    config_class: ClassVar[type] = CannonConfig

    def make_network(self, grid: Grid, seed: int) -> LabelNetwork:
        return CannonNetwork(grid.n_pixels, len(self.config.labels))

    def learn(
        self,
        network: LabelNetwork,
        train: TrainingSet,
        validation: TrainingSet,
        *,
        seed: int,
        checkpoint: str | os.PathLike[str] | None,
        checkpoint_seconds: float,
        progress: Progress | None,
    ) -> dict[str, Any]:
        """In closed form: there is nothing to resume, so no checkpoint is written."""
        assert isinstance(network, CannonNetwork)
        x, sigma, used = (t.to(self.device) for t in train.data.tensors)
        coefficients, intrinsic = fit_quadratic(
            train.labels.to(self.device),
            x,
            sigma.double() ** 2,
            used,
            penalty=self.config.penalty,
            iterations=self.config.iterations,
        )
        network.coefficients.copy_(coefficients)
        network.variance.copy_(intrinsic)
        if progress is not None:
            progress(1, 1, f"{network.coefficients.numel():,} coefficients")
        return {"metrics": held_out(network, validation, self.device)}
