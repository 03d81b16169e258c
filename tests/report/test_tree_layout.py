"""Where branches go: true lengths, no crossings, supports where they belong."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("skbio")

from starkin.report.tree_layout import tree_layout


def test_four_stars_by_hand() -> None:
    """Four equal shares of the circle: the first at 0..90 degrees, its branch along 45."""
    layout = tree_layout("(a:1,b:2,(c:1,d:-0.5)0.75:3);")
    assert layout.stars == ["a", "b", "c", "d"]
    place = dict(zip(layout.stars, layout.places, strict=True))
    root = np.sqrt(0.5)
    np.testing.assert_allclose(place["a"], [root, root])
    np.testing.assert_allclose(place["b"], [-2 * root, 2 * root])
    # The inner branch has the lower half: it goes straight down, its stars to either side.
    np.testing.assert_allclose(place["c"], [-root, -3 - root], atol=1e-12)
    np.testing.assert_allclose(place["d"], [0, -3], atol=1e-12)  # a negative length is a point
    inner = np.isfinite(layout.support)
    assert layout.support[inner].tolist() == [0.75]
    np.testing.assert_allclose(layout.branches[inner], [[0, 0, 0, -3]], atol=1e-12)


def test_a_tree_without_supports_has_none() -> None:
    layout = tree_layout("((a:1,b:1):1,c:1,d:1);")
    assert np.isnan(layout.support).all()
    assert len(layout.branches) == 5
