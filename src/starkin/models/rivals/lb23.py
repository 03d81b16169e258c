"""A transformer on tokens (value, kind), after Leung & Bovy (2024), in both its uses."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import torch
from torch import Tensor

from ...nets.label_fit import LabelFit, Prior
from ...nets.label_network import LabelNetwork
from ...nets.likelihood import gaussian_nll
from ...nets.losses import Elbo, Fit, elbo
from ...nets.posterior import GaussianPosterior
from ...nets.tokens import TokenTransformer
from ...spectra import Grid, SpectrumSet, StarkinError, columns
from ...spectra.strict import require_one_of, require_range
from .. import training
from ..conditions import Conditions
from ..inputs import few_of
from ..preprocessing import Prepared
from .label_model import Problem, TrainingSet
from .label_training import TrainedLabelModel, TrainedLabelSettings

__all__ = ["LB23", "SPECTRUM", "LB23Config"]

#: The word for all pixels, among names of labels.
SPECTRUM = "spectrum"
_CHUNK = 256
_START_STARS = 4000  # of which the first weights are made
#: Part of the run over which the KL term of the second use rises from 0, so that latents are not
#: given up before they are of use.
_WARM_UP = 0.3
_LOG_2PI = math.log(2 * math.pi)


@dataclass(frozen=True)
class LB23Config(TrainedLabelSettings):
    """Settings of :class:`LB23`; those of every trained model of labels, and its own.

    Parameters
    ----------
    use : {"labels", "spectrum"}
        ``"labels"``: latents are labels, and anything may be asked given anything.
        ``"spectrum"``: no label is needed; latents are ``n_latent`` tokens of no meaning.
    n_latent : int
        Of the second use.
    width, layers, heads : int
        Of the tokens; times that the summaries look at them; of every attention.
    summaries : int
        Tokens between what is told and what is asked.
    n_told, n_asked : int
        Values told to (at most), and asked of, a star in each step of training.
    learning_rate : float
        3e-3, and 1e-3 for the second use, which begins where a larger one would lead astray.
    """

    use: Literal["labels", "spectrum"] = "labels"
    n_latent: int = 6
    width: int = 32
    layers: int = 2
    heads: int = 4
    summaries: int = 8
    n_told: int = 128
    n_asked: int = 32
    epochs: int = 20
    batch_size: int = 128
    learning_rate: float = None  # type: ignore[assignment]  # by the use, see below
    patience: int = 0
    clip: float = 10.0

    def __post_init__(self) -> None:
        require_one_of(self, "use", ("labels", "spectrum"))
        if self.learning_rate is None:
            object.__setattr__(self, "learning_rate", 3e-3 if self.use == "labels" else 1e-3)
        super().__post_init__()
        for name in ("n_latent", "width", "layers", "heads", "summaries", "n_told", "n_asked"):
            require_range(self, name, 1, 4096)
        if self.width % self.heads:
            raise StarkinError(
                f"LB23Config.width must be a multiple of heads, got {self.width} and {self.heads}."
            )


class LB23(TrainedLabelModel):
    """Any subset of spectrum and labels in, any quantity with its uncertainty out."""

    kind: ClassVar[str] = "lb23"
    config_class: ClassVar[type] = LB23Config

    def make_network(self, grid: Grid, seed: int) -> LabelNetwork:
        config = self.config
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return TokenTransformer(
                grid.n_pixels,
                len(self.labels),
                config.width,
                config.layers,
                config.heads,
                config.summaries,
            )

    # --- latents in place of labels, in the second use ---------------------------------
    @property
    def _free(self) -> bool:
        return bool(self.config.use == "spectrum")

    def label_names(self) -> tuple[str, ...]:
        return () if self._free else super().label_names()

    def learn_labels(self, train: SpectrumSet) -> Conditions:
        if not self._free:
            return super().learn_labels(train)
        d = self.config.n_latent
        names = tuple(columns.latent(i) for i in range(d))
        return Conditions(names, np.zeros(d), np.ones(d), np.full(d, -np.inf), np.full(d, np.inf))

    def label_values(self, spectra: SpectrumSet) -> np.ndarray:
        if self._free:
            return np.zeros((len(spectra), self.config.n_latent))
        return super().label_values(spectra)

    @torch.no_grad()
    def sampling_labels(self, train: TrainingSet) -> np.ndarray:
        if not self._free:
            return super().sampling_labels(train)
        means = [
            self._asked(*(t.to(self.device) for t in train.data[i : i + _CHUNK].tensors))[0]
            for i in range(0, len(train), _CHUNK)
        ]
        return torch.cat(means).cpu().numpy()

    # --- training ------------------------------------------------------------------------
    def start(self, network: TokenTransformer, data: training.Batch) -> None:
        if self._free and min(data[0].shape) > self.config.n_latent:  # a component for each
            few = torch.from_numpy(few_of(np.arange(len(data[0])), _START_STARS))
            network.start(data[0][few].to(self.device), data[2][few].to(self.device))

    def loss(self, network: TokenTransformer) -> training.Loss:
        """Of a batch (x, σ, used, labels); see :meth:`_any_to_any` and :meth:`_through_latents`."""
        return self._through_latents(network) if self._free else self._any_to_any(network)

    def _any_to_any(self, network: TokenTransformer) -> training.Loss:
        """−log of the density of random quantities given other random ones, in three parts:
        pixels given all labels, labels given some pixels, anything given anything. Each is the
        mean over what is asked times the number of pixels or labels [nat per star].
        """
        n_told, n_asked = self.config.n_told, self.config.n_asked

        def loss(batch: training.Batch, generator: torch.Generator, done: float) -> Fit:
            x, sigma, used, labels = batch
            values = torch.cat([x, labels], dim=1)
            errors = torch.cat([sigma, torch.zeros_like(labels)], dim=1)
            good = torch.cat([used, torch.ones_like(labels, dtype=torch.bool)], dim=1)
            pixels, told_labels = network.pixels, network.labels
            everything = torch.cat([pixels, told_labels])

            def part(told: Tensor, asked: Tensor, size: int, thin: bool = True) -> Tensor:
                known = good.gather(1, told)
                if thin:
                    known = known & _kept(told, generator)
                mean, log_variance = network(values.gather(1, told), told, known, asked)
                variance = errors.gather(1, asked) ** 2 + torch.exp(log_variance)
                known = good.gather(1, asked)
                nll = gaussian_nll(values.gather(1, asked), mean, variance, known)
                return size * (nll / known.sum(1).clamp(min=1)).mean()

            def some(kinds: Tensor, count: int) -> Tensor:
                return _some(kinds, count, len(x), generator)

            n_labels, n_pixels = network.n_labels, network.n_pixels
            all_labels = told_labels.expand(len(x), -1)
            total = (
                part(all_labels, some(pixels, n_asked), n_pixels, thin=False)
                + part(some(pixels, n_told), all_labels, n_labels)
                + part(some(everything, n_told // 2), some(everything, n_asked), n_pixels)
            )
            return Fit(total)

        return loss

    def _through_latents(self, network: TokenTransformer) -> training.Loss:
        """−ELBO: some pixels in, a draw of the latents as the only tokens told, pixels out."""
        n_told, n_asked = self.config.n_told, self.config.n_asked

        def loss(batch: training.Batch, generator: torch.Generator, done: float) -> Elbo:
            x, sigma, used, _ = batch
            told = _some(network.pixels, n_told, len(x), generator)
            posterior = self._posterior(network, x.gather(1, told), told, used.gather(1, told))
            noise = torch.randn(posterior.mean.shape, generator=generator, device=x.device)
            latents = posterior.sample(noise)
            asked = _some(network.pixels, n_asked, len(x), generator)
            mean, log_variance = network(
                latents, network.labels, torch.ones_like(latents, dtype=torch.bool), asked
            )
            variance = sigma.gather(1, asked) ** 2 + torch.exp(log_variance)
            result = elbo(x.gather(1, asked), mean, variance, used.gather(1, asked), posterior)
            share = network.n_pixels / asked.shape[1]
            kl = posterior.kl().mean()
            return Elbo(
                total=share * (result.total - kl) + min(1.0, done / _WARM_UP) * kl,
                reconstruction=share * result.reconstruction,
                kl=result.kl,
                kl_per_dimension=result.kl_per_dimension,
                n=result.n,
            )

        return loss

    @staticmethod
    def _posterior(
        network: TokenTransformer, values: Tensor, kinds: Tensor, used: Tensor
    ) -> GaussianPosterior:
        mean, log_variance = network(values, kinds, used, network.labels)
        return GaussianPosterior(mean, 0.5 * log_variance)

    # --- both uses, answered alike ----------------------------------------------------------
    def _asked(self, x: Tensor, sigma: Tensor, used: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and variance of the labels (or latents) given spectra."""
        network = self._exact
        assert isinstance(network, TokenTransformer)
        mean, log_variance = network(x.double(), network.pixels, used, network.labels)
        return mean, torch.exp(log_variance)

    def predicted(self, labels: Tensor) -> tuple[Tensor, Tensor]:
        network = self._exact
        assert isinstance(network, TokenTransformer)
        known = torch.ones_like(labels, dtype=torch.bool)
        mean, log_variance = network(labels, network.labels, known, network.pixels)
        return mean, torch.exp(log_variance)

    def _chunk(self, prepared: Prepared) -> int:
        return _CHUNK

    def prior(self, spectra: SpectrumSet) -> Prior:
        prior = super().prior(spectra)
        if self._free:
            prior.precision[:] = 1.0  # latents have the prior that they were trained with
        return prior

    def problem(self, prepared: Prepared, rows: slice) -> Problem:
        bare = super().problem(prepared, rows)
        x, variance, used = self.tensors(prepared, rows)
        return _Asked(bare.predict, x, bare.noise, bare.prior, bare.starts, self, variance, used)

    @torch.no_grad()
    def predict(
        self,
        spectra: SpectrumSet,
        wanted: tuple[str, ...],
        given: tuple[str, ...] = (SPECTRUM,),
    ) -> tuple[np.ndarray, np.ndarray]:
        """Any quantities given any others.

        Parameters
        ----------
        spectra : SpectrumSet
            Masked values, and labels that are not finite, count as not known.
        wanted, given : tuple of str
            Names of the model's labels, or ``"spectrum"`` for all pixels.

        Returns
        -------
        values, errors : ndarray, shape (n_stars, n_wanted)
            In the order of ``wanted``, in the units of normalised spectra and label columns.

        Raises
        ------
        StarkinError
            If a name is none of the model's.
        """
        ready = self._prepare(spectra)
        network, standardiser = self._exact, self.preprocessing.standardiser
        assert isinstance(network, TokenTransformer)
        asked, told = self._kinds(wanted), self._kinds(given)
        centre = np.append(standardiser.mean, self.labels.centre)[asked]
        scale = np.append(standardiser.scale, self.labels.scale)[asked]
        labels = np.full((len(spectra), len(self.labels)), np.nan)
        for i, name in enumerate(self.labels.names):
            if name in given:
                labels[:, i] = (spectra.label(name) - self.labels.centre[i]) / self.labels.scale[i]
        values, errors = (np.empty((len(spectra), len(asked))) for _ in range(2))
        for start in range(0, len(spectra), _CHUNK):
            rows = slice(start, min(start + _CHUNK, len(spectra)))
            x, _, used = self.tensors(ready.prepared, rows)
            known = torch.from_numpy(labels[rows]).to(x)
            everything = torch.cat([x, torch.nan_to_num(known)], dim=1)
            good = torch.cat([used, torch.isfinite(known)], dim=1)
            kinds = torch.from_numpy(told).to(x.device)
            mean, log_variance = network(
                everything[:, kinds], kinds, good[:, kinds], torch.from_numpy(asked).to(x.device)
            )
            values[rows] = mean.cpu().numpy() * scale + centre
            errors[rows] = torch.exp(0.5 * log_variance).cpu().numpy() * scale
        return values, errors

    def _kinds(self, names: tuple[str, ...]) -> np.ndarray:
        found: list[int] = []
        for name in names:
            if name == SPECTRUM:
                found += range(self.grid.n_pixels)
            elif name in self.labels.names:
                found.append(self.grid.n_pixels + self.labels.names.index(name))
            else:
                raise StarkinError(
                    f"This model knows no {name!r}; it knows {SPECTRUM} and "
                    f"{', '.join(self.labels.names)}."
                )
        return np.array(found)


