"""Lines recovered by a transfer, by hand; domains told apart or not."""

from __future__ import annotations

import numpy as np
import pytest

from starkin.latent.transfer import domain_accuracy, line_recovery
from starkin.spectra import StarkinError

WAVELENGTH = np.arange(100.0, 110.0)


def test_lines_by_hand():
    """Two stars; a line of depths 0.2 and 0.4 in one pixel, of which a half is found."""
    before = np.ones((2, 10))
    truth, after = before.copy(), before.copy()
    truth[:, 4] = 0.8, 0.6
    after[:, 4] = 0.9, 0.8
    after[:, 9] = 0.0  # outside of the window
    (row,) = line_recovery(WAVELENGTH, before, after, truth, [104.2], half_width=1.3)
    assert row["width"] == pytest.approx(0.3)
    assert row["recovered"] == pytest.approx(0.5)
    assert row["correlation"] == pytest.approx(1.0)
    # Three pixels (103, 104, 105) of two stars.
    assert row["rms_before"] == pytest.approx(np.sqrt((0.04 + 0.16) / 6))
    assert row["rms_constant"] == pytest.approx(np.sqrt(2 * 0.01 / 6))
    assert row["rms_after"] == pytest.approx(np.sqrt((0.01 + 0.04) / 6))


def test_a_line_added_to_the_wrong_stars_does_not_correlate():
    before = np.ones((2, 10))
    truth, after = before.copy(), before.copy()
    truth[:, 4] = 0.8, 0.6
    after[:, 4] = 0.6, 0.8
    (row,) = line_recovery(WAVELENGTH, before, after, truth, [104.0])
    assert row["recovered"] == pytest.approx(1.0)
    assert row["correlation"] == pytest.approx(-1.0)
    assert row["rms_after"] > row["rms_constant"]


def test_a_line_outside_of_the_spectrum_is_refused():
    with pytest.raises(StarkinError, match="line at 200"):
        line_recovery(WAVELENGTH, np.ones((2, 10)), np.ones((2, 10)), np.ones((2, 10)), [200.0])


def test_domains_that_are_one_and_that_are_two():
    rng = np.random.default_rng(0)
    one, other = rng.normal(size=(400, 2)), rng.normal(size=(200, 2))
    one[3] = np.nan
    same = domain_accuracy(one, other)
    assert same["linear"] == pytest.approx(0.5, abs=0.08)
    assert same["trees"] == pytest.approx(0.5, abs=0.08)
    moved = domain_accuracy(one, other + np.array([4.0, 0.0]))
    assert moved["linear"] > 0.95
    # As wide again about the same mean: a straight boundary cannot tell, trees can.
    wider = domain_accuracy(one, 5 * other)
    assert wider["linear"] < 0.6
    assert wider["trees"] > 0.75
