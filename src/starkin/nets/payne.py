"""The Payne: one MLP from labels to spectra, and what a radial velocity does to them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from .blocks import mlp
from .intrinsic import intrinsic_variance
from .label_network import LabelNetwork

__all__ = ["PayneNetwork", "shifted"]

#: Speed of light [km/s].
_C = 299_792.458


def shifted(spectra: Tensor, velocity: Tensor, wavelength: Tensor) -> Tensor:
    """Spectra of stars that move away with a velocity, by linear interpolation.

    What is seen at λ was emitted at λ √((1 − β)/(1 + β)), β = v/c; beyond the ends of the grid
    the last value stands. Differentiable in the velocity.

    Parameters
    ----------
    spectra : Tensor, shape (n_stars, n_pixels)
        At rest.
    velocity : Tensor, shape (n_stars,)
        [km/s], positive for a star that recedes.
    wavelength : Tensor, shape (n_pixels,)
        Increasing.
    """
    beta = velocity / _C
    emitted = wavelength * torch.sqrt((1 - beta) / (1 + beta))[:, None]
    right = torch.searchsorted(wavelength, emitted.detach().contiguous())
    right = right.clamp(1, len(wavelength) - 1)
    left_edge = wavelength[right - 1]
    part = ((emitted - left_edge) / (wavelength[right] - left_edge)).clamp(0, 1)
    return (1 - part) * spectra.gather(1, right - 1) + part * spectra.gather(1, right)


class PayneNetwork(LabelNetwork):
    """One MLP from labels to all pixels; a further label is the radial velocity.

    Parameters
    ----------
    n_pixels, n_labels : int
        The radial velocity is not counted among the labels.
    hidden : sequence of int
        Hidden widths.
    wavelength : Tensor or None
        Of the pixels, where velocities are fitted.
    unit_velocity : float
        The velocity that one unit of the further label stands for [km/s].
    centre, scale : Tensor or None, shape (n_pixels,)
        Of the standardisation, which a velocity must not shift.
    """

    wavelength: Tensor | None
    centre: Tensor | None
    scale: Tensor | None

    def __init__(
        self,
        n_pixels: int,
        n_labels: int,
        hidden: Sequence[int],
        wavelength: Tensor | None = None,
        unit_velocity: float = 1.0,
        centre: Tensor | None = None,
        scale: Tensor | None = None,
    ) -> None:
        super().__init__(n_pixels)
        self.n_labels, self.unit_velocity = n_labels, unit_velocity
        self.layers = mlp([n_labels, *hidden, n_pixels])
        self.straight = nn.Linear(n_labels, n_pixels)
        self.log_scatter = nn.Parameter(torch.full((n_pixels,), -2.0))
        self.register_buffer("wavelength", wavelength, persistent=False)
        self.register_buffer("centre", centre, persistent=False)
        self.register_buffer("scale", scale, persistent=False)

    @torch.no_grad()
    def start_from_line(self, labels: Tensor, x: Tensor, sigma: Tensor, used: Tensor) -> None:
        """Make the network equal to a linear regression of the spectra on the labels.

        Masked values take part as 0, the mean; it is a start, not a result.
        """
        design = torch.cat([labels, torch.ones_like(labels[:, :1])], dim=1).double()
        solution = torch.linalg.lstsq(design, (x * used).double()).solution
        squares = ((x * used).double() - design @ solution) ** 2
        scatter = intrinsic_variance(squares, sigma.double() ** 2, used)
        self.straight.weight.copy_(solution[:-1].T)
        self.straight.bias.copy_(solution[-1])
        self.log_scatter.copy_(0.5 * scatter.clamp(min=1e-6).log())

    def forward(self, labels: Tensor) -> Tensor:
        own = labels[:, : self.n_labels]
        spectra = self.straight(own) + self.layers(own)
        if labels.shape[1] == self.n_labels or self.wavelength is None:
            return spectra
        assert self.centre is not None
        assert self.scale is not None
        velocity = labels[:, self.n_labels] * self.unit_velocity
        moved = shifted(spectra * self.scale + self.centre, velocity, self.wavelength)
        return (moved - self.centre) / self.scale
