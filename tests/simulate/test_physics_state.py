"""Equation of state against textbook values and conservation laws."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from starkin.simulate.physics import constants as c
from starkin.simulate.physics.composition import composition
from starkin.simulate.physics.partition import MOLECULES, TERMS, atomic_partition
from starkin.simulate.physics.state import solve_state
from starkin.spectra import StarkinError


def _gas(temperature, pressure, mix=None):
    t = torch.tensor(np.atleast_1d(temperature), dtype=torch.float64)
    p = torch.full_like(t, pressure)
    mix = composition(np.zeros(len(t))) if mix is None else mix
    return solve_state(t, p, torch.as_tensor(mix))


# log10 U at θ = 5040/T = 1 (Gray 2005, table D.2).
@pytest.mark.parametrize(
    ("symbol", "stage", "log_u"),
    [
        ("Fe", 0, 1.43), ("Fe", 1, 1.63), ("Ti", 0, 1.48), ("Ti", 1, 1.75), ("Ca", 0, 0.07),
        ("Ca", 1, 0.34), ("Mg", 0, 0.01), ("Na", 0, 0.31), ("Si", 0, 0.98), ("Ni", 0, 1.48),
        ("Cr", 0, 1.02), ("C", 0, 0.97), ("O", 0, 0.94), ("Al", 0, 0.77), ("Mn", 0, 0.81),
    ],
)  # fmt: skip
def test_partition_functions_are_those_of_the_textbook(symbol, stage, log_u):
    assert np.log10(atomic_partition(symbol, stage, np.array(5040.0))) == pytest.approx(
        log_u, abs=0.03
    )


def test_every_element_has_terms():
    assert set(TERMS) == {e.symbol for e in c.ELEMENTS}


def test_saha_by_hand_for_pure_ionisation_of_hydrogen():
    # One element alone: ne² / n(H) = Saha factor, nothing else in the gas.
    mix = np.zeros((1, len(c.ELEMENTS)))
    mix[:, 0] = 1.0
    t = 9000.0
    state = _gas(t, 1e3, mix)
    factor = (
        (2 * np.pi * c.ELECTRON_MASS * c.BOLTZMANN * t / c.PLANCK**2) ** 1.5
        * 2
        * 1
        / atomic_partition("H", 0, np.array(t))
        * np.exp(-13.5984 / (c.BOLTZMANN_EV * t))
    )
    ratio = float(state.electrons**2 / state.h1)
    assert ratio == pytest.approx(float(factor), rel=2e-4)


@settings(max_examples=40, deadline=None)
@given(
    st.floats(2000, 40000),
    st.floats(0, 9),
    st.floats(-4, 0.5),
    st.floats(-0.3, 0.6),
    st.floats(-0.5, 2.5),
)
@example(2000.0, 0.0, 0.0, -0.21875, 0.0)  # C/O near 1: the slowest to settle
def test_charge_particles_and_carbon_are_conserved(t, log_p, m_h, alpha_m, c_m):
    mix = composition(np.array([m_h]), alpha_m, c_m)
    state = _gas(t, 10**log_p, mix)
    ions = state.abundances * state.hydrogen[:, None]
    r1, r2 = state.ratios.unbind(-1)
    charge = (ions * r1 * (1 + 2 * r2) / (1 + r1 * (1 + r2)))[:, 1:].sum()
    charge = charge + state.h1 * state.ratios[:, 0, 0]
    assert float(charge / state.electrons) == pytest.approx(1.0, rel=1e-6)
    particles = (
        state.hydrogen * state.abundances[:, 1:].sum() + state.hydrogen - state.h2 + state.electrons
    )
    assert float(particles * c.BOLTZMANN * t / 10**log_p) == pytest.approx(1.0, rel=1e-6)
    for symbol in ("C", "N", "O"):
        j = c.ELEMENT_INDEX[symbol]
        bound = sum(m.atoms.count(symbol) * state.molecule(n) for n, m in MOLECULES.items())
        free = state.densities()[:, j].sum()
        total = state.abundances[:, j] * state.hydrogen
        assert float((bound + free) / total) == pytest.approx(1.0, rel=1e-4)


def test_carbon_monoxide_takes_the_rarer_of_carbon_and_oxygen():
    t, p = [2800.0, 3200.0, 3500.0], 1e4
    solar = _gas(t, p)
    carbon_rich = _gas(t, p, composition(np.zeros(3), 0.0, 0.5))  # C/O = 1.7
    assert (carbon_rich.molecule("TiO") < 1e-2 * solar.molecule("TiO")).all()
    assert (carbon_rich.molecule("C2") > 1e4 * solar.molecule("C2")).all()
    assert (carbon_rich.molecule("CN") > 1e2 * solar.molecule("CN")).all()
    oxygen = carbon_rich.abundances[:, c.ELEMENT_INDEX["O"]] * carbon_rich.hydrogen
    assert (carbon_rich.molecule("CO") > 0.9 * oxygen).all()


def test_cool_gas_is_neutral_and_its_electrons_come_from_metals():
    sun = _gas(4200.0, 1e3)
    poor = _gas(4200.0, 1e3, composition(np.array([-2.0])))
    assert float(sun.h1 / sun.hydrogen) > 0.99
    # Electron donors scale with metals until hydrogen takes over.
    assert 10 < float(sun.electrons / poor.electrons) <= 100


def test_composition_scales_as_asked_and_refuses_a_wrong_shape():
    mix = composition(np.array([-1.0]), 0.4, 0.7)
    solar = c.solar_abundances()
    dex = np.log10(mix[0] / solar)
    assert dex[c.ELEMENT_INDEX["Fe"]] == pytest.approx(-1.0)
    assert dex[c.ELEMENT_INDEX["Mg"]] == pytest.approx(-0.6)
    assert dex[c.ELEMENT_INDEX["C"]] == pytest.approx(-0.3)
    assert dex[1] == 0
    with pytest.raises(StarkinError, match="abundances must have shape"):
        composition(np.zeros(2), offsets=np.zeros((2, 3)))
