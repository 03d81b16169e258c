"""Fisher matrices against a model whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.table import Table

from starkin.simulate.fisher import FisherRegression, fisher_matrices, jacobians
from starkin.simulate.own_model import FunctionModel
from starkin.spectra import StarkinError, WavelengthGrid

GRID = WavelengthGrid(np.linspace(15200.0, 15300.0, 40), "Angstrom", "vacuum", "rest")
ELEMENTS = ("Mg", "Fe", "Ni")
LINES = np.random.default_rng(0).normal(size=(3, 40)) / 20


def flux(teff, logg, x_h):
    """Lines that grow with abundance and fade with temperature; exponentials are smooth."""
    strength = np.exp(x_h) * (teff[:, None] / 4500.0) ** -2 * np.exp(0.1 * (logg[:, None] - 2))
    return 1 - strength @ LINES


MODEL = FunctionModel(flux, GRID, ELEMENTS)


def by_hand(teff, logg, x_h):
    strength = np.exp(x_h) * (teff[:, None] / 4500.0) ** -2 * np.exp(0.1 * (logg[:, None] - 2))
    gram = LINES @ LINES.T
    return strength[:, :, None] * gram * strength[:, None, :]


def stars(n, seed=1):
    rng = np.random.default_rng(seed)
    teff = rng.uniform(4000, 5000, n)
    logg = rng.uniform(1.0, 3.0, n)
    return teff, logg, 0.1 * rng.standard_normal((n, 3))


def table(teff, logg, x_h):
    labels = Table({"teff": teff + 500.0, "true_teff": teff, "logg": logg})
    for symbol, values in zip(ELEMENTS, x_h.T, strict=True):
        labels[f"true_{symbol.lower()}_h"] = values
    return labels


def test_jacobian_is_the_derivative():
    teff, logg, x_h = stars(4)
    j = jacobians(MODEL, teff, logg, x_h)
    assert j.shape == (4, 3, 40)
    own = np.exp(x_h[2, 1]) * (teff[2] / 4500.0) ** -2 * np.exp(0.1 * (logg[2] - 2))
    np.testing.assert_allclose(j[2, 1], -own * LINES[1], rtol=2e-3, atol=2e-5)


def test_fisher_matrix_by_hand_at_any_noise():
    teff, logg, x_h = stars(5)
    # The truth is used, not the label with its error.
    got, elements = fisher_matrices(table(teff, logg, x_h), 100.0, model=MODEL)
    assert elements == ELEMENTS
    np.testing.assert_allclose(got, 1e4 * by_hand(teff, logg, x_h), rtol=5e-3, atol=1.0)
    half, _ = fisher_matrices(table(teff, logg, x_h), np.full(5, 50.0), model=MODEL)
    np.testing.assert_allclose(half, got / 4, rtol=1e-6)


def test_cramer_rao_is_reached_by_least_squares():
    teff, logg, x_h = stars(1)
    matrices, _ = fisher_matrices(table(teff, logg, x_h), 400.0, model=MODEL)
    rng = np.random.default_rng(5)
    design = jacobians(MODEL, teff, logg, x_h)[0].T.astype(float)
    noise = rng.normal(0, 1 / 400, size=(40, 4000))
    estimates = np.linalg.lstsq(design, noise, rcond=None)[0]
    np.testing.assert_allclose(np.cov(estimates), np.linalg.inv(matrices[0]), atol=4e-6)


def test_many_stars_follow_from_few():
    teff, logg, x_h = stars(2000, seed=3)
    got, _ = fisher_matrices(table(teff, logg, x_h), 1.0, model=MODEL, n_exact=240)
    exact = by_hand(teff, logg, x_h)
    ratio = np.diagonal(np.linalg.inv(got), axis1=1, axis2=2) / np.diagonal(
        np.linalg.inv(exact), axis1=1, axis2=2
    )
    assert np.sqrt(ratio).std() < 0.01
    fit = FisherRegression.fit(MODEL, *(x[:240] for x in (teff, logg, x_h)))
    # What it says of its error is what the others show.
    assert fit.error == pytest.approx(np.sqrt(np.mean((np.sqrt(ratio) - 1) ** 2)), rel=0.7)


def test_the_truth_must_be_there():
    with pytest.raises(StarkinError, match="no column 'true_mg_h'"):
        fisher_matrices(Table({"teff": [4500.0], "logg": [2.0]}), model=MODEL)
