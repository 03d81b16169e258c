"""The chemical model: latents of composition, free of temperature and gravity."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import asdict, astuple
from typing import Any, ClassVar, Self

import numpy as np
import torch
from astropy.table import Table
from torch import Tensor

from ..io.latents import Latents, TwinPrior
from ..nets.chemical import ChemicalDecoder, Degrees, Estimate, estimate_latents
from ..spectra import SpectrumSet, StarkinError, XPGrid
from ..spectra.flags import Flag
from . import training
from .base import Decoded, Progress
from .chemical_config import ChemicalConfig
from .chemical_gauge import redundancy
from .chemical_projection import PixelBasis, Projected
from .chemical_training import fit_decoder, misfit_covariance
from .chemical_within import twin_prior_of
from .inputs import Inputs, PreparedInputs, few_of, split_rows
from .stored_model import StoredModel

__all__ = ["ChemicalModel"]

_CHUNK = 2048
_STEPS = 25  # Gauss-Newton steps from the origin at most; a few suffice, but for a few stars
_VAGUE = 0.01  # information that stands in where a star's data have none: variance 100
_BEYOND = 0.15  # conditions are extrapolated by so much of half the trained range, no further
_CALIBRATION_STARS = 5000


class ChemicalModel(StoredModel):
    """Latents of composition from spectra and estimates of what is not composition.

    The spectrum, in principal components, is a smooth function of the latents z and the
    conditions u (temperature, gravity): see :mod:`starkin.nets.chemical`. The latents of a
    star are those that fit its spectrum best under its own errors and mask, so that one model
    serves every signal-to-noise ratio.

    :meth:`encode` gives the *likelihood's* estimate and its covariance: the prior N(0, 1) that
    steadies the fit is taken out again, and stands in with variance 100 where a star's data say
    nothing. The covariance is of the noise alone; leakage is in :meth:`twin_prior`.

    Parameters
    ----------
    config : ChemicalConfig, optional
    device : str
        ``"cpu"``, ``"cuda"``, …
    threads : int
        CPU threads of torch in this model's work; 0 leaves torch's own number.

    Examples
    --------
    >>> from starkin.models import ChemicalModel
    >>> ChemicalModel().conditions
    ('teff', 'logg')
    """

    kind: ClassVar[str] = "chemical"
    config_class: ClassVar[type] = ChemicalConfig
    config: ChemicalConfig

    _basis: PixelBasis
    _decoder: ChemicalDecoder
    _misfit: Tensor
    _scatter: np.ndarray
    _prior: TwinPrior
    _usual: np.ndarray

    # --- training -----------------------------------------------------------
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
        """Train on spectra with their conditions as label columns; no pairs are needed.

        ``seed`` decides what is held out, the start of the components' iteration and the grid
        of conditions.

        Raises
        ------
        StarkinError
            If too few stars are usable, or the checkpoint belongs to another run.
        """
        config = self.config
        train, rows, held_out_set, held_out = split_rows(
            train, validation, self.conditions, config.validation_fraction, seed
        )
        inputs = Inputs.fit(train, rows, self.conditions)
        self._inputs = inputs
        prepared = inputs.prepare(train)
        with training.explicit_threads(self.threads), torch.no_grad():
            few = few_of(rows, config.basis_stars)
            degree = -1 if isinstance(train.grid, XPGrid) else config.continuum_degree
            basis = self._basis = PixelBasis.fit(
                prepared, few, config.n_components, degree, config.reference_error, seed
            )
            if basis.n_components < config.n_latent or len(rows) <= 4 * config.n_latent:
                raise StarkinError(
                    f"ChemicalConfig.n_latent is {config.n_latent}, but the training spectra have "
                    f"{basis.n_components} components in {len(rows)} stars; take fewer."
                )
            projected = basis.project(prepared, rows)
            u = self._scaled(prepared)[rows]
            loadings = torch.tensor(basis.loadings())
            identity: dict[str, Any] = {
                "settings": config.to_dict(),
                "seed": seed,
                **prepared.identity(rows),
            }
            fitted = fit_decoder(
                config,
                projected.y.to(self.device),
                u.to(self.device),
                float(_level(projected.precision).median() ** -0.5),
                loadings.to(self.device),
                n_fitted=basis.n_components,
                seed=seed,
                checkpoint=checkpoint,
                checkpoint_seconds=checkpoint_seconds,
                run_id=training.run_id(identity),
                progress=progress,
            )
            decoder = self._decoder = fitted.decoder
            k = basis.n_components
            misfit = misfit_covariance(
                decoder, projected.y.to(self.device), fitted.z, u.to(self.device)
            )[:k, :k].cpu()
            noise = torch.eye(k) / _level(projected.precision).median()
            self._misfit = _positive(misfit.float() - noise, noise)
            pixels = loadings[:, :k]
            self._scatter = ((pixels @ self._misfit) * pixels).sum(1).clamp(min=0).sqrt().numpy()
            sample = few_of(rows, _CALIBRATION_STARS)
            found = self._estimate(prepared, sample)
            self._prior = twin_prior_of(
                decoder.cpu(),
                loadings,
                fitted.z.cpu(),
                u,
                _vague_inverse(found.information).mean(0),
                self._misfit_in_latents(found),
                inflation=config.leakage_inflation,
                seed=seed,
            )
            self._decoder = decoder.to(self.device)
            self._usual = self._calibrate(prepared, sample, found)
            metrics = self._metrics(inputs.prepare(held_out_set), held_out)
            metrics["redundancy"] = redundancy(fitted.z)
        card = self._provenance(identity["train"], len(rows), len(held_out), seed)
        card["metrics"] = metrics
        card["history"] = asdict(fitted.history)
        self._adopt(train.grid, inputs, card)
        return self

    @property
    def n_latent(self) -> int:
        """Latents that the training spectra called for, at most ``config.n_latent``."""
        _ = self.inputs
        return self._decoder.n_latent

    # --- from spectra to numbers ----------------------------------------------
    def _scaled(self, prepared: PreparedInputs) -> Tensor:
        told = self.inputs.conditions
        assert told is not None
        return self._unit_range(prepared.u * told.scale + told.centre)

    def _unit_range(self, values: np.ndarray) -> Tensor:
        """Conditions as −1 … 1 over the trained range, held near it beyond."""
        told = self.inputs.conditions
        assert told is not None
        middle, half = (told.high + told.low) / 2, (told.high - told.low) / 2
        scaled = np.clip((values - middle) / half, -1 - _BEYOND, 1 + _BEYOND)
        return torch.tensor(scaled, dtype=torch.float32)

    def _condition_errors(self, spectra: SpectrumSet) -> Tensor | None:
        """Errors of the conditions on the scale of −1 … 1, None where all are exact."""
        told = self.inputs.conditions
        assert told is not None
        errors = np.empty((len(spectra), len(told)))
        for i, (name, usual) in enumerate(
            zip(told.names, self.config.condition_errors, strict=True)
        ):
            column = np.full(len(spectra), usual)
            if spectra.has_label(f"{name}_error"):
                given = spectra.label(f"{name}_error")
                column = np.where(np.isfinite(given) & (given >= 0), given, usual)
            errors[:, i] = column / ((told.high[i] - told.low[i]) / 2)
        if not errors.any():
            return None
        return torch.tensor(np.clip(errors, 1e-4, 2.0), dtype=torch.float32)

    def _estimate(self, prepared: PreparedInputs, rows: np.ndarray) -> Estimate:
        """Latents of some stars by maximum posterior, in pieces."""
        u = self._scaled(prepared)[rows]
        errors = self._condition_errors(prepared.spectra[rows])
        parts = []
        for start in range(0, len(rows), _CHUNK):
            some = slice(start, min(start + _CHUNK, len(rows)))
            projected = self._basis.project(prepared, rows[some])
            parts.append(
                estimate_latents(
                    self._decoder,
                    projected.y.to(self.device),
                    u[some].to(self.device),
                    self._precision(projected, self._basis.n_templates).to(self.device),
                    condition_errors=None if errors is None else errors[some].to(self.device),
                    steps=_STEPS,
                )
            )
        return Estimate(
            torch.cat([p.mode for p in parts]).cpu(),
            torch.cat([p.information for p in parts]).cpu(),
            torch.cat([p.conditions for p in parts]).cpu(),
        )

    def _precision(self, projected: Projected, n_unfitted: int) -> Tensor:
        """Of components about the decoder: noise and misfit together, for each star.

        The continuum templates follow with next to none.
        """
        k = len(self._misfit)
        if projected.precision.ndim == 1:
            values, vectors = torch.linalg.eigh(self._misfit)
            noise = projected.precision.clamp(min=1e-20) ** -1
            inverse = 1 / (values.clamp(min=0) + noise[:, None])
            inner = (vectors * inverse[:, None, :]) @ vectors.T
        else:
            both = torch.linalg.inv(self._misfit) + projected.precision
            inner = projected.precision - projected.precision @ torch.linalg.solve(
                both, projected.precision
            )
        inner = 0.5 * (inner + inner.transpose(1, 2)) + 1e-8 * torch.eye(k)
        full = torch.zeros((len(inner), k + n_unfitted, k + n_unfitted))
        full[:, :k, :k] = inner
        full.diagonal(dim1=1, dim2=2)[:, k:] = 1e-8
        return full

    # --- what it is for -------------------------------------------------------
    def encode(self, spectra: SpectrumSet) -> Latents:
        """The likelihood's estimate of each star's latents and the covariance of its noise."""
        prepared = self._prepare(spectra)
        with training.explicit_threads(self.threads), torch.no_grad():
            found = self._estimate(prepared, np.arange(len(spectra)))
            covariance = _vague_inverse(found.information)
            eye = torch.eye(found.mode.shape[1])
            unshrunk = (covariance @ ((found.information + eye) @ found.mode[:, :, None]))[:, :, 0]
            vague = torch.linalg.inv(found.information + eye).diagonal(dim1=1, dim2=2)
        far = (found.mode**2).sum(1).numpy() > self._usual[2]
        far |= vague.mean(dim=1).numpy() > 0.5  # More prior than data.
        prepared.flags[far & ~prepared.lost] |= Flag.FAR_FROM_TRAINING
        return self._latents(prepared, unshrunk.numpy(), covariance.numpy())

    def decode(self, latents: np.ndarray, conditions: np.ndarray | None = None) -> Decoded:
        """Spectra at latents and conditions, and the scatter that is not explained.

        Conditions beyond the trained range are held near its edge.
        """
        latents = self._check_latents(latents, self.n_latent)
        self._standardised(conditions, len(latents))  # Refuses what does not fit.
        u = self._unit_range(np.asarray(conditions, dtype=np.float64))
        z = torch.tensor(latents, dtype=torch.float32)
        values = np.empty((len(z), len(self._scatter)), dtype=np.float32)
        loadings = torch.tensor(self._basis.loadings().T)
        with training.explicit_threads(self.threads), torch.no_grad():
            for start in range(0, len(z), _CHUNK):
                some = slice(start, min(start + _CHUNK, len(z)))
                y = self._decoder(z[some].to(self.device), u[some].to(self.device)).cpu()
                values[some] = (y @ loadings).numpy()
        standardiser = self.inputs.preprocessing.standardiser
        values = (values + self._basis.mean) * standardiser.scale + standardiser.mean
        scatter = np.maximum(self._scatter, 1e-6) * standardiser.scale
        return Decoded(values, np.broadcast_to(scatter, values.shape))

    def sample(self, n: int, *, seed: int = 0) -> SpectrumSet:
        """New stars: latents from their prior, conditions evenly over the trained range.

        There is no measurement noise; ``errors`` holds the scatter that was drawn from.
        """
        generator = np.random.default_rng(seed)
        _ = self.inputs
        z = generator.multivariate_normal(
            self._prior.mean, self._prior.between, size=n, method="cholesky"
        )
        return self._drawn(z, generator)

    def score(self, spectra: SpectrumSet) -> Table:
        """log p(x) by Laplace's approximation, and how far χ² lies above what is usual.

        The outlier score is the deviation of χ² from the number of pixels in its own standard
        deviation √(2n), less its median over training stars and in units of their robust spread.
        """
        prepared = self._prepare(spectra)
        rows = np.arange(len(spectra))
        with training.explicit_threads(self.threads), torch.no_grad():
            found = self._estimate(prepared, rows)
            chi2, log_norm, n_used = self._residuals(prepared, rows, found)
            d = found.mode.shape[1]
            volume = torch.linalg.slogdet(found.information + torch.eye(d)).logabsdet.numpy()
        prior = (found.mode.double() ** 2).sum(1).numpy()
        likelihood = -0.5 * (chi2 + log_norm + prior + volume)
        outlier = (_deviation(chi2, n_used) - self._usual[0]) / self._usual[1]
        return self._score_table(prepared, likelihood, outlier)

    def twin_prior(self) -> TwinPrior:
        """Leakage and spread of the latents as the fit saw them; no known pair went in."""
        _ = self.inputs
        return self._prior

    def _misfit_in_latents(self, found: Estimate) -> Tensor:
        """Mean covariance that the decoder's misfit alone gives the latents, without noise."""
        width = self._decoder.n_outputs
        noiseless = Projected(torch.zeros((1, width)), torch.full((1,), 1e12))
        precision = self._precision(noiseless, self._basis.n_templates)[0]
        information = estimate_latents(
            self._decoder,
            torch.zeros((len(found.mode), width), device=self.device),
            found.conditions.to(self.device),
            precision.to(self.device),
            start=found.mode.to(self.device),
            steps=0,
        ).information.cpu()
        return _vague_inverse(information).mean(0)

    # --- how well it does --------------------------------------------------------
    def _residuals(
        self, prepared: PreparedInputs, rows: np.ndarray, found: Estimate
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """χ², Σ log 2πσ² and number of the pixels that each star has."""
        chi2, log_norm, n_used = np.empty((3, len(rows)))
        loadings = torch.tensor(self._basis.loadings().T)
        mean = torch.tensor(self._basis.mean, dtype=torch.float32)
        scatter = torch.tensor(self._scatter, dtype=torch.float32)
        for start in range(0, len(rows), _CHUNK):
            some = slice(start, min(start + _CHUNK, len(rows)))
            x, sigma, used = prepared.tensors(rows[some])
            y = self._decoder(
                found.mode[some].to(self.device), found.conditions[some].to(self.device)
            )
            variance = sigma**2 + scatter**2
            squares = (x - y.cpu() @ loadings - mean) ** 2 / variance
            logs = torch.log(2 * math.pi * variance)
            keep = torch.ones_like(x, dtype=torch.bool) if used is None else used
            chi2[some] = torch.where(keep, squares, 0.0).double().sum(1).numpy()
            log_norm[some] = torch.where(keep, logs, 0.0).double().sum(1).numpy()
            n_used[some] = keep.sum(1).numpy()
        return chi2, log_norm, n_used

    def _calibrate(self, prepared: PreparedInputs, rows: np.ndarray, found: Estimate) -> np.ndarray:
        chi2, _, n_used = self._residuals(prepared, rows, found)
        deviation = _deviation(chi2, n_used)
        median = np.median(deviation)
        spread = max(1e-6, 1.4826 * float(np.median(np.abs(deviation - median))))
        radius = (found.mode**2).sum(1).numpy()
        return np.array([median, spread, 1.5 * np.quantile(radius, 0.999)])

    def _metrics(self, prepared: PreparedInputs, rows: np.ndarray) -> dict[str, float]:
        """Mean squared residual of held-out spectra at their own latents."""
        found = self._estimate(prepared, rows)
        loadings = torch.tensor(self._basis.loadings().T)
        mean = torch.tensor(self._basis.mean, dtype=torch.float32)
        squares, count = 0.0, 0
        for start in range(0, len(rows), _CHUNK):
            some = slice(start, min(start + _CHUNK, len(rows)))
            x, _, used = prepared.tensors(rows[some])
            y = self._decoder(
                found.mode[some].to(self.device), found.conditions[some].to(self.device)
            )
            residual = x - y.cpu() @ loadings - mean
            if used is not None:
                residual = residual * used
            squares += float((residual.double() ** 2).sum())
            count += residual.numel() if used is None else int(used.sum())
        return {"mse": squares / count, "leakage": float(np.trace(self._prior.within))}

    # --- as a directory ---------------------------------------------------------
    def _weights(self) -> dict[str, Tensor]:
        return {**self._decoder.state_dict(), "misfit": self._misfit}

    def _transform(self) -> dict[str, np.ndarray]:
        arrays = {f"basis_{k}": v for k, v in self._basis.to_arrays().items()}
        arrays |= {f"prior_{k}": getattr(self._prior, k) for k in ("mean", "within", "between")}
        arrays["degrees"] = np.array(astuple(self._decoder.degrees))
        return arrays | {"usual": self._usual, "scatter": self._scatter}

    def _restore(self, weights: Mapping[str, Tensor], transform: Mapping[str, np.ndarray]) -> None:
        state = dict(weights)
        self._misfit = state.pop("misfit")
        self._basis = PixelBasis.from_arrays(
            {k.removeprefix("basis_"): v for k, v in transform.items() if k.startswith("basis_")}
        )
        outputs = self._basis.n_components + self._basis.n_templates
        degrees = Degrees(*(int(d) for d in transform["degrees"]))
        n_conditions = len(self.conditions)
        n_latent = state["loadings"].shape[1]
        self._decoder = ChemicalDecoder(n_latent, n_conditions, outputs, degrees)
        self._decoder.load_state_dict(state)
        self._decoder.to(self.device)
        self._prior = TwinPrior(*(transform[f"prior_{k}"] for k in ("mean", "within", "between")))
        self._usual, self._scatter = transform["usual"], transform["scatter"]


def _level(precision: Tensor) -> Tensor:
    """One number a star that stands for its precision."""
    level = precision if precision.ndim == 1 else precision.diagonal(dim1=1, dim2=2).mean(1)
    return level.clamp(min=1e-20)


def _vague_inverse(information: Tensor) -> Tensor:
    """Covariance of the noise; variance at most 100 where there is no information."""
    eye = torch.eye(information.shape[1])
    inverse = torch.linalg.inv(information + _VAGUE * eye)
    return 0.5 * (inverse + inverse.transpose(1, 2))


def _positive(matrix: Tensor, noise: Tensor) -> Tensor:
    """The matrix, its eigenvalues no smaller than a small part of the noise's."""
    values, vectors = torch.linalg.eigh(0.5 * (matrix + matrix.T))
    least = 0.01 * noise.diagonal().mean()
    return (vectors * values.clamp(min=float(least))) @ vectors.T


def _deviation(chi2: np.ndarray, n_used: np.ndarray) -> np.ndarray:
    n = np.maximum(n_used, 1)
    return (chi2 - n) / np.sqrt(2 * n)
