"""The Payne (Ting et al. 2019): an MLP from labels to spectra, and labels by fitting."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch

from ...nets.label_fit import Prior
from ...nets.label_network import LabelNetwork
from ...nets.likelihood import gaussian_nll
from ...nets.losses import Fit
from ...nets.payne import PayneNetwork
from ...spectra import Grid, SpectrumSet, StarkinError, WavelengthGrid, columns
from ...spectra.strict import require_range, require_widths
from .. import training
from ..conditions import Conditions
from .label_model import TrainingSet, held_out
from .label_training import TrainedLabelModel, TrainedLabelSettings

__all__ = ["Payne", "PayneConfig"]

_C = 299_792.458  # speed of light [km/s]
#: Combinations of labels and velocity tried as the start of a fit.
_MOST_STARTS = 1024


@dataclass(frozen=True)
class PayneConfig(TrainedLabelSettings):
    """Settings of :class:`Payne`; those of every trained model of labels, and its own.

    Parameters
    ----------
    hidden : tuple of int
        Hidden widths of the MLP.
    radial_velocity : bool
        Fit a radial velocity [km/s] beside the labels. Needs fluxes on wavelengths, and
        training spectra at rest.
    max_velocity : float
        Width of the velocity's normal prior about 0, and how far starts reach [km/s].
    """

    hidden: tuple[int, ...] = (128, 128)
    radial_velocity: bool = False
    max_velocity: float = 200.0

    def __post_init__(self) -> None:
        super().__post_init__()
        require_widths(self, "hidden")
        require_range(self, "max_velocity", 0.1, 10_000.0)


class Payne(TrainedLabelModel):
    """One MLP for all pixels, trained on the likelihood of noisy, masked spectra."""

    kind: ClassVar[str] = "payne"
    config_class: ClassVar[type] = PayneConfig

    def make_network(self, grid: Grid, seed: int) -> LabelNetwork:
        settings: dict[str, Any] = {}
        if self.config.radial_velocity:
            if not isinstance(grid, WavelengthGrid):
                raise StarkinError(
                    "PayneConfig.radial_velocity needs fluxes on wavelengths; these spectra are "
                    f"{grid.describe()}."
                )
            standardiser = self.preprocessing.standardiser
            settings = {
                "wavelength": torch.from_numpy(np.array(grid.wavelength)),
                "unit_velocity": self.config.max_velocity,
                "centre": torch.from_numpy(np.array(standardiser.mean)),
                "scale": torch.from_numpy(np.array(standardiser.scale)),
            }
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return PayneNetwork(
                grid.n_pixels, len(self.config.labels), self.config.hidden, **settings
            )

    def start(self, network: PayneNetwork, data: training.Batch) -> None:
        x, sigma, used, labels = (t.to(self.device) for t in data)
        network.start_from_line(labels, x, sigma, used)

    def finish(self, network: PayneNetwork, validation: TrainingSet) -> dict[str, float]:
        network.variance.copy_(torch.exp(2 * network.log_scatter.detach()))
        return held_out(network, validation, self.device)

    def loss(self, network: PayneNetwork) -> training.Loss:
        """−log p(x | labels) of a batch (x, σ, used, labels) with the scatter of each pixel."""

        def loss(batch: training.Batch, generator: torch.Generator, done: float) -> Fit:
            x, sigma, used, labels = batch
            variance = sigma**2 + torch.exp(2 * network.log_scatter)
            return Fit(gaussian_nll(x, network(labels), variance, used).mean())

        return loss

    # --- the radial velocity: one parameter more -----------------------------------
    def parameters_of(self, labels: Conditions) -> Conditions:
        if not self.config.radial_velocity:
            return labels
        most = self.config.max_velocity
        return Conditions(
            (*labels.names, columns.RADIAL_VELOCITY),
            *(
                np.append(array, value)
                for array, value in (
                    (labels.centre, 0.0),
                    (labels.scale, most),
                    (labels.low, -most),
                    (labels.high, most),
                )
            ),
        )

    def prior(self, spectra: SpectrumSet) -> Prior:
        prior = super().prior(spectra)
        if self.config.radial_velocity:
            prior.precision[:, -1] = 1.0
        return prior

    def starts(self) -> np.ndarray:
        labels = super().starts()
        if not self.config.radial_velocity:
            return labels
        assert isinstance(self.grid, WavelengthGrid)
        # Two pixels a step: lines of two or more pixels' width are met on their flanks.
        step = 2 * _C * float(np.median(np.diff(np.log(self.grid.wavelength))))
        step /= self.config.max_velocity
        n = min(_MOST_STARTS, 2 * int(1 / step) + 1)
        velocity = np.linspace(-1, 1, max(n, 3))
        labels = labels[: max(1, _MOST_STARTS // len(velocity))]
        return np.column_stack(
            [np.repeat(labels, len(velocity), axis=0), np.tile(velocity, len(labels))]
        )
