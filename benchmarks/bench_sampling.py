"""Coefficients to wavelength: starkin against ``gaiaxpy.calibrate`` on the same stars.

    python benchmarks/bench_sampling.py [--n 5000] [--quick]

Both start from arrays in memory and give fluxes with errors propagated through the
full covariance; "with covariance" also gives every star's 343 × 343 matrix (starkin
as covariances, GaiaXPy as correlations). GaiaXPy keeps all matrices, so it gets the
stars in batches of 1,000; what its further calls cost to set up is not counted.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import platform
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np

from starkin.spectra import (
    SpectrumSet,
    XPGrid,
    pack_correlations,
    project,
    sample_spectra,
    sampled_covariance,
    synthetic_photometry,
)

BATCH = 1000


def stars(n: int, seed: int = 0) -> SpectrumSet:
    """Blackbodies of 3,500-12,000 K with noise that is correlated between coefficients."""
    rng = np.random.default_rng(seed)
    grid = XPGrid()
    wavelength = np.arange(330.0, 1051, 2)
    x = 1.4388e7 / (rng.uniform(3500, 12000, (n, 1)) * wavelength)
    coefficients = project(wavelength, 1e-14 * (500 / wavelength) ** 5 / np.expm1(x))
    # A hundred correlation matrices, shared out: making 5,000 takes longer than using them.
    packed = []
    for _ in range(2):
        loading = rng.normal(size=(100, 55, 6))
        covariance = loading @ loading.transpose(0, 2, 1) + 10 * np.eye(55)
        sigma = np.sqrt(np.einsum("nii->ni", covariance))
        packed.append(pack_correlations(covariance / sigma[:, :, None] / sigma[:, None, :]))
    correlations = np.concatenate(packed, axis=1).astype(np.float32)
    return SpectrumSet(
        source_id=np.arange(n) + 1,
        values=coefficients,
        errors=rng.uniform(0.05, 0.5, (n, grid.n_pixels)),
        correlations=correlations[rng.integers(0, 100, n)],
        grid=grid,
    )


def as_frame(spectra: SpectrumSet):
    """What GaiaXPy takes."""
    import pandas as pd

    grid = spectra.grid
    columns: dict[str, object] = {"source_id": spectra.source_id}
    for band in ("bp", "rp"):
        part, triangle = grid.band(band), grid.correlation_slice(band)
        columns[f"{band}_n_parameters"] = np.full(len(spectra), grid.band_size(band))
        columns[f"{band}_standard_deviation"] = np.ones(len(spectra))
        columns[f"{band}_coefficients"] = list(spectra.values[:, part])
        columns[f"{band}_coefficient_errors"] = list(spectra.errors[:, part])
        columns[f"{band}_coefficient_correlations"] = list(
            spectra.correlations[:, triangle].astype(np.float64)
        )
    return pd.DataFrame(columns)


def theirs(function: Callable, spectra: SpectrumSet) -> tuple[float, list]:
    """Seconds that GaiaXPy takes for all stars, in batches, and what it gives."""

    def call(part: SpectrumSet) -> tuple[float, object]:
        frame = as_frame(part)
        start = time.perf_counter()
        with contextlib.redirect_stdout(io.StringIO()):
            result = function(frame)
        return time.perf_counter() - start, result

    call(spectra[:2])
    setup = call(spectra[:1])[0]
    seconds, results = 0.0, []
    for i, part in enumerate(spectra.batches(BATCH)):
        taken, result = call(part)
        seconds += taken - (setup if i else 0.0)
        results.append(result)
    return seconds, results


def ours(function: Callable, spectra: SpectrumSet, repeats: int = 3) -> tuple[float, object]:
    """The median of some runs, and the last result."""
    function(spectra[:2])
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        result = function(spectra)
        seconds.append(time.perf_counter() - start)
    return float(np.median(seconds)), result


def independent(spectra: SpectrumSet) -> SpectrumSet:
    return sample_spectra(spectra, correlated=False)


def with_covariance(spectra: SpectrumSet) -> SpectrumSet:
    sampled = sample_spectra(spectra)
    for _, matrices in sampled_covariance(spectra):
        assert np.isfinite(matrices[0, 0, 0])
    return sampled


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n", type=int, default=5000, help="stars")
    parser.add_argument("--quick", action="store_true", help="200 stars, for a smoke test")
    parser.add_argument("--out", type=Path, default=Path("bench-out"))
    options = parser.parse_args()
    spectra = stars(200 if options.quick else options.n)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        # GaiaXPy's progress bars go to the stdout that it found when it was imported.
        with contextlib.redirect_stdout(io.StringIO()):
            import gaiaxpy

        system = gaiaxpy.PhotometricSystem.Gaia_DR3_Vega

        def calibrate(frame):
            return gaiaxpy.calibrate(frame, save_file=False)[0]

        def calibrate_with_correlation(frame):
            sampled = gaiaxpy.calibrate(frame, save_file=False, with_correlation=True)[0]
            return sampled[["flux", "flux_error"]]  # 0.5 MB a star is not kept

        def generate(frame):
            return gaiaxpy.generate(frame, photometric_system=system, save_file=False)

        tasks = [
            ("fluxes, errors as if independent", independent, calibrate, None),
            ("fluxes and errors", sample_spectra, calibrate, 20),
            ("with covariance", with_covariance, calibrate_with_correlation, 10),
            ("G, BP, RP photometry", synthetic_photometry, generate, None),
        ]
        timed: dict[Callable, tuple[float, list]] = {}
        rows = []
        for name, our_function, their_function, wanted in tasks:
            our_seconds, result = ours(our_function, spectra)
            if their_function not in timed:
                timed[their_function] = theirs(their_function, spectra)
            their_seconds, frames = timed[their_function]
            rows.append(
                {
                    "task": name,
                    "n_stars": len(spectra),
                    "starkin_s": our_seconds,
                    "gaiaxpy_s": their_seconds,
                    "ratio": their_seconds / our_seconds,
                    "wanted": wanted,
                    "largest_relative_difference": _difference(result, frames),
                }
            )

    print(f"| {len(spectra)} stars | starkin | GaiaXPy | faster | wanted | largest difference |")
    print("|---|---|---|---|---|---|")
    for row in rows:
        wanted = f"{row['wanted']}x" if row["wanted"] else "-"
        print(
            f"| {row['task']} | {row['starkin_s']:.3f} s | {row['gaiaxpy_s']:.2f} s "
            f"| {row['ratio']:.0f}x | {wanted} | {row['largest_relative_difference']:.1e} |"
        )
    options.out.mkdir(parents=True, exist_ok=True)
    report = {
        "rows": rows,
        "gaiaxpy": gaiaxpy.__version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "cpus": os.cpu_count(),
        "threads": os.environ.get("OMP_NUM_THREADS", "default"),
    }
    (options.out / "sampling.json").write_text(json.dumps(report, indent=2) + "\n")


def _difference(result, frames) -> float:
    """Fluxes (or G magnitudes) against GaiaXPy's, so that speed is not bought with errors."""
    if isinstance(result, SpectrumSet):
        expected = np.concatenate([np.stack(list(frame["flux"])) for frame in frames])
        scale = np.abs(expected).max(axis=1, keepdims=True)
        return float(np.max(np.abs(result.values - expected) / scale))
    expected = np.concatenate([frame["GaiaDr3Vega_mag_G"].to_numpy() for frame in frames])
    return float(np.nanmax(np.abs(np.asarray(result["phot_g_mean_mag"]) / expected - 1)))


if __name__ == "__main__":
    main()
