"""The intrinsic scatter that makes residuals most likely, in closed form up to one root."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["intrinsic_variance"]

_HALVINGS = 60


def intrinsic_variance(squares: Tensor, variance: Tensor, used: Tensor) -> Tensor:
    """The s² ≥ 0 that maximises Σ_n log N(r_n; 0, σ_n² + s²), pixel by pixel.

    The derivative of −2 log L by s² is Σ [1/v − r²/v²] with v = σ² + s². Where it is
    positive at s² = 0 the residuals are no larger than the errors and s² is 0; otherwise it
    changes sign below the largest r², and the root is found by bisection.

    Parameters
    ----------
    squares, variance : Tensor, shape (n_stars, n_pixels)
        r² and σ²; σ² > 0.
    used : Tensor of bool, shape (n_stars, n_pixels)
        False where masked.

    Returns
    -------
    Tensor, shape (n_pixels,)
    """
    weight = used.to(squares)

    def excess(s2: Tensor) -> Tensor:
        total = variance + s2
        return (weight * (squares - total) / total**2).sum(0)

    low = torch.zeros_like(squares[0])
    high = (weight * squares).amax(0)
    scattered = excess(low) > 0
    for _ in range(_HALVINGS):
        middle = 0.5 * (low + high)
        above = excess(middle) > 0
        low, high = torch.where(above, middle, low), torch.where(above, high, middle)
        if bool((high - low <= 1e-9 * high).all()):
            break
    return torch.where(scattered, 0.5 * (low + high), 0.0)
