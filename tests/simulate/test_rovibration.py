"""Molecular lines where spectroscopists see them."""

from __future__ import annotations

import numpy as np
import pytest

from starkin.simulate.physics import constants as c
from starkin.simulate.physics.atomic_lines import air_to_vacuum
from starkin.simulate.physics.rovibration import (
    carbon_monoxide_lines,
    hydroxyl_lines,
    oscillator_strength,
)


def test_band_heads_of_carbon_monoxide():
    lines = carbon_monoxide_lines(float("inf"))
    # R branches of v -> v + 3 turn at J = 33-34; vacuum [Å] (Kleinmann & Hall 1986 give the
    # heads of 3-0 to 6-3 as 1.558, 1.578, 1.598 and 1.619 µm).
    for v, head in ((0, 15581.6), (1, 15779.5), (2, 15981.9), (3, 16188.9)):
        vibration = 2169.81 * v - 13.29 * v * (v + 1)
        near = np.abs(10 * lines.wavelength_nm - head) < 0.6
        # Lines pile up at the head, from a level J = 33 or so above the lower vibration.
        energy = lines.excitation_ev[near] / c.INVERSE_CM_TO_EV - vibration
        assert ((energy > 1700) & (energy < 2700)).sum() >= 4
        # To the violet of it there is none of this band nearby.
        violet = np.abs(10 * lines.wavelength_nm - (head - 3)) < 2.5
        energy = lines.excitation_ev[violet] / c.INVERSE_CM_TO_EV - vibration
        assert not ((energy > 1700) & (energy < 2700)).any()


def test_isotopes_share_the_carbon():
    both, pure = carbon_monoxide_lines(24.0), carbon_monoxide_lines(float("inf"))
    assert len(both) == pytest.approx(2 * len(pure), rel=0.02)
    # APOGEE's window for the 4-1 head of 13CO is at 16122.5 Å in air, 16126.9 in vacuum.
    extra = np.setdiff1d(np.round(both.wavelength_nm, 6), np.round(pure.wavelength_nm, 6))
    assert np.histogram(extra, bins=[1612.0, 1612.3, 1612.6, 1612.9])[0].argmax() == 2
    gf = (10.0**both.log_gf).sum() / (10.0**pure.log_gf).sum()
    assert gf == pytest.approx(1.0, rel=0.01)


def test_hydroxyl_where_arcturus_shows_it():
    # Λ-doublets of OH in air [Å] that APOGEE's analysis of Arcturus used (Smith et al. 2013).
    lines = hydroxyl_lines()
    seen = np.array([15278.5, 15281.1, 15568.8, 15572.1, 16052.8, 16055.5, 16190.1, 16192.1])
    for wavelength in air_to_vacuum(seen / 10):
        near = np.abs(lines.wavelength_nm - wavelength) < 0.1
        assert lines.log_gf[near].max() > -5.6
        assert lines.excitation_ev[near & (lines.log_gf > -5.6)].min() < 0.8


def test_oscillator_strength_of_the_fundamental():
    # CO 1-0: |μ| = 0.1055 D at 2143 cm^-1 is an f of 1.12e-5 (Larsson 1983's relation gives
    # 4.702e-7 ν̃ |μ|²).
    f = oscillator_strength(np.array(2143.0), np.array(0.1055**2))
    assert float(f) == pytest.approx(4.702e-7 * 2143 * 0.1055**2, rel=1e-3)
