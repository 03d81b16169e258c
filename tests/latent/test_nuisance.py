"""The audit of nuisances on latents that hold known parts of them."""

from __future__ import annotations

import numpy as np
import pytest

from starkin.latent.nuisance import audit, made_of_magnitude, sky_vector
from starkin.spectra import StarkinError


def test_r_squared_of_a_known_mixture():
    """y = z + noise of equal variance: the best possible R² is ½; of pure chance it is 0."""
    rng = np.random.default_rng(0)
    z = rng.standard_normal((3000, 2))
    y = z[:, 0] + rng.standard_normal(3000)
    chance = rng.standard_normal(3000)
    chance[:10] = np.nan
    found = audit(z, {"a_v": y, "chance": chance}, n_folds=3)
    assert found["a_v"].value == pytest.approx(0.5, abs=0.07)
    assert found["a_v"].low < found["a_v"].value < found["a_v"].high
    assert -0.3 < found["chance"].value < 0.02
    assert found["chance"].n == 2990
    with pytest.raises(StarkinError, match="too few"):
        audit(z[:20], {"a_v": y[:20]})


def test_sky_has_no_seam():
    """359° and 1° are close; l = 0, b = 0 is (1, 0, 0), the pole (0, 0, 1)."""
    np.testing.assert_allclose(
        sky_vector(np.array([0.0, 90, 0]), np.array([0.0, 0, 90])), np.eye(3), atol=1e-12
    )
    near = sky_vector(np.array([359.0, 1.0]), np.zeros(2))
    assert np.linalg.norm(near[0] - near[1]) == pytest.approx(np.radians(2), rel=1e-3)
    z = sky_vector(np.random.default_rng(1).uniform(0, 360, 800), np.zeros(800))[:, :2]
    lon = np.degrees(np.arctan2(z[:, 1], z[:, 0]))
    assert audit(z, {"sky": sky_vector(lon, np.zeros(800))}, n_folds=3)["sky"].value > 0.95


def test_populations_that_are_magnitude_bins():
    """Two populations split at the median into two bins: NMI is 1."""
    magnitude = np.arange(200.0)
    labels = (magnitude >= 100).astype(int)
    found = made_of_magnitude(labels, magnitude, n_bins=2, n_permutations=99)
    assert found.nmi == pytest.approx(1.0)
    assert found.p_value == pytest.approx(0.01)
    assert found.by_chance < 0.05
    labels[:50] = -1
    assert made_of_magnitude(labels, magnitude, n_bins=2, n_permutations=9).n == 150


def test_nmi_by_hand():
    """Labels 0011, bins 0101: independent, NMI 0; labels 0011, bins 0001 by hand."""
    independent = made_of_magnitude(
        np.array([0, 0, 1, 1]), np.array([1.0, 3.0, 2.0, 4.0]), n_bins=2, n_permutations=9
    )
    assert independent.nmi == pytest.approx(0.0, abs=1e-12)
    # Quantile bins are of equal size: H = ln 2 each; joint cells 2, 1, 1, 2 of 6.
    labels, magnitude = np.array([0, 0, 0, 1, 1, 1]), np.array([1.0, 2.0, 5.0, 3.0, 4.0, 6.0])
    bins = np.array([0, 0, 1, 0, 1, 1])
    assert [int(((labels == a) & (bins == b)).sum()) for a in (0, 1) for b in (0, 1)] == [
        2,
        1,
        1,
        2,
    ]
    mutual = 2 * (2 / 6) * np.log((2 / 6) / 0.25) + 2 * (1 / 6) * np.log((1 / 6) / 0.25)
    found = made_of_magnitude(labels, magnitude, n_bins=2, n_permutations=9)
    assert found.nmi == pytest.approx(mutual / np.log(2))


def test_populations_of_stars_are_not_magnitude():
    rng = np.random.default_rng(2)
    found = made_of_magnitude(rng.integers(0, 4, 500), rng.normal(size=500), n_permutations=99)
    assert found.p_value > 0.02
