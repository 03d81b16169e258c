"""Adversarial autoencoders: reversal, bins, both sides' gradients, noise carried to latents."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from torch import nn

from starkin.nets.adversarial import (
    Adversarial,
    ConditionalAutoencoder,
    critic_loss,
    fader_loss,
    label_bins,
    reverse_gradient,
    selu_mlp,
)

N, K, D = 64, 6, 3


def batch() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(N, K, generator=generator)
    return x, 2 * torch.rand(N, 2, generator=generator) - 1


def network(adversary: nn.Module | None) -> Adversarial:
    return Adversarial(ConditionalAutoencoder(K, 2, D, [8], [8]), adversary)


def classifier() -> nn.Module:
    return selu_mlp([D, 8, 9])


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


def fader(net: Adversarial, weight: float, **changes: object):
    x, u = batch()
    settings = {"weight": weight, "n_bins": 3, "entropy": math.log(9), "n_pixels": K, **changes}
    return fader_loss(net, x, u, None, **settings)  # type: ignore[arg-type]


def test_reversal_keeps_values_and_turns_gradients():
    x = torch.tensor([1.0, 2.0], requires_grad=True)
    y = reverse_gradient(x, 0.5)
    assert torch.equal(y, x)
    (3 * y).sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [-1.5, -1.5]


def test_bins_by_hand():
    u = torch.tensor([[-1.0, -1.0], [-1.0, 0.99], [0.0, 0.0], [1.0, 1.0], [-5.0, 3.0]])
    assert label_bins(u, 10).tolist() == [0, 9, 55, 99, 9]
    assert label_bins(torch.tensor([[-0.9, -0.9, 0.9]]), 4).tolist() == [3]


def test_one_step_on_the_sum_is_one_step_of_each_side():
    """MSE − λ·CE for the autoencoder and CE for the adversary, each with its own Adam."""
    weight, x, u = 0.3, *batch()
    ours = network(classifier())
    theirs = copy.deepcopy(ours)
    optimiser = torch.optim.Adam(ours.parameters(), lr=1e-2)
    sides = [
        torch.optim.Adam(part.parameters(), lr=1e-2)
        for part in (theirs.autoencoder, theirs.adversary)
    ]
    for _ in range(3):
        optimiser.zero_grad()
        fader(ours, weight).total.backward()
        optimiser.step()
        z = theirs.autoencoder.encode(x, u)
        mse = ((x - theirs.autoencoder.decode(z, u)) ** 2).mean()
        assert theirs.adversary is not None
        cross_entropy = nn.functional.cross_entropy(theirs.adversary(z), label_bins(u, 3))
        first = torch.autograd.grad(
            mse - weight * cross_entropy, list(theirs.autoencoder.parameters()), retain_graph=True
        )
        second = torch.autograd.grad(cross_entropy, list(theirs.adversary.parameters()))
        for part, gradients, side in zip(
            (theirs.autoencoder, theirs.adversary), (first, second), sides, strict=True
        ):
            for parameter, gradient in zip(part.parameters(), gradients, strict=True):
                parameter.grad = gradient
            side.step()
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(a, b)


def test_the_fader_s_information_is_that_of_the_adversary():
    """Latents that are the labels give it all away; constant ones nothing."""

    class Oracle(nn.Module):
        def forward(self, z: torch.Tensor) -> torch.Tensor:
            return 1e4 * nn.functional.one_hot(label_bins(z[:, :2], 3), 9).float()

    net = network(Oracle())
    net.autoencoder.encode = lambda x, u: torch.cat([u, u[:, :1]], dim=1)  # type: ignore[method-assign]
    assert fader(net, 0.1).information.item() == pytest.approx(math.log(9), abs=1e-4)

    class Ignorant(nn.Module):
        def forward(self, z: torch.Tensor) -> torch.Tensor:
            return torch.zeros(len(z), 9)

    assert fader(network(Ignorant()), 0.1).information.item() == pytest.approx(0, abs=1e-5)


def test_without_adversary_only_the_error_is_left():
    x, u = batch()
    net = network(None)
    result = fader(net, 0.0)
    mse = ((x - net.autoencoder.decode(net.autoencoder.encode(x, u), u)) ** 2).mean()
    torch.testing.assert_close(result.total, mse)
    torch.testing.assert_close(result.nats, 0.5 * K * mse)
    # Compressed inputs: the same squares, shared by all pixels of the spectrum.
    torch.testing.assert_close(fader(net, 0.0, n_pixels=10 * K).mse, mse / 10)


def test_masked_pixels_cost_nothing():
    x, u = batch()
    used = torch.rand(N, K) > 0.3
    net = network(None)
    settings = {"weight": 0.0, "n_bins": 3, "entropy": 0.0, "n_pixels": K}
    found = net.autoencoder.decode(net.autoencoder.encode(x, u), u)
    expected = ((x - found)[used] ** 2).mean()
    torch.testing.assert_close(fader_loss(net, x, u, used, **settings).mse, expected)  # type: ignore[arg-type]


def test_a_critic_s_two_sides():
    """The critic gains what the autoencoder is charged for, λ times, and no more."""
    x, u = batch()
    critic = nn.Linear(K + D + 2, 1)

    def gradients(weight: float, critic_steps: int = 1) -> tuple[list, list]:
        net = network(copy.deepcopy(critic))
        torch.manual_seed(5)
        for parameter in net.autoencoder.parameters():
            nn.init.normal_(parameter)
        critic_loss(
            net,
            x,
            u,
            None,
            weight=weight,
            generator=torch.Generator().manual_seed(2),
            critic_steps=critic_steps,
            penalty=0.0,
            n_pixels=K,
            spectra=True,
        ).total.backward()
        assert net.adversary is not None
        return (
            [p.grad for p in net.autoencoder.parameters()],
            [p.grad for p in net.adversary.parameters()],
        )

    (none, same), (one, same_again), (two, _) = (gradients(w) for w in (0.0, 1.0, 2.0))
    for a, b in zip(same, same_again, strict=True):
        torch.testing.assert_close(a, b)
    for a, b, c in zip(none, one, two, strict=True):
        torch.testing.assert_close(c - a, 2 * (b - a), rtol=1e-3, atol=1e-4)
    idle, busy = gradients(1.0, critic_steps=1000)
    assert all(gradient is None for gradient in idle)
    assert all(gradient is not None for gradient in busy)


def test_a_critic_of_latents_alone_sees_that_they_know_the_labels():
    """Of z₁ = u₁ it finds E u₁² − E u₁u₁′ = var u₁ by the product f = z₁u₁, near enough."""

    class Product(nn.Module):
        def forward(self, seen: torch.Tensor) -> torch.Tensor:
            assert seen.shape[1] == 2 + 2  # z, u; no spectrum
            return seen[:, :1] * seen[:, 2:3]

    class Told(nn.Module):
        """Latents that are the labels."""

        def encode(self, x: torch.Tensor, u: torch.Tensor) -> torch.Tensor:
            return u

        def decode(self, z: torch.Tensor, u: torch.Tensor) -> torch.Tensor:
            return torch.zeros(len(z), K)

    x, u = batch()
    u = u - u.mean(0)
    found = critic_loss(
        Adversarial(Told(), Product()),  # type: ignore[arg-type]
        x,
        u,
        None,
        weight=1.0,
        generator=torch.Generator().manual_seed(2),
        critic_steps=1,
        penalty=0.0,
        n_pixels=K,
        spectra=False,
    )
    generator = torch.Generator().manual_seed(2)
    torch.rand(1, generator=generator)
    order = torch.randperm(N, generator=generator)
    by_hand = (u[:, 0] ** 2).mean() - (u[:, 0] * u[order, 0]).mean()
    assert found.information.item() == pytest.approx(by_hand.item())
    assert by_hand.item() == pytest.approx(u[:, 0].var().item(), rel=0.5)
    assert found.mse.item() == pytest.approx((x**2).mean().item())


def test_gradient_penalty_of_a_linear_critic_by_hand():
    """f = w·v has |∇f| = |w| everywhere."""
    x, u = batch()
    critic = nn.Linear(K + D + 2, 1)
    with torch.no_grad():
        critic.weight.copy_(torch.full_like(critic.weight, 2 / math.sqrt(K + D + 2)))
    totals = [
        critic_loss(
            network(critic),
            x,
            u,
            None,
            weight=0.0,
            generator=torch.Generator().manual_seed(2),
            critic_steps=1000,
            penalty=penalty,
            n_pixels=K,
            spectra=True,
        )
        for penalty in (0.0, 10.0)
    ]
    assert (totals[1].total + totals[1].information).item() == pytest.approx(10 * (2 - 1) ** 2)
    assert (totals[0].total + totals[0].information).item() == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("hidden", [[], [8], [8, 5]])
def test_noise_is_carried_to_the_latents_by_the_jacobian(hidden: list[int]):
    x, u = batch()
    net = ConditionalAutoencoder(K, 2, D, hidden, [8], scale=torch.linspace(0.5, 2, K))
    noise = torch.rand(K, K)
    noise = noise @ noise.T
    found = net.latent_covariance(x[:4], u[:4], noise)
    for i in range(4):
        jacobian = torch.autograd.functional.jacobian(
            lambda v, i=i: net.encode(v[None], u[i : i + 1])[0], x[i]
        )
        torch.testing.assert_close(
            found[i], (jacobian @ noise @ jacobian.T).double(), rtol=1e-3, atol=1e-5
        )
    diagonal = torch.linspace(1, 2, K)
    torch.testing.assert_close(
        net.latent_covariance(x, u, diagonal), net.latent_covariance(x, u, torch.diag(diagonal))
    )
