"""The contract of training: the same seed gives the same bits, killed and resumed or not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from starkin.models import training
from starkin.spectra import SpectrumSet, StarkinError

from .contract import Case, digest, every_closed_form, every_model, every_network, trained, world


@pytest.fixture
def spectra(case: Case) -> SpectrumSet:
    return world(case.world).train


@pytest.fixture
def new_spectra(case: Case) -> SpectrumSet:
    return world(case.world).new


@every_model
def test_seeded_runs_agree_bit_for_bit(case: Case, spectra: SpectrumSet, tmp_path: Path) -> None:
    trained(case).save(tmp_path / "a")
    torch.manual_seed(99)  # the state outside must not matter
    case.make("cpu").fit(spectra, seed=3).save(tmp_path / "b")
    case.make("cpu").fit(spectra, seed=4).save(tmp_path / "c")
    assert digest(tmp_path / "a") == digest(tmp_path / "b")
    assert digest(tmp_path / "a") != digest(tmp_path / "c")


class Killed(BaseException):
    """Stands for a kill: nothing in the code under test may catch it."""


@every_network
@pytest.mark.parametrize("after", [1, 5])
def test_resumes_bit_for_bit_after_a_kill(
    case: Case, after: int, spectra: SpectrumSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint = tmp_path / "run.safetensors"
    saves, save = 0, training._save

    def save_then_die(*args: object) -> None:
        nonlocal saves
        save(*args)  # type: ignore[arg-type]
        saves += 1
        if saves == after:
            raise Killed

    # Three steps an epoch: one kill within the first epoch, one within the second.
    monkeypatch.setattr(training, "_save", save_then_die)
    with pytest.raises(Killed):
        case.make("cpu").fit(spectra, seed=3, checkpoint=checkpoint, checkpoint_seconds=0)
    monkeypatch.setattr(training, "_save", save)
    resumed = case.make("cpu").fit(spectra, seed=3, checkpoint=checkpoint)
    whole = trained(case)
    assert resumed.model_id == whole.model_id
    without_clock = [{**m.card["history"], "seconds": None} for m in (resumed, whole)]
    assert without_clock[0] == without_clock[1]


@every_network
def test_a_checkpoint_of_another_run_is_refused(
    case: Case, spectra: SpectrumSet, tmp_path: Path
) -> None:
    checkpoint = tmp_path / "run.safetensors"
    case.make("cpu").fit(spectra, seed=3, checkpoint=checkpoint)
    with pytest.raises(StarkinError, match="other data or settings"):
        case.make("cpu").fit(spectra, seed=4, checkpoint=checkpoint)
    for name in getattr(trained(case), "conditions", ()):
        other = spectra.with_labels(**{name: 1.01 * spectra.label(name)})
        with pytest.raises(StarkinError, match="other data or settings"):
            case.make("cpu").fit(other, seed=3, checkpoint=checkpoint)
    checkpoint.write_bytes(checkpoint.read_bytes()[:200])
    with pytest.raises(StarkinError, match="cannot be read"):
        case.make("cpu").fit(spectra, seed=3, checkpoint=checkpoint)


@every_closed_form
def test_a_checkpoint_changes_nothing(case: Case, spectra: SpectrumSet, tmp_path: Path) -> None:
    kept = case.make("cpu").fit(spectra, seed=3, checkpoint=tmp_path / "run", checkpoint_seconds=0)
    assert kept.model_id == trained(case).model_id


@every_model
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_cpu_and_gpu_agree(
    case: Case, spectra: SpectrumSet, new_spectra: SpectrumSet, tmp_path: Path
) -> None:
    model = trained(case)
    model.save(tmp_path / "model")
    on_gpu = type(model).load(tmp_path / "model", device="cuda")  # type: ignore[call-arg]
    np.testing.assert_allclose(
        on_gpu.encode(new_spectra).mean, model.encode(new_spectra).mean, atol=1e-4
    )
    np.testing.assert_allclose(
        on_gpu.score(new_spectra)["log_likelihood"],
        model.score(new_spectra)["log_likelihood"],
        rtol=1e-3,
        atol=1e-2,
    )
    assert case.make("cuda").fit(spectra, seed=3).encode(new_spectra).usable.all()
