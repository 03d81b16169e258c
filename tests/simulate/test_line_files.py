"""Line lists in the layouts of their makers; expected numbers worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from starkin.simulate.line_files import read_lines
from starkin.spectra import StarkinError

VALD = """\
                                                                  Lande factors      Damping parameters
Elm Ion      WL_air(A)   log gf* E_low(eV) J lo  E_up(eV) J up  lower  upper   mean   Rad.  Stark    Waals
'Fe 1',     15194.4920,  -4.779,  2.2227,  3.0,  3.0385,  4.0,  1.500,  1.740,  2.100, 4.120,-6.280,  -7.820,
'  LS                                                            3d6.(5D).4s2 a5D'
'  LS                                                            3d7.(4F).4p z5D*'
'K14   Kurucz 2014'
'Zn 1',     16505.1800,   0.010,  8.1000,  2.0,  8.8000,  3.0, 99.000, 99.000, 99.000, 0.000, 0.000,   0.000,
'  LS                                                            3d10.4s.5d 3D'
'  LS                                                            3d10.4s.7f 3F*'
'K     Kurucz'
'Mg 1',     15740.7160,  -0.262,  5.9315,  1.0,  6.7190,  2.0, 99.000, 99.000, 99.000, 0.000, 0.000, 1860.240,
'  LS                                                            3s.4p 3P*'
'  LS                                                            3s.4d 3D'
'ATOM  Barklem'
* oscillator strengths were scaled by the solar isotopic ratios.
"""  # noqa: E501

TURBOSPECTRUM = """\
' 26.000             '    1         1
'FE I   '
 15194.492   2.223  -4.779   -7.820    9.0  1.32E+04  's' 'p'   0.0    1.0 'Fe I lower upper'
' 58.000             '    2         1
'CE II  '
 15784.750   0.318  -1.540    2.500   10.0  1.00E+05  'x' 'x'   0.0    1.0 'Ce II'
'0608.012016         '    1         1
'CO     '
 15582.400   0.560  -6.900    0.000   70.0  0.00E+00  'x' 'x'   0.0    1.0 'CO 3-0'
"""

MOOG = """\
my favourite lines
 15194.492     26.0     2.223    -4.779    -7.820
 15784.750     58.1     0.318    -1.540
 15260.000    607.0     1.100    -1.700               120.0
