"""How the chemical model is fitted: alternating latents and decoder, growing, resumable."""

from __future__ import annotations

import json
import os
import time
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from ..io.atomic import atomic_file
from ..nets.chemical import ChemicalDecoder, Degrees, estimate_latents
from ..nets.smooth import least_squares, smooth_basis
from ..spectra import StarkinError
from .base import Progress
from .chemical_config import ChemicalConfig
from .chemical_gauge import (
    Rotation,
    alignment,
    by_curvature,
    condition_grid,
    directions,
    even_alignment,
    standardise,
)

__all__ = ["FitHistory", "Fitted", "fit_decoder", "misfit_covariance"]

_WORTH = 2.0  # variance of a component that is worth a latent, in units of the reference error
_BESIDE = 2  # latents beside the bent ones that are turned with them
_FLOOR = 0.1  # least misfit of a component while training, in units of the reference error


@dataclass
class FitHistory:
    """One entry a sweep."""

    misfit: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Fitted:
    """A decoder with the latents it was fitted to.

    Attributes
    ----------
    decoder : ChemicalDecoder
    z : Tensor, shape (n_stars, n_latent)
    history : FitHistory
    """

    decoder: ChemicalDecoder
    z: Tensor
    history: FitHistory


def misfit_covariance(decoder: ChemicalDecoder, y: Tensor, z: Tensor, u: Tensor) -> Tensor:
    """Mean outer product of what the decoder leaves, shape (n_outputs, n_outputs)."""
    total = torch.zeros((y.shape[1], y.shape[1]), dtype=torch.float64)
    for start in range(0, len(y), 4096):
        rows = slice(start, start + 4096)
        rest = y[rows] - decoder(z[rows], u[rows])
        total += (rest.T @ rest).double()
    return total / len(y)


@torch.no_grad()
def fit_decoder(
    config: ChemicalConfig,
    y: Tensor,
    u: Tensor,
    noise: float,
    components: Tensor,
    *,
    n_fitted: int,
    seed: int,
    checkpoint: str | os.PathLike[str] | None = None,
    checkpoint_seconds: float = 30.0,
    run_id: str = "",
    progress: Progress | None = None,
) -> Fitted:
    """Fit decoder and latents of the training stars to each other.

    Every sweep solves for the decoder by least squares, then moves the latents by
    Gauss-Newton steps and makes their moments the same at all conditions. Every stage begins
    with more latents, the leading components of what is left, and with those in front in which
    spectra bend most; it ends with the alignment of :mod:`~starkin.models.chemical_gauge`, the
    last one with the even alignment of those in front.

    The order matters. Curvature that a decoder cannot express is taken for latents of its own,
    functions of the others that change with the conditions; what there is of it must be described
    by the decoder before faint elements are looked for.

    Parameters
    ----------
    config : ChemicalConfig
        Settings.
    y : Tensor, shape (n_stars, n_outputs)
        Components and template amounts.
    u : Tensor, shape (n_stars, n_conditions)
        Scaled conditions.
    noise : float
        Typical error of a component.
    components : Tensor, shape (n_pixels, n_outputs)
        From outputs to flux.
    n_fitted : int
        The first so many outputs decide the latents; the others are only predicted.
    seed : int
        Decides the grid of conditions.
    checkpoint, checkpoint_seconds, run_id, progress
        As in :func:`starkin.models.training.train`.
    """
    degrees = config.degrees(len(y))
    first_sweep, z, history = 0, None, FitHistory()
    if checkpoint is not None and Path(checkpoint).exists():
        first_sweep, z, history = _resume(Path(checkpoint), run_id)
    sweeps = [(stage, k) for stage in config.stages for k in range(stage.sweeps)]
    grid = condition_grid(u, seed)
    began = last_saved = time.perf_counter()
    before = history.seconds[-1] if history.seconds else 0.0
    for sweep in range(first_sweep, len(sweeps)):
        stage, k = sweeps[sweep]
        if k == 0:
            z = _grown(config, degrees, z, y, u, min(stage.n_latent, n_fitted), n_fitted, noise)
        assert z is not None
        decoder = _decoder(config, degrees, y, z, u)
        misfit = misfit_covariance(decoder, y, z, u)[:n_fitted, :n_fitted]
        precision = 1e-8 * torch.eye(y.shape[1]).double()
        precision[:n_fitted, :n_fitted] = torch.linalg.inv(
            misfit + (noise**2 + _FLOOR**2) * torch.eye(n_fitted).double()
        )
        z = estimate_latents(decoder, y, u, precision, start=z, steps=2).mode
        z = standardise(z, u)
        if k + 1 == stage.sweeps:
            decoder = _decoder(config, degrees, y, z, u)
            responses = directions(decoder, components, grid)
            turns = alignment(responses)
            if degrees.bent and sweep + 1 == len(sweeps):
                turns = turns @ even_alignment(responses @ turns, degrees.bent + _BESIDE)
            z = Rotation.through(grid, turns, config.rotation_degree).turn(z, u)
        left = float(misfit.trace())
        history.misfit.append(left)
        history.seconds.append(before + time.perf_counter() - began)
        if progress is not None:
            rms = (left / len(components)) ** 0.5 * config.reference_error
            note = f"{z.shape[1]} latents, misfit {rms:.2e} of the continuum per pixel"
            progress(sweep + 1, len(sweeps), note)
        finished = sweep + 1 == len(sweeps)
        due = time.perf_counter() - last_saved >= checkpoint_seconds
        if checkpoint is not None and (due or finished):
            _save(Path(checkpoint), sweep + 1, z, history, run_id)
            last_saved = time.perf_counter()
    assert z is not None
    return Fitted(_decoder(config, degrees, y, z, u), z, history)


