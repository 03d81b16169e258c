"""Encoding throughput: ours against the published network run in large batches.

    python benchmarks/bench_encode.py [--n 400000] [--threads 2] [--quick]

Rows of the table, all in one run and the same process:

- the published network as its authors run it: torch, evaluation mode, one large batch of
  standardised spectra, to posterior mean and log variance;
- the same in batches of 1,024, 4,096 and 16,384, and through our fast encoder;
- our network through torch and through the fast encoder, from standardised spectra and
  errors to mean and Cholesky factor;
- our model from a ``SpectrumSet`` as read (normalising, standardising, flags) to
  ``Latents`` with full covariances;
- from the store on disk to a latent catalogue (Parquet) on disk, labels included.

The floating-point limit is the rate of a 2,048 × 2,048 product; beside it stands the rate
that bare products of exactly these layer sizes reach in chunks that stay in cache.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch

from starkin.io.store import Store
from starkin.models import ScatterVAE, ScatterVAEConfig
from starkin.nets import EncoderArrays, FastEncoder
from starkin.spectra import SpectrumSet, XPGrid, columns
from starkin.survey.encode import encode_catalogue

OUT = Path("bench-out")
CHUNK = 1024


def best(work: Callable[[], object], repeats: int) -> float:
    """Shortest wall time [s] of several, after one run to warm up."""
    work()
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return min(times)


def peak(repeats: int) -> float:
    """Rate of a large product [GFLOP/s]."""
    a, b, c = (torch.randn(2048, 2048) for _ in range(3))
    return 2 * 2048**3 / best(lambda: torch.mm(a, b, out=c), repeats) / 1e9


def layer_peak(arrays: EncoderArrays, threads: int, repeats: int) -> float:
    """Rate of nothing but the products of an encoder, each thread in its cache [GFLOP/s]."""
    matrices = [weight for weight, _ in arrays.hidden] + [arrays.output[0]]
    rounds = 200

    def work(_: int) -> None:
        torch.set_num_threads(1)
        pairs = [(torch.randn(CHUNK, len(m)), m, torch.empty(CHUNK, m.shape[1])) for m in matrices]
        for _ in range(rounds):
            for x, m, out in pairs:
                torch.mm(x, m, out=out)

    with ThreadPoolExecutor(threads) as pool:
        seconds = best(lambda: list(pool.map(work, range(threads))), repeats)
    torch.set_num_threads(threads)
    flops = 2 * CHUNK * rounds * threads * sum(m.numel() for m in matrices)
    return flops / seconds / 1e9


def spectra(n: int) -> SpectrumSet:
    """Spectra of six latents with errors over two magnitudes; speed does not depend on them."""
    rng = np.random.default_rng(0)
    flux = 10 ** rng.uniform(3, 5, n)
    shape = rng.normal(size=(6, 110)).astype(np.float32) * 0.01
    errors = np.broadcast_to(10 ** rng.uniform(-4, -2, (n, 1)), (n, 110)).astype(np.float32)
    values = rng.normal(size=(n, 6)).astype(np.float32) @ shape + 0.02
    values += errors * rng.standard_normal((n, 110), dtype=np.float32)
    scale = flux.astype(np.float32)[:, None]
    set_ = SpectrumSet(np.arange(n), values * scale, errors * scale, XPGrid())
    return set_.with_labels(**{columns.G_FLUX: flux})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n", type=int, default=400_000, help="stars")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="a small smoke run")
    args = parser.parse_args()
    n, repeats = (20_000, 2) if args.quick else (args.n, args.repeats)
    torch.set_num_threads(args.threads)
    torch.set_grad_enabled(False)

    raw = spectra(n)
    train = raw[:2000]
    models = {
        recipe: ScatterVAE(ScatterVAEConfig(recipe=recipe, epochs=1), threads=args.threads)
        for recipe in ("laroche-speagle", "starkin")
    }
    with torch.enable_grad():
        for model in models.values():
            model.fit(train)
    ours = models["starkin"]
    # Away from the start, where the MLP is absent: agreement has to be seen with it.
    generator = torch.Generator().manual_seed(0)
    for parameter in ours.network.parameters():
        parameter.add_(0.02 * torch.randn(parameter.shape, generator=generator))
    ours.adopt(ours.network, ours.grid, ours.preprocessing, ours.calibration)
    x, sigma, used = ours.preprocessing(raw).tensors

    def published(start: int, stop: int) -> tuple[torch.Tensor, torch.Tensor]:
        hidden = models["laroche-speagle"].network.encoder(x[start:stop])
        network = models["laroche-speagle"].network
        return network.mu(hidden), network.log_var(hidden)

    fast = {
        recipe: FastEncoder(model.network.encoder_arrays(), threads=args.threads, chunk=CHUNK)
        for recipe, model in models.items()
    }
    rows: list[tuple[str, float, int]] = []

    def row(name: str, work: Callable[[], object], multiplications: int) -> None:
        rows.append((name, n / best(work, repeats), multiplications))
        print(f"{name}: {rows[-1][1] / 1e6:.3f} M stars/s", flush=True)

    size = {recipe: encoder.arrays.multiplications for recipe, encoder in fast.items()}
    one, two = size["laroche-speagle"], size["starkin"]
    row("published network, torch, one batch", lambda: published(0, n), one)
    for batch in (1024, 4096, 16384):
        row(
            f"published network, torch, batches of {batch:,}",
            lambda batch=batch: [published(i, i + batch) for i in range(0, n, batch)],
            one,
        )
    row("published network, fast encoder", lambda: fast["laroche-speagle"].encode(x, sigma), one)
    row("our network, torch, one batch", lambda: ours.network.posterior(x, sigma, used), two)
    row("our network, fast encoder", lambda: fast["starkin"].encode(x, sigma), two)
    row("our model, SpectrumSet to Latents", lambda: ours.encode(raw), two)
    with tempfile.TemporaryDirectory() as folder:
        store = Store.create(Path(folder) / "store", raw.grid, unit=raw.unit)
        store.append(raw)
        out = Path(folder) / "latents.parquet"
        row(
            "our model, store to catalogue",
            lambda: encode_catalogue(ours, store.batches(), out),
            two,
        )

    reference = ours.network.posterior(x[:20_000], sigma[:20_000], used[:20_000])
    error = float(
        (fast["starkin"].encode(x[:20_000], sigma[:20_000])[:, :6] - reference.mean).abs().max()
    )
    limit = peak(repeats)
    layers = layer_peak(fast["starkin"].arrays, args.threads, repeats)
    base, best_base = rows[0][1], max(rate for _, rate, _ in rows[:4])
    lines = [
        "| what | M stars/s | against published, one batch | against its best batch "
        "| GFLOP/s | of the limit |",
        "|---|---|---|---|---|---|",
    ]
    for name, rate, multiplications in rows:
        flops = 2 * multiplications * rate / 1e9
        lines.append(
            f"| {name} | {rate / 1e6:.2f} | {rate / base:.2f} | {rate / best_base:.2f} "
            f"| {flops:.0f} | {flops / limit:.0%} |"
        )
    lines += [
        "",
        f"{n:,} stars, {args.threads} threads; floating-point limit {limit:.0f} GFLOP/s, bare "
        f"products of our layer sizes {layers:.0f} GFLOP/s; largest difference of a latent between "
        f"the fast encoder and the network {error:.1e}.",
    ]
    table = "\n".join(lines) + "\n"
    OUT.mkdir(exist_ok=True)
    result = {
        "n": n,
        "threads": args.threads,
        "machine": platform.processor() or platform.machine(),
        "torch": torch.__version__,
        "limit_gflops": limit,
        "layer_gflops": layers,
        "largest_difference": error,
        "rows": [{"what": a, "stars_per_s": b, "multiply_adds": c} for a, b, c in rows],
    }
    (OUT / "encode.json").write_text(json.dumps(result, indent=1))
    (OUT / "encode.md").write_text(table)
    print(table)


if __name__ == "__main__":
    main()
