"""Conditional autoencoders whose latents an adversary must not be able to use.

One optimiser trains both sides. The adversary minimises its own loss; the autoencoder
receives that loss through a gradient reversal (Ganin & Lempitsky 2015, ICML), which passes
values unchanged and multiplies gradients by −λ. The gradients of both are then those of the
two objectives that de Mijolla et al. 2021 write down, MSE − λ·CE and CE, taken from the same
forward pass as in their code, and Adam scales every parameter by itself: one optimiser step
on the sum equals one step of each of two optimisers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = [
    "Adversarial",
    "AdversarialLoss",
    "ConditionalAutoencoder",
    "critic_loss",
    "fader_loss",
    "label_bins",
    "reverse_gradient",
    "selu_mlp",
]


class _Reverse(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: float) -> Tensor:
        ctx.weight = weight
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return -ctx.weight * gradients[0], None


def reverse_gradient(x: Tensor, weight: float) -> Tensor:
    """``x`` itself; its gradient is multiplied by ``-weight`` on the way back."""
    return _Reverse.apply(x, weight)


def selu_mlp(sizes: Sequence[int]) -> nn.Sequential:
    """Linear layers of these widths, from input to output, with SELU between them."""
    layers: list[nn.Module] = []
    for n_in, n_out in pairwise(sizes[:-1]):
        layers += [nn.Linear(n_in, n_out), nn.SELU()]
    return nn.Sequential(*layers, nn.Linear(sizes[-2], sizes[-1]))


class ConditionalAutoencoder(nn.Module):
    """z = E(x, u) and x̂ = D(z, u), both multilayer perceptrons.

    Parameters
    ----------
    n_inputs, n_conditions, n_latent : int
    encoder, decoder : sequence of int
        Hidden widths.
    scale : Tensor, shape (n_inputs,), optional
        Size of every input: both networks see x / scale. 1 without it.
    """

    scale: Tensor

    def __init__(
        self,
        n_inputs: int,
        n_conditions: int,
        n_latent: int,
        encoder: Sequence[int],
        decoder: Sequence[int],
        scale: Tensor | None = None,
    ) -> None:
        super().__init__()
        self.encoder = selu_mlp([n_inputs + n_conditions, *encoder, n_latent])
        self.decoder = selu_mlp([n_latent + n_conditions, *decoder, n_inputs])
        self.register_buffer(
            "scale", torch.ones(n_inputs) if scale is None else scale.float().clone()
        )

    def encode(self, x: Tensor, u: Tensor) -> Tensor:
        return self.encoder(torch.cat([x / self.scale, u], dim=1))

    def decode(self, z: Tensor, u: Tensor) -> Tensor:
        return self.decoder(torch.cat([z, u], dim=1)) * self.scale

    @torch.no_grad()
    def latent_covariance(self, x: Tensor, u: Tensor, noise: Tensor) -> Tensor:
        """J·N·Jᵀ, J the Jacobian of the latents by the inputs: noise carried on to first order.

        Parameters
        ----------
        x : Tensor, shape (n_stars, n_inputs)
            Where to take the slope.
        u : Tensor, shape (n_stars, n_conditions)
            The labels there.
        noise : Tensor, shape (n_inputs, n_inputs) or (n_inputs,)
            Covariance N of the inputs' noise, or its diagonal.

        Returns
        -------
        Tensor of float64, shape (n_stars, n_latent, n_latent)
        """
        linears = [layer for layer in self.encoder if isinstance(layer, nn.Linear)]
        first = linears[0].weight[:, : x.shape[1]] / self.scale
        inner = (first @ noise if noise.ndim == 2 else first * noise) @ first.T
        hidden = torch.cat([x / self.scale, u], dim=1)
        slopes = []
        for linear in linears[:-1]:
            before = linear(hidden)
            hidden = functional.selu(before)
            # SELU's slope is λ above 0 and selu(x) + λα below, λα = 1.0507·1.6733.
            slopes.append(torch.where(before > 0, 1.0507009873554805, hidden + 1.7580993408473766))
        jacobian = linears[-1].weight.expand(len(x), -1, -1)
        for slope, linear in zip(slopes[::-1], linears[:-1][::-1], strict=True):
            jacobian = jacobian * slope[:, None, :]
            if linear is not linears[0]:
                jacobian = jacobian @ linear.weight
        jacobian = jacobian.double()
        if len(linears) == 1:  # No hidden layer: the first matrix is the whole Jacobian.
            return inner.double().expand(len(x), -1, -1)
        return jacobian @ inner.double() @ jacobian.transpose(1, 2)


class Adversarial(nn.Module):
    """An autoencoder and its adversary, as one network for one optimiser.

    ``adversary`` is None where none is wanted: the baseline.
    """

    def __init__(self, autoencoder: ConditionalAutoencoder, adversary: nn.Module | None) -> None:
        super().__init__()
        self.autoencoder = autoencoder
        self.adversary = adversary


@dataclass(frozen=True)
class AdversarialLoss:
    """What one batch costs.

    Attributes
    ----------
    total : Tensor, scalar
        The sum whose gradient trains both sides.
    mse : Tensor, scalar
        Mean squared error of a pixel, in the scaled flux.
    information : Tensor, scalar
        What the adversary finds: for the fader H(u) − CE, at most the mutual information of
        latents and binned labels [nat]; for a critic its distance between the joint
        distribution and the product of the marginals.
    squares : Tensor, scalar
        Σ(x − x̂)² of a star, in the scaled flux.
    """

    total: Tensor
    mse: Tensor
    information: Tensor
    squares: Tensor

    @property
    def nats(self) -> Tensor:
        """½Σ(x − x̂)²: the negative log-likelihood under unit errors in the scaled flux."""
        return 0.5 * self.squares

    @property
    def reconstruction(self) -> Tensor:
        return self.nats

    @property
    def kl(self) -> Tensor:
        """The information: like a KL it is what the latents are charged for."""
        return self.information


def label_bins(u: Tensor, n_bins: int) -> Tensor:
    """Number of the cell of the grid of ``n_bins`` a label in which each star lies.

    ``u`` of shape (n_stars, n_conditions) runs over −1..1; what lies outside belongs to the
    cell at the edge.
    """
    cell = ((u + 1) * (n_bins / 2)).long().clamp(0, n_bins - 1)
    place = n_bins ** torch.arange(u.shape[1] - 1, -1, -1, device=u.device)
    return (cell * place).sum(1)


def fader_loss(
    network: Adversarial,
    x: Tensor,
    u: Tensor,
    used: Tensor | None,
    *,
    weight: float,
    n_bins: int,
    entropy: float,
    n_pixels: int,
    seen: Tensor | None = None,
) -> AdversarialLoss:
    """MSE and the cross-entropy of an adversary that predicts the binned labels from z.

    Parameters
    ----------
    network : Adversarial
        Its adversary gives one logit a cell of :func:`label_bins`.
    x, u : Tensor, shape (n_stars, n_inputs) and (n_stars, n_conditions)
        Spectra, scaled or compressed by an orthonormal map, and labels over −1..1.
    used : Tensor of bool or None, shape (n_stars, n_inputs)
        False where masked.
    weight : float
        λ, by which the autoencoder's share of the cross-entropy is multiplied.
    n_bins : int
        Cells a label.
    entropy : float
        H(u) of the binned labels over the training stars [nat].
    n_pixels : int
        Pixels that a squared error is shared by.
    seen : Tensor, shape (n_stars, n_inputs), optional
        The spectra as the encoder sees them, with noise added; ``x`` without it.
    """
    z = network.autoencoder.encode(x if seen is None else seen, u)
    squares, mse = _squares(x, network.autoencoder.decode(z, u), used, n_pixels)
    if network.adversary is None:
        return AdversarialLoss(mse, mse.detach(), torch.zeros_like(mse), squares.detach())
    logits = network.adversary(reverse_gradient(z, weight))
    cross_entropy = functional.cross_entropy(logits, label_bins(u, n_bins))
    return AdversarialLoss(
        total=mse + cross_entropy,
        mse=mse.detach(),
        information=(entropy - cross_entropy).detach(),
        squares=squares.detach(),
    )


def critic_loss(
    network: Adversarial,
    x: Tensor,
    u: Tensor,
    used: Tensor | None,
    *,
    weight: float,
    generator: torch.Generator,
    critic_steps: int,
    penalty: float,
    n_pixels: int,
    spectra: bool,
    seen: Tensor | None = None,
) -> AdversarialLoss:
    """MSE and a Wasserstein critic between (z, u) and (z, u′), u′ permuted, or with spectra too.

    The critic f maximises E f(z, u) − E f(z, u′) with a penalty on the norm of its gradient
    (Gulrajani et al. 2017, NeurIPS); the autoencoder minimises MSE + λ times the same. Where
    latents and labels are independent nothing tells the two apart. With ``spectra`` the two
    are (x, z, u) and (D(z, u′), z, u′): there the decoder must be right at every u as well.

    Parameters
    ----------
    network : Adversarial
        Its adversary gives one number for (z, u), or (x, z, u), side by side.
    x, u, used, n_pixels, seen
        As in :func:`fader_loss`.
    weight : float
        λ.
    generator : torch.Generator
        Of the permutation, the interpolation and the choice of steps.
    critic_steps : int
        The autoencoder learns in one step of so many, drawn by the generator; in the
        others its gradients are absent, which an optimiser passes over.
    penalty : float
        Weight of (|∇f| − 1)².
    spectra : bool
        Whether the critic sees spectra.
    """
    assert network.adversary is not None
    critic, autoencoder = network.adversary, network.autoencoder
    learns = (
        bool(torch.rand(1, generator=generator, device=generator.device) * critic_steps < 1)
        or not torch.is_grad_enabled()
    )
    with torch.set_grad_enabled(torch.is_grad_enabled() and learns):
        z = autoencoder.encode(x if seen is None else seen, u)
        squares, mse = _squares(x, autoencoder.decode(z, u), used, n_pixels)
        order = torch.randperm(len(x), generator=generator, device=generator.device)
        changed = autoencoder.decode(z, u[order]) if spectra else None
    true, permuted = [z, u], [z, u[order]]
    if changed is not None:
        hidden = 1.0 if used is None else used
        # In units of each input's size, as the other networks see spectra: of raw principal
        # scores the critic would see the first alone.
        size = hidden / autoencoder.scale
        true, permuted = [x * size, *true], [changed * size, *permuted]
    real, fake = torch.cat(true, dim=1), torch.cat(permuted, dim=1)
    # The critic minimises −distance; what reaches the autoencoder is +λ·distance.
    distance = critic(reverse_gradient(real, weight)).mean()
    distance = distance - critic(reverse_gradient(fake, weight)).mean()
    total = -distance
    if torch.is_grad_enabled():
        total = total + penalty * _gradient_penalty(critic, real, fake, generator)
        total = total + mse if learns else total
    return AdversarialLoss(total, mse.detach(), distance.detach(), squares.detach())


def _squares(x: Tensor, found: Tensor, used: Tensor | None, n_pixels: int) -> tuple[Tensor, Tensor]:
    """Mean over stars of Σ(x − x̂)², and mean of a pixel."""
    squares = (x - found) ** 2
    if used is None:
        total = squares.sum(1).mean()
        return total, total / n_pixels
    squares = squares * used
    return squares.sum(1).mean(), squares.sum() / used.sum().clamp(min=1)


def _gradient_penalty(
    critic: nn.Module, real: Tensor, fake: Tensor, generator: torch.Generator
) -> Tensor:
    """(|∇f| − 1)² between the two kinds, the mean over stars."""
    share = torch.rand((len(real), 1), generator=generator, device=generator.device)
    between = (share * real.detach() + (1 - share) * fake.detach()).requires_grad_()
    value = critic(between).sum()
    (gradient,) = torch.autograd.grad(value, between, create_graph=True)
    return ((gradient.norm(dim=1) - 1) ** 2).mean()
