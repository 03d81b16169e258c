"""A transformer that is told some quantities of a star and asked for others.

After Leung & Bovy (2024, MNRAS 527, 1494). A known quantity of kind k with value v is the
token v·a_k + b_k; tokens are a set, in no order and of any number. A few summaries look at the
set and at one another (inducing points, Lee et al. 2019, ICML: a spectrum of n values costs n
and not n² looks). A question is a token q_k that looks at the summaries; its answer is a mean
and a variance. Questions do not look at one another, so an answer does not depend on what else
is asked.

Where the labels are latents, of which nothing is known, the first weights are those of a
principal component analysis (:meth:`TokenTransformer.start`): from random ones the network spends
thousands of steps without finding out that latents are of any use.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from .label_network import LabelNetwork
from .smooth import least_squares

__all__ = ["TokenTransformer"]

_BATCH = 512  # stars at a time, of the first weights
#: Standard deviation of a principal score in the mean of all tokens, at the start.
_SCORE = 0.2
_LEAST_SIZE = 1e-3  # of a principal component in units of the first: below it is rounding
#: Of the first weights: least variance of an answer, and what the latents begin with. They begin
#: confident, so that what they say is heard before it is forgotten.
_LEAST_VARIANCE = 1e-4
_LATENT_LOG_VARIANCE = -4.0
_RIDGE = 1e-7


class _Attention(nn.Module):
    """Pre-norm attention of ``asking`` to ``told`` followed by an MLP, both residual.

    Only the weights of the attention see normalised tokens: what is passed on are the tokens as
    they are, for a token is as long as its value is large.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm_asking, self.norm_told = nn.LayerNorm(width), nn.LayerNorm(width)
        self.query, self.key = nn.Linear(width, width), nn.Linear(width, width)
        self.value, self.out = nn.Linear(width, width), nn.Linear(width, width)
        self.mlp = nn.Sequential(
            nn.LayerNorm(width),
            nn.Linear(width, 4 * width),
            nn.GELU(),
            nn.Linear(4 * width, width),
        )

    def forward(self, asking: Tensor, told: Tensor, used: Tensor | None = None) -> Tensor:
        query = self._split(self.query(self.norm_asking(asking)))
        key = self._split(self.key(self.norm_told(told)))
        mask = None if used is None else used[:, None, None, :]
        seen = functional.scaled_dot_product_attention(
            query, key, self._split(self.value(told)), attn_mask=mask
        )
        asking = asking + self.out(seen.transpose(1, 2).flatten(2))
        return asking + self.mlp(asking)

    def _split(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)

    @torch.no_grad()
    def pass_on(self) -> None:
        """Begin with the mean of what is told, nearly."""
        for linear in (self.value, self.out):
            nn.init.eye_(linear.weight)
            nn.init.zeros_(linear.bias)
        self.query.weight *= 0.1


