"""Search for twins in a million stars: time, memory and recall for the model's own metric.

    python benchmarks/bench_twins.py --stars 1000000 --latents 20

The catalogue is synthetic: compositions, leakage and noise are normal, every star has one twin
and a noise of its own (variances vary tenfold). Recall is judged for some queries against the
exact likelihood ratios with the 20,000 stars that a full scan with one typical noise puts first.
"""

from __future__ import annotations

import argparse
import resource
import time

import numpy as np

from starkin.io.latents import Latents, TwinPrior
from starkin.latent.twins import TwinFinder

_SCANNED = 20_000


def catalogue(n: int, d: int, seed: int) -> tuple[Latents, TwinPrior]:
    """Stars 2i and 2i+1 are twins."""
    rng = np.random.default_rng(seed)
    turn = np.linalg.qr(rng.normal(size=(d, d)))[0]
    # Most of the scatter of compositions is in a few directions, as in the Galaxy.
    between = (turn * np.geomspace(1.0, 0.01, d)) @ turn.T
    within = np.diag(np.geomspace(0.02, 0.001, d))
    noise = np.diag(np.full(d, 0.004))
    y = rng.multivariate_normal(np.zeros(d), between, size=n // 2).repeat(2, axis=0)
    factor = 10 ** rng.uniform(-0.5, 0.5, size=n)
    z = y + rng.normal(size=(n, d)) * np.sqrt(np.diag(within) + factor[:, None] * 0.004)
    covariance = (factor[:, None, None] * noise).astype(np.float32)
    return Latents(np.arange(n), z, covariance), TwinPrior(np.zeros(d), within, between)


def recall(finder: TwinFinder, rows: np.ndarray, k: int) -> float:
    """Part of the true k best twins of ``rows`` that the finder gives."""
    found = finder.query(k, rows=rows).twin_row
    points = finder.metric.points(finder.stars)
    queries = finder.metric.queries(finder.stars)[rows]
    hits = 0
    for row, query, twins in zip(rows, queries, found, strict=True):
        squared = np.sum((points - query) ** 2, axis=1)
        near = np.argpartition(squared, min(_SCANNED, len(squared) - 1))[:_SCANNED]
        near = near[near != row]
        ratio = finder.metric.log_ratios(finder.stars, np.array([row]), near[None, :])[0]
        hits += np.isin(near[np.argsort(-ratio)[:k]], twins).sum()
    return hits / found.size


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stars", type=int, default=1_000_000)
    parser.add_argument("--latents", type=int, default=20)
    parser.add_argument("-k", type=int, default=10)
    parser.add_argument("--queries", type=int, default=5_000)
    parser.add_argument("--judged", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    latents, prior = catalogue(args.stars, args.latents, args.seed)
    start = time.perf_counter()
    finder = TwinFinder.fit(latents, prior)
    built = time.perf_counter() - start
    rng = np.random.default_rng(args.seed + 1)
    rows = rng.choice(args.stars, size=min(args.queries, args.stars), replace=False)
    finder.query(args.k, rows=rows[:10])  # compile
    start = time.perf_counter()
    twins = finder.query(args.k, rows=rows)
    asked = time.perf_counter() - start
    first = np.mean(twins.twin_row[:, 0] == (rows ^ 1))
    judged = recall(finder, rows[: args.judged], args.k)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
    print(f"{args.stars:,} stars, {args.latents} latents, k = {args.k}, one thread")
    print(f"index built      {built:.1f} s (recall of candidates {finder.index.recall:.4f})")
    print(f"queries          {1e3 * asked / len(rows):.2f} ms a star")
    print(f"recall           {judged:.4f} of the exact {args.k} best ({args.judged} stars)")
    print(f"true twin first  {first:.3f}")
    print(f"peak memory      {peak:.1f} GiB")


if __name__ == "__main__":
    main()
