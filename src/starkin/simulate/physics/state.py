"""Equation of state: who is ionised, who is bound, how many electrons are free.

Given temperature, gas pressure and composition, the electron density and the hydrogen density
follow from charge and particle conservation (Saha equation, Mihalas 1978, eq. 5-14), with H2
in dissociation equilibrium. Then the light molecules are shared out: C, N and O compete for
each other, and because CO is by far the strongest bond it takes all of the rarer of C and O.
What is left over decides whether a cool star shows TiO (O left) or C2 and CN (C left).

Everything is vectorised over points (stars, or stars × depths); float64 throughout, because
the exponents span hundreds of decades.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache

import numpy as np
import torch

from . import constants as c
from .charge_kernel import charge_balance
from .partition import MOLECULES, atomic_partition, molecular_partition

__all__ = ["SPECIES_INDEX", "State", "solve_state"]

_N_NODES = 800
_T_RANGE = (1000.0, 120000.0)
_N_ITERATIONS = 12  # of the charge balance
_N_MORE = 18  # without a guess to start from
_N_MOLECULE_ITERATIONS = 100  # at most: few gases need 25, cold thin ones with C/O near 1 over 50
# Bound in the competition for C, N and O; the hydrides enter it linearly.
_OXIDES_AND_CARBIDES = ("CO", "CN", "C2", "N2", "SiO", "TiO", "CH", "NH", "OH")

SPECIES_INDEX: dict[str, int] = {
    name: i
    for i, name in enumerate(
        [f"{e.symbol} {roman}" for e in c.ELEMENTS for roman in ("I", "II", "III")]
        + list(MOLECULES)
    )
}
"""Columns of :meth:`State.over_partition`."""


@cache
def _tables() -> dict[str, torch.Tensor]:
    """ln of Saha factors, partition functions and molecular constants on nodes in ln T."""
    ln_t = np.linspace(np.log(_T_RANGE[0]), np.log(_T_RANGE[1]), _N_NODES)
    t = np.exp(ln_t)
    electron = 1.5 * np.log(2 * np.pi * c.ELECTRON_MASS * c.BOLTZMANN * t / c.PLANCK**2)
    saha, partition = [], []
    for element in c.ELEMENTS:
        u = [np.log(atomic_partition(element.symbol, s, t)) for s in range(3)]
        partition.append(u)
        saha.append(
            [
                np.log(2.0) + electron + u[s + 1] - u[s] - chi / (c.BOLTZMANN_EV * t)
                if np.isfinite(chi)
                else np.full_like(t, -1e4)
                for s, chi in enumerate(element.ionisation)
            ]
        )
    molecules, molecule_partition = [], []
    for name, molecule in MOLECULES.items():
        a, b = (c.ELEMENT_INDEX[s] for s in molecule.atoms)
        q = np.log(molecular_partition(name, t))
        translation = 1.5 * np.log(
            2 * np.pi * molecule.reduced_mass * c.ATOMIC_MASS_UNIT * c.BOLTZMANN * t / c.PLANCK**2
        )
        molecule_partition.append(q)
        molecules.append(
            q
            - partition[a][0]
            - partition[b][0]
            - translation
            + molecule.dissociation / (c.BOLTZMANN_EV * t)
        )
    as_tensor = lambda x: torch.tensor(np.array(x))  # noqa: E731
    return {
        "saha": as_tensor(saha).reshape(-1, _N_NODES).T.contiguous(),
        "partition": as_tensor(partition).reshape(-1, _N_NODES).T.contiguous(),
        "molecules": as_tensor(molecules).T.contiguous(),
        "molecule_partition": as_tensor(molecule_partition).T.contiguous(),
    }


@cache
def _masses() -> torch.Tensor:
    return torch.tensor([e.mass for e in c.ELEMENTS], dtype=torch.float64)


def _look_up(name: str, temperature: torch.Tensor) -> torch.Tensor:
    """Linear interpolation in ln T of a table of logarithms, shape ``(n_points, n_columns)``."""
    low, high = np.log(_T_RANGE)
    x = (torch.log(temperature).clamp(low, high) - low) * ((_N_NODES - 1) / (high - low))
    i = x.floor().clamp(0, _N_NODES - 2).long()
    table = _tables()[name]
    return torch.lerp(table[i], table[i + 1], (x - i)[:, None])


@dataclass
class State:
    """A gas in thermodynamic equilibrium; all densities in cm^-3, shape ``(n_points,)``.

    Attributes
    ----------
    temperature : Tensor
        [K]
    electrons : Tensor
        Free electrons.
    hydrogen : Tensor
        Hydrogen nuclei in whatever form.
    h1, h2 : Tensor
        Neutral hydrogen atoms; hydrogen molecules.
    abundances : Tensor, shape (n_points, n_elements)
        Number of nuclei relative to hydrogen.
    """

    temperature: torch.Tensor
    electrons: torch.Tensor
    hydrogen: torch.Tensor
    h1: torch.Tensor
    h2: torch.Tensor
    abundances: torch.Tensor
    ratios: torch.Tensor  # (n_points, n_elements, 2): N+/N0 and N++/N+
    _neutral: dict[str, torch.Tensor] = field(default_factory=dict)
    _molecules: dict[str, torch.Tensor] = field(default_factory=dict)
    _densities: torch.Tensor | None = None
    _over_partition: torch.Tensor | None = None

    @classmethod
    def join(cls, states: Sequence[State]) -> State:
        """The points of several states one after the other."""

        def joined(name: str) -> torch.Tensor:
            return torch.cat([getattr(state, name) for state in states])

        return cls(
            joined("temperature"),
            joined("electrons"),
            joined("hydrogen"),
            joined("h1"),
            joined("h2"),
            joined("abundances"),
            joined("ratios"),
        )

    @property
    def mass_density(self) -> torch.Tensor:
        """[g cm^-3]"""
        return self.hydrogen * (self.abundances @ _masses()) * c.ATOMIC_MASS_UNIT

    def density(self, symbol: str, stage: int) -> torch.Tensor:
        """Number density of an atom or ion (``stage`` 0, 1, 2)."""
        return self.densities()[:, c.ELEMENT_INDEX[symbol], stage]

    def molecule(self, name: str) -> torch.Tensor:
        """Number density of a molecule."""
        self._share_out_molecules()
        return self._molecules[name]

    def densities(self) -> torch.Tensor:
        """Atoms and ions, shape ``(n_points, n_elements, 3)``; what molecules bind is left out."""
        self._share_out_molecules()
        if self._densities is None:
            r1, r2 = self.ratios.unbind(-1)
            neutral = self.abundances * self.hydrogen[:, None] / (1 + r1 * (1 + r2))
            for symbol, n in self._neutral.items():
                neutral[:, c.ELEMENT_INDEX[symbol]] = n
            ion = neutral * r1
            self._densities = torch.stack([neutral, ion, ion * r2], dim=-1)
        return self._densities

    def over_partition(self) -> torch.Tensor:
        """Densities over partition functions: what a Boltzmann factor multiplies.

        Shape ``(n_points, 3 n_elements + n_molecules)``, in the order of
        :data:`SPECIES_INDEX`.
        """
        if self._over_partition is None:
            self._share_out_molecules()
            atoms = self.densities().flatten(1) * torch.exp(
                -_look_up("partition", self.temperature)
            )
            molecules = torch.stack([self._molecules[n] for n in MOLECULES], dim=1)
            molecules = molecules * torch.exp(-_look_up("molecule_partition", self.temperature))
            self._over_partition = torch.cat([atoms, molecules], dim=1)
        return self._over_partition

    def _share_out_molecules(self) -> None:
        if not self._molecules:
            self._neutral, self._molecules = _molecular_equilibrium(self)


def solve_state(
    temperature: torch.Tensor,
    pressure: torch.Tensor,
    abundances: torch.Tensor,
    electrons: torch.Tensor | None = None,
) -> State:
    """Electron density and hydrogen density of a gas of given temperature and pressure.

    Parameters
    ----------
    temperature : Tensor, shape (n_points,)
        [K]
    pressure : Tensor, shape (n_points,)
        Gas pressure [dyn cm^-2].
    abundances : Tensor, shape (n_points, n_elements)
        Nuclei of each of :data:`~starkin.simulate.physics.constants.ELEMENTS` per H nucleus.
    electrons : Tensor, optional
        First guess of the electron density, for instance of the layer above.

    Returns
    -------
    State
    """
    saha = _look_up("saha", temperature).reshape(len(temperature), len(c.ELEMENTS), 2)
    k_h2 = torch.exp(_look_up("molecules", temperature)[:, 0].clamp(max=200.0))
    particles = pressure / (c.BOLTZMANN * temperature)
    result = torch.empty(3, len(temperature), dtype=torch.float64)
    ratios = torch.empty_like(saha)
    charge_balance(
        particles.numpy(),
        abundances.contiguous().numpy(),
        saha.numpy(),
        k_h2.numpy(),
        np.empty(0) if electrons is None else electrons.numpy(),
        _N_ITERATIONS + (_N_MORE if electrons is None else 0),
        result.numpy(),
        ratios.numpy(),
    )
    ne, h1, nuclei = result.unbind(0)
    return State(temperature, ne, nuclei, h1, k_h2 * h1**2, abundances, ratios)


def _molecular_equilibrium(
    state: State,
) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """Neutral atoms left over and molecules formed, H and the electrons being given.

    C and O are solved together, exactly for CO (the root of a quadratic); the weaker bonds
    enter as losses that are updated until the shares settle.
    """
    names = list(MOLECULES)
    ln_k = _look_up("molecules", state.temperature)
    k = {n: torch.exp(ln_k[:, i].clamp(max=250.0)) for i, n in enumerate(names)}
    index = c.ELEMENT_INDEX

    def total(symbol: str) -> torch.Tensor:
        return state.abundances[:, index[symbol]] * state.hydrogen

    def free(symbol: str) -> torch.Tensor:
        r1, r2 = state.ratios[:, index[symbol]].unbind(-1)
        return 1 + r1 * (1 + r2)

    h = state.h1
    base_c = free("C") + k["CH"] * h
    base_n = free("N") + k["NH"] * h
    base_o = free("O") + k["OH"] * h
    base_si, base_ti = free("Si"), free("Ti")
    total_c, total_o = total("C"), total("O")
    n_n = total("N") / base_n
    n_c, n_o = torch.zeros_like(h), torch.zeros_like(h)
    si, ti = total("Si") / base_si, total("Ti") / base_ti
    tn, tsi, tti = total("N"), total("Si"), total("Ti")
    for _ in range(_N_MOLECULE_ITERATIONS):
        # C2 is quadratic in C: Newton's tangent at the last value, 2x² ≈ 4x·x₀ - 2x₀².
        loss_c = base_c + k["CN"] * n_n + 4 * k["C2"] * n_c
        tc = total_c + 2 * k["C2"] * n_c**2
        loss_o = base_o + k["SiO"] * si + k["TiO"] * ti
        # loss_c x + K x y = tc and loss_o y + K x y = to: one quadratic for x.
        a = k["CO"] * loss_c
        b = loss_c * loss_o + k["CO"] * (total_o - tc)
        root = torch.sqrt(b**2 + 4 * a * loss_o * tc)
        new_c = torch.where(b > 0, 2 * loss_o * tc / (b + root), (root - b) / (2 * a))
        n_o = total_o / (loss_o + k["CO"] * new_c)
        linear_n = base_n + k["CN"] * new_c
        n_n = 2 * tn / (linear_n + torch.sqrt(linear_n**2 + 8 * k["N2"] * tn))
        si = tsi / (base_si + k["SiO"] * n_o)
        ti = tti / (base_ti + k["TiO"] * n_o)
        settled = float((new_c - n_c).abs().div(new_c.clamp(min=1e-250)).max()) < 1e-7
        n_c = new_c
        if settled:
            break
    neutral = {"H": h, "C": n_c, "N": n_n, "O": n_o, "Si": si, "Ti": ti}
    for symbol, hydride in (("Mg", "MgH"), ("Ca", "CaH")):
        neutral[symbol] = total(symbol) / (free(symbol) + k[hydride] * h)
    molecules = {}
    for name in names:
        a_symbol, b_symbol = MOLECULES[name].atoms
        molecules[name] = k[name] * neutral[a_symbol] * neutral[b_symbol]
    return neutral, molecules
