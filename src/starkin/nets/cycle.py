"""Two domains of spectra over one set of latents, learnt without pairs of stars.

The networks and the losses of Cycle-StarNet (O'Briain et al. 2021, ApJ 906, 130). Spectra of both
domains have encoders and decoders whose layers next to the latents are the same; each domain has
layers of its own next to the spectra. Observed spectra have split latents besides: what varies
among them that synthetic spectra cannot say.

One optimiser trains everything. Each adversarial part sends its gradient to one side alone: the
critics see transferred spectra that are cut off from the networks that made them, those networks
see critics whose weights are constants. As Adam scales every parameter by itself, one step on the
sum is a step of the two optimisers of the original, which takes both from one forward pass too.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional

from .adversarial import selu_mlp

__all__ = [
    "CycleAutoencoder",
    "CycleLoss",
    "CycleNetwork",
    "CycleWeights",
    "Spectra",
    "cycle_loss",
    "distance",
    "for_critic",
    "for_networks",
]


class CycleAutoencoder(nn.Module):
    """Encoders and decoders of two domains over shared latents z and split latents s.

    Both domains start from the same weights: an untrained transfer is what the shared layers
    make of a spectrum, and training has only to find where the domains differ.

    Parameters
    ----------
    size : Tensor, shape (n_inputs,)
        Size of every input: the networks see y / size.
    n_shared, n_split : int
        Latents that both domains have, and those of observed spectra alone (may be 0).
    hidden : sequence of int
        Widths from the spectra to the latents; the first is that of the domains' own layers.
    """

    size: Tensor

    def __init__(self, size: Tensor, n_shared: int, n_split: int, hidden: Sequence[int]) -> None:
        super().__init__()
        n_inputs, first = len(size), hidden[0]
        self.register_buffer("size", size.float().clone())
        self.n_shared, self.n_split = n_shared, n_split
        self.enter_synthetic = nn.Linear(n_inputs, first)
        self.enter_observed = deepcopy(self.enter_synthetic)
        self.to_shared = selu_mlp([*hidden, n_shared])
        self.from_shared = selu_mlp([n_shared, *hidden[::-1]])
        self.leave_synthetic = nn.Linear(first, n_inputs)
        self.leave_observed = deepcopy(self.leave_synthetic)
        if n_split:
            self.to_split = selu_mlp([*hidden, n_split])
            self.from_split = selu_mlp([n_split, *hidden[::-1]])
            self.leave_split = nn.Linear(first, n_inputs, bias=False)

    def encode_synthetic(self, y: Tensor) -> Tensor:
        """z of synthetic spectra."""
        return self.to_shared(functional.selu(self.enter_synthetic(y / self.size)))

    def encode_observed(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """z and s of observed spectra."""
        hidden = functional.selu(self.enter_observed(y / self.size))
        split = self.to_split(hidden) if self.n_split else hidden[:, :0]
        return self.to_shared(hidden), split

    def decode_synthetic(self, z: Tensor) -> Tensor:
        return self.leave_synthetic(functional.selu(self.from_shared(z))) * self.size

    def decode_observed(self, z: Tensor, s: Tensor) -> Tensor:
        found = self.leave_observed(functional.selu(self.from_shared(z))) * self.size
        return found + self.decode_split(s) if self.n_split else found

    def decode_split(self, s: Tensor) -> Tensor:
        """What the split latents add to an observed spectrum."""
        if not self.n_split:
            return torch.zeros((len(s), len(self.size)), device=s.device)
        return self.leave_split(functional.selu(self.from_split(s))) * self.size


class CycleNetwork(nn.Module):
    """The autoencoder and a critic for each domain, as one network for one optimiser.

    Parameters
    ----------
    autoencoder : CycleAutoencoder
    critic : sequence of int
        Hidden widths of both critics, which see a spectrum and its latents.
    """

    def __init__(self, autoencoder: CycleAutoencoder, critic: Sequence[int]) -> None:
        super().__init__()
        self.autoencoder = autoencoder
        n_inputs = len(autoencoder.size) + autoencoder.n_shared
        self.critic_synthetic = selu_mlp([n_inputs, *critic, 1])
        self.critic_observed = selu_mlp([n_inputs + autoencoder.n_split, *critic, 1])


@dataclass(frozen=True)
class Spectra:
    """Spectra of one domain as the losses need them.

    Attributes
    ----------
    y : Tensor, shape (n_stars, n_inputs)
        Scores along the common axes about the domain's own mean: what the networks see.
    x : Tensor, shape (n_stars, n_pixels)
        The scaled spectra.
    weight : Tensor, shape (n_stars, n_pixels)
        Of each squared error; 0 where masked.
    mean : Tensor, shape (n_pixels,)
        Mean spectrum of the domain.
    """

    y: Tensor
    x: Tensor
    weight: Tensor
    mean: Tensor


@dataclass(frozen=True)
class CycleWeights:
    """By how much each loss counts; 0 leaves it out."""

    cycle: float
    adversarial: float
    latent: float
    change: float
    split: float


@dataclass(frozen=True)
class CycleLoss:
    """What one batch costs.

    Attributes
    ----------
    total : Tensor, scalar
        The sum whose gradient trains all parts.
    within : Tensor, shape (2,)
        Weighted squared error of a pixel after a round trip within the domain: observed,
        synthetic.
    cycle : Tensor, shape (2,)
        The same after a round trip through the other domain.
    fooled : Tensor, shape (2,)
        Cross-entropy of transferred spectra taken for real ones, of the observed and the
        synthetic critic [nat]; ln 2 where a critic cannot tell.
    critics : Tensor, shape (2,)
        Cross-entropy of the critics, the mean over real and transferred spectra [nat].
    latent : Tensor, scalar
        Mean squared difference of the shared latents of a spectrum and of its transfer.
    change : Tensor, scalar
        Mean absolute change of a pixel by the transfer, about the domains' means.
    split : Tensor, scalar
        Mean absolute size of what split latents add to a pixel, about its mean.
    n_pixels : int
    """

    total: Tensor
    within: Tensor
    cycle: Tensor
    fooled: Tensor
    critics: Tensor
    latent: Tensor
    change: Tensor
    split: Tensor
    n_pixels: int

    @property
    def nats(self) -> Tensor:
        """½Σ(x − x̂)²/σ² of an observed and a synthetic star, both round trips."""
        return 0.5 * self.n_pixels * (self.within.sum() + self.cycle.sum())

    @property
    def reconstruction(self) -> Tensor:
        """½Σ(x − x̂)²/σ² of an observed star within its domain."""
        return 0.5 * self.n_pixels * self.within[0]

    @property
    def kl(self) -> Tensor:
        """How much the critics know: ln 2 less their cross-entropy, the mean of both [nat]."""
        return torch.log(torch.tensor(2.0)) - self.critics.mean().cpu()


def distance(x: Tensor, found: Tensor, weight: Tensor) -> Tensor:
    """Mean over the values used of weight·(x − x̂)²; a weight of 0 is a masked value."""
    return (weight * (x - found) ** 2).sum() / (weight > 0).sum().clamp(min=1)


def for_networks(critic: nn.Module, fake: Tensor) -> Tensor:
    """Cross-entropy of fakes taken for real, whose gradient passes the critic's weights by."""
    frozen = {name: p.detach() for name, p in critic.named_parameters()}
    logits = functional_call(critic, frozen, (fake,))
    return functional.binary_cross_entropy_with_logits(logits, torch.ones_like(logits))


