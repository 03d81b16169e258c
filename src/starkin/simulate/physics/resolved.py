"""Spectra that resolve their lines: opacity on a fine grid, continuum on a coarse one.

The engine of :mod:`.emergence` computes everything at every wavelength. Here lines are the work
and all else is smooth: continuous opacity, continuum and Planck function are taken at the ends of
short tiles of wavelength and run straight in between (relative error below 1e-6 for tiles of
15 Å). In each tile only the species take part that have lines there. What is left is one matrix
product per tile and temperature interval and two exponentials per layer and wavelength.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch

from . import constants as c
from .atmosphere import LN_TAU, Atmosphere
from .continuum import continuum_columns
from .hydrogen import hydrogen_columns
from .lines import LineList, line_columns
from .opacity import Column, OpacityTable
from .resolved_kernel import emergent
from .state import State
from .transfer import FluxIntegrator, planck

__all__ = ["ResolvedTable", "normalised_flux"]

_TILE = 256
_T_RANGE = (2200.0, 16000.0)
_N_NODES = 36
_UNIT = 1e20


class _Tile(NamedTuple):
    """Fine wavelengths of a tile, the columns that matter there, and where its ends are."""

    start: int
    stop: int
    columns: torch.Tensor  # indices of line columns at the lower node, then at the upper
    table: torch.Tensor  # (n_nodes, n_columns, n_wave)
    ramp: torch.Tensor  # (2, n_wave): shares of the left and right end


class ResolvedTable:
    """Opacity of lines on a fine grid and of the continuum at the ends of tiles.

    Parameters
    ----------
    wavelength_nm : ndarray, shape (n_wave,)
        Vacuum wavelengths [nm], increasing; may have gaps.
    lines : LineList
        Lines of atoms and molecules. Hydrogen is added from :mod:`.hydrogen`.
    velocity_kms : float
        Microturbulence.
    """

    def __init__(
        self, wavelength_nm: np.ndarray, lines: LineList, velocity_kms: float = 1.5
    ) -> None:
        self.wavelength_nm = np.asarray(wavelength_nm, dtype=float)
        nodes = np.geomspace(*_T_RANGE, _N_NODES)
        self._ln_t0 = float(np.log(nodes[0]))
        self._step = float(np.log(nodes[1] / nodes[0]))
        columns: list[Column] = line_columns(lines, velocity_kms)
        # Lines of hydrogen alone: the bound-free part is smooth and goes with the continuum.
        self._columns = [*columns, hydrogen_columns(velocity_kms, edges=False)[0]]
        self._pivots = np.concatenate([column.pivot_ev for column in self._columns])
        boltzmann = np.exp(self._pivots / (c.BOLTZMANN_EV * nodes[:, None]))
        self.tiles: list[_Tile] = []
        ends = []
        for start, stop in _tile_bounds(self.wavelength_nm):
            wave = self.wavelength_nm[start:stop]
            parts = [
                column.cross_section(nodes, wave).reshape(_N_NODES, len(column.pivot_ev), -1)
                for column in self._columns
            ]
            table = np.concatenate(parts, axis=1) * (boltzmann[:, :, None] * _UNIT)
            used = np.flatnonzero(table.max(axis=(0, 2)) > 0)
            share = (wave - wave[0]) / (wave[-1] - wave[0]) if len(wave) > 1 else np.zeros(1)
            self.tiles.append(
                _Tile(
                    start,
                    stop,
                    torch.from_numpy(np.concatenate([used, used + len(self._pivots)])),
                    torch.from_numpy(table[:, used].astype(np.float32, order="C")),
                    torch.from_numpy(np.stack([1 - share, share]).astype(np.float32)),
                )
            )
            ends += [wave[0], wave[-1]]
        self.ends = np.array(ends)
        smooth = continuum_columns() + hydrogen_columns(velocity_kms, lines=False)
        self._continuum = OpacityTable(smooth, self.ends)

    def line_weights(self, state: State, scale: torch.Tensor) -> torch.Tensor:
        """Amounts of the line absorbers × ``scale``, float32, shape ``(n_points, n_columns)``."""
        pivots = torch.from_numpy(self._pivots)
        boltzmann = torch.exp(-pivots / (c.BOLTZMANN_EV * state.temperature)[:, None])
        amounts = [column.amount(state).reshape(len(scale), -1) for column in self._columns]
        return (torch.cat(amounts, dim=1) * boltzmann * (scale / _UNIT)[:, None]).float()

    def continuum(self, state: State, scale: torch.Tensor) -> torch.Tensor:
        """Continuous opacity × ``scale`` at the ends of tiles, shape ``(n_points, 2 n_tiles)``."""
        table = self._continuum
        return table.evaluate(table.mixture(state.temperature, table.weights(state, scale)))

    def intervals(self, temperature: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Node below each temperature and the share of the node above."""
        x = ((torch.log(temperature) - self._ln_t0) / self._step).clamp(0, _N_NODES - 1.001)
        node = x.floor()
        return node.long(), (x - node).float()


