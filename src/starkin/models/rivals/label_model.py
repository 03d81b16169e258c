"""What every label-dependent model shares: labels in place of latents.

Such a model learns f(labels) → spectrum from stars whose labels are known. ``encode`` finds
the labels of a spectrum (most probable value and covariance), ``decode`` predicts the spectrum
of labels, ``sample`` draws labels from the density of the training stars.
"""

from __future__ import annotations

import os
from abc import abstractmethod
from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np
import torch
from astropy.table import Table
from torch import Tensor

from ...io.latents import Latents
from ...nets.label_fit import (
    CorrelatedNoise,
    IndependentNoise,
    LabelFit,
    Noise,
    Predict,
    Prior,
    best_start,
    fit_labels,
)
from ...nets.label_network import LabelNetwork
from ...nets.likelihood import log_likelihood
from ...spectra import Grid, SpectrumSet, StarkinError, columns
from ...spectra.flags import Flag
from ..base import Decoded, Progress, refuse_conditions
from ..conditions import Conditions
from ..drawn import drawn_spectra
from ..inputs import Inputs, few_of, lowest_snr
from ..preprocessing import Prepared, Preprocessing, Standardised
from ..stored_model import StoredModel
from ..training import explicit_threads
from .label_settings import KEPT_LABELS, LabelSettings
from .noise import error_covariance

__all__ = ["LabelModel", "Problem", "TrainingSet", "held_out"]

#: No intrinsic scatter below this [standardised units, squared].
LEAST_VARIANCE = 1e-10
_DECODED = 2048  # stars decoded at a time
#: χ² per pixel above which labels are flagged (Zhang, Green & Rix 2023, sect. 5).
POOR_CHI2 = 2.0
#: Numbers in one work array: Jacobians and covariances of a chunk of stars stay below 64 MB.
_CHUNK_NUMBERS = 2**23


@dataclass(frozen=True)
class TrainingSet:
    """Standardised spectra with standardised labels.

    Attributes
    ----------
    spectra : SpectrumSet
        Normalised.
    data : Standardised
    labels : Tensor, shape (n_stars, n_labels)
    """

    spectra: SpectrumSet
    data: Standardised
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class Problem:
    """The fit of some stars: see :func:`starkin.nets.label_fit.fit_labels`."""

    predict: Predict
    x: Tensor
    noise: Noise
    prior: Prior
    starts: Tensor

    def solve(self) -> LabelFit:
        start = best_start(self.predict, self.x, self.noise, self.starts)
        return fit_labels(self.predict, self.x, self.noise, self.prior, start)


