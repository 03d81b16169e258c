"""Conditions: standardised labels with their trained range."""

from __future__ import annotations

import numpy as np
import pytest

from starkin.models import Conditions
from starkin.spectra import SpectrumSet, StarkinError, WavelengthGrid
from starkin.spectra.flags import Flag


def stars(teff: list[float], logg: list[float]) -> SpectrumSet:
    n = len(teff)
    spectra = SpectrumSet(
        np.arange(n), np.ones((n, 2)), np.ones((n, 2)), WavelengthGrid(np.array([1.0, 2.0]))
    )
    return spectra.with_labels(teff=np.array(teff), logg=np.array(logg))


def test_standardised_by_hand():
    conditions = Conditions.fit(stars([4000, 5000, np.nan], [1, 3, 2]), ["teff", "logg"])
    assert conditions.names == ("teff", "logg")
    np.testing.assert_allclose(conditions.centre, [4500, 2])
    np.testing.assert_allclose(conditions.scale, [500, np.sqrt(2 / 3)])
    values = conditions.of(stars([4750], [3]))
    np.testing.assert_allclose(conditions.standardise(values), [[0.5, 1 / np.sqrt(2 / 3)]])


def test_stars_outside_the_range_or_without_a_label_are_flagged():
    conditions = Conditions.fit(stars([4000, 5000], [1, 3]), ["teff", "logg"])
    values = conditions.of(stars([4000, 5001, np.nan], [1, 2, 2]))
    assert conditions.flags(values).tolist() == [0, Flag.LABEL_OUT_OF_RANGE, Flag.LABEL_MISSING]


def test_arrays_give_it_back():
    conditions = Conditions.fit(stars([4000, 5000], [1, 3]), ["logg", "teff"])
    again = Conditions.from_arrays(conditions.to_arrays())
    assert again.names == conditions.names
    assert np.array_equal(again.scale, conditions.scale)


def test_what_cannot_be_a_condition_is_refused():
    with pytest.raises(StarkinError, match="'logg' has fewer than two"):
        Conditions.fit(stars([4000, 5000], [2, 2]), ["teff", "logg"])
    with pytest.raises(StarkinError, match="no label column 'm_h'"):
        Conditions.fit(stars([4000, 5000], [1, 2]), ["m_h"])
    with pytest.raises(StarkinError, match="teff, logg as columns"):
        Conditions.fit(stars([4000, 5000], [1, 3]), ["teff", "logg"]).standardise(np.ones((1, 3)))
