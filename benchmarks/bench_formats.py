"""Stars a second written and read in each format, correlations included.

    python benchmarks/bench_formats.py [--n 20000] [--quick]

Prints a Markdown table and writes bench-out/formats.json. Wall and processor
seconds are both given, because a busy machine stretches only the first.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from starkin.io import read, write_spectra
from starkin.spectra import SpectrumSet, XPGrid

NAMES = (
    "stars.csv",
    "stars.csv.gz",
    "stars.ecsv",
    "XpContinuousMeanSpectrum_0-1.csv.gz",
    "stars.fits",
    "stars.vot",
    "stars.parquet",
)


def stars(n: int, seed: int = 0) -> SpectrumSet:
    """Coefficients of falling size; correlations 0.02 + 0.98 ρ^|i-j|, which are positive definite.

    (The constant keeps the numbers as long as the archive's: none is tiny.)
    """
    rng = np.random.default_rng(seed)
    grid = XPGrid()
    fall = 10 ** -np.concatenate([np.linspace(0, 3, 55)] * 2)
    values = rng.normal(size=(n, 110)) * fall * 10 ** rng.uniform(2, 5, (n, 1))
    errors = (np.abs(values) * rng.uniform(0.01, 1, (n, 110)) + 1e-3).astype(np.float32)
    column, row = np.tril_indices(55, k=-1)
    rho = rng.uniform(0.05, 0.7, (n, 1))
    # Without the noise the text would compress far better than the archive's.
    noise = 1 - 1e-3 * rng.random((n, row.size), dtype=np.float32)
    packed = (0.02 + 0.98 * rho ** (column - row) * noise).astype(np.float32)
    missing = rng.random(n) < 0.01
    mask = np.zeros((n, 110), dtype=bool)
    mask[missing, :55] = True
    correlations = np.concatenate([packed, packed], axis=1)
    correlations[missing, : packed.shape[1]] = np.nan
    ids = np.sort(rng.choice(2**52, n, replace=False)).astype(np.int64)
    return SpectrumSet(ids, values, errors, grid, mask=mask, correlations=correlations)


def timed(call: Callable[[], Any]) -> tuple[Any, float, float]:
    wall, cpu = time.perf_counter(), time.process_time()
    result = call()
    return result, time.perf_counter() - wall, time.process_time() - cpu


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n", type=int, default=20000)
    parser.add_argument("--quick", action="store_true", help="500 stars")
    options = parser.parse_args()
    n = 500 if options.quick else options.n
    sample = stars(n)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for name in NAMES:
            path = Path(folder) / name
            _, write_wall, write_cpu = timed(lambda path=path: write_spectra(sample, path))
            back, read_wall, read_cpu = timed(lambda path=path: read(path))
            rows.append(
                {
                    "file": name,
                    "megabytes": path.stat().st_size / 1e6,
                    "write_s": write_wall,
                    "write_cpu_s": write_cpu,
                    "read_s": read_wall,
                    "read_cpu_s": read_cpu,
                    "same": back.fingerprint == sample.fingerprint,
                }
            )
            path.unlink()
    print(f"{n} stars, correlations included\n")
    print("| file | MB | write [s] (cpu) | read [s] (cpu) | read [stars/s] | same numbers |")
    print("|---|---|---|---|---|---|")
    for r in rows:
        print(
            f"| {r['file']} | {r['megabytes']:.0f} | {r['write_s']:.2f} ({r['write_cpu_s']:.2f}) "
            f"| {r['read_s']:.2f} ({r['read_cpu_s']:.2f}) | {n / r['read_s']:,.0f} "
            f"| {'yes' if r['same'] else 'NO'} |"
        )
    result = {
        "n": n,
        "rows": rows,
        "peak_memory_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6,
        "cpus": os.cpu_count(),
        "machine": platform.platform(),
    }
    out = Path("bench-out")
    out.mkdir(exist_ok=True)
    (out / "formats.json").write_text(json.dumps(result, indent=1))
    print(f"\nPeak memory {result['peak_memory_gb']:.2f} GB")


if __name__ == "__main__":
    main()
