"""What the page makes of a catalogue, on cases worked by hand."""

from __future__ import annotations

import numpy as np
import pytest

from starkin.report.panels.hr import hr_views, with_near_stars
from starkin.report.panels.spectra import pixels_for, rebin
from starkin.report.stars import ABSOLUTE_G, Packed, Stars, hammer

from .fake_discovery import make_discovery


def test_hammer_by_hand() -> None:
    # Centre, pole, the left end of the equator and 90 degrees to the right of the centre.
    x, y = hammer(np.array([0.0, 123.0, 179.999999, 270.0]), np.array([0.0, 90.0, 0.0, 0.0]))
    assert x == pytest.approx([0, 0, -2 * np.sqrt(2), 2 * np.sqrt(2 - np.sqrt(2))], abs=1e-4)
    assert y == pytest.approx([0, np.sqrt(2), 0, 0], abs=1e-6)


def test_hammer_keeps_areas() -> None:
    # The Jacobian of an equal-area map is cos b everywhere (unit sphere).
    step = 1e-4
    l, b = np.meshgrid([10.0, 80.0, 200.0, 300.0], [-70.0, -20.0, 5.0, 60.0])  # noqa: E741
    x0, y0 = hammer(l, b)
    xl, yl = hammer(l + step, b)
    xb, yb = hammer(l, b + step)
    area = np.abs((xl - x0) * (yb - y0) - (xb - x0) * (yl - y0)) / np.radians(step) ** 2
    assert area == pytest.approx(np.cos(np.radians(b)), rel=1e-3)


def test_packed_by_hand() -> None:
    packed = Packed.of(np.array([0.0, 65534.0, 3.0, np.nan, np.inf]))
    assert packed.code.tolist() == [0, 65534, 3, 65535, 65535]
    assert packed.unpack()[:3].tolist() == [0, 65534, 3]
    assert np.isnan(packed.unpack()[3:]).all()


def test_packed_is_within_half_a_step() -> None:
    values = np.random.default_rng(0).normal(5000, 800, 1000)
    packed = Packed.of(values)
    assert np.abs(packed.unpack() - values).max() <= packed.scale * 0.5001
    assert Packed.of(np.full(3, 7.0)).unpack().tolist() == [7, 7, 7]


def test_rebin_by_hand() -> None:
    wavelength, flux = rebin(
        np.array([400.0, 410.0, 420.0, 430.0, 440.0]), np.array([[1.0, 3.0, 5.0, 7.0, 9.0]]), 2
    )
    assert wavelength.tolist() == [405.0, 430.0]
    assert flux.tolist() == [[2.0, 7.0]]


def test_spectra_fit_the_page() -> None:
    assert pixels_for(60_000, 343) == 66
    assert pixels_for(1_400, 343) == 160
    assert pixels_for(1_400, 120) == 120


def test_absolute_magnitude_and_parallax_cut() -> None:
    found = make_discovery(n_stars=200, n_populations=1)
    table = found.catalogue.columns
    table["phot_g_mean_mag"][:3] = [10.0, 10.0, 10.0]
    table["parallax"][:3] = [10.0, 1.0, -1.0]
    table["parallax_error"][:3] = [0.1, 0.5, 0.1]
    stars = Stars.of(found)
    with_near_stars(stars)
    at = [int(np.flatnonzero(stars.order == row)[0]) for row in range(3)]
    absolute = stars.columns[ABSOLUTE_G].values[at]
    # 10 mas is 100 pc, a modulus of 5; 1 mas is 1 kpc, a modulus of 10.
    assert absolute[:2] == pytest.approx([5.0, 0.0])
    assert np.isnan(absolute[2])
    assert stars.good_parallax[at].tolist() == [True, False, False]
    near = stars.columns[hr_views(stars)[0].y].values[at]
    assert near[0] == pytest.approx(5.0)
    assert np.isnan(near[1:]).all()


def test_rare_populations_lie_on_top_and_in_range() -> None:
    found = make_discovery(n_stars=4000)
    stars = Stars.of(found)
    size = [int(stars.members(i).sum()) for i in range(-1, 7)]
    met = [stars.position[0]]
    for position in stars.position:
        if position != met[-1]:
            met.append(position)
    assert met == [-1, *sorted(range(7), key=lambda i: -size[i + 1])]
    for name in stars.latents:
        column = stars.columns[name]
        for mask in stars.groups:
            inside = (column.values[mask] > column.low) & (column.values[mask] < column.high)
            assert inside.mean() > 0.9


def test_equatorial_coordinates_alone_give_the_same_map() -> None:
    both = Stars.of(make_discovery(n_stars=300))
    only = Stars.of(make_discovery(n_stars=300, drop=("l", "b")))
    assert both.sky is not None
    assert only.sky is not None
    assert only.sky[0] == pytest.approx(both.sky[0], abs=1e-6)
    assert only.sky[1] == pytest.approx(both.sky[1], abs=1e-6)


@pytest.mark.parametrize(
    ("drop", "first"),
    [
        ((), "HR diagram, good parallaxes"),
        (("parallax_error",), "HR diagram, good parallaxes"),
        (("parallax",), "Colour–magnitude diagram"),
        (("phot_g_mean_mag",), "Kiel diagram"),
        (("bp_rp",), "Kiel diagram"),
        (("bp_rp", "teff"), None),
    ],
)
def test_diagrams_fall_back(drop: tuple[str, ...], first: str | None) -> None:
    stars = Stars.of(make_discovery(n_stars=300, drop=drop))
    with_near_stars(stars)
    views = hr_views(stars)
    assert (views[0].title if views else None) == first
