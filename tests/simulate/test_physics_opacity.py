"""Cross-sections, profiles and the formal solution against closed forms and published values."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.special import expn, wofz

from starkin.simulate.physics import LineList, bands, continuum, hydrogen, lines, transfer
from starkin.simulate.physics import constants as c
from starkin.simulate.physics.atomic_lines import air_to_vacuum, strong_lines
from starkin.simulate.physics.composition import composition
from starkin.simulate.physics.forest import generated_lines
from starkin.simulate.physics.opacity import T_NODES, OpacityTable
from starkin.simulate.physics.state import solve_state
from starkin.spectra import StarkinError


def test_h_minus_bound_free_peaks_where_it_does():
    w = np.arange(300.0, 1700.0, 5.0)
    sigma = continuum.h_minus_bound_free(np.array([1.0]), w)[0]  # cold: no stimulated emission
    assert 830 < w[sigma.argmax()] < 870
    assert sigma.max() == pytest.approx(3.95e-17, rel=0.03)
    assert sigma[w > 1645].max() == 0


def test_h_minus_free_free_fits_join():
    below, above = continuum.h_minus_free_free(np.array([5040.0]), np.array([364.4, 364.6]))[0]
    assert below == pytest.approx(above, rel=0.01)


def test_total_h_minus_has_its_minimum_at_1600_nm():
    w = np.arange(500.0, 3000.0, 10.0)
    t = np.array([5500.0])
    state = solve_state(
        torch.tensor(t), torch.tensor([1e5]).double(), torch.from_numpy(composition(np.zeros(1)))
    )
    table = OpacityTable(continuum.continuum_columns(metals=False)[:2], w)
    weights = table.weights(state, torch.tensor([1.0]).double())
    total = table.evaluate(table.mixture(state.temperature, weights))[0].numpy()
    assert 1550 < w[total.argmin()] < 1680


def test_table_reproduces_cross_sections_between_nodes():
    w = np.linspace(400, 900, 50)
    t = np.sqrt(T_NODES[10:20] * T_NODES[11:21])
    state = solve_state(
        torch.tensor(t),
        torch.full((10,), 1e5).double(),
        torch.from_numpy(composition(np.zeros(10))),
    )
    column = continuum.continuum_columns(metals=False)[0]
    table = OpacityTable([column], w)
    got = table.evaluate(
        table.mixture(state.temperature, table.weights(state, 1e8 * torch.ones(10).double()))
    ).numpy()
    want = column.amount(state).numpy()[:, None] * 1e8 * column.cross_section(t, w)
    np.testing.assert_allclose(got, want, rtol=0.01)


@pytest.mark.parametrize("a", [0.0, 0.003, 0.03, 0.3, 1.0])
def test_voigt_profile(a):
    v = np.linspace(0, 40, 4001)
    exact = wofz(v + 1j * a).real
    got = lines.voigt(a, v)
    area, true_area = np.trapezoid(got, v), np.trapezoid(exact, v)
    assert true_area * 0.998 <= area <= true_area * (1.002 + 0.4 * a)
    far = v > 8
    np.testing.assert_allclose(got[far], exact[far], rtol=0.02 if a else 1, atol=1e-30)
    np.testing.assert_allclose(got, exact, atol=1.1 * a + 1e-6)


def test_no_damping_turns_absorption_into_emission():
    assert (lines.voigt(15.0, np.linspace(0, 30, 3001)) > 0).all()


def test_hydrogen_line_has_the_area_of_its_oscillator_strength():
    w = np.linspace(470.0, 502.0, 8001)
    t = np.array([8000.0])
    bare = hydrogen._cross_section(1e13, t, w, 1.5, range(2, 3))[0]
    stimulated = -np.expm1(-c.HC_OVER_K_NM / (w * t))
    line = bare / stimulated
    line = line - np.interp(w, w[[0, -1]], line[[0, -1]])
    population = 8 * np.exp(-10.1988 / (c.BOLTZMANN_EV * t[0]))
    area = np.trapezoid(line, -1e7 / w)  # over wavenumber
    want = population * c.CLASSICAL_LINE * hydrogen.oscillator_strength(2, 4)
    assert area == pytest.approx(want, rel=0.02)


def test_high_levels_dissolve_as_density_rises():
    levels = np.array([3.0, 8.0, 15.0, 30.0])
    thin, thick = (hydrogen.occupation(levels, ne, np.array(10000.0)) for ne in (1e12, 1e16))
    assert (np.diff(thin) <= 1e-6).all()
    assert (thick <= thin).all()
    assert thin[1] > 0.99
    assert thick[2] < 0.05


# Published Franck-Condon factors q(0,0): Cerny et al. 1978 (CN red), Danylewych & Nicholls 1974
# (Swan), Collins 1975 (TiO γ).
@pytest.mark.parametrize(
    ("args", "q00"),
    [(("CN", "A", "X"), 0.50), (("C2", "d", "a"), 0.73), (("TiO", "A", "X"), 0.72)],
)
def test_franck_condon_factors(args, q00):
    q = bands.franck_condon(*args, 8)
    assert q[0, 0] == pytest.approx(q00, abs=0.02)
    assert (q.sum(0) <= 1 + 1e-6).all()
    assert q.sum(0)[0] == pytest.approx(1.0, abs=0.02)


# Band heads in air [nm] (Pearse & Gaydon 1976); all these bands extend to the blue.
@pytest.mark.parametrize(
    ("system", "head", "contrast"),
    [("CN violet", 388.34, 8.0), ("C2 Swan", 516.52, 8.0), ("MgH A-X", 521.1, 2.0)],
)
def test_band_heads_stand_where_they_are_seen(system, head, contrast):
    found = next(s for s in bands.SYSTEMS if s.name == system)
    lines_ = bands.band_lines(found)
    head = float(air_to_vacuum(np.array(head)))
    strength = 10 ** (lines_.log_gf - lines_.excitation_ev)
    inside = (lines_.wavelength_nm > head - 1.5) & (lines_.wavelength_nm < head)
    outside = (lines_.wavelength_nm > head + 0.15) & (lines_.wavelength_nm < head + 1.65)
    first, second = strength[inside].sum(), strength[outside].sum()
    assert first > contrast * second


def test_formal_solution_is_exact_for_a_linear_source():
    # S = a + bτ gives F = π (a + 2b/3): Eddington-Barbier.
    ln_tau = np.log(np.geomspace(1e-5, 60, 40))
    integrator = transfer.FluxIntegrator(ln_tau)
    tau = np.exp(ln_tau)
    for x in tau:
        opacity = torch.full((1, 1), float(x), dtype=torch.float32)
        integrator.add(opacity, torch.full((1, 1), 2.0 + 3.0 * x, dtype=torch.float32))
    assert float(integrator.flux()) == pytest.approx(np.pi * (2 + 2), rel=0.01)


def test_two_directions_stand_for_the_exponential_integral():
    tau = torch.linspace(0, 5, 60)
    got = transfer._escape(torch.exp(-tau / transfer._MU_2)).numpy()
    np.testing.assert_allclose(got, expn(3, tau.numpy()), atol=0.006)
    assert got[0] == pytest.approx(0.5)


def test_planck_integrates_to_stefan_boltzmann():
    w = np.geomspace(50, 2e5, 20001)
    t = torch.tensor([5777.0])
    b = transfer.planck(t, torch.tensor(w, dtype=torch.float32))[0].double().numpy()
    assert np.pi * np.trapezoid(b, w) == pytest.approx(5.670374e-8 * 5777.0**4, rel=1e-4)


def test_line_list_names_the_fault():
    with pytest.raises(StarkinError, match="species 'Xx I' is unknown"):
        LineList.from_columns([500.0], ["Xx I"], [0.0], [1.0])
    with pytest.raises(StarkinError, match="log_gf has 2 rows, expected 1"):
        LineList.from_columns([500.0], ["Fe I"], [0.0, 1.0], [1.0])
    with pytest.raises(StarkinError, match="excitation_ev is not a number in row 0"):
        LineList.from_columns([500.0], ["Fe I"], [0.0], [np.nan])


def test_generated_lines_do_not_depend_on_the_window():
    wide, narrow = generated_lines(500.0, 503.0), generated_lines(501.2, 502.1)
    inside = (wide.wavelength_nm >= 501.2) & (wide.wavelength_nm <= 502.1)
    np.testing.assert_array_equal(wide.wavelength_nm[inside], narrow.wavelength_nm)


def test_weak_line_absorbs_in_proportion_to_its_strength():
    w = np.linspace(599.9, 600.1, 2001)
    one = LineList.from_columns([600.0], ["Fe I"], [-1.0], [2.0])
    double = LineList.from_columns([600.0], ["Fe I"], [-1.0 + np.log10(2)], [2.0])
    area = [
        lines.line_columns(x)[0].cross_section(np.array([5000.0]), w)[0, 0].sum()
        for x in (one, double)
    ]
    assert area[1] / area[0] == pytest.approx(2.0, rel=1e-6)


def test_sodium_doublet_is_where_it_is_seen():
    d = strong_lines()
    sodium = d.take((d.species == "Na I") & (abs(d.wavelength_nm - 589.4) < 1))
    np.testing.assert_allclose(sodium.wavelength_nm, [589.158, 589.756], atol=0.001)


def test_wings_of_hydrogen_reach_into_windows_beside_the_line():
    """Brackett 15 lies at 1570.5 nm: a window beside it sees what a wider one sees there."""
    column = hydrogen.hydrogen_columns(edges=False)[0]
    wide = np.linspace(1568.0, 1573.0, 1501)
    beside = wide[(wide > 1570.8) & (wide < 1572.5)]
    temperature = np.array([5000.0, 7000.0])
    whole = column.cross_section(temperature, wide)[..., np.isin(wide, beside)]
    alone = column.cross_section(temperature, beside)
    strong = whole > 1e-3 * whole.max()
    assert strong.mean() > 0.1
    np.testing.assert_allclose(alone[strong], whole[strong], rtol=0.01)
