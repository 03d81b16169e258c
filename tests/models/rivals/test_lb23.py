"""The transformer on tokens: sets in, independent answers out."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from starkin.models.rivals import LB23, LB23Config
from starkin.nets.tokens import TokenTransformer
from starkin.spectra import StarkinError

from ..worlds import linear_spectra


def network() -> TokenTransformer:
    torch.manual_seed(0)
    return TokenTransformer(6, 2, width=8, layers=2, heads=2, summaries=3).double()


VALUES = torch.randn((3, 4), generator=torch.Generator().manual_seed(1)).double()
KINDS = torch.tensor([0, 3, 5, 7])
ALL = torch.ones(3, 4).bool()
ASKED = torch.tensor([1, 6, 2])


def test_tokens_are_a_set() -> None:
    order = torch.tensor([2, 0, 3, 1])
    first = network()(VALUES, KINDS, ALL, ASKED)
    second = network()(VALUES[:, order], KINDS[order], ALL, ASKED)
    torch.testing.assert_close(first, second)


def test_an_answer_does_not_depend_on_other_questions() -> None:
    together = network()(VALUES, KINDS, ALL, ASKED)
    alone = network()(VALUES, KINDS, ALL, ASKED[1:2])
    torch.testing.assert_close(together[0][:, 1:2], alone[0])
    torch.testing.assert_close(together[1][:, 1:2], alone[1])


def test_what_is_not_used_is_as_if_not_told() -> None:
    used = ALL.clone()
    used[:, 2] = False
    masked = network()(VALUES, KINDS, used, ASKED)
    kept = torch.tensor([0, 1, 3])
    absent = network()(VALUES[:, kept], KINDS[kept], ALL[:, kept], ASKED)
    torch.testing.assert_close(masked, absent)
    nothing = network()(VALUES, KINDS, ~ALL, ASKED)
    assert torch.isfinite(nothing[0]).all()


def test_stars_may_be_told_different_things() -> None:
    each = torch.stack([KINDS, KINDS.flip(0), KINDS])
    mean, _ = network()(VALUES, each, ALL, ASKED)
    second, _ = network()(VALUES[1:2], KINDS.flip(0), ALL[1:2], ASKED)
    torch.testing.assert_close(mean[1:2], second)


def test_latents_begin_as_principal_components() -> None:
    """Two directions in six pixels, and noise: both pass through two latents."""
    generator = torch.Generator().manual_seed(3)
    directions = torch.linalg.qr(torch.randn((6, 2), generator=generator))[0].T
    hidden = torch.randn((800, 2), generator=generator) * torch.tensor([3.0, 1.0])
    x = (hidden @ directions + 0.1 * torch.randn((800, 6), generator=generator)).double()
    used = torch.rand((800, 6), generator=generator) > 0.02
    net = network()
    net.start(x[:600], used[:600])
    told = torch.ones((200, 2)).bool()
    z, log_variance = net(x[600:], net.pixels, used[600:], net.labels)
    found, spread = net(z, net.labels, told, net.pixels)
    seen = used[600:].all(dim=1)
    left = (found - x[600:])[seen].square().mean()
    # A hundredth would be the noise; the random layers between are no more than nearly linear.
    assert left < 0.12 * x[600:].square().mean()
    # The latents say that they are known, the pixels how well.
    assert z.std(0).tolist() == pytest.approx([1, 1], abs=0.2)
    assert log_variance.max() < -3
    assert 0.3 < (spread.exp().mean() / left).item() < 3


def test_few_stars_are_enough_to_start_with() -> None:
    config = LB23Config(use="spectrum", n_latent=6, epochs=1, batch_size=4)
    model = LB23(config, threads=1).fit(linear_spectra(6, 1), linear_spectra(5, 2), seed=0)
    assert np.isfinite(model.encode(linear_spectra(4, 3)).mean).all()


@pytest.fixture(scope="module")
def trained() -> LB23:
    config = LB23Config(
        width=16, layers=1, n_told=24, n_asked=24, epochs=12, batch_size=50, learning_rate=1e-2
    )
    return LB23(config, threads=1).fit(linear_spectra(500, 1, labels=True), seed=0)


def test_more_is_known_of_a_label_when_more_is_told(trained: LB23) -> None:
    """Told nothing, the answer is the training stars' own spread; told a spectrum, less."""
    test = linear_spectra(150, 2, labels=True)
    truth = np.column_stack([test.label(n) for n in ("teff", "logg", "m_h")])
    scale = truth.std(axis=0)
    error = {}
    for name, spectra in (("all", test), ("none", test.replace(mask=np.ones_like(test.mask)))):
        found, _ = trained.predict(spectra, ("teff", "logg", "m_h"))
        error[name] = np.sqrt(np.mean(((found - truth) / scale) ** 2))
    assert 0.8 < error["none"] < 1.25
    assert error["all"] < 0.6


def test_encode_and_decode_are_questions(trained: LB23) -> None:
    test = linear_spectra(20, 3, labels=True)
    latents = trained.encode(test)
    found, errors = trained.predict(test, ("teff", "logg", "m_h"))
    np.testing.assert_allclose(latents.mean, found, rtol=1e-9)
    np.testing.assert_allclose(np.sqrt(latents.variance), errors, rtol=1e-9)
    labels = np.column_stack([test.label(n) for n in ("teff", "logg", "m_h")])
    spectra, scatter = trained.predict(test, ("spectrum",), given=("teff", "logg", "m_h"))
    decoded = trained.decode(labels)
    np.testing.assert_allclose(decoded.values, spectra, rtol=1e-7, atol=1e-12)
    np.testing.assert_allclose(decoded.scatter, scatter, rtol=1e-4)


def test_names_it_does_not_know_are_refused(trained: LB23) -> None:
    with pytest.raises(StarkinError, match="knows no 'age'"):
        trained.predict(linear_spectra(2, 0, labels=True), ("age",))
    with pytest.raises(StarkinError, match="multiple of heads"):
        LB23Config(width=10, heads=4)
