"""Calibration error by hand."""

from __future__ import annotations

import numpy as np
import pytest

from starkin.latent.calibration import reliability
from starkin.spectra import StarkinError


def test_calibration_error_by_hand():
    # Bin [0, 0.5): claims 0.1 and 0.3, one true: mean 0.2 against 0.5, two of five claims.
    # Bin [0.5, 1]: claims 0.6, 0.8 and 1.0, all true: 0.8 against 1, three of five.
    # ECE = 2/5 * 0.3 + 3/5 * 0.2 = 0.24.
    found = reliability(np.array([0.1, 0.3, 0.6, 0.8, 1.0]), np.array([0, 1, 1, 1, 1]), n_bins=2)
    assert found.count.tolist() == [2, 3]
    np.testing.assert_allclose(found.claimed, [0.2, 0.8])
    np.testing.assert_allclose(found.observed, [0.5, 1.0])
    assert found.ece == pytest.approx(0.24)
    assert found.to_dict()["ece"] == found.ece


def test_honest_claims_have_little_error_and_boasting_much():
    rng = np.random.default_rng(0)
    p = rng.uniform(size=(200, 100))
    truth = rng.uniform(size=p.shape) < p
    assert reliability(p, truth).ece < 0.02
    # Everything claimed as certain, half of it true.
    assert reliability(np.ones_like(p), truth).ece == pytest.approx(0.5, abs=0.02)


def test_hopeless_pairs_do_not_hide_the_rest():
    p = np.r_[np.zeros(10_000), np.full(10, 0.9)]
    truth = np.zeros(10_010)
    assert reliability(p, truth).ece < 0.001
    assert reliability(p, truth, least=0.01).ece == pytest.approx(0.9)
    assert reliability(p, truth, least=0.01).count.sum() == 10


def test_missing_claims_and_none_at_all():
    found = reliability(np.array([np.nan, 0.5]), np.array([1, 1]))
    assert found.count.sum() == 1
    assert np.isnan(reliability(np.array([np.nan]), np.array([1])).ece)
    with pytest.raises(StarkinError, match="outside"):
        reliability(np.array([1.5]), np.array([1]))