@dataclass(frozen=True)
class _Asked(Problem):
    """Labels that the network answers with; nothing is fitted."""

    model: LB23
    variance: Tensor
    used: Tensor

    def solve(self) -> LabelFit:
        labels, spread = self.model._asked(self.x, self.variance, self.used)
        mean, scatter = self.model.predicted(labels)
        total = self.variance + scatter
        chi2 = (((self.x - mean) ** 2 / total) * self.used).sum(1)
        # Laplace's formula with the answer's own width.
        log_prior = torch.log(self.prior.precision).sum(1) - self.prior.misfit(labels)
        evidence = -gaussian_nll(self.x, mean, total, self.used)
        evidence = evidence - 0.5 * self.used.sum(1) * _LOG_2PI
        evidence = evidence + 0.5 * (log_prior + torch.log(spread).sum(1))
        converged = torch.ones_like(chi2, dtype=torch.bool)
        return LabelFit(labels, torch.diag_embed(spread), chi2, evidence, converged)


def _some(kinds: Tensor, count: int, n: int, generator: torch.Generator) -> Tensor:
    """``count`` different kinds of a set for each of n stars (all, where there are fewer)."""
    order = torch.rand((n, len(kinds)), generator=generator, device=kinds.device).argsort(dim=1)
    return kinds[order[:, :count]]


def _kept(told: Tensor, generator: torch.Generator) -> Tensor:
    """What is really told: of each star another share, from nothing to all."""
    share = torch.rand((len(told), 1), generator=generator, device=told.device).sqrt()
    return torch.rand(told.shape, generator=generator, device=told.device) < share
