"""Against the one case where everything is known: linear-Gaussian spectra.

There the posterior, the evidence and the best loadings have closed forms
(Tipping & Bishop 1999), and our network contains them.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from astropy import units as u
from scipy.stats import multivariate_normal

from starkin.models import ScatterVAE, ScatterVAEConfig
from starkin.models.factors import FactorAnalysis, fit_factors
from starkin.models.preprocessing import Standardised
from starkin.models.scoring import latent_activity, log_evidence
from starkin.nets import StarkinScatterNetwork, elbo
from starkin.spectra import SpectrumSet, WavelengthGrid

D, P, NOISE = 2, 12, 0.3


def world(n: int, seed: int) -> tuple[np.ndarray, FactorAnalysis]:
    """Stars of a factor analysis with all parts known, and the analysis."""
    fixed = np.random.default_rng(5)
    truth = FactorAnalysis(
        mean=fixed.normal(size=P),
        loadings=fixed.normal(size=(P, D)),
        unique=fixed.uniform(0.01, 0.05, size=P),
        noise=np.full(P, NOISE**2),
    )
    draw = np.random.default_rng(seed)
    total = np.sqrt(truth.unique + truth.noise)
    x = truth.mean + draw.normal(size=(n, D)) @ truth.loadings.T + total * draw.normal(size=(n, P))
    return x.astype(np.float32), truth


def covariance(analysis: FactorAnalysis) -> np.ndarray:
    return analysis.loadings @ analysis.loadings.T + np.diag(analysis.unique + analysis.noise)


def network(analysis: FactorAnalysis) -> StarkinScatterNetwork:
    net = ScatterVAEConfig(n_latent=D).network(P, seed=0)
    assert isinstance(net, StarkinScatterNetwork)
    parts = (analysis.mean, analysis.loadings, analysis.unique, analysis.noise)
    net.start_from_factors(*(torch.from_numpy(a.astype(np.float32)) for a in parts))
    return net.eval()


def standardised(x: np.ndarray) -> Standardised:
    t = torch.from_numpy(x)
    return Standardised(t, torch.full(t.shape, NOISE), torch.ones(t.shape, dtype=torch.bool))


def test_factor_analysis_finds_the_covariance() -> None:
    x, truth = world(20_000, 0)
    fit = fit_factors(x, np.full(x.shape, NOISE), np.ones(x.shape, bool), D)
    scale = np.sqrt(np.diag(covariance(truth)))
    error = (covariance(fit) - covariance(truth)) / np.outer(scale, scale)
    assert np.abs(error).max() < 0.03
    np.testing.assert_allclose(fit.mean, truth.mean, atol=0.05)


def test_factor_analysis_ignores_masked_values() -> None:
    x, _ = world(5000, 0)
    used = np.random.default_rng(1).random(x.shape) > 0.1
    sigma = np.full(x.shape, NOISE)
    first = fit_factors(np.where(used, x, 0), sigma, used, D)
    second = fit_factors(np.where(used, x, 1e3), np.where(used, sigma, 9.0), used, D)
    assert np.array_equal(first.loadings, second.loadings)
    assert np.array_equal(first.unique, second.unique)


def test_our_network_starts_as_the_exact_posterior() -> None:
    x, truth = world(50, 1)
    data = standardised(x)
    with torch.no_grad():
        posterior = network(truth).posterior(*data.tensors)
    precision = np.linalg.inv(np.diag(truth.unique + truth.noise))
    exact = np.linalg.inv(np.eye(D) + truth.loadings.T @ precision @ truth.loadings)
    mean = (x - truth.mean) @ precision @ truth.loadings @ exact
    np.testing.assert_allclose(posterior.mean, mean, atol=1e-4)
    np.testing.assert_allclose(posterior.variance()[0], np.diag(exact), rtol=1e-4)


def test_evidence_and_elbo_meet_the_exact_likelihood() -> None:
    """log p(x) is that of N(mean, WWᵀ + Ψ); the ELBO is below it by what the
    diagonal start of the posterior neglects, and not above it."""
    x, truth = world(400, 2)
    exact = multivariate_normal(truth.mean, covariance(truth)).logpdf(x)
    net, data = network(truth), standardised(x)
    estimate = log_evidence(net, data, n_samples=512).numpy()
    np.testing.assert_allclose(estimate, exact, atol=0.3)
    assert abs((estimate - exact).mean()) < 0.02
    generator = torch.Generator().manual_seed(0)
    bounds = []
    with torch.no_grad():
        q = net.posterior(*data.tensors)
        for _ in range(50):
            mean, variance = net.decode(q.sample(torch.randn(400, D, generator=generator)))
            result = elbo(data.x, mean, variance + NOISE**2, data.used, q)
            bounds.append(-float(result.nats) - 0.5 * P * np.log(2 * np.pi))
    gap = exact.mean() - np.mean(bounds)
    assert -0.02 < gap < 0.5


def test_a_latent_that_does_nothing_counts_as_dead() -> None:
    x, truth = world(2000, 3)
    loadings = truth.loadings.copy()
    loadings[:, 1] = 0
    idle = FactorAnalysis(truth.mean, loadings, truth.unique, truth.noise)
    assert latent_activity(network(truth), standardised(x)).active.tolist() == [True, True]
    assert latent_activity(network(idle), standardised(x)).active.tolist() == [True, False]


@pytest.mark.science
def test_training_reaches_the_exact_likelihood() -> None:
    """A trained model's held-out evidence comes within 0.1 nat of the truth's."""
    x, truth = world(20_000, 4)
    grid = WavelengthGrid(np.linspace(400.0, 500.0, P))
    size = 0.01  # Normalised fluxes, as the model asks for: 1 + size·x.
    spectra = SpectrumSet(
        np.arange(len(x)), 1 + size * x, np.full(x.shape, size * NOISE), grid, unit=u.Unit("")
    )
    train, test = spectra[:18_000], spectra[18_000:]
    model = ScatterVAE(ScatterVAEConfig(n_latent=D, epochs=15), threads=1).fit(train, seed=0)
    exact = multivariate_normal(truth.mean, covariance(truth)).logpdf(x[18_000:]).mean()
    exact -= P * np.log(size)
    assert model.preprocessing is not None
    # The score is the density of standardised values: the Jacobian brings it back.
    jacobian = np.log(model.preprocessing.standardiser.scale).sum()
    assert model.score(test)["log_likelihood"].mean() - jacobian > exact - 0.1
    assert model.card["metrics"]["active_units"] == D
