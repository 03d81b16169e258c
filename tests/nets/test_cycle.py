"""Cycle-StarNet's losses: each by hand, each gradient to its own side, one step for two."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from torch import Tensor, nn

from starkin.nets.cycle import (
    CycleAutoencoder,
    CycleNetwork,
    CycleWeights,
    Spectra,
    cycle_loss,
    distance,
    for_critic,
    for_networks,
)

ALL = CycleWeights(cycle=0.5, adversarial=0.3, latent=0.7, change=0.2, split=0.4)


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


def spectra(y: Tensor, weight: float = 1.0, mean: float = 0.0) -> Spectra:
    """Scores that are the spectra themselves, less their mean."""
    ones = torch.ones_like(y)
    return Spectra(y, y + mean, weight * ones, mean * ones[0])


def network(n_split: int = 1, n_inputs: int = 4) -> CycleNetwork:
    size = torch.linspace(1.0, 2.0, n_inputs)
    return CycleNetwork(CycleAutoencoder(size, 2, n_split, (6, 5)), (8,))


def linear(*weights: float) -> nn.Linear:
    critic = nn.Linear(len(weights), 1)
    with torch.no_grad():
        critic.weight[0] = torch.tensor(weights)
        critic.bias.zero_()
    return critic


def test_distance_leaves_out_what_is_masked():
    x = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    found = torch.tensor([[0.0, 2.0], [3.0, 99.0]])
    weight = torch.tensor([[0.5, 1.0], [2.0, 0.0]])
    assert distance(x, found, weight).item() == pytest.approx(0.5 / 3)
    assert distance(x, found, torch.zeros(2, 2)).item() == 0


def test_cross_entropies_by_hand():
    """A critic that says 2a of a: logits 2 and −4 of spectra 1 and −2."""
    critic = linear(2.0)
    real, fake = torch.tensor([[1.0]]), torch.tensor([[-2.0]])
    as_real, as_fake = math.log(1 + math.exp(-2)), math.log(1 + math.exp(-4))
    assert for_critic(critic, real, fake).item() == pytest.approx((as_real + as_fake) / 2)
    assert for_networks(critic, fake).item() == pytest.approx(4 + as_fake)
    assert for_networks(linear(0.0), fake).item() == pytest.approx(math.log(2))


def test_each_side_has_its_own_gradient():
    critic = linear(2.0)
    real = torch.tensor([[1.0]], requires_grad=True)
    fake = torch.tensor([[-2.0]], requires_grad=True)
    for_critic(critic, real, fake).backward()
    assert real.grad is None
    assert fake.grad is None
    # d/dw of ½[log(1 + e^−wr) + log(1 + e^wf)]
    by_hand = 0.5 * (-1.0 / (1 + math.exp(2)) + -2.0 / (1 + math.exp(4)))
    assert critic.weight.grad.item() == pytest.approx(by_hand)
    critic.zero_grad()
    for_networks(critic, fake).backward()
    assert critic.weight.grad is None
    # d/df of log(1 + e^−2f) at −2
    assert fake.grad.item() == pytest.approx(-2 / (1 + math.exp(-4)))


class Lines(nn.Module):
    """The true transfer: two pixels, of which synthetic spectra lack the second, s."""

    size, n_split = torch.ones(2), 1

    def encode_observed(self, y: Tensor) -> tuple[Tensor, Tensor]:
        return y[:, :1], y[:, 1:]

    def encode_synthetic(self, y: Tensor) -> Tensor:
        return y[:, :1]

    def decode_observed(self, z: Tensor, s: Tensor) -> Tensor:
        return torch.cat([z, s], dim=1)

    def decode_split(self, s: Tensor) -> Tensor:
        return torch.cat([torch.zeros_like(s), s], dim=1)

    def decode_synthetic(self, z: Tensor) -> Tensor:
        return torch.cat([z, torch.zeros_like(z)], dim=1)


class Given(nn.Module):
    def __init__(self, autoencoder: nn.Module) -> None:
        super().__init__()
        self.autoencoder = autoencoder
        self.critic_observed = linear(0.0, 3.0, 0.0, 0.0)
        self.critic_synthetic = linear(0.0, 0.0, 0.0)


def test_losses_of_the_true_transfer_by_hand():
    """Two stars a domain; what the transfer adds and takes is the second pixel."""
    observed = spectra(torch.tensor([[1.0, 2.0], [3.0, -4.0]]), mean=5.0)
    synthetic = spectra(torch.tensor([[7.0, 1.0], [8.0, 0.0]]), weight=2.0, mean=-5.0)
    loss = cycle_loss(Given(Lines()), observed, synthetic, torch.eye(2), ALL)  # type: ignore[arg-type]
    # Only what a synthetic spectrum has in the second pixel is lost: 2·1² of four values.
    assert loss.within.tolist() == [0.0, 0.5]
    assert loss.cycle.tolist() == [0.0, 0.5]
    assert loss.latent.item() == 0
    # To observed: |2 − 1| and |−4 − 0|; to synthetic: 2 and 4; four values each.
    assert loss.change.item() == pytest.approx((5 / 4 + 6 / 4) / 2)
    # 2 and −4 lie 3 from their mean; two of four values.
    assert loss.split.item() == pytest.approx(1.5)
    # The observed critic sees the second pixel alone, 2 and −4, in real and in fake spectra.
    positive, negative = math.log(1 + math.exp(-6)), math.log(1 + math.exp(-12))
    real = (positive + 12 + negative) / 2
    fake = (6 + positive + negative) / 2
    assert loss.critics.tolist() == pytest.approx([(real + fake) / 2, math.log(2)])
    assert loss.fooled.tolist() == pytest.approx([real, math.log(2)])
    parts = 0.5 + 0.5 * 0.5 + 0.2 * loss.change + 0.4 * loss.split
    parts = parts + 0.3 * loss.fooled.sum() + loss.critics.sum()
    assert loss.total.item() == pytest.approx(parts.item())
    assert loss.nats.item() == pytest.approx(0.5 * 2 * 1.0)
    assert loss.kl.item() == pytest.approx(math.log(2) - loss.critics.mean().item())


def test_split_latents_that_take_no_part_learn_nothing():
    net, observed = network(), spectra(torch.randn(9, 4))
    loss = cycle_loss(
        net, observed, spectra(torch.randn(9, 4)), torch.eye(4), ALL, with_split=False
    )
    loss.total.backward()
    assert loss.split.item() == pytest.approx(0, abs=1e-7)
    for parameter in net.autoencoder.to_split.parameters():
        assert not parameter.grad.any()


def test_domains_start_alike():
    net = network(n_split=0).autoencoder
    y = torch.randn(5, 4)
    z, s = net.encode_observed(y)
    assert s.shape == (5, 0)
    assert torch.equal(z, net.encode_synthetic(y))
    assert torch.equal(net.decode_observed(z, s), net.decode_synthetic(z))


def test_one_step_is_a_step_of_each_of_two_optimisers():
    """The original: losses of both sides from one forward pass, then a step of either."""
    one, two = (network(), network())
    two.load_state_dict(one.state_dict())
    observed, synthetic = spectra(torch.randn(9, 4)), spectra(torch.randn(9, 4))
    both = torch.optim.Adam(one.parameters(), lr=0.01)
    networks = torch.optim.Adam(two.autoencoder.parameters(), lr=0.01)
    critics = torch.optim.Adam(
        [*two.critic_observed.parameters(), *two.critic_synthetic.parameters()], lr=0.01
    )
    eye, cross_entropy = torch.eye(4), nn.functional.binary_cross_entropy_with_logits
    for _ in range(3):
        both.zero_grad()
        cycle_loss(one, observed, synthetic, eye, ALL).total.backward()
        both.step()

        net = two.autoencoder
        z_obs, s_obs = net.encode_observed(observed.y)
        z_syn = net.encode_synthetic(synthetic.y)
        obs_obs, syn_syn = net.decode_observed(z_obs, s_obs), net.decode_synthetic(z_syn)
        syn_obs, obs_syn = net.decode_observed(z_syn, s_obs), net.decode_synthetic(z_obs)
        z_back, s_back = net.encode_observed(syn_obs)
        z_forth = net.encode_synthetic(obs_syn)
        mse = nn.functional.mse_loss
        total = mse(obs_obs, observed.y) + mse(syn_syn, synthetic.y)
        total = total + ALL.cycle * mse(net.decode_observed(z_forth, s_obs), observed.y)
        total = total + ALL.cycle * mse(net.decode_synthetic(z_back), synthetic.y)
        total = total + ALL.latent * 0.5 * (mse(z_back, z_syn) + mse(z_forth, z_obs))
        moved = (syn_obs - synthetic.y).abs().mean() + (obs_syn - observed.y).abs().mean()
        total = total + ALL.change * 0.5 * moved
        added = net.decode_split(s_obs)
        total = total + ALL.split * (added - added.mean(0)).abs().mean()
        pairs = (
            (two.critic_observed, (obs_obs, z_obs, s_obs), (syn_obs, z_syn, s_back)),
            (two.critic_synthetic, (syn_syn, z_syn), (obs_syn, z_obs)),
        )
        of_critics = torch.zeros(())
        for critic, real, fake in pairs:
            real, fake = (torch.cat([y / net.size, *rest], 1) for y, *rest in (real, fake))
            logits = critic(fake)
            total = total + ALL.adversarial * cross_entropy(logits, torch.ones_like(logits))
            for seen, target in ((real, 1.0), (fake, 0.0)):
                logits = critic(seen.detach())
                of_critics = of_critics + 0.5 * cross_entropy(
                    logits, torch.full_like(logits, target)
                )
        networks.zero_grad()
        total.backward()
        networks.step()
        critics.zero_grad()  # of what the networks' losses have left in them
        of_critics.backward()
        critics.step()
    for (name, mine), theirs in zip(one.named_parameters(), two.parameters(), strict=True):
        assert torch.allclose(mine, theirs, atol=1e-6), name


def test_masked_values_reach_neither_loss_nor_gradient():
    clean = spectra(torch.randn(9, 4))
    clean.weight[0, 1] = 0
    dirty = copy.deepcopy(clean)
    dirty.x[0, 1] = 1e6
    net, other = network(), spectra(torch.randn(9, 4))
    losses = [cycle_loss(net, s, other, torch.eye(4), ALL).total for s in (clean, dirty)]
    assert losses[0].item() == losses[1].item()
    gradients = [torch.autograd.grad(loss, list(net.parameters())) for loss in losses]
    assert all(torch.equal(a, b) for a, b in zip(*gradients, strict=True))
