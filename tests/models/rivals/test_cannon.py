"""The Cannon on spectra that are quadratic in the labels."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from astropy import units as u_
from sklearn.linear_model import Lasso

from starkin.models.rivals import Cannon, CannonConfig
from starkin.nets.cannon import fit_quadratic, quadratic_features
from starkin.spectra import SpectrumSet, StarkinError, WavelengthGrid, XPGrid, columns
from starkin.spectra.correlations import pack_correlations
from starkin.spectra.flags import Flag

LABELS = ("teff", "logg", "m_h")
CENTRE, SCALE = np.array([5000.0, 3.0, -0.3]), np.array([500.0, 0.8, 0.4])
_P = 40


def features_by_hand(u: np.ndarray) -> np.ndarray:
    a, b, c = u.T
    return np.column_stack([np.ones(len(u)), a, b, c, a * a, a * b, a * c, b * b, b * c, c * c])


COEFFICIENTS = np.random.default_rng(3).normal(size=(10, _P)) * 0.1


def quadratic_spectra(
    n: int, seed: int, *, noise: float, scatter: float = 0.0, width: float = 1.0
) -> SpectrumSet:
    """Fluxes that are quadratic in standardised labels, with errors that vary by star."""
    draw = np.random.default_rng(seed)
    u = width * draw.normal(size=(n, 3))
    errors = max(noise, 1e-6) * 10 ** draw.uniform(-0.3, 0.3, size=(n, 1)) * np.ones(_P)
    values = 1 + features_by_hand(u) @ COEFFICIENTS
    values += scatter * draw.normal(size=values.shape)
    if noise:
        values += errors * draw.normal(size=values.shape)
    grid = WavelengthGrid(np.linspace(400.0, 500.0, _P))
    labels = dict(zip(LABELS, (CENTRE + SCALE * u).T, strict=True))
    return SpectrumSet(
        np.arange(n), values, errors, grid, unit=u_.dimensionless_unscaled
    ).with_labels(**labels)


def test_features_by_hand() -> None:
    u = np.array([[1.0, 2.0, 3.0], [0.5, -1.0, 2.0]])
    found = quadratic_features(torch.from_numpy(u))
    np.testing.assert_array_equal(found, features_by_hand(u))


def test_noiseless_quadratic_spectra_give_back_their_coefficients() -> None:
    draw = np.random.default_rng(0)
    u = torch.from_numpy(draw.normal(size=(200, 3)))
    x = quadratic_features(u) @ torch.from_numpy(COEFFICIENTS)
    used = torch.from_numpy(draw.random(x.shape) > 0.1)
    broken = torch.where(used, x, 1e6)
    found, intrinsic = fit_quadratic(u, broken, torch.full_like(x, 1e-8), used)
    np.testing.assert_allclose(found, COEFFICIENTS, atol=1e-9)
    assert (intrinsic < 1e-12).all()


def test_intrinsic_scatter_is_recovered_and_weighs() -> None:
    spectra = quadratic_spectra(4000, 1, noise=0.02, scatter=0.05)
    model = Cannon(threads=1).fit(spectra, seed=0)
    decoded = model.decode(CENTRE[None])
    np.testing.assert_allclose(decoded.scatter[0], 0.05, rtol=0.06)
    assert model.card["metrics"]["chi2_per_value"] == pytest.approx(1, abs=0.03)
    # Standard errors of the prediction at the mean labels are about 0.05/√4000 each.
    np.testing.assert_allclose(decoded.values[0], 1 + COEFFICIENTS[0], atol=0.006)


def test_labels_come_back_with_honest_errors() -> None:
    train = quadratic_spectra(3000, 2, noise=0.01, scatter=0.01)
    test = quadratic_spectra(1500, 3, noise=0.05, scatter=0.01)
    model = Cannon(CannonConfig(prior_width=100.0), threads=1).fit(train)
    latents = model.encode(test)
    truth = np.column_stack([test.label(name) for name in LABELS])
    inside = np.abs((truth - CENTRE) / SCALE).max(axis=1) < 2.5
    pull = ((latents.mean - truth) / np.sqrt(latents.variance))[inside]
    assert (np.abs(pull).max(axis=1) < 6).mean() > 0.99
    spread = 1.4826 * np.median(np.abs(pull), axis=0)
    np.testing.assert_allclose(spread, 1, atol=0.08)
    assert np.median(latents.columns[columns.CHI2]) == pytest.approx(_P - 3, rel=0.05)
    assert not (latents.flags & Flag.NOT_CONVERGED).any()


def test_the_penalty_is_that_of_the_lasso() -> None:
    """With equal errors and no scatter the penalised fit is scikit-learn's Lasso."""
    draw = np.random.default_rng(5)
    u = draw.normal(size=(300, 2))
    features = quadratic_features(torch.from_numpy(u)).numpy()
    x = features @ np.array([[1.0], [2.0], [0.0], [0.05], [0.0], [-1.0]])
    x += 0.1 * draw.normal(size=x.shape)
    sigma, strength = 0.1, 800.0
    found, _ = fit_quadratic(
        torch.from_numpy(u),
        torch.from_numpy(x),
        torch.full((300, 1), sigma**2).double(),
        torch.ones(300, 1).bool(),
        penalty=strength,
        iterations=1,
    )
    # Lasso minimises |y − Xw|²/(2n) + α|w|₁, so α = Λσ²/(2n).
    peer = Lasso(alpha=strength * sigma**2 / (2 * 300), tol=1e-12, max_iter=100_000)
    peer.fit(features[:, 1:], x[:, 0])
    expected = np.concatenate([[peer.intercept_], peer.coef_])
    np.testing.assert_allclose(found[:, 0], expected, atol=1e-6)
    assert (found[[2, 3, 4], 0] == 0).any()


