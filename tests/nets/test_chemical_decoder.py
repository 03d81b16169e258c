"""The decoder of the chemical model and its inversion, against what can be worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from starkin.nets.bent import BentTerms
from starkin.nets.chemical import ChemicalDecoder, Degrees, estimate_latents
from starkin.nets.smooth import (
    hermite,
    least_squares,
    legendre,
    n_terms,
    smooth_basis,
    smooth_gradient,
)


def test_legendre_polynomials_by_hand() -> None:
    values, slopes = legendre(torch.tensor([0.5], dtype=torch.float64), 3)
    by_hand = [1.0, 0.5, (3 * 0.25 - 1) / 2, (5 * 0.125 - 3 * 0.5) / 2]
    derivative = [0.0, 1.0, 3 * 0.5, (15 * 0.25 - 3) / 2]
    norm = np.sqrt([1, 3, 5, 7])
    np.testing.assert_allclose(values[:, 0], norm * by_hand)
    np.testing.assert_allclose(slopes[:, 0], norm * derivative)


def test_hermite_polynomials_by_hand() -> None:
    values, slopes = hermite(torch.tensor([2.0], dtype=torch.float64), 3)
    norm = np.sqrt([1, 1, 2, 6])
    np.testing.assert_allclose(values[:, 0], np.array([1, 2, 4 - 1, 8 - 6]) / norm)
    np.testing.assert_allclose(slopes[:, 0], np.array([0, 1, 4, 12 - 3]) / norm)


def test_terms_are_orthonormal_over_the_square() -> None:
    x, weight = np.polynomial.legendre.leggauss(8)
    u = torch.tensor(np.stack(np.meshgrid(x, x), -1).reshape(-1, 2))
    measure = torch.tensor(np.outer(weight, weight).ravel() / 4)
    terms = smooth_basis(u, 3)
    assert terms.shape[1] == n_terms(2, 3) == 10
    assert n_terms(3, 2) == 10
    assert n_terms(2, -1) == 0
    np.testing.assert_allclose((terms * measure[:, None]).T @ terms, np.eye(10), atol=1e-12)


def test_gradient_of_the_terms_is_the_difference_quotient() -> None:
    u = torch.rand((5, 3), dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    gradient = smooth_gradient(u, 3)
    for c in range(3):
        step = torch.zeros(3, dtype=torch.float64)
        step[c] = 1e-6
        quotient = (smooth_basis(u + step, 3) - smooth_basis(u - step, 3)) / 2e-6
        np.testing.assert_allclose(gradient[:, c], quotient, atol=1e-7)


def test_least_squares_solves() -> None:
    generator = torch.Generator().manual_seed(1)
    terms = torch.randn((50, 4), generator=generator, dtype=torch.float64)
    truth = torch.randn((4, 2), generator=generator, dtype=torch.float64)
    np.testing.assert_allclose(least_squares(terms, terms @ truth), truth, atol=1e-7)


def _decoder(degrees: Degrees, n_outputs: int = 7, seed: int = 0) -> ChemicalDecoder:
    decoder = ChemicalDecoder(3, 2, n_outputs, degrees).double()
    generator = torch.Generator().manual_seed(seed)
    for buffer in decoder.buffers():
        buffer.copy_(torch.randn(buffer.shape, generator=generator, dtype=torch.float64))
    if len(decoder.curvature):
        decoder.curvature.copy_(0.1 * (decoder.curvature + decoder.curvature.transpose(1, 2)))
    return decoder


@pytest.fixture(
    params=[Degrees(2, 1, -1), Degrees(3, 2, 1), Degrees(3, 2, 1, 2, 4, 3)],
    ids=["linear", "curved", "bent"],
)
def decoder(request: pytest.FixtureRequest) -> ChemicalDecoder:
    return _decoder(request.param)


def _points(n: int, seed: int = 5) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    z = torch.randn((n, 3), generator=generator, dtype=torch.float64)
    u = 2 * torch.rand((n, 2), generator=generator, dtype=torch.float64) - 1
    return z, u


def test_the_function_by_hand() -> None:
    decoder = ChemicalDecoder(2, 1, 1, Degrees(1, 0, 0)).double()
    decoder.mean[:, 0] = torch.tensor([1.0, 2.0])
    decoder.loadings[0, :, 0] = torch.tensor([3.0, 4.0])
    decoder.curvature[0, :, :, 0] = torch.tensor([[5.0, 0.5], [0.5, 6.0]])
    z, u = torch.tensor([[1.0, 2.0]]).double(), torch.tensor([[0.5]]).double()
    # 1 + 2·√3·0.5 + 3·1 + 4·2 + 5·1² + 2·0.5·1·2 + 6·2²
    assert float(decoder(z, u)) == pytest.approx(1 + math.sqrt(3) + 3 + 8 + 5 + 2 + 24)


def test_bent_terms_by_hand() -> None:
    terms = BentTerms(n_conditions=1, n_bent=1, degree=3, order=3, curvature=0)
    z, u = torch.tensor([[2.0, 7.0]]).double(), torch.tensor([[0.5]]).double()
    second, third = (4 - 1) / math.sqrt(2), (8 - 3 * 2) / math.sqrt(6)
    # u·He₂ and He₃; He₂ alone is left to the curvature, and the second latent is not bent.
    assert sorted(terms(z, u)[0].tolist()) == pytest.approx(
        sorted([third, math.sqrt(3) * 0.5 * second])
    )
    assert len(BentTerms(2, 0, 6, 4, 1)) == 0


def test_bent_terms_are_orthonormal_and_flat_far_out() -> None:
    x, on_square = np.polynomial.legendre.leggauss(6)
    y, on_line = np.polynomial.hermite_e.hermegauss(6)
    u, a, b = (g.ravel() for g in np.meshgrid(x, y, y, indexing="ij"))
    measure = np.einsum("i,j,k->ijk", on_square / 2, on_line, on_line).ravel() / (2 * np.pi)
    terms = BentTerms(1, 2, 5, 3, -1)
    values = terms(torch.tensor(np.stack([a, b], 1)), torch.tensor(u[:, None]))
    products = (values.numpy() * measure[:, None]).T @ values.numpy()
    np.testing.assert_allclose(products, np.eye(len(terms)), atol=1e-10)
    far = torch.tensor([[9.0, 0.3], [5.0, 0.3]]).double()
    at = torch.tensor([[0.2], [0.2]]).double()
    assert torch.equal(*terms(far, at))
    assert not terms.by_latents(far, at)[:, 0].any()


def test_derivatives_are_difference_quotients(decoder: ChemicalDecoder) -> None:
    z, u = _points(4)
    jacobian, slope = decoder.linearise(z, u)[1], decoder.slope(z, u)
    for i, (array, derivative) in enumerate(((z, jacobian), (u, slope))):
        for c in range(array.shape[1]):
            step = torch.zeros(array.shape[1], dtype=torch.float64)
            step[c] = 1e-6
            plus, minus = [[z, u], [z, u]]
            plus[i], minus[i] = array + step, array - step
            quotient = (decoder(*plus) - decoder(*minus)) / 2e-6
            np.testing.assert_allclose(derivative[:, c], quotient, atol=1e-6)


def test_least_squares_finds_the_coefficients(decoder: ChemicalDecoder) -> None:
    z, u = _points(400)
    found = ChemicalDecoder(3, 2, 7, decoder.degrees).double()
    found.fit(decoder(z, u), z, u, ridge=1e-13)
    for name, buffer in found.named_buffers():
        np.testing.assert_allclose(buffer, decoder.get_buffer(name), atol=1e-6)


def test_latents_of_a_linear_decoder_are_the_gaussian_posterior() -> None:
    decoder = _decoder(Degrees(2, 1, -1))
    z, u = _points(6)
    y = decoder(z, u) + 0.3 * torch.randn(6, 7, dtype=torch.float64)
    root = torch.randn((6, 7, 7), dtype=torch.float64)
    precision = root @ root.transpose(1, 2) + torch.eye(7)
    found = estimate_latents(decoder, y, u, precision, steps=8)
    centre, jacobian = decoder.linearise(torch.zeros_like(z), u)
    for i in range(6):
        loadings = jacobian[i]
        information = loadings @ precision[i] @ loadings.T
        posterior = torch.linalg.solve(
            information + torch.eye(3), loadings @ precision[i] @ (y[i] - centre[i])
        )
        np.testing.assert_allclose(found.mode[i], posterior, atol=1e-7)
        np.testing.assert_allclose(found.information[i], information, rtol=1e-7)


def test_errors_of_the_conditions_are_marginalised() -> None:
    """With a mean linear in u and constant loadings, u is one more Gaussian unknown."""
    decoder = _decoder(Degrees(1, 0, -1))
    z, u = _points(1)
    errors = torch.tensor([[0.3, 0.1]], dtype=torch.float64)
    precision = 4 * torch.eye(7, dtype=torch.float64)
    y = decoder(z, u + torch.tensor([[0.2, -0.1]], dtype=torch.float64))
    found = estimate_latents(decoder, y, u, precision, condition_errors=errors, steps=8)
    both = torch.cat([decoder.loadings[0], decoder.slope(z, u)[0]])
    full = both @ precision @ both.T + torch.diag(
        torch.cat([torch.zeros(3), errors[0] ** -2]).double()
    )
    marginal = torch.linalg.inv(torch.linalg.inv(full)[:3, :3])
    np.testing.assert_allclose(found.information[0], marginal, rtol=1e-6)
    exact = estimate_latents(decoder, y, u, precision, steps=8)
    truth = z[0]
    assert (found.mode[0] - truth).norm() < (exact.mode[0] - truth).norm()


def test_steps_that_lead_astray_are_halved() -> None:
    """y = z − 10/3 z³ = 0: from 0.3 Newton's whole step leads past the turning point at −0.32.

    There another root draws, −0.55; a quarter of the step arrives at 0.
    """
    decoder = ChemicalDecoder(1, 1, 1, Degrees(0, 0, 0, 1, 3, 3)).double()
    decoder.loadings[0, 0, 0] = 1.0 - 10.0
    decoder.bends[0, 0] = -10 / 3 * math.sqrt(6.0)  # √6 He₃/√6 is z³ − 3z.
    z, u = torch.tensor([[0.3], [-0.7]]).double(), torch.zeros((2, 1)).double()
    np.testing.assert_allclose(decoder(z, u), z - 10 / 3 * z**3, atol=1e-12)
    zero, precision = torch.zeros((2, 1)).double(), 1e6 * torch.eye(1).double()
    found = estimate_latents(decoder, zero, u, precision, start=z, steps=30)
    np.testing.assert_allclose(found.mode[:, 0], [0.0, -math.sqrt(0.3)], atol=1e-5)
