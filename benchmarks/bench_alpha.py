"""Do XP latents know [α/M]? Three tests on simulated bright stars, α in the spectra and not.

*Natural.* The two sequences of the simulated Galaxy at −0.8 < [M/H] < −0.1, where both are
common, classified from latents and from labels. The labels to beat are the *true* ones; those
of a catalogue, with their errors, are easier opponents and stand beside.

*Matched.* Pairs of the same stars, equal in Teff, log g, [M/H] and BP − RP, one of either
sequence, thinned until their label differences point either way (``balance_pairs``).

*Coin.* Two surveys hold the same stars, with their α in the spectra and without. A coin decides
of which one each α-rich star is taken. No label whatever goes with the coin. The control takes
both sides from the survey without α.

Every test runs on a model that was trained, label-free, on the survey with α, and on one that
was trained on the survey without. A run that was stopped goes on where it stood.

    python benchmarks/bench_alpha.py --out alpha
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np

from starkin.io import read, write_spectra
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
from starkin.latent.classification import Classification, cross_validate, feature_matrix
from starkin.models import ScatterVAE, ScatterVAEConfig
from starkin.simulate import simulate_survey
from starkin.spectra import SpectrumSet, Split, assign_splits, normalise

LABELS = ("teff", "logg", "m_h")
SIGNAL = {True: "on", False: "off"}


def true_labels(spectra: SpectrumSet) -> dict[str, np.ndarray]:
    return {k: spectra.label(f"true_{k}") for k in LABELS}


def surveys(given: argparse.Namespace) -> dict[bool, SpectrumSet]:
    """The same single stars twice; kept as files, since they take minutes."""
    found = {}
    for signal, name in SIGNAL.items():
        path = given.out / f"alpha_{name}.parquet"
        if not path.exists():
            spectra = simulate_survey(
                given.n,
                seed=given.survey_seed,
                alpha_signal=signal,
                g_faint=given.faintest,
                fractions={"binary": 0.0},
                track_scatter=0.01,
                threads=given.threads,
            )
            write_spectra(spectra, path)
        found[signal] = read(path)
    return found


class Contest:
    """The stars of the tests of one survey, and what labels and coefficients make of them."""

    def __init__(self, test: SpectrumSet, off: SpectrumSet, seed: int) -> None:
        labels = true_labels(test)
        use = (labels["m_h"] > -0.8) & (labels["m_h"] < -0.1)
        use &= (labels["teff"] > 3800) & (labels["teff"] < 6800)
        self.stars, self.seed = test[use], seed
        labels = true_labels(self.stars)
        colours = {"bp_rp": self.stars.label("bp_rp")}
        self.rich = high_alpha(labels["m_h"], self.stars.label("true_alpha_m"))
        self.giant = labels["logg"] < 3.5
        self.baselines = alpha_baselines(
            labels, colours, self.rich, coefficients=normalise(self.stars).values
        )
        catalogue = {k: self.stars.label(k) for k in LABELS} | colours
        self.baselines["catalogue labels + colours"] = cross_validate(
            feature_matrix(catalogue), self.rich, name="catalogue labels + colours"
        )
        matched = labels | colours
        self.pairs = balance_pairs(matched, match_pairs(matched, self.rich), seed=seed)
        self.control = matched_test({"true labels": feature_matrix(matched)}, self.pairs)[0]
        # The coin.
        chosen = use & (test.label("true_alpha_m") > 0.15)
        rows = np.flatnonzero(chosen)
        heads = np.random.default_rng(seed).permuted(np.arange(len(rows)) % 2).astype(bool)
        self.coin = np.repeat([True, False], [heads.sum(), (~heads).sum()])
        self.mixed = SpectrumSet.concatenate([test[rows[heads]], off[rows[~heads]]])
        colours = {"bp_rp": self.mixed.label("bp_rp")}
        self.coin_baselines = alpha_baselines(
            true_labels(self.mixed), colours, self.coin, coefficients=normalise(self.mixed).values
        )

    def natural(self, model: ScatterVAE) -> dict[str, Any]:
        z = latent_features(model.encode(self.stars))
        found = alpha_test(z, self.rich, self.baselines)
        pairs = matched_test({"latents": z}, self.pairs)[0]
        return {
            "all": found.to_dict(),
            "giants": part(found, self.giant),
            "dwarfs": part(found, ~self.giant),
            "pairs": [pairs.to_dict(), self.control.to_dict()],
        }

    def randomised(self, model: ScatterVAE) -> dict[str, Any]:
        z = latent_features(model.encode(self.mixed))
        return alpha_test(z, self.coin, self.coin_baselines).to_dict()


def part(found: AlphaTest, rows: np.ndarray) -> dict[str, Any]:
    """The same classifiers judged on some of the stars."""
    some: dict[str, Classification] = {k: c.of(rows) for k, c in found.classifications.items()}
    return AlphaTest(some, found.subject, found.label_only).to_dict()


# --- tables -----------------------------------------------------------------------------
def interval(found: dict[str, Any]) -> str:
    return f"{found['value']:.3f} ({found['low']:.3f}–{found['high']:.3f})"


def markdown(results: dict[str, Any]) -> str:
    """One column a survey and model seed, one row a classifier of each test."""
    runs = list(results)
    lines = []

    def table(title: str, rows: dict[str, list[str]]) -> None:
        lines.extend(["", f"**{title}**", "", "| given | " + " | ".join(runs) + " |"])
        lines.append("|---|" + "---|" * len(runs))
        lines.extend(f"| {name} | " + " | ".join(cells) + " |" for name, cells in rows.items())

    def contest(title: str, of: list[dict[str, Any]]) -> None:
        names = [c["name"] for c in of[0]["classifiers"]]
        rows = {
            name: [interval(test["classifiers"][i]["balanced_accuracy"]) for test in of]
            for i, name in enumerate(names)
        }
        rows["latents beat every label-only one"] = [
            "yes" if test["beats_labels"] else "no" for test in of
        ]
        n = [int(np.sum(test["classifiers"][0]["confusion"])) for test in of]
        table(f"{title}: balanced accuracy, {max(n)} stars", rows)

    for kind in ("all", "giants", "dwarfs"):
        contest(f"Natural, {kind}", [results[r]["natural"][kind] for r in runs])
    pairs = [results[r]["natural"]["pairs"] for r in runs]
    table(
        f"Matched pairs: share told right, {pairs[0][0]['n']} pairs with α, "
        f"{pairs[-1][0]['n']} without",
        {
            name: [f"{interval(p[i])}, p = {p[i]['p_value']:.1g}" for p in pairs]
            for i, name in enumerate(("latents", "true labels + colours"))
        },
    )
    contest("Coin", [results[r]["coin"] for r in runs])
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=20_000, help="stars of each survey")
    parser.add_argument("--survey-seed", type=int, default=1)
    parser.add_argument("--faintest", type=float, default=14.0, help="G of the faintest star")
    parser.add_argument("--n-latent", type=int, default=6)
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--seeds", type=int, default=2, help="models trained on each survey")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("alpha"))
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    kept = given.out / f"alpha_{given.n_latent}.json"
    results: dict[str, Any] = json.loads(kept.read_text()) if kept.exists() else {}
    both = surveys(given)
    parts = assign_splits(both[True].source_id, Split(0.4, 0.05))
    off = both[False][parts["test"]]
    for signal, survey in both.items():
        names = {seed: f"α {SIGNAL[signal]}, seed {seed}" for seed in range(1, given.seeds + 1)}
        if all(name in results for name in names.values()):
            continue
        contest = Contest(survey[parts["test"]], off, given.survey_seed)
        for seed, name in names.items():
            if name in results:
                continue
            start = time.perf_counter()
            config = ScatterVAEConfig(n_latent=given.n_latent, epochs=given.epochs)
            model = ScatterVAE(config, threads=given.threads)
            model.fit(survey[parts["train"]], survey[parts["validation"]], seed=seed)
            trained = time.perf_counter() - start
            results[name] = {
                "natural": contest.natural(model),
                "coin": contest.randomised(model),
                "validation": model.card["metrics"]["validation"],
                "seconds": trained,
            }
            kept.write_text(json.dumps(results, indent=1))
            print(f"{name}: trained in {trained:.0f} s", flush=True)
    print(markdown(results))


if __name__ == "__main__":
    main()