def for_critic(critic: nn.Module, real: Tensor, fake: Tensor) -> Tensor:
    """Mean cross-entropy of a critic on real and fake spectra, which themselves learn nothing."""
    true, false = critic(real.detach()), critic(fake.detach())
    return 0.5 * (
        functional.binary_cross_entropy_with_logits(true, torch.ones_like(true))
        + functional.binary_cross_entropy_with_logits(false, torch.zeros_like(false))
    )


def cycle_loss(
    network: CycleNetwork,
    observed: Spectra,
    synthetic: Spectra,
    axes: Tensor,
    weights: CycleWeights,
    *,
    with_split: bool = True,
) -> CycleLoss:
    """All losses of a batch of observed and synthetic spectra, of other stars.

    Parameters
    ----------
    network : CycleNetwork
        Autoencoder and critics.
    observed, synthetic : Spectra
        As many of each: a transferred synthetic star takes its split latents from the observed
        star of the same row.
    axes : Tensor, shape (n_pixels, n_inputs)
        Orthonormal: spectra are mean + axes·y.
    weights : CycleWeights
        Of the losses beside the reconstruction within a domain, whose weight is 1.
    with_split : bool
        Whether split latents take part; they are 0 otherwise.
    """
    net = network.autoencoder

    def far(spectra: Spectra, y: Tensor) -> Tensor:
        return distance(spectra.x, spectra.mean + y @ axes.T, spectra.weight)

    def moved(before: Tensor, after: Tensor) -> Tensor:
        return ((after - before) @ axes.T).abs().mean()

    def far_from_mean(y: Tensor) -> Tensor:
        return moved(y.mean(0), y)

    z_obs, s_obs = net.encode_observed(observed.y)
    s_obs = s_obs * float(with_split)
    z_syn = net.encode_synthetic(synthetic.y)
    obs_obs, syn_syn = net.decode_observed(z_obs, s_obs), net.decode_synthetic(z_syn)
    syn_obs, obs_syn = net.decode_observed(z_syn, s_obs), net.decode_synthetic(z_obs)
    z_syn_obs, s_syn_obs = net.encode_observed(syn_obs)
    s_syn_obs = s_syn_obs * float(with_split)
    z_obs_syn = net.encode_synthetic(obs_syn)
    # The way through the synthetic domain loses what is split: it is kept aside.
    obs_syn_obs = net.decode_observed(z_obs_syn, s_obs)
    syn_obs_syn = net.decode_synthetic(z_syn_obs)
    within = torch.stack([far(observed, obs_obs), far(synthetic, syn_syn)])
    cycle = torch.stack([far(observed, obs_syn_obs), far(synthetic, syn_obs_syn)])
    change = 0.5 * (moved(synthetic.y, syn_obs) + moved(observed.y, obs_syn))
    split = far_from_mean(net.decode_split(s_obs)) if net.n_split else within.new_zeros(())
    latent = 0.5 * (((z_syn_obs - z_syn) ** 2).mean() + ((z_obs_syn - z_obs) ** 2).mean())

    # What is real to a critic has passed the networks too: noise is no mark of being real.
    size = net.size
    real_obs = torch.cat([obs_obs / size, z_obs, s_obs], dim=1)
    fake_obs = torch.cat([syn_obs / size, z_syn, s_syn_obs], dim=1)
    real_syn = torch.cat([syn_syn / size, z_syn], dim=1)
    fake_syn = torch.cat([obs_syn / size, z_obs], dim=1)
    of_obs, of_syn = network.critic_observed, network.critic_synthetic
    fooled = torch.stack([for_networks(of_obs, fake_obs), for_networks(of_syn, fake_syn)])
    critics = torch.stack(
        [for_critic(of_obs, real_obs, fake_obs), for_critic(of_syn, real_syn, fake_syn)]
    )
    total = (
        within.sum()
        + weights.cycle * cycle.sum()
        + weights.latent * latent
        + weights.change * change
        + weights.split * split
        + weights.adversarial * fooled.sum()
        + critics.sum()
    )
    return CycleLoss(
        total,
        within.detach(),
        cycle.detach(),
        fooled.detach(),
        critics.detach(),
        latent.detach(),
        change.detach(),
        split.detach(),
        observed.x.shape[1],
    )
