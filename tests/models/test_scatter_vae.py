"""Settings, the imported checkpoint, and what is particular to the scatter VAE."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from starkin.models import Preprocessing, ScatterVAE, ScatterVAEConfig, import_checkpoint
from starkin.models.scatter_training import add_noise, hide_a_band
from starkin.spectra import SpectrumSet, StarkinError, XPGrid
from starkin.spectra.flags import Flag
from starkin.spectra.photometry import normalise
from starkin.spectra.transform import Standardiser

from .worlds import linear_spectra


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"n_latent": 0}, "n_latent"),
        ({"n_latent": 2.5}, "n_latent"),
        ({"learning_rate": -1.0}, "learning_rate"),
        ({"recipe": "best"}, "recipe"),
        ({"schedule": "none"}, "schedule"),
        ({"loss_normalisation": "median"}, "loss_normalisation"),
        ({"encoder": [90, 0]}, "encoder"),
        ({"epochs": True}, "epochs"),
        ({"band_dropout": 1.5}, "band_dropout"),
        ({"recipe": "laroche-speagle", "decoder": [5]}, "mirrors"),
        ({"latents": 6}, "Unknown setting 'latents'"),
    ],
)
def test_bad_settings_are_refused_by_name(settings: dict[str, object], match: str) -> None:
    with pytest.raises(StarkinError, match=match):
        ScatterVAEConfig.from_dict(settings)


@pytest.mark.parametrize("recipe", ["starkin", "laroche-speagle"])
def test_settings_survive_json(recipe: str) -> None:
    config = ScatterVAEConfig.from_dict({"recipe": recipe, "n_latent": 4})
    assert ScatterVAEConfig.from_dict(config.to_dict()) == config


def test_published_recipe_is_as_published() -> None:
    config = ScatterVAEConfig(recipe="laroche-speagle")
    training = config.training()
    assert (config.n_latent, config.encoder) == (6, (90, 70, 50, 30, 10))
    assert (training.epochs, training.batch_size, training.learning_rate) == (5000, 1024, 1e-4)
    assert (training.schedule, training.restart_epochs) == ("cosine-restarts", 500)
    assert config.validation_fraction == 0.1
    # torch's own AdamW: the same decay for every parameter.
    assert training.weight_decay == 0.01
    assert not training.decay_matrices_only


def test_learning_rates_by_hand() -> None:
    cosine = ScatterVAEConfig(recipe="laroche-speagle").training()
    assert cosine.rate(0, 10) == pytest.approx(1e-4)
    assert cosine.rate(2500, 10) == pytest.approx(0.5e-4)  # epoch 250 of 500
    assert cosine.rate(5000, 10) == pytest.approx(1e-4)  # restarted
    cycle = ScatterVAEConfig(epochs=10, learning_rate=1.0).training()
    rates = [cycle.rate(step, 10) for step in range(100)]
    assert rates[9] == max(rates) == 1.0
    assert rates[0] == pytest.approx(0.25 + 0.75 * 0.1)
    assert rates[55] == pytest.approx(0.5)
    assert rates[-1] < 1e-3


def test_matches_the_released_checkpoint(shared: Path, tmp_path: Path) -> None:
    model = import_checkpoint(shared / "xp_vae" / "epoch_1000_weight.pt")
    golden = {
        k: torch.from_numpy(v)
        for k, v in np.load(shared / "xp_vae" / "epoch_1000_golden.npz").items()
    }

    def check(model: ScatterVAE) -> None:
        posterior = model.encode_standardised(golden["x"])
        with torch.no_grad():
            x_hat, variance = model.network.decode(golden["mu"])
        for got, name in (
            (posterior.mean, "mu"),
            (2 * posterior.log_scale, "log_var"),
            (x_hat, "x_hat"),
            (variance.sqrt(), "scatter"),
        ):
            torch.testing.assert_close(got, golden[name], atol=1e-5, rtol=1e-5)

    check(model)
    model.save(tmp_path / "imported")
    loaded = ScatterVAE.load(tmp_path / "imported")
    check(loaded)
    assert loaded.model_id == model.model_id


def test_import_needs_statistics_for_raw_spectra(shared: Path, spectra: SpectrumSet) -> None:
    model = import_checkpoint(shared / "xp_vae" / "epoch_1000_weight.pt")
    with pytest.raises(StarkinError, match="with_preprocessing"):
        model.encode(spectra)
    ready = model.with_preprocessing(Preprocessing.fit(spectra))
    latents = ready.encode(spectra)
    assert latents.usable.all()
    assert ready.model_id != model.model_id
    assert np.isfinite(ready.score(spectra)["log_likelihood"]).all()


def test_import_refuses_other_files(tmp_path: Path) -> None:
    for name, content in (("w.pt", b"not torch"), ("config.json", b"{}")):
        (tmp_path / name).write_bytes(content)
    with pytest.raises(StarkinError, match="no configuration"):
        import_checkpoint(tmp_path / "w.pt")
    (tmp_path / "config.json").write_text(
        '{"nn_config": {"latent_dim": 6, "input_dim": 110, "intermediate_layers": [90, 10]}}'
    )
    with pytest.raises(StarkinError, match="no checkpoint"):
        import_checkpoint(tmp_path / "w.pt")
    torch.save({"model_state_dict": {"mu.weight": torch.zeros(2)}}, tmp_path / "w.pt")
    with pytest.raises(StarkinError, match="does not fit"):
        import_checkpoint(tmp_path / "w.pt")
    with pytest.raises(StarkinError, match="does not exist"):
        import_checkpoint(tmp_path / "absent.pt")


def test_preparation_by_rows_equals_normalise_and_standardise(spectra: SpectrumSet) -> None:
    preprocessing = Preprocessing.fit(spectra)
    normalised = normalise(spectra)
    expected = Standardiser.fit(normalised).transform(normalised)
    for given in (spectra, normalised):
        got = preprocessing(given)
        assert np.array_equal(~got.used.numpy(), expected.mask)
        np.testing.assert_allclose(got.x, expected.values, atol=2e-5)
        np.testing.assert_allclose(got.sigma, expected.errors, rtol=1e-5)


def test_fast_encoding_of_a_set_agrees_with_the_network(spectra: SpectrumSet) -> None:
    model = ScatterVAE(ScatterVAEConfig(epochs=2), threads=1).fit(spectra, seed=0)
    model.threads = 2
    assert model.preprocessing is not None
    latents = model.encode(spectra)
    reference = model.encode_standardised(*model.preprocessing(spectra).tensors)
    np.testing.assert_allclose(latents.mean, reference.mean, atol=1e-4)
    np.testing.assert_allclose(latents.covariance, reference.covariance(), atol=1e-4)


def test_standardisation_is_learnt_on_the_training_part_alone(spectra: SpectrumSet) -> None:
    train, validation = spectra[:300], spectra[300:]
    shifted = validation.replace(values=validation.values * 3)
    model = ScatterVAE(ScatterVAEConfig(epochs=1), threads=1).fit(train, shifted, seed=0)
    assert model.preprocessing is not None
    expected = Standardiser.fit(normalise(train))
    np.testing.assert_allclose(model.preprocessing.standardiser.mean, expected.mean, rtol=1e-12)


def test_hidden_bands() -> None:
    grid, used = XPGrid(), torch.ones(20_000, 110, dtype=torch.bool)
    used[0, :55] = False
    hidden = hide_a_band(used, grid, 0.4, torch.Generator().manual_seed(0))
    bp, rp = ~hidden[1:, :55].any(1), ~hidden[1:, 55:].any(1)
    assert bp.float().mean().item() == pytest.approx(0.2, abs=0.01)
    assert rp.float().mean().item() == pytest.approx(0.2, abs=0.01)
    assert not (bp & rp).any()
    for seed in range(20):  # the star that has RP alone never loses it
        again = hide_a_band(used[:1], grid, 0.9, torch.Generator().manual_seed(seed))
        assert torch.equal(again, used[:1])


def test_strange_spectra_score_and_are_flagged(spectra: SpectrumSet) -> None:
    model = ScatterVAE(ScatterVAEConfig(epochs=20, n_latent=3), threads=1).fit(spectra, seed=0)
    values = spectra.values.copy()
    values[200] = values[200][::-1]  # a spectrum turned around resembles nothing
    scores = model.score(spectra.replace(values=values))
    assert np.argmax(scores["outlier_score"]) == 200
    far = spectra.values.copy()
    far[200] *= 1000
    assert model.encode(spectra.replace(values=far)).flags[200] & Flag.FAR_FROM_TRAINING


def test_too_few_stars(spectra: SpectrumSet) -> None:
    with pytest.raises(StarkinError, match=r"two different values|usable spectra"):
        ScatterVAE().fit(spectra[100:101])
    with pytest.raises(StarkinError, match="usable spectra"):
        ScatterVAE().fit(spectra.replace(mask=np.ones_like(spectra.mask)))


def test_wrong_latents_are_refused(spectra: SpectrumSet) -> None:
    model = ScatterVAE(ScatterVAEConfig(epochs=1), threads=1).fit(spectra)
    with pytest.raises(StarkinError, match="6 latent dimensions"):
        model.decode(np.zeros((3, 5)))


def test_added_noise_keeps_errors_honest() -> None:
    """Values leave the truth by exactly as much as the new errors say, for half the stars."""
    sigma = torch.full((40_000, 5), 0.1)
    x, errors = add_noise(sigma * 0, sigma, 3.0, torch.Generator().manual_seed(0))
    touched = errors[:, 0] > sigma[:, 0]
    assert touched.float().mean().item() == pytest.approx(0.5, abs=0.01)
    assert errors.max().item() == pytest.approx(0.1 * 10**0.5, rel=1e-3)
    expected = (errors**2 - sigma**2).mean()
    assert (x**2).mean().item() == pytest.approx(expected.item(), rel=0.03)
    assert x[~touched].abs().max().item() < 1e-3


@pytest.mark.science
def test_hiding_bands_in_training_helps_stars_that_lack_one() -> None:
    """Against the full spectrum's latents, those from RP alone are nearer with dropout."""
    train, test = linear_spectra(4000, 5), linear_spectra(500, 6)
    mask = np.zeros_like(test.mask)
    mask[:, test.grid.band("bp")] = True
    error = {}
    for dropout in (0.0, 0.2):
        config = ScatterVAEConfig(epochs=10, n_latent=3, band_dropout=dropout)
        model = ScatterVAE(config, threads=1).fit(train, seed=0)
        whole, half = model.encode(test), model.encode(test.replace(mask=mask))
        pull = (half.mean - whole.mean) / np.sqrt(half.variance + whole.variance)
        error[dropout] = float(np.sqrt(np.mean(pull**2)))
    assert error[0.2] < 1.3
    assert error[0.2] < 0.7 * error[0.0]
