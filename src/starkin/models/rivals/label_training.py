"""What label-dependent models that are trained step by step share."""

from __future__ import annotations

import hashlib
import os
from abc import abstractmethod
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

from ...spectra.strict import require_range
from .. import training
from ..base import Progress
from .label_model import LabelModel, TrainingSet
from .label_settings import LabelSettings

__all__ = ["TrainedLabelModel", "TrainedLabelSettings"]


@dataclass(frozen=True)
class TrainedLabelSettings(LabelSettings):
    """Settings of every label-dependent model that is trained step by step.

    Parameters
    ----------
    epochs, batch_size : int
    learning_rate, weight_decay : float
        One-cycle schedule with AdamW.
    patience : int
        Epochs without improvement before training stops; 0 never stops.
    clip : float
        Largest gradient norm; 0 for none.
    """

    epochs: int = 60
    batch_size: int = 256
    learning_rate: float = 5e-3
    weight_decay: float = 1e-3
    patience: int = 20
    clip: float = 100.0

    def __post_init__(self) -> None:
        super().__post_init__()
        require_range(self, "epochs", 1, 1_000_000)
        require_range(self, "batch_size", 2, 10_000_000)
        require_range(self, "learning_rate", 1e-9, 10.0)
        require_range(self, "weight_decay", 0.0, 10.0)
        require_range(self, "patience", 0, 1_000_000)
        require_range(self, "clip", 0.0, 1e12)

    def training(self) -> training.TrainingSettings:
        """The part that the training loop needs."""
        return training.TrainingSettings(
            epochs=self.epochs,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            weight_decay=self.weight_decay,
            schedule="one-cycle",
            patience=self.patience,
            clip=self.clip,
        )


class TrainedLabelModel(LabelModel):
    """A label-dependent model whose network descends a loss: what is left is to say which."""

    config_class: ClassVar[type] = TrainedLabelSettings

    @abstractmethod
    def loss(self, network: Any) -> training.Loss:
        """Of a :meth:`batch`."""

    def batch(self, data: TrainingSet) -> training.Batch:
        """What the loss needs of each star: x, σ, used, labels, or more."""
        return (*data.data.tensors, data.labels)

    def start(self, network: Any, data: training.Batch) -> None:
        """Set first weights that follow from the training data in closed form."""

    def finish(self, network: Any, validation: TrainingSet) -> dict[str, float]:
        """Set what follows from the trained weights; metrics beside the loss."""
        return {}

    def learn(
        self,
        network: Any,
        train: TrainingSet,
        validation: TrainingSet,
        *,
        seed: int,
        checkpoint: str | os.PathLike[str] | None,
        checkpoint_seconds: float,
        progress: Progress | None,
    ) -> dict[str, Any]:
        data, held_out = self.batch(train), self.batch(validation)
        self.start(network, data)
        history = training.train(
            network,
            data,
            held_out,
            self.loss(network),
            self.config.training(),
            seed=seed,
            device=self.device,
            checkpoint=checkpoint,
            checkpoint_seconds=checkpoint_seconds,
            run_id=_run_id(self.config.to_dict(), seed, train, validation),
            progress=progress,
        )
        metrics = self.finish(network, validation)
        metrics |= {"best_epoch": history.best_epoch, "validation": history.best}
        return {"metrics": metrics, "history": asdict(history)}


def _run_id(
    settings: dict[str, Any], seed: int, train: TrainingSet, validation: TrainingSet
) -> str:
    """Fingerprint of all that decides a training run."""
    labels = [hashlib.sha256(s.labels.numpy().tobytes()).hexdigest() for s in (train, validation)]
    identity = {
        "settings": settings,
        "seed": seed,
        "train": train.spectra.fingerprint,
        "validation": validation.spectra.fingerprint,
        "labels": labels,
    }
    return training.run_id(identity)
