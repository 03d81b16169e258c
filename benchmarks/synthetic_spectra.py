"""Spectra per second of the physics engine.

    python benchmarks/synthetic_spectra.py [--quick] [--threads N]

Prints a Markdown table and writes bench-out/synthetic_spectra.json.
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from pathlib import Path

import numpy as np
import torch

from starkin.simulate.physics import sampling_for, synthesise


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="500 stars instead of 20,000")
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    n = 500 if arguments.quick else 20_000
    wavelength = np.arange(330.0, 1052.0, 2.0)
    rng = np.random.default_rng(1)

    start = time.perf_counter()
    sampling = sampling_for(wavelength)
    setup = time.perf_counter() - start

    teff = rng.uniform(3500, 8000, n)
    start = time.perf_counter()
    flux = synthesise(
        teff,
        rng.uniform(0.5, 5.0, n),
        rng.uniform(-2.5, 0.4, n),
        rng.uniform(0.0, 0.4, n),
        wavelength_nm=wavelength,
    )
    seconds = time.perf_counter() - start
    result = {
        "stars": n,
        "pixels": int(wavelength.size),
        "wavelengths": int(sampling.table.wavelength_nm.size),
        "threads": arguments.threads,
        "tables_s": round(setup, 2),
        "spectra_s": round(seconds, 2),
        "spectra_per_s": round(n / seconds),
        "sampling_error_median": float(np.median(sampling.error)),
        "all_finite": bool(np.isfinite(flux).all()),
        "peak_memory_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }
    print("| " + " | ".join(result) + " |")
    print("|" + "---|" * len(result))
    print("| " + " | ".join(str(v) for v in result.values()) + " |")
    out = Path("bench-out")
    out.mkdir(exist_ok=True)
    (out / "synthetic_spectra.json").write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