def _tile_bounds(wavelength: np.ndarray) -> list[tuple[int, int]]:
    """Tiles that end at gaps of the grid."""
    step = np.diff(np.log(wavelength))
    gaps = np.flatnonzero(step > 3 * np.median(step)) + 1 if step.size else np.array([], int)
    bounds = []
    for first, last in zip([0, *gaps], [*gaps, wavelength.size], strict=True):
        edges = np.linspace(first, last, int(np.ceil((last - first) / _TILE)) + 1).astype(int)
        bounds += list(zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True))
    return bounds


def normalised_flux(atmosphere: Atmosphere, table: ResolvedTable) -> torch.Tensor:
    """Emergent flux over the flux without lines, shape ``(n_stars, n_wave)``, float32."""
    n_layers, n = len(atmosphere.layers), len(atmosphere.opacity[0])
    # All layers of all stars as one gas, the surface first.
    gas = State.join(atmosphere.layers)
    depth = torch.tensor(np.exp(LN_TAU)).repeat_interleave(n)
    scale = depth / torch.cat(atmosphere.opacity)
    ends = table.continuum(gas, scale).view(n_layers, n, -1)
    lam = torch.tensor(table.ends, dtype=torch.float32)
    sources = planck(gas.temperature, lam).view(n_layers, n, -1)
    smooth = FluxIntegrator(LN_TAU)
    for opacity, source in zip(ends, sources, strict=True):
        smooth.add(opacity, source)
    level = smooth.flux().view(n, -1, 2).unbind(1)
    opacity_ends = ends.view(n_layers, n, -1, 2).unbind(2)
    source_ends = sources.view(n_layers, n, -1, 2).unbind(2)

    # Layers of all stars in order of temperature: one matrix product per interval.
    node, share = table.intervals(gas.temperature)
    order = torch.argsort(node, stable=True)
    place = torch.empty_like(order)
    place[order] = torch.arange(order.numel())
    values, counts = torch.unique_consecutive(node[order], return_counts=True)
    stops = torch.cumsum(counts, 0).tolist()
    groups = list(zip(values.tolist(), [0, *stops[:-1]], stops, strict=True))
    own, upper = table.line_weights(gas, scale)[order].T, share[order]
    # Columns of both nodes as rows: picking some of them is then a copy of whole rows.
    both = torch.cat([own * (1 - upper), own * upper])

    half_steps = (0.5 * np.diff(LN_TAU, prepend=LN_TAU[0])).astype(np.float32)
    out = np.empty((n, table.wavelength_nm.size), np.float32)
    buffer = torch.empty(n_layers * n * max(t.stop - t.start for t in table.tiles))
    for k, tile in enumerate(table.tiles):
        n_wave = tile.stop - tile.start
        lines = buffer[: n_layers * n * n_wave].view(n_layers * n, n_wave)
        used = both.index_select(0, tile.columns)
        for value, start, stop in groups:
            pair = tile.table[value : value + 2].flatten(0, 1)
            torch.mm(used[:, start:stop].T, pair, out=lines[start:stop])
        emergent(
            lines.numpy(),
            place.view(n_layers, n).numpy(),
            np.ascontiguousarray(opacity_ends[k].numpy()),
            np.ascontiguousarray(source_ends[k].numpy()),
            tile.ramp.numpy(),
            half_steps,
            np.ascontiguousarray(level[k].numpy()),
            out,
            tile.start,
        )
    return torch.from_numpy(out)
