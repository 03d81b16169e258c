"""Completeness and contamination, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from starkin.latent.selection import selection_curve
from starkin.spectra import StarkinError

PROBABILITY = np.array([0.9, 0.8, 0.8, 0.4, 0.3, np.nan])
MEMBER = np.array([True, False, True, True, False, True])


def test_curve_by_hand() -> None:
    curve = selection_curve(PROBABILITY, MEMBER, np.array([0.0, 0.35, 0.8, 0.85, 0.95]))
    np.testing.assert_array_equal(curve.n_selected, [5, 4, 3, 1, 0])
    # Four members, one of them without a probability.
    np.testing.assert_allclose(curve.completeness, [3 / 4, 3 / 4, 2 / 4, 1 / 4, 0])
    np.testing.assert_allclose(curve.contamination, [2 / 5, 1 / 4, 1 / 3, 0, np.nan])


def test_the_threshold_for_a_limit_counts_no_lucky_one() -> None:
    curve = selection_curve(PROBABILITY, MEMBER, np.array([0.0, 0.35, 0.8, 0.85, 0.95]))
    # At 0.35 a quarter is contaminated, but at 0.8 a third again.
    assert curve.threshold_for(0.3) == 0.85
    assert curve.threshold_for(0.4) == 0.0
    with pytest.raises(StarkinError, match="No threshold keeps"):
        selection_curve([0.9, 0.1], [False, True]).threshold_for(0.1)


def test_without_members_there_is_no_completeness() -> None:
    with pytest.raises(StarkinError, match="at least one true member"):
        selection_curve([0.5], [False])