"""

# gfall: F11.4, F7.3, F6.2, F12.3, F5.1, 1X, A10, F12.3, F5.1, 1X, A10, 3 F6.2, A4
KURUCZ = (
    f"{1519.4492:11.4f}{-4.779:7.3f}{26.00:6.2f}{17927.382:12.3f}{3.0:5.1f} {'a5D':>10}"
    f"{24506.915:12.3f}{4.0:5.1f} {'z7F':>10}{4.12:6.2f}{-6.28:6.2f}{-7.82:6.2f}K14\n"
    f"{1578.4750:11.4f}{-1.540:7.3f}{58.01:6.2f}{-8897.000:12.3f}{4.5:5.1f} {'up':>10}"
    f"{2564.886:12.3f}{3.5:5.1f} {'low':>10}{0.0:6.2f}{0.0:6.2f}{0.0:6.2f}DREA\n"
)

# 15194.492 Å in air; n - 1 = 2.7315e-4 by Morton's formula.
FE_VACUUM = 1519.86427


def _written(tmp_path, text):
    path = tmp_path / "lines.txt"
    path.write_text(text)
    return path


def test_vald_long(tmp_path):
    with pytest.warns(UserWarning, match="1 of 3 lines .*Zn I"):
        lines = read_lines(_written(tmp_path, VALD))
    assert lines.species.tolist() == ["Fe I", "Mg I"]
    assert lines.wavelength_nm[0] == pytest.approx(FE_VACUUM, abs=2e-4)
    assert lines.log_gf[0] == -4.779
    assert lines.excitation_ev[0] == 2.2227
    assert lines.gamma_rad[0] == pytest.approx(10**4.12)
    assert lines.gamma_stark[0] == pytest.approx(10**-6.28)
    assert lines.gamma_vdw[0] == pytest.approx(10**-7.82)
    # σ = 1860 a0² at 10 km/s and α = 0.24: 2 (4/π)^0.12 Γ(1.88) v (v/v0)^-0.24 σ, with
    # v = sqrt(8 k 10⁴ K/π μ) = 14.79 km/s for μ = 0.968 u.
    expected = 2 * 1.0294 * 0.9551 * 1.479e6 * 1.479**-0.24 * 1860 * 2.8003e-17
    assert lines.gamma_vdw[1] == pytest.approx(expected, rel=2e-3)
    # No radiative damping given: the classical value.
    assert lines.gamma_rad[1] == pytest.approx(2.223e13 / lines.wavelength_nm[1] ** 2)


def test_vald_in_vacuum_and_wavenumbers(tmp_path):
    text = VALD.replace("WL_air(A)", "WL_vac(A)").replace("E_low(eV)", "E_low(cm-1)")
    text = text.replace("2.2227", "17927.382")
    with pytest.warns(UserWarning, match="left out"):
        lines = read_lines(_written(tmp_path, text))
    assert lines.wavelength_nm[0] == pytest.approx(1519.4492)
    assert lines.excitation_ev[0] == pytest.approx(2.2227, abs=1e-4)


def test_turbospectrum(tmp_path):
    lines = read_lines(_written(tmp_path, TURBOSPECTRUM))
    assert lines.species.tolist() == ["Fe I", "CO", "Ce II"]
    assert lines.wavelength_nm[0] == pytest.approx(FE_VACUUM, abs=2e-4)
    assert lines.log_gf.tolist() == [-4.779, -6.9, -1.54]
    assert lines.excitation_ev.tolist() == [2.223, 0.56, 0.318]
    assert lines.gamma_vdw[0] == pytest.approx(10**-7.82)
    assert lines.gamma_rad[0] == pytest.approx(1.32e4)


def test_moog(tmp_path):
    lines = read_lines(_written(tmp_path, MOOG))
    assert lines.species.tolist() == ["Fe I", "CN", "Ce II"]
    assert lines.wavelength_nm[0] == pytest.approx(FE_VACUUM, abs=2e-4)
    assert lines.gamma_vdw[0] == pytest.approx(10**-7.82)
    assert lines.excitation_ev[2] == 0.318


def test_kurucz(tmp_path):
    lines = read_lines(_written(tmp_path, KURUCZ))
    assert lines.species.tolist() == ["Fe I", "Ce II"]
    assert lines.wavelength_nm[0] == pytest.approx(FE_VACUUM, abs=2e-4)
    assert lines.excitation_ev[0] == pytest.approx(17927.382 * 1.239841984e-4)
    # The levels may stand in either order, predicted ones with a minus sign.
    assert lines.excitation_ev[1] == pytest.approx(0.31800, abs=1e-4)
    assert lines.gamma_vdw[0] == pytest.approx(10**-7.82)


def test_what_is_no_line_list(tmp_path):
    with pytest.raises(StarkinError, match="in none of the layouts vald, turbospectrum"):
        read_lines(_written(tmp_path, "dear reader,\nno lines here\n"))
    with pytest.raises(StarkinError, match="not a line list in the vald layout"):
        read_lines(_written(tmp_path, "'Fe 1', 15194.49, -4.7,\n"))
    with pytest.raises(StarkinError, match="no line of a species"):
        read_lines(_written(tmp_path, " 16505.18  30.0  8.1  0.01\n"))
    with pytest.raises(StarkinError, match="Cannot read"):
        read_lines(tmp_path / "none.txt")


def test_a_list_of_ones_own_makes_the_spectrum(tmp_path):
    from starkin.simulate.spectrograph import Spectrograph
    from starkin.simulate.synthesiser import Synthesiser

    lines = read_lines(_written(tmp_path, MOOG.replace("-1.540", " 1.000")))
    own = Spectrograph.window(15_780, 15_798, 30_000)
    model = Synthesiser(own, lines=lines)
    flux = model(np.array([4500.0]), np.array([2.0]), np.zeros((1, 21)))[0]
    # Ce II 15784.750 in air is 15789.06 in vacuum; nothing else is there but the H lines' wings.
    assert own.pixels[flux.argmin()] == pytest.approx(15789.06, abs=0.3)
    assert flux.min() < 0.9
    assert np.median(flux) > 0.97
