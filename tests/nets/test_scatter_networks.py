"""The two networks, and that fast encoding gives the network's own numbers."""

from __future__ import annotations

import pytest
import torch

from starkin.models import ScatterVAEConfig
from starkin.nets import FastEncoder, GaussianPosterior, ScatterNetwork
from starkin.nets.blocks import fold_batch_norm


def network(recipe: str) -> ScatterNetwork:
    """A network whose every parameter and running statistic is away from its start."""
    net = ScatterVAEConfig.from_dict({"recipe": recipe}).network(110, seed=0)
    g = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for tensor in net.parameters():
            tensor.add_(0.05 * torch.randn(tensor.shape, generator=g))
        for name, tensor in net.named_buffers():
            if name.endswith(("running_var", "typical_variance")):
                tensor.copy_(0.5 + torch.rand(tensor.shape, generator=g))
            elif name.endswith("running_mean"):
                tensor.copy_(torch.randn(tensor.shape, generator=g))
    return net.eval()


def spectra(n: int = 300) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    g = torch.Generator().manual_seed(3)
    used = torch.rand(n, 110, generator=g) > 0.1
    used[: n // 2] = True
    x = torch.randn(n, 110, generator=g) * used
    return x, 10 ** torch.randn(n, 110, generator=g).clamp(-2, 2), used


both = pytest.mark.parametrize("recipe", ["laroche-speagle", "starkin"])


def test_published_network_has_the_published_size() -> None:
    net = ScatterVAEConfig(recipe="laroche-speagle").network(110, seed=0)
    assert sum(p.numel() for p in net.parameters()) == 67_182
    assert next(iter(net.state_dict())) == "encoder.0.0.weight"
    assert net.state_dict()["scatter.5.0.weight"].shape == (110, 90)


def test_published_scatter_is_a_sigmoid() -> None:
    _, variance = network("laroche-speagle").decode(100 * torch.randn(200, 6))
    assert variance.min() >= 0
    assert variance.max() <= 1


def test_our_scatter_has_a_floor_and_no_ceiling_within_reach() -> None:
    net = network("starkin")
    floor = net.scatter_floor**2
    with torch.no_grad():
        net.log_scatter[:55], net.log_scatter[55:] = -100.0, 5.0
        _, variance = net.decode(torch.zeros(3, 6))
    assert (variance[:, :55] >= floor).all()
    assert (variance[:, 55:] > 10).all()


def test_folding_batch_norm_is_exact() -> None:
    linear, norm = torch.nn.Linear(5, 7), torch.nn.BatchNorm1d(7)
    norm(3 + 2 * torch.randn(100, 7))
    norm.eval()
    x = torch.randn(20, 5)
    weight, bias = fold_batch_norm(linear, norm)
    torch.testing.assert_close(x @ weight.T + bias, norm(linear(x)))


@both
@pytest.mark.parametrize("threads", [1, 2])
def test_fast_encoding_agrees_with_the_network(recipe: str, threads: int) -> None:
    net, (x, sigma, used) = network(recipe), spectra()
    with torch.no_grad():
        expected = net.posterior(x, sigma, used)
    before = torch.get_num_threads()
    fast = FastEncoder(net.encoder_arrays(), threads=threads, chunk=64)
    got = GaussianPosterior.from_parameters(fast.encode(x, sigma, used), net.n_latent)
    assert torch.get_num_threads() == before
    torch.testing.assert_close(got.mean, expected.mean, atol=1e-4, rtol=1e-5)
    torch.testing.assert_close(got.log_scale, expected.log_scale, atol=1e-4, rtol=1e-5)
    torch.testing.assert_close(got.covariance(), expected.covariance(), atol=1e-4, rtol=1e-4)
    # Without masks the mask may be left out.
    unmasked = fast.encode(x[:150], sigma[:150])
    torch.testing.assert_close(unmasked, fast.encode(x[:150], sigma[:150], used[:150]))


@both
def test_masked_input_has_no_effect(recipe: str) -> None:
    net, (x, sigma, used) = network(recipe), spectra()
    other = torch.where(used, x, 1e3), torch.where(used, sigma, 7.0), used
    with torch.no_grad():
        a, b = net.posterior(x, sigma, used), net.posterior(*other)
    assert torch.equal(a.mean, b.mean)
    assert torch.equal(a.log_scale, b.log_scale)


def test_a_masked_coefficient_is_one_with_an_infinite_error() -> None:
    net, (x, sigma, used) = network("starkin"), spectra()
    with torch.no_grad():
        masked = net.posterior(x, sigma, used)
        noisy = net.posterior(x, torch.where(used, sigma, 1e9), torch.ones_like(used))
    torch.testing.assert_close(masked.mean, noisy.mean)
    torch.testing.assert_close(masked.log_scale, noisy.log_scale)


def test_size_of_the_fast_encoder_is_counted() -> None:
    arrays = network("laroche-speagle").encoder_arrays()
    assert arrays.multiplications == 110 * 90 + 90 * 70 + 70 * 50 + 50 * 30 + 30 * 10 + 10 * 12