def test_correlations_make_errors_honest() -> None:
    """Noise shared by all coefficients looks like a label when correlations are ignored."""
    grid, n = XPGrid(10, 10), 1500
    draw = np.random.default_rng(6)
    u = draw.normal(size=(n, 1))
    slope = 0.05 * np.ones(grid.n_pixels) + 0.01 * draw.normal(size=grid.n_pixels)
    correlation = 0.9 + 0.1 * np.eye(10)
    packed = np.tile(pack_correlations(correlation), (n, 2)).astype(np.float32)
    factor = np.linalg.cholesky(correlation)
    noise = np.concatenate([draw.normal(size=(n, 10)) @ factor.T for _ in "br"], axis=1)
    spectra = SpectrumSet(
        np.arange(n),
        1 + u * slope + 0.02 * noise,
        np.full((n, 20), 0.02),
        grid,
        correlations=packed,
    ).with_labels(teff=5000 + 500 * u[:, 0], **{columns.G_FLUX: np.ones(n)})
    train, test = spectra[:1000], spectra[1000:]
    spread = {}
    for correlated in (True, False):
        config = CannonConfig(labels=("teff",), correlated=correlated, prior_width=100.0)
        latents = Cannon(config, threads=1).fit(train).encode(test)
        pull = (latents.mean[:, 0] - test.label("teff")) / np.sqrt(latents.variance[:, 0])
        spread[correlated] = pull.std()
    assert spread[True] == pytest.approx(1, abs=0.12)
    assert spread[False] > 2


def test_stars_without_labels_are_left_out_of_training() -> None:
    spectra = quadratic_spectra(300, 7, noise=0.01)
    teff = spectra.label("teff").copy()
    teff[:50] = np.nan
    model = Cannon(threads=1).fit(spectra.with_labels(teff=teff))
    assert model.card["data"]["n_train"] + model.card["data"]["n_validation"] == 250
    assert model.encode(spectra).usable.all()
    with pytest.raises(StarkinError, match="no label column 'logg'"):
        Cannon().fit(spectra.replace(labels=spectra.labels[["teff"]]))


def test_labels_beyond_training_are_flagged() -> None:
    model = Cannon(threads=1).fit(quadratic_spectra(1000, 8, noise=0.01))
    far = quadratic_spectra(200, 9, noise=0.01, width=2.0)
    flags = model.encode(far).flags
    truth = np.column_stack([far.label(name) for name in LABELS])
    outside = ((truth < model.labels.low) | (truth > model.labels.high)).any(axis=1)
    assert outside.any()
    assert ((flags[outside] & Flag.LABEL_OUT_OF_RANGE) != 0).mean() > 0.5
    assert ((flags[~outside] & Flag.LABEL_OUT_OF_RANGE) != 0).mean() < 0.1


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"labels": []}, "labels"),
        ({"labels": ["teff", "teff"]}, "labels"),
        ({"penalty": -1.0}, "penalty"),
        ({"prior_width": 0.0}, "prior_width"),
        ({"lambda": 1.0}, "Unknown setting 'lambda'"),
    ],
)
def test_bad_settings_are_refused_by_name(settings: dict[str, object], match: str) -> None:
    with pytest.raises(StarkinError, match=match):
        CannonConfig.from_dict(settings)
