"""One contract for every model: add a model to ``CASES`` of contract.py and all of this applies."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from starkin.io.latents import Latents
from starkin.spectra import SpectrumSet, StarkinError, XPGrid
from starkin.spectra.flags import Flag

from .contract import Case, as_decoded, conditions_of, every_model, every_network, trained, world


@pytest.fixture
def spectra(case: Case) -> SpectrumSet:
    return world(case.world).train


@pytest.fixture
def new_spectra(case: Case) -> SpectrumSet:
    return world(case.world).new


@every_model
def test_shapes_ids_and_flags(case: Case, new_spectra: SpectrumSet) -> None:
    model = trained(case)
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
    partly = new_spectra.mask.any(axis=1)
    assert partly.any()
    assert np.array_equal((latents.flags & Flag.PARTLY_MASKED) != 0, partly)
    if isinstance(new_spectra.grid, XPGrid):
        missing = new_spectra.band_missing("bp")
        assert missing.any()
        assert np.array_equal((latents.flags & Flag.MISSING_BP) != 0, missing)
    decoded = model.decode(latents.mean, conditions_of(model, new_spectra))
    assert decoded.values.shape == decoded.scatter.shape == (n, new_spectra.n_pixels)
    assert (decoded.scatter > 0).all()
    scores = model.score(new_spectra)
    assert scores.colnames[:3] == ["source_id", "log_likelihood", "outlier_score"]
    for name in scores.colnames[1:3]:
        assert np.isfinite(scores[name]).all()


@every_network
def test_every_parameter_has_a_finite_gradient(case: Case, spectra: SpectrumSet) -> None:
    assert case.parameters is not None
    for name, parameter in case.parameters(trained(case), spectra):
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name


@every_model
def test_round_trip_explains_the_spectra(case: Case, new_spectra: SpectrumSet) -> None:
    whole = new_spectra[~new_spectra.mask.any(axis=1)]
    model = trained(case)
    truth = as_decoded(whole)
    residual = truth - model.decode(model.encode(whole).mean, conditions_of(model, whole)).values
    assert 1 - residual.var() / (truth - truth.mean(0)).var() > case.share


@every_model
def test_a_star_s_latents_do_not_depend_on_company(case: Case, new_spectra: SpectrumSet) -> None:
    model = trained(case)
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
def test_masked_values_do_not_matter(case: Case, new_spectra: SpectrumSet) -> None:
    model = trained(case)
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
    assert again.model_id == trained(case).model_id


@every_model
def test_a_star_without_anything_is_flagged(case: Case, new_spectra: SpectrumSet) -> None:
    model = trained(case)
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
    model = trained(case)
    first, again, other = (model.sample(20, seed=s) for s in (1, 1, 2))
    assert first.values.shape == (20, spectra.n_pixels)
    assert np.array_equal(first.values, again.values)
    assert not np.array_equal(first.values, other.values)
    assert model.encode(first).usable.all()


@every_model
def test_save_and_load_give_the_same_numbers(
    case: Case, new_spectra: SpectrumSet, tmp_path: Path
) -> None:
    model = trained(case)
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
    told = conditions_of(model, new_spectra)
    assert np.array_equal(loaded.decode(latents, told).values, model.decode(latents, told).values)


@every_model
def test_another_grid_is_refused(case: Case) -> None:
    with pytest.raises(StarkinError, match=world(case.world).refusal):
        trained(case).encode(world(case.world).other)


@every_model
def test_an_untrained_model_says_so(case: Case, new_spectra: SpectrumSet) -> None:
    with pytest.raises(StarkinError, match="not trained"):
        case.make("cpu").encode(new_spectra)
