"""One plain training loop for every network: in-memory tensors, seeded, resumable.

Every random number comes from one generator whose state is part of the
checkpoint, and the learning rate is a function of the step, so that a run that
was killed and resumed ends with the same bits as one that was not.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from ..io.atomic import atomic_file
from ..spectra import StarkinError
from .base import Progress

__all__ = ["History", "LossResult", "TrainingSettings", "explicit_threads", "run_id", "train"]

Batch = tuple[Tensor, ...]


class LossResult(Protocol):
    """What a loss returns: ``total`` carries the gradient, ``nats`` is what is compared."""

    @property
    def total(self) -> Tensor: ...
    @property
    def nats(self) -> Tensor: ...
    @property
    def reconstruction(self) -> Tensor: ...
    @property
    def kl(self) -> Tensor: ...


#: Called with (batch, generator, step done / steps in all); the batch is on the device.
Loss = Callable[[Batch, torch.Generator, float], LossResult]


#: Where the rise of a one-cycle schedule begins, as a part of the largest rate. From 0 the
#: first epochs are wasted; from here the first epoch alone passes the published recipe's 100th.
_START = 0.25


@dataclass(frozen=True)
class TrainingSettings:
    """How to train.

    Parameters
    ----------
    epochs : int
    batch_size : int
        At most; an epoch is cut into equal batches.
    learning_rate : float
        Largest learning rate of the schedule.
    weight_decay : float
        Decoupled (AdamW); biases and vectors are spared when ``decay_matrices_only``.
    schedule : {"one-cycle", "cosine-restarts", "constant"}
        ``"one-cycle"``: linear rise from a quarter of the largest rate over ``warm_up``
        of all steps, then a cosine to 0.
        ``"cosine-restarts"``: a cosine from the largest rate to 0 every
        ``restart_epochs``, stepped once an epoch (Laroche & Speagle 2025).
        ``"constant"``: the largest rate throughout.
    patience : int
        Stop after so many epochs without a better validation loss; 0 never stops.
    clip : float
        Largest gradient norm; 0 for none.
    restore_best : bool
        End with the weights of the best validation epoch rather than the last.
    early_checks : int
        Validation checks within the first epoch, which may decide a quick run. They are
        kept in the history and change nothing in the training.
    """

    epochs: int
    batch_size: int
    learning_rate: float
    weight_decay: float
    schedule: Literal["one-cycle", "cosine-restarts", "constant"]
    warm_up: float = 0.1
    restart_epochs: int = 500
    patience: int = 0
    clip: float = 0.0
    decay_matrices_only: bool = True
    restore_best: bool = True
    early_checks: int = 0

    def early_steps(self, steps_per_epoch: int) -> set[int]:
        """Steps of the first epoch, counted from 1, after which validation is checked."""
        parts = self.early_checks + 1
        return {steps_per_epoch * i // parts for i in range(1, parts)} - {0, steps_per_epoch}

    def rate(self, step: int, steps_per_epoch: int) -> float:
        """Learning rate at a step counted from 0."""
        if self.schedule == "constant":
            return self.learning_rate
        if self.schedule == "cosine-restarts":
            phase = (step // steps_per_epoch) % self.restart_epochs / self.restart_epochs
            return self.learning_rate * 0.5 * (1 + math.cos(math.pi * phase))
        steps = self.epochs * steps_per_epoch
        rise = max(1, round(self.warm_up * steps))
        if step < rise:
            return self.learning_rate * (_START + (1 - _START) * (step + 1) / rise)
        return self.learning_rate * 0.5 * (1 + math.cos(math.pi * (step - rise) / (steps - rise)))


@dataclass
class History:
    """One entry an epoch; all losses in nats per star without the 2π constant.

    ``train`` is the mean over an epoch of the loss as trained on, augmentation and
    all: it may lie above ``validation``. ``start`` is the validation loss before
    the first step; ``early`` has the checks within the first epoch, as columns
    ``step`` and ``validation``.
    """

    start: float = math.inf
    early: dict[str, list[float]] = field(default_factory=dict)
    train: list[float] = field(default_factory=list)
    validation: list[float] = field(default_factory=list)
    validation_reconstruction: list[float] = field(default_factory=list)
    validation_kl: list[float] = field(default_factory=list)
    learning_rate: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    best_epoch: int = -1
    stopped_early: bool = False

    @property
    def best(self) -> float:
        """Least validation loss; ``best_epoch`` is −1 where that is the start's."""
        return self.validation[self.best_epoch] if self.best_epoch >= 0 else self.start


def run_id(identity: dict[str, Any]) -> str:
    """Fingerprint of all that decides a training run, by which a checkpoint knows its own."""
    return hashlib.sha256(json.dumps(identity).encode()).hexdigest()[:16]


