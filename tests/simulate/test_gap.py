"""The stellar labels gap: what it does to labels, and to whose."""

from __future__ import annotations

import numpy as np
import pytest

from starkin.simulate.gap import GAPS, gap_stars, with_gap
from starkin.spectra import SpectrumSet, StarkinError, XPGrid


@pytest.fixture
def stars() -> SpectrumSet:
    kind = np.array(["field", "field", "field", "binary", "cemp", "wd_ms"])
    teff = np.array([4000.0, 5500.0, 4800.0, 4000.0, 4000.0, 3500.0])
    logg = np.array([4.6, 4.4, 1.2, 4.6, 1.0, 4.8])
    return SpectrumSet(np.arange(6), np.ones((6, 2)), np.ones((6, 2)), XPGrid(1, 1)).with_labels(
        true_teff=teff, true_logg=logg, teff=teff, logg=logg, m_h=np.zeros(6), class_name=kind
    )


def test_who_is_concerned(stars):
    """Cool field stars and low gravities; classes that labels do not describe, by class."""
    assert gap_stars(stars, "missing").tolist() == [True, False, True, False, False, False]
    assert gap_stars(stars, "poor", coolest=3000.0).tolist() == [False, False, True, *[False] * 3]
    assert gap_stars(stars, "multiple").tolist() == [False] * 3 + [True, False, True]
    assert gap_stars(stars, "peculiar").tolist() == [False] * 4 + [True, False]
    with pytest.raises(StarkinError, match="choose from"):
        gap_stars(stars, "ugly")


def test_missing_labels_are_taken_from_the_concerned_alone(stars):
    found = with_gap(stars, "missing")
    assert np.isnan(found.label("teff")).tolist() == [True, False, True, False, False, False]
    assert found.label("true_teff").tolist() == stars.label("true_teff").tolist()
    assert np.array_equal(found.values, stars.values)
    assert not np.isnan(stars.label("teff")).any()


def test_poor_labels_are_biased_and_scattered():
    n = 4000
    many = SpectrumSet(np.arange(n), np.ones((n, 2)), np.ones((n, 2)), XPGrid(1, 1)).with_labels(
        true_teff=np.full(n, 4000.0),
        true_logg=np.full(n, 4.5),
        teff=np.full(n, 4000.0),
        class_name=np.full(n, "field"),
    )
    off = with_gap(many, "poor", seed=1).label("teff") - 4000
    assert off.mean() == pytest.approx(dict(GAPS["poor"].bias)["teff"], abs=4 * 250 / np.sqrt(n))
    assert off.std() == pytest.approx(250, rel=0.05)
    again = with_gap(many, "poor", seed=1).label("teff") - 4000
    np.testing.assert_array_equal(off, again)


def test_binaries_and_peculiar_stars_keep_what_they_have(stars):
    assert with_gap(stars, "multiple") is stars
