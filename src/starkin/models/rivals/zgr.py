"""Labels, extinction and distance to XP spectra, after Zhang, Green & Rix (2023)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from ...nets.dusty import DustyNetwork, parallax_of
from ...nets.label_fit import IndependentNoise, LabelFit, Noise, Prior, best_start, fit_labels
from ...nets.label_network import LabelNetwork
from ...nets.likelihood import gaussian_nll
from ...nets.losses import Fit
from ...spectra import Grid, SpectrumSet, StarkinError, XPGrid, columns
from ...spectra.photometry import magnitude, passband_functionals
from ...spectra.projection import projection_matrix
from ...spectra.strict import require_range, require_widths
from .. import training
from ..conditions import Conditions
from ..preprocessing import Prepared
from .label_model import LEAST_VARIANCE, Problem, TrainingSet
from .label_training import TrainedLabelModel, TrainedLabelSettings
from .noise import JoinedNoise

__all__ = ["ZGR", "ZGRConfig"]

#: Where ln F is modelled [nm]; a third of what XP resolves at its best.
WAVELENGTH = np.arange(320.0, 1086.0, 5.0)
#: Error of G that is never undercut [mag].
_MAGNITUDE_FLOOR = 0.005
_START_EXTINCTIONS = (0.0, 0.4, 1.0, 2.5)
_TYPICAL_EXTINCTION = (0.3, 1.0)


@dataclass(frozen=True)
class ZGRConfig(TrainedLabelSettings):
    """Settings of :class:`ZGR`; those of every trained model of labels, and its own.

    Parameters
    ----------
    hidden : tuple of int
        Hidden widths.
    n_knots : int
        Numbers that describe the extinction curve.
    extinction_error : float
        Error of the label column ``a_v`` (extinction at 550 nm, from a dust map), where a set
        has it [mag]. Where it has none, extinction has the wide prior 0.3 ± 1 mag.
    """

    hidden: tuple[int, ...] = (64, 64)
    n_knots: int = 10
    extinction_error: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        require_widths(self, "hidden")
        require_range(self, "n_knots", 4, 100)
        require_range(self, "extinction_error", 1e-4, 100.0)


class ZGR(TrainedLabelModel):
    """A dust-free spectrum of the labels, one learnt extinction curve, and distance.

    The latents are the labels, the extinction ``a_v`` at 550 nm [mag] and the distance modulus
    [mag]. Training and fits use the parallax and G beside the spectrum.
    """

    kind: ClassVar[str] = "zgr23"
    config_class: ClassVar[type] = ZGRConfig

    def make_network(self, grid: Grid, seed: int) -> LabelNetwork:
        if not isinstance(grid, XPGrid):
            raise StarkinError(
                f"The model zgr23 needs Gaia XP coefficients; these are {grid.describe()}."
            )
        standardiser, labels = self.preprocessing.standardiser, self.labels
        teff = None
        if columns.TEFF in labels.names:
            i = labels.names.index(columns.TEFF)
            teff = (i, float(labels.centre[i]), float(labels.scale[i]))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return DustyNetwork(
                len(labels),
                self.config.hidden,
                WAVELENGTH,
                projection_matrix(WAVELENGTH, grid),
                passband_functionals()[:, 0],
                standardiser.mean,
                standardiser.scale,
                teff=teff,
                n_knots=self.config.n_knots,
            )

    # --- training ---------------------------------------------------------------------
    def batch(self, data: TrainingSet) -> training.Batch:
        """x, σ, used, labels, (G, parallax, its error), (mean, precision) of A."""
        seen = torch.from_numpy(_magnitude_and_parallax(data.spectra)).float()
        dust = torch.from_numpy(self._extinction_prior(data.spectra)).float()
        return (*data.data.tensors, data.labels, seen, dust)

    @torch.no_grad()
    def start(self, network: DustyNetwork, data: training.Batch) -> None:
        """A linear regression of G + 5 log₁₀(ϖ/100 mas) on the labels, for good parallaxes."""
        labels, (g, parallax, error) = data[3].double(), data[4].double().T
        good = torch.isfinite(parallax) & (parallax > 5 * error)
        if int(good.sum()) <= 2 * labels.shape[1]:
            return
        absolute = (g + 5 * torch.log10(parallax.clamp(min=1e-6) / 100))[good]
        design = torch.cat([labels, torch.ones_like(labels[:, :1])], dim=1)[good]
        solution = torch.linalg.lstsq(design, absolute[:, None]).solution[:, 0]
        network.straight_luminosity.weight.copy_(solution[None, :-1])
        network.straight_luminosity.bias.copy_(solution[-1:])

    def finish(self, network: DustyNetwork, validation: TrainingSet) -> dict[str, float]:
        network.variance.copy_(torch.exp(2 * network.log_scatter.detach()))
        network.luminosity_scatter.copy_(torch.exp(network.log_luminosity_scatter.detach()))
        return {}

    def loss(self, network: DustyNetwork) -> training.Loss:
        """−log p(spectrum, parallax | labels, G) at each star's most probable extinction."""

        def loss(batch: training.Batch, generator: torch.Generator, done: float) -> Fit:
            x, sigma, used, labels, seen, dust = batch
            log_flux = network.log_flux(labels)
            variance = sigma**2 + torch.exp(2 * network.log_scatter)
            a = network.best_extinction(
                log_flux, x, used / variance.detach(), dust[:, 0], dust[:, 1]
            )
            behind = network.seen(log_flux, a)
            nll = gaussian_nll(x, network.standardised(behind), variance, used)
            modulus = seen[:, 0] - network.absolute_magnitude(labels, log_flux, behind)
            expected = parallax_of(modulus)
            # A scatter of M_G by s is one of the parallax by ϖ s ln 10 / 5.
            spread = expected * torch.exp(network.log_luminosity_scatter) * (np.log(10) / 5)
            known = torch.isfinite(seen[:, 1:2])
            parallax, error = torch.nan_to_num(seen[:, 1:2]), torch.nan_to_num(seen[:, 2:3], 1.0)
            nll = nll + gaussian_nll(
                parallax, expected[:, None], error**2 + spread[:, None] ** 2, known
            )
            return Fit(nll.mean())

        return loss

    def _extinction_prior(self, spectra: SpectrumSet) -> np.ndarray:
        """Mean and precision of A, shape (n_stars, 2)."""
        mean, error = (np.full(len(spectra), value) for value in _TYPICAL_EXTINCTION)
        if spectra.has_label(columns.A_V):
            known = np.isfinite(spectra.label(columns.A_V))
            mean = np.where(known, spectra.label(columns.A_V), mean)
            error = np.where(known, self.config.extinction_error, error)
        return np.column_stack([mean, error**-2])

    # --- fitting ------------------------------------------------------------------------
    def parameters_of(self, labels: Conditions) -> Conditions:
        return Conditions(
            (*labels.names, columns.A_V, columns.DISTANCE_MODULUS),
            np.append(labels.centre, [0.0, 10.0]),
            np.append(labels.scale, [1.0, 5.0]),
            np.append(labels.low, [-np.inf, -np.inf]),
            np.append(labels.high, [np.inf, np.inf]),
        )

    def prior(self, spectra: SpectrumSet) -> Prior:
        prior = super().prior(spectra)
        dust = torch.from_numpy(self._extinction_prior(spectra)).to(prior.mean)
        prior.mean[:, -2], prior.precision[:, -2] = dust[:, 0], dust[:, 1]
        prior.precision[:, -1] = 1.0
        return prior

    def starts(self) -> np.ndarray:
        labels = super().starts()
        n = len(_START_EXTINCTIONS)
        dust = np.tile(_START_EXTINCTIONS, len(labels))
        return np.column_stack([np.repeat(labels, n, axis=0), dust, np.zeros(len(dust))])

    def problem(self, prepared: Prepared, rows: slice) -> Problem:
        """The spectrum with G and the parallax as two values more."""
        bare = super().problem(prepared, rows)
        seen = torch.from_numpy(_magnitude_and_parallax(prepared.spectra[rows])).to(bare.x)
        known = torch.isfinite(seen)
        known[:, 1] &= known[:, 2]
        seen = torch.nan_to_num(seen)
        network = self._exact
        assert isinstance(network, DustyNetwork)
        luminosity = torch.full_like(seen[:, 0], _MAGNITUDE_FLOOR**2)
        luminosity = luminosity + network.luminosity_scatter**2
        variance = torch.stack([luminosity, seen[:, 2] ** 2 + LEAST_VARIANCE], dim=1)
        extra = IndependentNoise(variance, known[:, :2])
        x = torch.cat([bare.x, seen[:, :2]], dim=1)
        noise = JoinedNoise(bare.noise, extra)
        return _DustyProblem(bare.predict, x, noise, bare.prior, bare.starts)

    def predicted(self, labels: Tensor) -> tuple[Tensor, Tensor]:
        spectra, variance = super().predicted(labels)
        return spectra[:, : self.grid.n_pixels], variance

    def extinction_curve(self) -> tuple[np.ndarray, np.ndarray]:
        """Wavelengths [nm] and A(λ)/A(550 nm) as learnt."""
        network = self.network
        assert isinstance(network, DustyNetwork)
        return WAVELENGTH.copy(), network.extinction_curve().detach().cpu().double().numpy()


