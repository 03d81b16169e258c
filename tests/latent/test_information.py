"""Mutual information against Gaussian cases with a known answer."""

from __future__ import annotations

import numpy as np
import pytest

from starkin.latent.information import equivalent_correlation, information, mutual_information
from starkin.spectra import StarkinError


def test_gaussian_pair_by_hand():
    """ρ = 0.8: I = −½ ln(1 − 0.64) = 0.5108 nat."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal(4000)
    y = 0.8 * x + 0.6 * rng.standard_normal(4000)
    expected = -0.5 * np.log(1 - 0.8**2)
    assert expected == pytest.approx(0.5108, abs=1e-4)
    assert mutual_information(x, y) == pytest.approx(expected, abs=0.05)
    assert equivalent_correlation(expected) == pytest.approx(0.8)
    assert equivalent_correlation(0.0) == 0.0


def test_joint_of_gaussians_by_hand():
    """y = z1 + z2 + noise of variance 2: R² = ½, I = ½ ln 2; each alone ρ² = ¼."""
    rng = np.random.default_rng(1)
    z = rng.standard_normal((5000, 3))
    y = z[:, 0] + z[:, 1] + np.sqrt(2) * rng.standard_normal(5000)
    assert mutual_information(z[:, :2], y) == pytest.approx(0.5 * np.log(2), abs=0.05)
    (found,) = information(z, {"y": y})
    alone = -0.5 * np.log(1 - 0.25)
    assert found.per_dimension[:2] == pytest.approx((alone, alone), abs=0.05)
    assert found.per_dimension[2] < 0.04
    assert found.joint == pytest.approx(0.5 * np.log(2), abs=0.07)
    assert found.joint_low < found.joint < found.joint_high
    assert found.nothing < 0.04
    # Two dimensions share it in equal parts, the third has none.
    assert found.shared_by == pytest.approx(2.0, abs=0.35)


def test_one_dimension_agrees_with_scikit_learn():
    from sklearn.feature_selection import mutual_info_regression

    rng = np.random.default_rng(2)
    x = rng.uniform(size=800)
    y = np.sin(6 * x) + 0.2 * rng.standard_normal(800)
    theirs = mutual_info_regression(x[:, None], y, n_neighbors=3, random_state=0)[0]
    assert mutual_information(x, y) == pytest.approx(theirs, abs=0.02)


def test_it_does_not_depend_on_units():
    rng = np.random.default_rng(3)
    z = rng.standard_normal((1000, 2))
    y = z @ [1.0, -1.0] + 0.5 * rng.standard_normal(1000)
    scaled = np.column_stack([1e4 * z[:, 0], 1e-4 * z[:, 1]])
    assert mutual_information(scaled, 5000 + 300 * y) == pytest.approx(
        mutual_information(z, y), abs=1e-6
    )


def test_missing_values_are_left_out_and_few_are_refused():
    rng = np.random.default_rng(4)
    z, y = rng.standard_normal((200, 2)), rng.standard_normal(200)
    y[:50] = np.nan
    assert information(z, {"y": y})[0].n == 150
    with pytest.raises(StarkinError, match="too few"):
        information(z[:10], {"y": y[50:60]})
    with pytest.raises(StarkinError, match="finite"):
        mutual_information(z, y)
