"""Plane-parallel atmosphere on a T(τ) relation, in hydrostatic equilibrium.

Temperature: ``T⁴ = ¾ Teff⁴ (τ + q(τ))`` on the Rosseland scale, q between the grey solution
(Hopf's function, fit of Mihalas 1978) for metal-poor and hot stars and the fit of Krishna Swamy
(1966, ApJ 145, 174) to the blanketed solar atmosphere; lines cool the top of metal-rich
atmospheres as in the models of Gustafsson et al. 2008 (A&A 486, 951: T/Teff of 0.73-0.75 at
τ = 1e-4 in the Sun). The whole run is then scaled so that the emergent flux is σTeff⁴.

Pressure: dP/dτ = g/κ(P, T) with the opacity found from the equation of state at every depth;
radiation pressure lowers g. The Rosseland mean is that of the continuum plus, below 4000 K, the
molecular term 1e-8 ρ^(2/3) T³ of Bell & Lin 1994 (ApJ 427, 987), scaled with metallicity.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import torch

from . import constants as c
from .continuum import continuum_columns
from .hydrogen import hydrogen_columns
from .opacity import OpacityTable
from .state import State, solve_state

__all__ = ["Atmosphere", "build_atmosphere", "temperature_structure"]

LN_TAU = np.log(10.0) * np.linspace(-5.2, 1.6, 25)
"""Natural logarithm of the Rosseland optical depths of the layers."""

_ROSSELAND_WAVELENGTHS = np.geomspace(95.0, 14000.0, 48)  # nm
_LARGEST_X = 80.0  # of hc/λkT


@dataclass(frozen=True)
class Atmosphere:
    """Layers of a set of stars, surface first.

    Attributes
    ----------
    layers : list of State
        One per depth, each over all stars.
    opacity : list of Tensor
        Rosseland mean [cm^-1] at each depth, shape ``(n_stars,)``.
    pressure : list of Tensor
        Gas pressure [dyn cm^-2].
    """

    layers: list[State]
    opacity: list[torch.Tensor]
    pressure: list[torch.Tensor]


@cache
def _rosseland_table() -> OpacityTable:
    return OpacityTable(
        continuum_columns(metals=False) + hydrogen_columns(), _ROSSELAND_WAVELENGTHS
    )


@cache
def _reduced_frequencies() -> torch.Tensor:
    """hc/λk [K] of the wavelengths of the Rosseland mean."""
    return torch.tensor(c.HC_OVER_K_NM / _ROSSELAND_WAVELENGTHS)


def rosseland_mean(state: State) -> torch.Tensor:
    """Rosseland mean opacity [cm^-1], shape ``(n_points,)`` (see the module)."""
    table = _rosseland_table()
    # Scale by a typical free path, for the sake of float32; it drops out.
    scale = 1e18 / state.hydrogen
    opacity = table.evaluate(table.mixture(state.temperature, table.weights(state, scale)))
    # The range of float32 ends at e^-87; of what weighs so little nothing is seen.
    x = ((_reduced_frequencies() / state.temperature[:, None]).float()).clamp(max=_LARGEST_X)
    # dB/dT per ln λ, up to a factor: x⁵ e^x/(e^x - 1)² (with λ dλ = λ² d ln λ).
    below = torch.expm1(-x)
    weight = (x * x).square_().mul_(below + 1).div_(below.square_())
    mean = weight.sum(1) / weight.div_(opacity.clamp_(min=1e-12)).sum(1)
    t, density = state.temperature, state.mass_density
    iron = c.ELEMENT_INDEX["Fe"]
    metals = state.abundances[:, iron] / float(c.solar_abundances()[iron])
    molecules = 1e-8 * density ** (2 / 3) * t**3 * torch.exp(-((t / 3700.0) ** 8)) * metals
    return mean / scale + molecules * density


def temperature_structure(teff: torch.Tensor, m_h: torch.Tensor) -> torch.Tensor:
    """Temperatures [K] at :data:`LN_TAU`, shape ``(n_stars, n_depth)``."""
    tau = torch.tensor(np.exp(LN_TAU))
    hopf = 0.7104 - 0.1331 * torch.exp(-3.4488 * tau)
    krishna_swamy = 1.39 - 0.815 * torch.exp(-2.54 * tau) - 0.025 * torch.exp(-30.0 * tau)
    # Blanketing: half-way to the solar fit at solar metallicity, fading with metals and heat.
    share = 0.6 / (1 + 10 ** (-0.6 * (m_h + 0.5))) / (1 + (teff / 8000.0) ** 8)
    q = hopf + share[:, None] * (krishna_swamy - hopf)
    blanketed = 1 / (1 + 10 ** (-0.8 * (m_h + 1.0))) / (1 + (teff / 8000.0) ** 8)
    cooling = 1 - 0.03 * blanketed[:, None] * torch.log10(1 + 0.02 / tau)
    return teff[:, None] * (0.75 * (tau + q)) ** 0.25 * cooling


def build_atmosphere(
    teff: torch.Tensor,
    logg: torch.Tensor,
    m_h: torch.Tensor,
    abundances: torch.Tensor,
    scale: torch.Tensor | None = None,
) -> Atmosphere:
    """Integrate hydrostatic equilibrium inwards.

    Parameters
    ----------
    teff, logg, m_h : Tensor, shape (n_stars,)
        Effective temperature [K], log10 of surface gravity [cm s^-2], metallicity (for T(τ)).
    abundances : Tensor, shape (n_stars, n_elements)
        Relative to H by number.
    scale : Tensor, shape (n_stars,), optional
        Factor on all temperatures that makes the flux come out right
        (:func:`~.energy.temperature_scale`).
    """
    temperature = temperature_structure(teff, m_h)
    if scale is not None:
        temperature = temperature * scale[:, None]
    tau = np.exp(LN_TAU)
    gravity = 10**logg
    radiative = c.STEFAN_BOLTZMANN * teff**4 / c.SPEED_OF_LIGHT

    def gradient(depth: int, ln_p: torch.Tensor, electrons: torch.Tensor | None):
        state = solve_state(temperature[:, depth], torch.exp(ln_p), abundances, electrons)
        kappa = rosseland_mean(state)
        per_mass = kappa / state.mass_density
        g = (gravity - per_mass * radiative).clamp(min=0.1 * gravity)
        slope = g * float(tau[depth]) / (per_mass * torch.exp(ln_p))
        return state, kappa, slope

    ln_p = torch.log(gravity)
    electrons = None
    for _ in range(14):
        state, kappa, slope = gradient(0, ln_p, electrons)
        electrons = state.electrons
        # At the top, P = g τ/κ, i.e. slope 1 if κ is constant above; damped for κ ∝ P.
        ln_p = ln_p + 0.55 * torch.log(slope)
    state, kappa, slope = gradient(0, ln_p, electrons)
    layers, opacity, pressure = [state], [kappa], [torch.exp(ln_p)]
    for depth in range(1, len(tau)):
        step = float(LN_TAU[depth] - LN_TAU[depth - 1])
        trial = ln_p + step * slope.clamp(max=3.0)
        guess = layers[-1].electrons
        if depth > 1:  # electrons rise about as fast as one layer higher up
            guess = guess * (guess / layers[-2].electrons).clamp(0.3, 10.0)
        tentative, _, ahead = gradient(depth, trial, guess)
        ln_p = ln_p + 0.5 * step * (slope.clamp(max=3.0) + ahead.clamp(max=3.0))
        state, kappa, slope = gradient(depth, ln_p, tentative.electrons)
        layers.append(state)
        opacity.append(kappa)
        pressure.append(torch.exp(ln_p))
    return Atmosphere(layers, opacity, pressure)
