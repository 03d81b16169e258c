"""Learning curves of the published scatter VAE and of ours on the same data.

    python benchmarks/bench_learning_curves.py [--n 20000] [--seeds 3] [--real FILE] [--quick]

Data: the simulated survey and, with ``--real`` (any file that starkin reads), real XP
spectra. Both recipes see the same training part and the same validation part, have six
latents and are judged by the same two numbers on the validation part: the −ELBO in nats
per star without the 2π constant (as published), and log p(x) by importance sampling.
Wall time counts from the call of ``fit`` on spectra per unit of G flux: standardising and
the closed-form start are in. Epoch 0 is the loss before the first step.

Writes ``bench-out/learning_curves.json``, ``.md`` and one ``.png`` for each data set.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

import matplotlib as mpl
import numpy as np
import torch

mpl.use("Agg")
import matplotlib.pyplot as plt

from starkin.io import read
from starkin.models import Preprocessing, ScatterVAE, ScatterVAEConfig
from starkin.simulate import simulate_survey
from starkin.spectra import SpectrumSet

OUT = Path("bench-out")
LABELS = {"laroche-speagle": "published", "starkin": "starkin"}
COLOURS = {"laroche-speagle": "0.45", "starkin": "tab:blue"}


@dataclass
class Curve:
    """One training run."""

    recipe: str
    seed: int
    epochs: list[float] = field(default_factory=list)
    validation: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    log_likelihood: float = float("nan")
    active_units: int = 0

    @property
    def best(self) -> float:
        return min(self.validation)

    def time_to(self, loss: float) -> float:
        """Seconds until the validation loss is at most ``loss``; NaN if it never is."""
        reached = [s for v, s in zip(self.validation, self.seconds, strict=True) if v <= loss]
        return reached[0] if reached else float("nan")


def run(
    recipe: str, epochs: int, train: SpectrumSet, validation: SpectrumSet, seed: int, threads: int
) -> Curve:
    model = ScatterVAE(ScatterVAEConfig(recipe=recipe, epochs=epochs), threads=threads)
    started, seconds = time.perf_counter(), []
    model.fit(
        train,
        validation,
        seed=seed,
        progress=lambda *_: seconds.append(time.perf_counter() - started),
    )
    card = model.card
    history = card["history"]
    early = history["early"].get("validation", [])
    later = history["validation"]
    within = np.arange(1, len(early) + 1) / (len(early) + 1)
    return Curve(
        recipe,
        seed,
        [0.0, *within.tolist(), *range(1, len(later) + 1)],
        [history["start"], *early, *later],
        seconds,
        card["metrics"]["log_likelihood"],
        card["metrics"]["active_units"],
    )


def compare(name: str, spectra: SpectrumSet, args: argparse.Namespace) -> list[dict[str, object]]:
    """Train both recipes on every seed, draw the curves, return one row a seed."""
    spectra = Preprocessing.normalise(spectra)
    for recipe in LABELS:  # what torch sets up on first use is nobody's training time
        ScatterVAE(ScatterVAEConfig(recipe=recipe, epochs=1), threads=args.threads).fit(
            spectra[:200]
        )
    curves: list[Curve] = []
    for seed in range(args.seeds):
        order = np.random.default_rng(seed).permutation(len(spectra))
        n_validation = len(spectra) // 10
        validation, train = spectra[order[:n_validation]], spectra[order[n_validation:]]
        for recipe, epochs in (
            ("laroche-speagle", args.published_epochs),
            ("starkin", args.epochs),
        ):
            curves.append(run(recipe, epochs, train, validation, seed, args.threads))
            print(f"{name}: {recipe}, seed {seed}, best {curves[-1].best:.2f} nat/star", flush=True)
    draw(name, curves)
    rows = []
    for seed in range(args.seeds):
        published, ours = (
            next(c for c in curves if c.recipe == r and c.seed == seed) for r in LABELS
        )
        target, wall = published.validation[-1], published.seconds[-1]
        rows.append(
            {
                "data": name,
                "stars": len(spectra),
                "seed": seed,
                "published loss": target,
                "published seconds": wall,
                "our seconds to it": ours.time_to(target),
                "ratio": wall / ours.time_to(target),
                "our best loss": ours.best,
                "our seconds": ours.seconds[-1],
                "published log p": published.log_likelihood,
                "our log p": ours.log_likelihood,
                "published active": published.active_units,
                "our active": ours.active_units,
                "curves": [asdict(published), asdict(ours)],
            }
        )
    return rows


def draw(name: str, curves: list[Curve]) -> None:
    figure, axes = plt.subplots(1, 2, figsize=(10, 4), sharey=True, layout="constrained")
    for curve in curves:
        label = LABELS[curve.recipe] if curve.seed == 0 else None
        style = {"color": COLOURS[curve.recipe], "lw": 1.2, "label": label}
        axes[0].plot(curve.epochs, curve.validation, **style)
        axes[1].plot(curve.seconds, curve.validation, **style)
    axes[0].set(xlabel="epoch", ylabel="validation −ELBO [nat per star]")
    axes[0].set_xscale("symlog", linthresh=1)
    axes[1].set(xlabel="wall time [s]", xscale="log")
    axes[0].legend(frameon=False)
    figure.suptitle(name)
    figure.savefig(OUT / f"learning_curves_{name.replace(' ', '_')}.png", dpi=150)
    plt.close(figure)


def markdown(rows: list[dict[str, object]], epochs: int) -> str:
    lines = [
        f"| data | stars | seed | published, epoch {epochs} [nat] | its time [s] "
        "| ours is there after [s] | ratio | our best [nat] | our time [s] "
        "| log p(x) published / ours | active of 6, published / ours |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for r in rows:
        lines.append(
            f"| {r['data']} | {r['stars']:,} | {r['seed']} | {r['published loss']:.2f} "
            f"| {r['published seconds']:.1f} | {r['our seconds to it']:.2f} | {r['ratio']:.0f} "
            f"| {r['our best loss']:.2f} | {r['our seconds']:.1f} "
            f"| {r['published log p']:.2f} / {r['our log p']:.2f} "
            f"| {r['published active']} / {r['our active']} |"
        )
    return "\n".join(lines) + "\n"


def default_real() -> Path | None:
    named = os.environ.get("STARKIN_SHARED_DATA", "../shared/data")
    path = Path(named) / "gaia_xp" / "xp_continuous_1400_wide.fits"
    return path if path.exists() else None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n", type=int, default=20_000, help="simulated stars")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=60, help="of our recipe")
    parser.add_argument("--published-epochs", type=int, default=100)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--real", type=Path, default=default_real(), help="a file of XP spectra")
    parser.add_argument("--quick", action="store_true", help="a small smoke run")
    args = parser.parse_args()
    if args.quick:
        args.n, args.seeds, args.epochs, args.published_epochs = 1000, 1, 4, 4
    OUT.mkdir(exist_ok=True)
    rows: list[dict[str, object]] = []
    if args.real is not None:
        rows += compare("real sample", read(args.real), args)
    rows += compare("simulated survey", simulate_survey(args.n, seed=0), args)
    table = markdown(rows, args.published_epochs)
    result = {
        "threads": args.threads,
        "machine": platform.processor() or platform.machine(),
        "torch": torch.__version__,
        "rows": rows,
    }
    (OUT / "learning_curves.json").write_text(json.dumps(result, indent=1))
    (OUT / "learning_curves.md").write_text(table)
    print(table)


if __name__ == "__main__":
    main()