class _DustyProblem(Problem):
    """A fit that starts from the best spectrum, at the distance that G then gives."""

    def solve(self) -> LabelFit:
        assert isinstance(self.noise, JoinedNoise)
        spectrum: Noise = self.noise.first
        n_pixels = spectrum.weight.shape[1]

        def spectra(parameters: Tensor) -> Tensor:
            return self.predict(parameters)[:, :n_pixels]

        start = best_start(spectra, self.x[:, :n_pixels], spectrum, self.starts)
        network = self.predict
        assert isinstance(network, DustyNetwork)
        brighter = self.x[:, n_pixels] - network(start)[:, n_pixels]
        start = start.clone()
        start[:, -1] += brighter / network.modulus_scale
        return fit_labels(self.predict, self.x, self.noise, self.prior, start)


def _magnitude_and_parallax(spectra: SpectrumSet) -> np.ndarray:
    """G [mag], parallax and its error [mas], shape (n_stars, 3); NaN where missing."""
    n = len(spectra)
    found = np.full((n, 3), np.nan)
    if spectra.has_label(columns.NORMALISATION_FLUX):
        found[:, 0] = magnitude(spectra.label(columns.NORMALISATION_FLUX))
    if spectra.has_label(columns.PARALLAX) and spectra.has_label(columns.PARALLAX_ERROR):
        found[:, 1] = spectra.label(columns.PARALLAX)
        found[:, 2] = spectra.label(columns.PARALLAX_ERROR)
    return found
