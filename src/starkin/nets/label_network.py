"""What label-dependent models need of a network."""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["LabelNetwork"]


class LabelNetwork(nn.Module):
    """What a label-dependent model needs of its network.

    ``forward`` maps standardised labels, shape (n_stars, n_labels), to standardised spectra,
    shape (n_stars, n_pixels), row by row; ``variance`` is the intrinsic scatter, squared.
    """

    variance: Tensor

    def __init__(self, n_pixels: int) -> None:
        super().__init__()
        self.register_buffer("variance", torch.ones(n_pixels))
