"""One contract for every model: add a model to ``CASES`` and all of this applies to it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from starkin.io.latents import Latents
from starkin.models import ScatterVAE, ScatterVAEConfig, SpectrumModel, training
from starkin.models.scatter_training import elbo_loss
from starkin.spectra import SpectrumSet, StarkinError, XPGrid
from starkin.spectra.flags import Flag


@dataclass(frozen=True)
class Case:
    """A model under the contract.

    ``make`` gives an untrained model for a device that trains within seconds;
    ``parameters`` the network's named parameters after one backward pass of the
    training loss on the spectra; ``share`` the part of the variance that a round
    trip through the latents must explain.
    """

    name: str
    make: Callable[[str], SpectrumModel]
    parameters: Callable[[SpectrumModel, SpectrumSet], Iterator[tuple[str, Tensor]]]
    share: float


def _scatter(**settings: object) -> Callable[[str], ScatterVAE]:
    config = {"epochs": 8, "batch_size": 100, "learning_rate": 1e-2, "n_latent": 4, **settings}
    return lambda device: ScatterVAE(ScatterVAEConfig.from_dict(config), device=device, threads=1)


def _scatter_parameters(model: SpectrumModel, spectra: SpectrumSet) -> Iterator[tuple[str, Tensor]]:
    assert isinstance(model, ScatterVAE)
    assert model.preprocessing is not None
    network = deepcopy(model.network).train()  # BatchNorm remembers what passes through it
    loss = elbo_loss(network, model.config, spectra.grid)
    loss(
        model.preprocessing(spectra).tensors, torch.Generator().manual_seed(0), 1.0
    ).total.backward()
    return network.named_parameters()


CASES = [
    Case("scatter-vae", _scatter(), _scatter_parameters, share=0.8),
    Case(
        "scatter-vae-dropout-warm-up",
        _scatter(band_dropout=0.3, kl_warm_up=0.5, patience=5),
        _scatter_parameters,
        share=0.8,
    ),
    Case(
        "laroche-speagle",
        _scatter(recipe="laroche-speagle", epochs=3),
        _scatter_parameters,
        share=-0.1,
    ),
    Case(
        "laroche-speagle-mean",
        _scatter(recipe="laroche-speagle", epochs=3, loss_normalisation="mean"),
        _scatter_parameters,
        share=-0.1,
    ),
]
every_model = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
_trained: dict[str, SpectrumModel] = {}


def trained(case: Case, spectra: SpectrumSet) -> SpectrumModel:
    """The case's model after its training, made once."""
    if case.name not in _trained:
        _trained[case.name] = case.make("cpu").fit(spectra, seed=3)
    return _trained[case.name]


def digest(directory: Path) -> dict[str, str]:
    """Checksums of what decides the numbers of a model."""
    names = ("config.json", "weights.safetensors", "transform.npz", "grid.npz")
    return {n: hashlib.sha256((directory / n).read_bytes()).hexdigest() for n in names}


@every_model
def test_shapes_ids_and_flags(case: Case, spectra: SpectrumSet, new_spectra: SpectrumSet) -> None:
    model = trained(case, spectra)
    n = len(new_spectra)
    latents = model.encode(new_spectra)
    assert isinstance(latents, Latents)
    assert latents.mean.shape == (n, latents.n_latent)
    assert latents.covariance_matrices().shape == (n, latents.n_latent, latents.n_latent)
    assert np.isfinite(latents.mean).all()
    assert (np.linalg.eigvalsh(latents.covariance_matrices().astype(float)) > 0).all()
    assert np.array_equal(latents.source_id, new_spectra.source_id)
    assert latents.model_id == model.model_id
    assert len(model.model_id) == 16
    missing = new_spectra.band_missing("bp")
    assert missing.any()
    assert np.array_equal((latents.flags & Flag.MISSING_BP) != 0, missing)
    decoded = model.decode(latents.mean)
    assert decoded.values.shape == decoded.scatter.shape == (n, new_spectra.n_pixels)
    assert (decoded.scatter > 0).all()
    scores = model.score(new_spectra)
    assert scores.colnames[:3] == ["source_id", "log_likelihood", "outlier_score"]
    for name in scores.colnames[1:3]:
        assert np.isfinite(scores[name]).all()


@every_model
def test_every_parameter_has_a_finite_gradient(case: Case, spectra: SpectrumSet) -> None:
    for name, parameter in case.parameters(trained(case, spectra), spectra):
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name


@every_model
def test_round_trip_explains_the_spectra(
    case: Case, spectra: SpectrumSet, new_spectra: SpectrumSet
) -> None:
    whole = new_spectra[~new_spectra.mask.any(axis=1)]
    model = trained(case, spectra)
    truth = whole.values / whole.label("phot_g_mean_flux")[:, None]
    residual = truth - model.decode(model.encode(whole).mean).values
    assert 1 - residual.var() / (truth - truth.mean(0)).var() > case.share


@every_model
def test_encoding_and_scoring_do_not_depend_on_company(
    case: Case, spectra: SpectrumSet, new_spectra: SpectrumSet
) -> None:
    model = trained(case, spectra)
    together, alone = model.encode(new_spectra), model.encode(new_spectra[40:41])
    np.testing.assert_allclose(alone.mean[0], together.mean[40], atol=1e-4)
    scores = model.score(new_spectra), model.score(new_spectra[40:41])
    np.testing.assert_allclose(
        scores[1]["log_likelihood"][0], scores[0]["log_likelihood"][40], rtol=1e-4
    )
    again = model.encode(new_spectra)
    assert np.array_equal(together.mean, again.mean)
    assert np.array_equal(together.covariance, again.covariance)


