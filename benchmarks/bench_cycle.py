"""Cycle-StarNet: lines that a line list lacks, recovered from observed spectra of other stars.

    python benchmarks/bench_cycle.py

Observed: simulated giants with all lines, noise at S/N 100, a blur and a tilted continuum that the
synthetic set knows nothing of. Synthetic: other giants, noiseless, ten lines missing. Judged on
giants of neither set, whose noiseless spectra with all lines are known. The tables are Markdown.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

from starkin.latent.transfer import domain_accuracy, line_recovery
from starkin.models.rivals import CycleStarNet, CycleStarNetConfig
from starkin.simulate import Spectrograph, Synthesiser, with_continuum_tilt, with_noise
from starkin.simulate.pairs import simulate_clusters
from starkin.simulate.synthesiser import World
from starkin.spectra import SpectrumSet

#: Missing lines: species and vacuum wavelength [Å].
MISSING = (
    ("Ti I", 15759.97),
    ("Fe I", 15761.22),
    ("Mg I", 15770.15),
    ("Ni I", 15774.75),
    ("Al I", 15788.79),
    ("Fe I", 15792.89),
    ("Fe I", 15822.46),
    ("Cr I", 15834.39),
    ("Si I", 15837.93),
    ("Co I", 15884.40),
)


def synthesisers(threads: int = 1) -> tuple[Synthesiser, Synthesiser]:
    """With all lines and more blur; with ten lines missing."""
    window = Spectrograph.window(15_720.0, 15_920.0, 22_500.0)
    lines = Synthesiser(window).lines
    gone = np.zeros(len(lines), dtype=bool)
    for species, wavelength in MISSING:
        gone |= (lines.species == species) & (np.abs(10 * lines.wavelength_nm - wavelength) < 0.05)
    assert gone.sum() == len(MISSING)
    complete = Synthesiser(window, World(macroturbulence=5.0), threads=threads)
    return complete, Synthesiser(window, World(), lines=lines.take(~gone), threads=threads)


def giants(model: Synthesiser, n: int, seed: int) -> SpectrumSet:
    return simulate_clusters(0, 1, n, seed, compositions="galactic", model=model)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stars", type=int, default=4000, help="of each domain")
    parser.add_argument("--test", type=int, default=500)
    parser.add_argument("--snr", type=float, default=100.0)
    parser.add_argument("--epochs", type=int, default=CycleStarNetConfig().epochs)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--set", nargs="*", default=[], metavar="NAME=NUMBER", help="settings")
    args = parser.parse_args()
    given = dict(pair.split("=") for pair in args.set)
    settings = {k: float(v) if "." in v else int(v) for k, v in given.items()}

    complete, lacking = synthesisers()
    clean = giants(complete, args.stars, 10 * args.seed + 1)
    observed = with_noise(with_continuum_tilt(clean, 0.01, seed=7), args.snr, seed=8)
    synthetic = giants(lacking, args.stars, 10 * args.seed + 2)
    truth, before = (giants(m, args.test, 10 * args.seed + 3) for m in (complete, lacking))

    start = time.perf_counter()
    config = CycleStarNetConfig.from_dict({"epochs": args.epochs, **settings})
    model = CycleStarNet(config, threads=1).fit(observed, synthetic=synthetic, seed=args.seed)
    seconds = time.perf_counter() - start
    after = model.to_observed(before)

    wavelength = observed.grid.wavelength  # type: ignore[attr-defined]
    lines = [wavelength_of for _, wavelength_of in MISSING]
    table = line_recovery(wavelength, before.values, after.values, truth.values, lines)
    print(f"{args.stars:,} stars a domain, {observed.n_pixels} pixels, S/N {args.snr:g}, "
          f"{args.epochs} epochs in {seconds:.0f} s, seed {args.seed} {settings or ''}\n"
    )  # fmt: skip
    print("| line | missing [mÅ] | recovered | r | rms before | constant | after |")
    print("|---|---|---|---|---|---|---|")
    for (species, _), row in zip(MISSING, table, strict=True):
        print(f"| {species} {row['line']:.2f} | {1000 * row['width']:.0f} | {row['recovered']:.2f} "
              f"| {row['correlation']:.2f} | {row['rms_before']:.4f} | {row['rms_constant']:.4f} "
              f"| {row['rms_after']:.4f} |")  # fmt: skip
    square = [np.sqrt(np.mean(table[f"rms_{k}"] ** 2)) for k in ("before", "constant", "after")]
    print(f"| all ten | | | {np.mean(table['correlation']):.2f} | "
          + " | ".join(f"{value:.4f}" for value in square) + " |\n")  # fmt: skip

    missing = truth.values - before.values
    residual = after.values - before.values
    left = [missing, missing - missing.mean(0), truth.values - after.values]
    rms = [float(np.sqrt(np.mean(x**2))) for x in left]
    correlation = np.corrcoef(residual.ravel(), missing.ravel())[0, 1]
    own = np.corrcoef((residual - residual.mean(0)).ravel(), (missing - missing.mean(0)).ravel())
    print("| all pixels | |")
    print("|---|---|")
    print(f"| rms before, constant, after | {rms[0]:.4f}, {rms[1]:.4f}, {rms[2]:.4f} |")
    print(f"| r of added and missing | {correlation:.3f} |")
    print(f"| the same about the mean star | {own[0, 1]:.3f} |")
    back = model.to_synthetic(with_noise(truth, args.snr, seed=9))
    rms_back = np.sqrt(np.mean((back.values - before.values) ** 2))
    print(f"| rms of noisy observed → synthetic | {rms_back:.4f} |")
    print(
        f"| r of slope of the continuum and split latents | {_tilt(model, observed, clean):.2f} |"
    )
    few = np.arange(min(args.stars, 1500))
    scores = [
        axes.scores(model.inputs.prepare(spectra), few).numpy()
        for axes, spectra in (
            (model._axes.observed, observed),
            (model._axes.observed, synthetic),
        )
    ]
    raw = domain_accuracy(*scores)
    accuracy = domain_accuracy(
        model.encode(observed[few]).mean, model.encode_synthetic(synthetic[few])
    )
    for name, value in (("principal components", raw), ("shared latents", accuracy)):
        print(f"| domain told from {name} (linear, trees) | {value['linear']:.3f}, "
              f"{value['trees']:.3f} |")  # fmt: skip


def _tilt(model: CycleStarNet, observed: SpectrumSet, clean: SpectrumSet) -> float:
    """Multiple correlation of the slope that the continuum was given with the split latents."""
    split = model.split(observed)
    if not split.shape[1]:
        return float("nan")
    ratio = observed.values / clean.values
    slope = ratio @ np.linspace(-1, 1, observed.n_pixels)
    design = np.column_stack([np.ones(len(split)), split])
    fitted = design @ np.linalg.lstsq(design, slope, rcond=None)[0]
    return float(np.corrcoef(fitted, slope)[0, 1])


if __name__ == "__main__":
    main()
