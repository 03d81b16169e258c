"""Encoding many stars fast on a CPU: the same numbers as the network, less work.

The network's own forward pass writes every intermediate array to memory; over a
million stars each is hundreds of megabytes. Here stars pass in chunks whose
intermediates stay in a core's cache, in buffers that are reused, with BatchNorm
folded into the linear layers, the errors weighed in one pass over spectrum and
errors, masks applied only where there are any, and each thread on its own stars.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from numba import njit
from torch import Tensor
from torch.nn import functional

__all__ = ["Chunk", "EncoderArrays", "FastEncoder", "plain"]

#: Standardised spectra, errors and, where anything is masked, what is used.
Chunk = tuple[Tensor, Tensor, Tensor | None]

_ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "silu": lambda h: functional.silu(h, inplace=True),
    "gelu": lambda h: h.copy_(functional.gelu(h)),
}


@dataclass(frozen=True)
class EncoderArrays:
    """An encoder as plain matrices; each acts from the right on rows of stars.

    Attributes
    ----------
    hidden : tuple of (weight, bias)
        Hidden layers, weights of shape (n_in, n_out).
    output : (weight, bias)
        To mean, log scale and, for a full covariance, the strictly lower triangle.
    activation : {"silu", "gelu"}
    n_latent : int
    skip : Tensor or None, shape (n_pixels, n_latent)
        Linear path from the input to the mean.
    noise : Tensor or None, shape (n_pixels, n_noise)
        From the reliabilities to what joins the input of the first layer.
    noise_hidden : Tensor or None, shape (n_noise, n_hidden)
    typical_variance : Tensor or None, shape (n_pixels,)
        τ²; None for an encoder that does not look at errors.
    """

    hidden: tuple[tuple[Tensor, Tensor], ...]
    output: tuple[Tensor, Tensor]
    activation: str
    n_latent: int
    skip: Tensor | None = None
    noise: Tensor | None = None
    noise_hidden: Tensor | None = None
    typical_variance: Tensor | None = None

    @property
    def multiplications(self) -> int:
        """Multiply-adds of the matrix products for one star."""
        matrices = [weight for weight, _ in self.hidden] + [self.output[0]]
        matrices += [m for m in (self.skip, self.noise, self.noise_hidden) if m is not None]
        return sum(m.numel() for m in matrices)


class FastEncoder:
    """Posterior parameters of standardised spectra, chunk by chunk.

    Parameters
    ----------
    arrays : EncoderArrays
    threads : int
        Worker threads, each on its own chunks.
    chunk : int
        Stars a chunk; 1,024 keep all buffers of a chunk within 2 MB.
    """

    def __init__(self, arrays: EncoderArrays, *, threads: int = 1, chunk: int = 1024) -> None:
        self.arrays, self.threads, self.chunk = arrays, max(1, threads), chunk
        (weight, bias), *self._later = arrays.hidden
        self._n_pixels, self._n_hidden = weight.shape
        if arrays.noise_hidden is not None:
            # What the errors are reduced to stands beside the spectrum: one product for both.
            weight = torch.cat([weight, arrays.noise_hidden])
        if arrays.skip is not None:
            # The linear path rides along as further columns of the first product.
            skip = torch.zeros(len(weight), arrays.n_latent)
            skip[: len(arrays.skip)] = arrays.skip
            weight = torch.cat([weight, skip], dim=1)
            bias = torch.cat([bias, torch.zeros(arrays.n_latent)])
        self._first = weight.contiguous(), bias
        self._activate = _ACTIVATIONS[arrays.activation]

    def encode(self, x: Tensor, sigma: Tensor, used: Tensor | None = None) -> Tensor:
        """Mean, log scale and strictly lower triangle side by side.

        Parameters
        ----------
        x, sigma : Tensor of float32, shape (n_stars, n_pixels)
            Standardised spectra and errors; finite where masked.
        used : Tensor of bool, shape (n_stars, n_pixels), optional
            False where masked; None for nothing masked.

        Returns
        -------
        Tensor, shape (n_stars, 2·n_latent [+ n_latent·(n_latent−1)/2])
        """
        out = torch.empty((len(x), self.arrays.output[0].shape[1]))

        def source(rows: slice) -> Chunk:
            return x[rows], sigma[rows], None if used is None else used[rows]

        def sink(rows: slice, parameters: Tensor) -> None:
            out[rows] = parameters

        self.run(len(x), source, sink)
        return out

    def run(
        self, n: int, source: Callable[[slice], Chunk], sink: Callable[[slice, Tensor], None]
    ) -> None:
        """Encode ``n`` stars that ``source`` gives and ``sink`` takes, chunk by chunk.

        Both are called in the worker threads, so that preparing the input and
        finishing the output happen while the chunk is in the cache.
        """
        starts = range(0, n, self.chunk)
        workers = max(1, min(self.threads, len(starts)))

        def work(worker: int) -> None:
            # Autograd's switch is per thread, so a worker turns it off for itself.
            with torch.no_grad():
                buffers = self._buffers()
                for start in starts[worker::workers]:
                    rows = slice(start, min(start + self.chunk, n))
                    sink(rows, self._encode(*source(rows), buffers))

        before = torch.get_num_threads()
        try:
            # Threads of ours, one a core, instead of torch's inside every operation.
            with ThreadPoolExecutor(workers, initializer=_one_thread) as pool:
                list(pool.map(work, range(workers)))
        finally:
            torch.set_num_threads(before)

    def _buffers(self) -> dict[str, Tensor]:
        n_in, n_first = self._first[0].shape
        widths = {"in": n_in, "reliability": self._n_pixels, "h0": n_first}
        widths |= {f"h{i}": w.shape[1] for i, (w, _) in enumerate(self._later, start=1)}
        widths["out"] = self.arrays.output[0].shape[1]
        return {name: torch.empty((self.chunk, width)) for name, width in widths.items()}

    def _encode(
        self, x: Tensor, sigma: Tensor, used: Tensor | None, buffers: dict[str, Tensor]
    ) -> Tensor:
        n, arrays = len(x), self.arrays
        if used is not None and bool(used.all()):
            used = None
        b = {name: buffer[:n] for name, buffer in buffers.items()}
        source = b["in"]
        if arrays.typical_variance is not None:
            reliability = b["reliability"]
            tensors = x, sigma, arrays.typical_variance, source, reliability
            _weigh(*(tensor.numpy() for tensor in tensors))
            if used is not None:
                source[:, : self._n_pixels].mul_(used)
                reliability.mul_(used)
            if arrays.noise is not None:
                torch.mm(reliability, arrays.noise, out=source[:, self._n_pixels :])
        elif used is not None:
            torch.mul(x, used, out=source)
        else:
            source = x
        weight, bias = self._first
        h = torch.addmm(bias, source, weight, out=b["h0"])
        hidden = self._activate(h[:, : self._n_hidden])
        for i, (weight, bias) in enumerate(self._later, start=1):
            hidden = self._activate(torch.addmm(bias, hidden, weight, out=b[f"h{i}"]))
        out = torch.addmm(arrays.output[1], hidden, arrays.output[0], out=b["out"])
        if arrays.skip is not None:
            out[:, : arrays.n_latent].add_(h[:, self._n_hidden :])
        return out


@njit(nogil=True, cache=True, error_model="numpy")
def _weigh(x, sigma, typical_variance, weighed, reliability):
    """x/(1 + σ²) and τ²/(τ² + σ²) in one pass; ``weighed`` may have further columns."""
    one = np.float32(1)
    for star in range(x.shape[0]):
        for pixel in range(x.shape[1]):
            variance = sigma[star, pixel] * sigma[star, pixel]
            weighed[star, pixel] = x[star, pixel] / (one + variance)
            typical = typical_variance[pixel]
            reliability[star, pixel] = typical / (typical + variance)


def _one_thread() -> None:
    torch.set_num_threads(1)


def plain(tensor: Tensor) -> Tensor:
    """A float32 copy on the CPU, as :class:`EncoderArrays` holds them."""
    return tensor.detach().to("cpu", torch.float32).contiguous().clone()
