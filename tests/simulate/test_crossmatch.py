"""The simulated archive knows few stars, mostly rightly, and never the unknown class."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.table import Table

from starkin.simulate.crossmatch import OBJECT_TYPE, simulate_crossmatch
from starkin.spectra import SpectrumSet, StarkinError, XPGrid


def _survey(names: list[str], magnitude: float) -> SpectrumSet:
    n = len(names)
    labels = Table({"class_name": names, "phot_g_mean_mag": np.full(n, magnitude)})
    ones = np.ones((n, 110))
    return SpectrumSet(np.arange(1, n + 1), ones, ones, XPGrid(), labels=labels)


def test_bright_stars_are_known_at_the_stated_rate_and_faint_ones_at_a_tenth():
    names = ["carbon"] * 20_000
    bright = simulate_crossmatch(_survey(names, 12.0), completeness=0.2, seed=1)
    faint = simulate_crossmatch(_survey(names, 18.0), completeness=0.2, seed=1)
    assert len(bright) == pytest.approx(4000, abs=4 * np.sqrt(3200))
    assert len(faint) == pytest.approx(400, abs=4 * np.sqrt(400))


def test_unknown_objects_are_not_listed_and_few_types_are_wrong():
    table = simulate_crossmatch(
        _survey(["carbon"] * 5000 + ["unknown"] * 5000, 10.0), completeness=1.0, wrong=0.1
    )
    assert table["source_id"].max() <= 5000
    right = np.mean(table["main_type"] == OBJECT_TYPE["carbon"])
    assert right == pytest.approx(0.9 + 0.1 / len(set(OBJECT_TYPE.values())), abs=0.02)


def test_spectra_without_truth_are_refused():
    plain = SpectrumSet(np.array([1]), np.ones((1, 110)), np.ones((1, 110)), XPGrid())
    with pytest.raises(StarkinError, match="class_name"):
        simulate_crossmatch(plain)
