"""How fast a survey is simulated, everything included, and where the time goes.

    python benchmarks/bench_simulate.py [--n 20000] [--preset survey] [--threads 2] [--quick]

"Cold" is a fresh process on a machine that has simulated before: imports, line and opacity
tables (those that are kept are read), populations, spectra, noise with a covariance of its
own for every star, correlations, labels. "Warm" is the same survey once more. The very
first process makes the tables, which is timed apart, into a folder of its own. The stages
are timed on one block, one thread.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

START = time.perf_counter()


def with_tables() -> None:
    """Make the engine's tables in another process, then begin again as a fresh one."""
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "STARKIN_CACHE": folder}
        first = "from starkin.simulate import simulate_survey as s; s(10, seed=1, threads=1)"
        seconds = []
        for _ in range(2):
            clock = time.perf_counter()
            subprocess.run([sys.executable, "-c", first], check=True, env=environment)
            seconds.append(time.perf_counter() - clock)
        made = f"{seconds[0] - seconds[1]:.1f}"
        command = [sys.executable, *sys.argv, "--tables-made-in", made]
        sys.exit(subprocess.run(command, check=False, env=environment).returncode)


def stages(preset: str) -> dict[str, float]:
    """Seconds for 1,000 stars of each part of the work, on one thread."""
    import numpy as np
    import torch
    from threadpoolctl import threadpool_limits

    from starkin.simulate import SurveyConfig
    from starkin.simulate.instrument import observe
    from starkin.simulate.light import WAVELENGTH, flux_at_ten_parsec
    from starkin.simulate.rare import draw_class
    from starkin.spectra.projection import projection_matrix

    config = SurveyConfig(preset=preset)
    rng = np.random.default_rng(0)
    shares = config.class_shares()
    counts = {name: round(1000 * share) for name, share in shares.items()}
    torch.set_num_threads(1)
    out = {}
    with threadpool_limits(1, user_api="blas"):
        clock = time.perf_counter()
        groups = [
            draw_class(name, n, config.g_bright, config.g_faint, rng)
            for name, n in counts.items()
            if n
        ]
        out["stars and places"] = time.perf_counter() - clock
        clock = time.perf_counter()
        every = [np.ones(len(g.stars), dtype=bool) for g in groups]
        flux = np.concatenate(flux_at_ten_parsec(groups, every))
        out["atmospheres"] = time.perf_counter() - clock
        truth = flux @ projection_matrix(WAVELENGTH)
        truth *= 1e4 / truth[:, :1]
        clock = time.perf_counter()
        observe(truth, np.full(len(truth), 40.0), rng)
        out["noise and correlations"] = time.perf_counter() - clock
    return {name: seconds * 1000 / len(truth) for name, seconds in out.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n", type=int, default=20_000)
    parser.add_argument("--preset", default="survey")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="1,000 stars")
    parser.add_argument("--out", type=Path, default=Path("bench-out"))
    parser.add_argument("--tables-made-in", type=float, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.tables_made_in is None:
        with_tables()
    n = 1000 if arguments.quick else arguments.n

    from starkin.simulate import simulate_survey

    def run() -> float:
        clock = time.perf_counter()
        simulate_survey(
            n,
            seed=arguments.seed,
            preset=arguments.preset,
            correlations=True,
            threads=arguments.threads,
        )
        return time.perf_counter() - clock

    run()
    cold = time.perf_counter() - START
    warm = run()
    parts = stages(arguments.preset)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

    print(
        f"| {n:,} stars, preset {arguments.preset}, {arguments.threads} threads | s | spectra/min |"
    )
    print("|---|---|---|")
    print(f"| tables made, once on a machine | {arguments.tables_made_in:.1f} | |")
    print(f"| cold, imports and tables included | {cold:.1f} | {60 * n / cold:,.0f} |")
    print(f"| warm | {warm:.1f} | {60 * n / warm:,.0f} |")
    for name, seconds in parts.items():
        print(f"| {name}: 1,000 stars, one thread | {seconds:.2f} | |")
    print(f"\nPeak memory {peak:,.0f} MiB; {os.cpu_count()} cores, {platform.machine()}.")
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "simulate.json").write_text(
        json.dumps(
            {
                "n": n,
                "preset": arguments.preset,
                "threads": arguments.threads,
                "seed": arguments.seed,
                "tables_made_s": arguments.tables_made_in,
                "cold_s": cold,
                "warm_s": warm,
                "spectra_per_minute_cold": 60 * n / cold,
                "stages_s_per_1000": parts,
                "peak_mib": peak,
                "cores": os.cpu_count(),
            },
            indent=2,
        )
        + "\n"
    )


if __name__ == "__main__":
    main()
