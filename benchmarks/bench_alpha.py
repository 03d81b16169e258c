"""Do XP latents know [α/M]? Three tests on simulated surveys, with α in the spectra and without.

*Natural.* The two sequences of a simulated Galaxy, classified from latents and from true
labels. There [M/H], age and place tell the sequences apart almost by themselves, as they do
in the real one: a hard contest for latents, and one that correlates can win.

*Matched.* Pairs of the same survey, equal in all labels, one star of either sequence.

*Randomised.* The decisive test: two surveys hold the same stars, with their α in the spectra
and without. A coin decides of which one each α-rich star is taken. No label whatever goes
with the coin, so that only a spectrum can tell how it fell. The control takes both sides
from the survey without α.

    python benchmarks/bench_alpha.py --n 12000 --out alpha
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np

from starkin.latent.bimodality import (
    AlphaTest,
    alpha_baselines,
    alpha_test,
    balance_pairs,
    high_alpha,
    latent_features,
    match_pairs,
    matched_test,
)
from starkin.models import ScatterVAE, ScatterVAEConfig
from starkin.simulate import simulate_survey
from starkin.spectra import SpectrumSet, Split, assign_splits, normalise

ORDINARY = {"binary": 0.0}  # single stars: the question is α, not rare classes


def true_labels(spectra: SpectrumSet) -> dict[str, np.ndarray]:
    return {k: spectra.label(f"true_{k}") for k in ("teff", "logg", "m_h")}


def contest(model: ScatterVAE, spectra: SpectrumSet, truth: np.ndarray) -> AlphaTest:
    """Latents against labels and colours, and against the coefficients themselves."""
    colours = {"bp_rp": spectra.label("bp_rp")}
    baselines = alpha_baselines(
        true_labels(spectra), colours, truth, coefficients=normalise(spectra).values
    )
    return alpha_test(latent_features(model.encode(spectra)), truth, baselines)


def natural(model: ScatterVAE, test: SpectrumSet) -> dict:
    labels = true_labels(test)
    use = (labels["m_h"] > -0.8) & (labels["m_h"] < 0.0)
    use &= (labels["teff"] > 3800) & (labels["teff"] < 6800)
    test = test[use]
    labels = {**true_labels(test), "bp_rp": test.label("bp_rp")}
    rich = high_alpha(labels["m_h"], test.label("true_alpha_m"))
    found = contest(model, test, rich).to_dict()
    pairs = balance_pairs(labels, match_pairs(labels, rich))
    if len(pairs) >= 40:
        z = latent_features(model.encode(test))
        control = np.column_stack(list(labels.values()))
        tests = matched_test({"latents": z, "labels": control}, pairs)
        found["pairs"] = [t.to_dict() for t in tests]
    return found


def randomised(model: ScatterVAE, on: SpectrumSet, off: SpectrumSet, seed: int) -> dict:
    """The coin: heads, the star's spectrum with its α; tails, without."""
    labels = true_labels(on)
    use = (on.label("true_alpha_m") > 0.15) & (labels["teff"] < 6800) & (labels["m_h"] > -1.2)
    rows = np.flatnonzero(use)
    heads = np.random.default_rng(seed).uniform(size=len(rows)) < 0.5
    mixed = SpectrumSet.concatenate([on[rows[heads]], off[rows[~heads]]])
    truth = np.repeat([True, False], [heads.sum(), (~heads).sum()])
    return contest(model, mixed, truth).to_dict()


def show(title: str, found: dict) -> None:
    n = int(np.sum(found["classifiers"][0]["confusion"]))
    print(f"\n{title}: {n} stars\n")
    print("| given | balanced accuracy | MCC | F1 |\n|---|---:|---:|---:|")
    for c in found["classifiers"]:
        cells = (
            f"{c[m]['value']:.3f} ({c[m]['low']:.3f}–{c[m]['high']:.3f})"
            for m in ("balanced_accuracy", "mcc", "f1")
        )
        print(f"| {c['name']} | " + " | ".join(cells) + " |")
    for p in found.get("pairs", []):
        print(
            f"matched pairs, {p['name']}: {p['value']:.3f} ({p['low']:.3f}–{p['high']:.3f}) "
            f"of {p['n']}, p = {p['p_value']:.2g}"
        )
    print("beats every label-only classifier:", found["beats_labels"], flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=12_000, help="stars of each survey")
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--faintest", type=float, default=15.0, help="G of the faintest star")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("alpha"))
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    start = time.perf_counter()
    surveys = {
        signal: simulate_survey(
            given.n,
            seed=given.seed,
            alpha_signal=signal,
            g_faint=given.faintest,
            fractions=ORDINARY,
            threads=1,
        )
        for signal in (True, False)
    }
    parts = assign_splits(surveys[True].source_id, Split(0.45, 0.05))
    results = {}
    for signal, survey in surveys.items():
        model = ScatterVAE(ScatterVAEConfig(epochs=given.epochs), threads=1)
        model.fit(survey[parts["train"]], survey[parts["validation"]], seed=given.seed)
        test, off = survey[parts["test"]], surveys[False][parts["test"]]
        name = "α in the spectra" if signal else "α not in the spectra"
        results[f"randomised, {name}"] = randomised(model, test, off, given.seed)
        show(f"Randomised, {name}", results[f"randomised, {name}"])
        results[f"natural, {name}"] = natural(model, test)
        show(f"Natural, {name}", results[f"natural, {name}"])
    (given.out / "alpha.json").write_text(json.dumps(results, indent=1))
    print(f"{time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
