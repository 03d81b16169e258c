"""A summary of a set in which everything is wrong once, and of real stars."""

from __future__ import annotations

import json

import numpy as np
import pytest
from astropy.table import MaskedColumn

from starkin.spectra import SpectrumSet, WavelengthGrid, XPGrid, normalise, summarise


def sound(n: int = 50, seed: int = 0) -> SpectrumSet:
    """Errors that are right, identity correlations, signal in the first orders only."""
    rng = np.random.default_rng(seed)
    errors = rng.uniform(0.5, 2, (n, 110))
    values = errors * rng.normal(size=(n, 110))
    values[:, [0, 55]] += 1000
    return SpectrumSet(
        source_id=np.arange(n),
        values=values,
        errors=errors,
        correlations=np.zeros((n, 2970), np.float32),
        grid=XPGrid(),
    )


def test_nothing_wrong():
    summary = summarise(sound())
    assert summary.problems == []
    assert summary.stars == 50
    assert summary.with_correlations == summary.checked_correlations == 50
    assert summary.normalisation == {"synthetic": 50}
    assert 10 < summary.g_range[0] <= summary.g_range[1] < 20
    assert summary.noise_scatter == pytest.approx({"bp": 1, "rp": 1}, abs=0.2)
    assert summary.grid == "Gaia XP coefficients, 55 BP + 55 RP"


def test_everything_wrong_once():
    spectra = sound()
    values, errors = spectra.values.copy(), spectra.errors.copy()
    values[0, :55] = np.nan  # no BP
    values[1, 60] = np.nan  # one value
    errors[2, 3] = 0  # one error
    values[3] = np.nan  # nothing
    source_id = spectra.source_id.copy()
    source_id[5] = source_id[4]
    correlations = spectra.correlations.copy()
    correlations[6] = -0.9
    correlations[7] = np.nan
    summary = summarise(
        spectra.replace(
            values=values,
            errors=errors,
            source_id=source_id,
            correlations=correlations,
            meta={"dropped_correlations": 2, "rejected": [(1, "why")]},
        ).with_labels(
            teff=MaskedColumn([5000.0] * 49 + [np.nan], mask=[True] + [False] * 49),
            empty=np.full(50, np.nan),
            name=["x"] * 50,
        )
    )
    assert summary.missing_bands == {"bp": 2, "rp": 1, "both": 1}
    assert summary.partly_masked == 2
    assert summary.masked_fraction == pytest.approx((55 + 1 + 1 + 110) / (50 * 110))
    assert summary.duplicates == 1
    assert (summary.bad_correlations, summary.with_correlations) == (1, 48)
    assert summary.normalisation == {"none": 4, "synthetic": 46}
    labels = {label.name: label for label in summary.labels}
    assert (labels["teff"].missing, labels["teff"].lowest, labels["teff"].unit) == (2, 5000, "K")
    assert labels["empty"].lowest is None
    assert labels["name"].missing == 0
    for words in (
        "2 stars without BP",
        "1 star without RP",
        "1 star without any usable value",
        "2 stars with single values",
        "1 row with a source_id that came before",
        "not positive definite",
        "1 star without correlations",
        "4 stars without a G flux",
        "label column empty is empty",
        "Correlations of 2 bands",
        "1 row of the file",
    ):
        assert any(words in problem for problem in summary.problems), words
    assert len(summary.problems) == 11
    json.dumps(summary.to_dict())


@pytest.mark.parametrize(("factor", "words"), [(0.5, "too small"), (2.0, "too large")])
def test_wrong_errors_are_noticed(factor, words):
    spectra = sound(300)
    summary = summarise(spectra.replace(errors=spectra.errors * factor))
    assert [words in problem for problem in summary.problems] == [True, True]
    assert "factor of about 2.0" in summary.problems[0]


def test_normalised_and_sampled_spectra():
    summary = summarise(normalise(sound()))
    assert summary.normalisation == {"synthetic": 50}
    assert summary.unit == "dimensionless"
    grid = WavelengthGrid(np.array([400.0, 500.0]))
    flux = SpectrumSet([1, 2], [[1, np.nan], [np.nan, np.nan]], np.ones((2, 2)), grid)
    summary = summarise(flux)
    assert summary.missing_bands == {"all": 1}
    assert summary.partly_masked == 1
    assert summary.g_range is None


def test_no_stars():
    empty = SpectrumSet(np.zeros(0), np.zeros((0, 110)), np.zeros((0, 110)), XPGrid())
    assert summarise(empty).problems == ["There are no stars."]


def test_release_without_published_bases():
    rng = np.random.default_rng(0)
    dr4 = SpectrumSet([1, 2], rng.normal(size=(2, 106)), np.ones((2, 106)), XPGrid(51, 55))
    assert summarise(dr4).normalisation == {}
    assert summarise(dr4.with_labels(phot_g_mean_mag=[12.0, 13])).g_range == pytest.approx((12, 13))


def test_three_real_stars(three_stars):
    summary = summarise(three_stars)
    assert summary.missing_bands == {"bp": 1, "rp": 0, "both": 0}
    assert summary.normalisation == {"none": 1, "synthetic": 2}
    assert summary.bad_correlations == 0
    assert summary.with_correlations == 3


def test_the_real_sample(real_sample):
    summary = summarise(real_sample)
    assert summary.stars == 1400
    assert summary.duplicates == 0
    assert summary.normalisation == {"synthetic": 1400}
    assert summary.g_range[0] > 6