class LabelModel(StoredModel):
    """A model from labels to spectra, and back by fitting.

    Parameters
    ----------
    config : LabelSettings, optional
    device : str
        ``"cpu"``, ``"cuda"``, …: where training and fitting run.
    threads : int
        CPU threads of torch in this model's work; 0 leaves torch's own number.
    """

    config_class: ClassVar[type] = LabelSettings
    labels: Conditions
    parameters: Conditions
    density: np.ndarray
    usual: np.ndarray
    _network: LabelNetwork
    _exact: LabelNetwork

    # --- what a model adds ------------------------------------------------------
    @abstractmethod
    def make_network(self, grid: Grid, seed: int) -> LabelNetwork:
        """A fresh network for spectra on a grid."""

    @abstractmethod
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
        """Train ``network`` in place; what the model card should say of it."""

    def parameters_of(self, labels: Conditions) -> Conditions:
        """What is fitted to a spectrum: the labels, or more (a velocity, an extinction)."""
        return labels

    def label_names(self) -> tuple[str, ...]:
        """Label columns that training needs."""
        return tuple(self.config.labels)

    def learn_labels(self, train: SpectrumSet) -> Conditions:
        """Scaling and range of the labels of the training stars."""
        return Conditions.fit(train, self.config.labels)

    def label_values(self, spectra: SpectrumSet) -> np.ndarray:
        """Standardised labels, shape (n_stars, n_labels)."""
        return self.labels.standardise(self.labels.of(spectra))

    def sampling_labels(self, train: TrainingSet) -> np.ndarray:
        """Standardised labels of training stars, to start fits from and to sample by."""
        return train.labels.numpy()

    # --- training ---------------------------------------------------------------
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
        """Train on spectra whose label columns are known; stars that lack one are left out."""
        train = self._usable(train)
        if validation is None:
            order = np.random.default_rng(seed).permutation(len(train))
            held = max(1, round(self.config.validation_fraction * len(train)))
            train, validation = train[np.sort(order[held:])], train[np.sort(order[:held])]
        else:
            train.grid.require(validation.grid, "The validation set")
            validation = self._usable(validation)
        if len(train) < 2 or len(validation) < 1:
            raise StarkinError(
                f"Training needs spectra with the labels {', '.join(self.config.labels)} in both "
                f"parts, got {len(train)} to train on and {len(validation)} to validate."
            )
        self.grid = train.grid
        self._inputs = Inputs(Preprocessing.fit(train), None, lowest_snr(train))
        self.labels = self.learn_labels(train)
        sets = [self._training_set(s) for s in (train, validation)]
        network = self.make_network(train.grid, seed).to(self.device)
        with explicit_threads(self.threads):
            told = self.learn(
                network,
                *sets,
                seed=seed,
                checkpoint=checkpoint,
                checkpoint_seconds=checkpoint_seconds,
                progress=progress,
            )
            kept = np.random.default_rng(seed).permutation(len(train))[:KEPT_LABELS]
            self._take(network, np.zeros((1, len(self.labels))))
            self.density = self.sampling_labels(sets[0])[np.sort(kept)].astype(np.float64)
            self.usual = self._calibrate(train)
        card = self._provenance(train.fingerprint, len(train), len(validation), seed) | told
        self._adopt(train.grid, self._inputs, card)
        return self

    def _usable(self, spectra: SpectrumSet) -> SpectrumSet:
        normalised = Preprocessing.normalise(spectra)
        good = ~normalised.mask.all(axis=1)
        for name in self.label_names():
            good &= np.isfinite(spectra.label(name))
        return normalised[good]

    def _training_set(self, spectra: SpectrumSet) -> TrainingSet:
        labels = self.label_values(spectra)
        return TrainingSet(spectra, self.preprocessing(spectra), torch.from_numpy(labels).float())

    def _take(self, network: LabelNetwork, density: np.ndarray) -> None:
        self._network = network.eval()
        # Fits run in double precision: a damped step ends where rounding does.
        self._exact = deepcopy(network).double()
        self.density = density
        self.parameters = self.parameters_of(self.labels)

    @property
    def preprocessing(self) -> Preprocessing:
        """What the spectra go through before the network's numbers."""
        return self.inputs.preprocessing

    @property
    def network(self) -> LabelNetwork:
        """The trained network, in evaluation mode."""
        _ = self.inputs  # says so where the model is not trained
        return self._network

    # --- fitting ------------------------------------------------------------------
    def _chunk(self, prepared: Prepared) -> int:
        n_pixels, correlated = prepared.mask.shape[1], self._uses_correlations(prepared.spectra)
        width = n_pixels if correlated else len(self.parameters) + 4
        return max(1, _CHUNK_NUMBERS // (n_pixels * width))

    def _uses_correlations(self, spectra: SpectrumSet) -> bool:
        return self.config.correlated and spectra.correlations is not None

    def tensors(self, prepared: Prepared, rows: slice) -> tuple[Tensor, Tensor, Tensor]:
        """Standardised values, variances and what is used, in double precision."""
        x, sigma, used = prepared.tensors(rows)
        if used is None:
            used = torch.ones_like(x, dtype=torch.bool)
        x, variance = x.double(), sigma.double() ** 2
        return x.to(self.device), variance.to(self.device), used.to(self.device)

    def noise(self, spectra: SpectrumSet, variance: Tensor, used: Tensor) -> Noise:
        """Measured errors, with their correlations if asked for, plus intrinsic scatter."""
        intrinsic = self._exact.variance.clamp(min=LEAST_VARIANCE)
        if not self._uses_correlations(spectra):
            return IndependentNoise(variance + intrinsic, used)
        covariance = error_covariance(spectra, variance.sqrt())
        return CorrelatedNoise(covariance + torch.diag(intrinsic), used)

    def starts(self) -> np.ndarray:
        """Standardised parameters from which a fit may start, shape (n_starts, n_parameters)."""
        return self.density[: self.config.n_starts]

    def prior(self, spectra: SpectrumSet) -> Prior:
        """Of the standardised parameters of these stars."""
        shape = (len(spectra), len(self.parameters))
        mean = torch.zeros(shape, dtype=torch.float64, device=self.device)
        return Prior(mean, torch.full_like(mean, self.config.prior_width**-2))

    def problem(self, prepared: Prepared, rows: slice) -> Problem:
        """The fit of some of the stars."""
        spectra = prepared.spectra[rows]
        x, variance, used = self.tensors(prepared, rows)
        noise = self.noise(spectra, variance, used)
        starts = torch.from_numpy(self.starts()).to(x)
        return Problem(self._exact, x, noise, self.prior(spectra), starts)

    @torch.no_grad()
    def _fits(self, prepared: Prepared) -> Iterator[tuple[slice, LabelFit, Tensor]]:
        size = self._chunk(prepared)
        for start in range(0, len(prepared.mask), size):
            rows = slice(start, min(start + size, len(prepared.mask)))
            problem = self.problem(prepared, rows)
            yield rows, problem.solve(), problem.noise.n_used

    # --- the contract ---------------------------------------------------------------
    def encode(self, spectra: SpectrumSet) -> Latents:
        """Most probable labels and their covariance, in the units of the label columns.

        Columns ``chi2`` and ``n_used`` tell how well the model fits and on how many pixels.
        """
        ready = self._prepare(spectra)
        n, d = len(spectra), len(self.parameters)
        mean, covariance = np.empty((n, d)), np.empty((n, d, d))
        chi2, n_used = np.empty(n), np.empty(n, dtype=np.int32)
        flags, scale = ready.flags.copy(), self.parameters.scale
        with explicit_threads(self.threads):
            for rows, fit, used in self._fits(ready.prepared):
                mean[rows] = fit.labels.cpu().numpy() * scale + self.parameters.centre
                covariance[rows] = fit.covariance.cpu().numpy() * np.outer(scale, scale)
                chi2[rows], n_used[rows] = fit.chi2.cpu().numpy(), used.cpu().numpy()
                flags[rows] |= np.where(fit.converged.cpu().numpy(), 0, Flag.NOT_CONVERGED)
        flags |= self.parameters.flags(mean) & Flag.LABEL_OUT_OF_RANGE
        flags[chi2 > POOR_CHI2 * np.maximum(n_used, 1)] |= Flag.POOR_FIT
        chi2[ready.lost] = np.nan
        latents = self._latents(replace(ready, flags=flags), mean, covariance)
        latents = replace(latents, meta={**latents.meta, "latents": list(self.parameters.names)})
        return latents.with_columns(**{columns.CHI2: chi2, columns.N_USED: n_used})

    def decode(self, latents: np.ndarray, conditions: np.ndarray | None = None) -> Decoded:
        """Spectra at labels, one row a star, in the units of the label columns."""
        refuse_conditions(self, conditions)
        _ = self.inputs
        latents = self._check_latents(latents, len(self.parameters))
        standardiser = self.preprocessing.standardiser
        labels = torch.from_numpy(self.parameters.standardise(latents)).to(self.device)
        values = np.empty((len(latents), self.grid.n_pixels))
        scatter = np.empty_like(values)
        with explicit_threads(self.threads), torch.no_grad():
            for start in range(0, len(labels), _DECODED):
                rows = slice(start, start + _DECODED)
                mean, variance = self.predicted(labels[rows])
                values[rows] = mean.cpu().numpy() * standardiser.scale + standardiser.mean
                scatter[rows] = variance.clamp(min=LEAST_VARIANCE).sqrt().cpu().numpy()
        return Decoded(values=values, scatter=scatter * standardiser.scale)

    def predicted(self, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Standardised spectra and intrinsic variances at standardised parameters."""
        return self._exact(labels), self._exact.variance.expand(len(labels), -1)

    def sample(self, n: int, *, seed: int = 0) -> SpectrumSet:
        """New stars: labels from the training stars' density, spectra with intrinsic scatter.

        The model itself knows no density of labels. Labels are those of training stars, moved
        by a normal kernel of Scott's width (n^(−1/(d+4)) standard deviations); they stand in
        the label columns.
        """
        _ = self.inputs
        generator = np.random.default_rng(seed)
        picked = self.density[generator.integers(len(self.density), size=n)]
        d = picked.shape[1]
        width = len(self.density) ** (-1 / (d + 4))
        drawn = picked + width * self.density.std(axis=0) * generator.standard_normal((n, d))
        labels = np.zeros((n, len(self.parameters)))
        labels[:, :d] = drawn
        latents = labels * self.parameters.scale + self.parameters.centre
        decoded = self.decode(latents)
        table = Table(dict(zip(self.parameters.names, latents.T, strict=True)))
        meta = {columns.MODEL_ID: self.model_id, "seed": seed}
        return drawn_spectra(self.grid, decoded, table, generator, meta=meta)

    def score(self, spectra: SpectrumSet) -> Table:
        """log p(x) by Laplace's approximation, and an outlier score.

        The outlier score is the larger of two deviations from what is usual among training
        stars, in robust standard deviations: of (χ² − n)/√(2n), and of the distance of the
        labels from the training mean.
        """
        ready = self._prepare(spectra)
        log_likelihood, deviation = self._scores(ready.prepared)
        score = ((deviation - self.usual[:, 0]) / self.usual[:, 1]).max(axis=1)
        return self._score_table(ready, log_likelihood, score)

    def _scores(self, prepared: Prepared) -> tuple[np.ndarray, np.ndarray]:
        """log p(x), shape (n_stars,), and the two deviations, shape (n_stars, 2)."""
        n = len(prepared.mask)
        log_likelihood, deviation = np.empty(n), np.empty((n, 2))
        with explicit_threads(self.threads):
            for rows, fit, used in self._fits(prepared):
                count = used.clamp(min=1)
                log_likelihood[rows] = fit.log_evidence.cpu().numpy()
                surprise = (fit.chi2 - count) / torch.sqrt(2.0 * count)
                distance = fit.labels[:, : len(self.labels)].norm(dim=1)
                deviation[rows] = torch.stack([surprise, distance], dim=1).cpu().numpy()
        return log_likelihood, deviation

    def _calibrate(self, train: SpectrumSet, most: int = 2000) -> np.ndarray:
        """Median and robust spread of both deviations among training stars, shape (2, 2)."""
        rows = few_of(np.arange(len(train)), most)
        _, deviation = self._scores(self.preprocessing.prepare(train[rows]))
        middle = np.median(deviation, axis=0)
        spread = 1.4826 * np.median(np.abs(deviation - middle), axis=0)
        return np.column_stack([middle, np.maximum(spread, 1e-6)])

    # --- as a directory ----------------------------------------------------------------
    def _weights(self) -> dict[str, Tensor]:
        return self._network.state_dict()

    def _transform(self) -> dict[str, np.ndarray]:
        labels = {f"labels.{k}": v for k, v in self.labels.to_arrays().items()}
        return {"density": self.density, "usual": self.usual, **labels}

    def _restore(self, weights: Mapping[str, Tensor], transform: Mapping[str, np.ndarray]) -> None:
        parts = {k.removeprefix("labels."): v for k, v in transform.items() if "." in k}
        self.labels = Conditions.from_arrays(parts)
        network = self.make_network(self.grid, seed=0)
        network.load_state_dict(dict(weights))
        self._take(network.to(self.device), transform["density"])
        self.usual = transform["usual"]


@torch.no_grad()
def held_out(network: LabelNetwork, validation: TrainingSet, device: str) -> dict[str, float]:
    """Mean χ² per value and log-likelihood per star at the *known* labels of held-out stars.

    χ² counts measured errors and intrinsic scatter; the log-likelihood [nat, 2π terms
    included] is of the standardised values.
    """
    x, sigma, used = (t.to(device) for t in validation.data.tensors)
    exact = deepcopy(network).double()
    variance = sigma.double() ** 2 + exact.variance.clamp(min=LEAST_VARIANCE)
    mean = exact(validation.labels.double().to(device))
    chi2 = float((((x - mean) ** 2 / variance) * used).sum() / used.sum())
    likelihood = log_likelihood(x.double(), mean, variance, used)
    return {"chi2_per_value": chi2, "log_likelihood": float(likelihood.mean())}
