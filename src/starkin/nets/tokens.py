"""A transformer that is told some quantities of a star and asked for others.

After Leung & Bovy (2024, MNRAS 527, 1494). A known quantity of kind k with value v is the
token v·a_k + b_k; tokens are a set, in no order and of any number. A question is a token q_k
that looks at the encoded set; its answer is a mean and a variance. Questions do not look at
one another, so an answer does not depend on what else is asked.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from .label_network import LabelNetwork

__all__ = ["TokenTransformer"]


class _Attention(nn.Module):
    """Pre-norm attention of ``asking`` to ``told`` followed by an MLP, both residual."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm_asking, self.norm_told = nn.LayerNorm(width), nn.LayerNorm(width)
        self.query, self.out = nn.Linear(width, width), nn.Linear(width, width)
        self.key_value = nn.Linear(width, 2 * width)
        self.mlp = nn.Sequential(
            nn.LayerNorm(width),
            nn.Linear(width, 4 * width),
            nn.GELU(),
            nn.Linear(4 * width, width),
        )

    def forward(self, asking: Tensor, told: Tensor, used: Tensor) -> Tensor:
        query = self._split(self.query(self.norm_asking(asking)))
        key, value = self.key_value(self.norm_told(told)).chunk(2, dim=-1)
        seen = functional.scaled_dot_product_attention(
            query, self._split(key), self._split(value), attn_mask=used[:, None, None, :]
        )
        asking = asking + self.out(seen.transpose(1, 2).flatten(2))
        return asking + self.mlp(asking)

    def _split(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)


class TokenTransformer(LabelNetwork):
    """Kinds are the pixels, then the labels (or latents).

    Parameters
    ----------
    n_pixels, n_labels : int
    width, layers, heads : int
        Of the tokens; of encoder and decoder each; of every attention.
    latents : bool
        Whether the labels are latents, of which nothing is known before training.
    """

    def __init__(
        self,
        n_pixels: int,
        n_labels: int,
        width: int,
        layers: int,
        heads: int,
        *,
        latents: bool = False,
    ) -> None:
        super().__init__(n_pixels)
        self.n_pixels, self.n_labels = n_pixels, n_labels
        n_kinds = n_pixels + n_labels
        self.slope = nn.Parameter(0.5 * torch.randn(n_kinds, width))
        self.offset = nn.Parameter(0.5 * torch.randn(n_kinds, width))
        # Always there: a star of which nothing is told still has something to look at.
        self.anchor = nn.Parameter(0.5 * torch.randn(1, 1, width))
        self.question = nn.Parameter(0.5 * torch.randn(n_kinds, width))
        self.encoder = nn.ModuleList(_Attention(width, heads) for _ in range(layers))
        self.decoder = nn.ModuleList(_Attention(width, heads) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.reading = nn.Parameter(0.5 * width**-0.5 * torch.randn(n_kinds, width))
        self.bias = nn.Parameter(torch.zeros(n_kinds))
        self.log_variance = nn.Parameter(torch.zeros(n_kinds, width))
        self.log_variance_bias = nn.Parameter(torch.zeros(n_kinds))
        if latents:
            # They begin confident, so that what they say is heard before it is forgotten.
            with torch.no_grad():
                self.log_variance_bias[n_pixels:] = -3.0

    @property
    def pixels(self) -> Tensor:
        """Kinds of the pixels."""
        return torch.arange(self.n_pixels, device=self.bias.device)

    @property
    def labels(self) -> Tensor:
        """Kinds of the labels."""
        return torch.arange(self.n_pixels, self.n_pixels + self.n_labels, device=self.bias.device)

    def forward(
        self, values: Tensor, kinds: Tensor, used: Tensor, wanted: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Mean and log variance of the quantities asked for, shape (n_stars, n_wanted) each.

        Parameters
        ----------
        values : Tensor, shape (n_stars, n_told)
            Standardised; anything finite where not used.
        kinds, wanted : Tensor of int, shape (n_told,) or (n_stars, n_told); (n_wanted,) …
            What is told and what is asked, for all stars or for each.
        used : Tensor of bool, shape (n_stars, n_told)
            False for what is not known after all.
        """
        n = len(values)
        known = torch.where(used, values, 0.0)[:, :, None]
        tokens = known * self.slope[kinds] + self.offset[kinds]
        told = torch.cat([self.anchor.expand(n, 1, -1), tokens], dim=1)
        used = functional.pad(used, (1, 0), value=True)
        for layer in self.encoder:
            told = layer(told, told, used)
        asked = self.question[wanted]
        asked = asked.expand(n, *asked.shape[-2:])
        for layer in self.decoder:
            asked = layer(asked, told, used)
        asked = self.norm(asked)
        mean = (asked * self.reading[wanted]).sum(-1) + self.bias[wanted]
        log_variance = (asked * self.log_variance[wanted]).sum(-1) + self.log_variance_bias[wanted]
        return mean, log_variance.clamp(-16.0, 8.0)
