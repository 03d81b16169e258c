"""Do XP latents know [α/M]? The α test with the signal in the spectra and without it.

Two simulated surveys differ in one thing: whether [α/M] shapes the spectra. A scatter VAE
is trained on each, and judged on stars it has not seen. With the signal, latents must beat
every classifier that knows labels only, and tell label-matched pairs apart; without it,
they must do neither.

    python benchmarks/bench_alpha.py --n 12000 --out alpha
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np

from starkin.latent.bimodality import (
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

CLASSES = {"binary": 0.0}  # single ordinary stars: the question is α, not rare classes


def sample(spectra: SpectrumSet) -> tuple[np.ndarray, dict[str, np.ndarray], np.ndarray]:
    """Rows of the disc where both sequences live, their true labels, and their sequence."""
    known = {k: spectra.label(f"true_{k}") for k in ("teff", "logg", "m_h", "alpha_m")}
    use = (known["m_h"] > -0.8) & (known["m_h"] < 0.0)
    use &= (known["teff"] > 3800) & (known["teff"] < 6800)
    rows = np.flatnonzero(use)
    labels = {k: v[rows] for k, v in known.items()}
    return rows, labels, high_alpha(labels["m_h"], labels.pop("alpha_m"))


def run(n: int, signal: bool, seed: int, epochs: int, faintest: float) -> dict:
    start = time.perf_counter()
    spectra = simulate_survey(
        n, seed=seed, alpha_signal=signal, g_faint=faintest, fractions=CLASSES, threads=1
    )
    parts = assign_splits(spectra.source_id, Split(0.45, 0.05))
    model = ScatterVAE(ScatterVAEConfig(epochs=epochs), threads=1)
    model.fit(spectra[parts["train"]], spectra[parts["validation"]], seed=seed)
    test = spectra[parts["test"]]
    rows, labels, rich = sample(test)
    test = test[rows]
    z = latent_features(model.encode(test))
    colours = {"bp_rp": test.label("bp_rp")}
    baselines = alpha_baselines(labels, colours, rich, coefficients=normalise(test).values)
    found = alpha_test(z, rich, baselines)
    catalogue = {name: test.label(name) for name in labels}
    stated = alpha_baselines(catalogue, colours, rich)
    matched = {**labels, **colours}
    pairs = balance_pairs(matched, match_pairs(matched, rich))
    within = matched_test({"latents": z, "labels": np.column_stack(list(matched.values()))}, pairs)
    return {
        "signal": signal,
        "n": len(rows),
        "high": float(rich.mean()),
        "test": found.to_dict(),
        "catalogue_labels": [c.to_dict() for c in stated.values()],
        "pairs": [p.to_dict() for p in within],
        "seconds": time.perf_counter() - start,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=12_000, help="stars of each survey")
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--faintest", type=float, default=14.0, help="G of the faintest star")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("alpha"))
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    for signal in (True, False):
        found = run(given.n, signal, given.seed, given.epochs, given.faintest)
        path = given.out / f"alpha-{'on' if signal else 'off'}.json"
        path.write_text(json.dumps(found, indent=1))
        print(f"\nα {'in' if signal else 'not in'} the spectra: {found['n']} stars, "
              f"{100 * found['high']:.0f} % high-α, {found['seconds']:.0f} s")  # fmt: skip
        print("| given | balanced accuracy | MCC | F1 |\n|---|---:|---:|---:|")
        rows = found["test"]["classifiers"] + [
            {**c, "name": f"{c['name']} (catalogue)"}
            for c in found["catalogue_labels"]
            if c["name"] != "majority class"
        ]
        for c in rows:
            cells = (
                f"{c[m]['value']:.3f} ({c[m]['low']:.3f}–{c[m]['high']:.3f})"
                for m in ("balanced_accuracy", "mcc", "f1")
            )
            print(f"| {c['name']} | " + " | ".join(cells) + " |")
        for p in found["pairs"]:
            print(f"matched pairs, {p['name']}: {p['value']:.3f} ({p['low']:.3f}–{p['high']:.3f}) "
                  f"of {p['n']}, p = {p['p_value']:.2g}")  # fmt: skip
        print("beats every label-only classifier:", found["test"]["beats_labels"], flush=True)


if __name__ == "__main__":
    main()
