"""Gauss–Newton fits against cases with a known answer."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal
from torch import Tensor

from starkin.nets.label_fit import (
    CorrelatedNoise,
    IndependentNoise,
    Noise,
    Prior,
    best_start,
    fit_labels,
    value_and_jacobian,
)

P, D = 12, 2
_world = torch.Generator().manual_seed(0)
MATRIX = torch.randn((D, P), generator=_world, dtype=torch.float64)
_root = torch.randn((P, P), generator=_world, dtype=torch.float64)
COVARIANCE = _root @ _root.T / P + 0.3 * torch.eye(P).double()


def linear(labels: Tensor) -> Tensor:
    return labels @ MATRIX


def bent(labels: Tensor) -> Tensor:
    return torch.exp(0.5 * labels @ MATRIX)


def prior(n: int, precision: float) -> Prior:
    zeros = torch.zeros((n, D)).double()
    return Prior(zeros, zeros + precision)


def noise(kind: str, n: int, used: Tensor) -> tuple[Noise, Tensor]:
    """Noise of n stars, and the covariance of each of them."""
    if kind == "correlated":
        return CorrelatedNoise(COVARIANCE.expand(n, P, P), used), COVARIANCE
    diagonal = torch.diagonal(COVARIANCE)
    return IndependentNoise(diagonal.expand(n, P), used), torch.diag(diagonal)


@pytest.mark.parametrize("kind", ["independent", "correlated"])
def test_linear_model_gives_the_exact_posterior_and_evidence(kind: str) -> None:
    """θ̂ = (MK⁻¹Mᵀ + 1)⁻¹ MK⁻¹x, and x ~ N(0, MᵀM + K), over the pixels that are used."""
    n = 7
    generator = torch.Generator().manual_seed(1)
    x = torch.randn((n, P), generator=generator).double()
    used = torch.rand((n, P), generator=generator) > 0.2
    errors, covariance = noise(kind, n, used)
    fit = fit_labels(
        linear, x * used + 99.0 * ~used, errors, prior(n, 1.0), torch.full((n, D), 3.0).double()
    )
    assert fit.converged.all()
    for i in range(n):
        m = MATRIX[:, used[i]].numpy()
        k = covariance[used[i]][:, used[i]].numpy()
        xi = x[i, used[i]].numpy()
        exact = np.linalg.inv(m @ np.linalg.solve(k, m.T) + np.eye(D))
        np.testing.assert_allclose(fit.covariance[i], exact, rtol=1e-9)
        best = exact @ m @ np.linalg.solve(k, xi)
        np.testing.assert_allclose(fit.labels[i], best, atol=2e-3 * exact.max() ** 0.5)
        residual = xi - fit.labels[i].numpy() @ m
        np.testing.assert_allclose(fit.chi2[i], residual @ np.linalg.solve(k, residual), rtol=1e-9)
        evidence = multivariate_normal(np.zeros(len(xi)), m.T @ m + k).logpdf(xi)
        np.testing.assert_allclose(fit.log_evidence[i], evidence, atol=1e-4)


def test_noiseless_labels_of_a_bent_model_are_found() -> None:
    truth = torch.randn((50, D), generator=torch.Generator().manual_seed(2)).double()
    errors = IndependentNoise(torch.full((50, P), 1e-6).double(), torch.ones(50, P).bool())
    start = best_start(bent, bent(truth), errors, truth.roll(3, 0) + 0.3)
    fit = fit_labels(bent, bent(truth), errors, prior(50, 1e-12), start)
    assert fit.converged.all()
    torch.testing.assert_close(fit.labels, truth, atol=1e-6, rtol=0)


def test_pulls_of_noisy_fits_are_standard_normal() -> None:
    generator = torch.Generator().manual_seed(3)
    truth = 0.3 * torch.randn((4000, D), generator=generator).double()
    factor = torch.linalg.cholesky(0.01 * COVARIANCE)
    x = bent(truth) + torch.randn((4000, P), generator=generator).double() @ factor.T
    used = torch.ones_like(x, dtype=torch.bool)
    errors = CorrelatedNoise(0.01 * COVARIANCE.expand(4000, P, P), used)
    fit = fit_labels(bent, x, errors, prior(4000, 1e-9), torch.zeros(4000, D).double())
    variance = torch.diagonal(fit.covariance, dim1=1, dim2=2)
    pull = (fit.labels - truth) / variance.sqrt()
    assert pull.mean(0).abs().max() < 0.06
    assert (pull.std(0) - 1).abs().max() < 0.05
    assert (fit.chi2.mean() / (P - D) - 1).abs() < 0.03


def test_the_start_is_the_candidate_with_the_least_chi2() -> None:
    starts = torch.tensor([[0.0, 0.0], [1.0, -1.0], [-2.0, 0.5]]).double()
    x = linear(starts[[1, 2, 0]]) + 0.01
    errors, _ = noise("independent", 3, torch.ones(3, P).bool())
    torch.testing.assert_close(best_start(linear, x, errors, starts), starts[[1, 2, 0]])


def test_the_jacobian_is_that_of_automatic_differentiation() -> None:
    labels = torch.tensor([[0.2, -0.4], [1.0, 2.0]]).double()
    value, jacobian = value_and_jacobian(bent, labels)
    torch.testing.assert_close(value, bent(labels))
    for i, row in enumerate(labels):
        exact = torch.func.jacfwd(lambda one: bent(one[None])[0])(row)
        torch.testing.assert_close(jacobian[i], exact, atol=1e-8, rtol=1e-7)


def test_a_star_is_fitted_as_if_alone() -> None:
    truth = torch.randn((20, D), generator=torch.Generator().manual_seed(4)).double()
    x = bent(truth) + 0.1
    used = torch.ones(20, P).bool()
    start = torch.zeros(20, D).double()
    together = fit_labels(
        bent, x, IndependentNoise(torch.ones(20, P).double(), used), prior(20, 1.0), start
    )
    alone = fit_labels(
        bent,
        x[5:6],
        IndependentNoise(torch.ones(1, P).double(), used[5:6]),
        prior(1, 1.0),
        start[5:6],
    )
    torch.testing.assert_close(alone.labels[0], together.labels[5], atol=1e-10, rtol=0)
