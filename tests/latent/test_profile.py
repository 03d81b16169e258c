"""Mean spectra, bands, ratios and label summaries, by hand."""

from __future__ import annotations

import numpy as np
import pytest
from astropy import units as u
from astropy.table import Table

from starkin.latent.profile import (
    label_medians,
    label_summaries,
    population_spectra,
    shown_rows,
)
from starkin.spectra.errors import StarkinError


def test_spectra_by_hand():
    flux = np.array([[1.0, 2.0], [3.0, 2.0], [4.0, np.nan], [6.0, 10.0], [2.0, 6.0]])
    labels = np.array([0, 0, 1, 1, -1])
    spectra = population_spectra(np.array([400.0, 500.0]), flux, labels, rows_shown=np.array([0]))
    np.testing.assert_allclose(spectra.mean, [[2, 2], [5, 10]])
    np.testing.assert_allclose(spectra.median, [[2, 2], [5, 10]])
    # Two stars at 1 and 3: variance 2, error sqrt(2 / 2) = 1; one star has no error.
    np.testing.assert_allclose(spectra.mean_error, [[1, 0], [1, np.nan]])
    # The others of population 0 at 400 nm are 4, 6, 2: mean 4, variance 4, error sqrt(4 / 3).
    assert spectra.ratio[0, 0] == pytest.approx(0.5)
    assert spectra.ratio_error[0, 0] == pytest.approx(0.5 * np.hypot(1 / 2, np.sqrt(4 / 3) / 4))
    # ... and at 500 nm 10 and 6, mean 8.
    assert spectra.ratio[0, 1] == pytest.approx(2 / 8)
    # 16 % of the way from 1 to 3.
    assert spectra.low[0, 0] == pytest.approx(1.32)
    assert spectra.high[0, 0] == pytest.approx(2.68)
    np.testing.assert_allclose(spectra.flux, [[2 / 3, 4 / 3]], rtol=1e-3)
    assert spectra.flux.dtype == np.float16
    np.testing.assert_array_equal(spectra.row, [0])


def test_errors_hold_for_large_offsets():
    rng = np.random.default_rng(0)
    flux = 1e6 + rng.normal(size=(500, 3))
    labels = np.repeat([0, 1], 250)
    spectra = population_spectra(np.arange(3.0), flux, labels)
    np.testing.assert_allclose(spectra.mean[1], flux[250:].mean(axis=0), rtol=1e-12)
    expected = flux[:250].std(axis=0, ddof=1) / np.sqrt(250)
    np.testing.assert_allclose(spectra.mean_error[0], expected, rtol=1e-6)


def test_ratio_error_is_honest():
    rng = np.random.default_rng(1)
    labels = np.repeat([0, -1], [40, 160])
    pulls = []
    for _ in range(300):
        flux = rng.normal(1.0, 0.3, size=(200, 1))
        flux[:40] += 0.5
        spectra = population_spectra(np.zeros(1), flux, labels)
        pulls.append((spectra.ratio[0, 0] - 1.5) / spectra.ratio_error[0, 0])
    assert np.std(pulls) == pytest.approx(1, abs=0.12)


def test_a_wavelength_nobody_has():
    flux = np.array([[1.0, np.nan], [2.0, np.nan]])
    spectra = population_spectra(np.zeros(2), flux, np.zeros(2, dtype=int))
    assert np.isnan(spectra.median[0, 1])
    assert np.isnan(spectra.mean[0, 1])
    assert np.isnan(spectra.ratio).all()  # There are no other stars.


def test_shapes_are_checked():
    with pytest.raises(StarkinError, match="flux has shape"):
        population_spectra(np.zeros(3), np.zeros((4, 2)), np.zeros(4, dtype=int))


def test_rows_to_show():
    labels = np.repeat([-1, 0, 1, 2], [10, 100, 50, 3])
    rows = shown_rows(labels, 43)
    counts = [int((labels[rows] == k).sum()) for k in (-1, 0, 1, 2)]
    assert counts == [10, 15, 15, 3]
    assert len(set(rows)) == 43
    np.testing.assert_array_equal(shown_rows(labels, 1000), np.arange(163))


def labelled() -> tuple[Table, np.ndarray]:
    table = Table({"source_id": np.arange(5), "teff": [1.0, 3.0, 5.0, 7.0, np.nan]})
    table["teff"].unit = u.K
    table["name"] = list("abcde")
    table["gap"] = np.ma.masked_array([1, 2, 3, 4, 5], [False, True, False, True, True])
    return table, np.array([0, 0, 0, 1, 1])


def test_medians_by_hand():
    medians = label_medians(*labelled())
    assert medians.colnames == ["median_teff", "median_gap"]
    np.testing.assert_allclose(medians["median_teff"], [3, 7])
    np.testing.assert_allclose(medians["median_gap"], [2, np.nan])
    assert medians["median_teff"].unit == u.K


def test_summaries():
    summary = label_summaries(*labelled(), n_bins=4)
    teff = summary["teff"]
    assert len(teff["edges"]) == 5
    assert sum(teff["populations"][0]["counts"]) == teff["populations"][0]["n"] == 3
    assert teff["populations"][0]["p50"] == 3
    assert summary["gap"]["populations"][1]["n"] == 0
