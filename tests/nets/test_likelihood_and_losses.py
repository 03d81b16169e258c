"""Likelihood, KL and ELBO against numbers worked out by hand."""

from __future__ import annotations

import math

import pytest
import torch

from starkin.nets import GaussianPosterior, elbo
from starkin.nets.likelihood import gaussian_nll, log_likelihood

X = torch.tensor([[1.0, 2.0, 50.0], [0.0, 0.0, 0.0]])
MEAN = torch.tensor([[0.0, 2.0, 0.0], [0.0, 1.0, 2.0]])
VARIANCE = torch.tensor([[1.0, math.e, 1.0], [1.0, 1.0, 4.0]])
USED = torch.tensor([[True, True, False], [True, True, True]])
# Star 1: χ² = 1 + 0, Σ log v = 0 + 1, its third value masked: ½(1 + 1) = 1.
# Star 2: χ² = 0 + 1 + 4/4 = 2, Σ log v = log 4:                 ½(2 + log 4).
NLL = [1.0, 1.0 + math.log(2.0)]


def diagonal(mean: list[list[float]], sd: list[list[float]]) -> GaussianPosterior:
    return GaussianPosterior(torch.tensor(mean), torch.log(torch.tensor(sd)))


def test_nll_by_hand() -> None:
    assert gaussian_nll(X, MEAN, VARIANCE, USED).tolist() == pytest.approx(NLL)


def test_log_likelihood_is_a_normal_density() -> None:
    normal = torch.distributions.Normal(MEAN, VARIANCE.sqrt())
    expected = (normal.log_prob(X) * USED).sum(1)
    torch.testing.assert_close(log_likelihood(X, MEAN, VARIANCE, USED), expected)


def test_kl_by_hand() -> None:
    # ½(μ² + σ² − 1 − log σ²): ½(4 + 1 − 1 − 0) = 2 and ½(0 + 4 − 1 − log 4).
    posterior = diagonal([[2.0, 0.0]], [[1.0, 2.0]])
    assert posterior.kl_per_dimension()[0].tolist() == pytest.approx([2.0, 1.5 - math.log(2.0)])
    assert posterior.kl().item() == pytest.approx(3.5 - math.log(2.0))


def test_elbo_with_both_normalisations_by_hand() -> None:
    posterior = diagonal([[2.0, 0.0], [0.0, 0.0]], [[1.0, 1.0], [1.0, 1.0]])  # KL = 2 and 0
    summed = elbo(X, MEAN, VARIANCE, USED, posterior)
    assert summed.total.item() == pytest.approx(sum(NLL) / 2 + 1.0)
    assert summed.nats.item() == pytest.approx(summed.total.item())
    assert summed.kl_per_dimension.tolist() == pytest.approx([1.0, 0.0])
    assert summed.n == 2
    # Means without the ½: star 1 has 2 coefficients, star 2 has 3; two latents each.
    slides = elbo(X, MEAN, VARIANCE, USED, posterior, normalisation="mean")
    expected = (2 * NLL[0] / 2 + 2 * 2 / 2 + 2 * NLL[1] / 3 + 0) / 2
    assert slides.total.item() == pytest.approx(expected)
    assert slides.nats.item() == pytest.approx(summed.nats.item())


def test_slides_weigh_the_kl_eighteen_times_more() -> None:
    """110 coefficients and 6 latents: the ratio of the two terms' weights is 110/6."""
    x, used = torch.zeros(1, 110), torch.ones(1, 110, dtype=torch.bool)
    variance = torch.ones(1, 110)
    posterior = diagonal([[1.0] * 6], [[1.0] * 6])
    far = elbo(x, x + 1, variance, used, posterior, normalisation="mean")
    near = elbo(x, x, variance, used, posterior, normalisation="mean")
    per_nll = (far.total - near.total) / (far.reconstruction - near.reconstruction)
    assert (near.total / near.kl / per_nll).item() == pytest.approx(110 / 6)


def test_warm_up_scales_the_kl_alone() -> None:
    posterior = diagonal([[2.0, 0.0], [0.0, 0.0]], [[1.0, 1.0], [1.0, 1.0]])
    half = elbo(X, MEAN, VARIANCE, USED, posterior, kl_weight=0.5)
    assert half.total.item() == pytest.approx(sum(NLL) / 2 + 0.5)
    assert half.kl.item() == pytest.approx(1.0)


def full(n: int = 5, d: int = 4) -> GaussianPosterior:
    g = torch.Generator().manual_seed(1)
    columns = 2 * d + d * (d - 1) // 2
    return GaussianPosterior.from_parameters(torch.randn(n, columns, generator=g).double(), d)


def test_full_covariance_agrees_with_torch() -> None:
    q = full()
    normal = torch.distributions.MultivariateNormal(q.mean, scale_tril=q.scale_tril())
    torch.testing.assert_close(q.covariance(), normal.covariance_matrix)
    torch.testing.assert_close(q.variance(), normal.variance)
    prior = torch.distributions.MultivariateNormal(torch.zeros_like(q.mean), torch.eye(4).double())
    torch.testing.assert_close(q.kl(), torch.distributions.kl_divergence(normal, prior))
    assert (q.kl_per_dimension().sum(1) <= q.kl() + 1e-12).all()


def test_diagonal_is_the_full_form_without_correlations() -> None:
    q = full()
    diagonal_ = GaussianPosterior(q.mean, q.log_scale)
    zero = GaussianPosterior(q.mean, q.log_scale, torch.zeros_like(q.lower))
    for name in ("covariance", "variance", "kl", "kl_per_dimension", "scale_tril"):
        torch.testing.assert_close(getattr(diagonal_, name)(), getattr(zero, name)())
