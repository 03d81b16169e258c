"""Positions from source ids and photometry from spectra, and neither where it is known."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.table import Table

from starkin.io import read
from starkin.spectra import SpectrumSet, StarkinError, XPGrid
from starkin.survey.derived import fill_in
from starkin.survey.inputs import attach_labels


def _spectra(ids: list[int], labels: Table | None = None) -> SpectrumSet:
    ones = np.ones((len(ids), 110))
    return SpectrumSet(np.array(ids), ones, ones, XPGrid(), labels=labels)


def test_the_id_of_a_known_star_gives_its_place():
    # Gaia DR3 5853498713190525696 is Proxima Centauri: ra 217.39, dec -62.68 (epoch 2016).
    filled = fill_in(_spectra([5853498713190525696]))
    assert filled.label("ra")[0] == pytest.approx(217.39, abs=0.05)
    assert filled.label("dec")[0] == pytest.approx(-62.68, abs=0.05)
    assert filled.label("l")[0] == pytest.approx(313.93, abs=0.05)
    assert filled.label("b")[0] == pytest.approx(-1.92, abs=0.05)
    assert "source_id" in filled.labels["ra"].description


def test_ids_that_are_not_gaia_s_say_nothing():
    assert not fill_in(_spectra([1, 2, 3])).has_label("ra")


def test_known_columns_stay_as_they_are():
    labels = Table({"ra": [10.0], "dec": [20.0], "phot_bp_mean_mag": [15.0]})
    labels["phot_rp_mean_mag"] = [14.0]
    filled = fill_in(_spectra([5853498713190525696], labels))
    assert filled.label("ra")[0] == 10.0
    assert filled.label("bp_rp")[0] == 1.0
    assert filled.has_label("l")


def test_real_stars_get_magnitudes_of_their_spectra(shared):
    filled = fill_in(read(shared / "gaia_xp" / "xp_continuous_1400_wide.fits"))
    magnitude = filled.label("phot_g_mean_mag")
    assert 14 < np.nanmedian(magnitude) < 18
    assert 0.5 < np.nanmedian(filled.label("bp_rp")) < 2
    assert "synthesised" in filled.labels["phot_g_mean_mag"].description


def test_labels_join_by_id_and_missing_stars_stay_missing():
    table = Table({"source_id": [30, 10], "teff": [5000.0, 4000.0]})
    joined = attach_labels(_spectra([10, 20, 30]), table)
    np.testing.assert_array_equal(joined.label("teff"), [4000.0, np.nan, 5000.0])


def test_a_table_that_repeats_or_shares_no_star_is_refused():
    with pytest.raises(StarkinError, match="twice"):
        attach_labels(_spectra([10]), Table({"source_id": [10, 10], "teff": [1.0, 2.0]}))
    with pytest.raises(StarkinError, match="shares no source_id"):
        attach_labels(_spectra([10]), Table({"source_id": [11], "teff": [1.0]}))
    with pytest.raises(StarkinError, match="no column source_id"):
        attach_labels(_spectra([10]), Table({"id": [11], "teff": [1.0]}))