def _grown(
    config: ChemicalConfig,
    degrees: Degrees,
    z: Tensor | None,
    y: Tensor,
    u: Tensor,
    n_latent: int,
    n_fitted: int,
    noise: float,
) -> Tensor:
    """Latents and leading components of what they leave; those that bend spectra in front.

    What the noise or an error of a hundredth of the continuum would hide in every star is not
    worth a latent: it would take up whatever the decoder cannot express.
    """
    least = noise**2 + _WORTH
    if z is None:
        terms = smooth_basis(u, config.mean_degree)
        rest = (y - terms @ least_squares(terms, y))[:, :n_fitted]
        z = standardise(_leading(rest, n_latent, least, at_least=1), u)
    elif n_latent > z.shape[1]:
        rest = (y - _decoder(config, degrees, y, z, u)(z, u))[:, :n_fitted]
        z = standardise(torch.cat([z, _leading(rest, n_latent - z.shape[1], least)], dim=1), u)
    if not degrees.bent:
        return z
    return z @ by_curvature(_decoder(config, replace(degrees, bent=0), y, z, u))


def _leading(rest: Tensor, number: int, least: float, at_least: int = 0) -> Tensor:
    """The first principal components, of variance 1, of those whose variance exceeds ``least``."""
    values, vectors = torch.linalg.eigh((rest.T @ rest) / len(rest))
    number = max(at_least, min(number, int((values > least).sum())))
    first = len(values) - number
    return rest @ (vectors[:, first:] * values[first:].clamp(min=1e-12).rsqrt())


def _decoder(
    config: ChemicalConfig, degrees: Degrees, y: Tensor, z: Tensor, u: Tensor
) -> ChemicalDecoder:
    decoder = ChemicalDecoder(z.shape[1], u.shape[1], y.shape[1], degrees)
    decoder.fit(y, z, u, config.ridge)
    return decoder


# --- checkpoints: the latents are the state; a decoder follows from them -------------


def _save(path: Path, sweep: int, z: Tensor, history: FitHistory, run_id: str) -> None:
    header = {"run_id": run_id, "sweep": str(sweep), "history": json.dumps(asdict(history))}
    with atomic_file(path) as temporary:
        safetensors.torch.save_file({"z": z.contiguous()}, temporary, metadata=header)


def _resume(path: Path, run_id: str) -> tuple[int, Tensor, FitHistory]:
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
            z = file.get_tensor("z") if "z" in file.keys() else None  # noqa: SIM118
    except (safetensors.SafetensorError, OSError) as error:
        raise StarkinError(f"The checkpoint {path} cannot be read: {error}; delete it.") from error
    if header.get("run_id") != run_id or z is None:
        raise StarkinError(
            f"The checkpoint {path} belongs to a run with other data or settings; "
            "delete it or name another."
        )
    return int(header["sweep"]), z, FitHistory(**json.loads(header["history"]))
