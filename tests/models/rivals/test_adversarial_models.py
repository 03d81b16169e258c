"""Settings of the adversarial autoencoders, and the noise that their encoder is shown."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from starkin.models.rivals import FactorDis, FactorDisConfig, Fader, FaderConfig
from starkin.models.rivals.autoencoder import AdversarialAutoencoder
from starkin.spectra import StarkinError

from ..worlds import conditional_spectra


def test_recipes_fill_what_is_left_open() -> None:
    published = FaderConfig(recipe="published", n_latent=12)
    assert published.encoder == (2048, 512, 128)
    assert published.decoder == (512, 2048, 8192)
    assert (published.learning_rate, published.adversary_weight) == (1e-5, 1e-5)
    assert (published.n_latent, published.batch_size, published.components) == (12, 256, 0)
    assert FactorDisConfig(recipe="published").critic_steps == 10
    assert FactorDisConfig(recipe="published").critic_spectra
    assert not FactorDisConfig().critic_spectra
    assert FaderConfig.from_dict(published.to_dict()) == published
    for wrong, named in (
        ({"n_bins": 1}, "n_bins"),
        ({"conditions": ()}, "conditions"),
        ({"conditions": ("teff", "logg", "m_h"), "n_bins": 200}, "n_bins"),
        ({"adversary_weight": -1.0}, "adversary_weight"),
        ({"encoder": ()}, "encoder"),
    ):
        with pytest.raises(StarkinError, match=named):
            FaderConfig(**wrong)  # type: ignore[arg-type]


def test_half_of_the_stars_are_shown_with_noise_of_random_size() -> None:
    """Up to 0.1 in flux, which is 0.4 in the scaled flux; none where nothing is learnt."""
    train = conditional_spectra(100, 1)
    config = FaderConfig(n_latent=2, components=4, epochs=1, added_noise=0.1)
    model = Fader(config, threads=1).fit(train, seed=0)
    x = torch.zeros(2000, 200)
    shown = model._seen_noisy(x, torch.Generator().manual_seed(0))
    assert shown is not None
    size = shown.std(dim=1)
    assert (size == 0).float().mean().item() == pytest.approx(0.5, abs=0.05)
    assert 0.38 < size.max().item() < 0.5
    assert size[size > 0].mean().item() == pytest.approx(0.2, rel=0.1)
    with torch.no_grad():
        assert model._seen_noisy(x, torch.Generator()) is None


@pytest.mark.parametrize("kind", [Fader, FactorDis])
def test_the_published_networks_learn_from_pixels(kind: type[AdversarialAutoencoder]) -> None:
    """The widths and rates of the publication, for a few epochs of a day's training."""
    train = conditional_spectra(140, 1, masked=True)
    config = {"recipe": "published", "epochs": 2, "batch_size": 64}
    if kind is FactorDis:
        config["critic_steps"] = 1
    model = kind(kind.config_class.from_dict(config), threads=1).fit(train, seed=0)
    assert model._compression is None
    widths = [tuple(p.shape) for n, p in model._network.named_parameters() if "weight" in n]
    assert widths == [
        (2048, 62), (512, 2048), (128, 512), (20, 128),
        (512, 22), (2048, 512), (8192, 2048), (60, 8192),
    ]  # fmt: skip
    history = model.card["history"]
    assert history["validation"][-1] < 0.7 * history["start"]
    assert history["learning_rate"] == [1e-5] * 2
    new = conditional_spectra(10, 2, masked=True)
    latents = model.encode(new)
    u = np.column_stack([new.label(c) for c in model.conditions])
    decoded = model.decode(latents.mean, u)
    assert np.isfinite(decoded.values).all()
    assert decoded.values.shape == (10, 60)
    assert np.linalg.eigvalsh(latents.covariance_matrices()).min() > 0
