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

import numpy as np
import torch

from . import constants as c
from .state import State

__all__ = ["Column", "OpacityTable", "stimulated_emission"]

T_NODES = np.exp(np.linspace(np.log(1500.0), np.log(60000.0), 72))
"""Temperatures at which cross-sections are tabulated [K]."""


@dataclass(frozen=True)
class Column:
    """One absorber.

    Attributes
    ----------
    name : str
    amount : callable
        State → amount per cm^3, shape ``(n_points,)`` (number density, or a product of two).
    cross_section : callable
        ``(temperature (n_t,), wavelength_nm (n_wave,)) → (n_t, n_wave)`` [cm^2 per amount],
        stimulated emission included.
    pivot_ev : float
        Excitation energy that the amount carries as a Boltzmann factor exactly, so that the
        table between nodes only interpolates what is left; the cross-section is divided by it.
    """

    name: str
    amount: Callable[[State], torch.Tensor]
    cross_section: Callable[[np.ndarray, np.ndarray], np.ndarray]
    pivot_ev: float = 0.0


def stimulated_emission(temperature: np.ndarray, wavelength_nm: np.ndarray) -> np.ndarray:
    """``1 - exp(-hc/λkT)``, shape ``(n_t, n_wave)``."""
    return -np.expm1(-c.HC_OVER_K_NM / (wavelength_nm * temperature[:, None]))


class OpacityTable:
    """Cross-sections of a set of columns on one wavelength grid.

    Parameters
    ----------
    columns : sequence of Column
    wavelength_nm : ndarray, shape (n_wave,)
        Vacuum wavelengths [nm].
    """

    def __init__(self, columns: Sequence[Column], wavelength_nm: np.ndarray) -> None:
        self.columns = tuple(columns)
        self.wavelength_nm = np.asarray(wavelength_nm, dtype=float)
        table = np.empty((len(T_NODES), len(self.columns), self.wavelength_nm.size), np.float32)
        for k, column in enumerate(self.columns):
            boltzmann = np.exp(column.pivot_ev / (c.BOLTZMANN_EV * T_NODES))
            sigma = column.cross_section(T_NODES, self.wavelength_nm)
            table[:, k] = sigma * (boltzmann[:, None] * _UNIT)
        self._table = torch.from_numpy(table)
        self._ln_t0 = float(np.log(T_NODES[0]))
        self._step = float(np.log(T_NODES[1] / T_NODES[0]))

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
        kt = c.BOLTZMANN_EV * state.temperature
        out = torch.empty(len(kt), len(self.columns), dtype=torch.float32)
        scale = scale / _UNIT
        for k, column in enumerate(self.columns):
            amount = column.amount(state) * scale
            if column.pivot_ev:
                amount = amount * torch.exp(-column.pivot_ev / kt)
            out[:, k] = amount
        return out

    def evaluate(self, temperature: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
        """Opacity × scale, shape ``(n_points, n_wave)``, float32.

        Points are grouped by temperature interval; in each group the interpolation in ln T is
        folded into the weights, so that the group is one matrix product.
        """
        x = ((torch.log(temperature) - self._ln_t0) / self._step).clamp(0, len(T_NODES) - 1.001)
        node = x.floor().long()
        upper = (x - node).to(torch.float32)[:, None]
        both = torch.cat([weights * (1 - upper), weights * upper], dim=1)
        out = torch.empty(len(x), self.wavelength_nm.size, dtype=torch.float32)
        order = torch.argsort(node)
        values, counts = torch.unique_consecutive(node[order], return_counts=True)
        start = 0
        for value, count in zip(values.tolist(), counts.tolist(), strict=True):
            rows = order[start : start + count]
            start += count
            table = self._table[value : value + 2].reshape(-1, self.wavelength_nm.size)
            out[rows] = both[rows] @ table
        return out.clamp_(min=0.0)


# Cross-sections are of order 1e-18 cm^2 and products with densities go far below 1e-38:
# tables are kept in units of 1e-20 cm^2.
_UNIT = 1e20
