"""Opacity as a sum of columns: what a gas absorbs = how much of it × what one unit absorbs.

Every absorber (a continuum process, the lines of one ion, a molecular band system) is a
:class:`Column` with two halves: an *amount* that depends on the full state of the gas, and a
*cross-section* that depends on temperature and wavelength alone. Cross-sections are tabulated
once on nodes in ln T. The opacity of any number of points is then one matrix product per
temperature interval, which is what makes tens of thousands of spectra a matter of seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch

from . import constants as c
from .state import SPECIES_INDEX, State

__all__ = [
    "Amount",
    "Column",
    "CrossSection",
    "OpacityTable",
    "species_amount",
    "stimulated_emission",
]

T_NODES = np.exp(np.linspace(np.log(1800.0), np.log(60000.0), 42))
"""Temperatures at which cross-sections are tabulated [K]."""


Amount = Callable[[State], torch.Tensor]
CrossSection = Callable[[np.ndarray, np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Column:
    """One absorber, or several of a kind.

    Attributes
    ----------
    name : str
    amount : callable
        State → amount per cm^3 (number density, or a product of two), shape ``(n_points,)``, or
        ``(n_points, k)`` for k absorbers that are best counted together.
    cross_section : callable
        ``(temperature (n_t,), wavelength_nm (n_wave,)) → (n_t, n_wave)`` or
        ``(n_t, k, n_wave)`` [cm^2 per amount], stimulated emission included.
    pivot_ev : tuple of float
        For each absorber, an excitation energy whose Boltzmann factor is applied exactly, so
        that interpolation between nodes in temperature only has to follow what is left.
    """

    name: str
    amount: Amount
    cross_section: CrossSection
    pivot_ev: tuple[float, ...] = (0.0,)


def species_amount(*names: str) -> Amount:
    """Densities over partition functions of some species (``"Fe I"``, ``"CN"``)."""
    index = torch.tensor([SPECIES_INDEX[name] for name in names])
    return lambda state: state.over_partition()[:, index]


def stimulated_emission(temperature: np.ndarray, wavelength_nm: np.ndarray) -> np.ndarray:
    """``1 - exp(-hc/λkT)``, shape ``(n_t, n_wave)``."""
    return -np.expm1(-c.HC_OVER_K_NM / (wavelength_nm * temperature[:, None]))


class Mixture(NamedTuple):
    """Amounts of absorbers at a set of points, grouped by temperature interval."""

    n_points: int
    weights: tuple[torch.Tensor, ...]
    rows: tuple[torch.Tensor, ...]
    nodes: list[int]


class OpacityTable:
    """Cross-sections of a set of columns on one wavelength grid.

    Parameters
    ----------
    columns : sequence of Column
    wavelength_nm : ndarray, shape (n_wave,)
        Vacuum wavelengths [nm].
    cross_sections : ndarray, optional
        The table's own, where an earlier one of the same columns left them.
    """

    def __init__(
        self,
        columns: Sequence[Column],
        wavelength_nm: np.ndarray,
        cross_sections: np.ndarray | None = None,
    ) -> None:
        self.columns = tuple(columns)
        self.wavelength_nm = np.asarray(wavelength_nm, dtype=float)
        pivots = np.concatenate([column.pivot_ev for column in self.columns])
        if cross_sections is None:
            cross_sections = self._tabulate(pivots)
        self._pivots = torch.from_numpy(pivots)
        self._table = torch.from_numpy(cross_sections)
        self._ln_t0 = float(np.log(T_NODES[0]))
        self._step = float(np.log(T_NODES[1] / T_NODES[0]))

    @property
    def cross_sections(self) -> np.ndarray:
        """On nodes in temperature, shape ``(n_nodes, n_columns, n_wave)``, in 1e-20 cm²."""
        return self._table.numpy()

    def _tabulate(self, pivots: np.ndarray) -> np.ndarray:
        table = np.empty((len(T_NODES), pivots.size, self.wavelength_nm.size), np.float32)
        done = 0
        for column in self.columns:
            stop = done + len(column.pivot_ev)
            sigma = column.cross_section(T_NODES, self.wavelength_nm)
            boltzmann = np.exp(pivots[done:stop] / (c.BOLTZMANN_EV * T_NODES[:, None]))
            table[:, done:stop] = sigma.reshape(len(T_NODES), stop - done, -1) * (
                boltzmann[:, :, None] * _UNIT
            )
            done = stop
        return table

    def take(self, index: np.ndarray) -> OpacityTable:
        """The same columns at some of the wavelengths."""
        new = object.__new__(OpacityTable)
        new.__dict__.update(self.__dict__)
        new.wavelength_nm = self.wavelength_nm[index]
        new._table = self._table[:, :, torch.as_tensor(index)].contiguous()
        return new

    @staticmethod
    def join(tables: Sequence[OpacityTable]) -> OpacityTable:
        """Tables of the same columns side by side in wavelength."""
        new = object.__new__(OpacityTable)
        new.__dict__.update(tables[0].__dict__)
        new.wavelength_nm = np.concatenate([t.wavelength_nm for t in tables])
        new._table = torch.cat([t._table for t in tables], dim=2).contiguous()
        return new

    def weights(self, state: State, scale: torch.Tensor) -> torch.Tensor:
        """Amounts of every column times ``scale``, float32, shape ``(n_points, n_columns)``.

        ``scale`` [cm] brings the products into the range of float32: multiply by a length,
        get optical depth.
        """
        boltzmann = torch.exp(-self._pivots / (c.BOLTZMANN_EV * state.temperature)[:, None])
        amounts = [column.amount(state).reshape(len(scale), -1) for column in self.columns]
        return (torch.cat(amounts, dim=1) * boltzmann * (scale / _UNIT)[:, None]).float()

    def mixture(self, temperature: torch.Tensor, weights: torch.Tensor) -> Mixture:
        """Points grouped by temperature interval, ready to be multiplied with the table.

        In each group the interpolation in ln T is folded into the weights.
        """
        x = ((torch.log(temperature) - self._ln_t0) / self._step).clamp(0, len(T_NODES) - 1.001)
        node = x.floor().long()
        upper = (x - node).float()[:, None]
        both = torch.cat([weights * (1 - upper), weights * upper], dim=1)
        order = torch.argsort(node, stable=True)
        values, counts = torch.unique_consecutive(node[order], return_counts=True)
        return Mixture(
            len(order),
            both[order].split(counts.tolist()),
            order.split(counts.tolist()),
            values.tolist(),
        )

    def evaluate(self, mixture: Mixture, pixels: slice = slice(None)) -> torch.Tensor:
        """Opacity × scale at some of the wavelengths, shape ``(n_points, n_wave)``, float32."""
        n_wave = len(range(self.wavelength_nm.size)[pixels])
        out = torch.empty(mixture.n_points, n_wave, dtype=torch.float32)
        for weights, rows, node in zip(mixture.weights, mixture.rows, mixture.nodes, strict=True):
            table = self._table[node : node + 2].flatten(0, 1)[:, pixels]
            out[rows] = weights @ table
        return out.clamp_(min=0.0)


# Cross-sections are of order 1e-18 cm^2 and products with densities go far below 1e-38:
# tables are kept in units of 1e-20 cm^2.
_UNIT = 1e20
