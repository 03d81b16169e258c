"""Early validation checks see the training and leave it alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from starkin.models.training import History, TrainingSettings, train

SETTINGS = TrainingSettings(
    epochs=2, batch_size=8, learning_rate=0.05, weight_decay=0.0, schedule="constant"
)


class Result:
    def __init__(self, total: torch.Tensor) -> None:
        self.total = total
        self.nats = self.reconstruction = total.detach()
        self.kl = torch.zeros(())


def noisy_square(network):
    """Squared error of noisy input: takes random numbers in training and in validation."""

    def loss(batch, generator, done):
        (x,) = batch
        noise = torch.randn(x.shape, generator=generator)
        return Result(((network(x + 0.1 * noise) - x) ** 2).mean())

    return loss


def run(early_checks: int, checkpoint: Path | None = None, **options):
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.BatchNorm1d(3))
    x = torch.randn(60, 3)
    settings = replace(SETTINGS, early_checks=early_checks)
    loss = noisy_square(network)
    # 50 stars in batches of at most 8: 7 steps an epoch.
    history = train(
        network, (x[:50],), (x[50:],), loss, settings, seed=4, checkpoint=checkpoint, **options
    )
    return network.state_dict(), history


def without_clock(history: History) -> dict[str, object]:
    return {**vars(history), "seconds": None}


def test_checks_are_spread_over_the_first_epoch():
    assert replace(SETTINGS, early_checks=3).early_steps(8) == {2, 4, 6}
    assert replace(SETTINGS, early_checks=4).early_steps(3) == {1, 2}  # no more than there are
    assert replace(SETTINGS, early_checks=4).early_steps(1) == set()
    assert SETTINGS.early_steps(8) == set()


def test_early_checks_change_nothing_in_the_training():
    (plain, before), (checked, after) = run(0), run(3)
    assert all(torch.equal(plain[name], checked[name]) for name in plain)
    assert after.early["step"] == [1, 3, 5]
    assert before.early == {}
    assert without_clock(before) == {**without_clock(after), "early": {}}
    # They fall between the start and the end of the first epoch, in loss as in time.
    early = after.early["validation"]
    assert after.start > early[0] > early[1] > early[2] > after.validation[0]


@pytest.mark.parametrize("killed_after", [2, 3, 4])
def test_a_resumed_run_has_the_same_early_checks(killed_after, tmp_path, monkeypatch):
    from starkin.models import training

    class Killed(Exception):
        pass

    saves, save = 0, training._save

    def save_then_die(*args):
        nonlocal saves
        save(*args)
        saves += 1
        if saves == killed_after:
            raise Killed

    path = tmp_path / "run.safetensors"
    monkeypatch.setattr(training, "_save", save_then_die)
    with pytest.raises(Killed):
        run(3, path, checkpoint_seconds=0)
    monkeypatch.setattr(training, "_save", save)
    weights, resumed = run(3, path)
    expected, whole = run(3)
    assert all(torch.equal(weights[name], expected[name]) for name in weights)
    assert without_clock(resumed) == without_clock(whole)


def test_progress_hears_of_early_checks():
    told = []
    run(3, progress=lambda done, total, text: told.append((done, total, text.split(",")[0])))
    assert told[1:4] == [(0, 2, "step 1"), (0, 2, "step 3"), (0, 2, "step 5")]
    assert told[-1][:2] == (2, 2)
