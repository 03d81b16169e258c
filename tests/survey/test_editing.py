"""Edited spectra and element differences in the linear world, where both have an exact answer."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.table import Table

from starkin.latent.twins import TwinFinder
from starkin.spectra import StarkinError
from starkin.spectra.flags import Flag
from starkin.survey.editing import edit_spectra, with_chemistry_of
from starkin.survey.twin_differences import (
    ElementResponse,
    abundance_columns,
    twin_differences,
)

from .twin_world import CONTINUUM, ELEMENTS, LINES, LinearTwins, observed, pairs


@pytest.fixture(scope="module")
def spectra():
    return pairs(100, seed=4)


def test_another_temperature_changes_what_temperature_does_and_nothing_else(spectra):
    edited = edit_spectra(LinearTwins(), spectra, teff=spectra.label("teff") + 300)
    np.testing.assert_allclose(edited.values, spectra.values + CONTINUUM[0], atol=1e-10)
    np.testing.assert_array_equal(edited.label("logg"), spectra.label("logg"))
    np.testing.assert_allclose(edited.label("teff"), spectra.label("teff") + 300)
    # The chemistry is as it was.
    again = LinearTwins().encode(edited).mean
    np.testing.assert_allclose(again, LinearTwins().encode(spectra).mean, atol=1e-8)


def test_the_residual_stays_or_goes(spectra):
    odd = spectra.values.copy()
    odd[5, 17] += 0.3  # something no model knows of
    strange = spectra.replace(values=odd)
    kept = edit_spectra(LinearTwins(), strange, logg=2.0)
    bare = edit_spectra(LinearTwins(), strange, logg=2.0, keep_residual=False)
    plain = edit_spectra(LinearTwins(), spectra, logg=2.0)
    assert kept.values[5, 17] - plain.values[5, 17] == pytest.approx(0.3)
    assert abs(bare.values[5, 17] - plain.values[5, 17]) < 0.15
    assert kept.meta["residual_kept"] is True


def test_there_and_back_is_the_star(spectra):
    model = LinearTwins()
    noisy = observed(spectra, 50, 0)
    there = edit_spectra(model, noisy, teff=4000.0, logg=1.0)
    back = edit_spectra(
        model,
        there,
        latents=model.encode(noisy),
        teff=spectra.label("teff"),
        logg=spectra.label("logg"),
    )
    np.testing.assert_allclose(back.values, noisy.values, atol=1e-10)


def test_masks_stay_and_lost_stars_are_masked(spectra):
    mask = np.zeros(spectra.values.shape, dtype=bool)
    mask[2, :10], mask[3] = True, True
    masked = spectra.replace(mask=mask)
    kept = edit_spectra(LinearTwins(), masked, teff=4500.0)
    np.testing.assert_array_equal(kept.mask, mask)
    assert kept.labels["flags"][3] & Flag.NOT_ENCODED
    bare = edit_spectra(LinearTwins(), masked, teff=4500.0, keep_residual=False)
    assert not bare.mask[2].any()
    assert bare.mask[3].all()


def test_another_chemistry_keeps_temperature(spectra):
    model = LinearTwins()
    changed = with_chemistry_of(model, spectra[:5], spectra[9])
    z = model.encode(spectra).mean
    expected = spectra.values[:5] + (z[9] - z[:5]) @ LINES
    np.testing.assert_allclose(changed.values, expected, atol=1e-10)
    with pytest.raises(StarkinError, match="2 donors for 5 stars"):
        with_chemistry_of(model, spectra[:5], spectra[:2])


def test_what_cannot_be_changed_is_said(spectra):
    with pytest.raises(StarkinError, match="not told 'age'"):
        edit_spectra(LinearTwins(), spectra, age=3.0)
    with pytest.raises(StarkinError, match="name at least one"):
        edit_spectra(LinearTwins(), spectra)


def test_a_twin_differs_by_noise_alone_once_moved(spectra):
    model, noisy = LinearTwins(), observed(spectra, 40, 3)
    latents = model.encode(noisy)
    composition = np.asarray(spectra.labels["composition_id"])
    other = int(np.flatnonzero((composition == composition[0]) & (np.arange(200) != 0))[0])
    response = ElementResponse.fit(latents, true=True)
    found = twin_differences(model, noisy, latents, 0, np.array([other, -1]), response)
    assert found.twin_id.tolist() == [spectra.source_id[other]]
    assert found.pull.shape == (1, 60)
    assert 0.5 < found.reduced_chi2[0] < 1.6
    raw = (found.flux - found.twin_flux[0]) * 40 / np.sqrt(2)
    assert np.mean(raw**2) > 2  # As observed they differ: by temperature and gravity.
    assert np.abs(found.delta / found.delta_error).max() < 4.5
    assert found.elements == ELEMENTS


def test_a_difference_is_laid_on_its_element():
    # Two stars that differ by +0.2 dex of one element alone, noiselessly: the answer is 0.2
    # there and 0 elsewhere, and errors follow from the errors of both spectra.
    spectra = pairs(100, seed=4)
    labels = spectra.labels.copy()
    values = spectra.values.copy()
    u = np.array([(labels["teff"][k] - 4500) / 300 for k in (0, 1)])
    g = np.array([(labels["logg"][k] - 2) / 0.6 for k in (0, 1)])
    values[1] = (
        values[0] + (u[1] - u[0]) * CONTINUUM[0] + (g[1] - g[0]) * CONTINUUM[1] - 0.2 * LINES[2]
    )
    spectra = spectra.replace(values=values)
    model = LinearTwins()
    response = ElementResponse(ELEMENTS, np.eye(4))
    found = twin_differences(model, spectra, model.encode(spectra), 0, np.array([1]), response)
    np.testing.assert_allclose(found.delta[0], [0, 0, 0.2, 0], atol=1e-6)
    expected = np.sqrt(2) * 1e-4 * np.sqrt(np.diag(np.linalg.inv(LINES @ LINES.T)))
    np.testing.assert_allclose(found.delta_error[0], expected, rtol=1e-4)


def test_responses_are_learnt_from_the_catalogue(spectra):
    latents = LinearTwins().encode(spectra)
    np.testing.assert_allclose(ElementResponse.fit(latents, true=True).slope, np.eye(4), atol=1e-6)
    assert ElementResponse.fit(latents) is None  # no measured abundances
    assert ElementResponse.fit(latents[:20], true=True) is None


def test_abundance_columns_by_hand():
    names = ("mg_h", "m_h", "c_h", "teff", "true_fe_h", "alpha_h_error")
    table = Table({name: [1.0] for name in names})
    assert abundance_columns(table) == ["mg_h", "c_h"]
    assert abundance_columns(table, true=True) == ["true_fe_h"]


def test_a_twin_without_a_spectrum_is_named(spectra):
    model = LinearTwins()
    latents = model.encode(spectra)
    twin = TwinFinder.fit(latents, model.twin_prior()).query(1, rows=np.array([0])).twin_row[0]
    keep = np.delete(np.arange(200), twin)
    with pytest.raises(StarkinError, match=f"no star with source_id {5000 + twin[0]}"):
        twin_differences(model, spectra[keep], latents, 0, twin)