@contextmanager
def explicit_threads(n: int) -> Iterator[None]:
    """Let torch use ``n`` threads in the block, 0 for as many as it had."""
    before = torch.get_num_threads()
    if n:
        torch.set_num_threads(n)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@dataclass
class _State:
    """Where a run stands; everything that a checkpoint keeps beside tensors."""

    epoch: int = 0
    batch: int = 0
    epoch_loss: float = 0.0
    epoch_stars: int = 0
    elapsed: float = 0.0
    history: History = field(default_factory=History)


def train(
    network: nn.Module,
    data: Batch,
    validation: Batch,
    loss: Loss,
    settings: TrainingSettings,
    *,
    seed: int,
    device: str = "cpu",
    checkpoint: str | os.PathLike[str] | None = None,
    checkpoint_seconds: float = 30.0,
    run_id: str = "",
    progress: Progress | None = None,
) -> History:
    """Train ``network`` in place.

    Parameters
    ----------
    network : nn.Module
        Changed in place.
    data, validation : tuple of Tensor, shape (n_stars, …) each
        Row i of every tensor belongs to star i.
    loss : callable
        Maps a batch, a generator and the fraction of the run done to a result
        with ``total``. In validation it is called with the network in evaluation
        mode and the same generator state every time.
    settings : TrainingSettings
        How to train.
    seed : int
        Decides the order of the stars and all noise.
    device : str
        Where the network and the tensors go.
    checkpoint : path-like, optional
        File to resume from if it exists, and to keep up to date.
    checkpoint_seconds : float
        Least time between two checkpoints [s]; 0 writes one after every step.
    run_id : str
        Fingerprint of data and settings; a checkpoint of another run is refused.
    progress : callable, optional
        Told of every epoch.

    Raises
    ------
    StarkinError
        If there are too few stars, the checkpoint is damaged or belongs to
        another run, or the loss stops being finite.
    """
    n = len(data[0])
    if n < 2 or len(validation[0]) < 1:
        raise StarkinError(f"Training needs at least 2 stars and 1 for validation, got {n}.")
    network.to(device)
    data = tuple(t.to(device) for t in data)
    validation = tuple(t.to(device) for t in validation)
    # Batches of equal size, to a star, and no remainder: a last batch of a few stars would
    # give one step of far noisier gradient, and BatchNorm fails on a single one.
    steps_per_epoch = math.ceil(n / settings.batch_size)
    bounds = [n * k // steps_per_epoch for k in range(steps_per_epoch + 1)]
    optimiser = _adamw(network, settings)
    generator = torch.Generator(device).manual_seed(seed)
    state, best = _State(), _copy(network)
    if checkpoint is not None and Path(checkpoint).exists():
        state, best = _resume(Path(checkpoint), network, optimiser, generator, run_id)
    else:
        state.history.start = evaluate(network, validation, loss, seed=seed)[0]
        if progress is not None:
            progress(0, settings.epochs, f"start, validation {state.history.start:.3f} nat/star")
    history = state.history
    started = last_saved = time.perf_counter()
    before = state.elapsed
    total_steps = settings.epochs * steps_per_epoch
    early_steps = settings.early_steps(steps_per_epoch)

    while state.epoch < settings.epochs and not history.stopped_early:
        # The order is drawn from its own seed, so a resumed epoch has the same one.
        order = _order(n, seed, state.epoch).to(device)
        network.train()
        for k in range(state.batch, steps_per_epoch):
            rows = order[bounds[k] : bounds[k + 1]]
            step = state.epoch * steps_per_epoch + k
            for group in optimiser.param_groups:
                group["lr"] = settings.rate(step, steps_per_epoch)
            optimiser.zero_grad(set_to_none=True)
            result = loss(tuple(t[rows] for t in data), generator, step / total_steps)
            result.total.backward()
            if settings.clip:
                nn.utils.clip_grad_norm_(network.parameters(), settings.clip, foreach=True)
            optimiser.step()
            state.batch = k + 1
            state.epoch_loss += float(result.nats) * len(rows)
            state.epoch_stars += len(rows)
            if step + 1 in early_steps:
                early = evaluate(network, validation, loss, seed=seed)[0]
                network.train()
                history.early.setdefault("step", []).append(step + 1)
                history.early.setdefault("validation", []).append(early)
                if progress is not None:
                    line = f"step {step + 1}, validation {early:.3f} nat/star"
                    progress(0, settings.epochs, line)
            state.elapsed = before + time.perf_counter() - started
            if checkpoint is not None and time.perf_counter() - last_saved >= checkpoint_seconds:
                _save(Path(checkpoint), network, optimiser, generator, state, best, run_id)
                last_saved = time.perf_counter()
        if not math.isfinite(state.epoch_loss):
            raise StarkinError(
                f"Training diverged in epoch {state.epoch + 1} (the loss is not finite); "
                "lower learning_rate."
            )
        held_out = evaluate(network, validation, loss, seed=seed)
        history.train.append(state.epoch_loss / state.epoch_stars)
        history.validation.append(held_out[0])
        history.validation_reconstruction.append(held_out[1])
        history.validation_kl.append(held_out[2])
        history.learning_rate.append(optimiser.param_groups[0]["lr"])
        state.elapsed = before + time.perf_counter() - started
        history.seconds.append(state.elapsed)
        if held_out[0] < history.best:
            history.best_epoch, best = state.epoch, _copy(network)
        waited = state.epoch - history.best_epoch
        history.stopped_early = bool(settings.patience) and waited >= settings.patience
        state.epoch, state.batch = state.epoch + 1, 0
        state.epoch_loss, state.epoch_stars = 0.0, 0
        if progress is not None:
            line = f"loss {history.train[-1]:.3f}, validation {held_out[0]:.3f} nat/star"
            progress(state.epoch, settings.epochs, line)
    if checkpoint is not None:
        _save(Path(checkpoint), network, optimiser, generator, state, best, run_id)
    if settings.restore_best:
        network.load_state_dict(best)
    network.eval()
    return history


@torch.no_grad()
def evaluate(
    network: nn.Module, data: Batch, loss: Loss, *, seed: int, chunk: int = 8192
) -> tuple[float, float, float]:
    """Mean (−ELBO, reconstruction, KL) [nat per star] in evaluation mode, the same every time."""
    network.eval()
    generator = torch.Generator(data[0].device).manual_seed(seed + 1)
    sums = [0.0, 0.0, 0.0]
    n = len(data[0])
    for start in range(0, n, chunk):
        batch = tuple(t[start : start + chunk] for t in data)
        result = loss(batch, generator, 1.0)
        for i, part in enumerate((result.nats, result.reconstruction, result.kl)):
            sums[i] += float(part) * len(batch[0]) / n
    return sums[0], sums[1], sums[2]


def _order(n: int, seed: int, epoch: int) -> Tensor:
    generator = torch.Generator().manual_seed((seed * 1_000_003 + epoch + 1) % 2**63)
    return torch.randperm(n, generator=generator)


def _copy(network: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in network.state_dict().items()}


def _adamw(network: nn.Module, settings: TrainingSettings) -> torch.optim.AdamW:
    parameters = list(network.parameters())
    groups: list[dict[str, Any]] = [{"params": parameters}]
    if settings.decay_matrices_only:
        matrices = [p for p in parameters if p.ndim > 1]
        others = [p for p in parameters if p.ndim <= 1]
        groups = [{"params": matrices}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.AdamW(
        groups, lr=settings.learning_rate, weight_decay=settings.weight_decay, fused=True
    )


# --- checkpoints: one safetensors file, tensors by name, the rest as JSON in its header ---


def _save(
    path: Path,
    network: nn.Module,
    optimiser: torch.optim.Optimizer,
    generator: torch.Generator,
    state: _State,
    best: dict[str, Tensor],
    run_id: str,
) -> None:
    tensors = {f"network.{k}": v for k, v in network.state_dict().items()}
    tensors |= {f"best.{k}": v for k, v in best.items()}
    tensors["generator"] = generator.get_state()
    for index, slots in optimiser.state_dict()["state"].items():
        tensors |= {f"optimiser.{index}.{name}": v for name, v in slots.items()}
    tensors = {k: v.detach().cpu().contiguous().clone() for k, v in tensors.items()}
    header = {"run_id": run_id, "state": json.dumps(asdict(state))}
    with atomic_file(path) as temporary:
        safetensors.torch.save_file(tensors, temporary, metadata=header)


def _resume(
    path: Path,
    network: nn.Module,
    optimiser: torch.optim.Optimizer,
    generator: torch.Generator,
    run_id: str,
) -> tuple[_State, dict[str, Tensor]]:
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (safetensors.SafetensorError, OSError) as error:
        raise StarkinError(f"The checkpoint {path} cannot be read: {error}; delete it.") from error
    if header.get("run_id") != run_id:
        raise StarkinError(
            f"The checkpoint {path} belongs to a run with other data or settings; "
            "delete it or name another."
        )
    content = json.loads(header["state"])
    state = _State(**{**content, "history": History(**content["history"])})
    network.load_state_dict(_part(tensors, "network."))
    slots: dict[int, dict[str, Tensor]] = {}
    for name, tensor in _part(tensors, "optimiser.").items():
        index, slot = name.split(".", 1)
        slots.setdefault(int(index), {})[slot] = tensor
    groups: Sequence[dict[str, Any]] = optimiser.state_dict()["param_groups"]
    optimiser.load_state_dict({"state": slots, "param_groups": groups})
    generator.set_state(tensors["generator"])
    device = next(network.parameters()).device
    return state, {k: v.to(device) for k, v in _part(tensors, "best.").items()}


def _part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
