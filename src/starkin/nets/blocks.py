"""Layers that several networks share."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

__all__ = ["dense_block", "fold_batch_norm", "mlp"]


def dense_block(n_in: int, n_out: int) -> nn.Sequential:
    """Linear → BatchNorm → GELU, the hidden layer of Laroche & Speagle 2025."""
    return nn.Sequential(nn.Linear(n_in, n_out), nn.BatchNorm1d(n_out), nn.GELU())


def mlp(sizes: Sequence[int]) -> nn.Sequential:
    """Linear layers with SiLU between them; the last layer starts at zero.

    A zero last layer makes the network a correction that is absent at first, so
    that whatever it is added to (a closed-form solution) is where training starts.

    Parameters
    ----------
    sizes : sequence of int
        Widths from input to output, at least two.
    """
    layers: list[nn.Module] = []
    for n_in, n_out in pairwise(sizes[:-1]):
        linear = nn.Linear(n_in, n_out)
        nn.init.kaiming_normal_(linear.weight, nonlinearity="relu")
        nn.init.zeros_(linear.bias)
        layers += [linear, nn.SiLU()]
    last = nn.Linear(sizes[-2], sizes[-1])
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    return nn.Sequential(*layers, last)


@torch.no_grad()
def fold_batch_norm(linear: nn.Module, norm: nn.Module) -> tuple[Tensor, Tensor]:
    """Weight and bias of the one linear layer that equals ``norm(linear(x))`` at evaluation.

    With running mean m, running variance v, gain γ and shift β:
    W' = γ/√(v+ε)·W and b' = γ/√(v+ε)·(b − m) + β.
    """
    assert isinstance(linear, nn.Linear)
    assert isinstance(norm, nn.BatchNorm1d)
    assert norm.running_mean is not None
    assert norm.running_var is not None
    gain = norm.weight / torch.sqrt(norm.running_var + norm.eps)
    return linear.weight * gain[:, None], (linear.bias - norm.running_mean) * gain + norm.bias
