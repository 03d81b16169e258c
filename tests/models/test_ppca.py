"""PPCA against the one case where everything is known: linear-Gaussian spectra."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal
from sklearn.decomposition import PCA as PlainPCA

from starkin.models.ppca import PPCA, Source, fit_mean, fit_ppca, infer, principal_axes

D, P, SCATTER = 2, 12, 0.2


def truth() -> PPCA:
    fixed = np.random.default_rng(5)
    basis = np.linalg.qr(fixed.normal(size=(P, D)))[0] * [3.0, 1.5]
    mean = fixed.normal(size=(P, 1))
    return PPCA(torch.from_numpy(mean), torch.from_numpy(basis), SCATTER**2)


def stars(n: int, seed: int, *, errors: bool, masked: bool) -> tuple[np.ndarray, ...]:
    """x, σ and what is used, from the true model."""
    draw, model = np.random.default_rng(seed), truth()
    sigma = 10 ** draw.uniform(-1.5, 0, size=(n, P)) if errors else np.zeros((n, P))
    used = draw.random((n, P)) > 0.2 if masked else np.ones((n, P), dtype=bool)
    x = model.coefficients.numpy()[:, 0] + draw.normal(size=(n, D)) @ model.loadings.numpy().T
    x += SCATTER * draw.normal(size=(n, P)) + sigma * draw.normal(size=(n, P))
    return x, sigma, used


def source_of(x: np.ndarray, sigma: np.ndarray, used: np.ndarray) -> Source:
    tensors = [torch.from_numpy(a.astype(np.float32)) for a in (np.where(used, x, 0), sigma)]

    def source(rows: np.ndarray) -> tuple[torch.Tensor, ...]:
        ones = torch.ones((len(rows), 1), dtype=torch.float64)
        there = None if used.all() else torch.from_numpy(used[rows])
        noise = tensors[1][rows] if sigma.any() else None
        return tensors[0][rows], noise, there, ones

    return source  # type: ignore[return-value]


def covariance(model: PPCA) -> np.ndarray:
    loadings = model.loadings.numpy()
    return loadings @ loadings.T + model.variance * np.eye(len(loadings))


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("errors", [False, True])
def test_posterior_and_likelihood_are_the_exact_ones(errors: bool, masked: bool) -> None:
    """Each star beside the dense Gaussian of the values it has."""
    x, sigma, used = stars(30, 1, errors=errors, masked=masked)
    found = infer(truth(), np.arange(30), source_of(x, sigma, used))
    mean, loadings = truth().coefficients.numpy()[:, 0], truth().loadings.numpy()
    for i in range(30):
        j = used[i]
        total = covariance(truth())[np.ix_(j, j)] + np.diag(sigma[i, j] ** 2)
        exact = multivariate_normal(mean[j], total).logpdf(x[i, j])
        assert found.log_likelihood[i] == pytest.approx(exact, abs=2e-3)
        gain = loadings[j].T @ np.linalg.inv(total)
        np.testing.assert_allclose(found.mean[i], gain @ (x[i, j] - mean[j]), atol=1e-4)
        np.testing.assert_allclose(found.covariance[i], np.eye(D) - gain @ loadings[j], atol=1e-5)
        deviation = x[i, j] - mean[j]
        assert found.distance[i] == pytest.approx(
            deviation @ np.linalg.solve(total, deviation), rel=1e-3
        )
        assert found.n_used[i] == j.sum()


def test_without_errors_the_em_stays_at_the_closed_form() -> None:
    """Tipping & Bishop 1999, eqs. 7 and 8: W = U(Λ − s²)^½, s² the mean of what is left."""
    x, sigma, used = stars(3000, 2, errors=False, masked=False)
    source, rows = source_of(x, sigma, used), np.arange(3000)
    fit, gained = fit_ppca(rows, source, fit_mean(rows, source), D, iterations=5, tolerance=0.0)
    values, vectors = np.linalg.eigh(np.cov(x.T, bias=True))
    left = values[:-D].mean()
    assert fit.variance == pytest.approx(left, rel=2e-3)
    w = vectors[:, ::-1][:, :D] * np.sqrt(values[::-1][:D] - left)
    np.testing.assert_allclose(
        fit.loadings @ fit.loadings.T, w @ w.T, atol=2e-3 * np.abs(w @ w.T).max()
    )
    np.testing.assert_allclose(fit.coefficients[:, 0], x.mean(0), atol=1e-4)
    best = multivariate_normal(x.mean(0), w @ w.T + left * np.eye(P)).logpdf(x).mean()
    assert gained[-1] == pytest.approx(best, abs=2e-3)


def test_errors_and_missing_values_are_seen_through() -> None:
    """The fit nears the truth on data whose errors spread thirtyfold and a fifth is missing."""
    x, sigma, used = stars(8000, 3, errors=True, masked=True)
    source, rows = source_of(x, sigma, used), np.arange(8000)
    fit, gained = fit_ppca(rows, source, fit_mean(rows, source), D, iterations=30, tolerance=1e-7)
    assert np.all(np.diff(gained) > -1e-4)
    test = stars(4000, 4, errors=True, masked=True)
    scores = [
        infer(model, np.arange(4000), source_of(*test)).log_likelihood.mean()
        for model in (fit, truth())
    ]
    assert scores[0] > scores[1] - 0.02
    assert np.sqrt(fit.variance) == pytest.approx(SCATTER, rel=0.05)
    np.testing.assert_allclose(fit.coefficients, truth().coefficients, atol=0.15)
    error = np.abs(covariance(fit) - covariance(truth())).max() / covariance(truth()).max()
    assert error < 0.05
    # What ignores the errors takes the noise for scatter.
    blind = source_of(x, np.zeros_like(sigma), used)
    assert fit_ppca(rows, blind, fit_mean(rows, blind), D)[0].variance > 2 * fit.variance


def test_masked_values_change_nothing() -> None:
    x, sigma, used = stars(300, 5, errors=True, masked=True)
    rows = np.arange(300)
    fits = []
    for junk in (0.0, 1e4):
        source = source_of(x, np.where(used, sigma, 1.0 + junk), used)
        fits.append(fit_ppca(rows, source, fit_mean(rows, source), D)[0])
    assert torch.equal(fits[0].loadings, fits[1].loadings)


def test_the_axes_are_those_of_plain_pca() -> None:
    x, sigma, used = stars(500, 6, errors=False, masked=False)
    source, rows = source_of(x, sigma, used), np.arange(500)
    mean = fit_mean(rows, source)
    axes, variances, rest = principal_axes(rows, source, mean, D)
    plain = PlainPCA(D).fit(x)
    np.testing.assert_allclose(np.abs(axes.numpy().T @ plain.components_.T), np.eye(D), atol=1e-4)
    np.testing.assert_allclose(variances, plain.explained_variance_, rtol=1e-4)
    assert rest == pytest.approx(plain.noise_variance_, rel=1e-3)
    # Without a prior the latents are least-squares projections, whatever the scatter.
    found = infer(PPCA(mean, axes, 0.3), rows, source, prior=0.0)
    np.testing.assert_allclose(np.abs(found.mean.numpy()), np.abs(plain.transform(x)), atol=1e-4)


def test_the_mean_is_a_weighted_regression() -> None:
    """One pixel beside numpy's weighted polynomial fit."""
    draw = np.random.default_rng(7)
    u, sigma = draw.uniform(-1, 1, 40), 10 ** draw.uniform(-1, 0, (40, 2))
    x = (1 + 2 * u - 3 * u**2)[:, None] * [1.0, 0.5] + sigma * draw.normal(size=(40, 2))

    def source(rows: np.ndarray) -> tuple[torch.Tensor, ...]:
        features = np.stack([np.ones(len(rows)), u[rows], u[rows] ** 2], axis=1)
        return (
            torch.from_numpy(x[rows]),
            torch.from_numpy(sigma[rows]),
            None,
            torch.from_numpy(features),
        )

    found = fit_mean(np.arange(40), source)  # type: ignore[arg-type]
    expected = np.polynomial.polynomial.polyfit(u, x[:, 1], 2, w=1 / sigma[:, 1])
    np.testing.assert_allclose(found[1], expected, rtol=1e-6)
