"""What flaws of real spectra cost in twins found: label errors, lost pixels, continuum.

    python benchmarks/bench_robustness.py
    python benchmarks/bench_robustness.py model --pairs pairs/validation.parquet --snr 100

Prints a Markdown table: the share of stars whose true twin is the nearest of all others, by the
model's own metric (inductive) and by L2, and what each flaw costs in points; wanted are at most 5.
Without models a chemical model is trained on pairs that are simulated for it. A killed run goes on.

Flaws: labels off by 100 K and 0.2 dex, with the errors told (columns teff_error, logg_error) or
not; 20 % of the pixels masked in runs of five; a level and a slope of 2 % in each chip; sky
lines left over, 3 % (120 of them, which the errors do not know); all but the sky lines at once.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from starkin.io.registry import read
from starkin.models import ChemicalModel, SpectrumModel
from starkin.models.load import load_model
from starkin.simulate import (
    simulate_pairs,
    with_continuum_tilt,
    with_label_errors,
    with_masked_pixels,
    with_noise,
    with_sky_residuals,
)
from starkin.spectra import SpectrumSet
from starkin.survey.evaluate_twins import evaluate_twins
from starkin.survey.evaluation_settings import TwinEvaluation

Flaw = Callable[[SpectrumSet, int], SpectrumSet]


def _labels(spectra: SpectrumSet, seed: int) -> SpectrumSet:
    return with_label_errors(spectra, 100.0, 0.2, seed=seed)


def _labels_untold(spectra: SpectrumSet, seed: int) -> SpectrumSet:
    off = _labels(spectra, seed)
    return spectra.with_labels(teff=off.label("teff"), logg=off.label("logg"))


def _tilt(spectra: SpectrumSet, seed: int) -> SpectrumSet:
    return with_continuum_tilt(spectra, 0.02, seed=seed)


def _masked(spectra: SpectrumSet, seed: int) -> SpectrumSet:
    return with_masked_pixels(spectra, 0.2, seed=seed)


def _sky(spectra: SpectrumSet, seed: int) -> SpectrumSet:
    return with_sky_residuals(spectra, 0.03, seed=seed)


#: By name: flaws in the order in which nature and the telescope add them.
FLAWS: dict[str, tuple[Flaw, ...]] = {
    "none": (),
    "labels off by 100 K, 0.2 dex, told": (_labels,),
    "labels off by 100 K, 0.2 dex, not told": (_labels_untold,),
    "20 % of pixels masked": (_masked,),
    "2 % continuum tilt": (_tilt,),
    "labels (told), mask and tilt": (_labels, _tilt, _masked),
    "3 % sky residuals": (_sky,),
}


def observed(
    spectra: SpectrumSet, snr: float, seed: int, *, flaws: tuple[Flaw, ...]
) -> SpectrumSet:
    """Noiseless spectra with flaws and noise, all of them from one seed."""
    for k, flaw in enumerate(flaws):
        spectra = flaw(spectra, int(np.random.SeedSequence([seed, k]).generate_state(1)[0]))
    return with_noise(spectra, snr, seed)


def own_models(arguments: argparse.Namespace) -> tuple[dict[str, SpectrumModel], SpectrumSet]:
    """A chemical model trained on simulated giants, and others to judge it by."""
    known = arguments.out / "model"
    if not known.exists():
        train = simulate_pairs(arguments.train, 1, world=arguments.world)
        ChemicalModel(threads=1).fit(train, seed=0).save(known)
    judged = simulate_pairs(arguments.validation, 2, world=arguments.world)
    return {"chemical": load_model(known, threads=1)}, judged


def table(found: dict[str, dict[str, tuple[float, float]]]) -> str:
    """Shares by model and flaw, (own, L2), as Markdown with the cost of each flaw in points."""
    lines = [
        "| model | flaw | first, own [%] | cost | first, L2 [%] | cost |",
        "|---|---|---|---|---|---|",
    ]
    for model, shares in found.items():
        for flaw, share in shares.items():
            cells = []
            for value, whole in zip(share, shares["none"], strict=True):
                shown = np.isfinite(value)
                cells.append(f"{100 * value:.1f}" if shown else "–")
                cells.append(f"{100 * (whole - value):.1f}" if shown and flaw != "none" else "–")
            lines.append(f"| {model} | {flaw} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("models", nargs="*", type=Path, help="model folders; one is made if none")
    parser.add_argument("--pairs", type=Path, help="noiseless spectra of pairs")
    parser.add_argument("--snr", type=float, default=100.0)
    parser.add_argument("--stars", type=int, default=0, help="size of the pool; 0 for all")
    parser.add_argument("--train", type=int, default=4_000, help="pairs simulated to train on")
    parser.add_argument("--validation", type=int, default=2_000, help="pairs simulated to judge by")
    parser.add_argument("--world", default="standard")
    parser.add_argument("--flaws", nargs="*", default=list(FLAWS), help="some of the names below")
    parser.add_argument("--out", type=Path, default=Path("bench-out/robustness"))
    arguments = parser.parse_args()
    if bool(arguments.models) != bool(arguments.pairs):
        parser.error("models and --pairs go together")
    unknown = set(arguments.flaws) - set(FLAWS)
    if unknown:
        parser.error(f"unknown flaws {sorted(unknown)}; known are {list(FLAWS)}")
    if arguments.models:
        models: dict[str, SpectrumModel] = {
            path.name: load_model(path, threads=1) for path in arguments.models
        }
        spectra = read(arguments.pairs)
    else:
        models, spectra = own_models(arguments)
    # Leakage and swaps are not the question here: few stars for them.
    settings = TwinEvaluation(
        snr=(arguments.snr,),
        n_seeds=1,
        tracks=("inductive",),
        n_swapped=200,
        n_probed=500,
        max_stars=arguments.stars,
    )
    found: dict[str, dict[str, tuple[float, float]]] = {name: {} for name in models}
    for flaw in dict.fromkeys(["none", *arguments.flaws]):
        judged = evaluate_twins(
            models,
            spectra,
            arguments.out / f"flaw{list(FLAWS).index(flaw)}",
            settings,
            observe=partial(observed, flaws=FLAWS[flaw]),
        )
        for row in judged[np.asarray(judged["snr"]) == arguments.snr]:
            if row["model"] in found:
                found[row["model"]][flaw] = (float(row["own_first"]), float(row["l2_first"]))
        print(f"{flaw}: {[f'{100 * shares[flaw][0]:.1f} %' for shares in found.values()]}")
    print()
    print(table(found))


if __name__ == "__main__":
    main()