@every_model
def test_masked_values_do_not_matter(
    case: Case, spectra: SpectrumSet, new_spectra: SpectrumSet
) -> None:
    model = trained(case, spectra)
    noisy = new_spectra.replace()
    # Past the constructor, which would make masked numbers harmless by itself.
    noise = np.random.default_rng(0).normal(size=noisy.values.shape) * 1e4
    object.__setattr__(noisy, "values", np.where(noisy.mask, noise, noisy.values))
    object.__setattr__(noisy, "errors", np.where(noisy.mask, np.abs(noise), noisy.errors))
    clean, dirty = model.encode(new_spectra), model.encode(noisy)
    assert np.array_equal(clean.mean, dirty.mean)
    assert np.array_equal(clean.covariance, dirty.covariance)
    for name in ("log_likelihood", "outlier_score"):
        assert np.array_equal(model.score(new_spectra)[name], model.score(noisy)[name])


@every_model
def test_masked_values_do_not_matter_in_training(case: Case, spectra: SpectrumSet) -> None:
    noisy = spectra.replace()
    noise = np.random.default_rng(0).normal(size=noisy.values.shape) * 1e4
    object.__setattr__(noisy, "values", np.where(noisy.mask, noise, noisy.values))
    again = case.make("cpu").fit(noisy, seed=3)
    assert again.model_id == trained(case, spectra).model_id


@every_model
def test_a_star_without_anything_is_flagged_not_guessed(
    case: Case, spectra: SpectrumSet, new_spectra: SpectrumSet
) -> None:
    model = trained(case, spectra)
    mask = new_spectra.mask.copy()
    mask[7] = True
    blind = new_spectra.replace(mask=mask)
    latents = model.encode(blind)
    assert latents.flags[7] & Flag.NOT_ENCODED
    assert np.isnan(latents.mean[7]).all()
    assert latents.usable.sum() == len(blind) - 1
    assert np.isnan(model.score(blind)["outlier_score"][7])


@every_model
def test_samples_are_seeded_and_can_be_encoded(case: Case, spectra: SpectrumSet) -> None:
    model = trained(case, spectra)
    first, again, other = (model.sample(20, seed=s) for s in (1, 1, 2))
    assert first.values.shape == (20, spectra.n_pixels)
    assert np.array_equal(first.values, again.values)
    assert not np.array_equal(first.values, other.values)
    assert model.encode(first).usable.all()


@every_model
def test_save_and_load_give_the_same_numbers(
    case: Case, spectra: SpectrumSet, new_spectra: SpectrumSet, tmp_path: Path
) -> None:
    model = trained(case, spectra)
    model.save(tmp_path / "model")
    loaded = type(model).load(tmp_path / "model")
    assert loaded.model_id == model.model_id
    assert loaded.card == model.card
    assert np.array_equal(loaded.encode(new_spectra).mean, model.encode(new_spectra).mean)
    for name in ("log_likelihood", "outlier_score"):
        np.testing.assert_allclose(
            loaded.score(new_spectra)[name], model.score(new_spectra)[name], rtol=1e-5
        )
    latents = model.encode(new_spectra).mean
    assert np.array_equal(loaded.decode(latents).values, model.decode(latents).values)


@every_model
def test_another_grid_is_refused(case: Case, spectra: SpectrumSet) -> None:
    other = SpectrumSet(np.arange(2), np.ones((2, 106)), np.ones((2, 106)), XPGrid(51, 55))
    with pytest.raises(StarkinError, match="51 BP \\+ 55 RP"):
        trained(case, spectra).encode(other)


@every_model
def test_an_untrained_model_says_so(case: Case, new_spectra: SpectrumSet) -> None:
    with pytest.raises(StarkinError, match="not trained"):
        case.make("cpu").encode(new_spectra)


@every_model
def test_seeded_runs_agree_bit_for_bit(case: Case, spectra: SpectrumSet, tmp_path: Path) -> None:
    trained(case, spectra).save(tmp_path / "a")
    torch.manual_seed(99)  # the state outside must not matter
    case.make("cpu").fit(spectra, seed=3).save(tmp_path / "b")
    case.make("cpu").fit(spectra, seed=4).save(tmp_path / "c")
    assert digest(tmp_path / "a") == digest(tmp_path / "b")
    assert digest(tmp_path / "a") != digest(tmp_path / "c")


class Killed(BaseException):
    """Stands for a kill: nothing in the code under test may catch it."""


@every_model
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
    whole = trained(case, spectra)
    assert resumed.model_id == whole.model_id
    without_clock = [{**m.card["history"], "seconds": None} for m in (resumed, whole)]
    assert without_clock[0] == without_clock[1]


@every_model
def test_a_checkpoint_of_another_run_is_refused(
    case: Case, spectra: SpectrumSet, tmp_path: Path
) -> None:
    checkpoint = tmp_path / "run.safetensors"
    case.make("cpu").fit(spectra, seed=3, checkpoint=checkpoint)
    with pytest.raises(StarkinError, match="other data or settings"):
        case.make("cpu").fit(spectra, seed=4, checkpoint=checkpoint)
    checkpoint.write_bytes(checkpoint.read_bytes()[:200])
    with pytest.raises(StarkinError, match="cannot be read"):
        case.make("cpu").fit(spectra, seed=3, checkpoint=checkpoint)


@every_model
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_cpu_and_gpu_agree(
    case: Case, spectra: SpectrumSet, new_spectra: SpectrumSet, tmp_path: Path
) -> None:
    model = trained(case, spectra)
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