class TokenTransformer(LabelNetwork):
    """Kinds are the pixels, then the labels (or latents).

    Parameters
    ----------
    n_pixels, n_labels : int
    width, layers, heads : int
        Of the tokens; times that the summaries look at them; of every attention.
    summaries : int
    """

    def __init__(
        self,
        n_pixels: int,
        n_labels: int,
        width: int,
        layers: int,
        heads: int,
        summaries: int,
    ) -> None:
        super().__init__(n_pixels)
        self.n_pixels, self.n_labels = n_pixels, n_labels
        n_kinds = n_pixels + n_labels
        self.slope = nn.Parameter(0.5 * torch.randn(n_kinds, width))
        self.offset = nn.Parameter(0.5 * torch.randn(n_kinds, width))
        # Always there: a star of which nothing is told still has something to look at.
        self.anchor = nn.Parameter(0.5 * torch.randn(1, 1, width))
        self.summary = nn.Parameter(0.5 * torch.randn(1, summaries, width))
        self.question = nn.Parameter(0.5 * torch.randn(n_kinds, width))
        self.told = nn.ModuleList(_Attention(width, heads) for _ in range(layers))
        self.among = nn.ModuleList(_Attention(width, heads) for _ in range(layers))
        self.answer = _Attention(width, heads)
        self.reading = nn.Parameter(0.5 * width**-0.5 * torch.randn(n_kinds, width))
        self.bias = nn.Parameter(torch.zeros(n_kinds))
        self.log_variance = nn.Parameter(torch.zeros(n_kinds, width))
        self.log_variance_bias = nn.Parameter(torch.zeros(n_kinds))

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
        asked = self._heard(values, kinds, used, wanted)
        mean = (asked * self.reading[wanted]).sum(-1) + self.bias[wanted]
        log_variance = (asked * self.log_variance[wanted]).sum(-1) + self.log_variance_bias[wanted]
        return mean, log_variance.clamp(-16.0, 8.0)

    def _heard(self, values: Tensor, kinds: Tensor, used: Tensor, wanted: Tensor) -> Tensor:
        """Questions that have looked at the star, shape (n_stars, n_wanted, width)."""
        n = len(values)
        known = torch.where(used, values, 0.0)[:, :, None]
        tokens = known * self.slope[kinds] + self.offset[kinds]
        told = torch.cat([self.anchor.expand(n, 1, -1), tokens], dim=1)
        used = functional.pad(used, (1, 0), value=True)
        summary = self.summary.expand(n, -1, -1)
        for look, talk in zip(self.told, self.among, strict=True):
            summary = look(summary, told, used)
            summary = talk(summary, summary)
        asked = self.question[wanted]
        return self.answer(asked.expand(n, *asked.shape[-2:]), summary)

    @torch.no_grad()
    def start(self, x: Tensor, used: Tensor) -> None:
        """Set first weights where the labels are latents: a principal component analysis.

        The mean of a star's tokens holds its principal scores; the latents are the first of them,
        of unit variance, and pixels are read from the latents.

        Parameters
        ----------
        x : Tensor, shape (n_stars, n_pixels)
            Standardised spectra.
        used : Tensor of bool, shape (n_stars, n_pixels)
            False where masked.
        """
        seen = torch.where(used, x, 0.0)
        centred = seen - seen.mean(0)
        _, size, axes = torch.linalg.svd(centred, full_matrices=False)
        size = (size / len(x) ** 0.5).clamp(min=_LEAST_SIZE * float(size[0]) / len(x) ** 0.5)
        rank = min(len(size), self.slope.shape[1])
        self.slope[: self.n_pixels] = 0.0
        self.slope[: self.n_pixels, :rank] = (
            _SCORE * (self.n_pixels + 1) * axes[:rank].T / size[:rank]
        )
        for attention in (self.told[0], self.answer):
            assert isinstance(attention, _Attention)
            attention.pass_on()
        d = self.n_labels
        scores = centred @ axes[:d].T / size[:d]
        latents = self._regress(x, self.pixels, used, self.labels, scores)
        told = torch.ones_like(latents, dtype=torch.bool)
        left = seen - self._regress(latents, self.labels, told, self.pixels, seen)
        variance = left.square().mean(0).clamp(min=_LEAST_VARIANCE)
        self.log_variance_bias[: self.n_pixels] = variance.log()
        self.log_variance_bias[self.n_pixels :] = _LATENT_LOG_VARIANCE

    def _regress(
        self, values: Tensor, kinds: Tensor, used: Tensor, wanted: Tensor, truth: Tensor
    ) -> Tensor:
        """Read what is wanted off the network linearly; what is then answered."""
        heard = torch.cat(
            [
                self._heard(values[i : i + _BATCH], kinds, used[i : i + _BATCH], wanted)
                for i in range(0, len(values), _BATCH)
            ]
        ).double()
        answers = torch.empty_like(truth)
        for column, kind in enumerate(wanted):
            terms = functional.pad(heard[:, column], (0, 1), value=1.0)
            aim = truth[:, column].double()
            weights = least_squares(terms, aim[:, None], _RIDGE)[:, 0]
            answer = terms @ weights
            self.reading[kind], self.bias[kind] = weights[:-1], weights[-1]
            answers[:, column] = answer
        return answers
