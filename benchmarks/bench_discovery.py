"""Hidden populations of a simulated CEMP-like sample: ours beside three other ways.

    python benchmarks/bench_discovery.py [--n 60000] [--seeds 2] [--quick]

One sample of known classes (``simulate_survey(preset="cemp")``), four latent spaces of
the same size, and for each the same sweep of HDBSCAN settings, criterion and tests:

    starkin            scatter VAE, our recipe
    published          scatter VAE as published (laroche-speagle), ``--published-epochs``
    pca                principal components of the standardised coefficients
    umap               UMAP of the same (left out where umap-learn is not installed)

Reported: ARI over the stars that are in a population and over all (noise is one more
class); recall of each class in the one population that stands for it; AUROC of the outlier
score for the class "unknown"; ARI under resampling and between model seeds; populations
found in latents of a single-population survey; noise fraction; wall times.

A classification of the same latents that is told the classes (nearest neighbours, half
to train and half to test) gives the ceiling: what no clustering could exceed.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.decomposition import PCA
from sklearn.neighbors import KNeighborsClassifier

from starkin.io.latents import Latents
from starkin.latent.clusters import FinderSettings, PopulationFinder
from starkin.latent.metrics import adjusted_rand, class_recovery, purity
from starkin.latent.null import null_test
from starkin.latent.outliers import auroc, combined_score, isolation
from starkin.latent.stability import seed_stability
from starkin.models.preprocessing import Preprocessing
from starkin.models.scatter_vae import ScatterVAE, ScatterVAEConfig
from starkin.simulate.survey import simulate_survey
from starkin.spectra import SpectrumSet, columns

N_LATENT = 6


@dataclass
class Space:
    """Latents of the sample and of a single-population survey, from one method and seed."""

    sample: Latents
    single: Latents
    strangeness: np.ndarray | None  # the model's own outlier score, if it has one
    seconds: float
    card: dict[str, Any] = field(default_factory=dict)


def as_latents(spectra: SpectrumSet, mean: np.ndarray) -> Latents:
    return Latents(spectra.source_id, mean, np.zeros(mean.shape), columns=spectra.labels)


def features(preprocessing: Preprocessing, spectra: SpectrumSet) -> np.ndarray:
    """Standardised coefficients per unit of G flux, 0 where masked: what a network sees."""
    return preprocessing(spectra).x.numpy()


def scatter_vae(recipe: str, epochs: int | None, threads: int) -> Callable[..., Space]:
    def make(sample: SpectrumSet, single: SpectrumSet, seed: int) -> Space:
        start = time.perf_counter()
        config = ScatterVAEConfig(recipe=recipe, n_latent=N_LATENT, epochs=epochs)
        model = ScatterVAE(config, threads=threads).fit(sample, seed=seed)
        latents = model.encode(sample)
        seconds = time.perf_counter() - start
        strange = np.asarray(model.score(sample)[columns.OUTLIER_SCORE], dtype=np.float64)
        # A single population is learnt from itself, as a user would.
        alone = ScatterVAE(config, threads=threads).fit(single, seed=seed)
        return Space(latents, alone.encode(single), strange, seconds, {"epochs": config.epochs})

    return make


def pca(sample: SpectrumSet, single: SpectrumSet, seed: int) -> Space:
    start = time.perf_counter()
    x = features(Preprocessing.fit(sample), sample)
    model = PCA(N_LATENT, random_state=seed)
    mean = model.fit_transform(x)
    seconds = time.perf_counter() - start
    residual = ((x - model.inverse_transform(mean)) ** 2).mean(axis=1)
    alone = PCA(N_LATENT, random_state=seed).fit_transform(
        features(Preprocessing.fit(single), single)
    )
    return Space(as_latents(sample, mean), as_latents(single, alone), residual, seconds)


def umap_space(sample: SpectrumSet, single: SpectrumSet, seed: int) -> Space:
    import umap

    def embed(spectra: SpectrumSet) -> np.ndarray:
        x = features(Preprocessing.fit(spectra), spectra)
        # min_dist 0 is what UMAP's own guide advises before HDBSCAN.
        return umap.UMAP(n_components=N_LATENT, min_dist=0.0, random_state=seed).fit_transform(x)

    start = time.perf_counter()
    mean = embed(sample)
    seconds = time.perf_counter() - start
    return Space(as_latents(sample, mean), as_latents(single, embed(single)), None, seconds)


# --- what is measured -------------------------------------------------------------
def ceiling(latents: Latents, truth: np.ndarray, seed: int) -> dict[str, float]:
    """Recall of each class by a classifier that is told half of the classes."""
    rows = np.random.default_rng(seed).permutation(np.flatnonzero(latents.usable))
    train, test = rows[::2], rows[1::2]
    spread = np.maximum(latents.mean[rows].std(axis=0), 1e-12)
    known = KNeighborsClassifier(15).fit(latents.mean[train] / spread, truth[train])
    said = known.predict(latents.mean[test] / spread)
    return {
        str(name): float((said[truth[test] == name] == name).mean())
        for name in np.unique(truth[test])
    }


def measure(space: Space, truth: np.ndarray, seed: int, resamples: int) -> dict[str, Any]:
    finder = PopulationFinder(FinderSettings(seed=seed))
    start = time.perf_counter()
    found = finder.fit(space.sample)
    seconds = time.perf_counter() - start
    # A sample whose clusterings do not reproduce is reported as one population; this is
    # what the sweep would have given without that demand.
    free = PopulationFinder(FinderSettings(seed=seed, required_ari=0.0)).fit(space.sample)
    stable = finder.stability(found, n_resamples=resamples)
    alone = finder.fit(space.single)
    null = null_test(space.sample, found, n_surrogates=9, seed=seed)
    isolated = isolation(space.sample, seed=seed)
    scores = {"isolation": isolated}
    if space.strangeness is not None:
        scores |= {
            "model": space.strangeness,
            "combined": combined_score(isolated, space.strangeness),
        }
    unknown = truth == "unknown"
    return {
        "ari": adjusted_rand(truth[found.labels >= 0], found.labels[found.labels >= 0]),
        "ari_all": adjusted_rand(truth, found.labels),
        "ari_no_demand": adjusted_rand(truth, free.labels),
        "n_populations_no_demand": free.n_populations,
        "purity": purity(truth, found.labels),
        "classes": [c.to_dict() for c in class_recovery(truth, found.labels)],
        "ceiling": ceiling(space.sample, truth, seed),
        "auroc": {name: auroc(score, unknown) for name, score in scores.items()},
        "noise_fraction": found.noise_fraction,
        "n_populations": found.n_populations,
        "sizes": found.sizes.tolist(),
        "chosen": found.chosen,
        "sweep": found.sweep,
        "stability": stable.to_dict(),
        "single_population": {
            "n_populations": alone.n_populations,
            "sweep": [row["n_populations"] for row in alone.sweep],
        },
        "null": null.to_dict(),
        "seconds_latents": space.seconds,
        "seconds_clusters": seconds,
        "card": space.card,
        "labels": found.labels,
    }


def run(arguments: argparse.Namespace, report: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    """All methods one after the other; ``report`` is given what stands after each."""
    start = time.perf_counter()
    sample = simulate_survey(arguments.n, seed=arguments.seed, preset="cemp")
    single = simulate_survey(
        max(2000, arguments.n // 6), seed=arguments.seed + 1, single_population=True
    )
    truth = np.asarray(sample.labels[columns.CLASS_NAME]).astype(str)
    seconds = time.perf_counter() - start
    makers: dict[str, Callable[..., Space]] = {
        "starkin": scatter_vae("starkin", arguments.epochs, arguments.threads),
        "published": scatter_vae("laroche-speagle", arguments.published_epochs, arguments.threads),
        "pca": pca,
        "umap": umap_space,
    }
    results: dict[str, Any] = {}
    result = {
        "n_stars": len(sample),
        "classes": {str(k): int((truth == k).sum()) for k in np.unique(truth)},
        "seconds_simulation": seconds,
        "machine": {"processor": platform.processor(), "cores": os.cpu_count()},
        "arguments": vars(arguments),
        "methods": results,
    }
    for name in arguments.methods:
        rows = []
        # Principal components do not depend on a seed.
        for seed in range(1 if name == "pca" else arguments.seeds):
            try:
                space = makers[name](sample, single, seed)
            except ImportError as error:
                print(f"{name}: left out ({error})", flush=True)
                break
            rows.append(measure(space, truth, seed, arguments.resamples))
            summary = {k: rows[-1][k] for k in ("ari", "ari_all", "n_populations", "auroc")}
            print(f"{name}, seed {seed}: {summary}", flush=True)
        if not rows:
            continue
        labelings = [row.pop("labels") for row in rows]
        results[name] = {"runs": rows}
        if len(labelings) > 1:
            results[name]["seeds"] = seed_stability(labelings).to_dict()
        report(result)
    return result


# --- the table ----------------------------------------------------------------------
def markdown(result: dict[str, Any]) -> str:
    methods = result["methods"]
    lines = [
        f"{result['n_stars']} stars; means over model seeds.",
        "",
        "| | " + " | ".join(methods) + " |",
        "|---|" + "---|" * len(methods),
    ]

    def row(title: str, value: Callable[[dict[str, Any]], float], form: str = "{:.3f}") -> None:
        cells = [form.format(np.mean([value(r) for r in m["runs"]])) for m in methods.values()]
        lines.append(f"| {title} | " + " | ".join(cells) + " |")

    row("ARI, stars in a population", lambda r: r["ari"])
    row("ARI, all stars", lambda r: r["ari_all"])
    row("ARI, all stars, no demand of stability", lambda r: r["ari_no_demand"])
    row("purity", lambda r: r["purity"])
    row("populations", lambda r: r["n_populations"], "{:.1f}")
    row("populations, no demand of stability", lambda r: r["n_populations_no_demand"], "{:.1f}")
    row("noise fraction", lambda r: r["noise_fraction"])
    row("ARI under resampling", lambda r: r["stability"]["ari_mean"])
    row("ARI under resampling, noise included", lambda r: r["stability"]["ari_all_mean"])
    cells = [f"{m['seeds']['ari_mean']:.3f}" if "seeds" in m else "" for m in methods.values()]
    lines.append("| ARI between model seeds | " + " | ".join(cells) + " |")
    row(
        "populations in a single-population survey",
        lambda r: r["single_population"]["n_populations"],
        "{:.1f}",
    )
    row("AUROC of unknown, isolation", lambda r: r["auroc"]["isolation"])
    for name in ("model", "combined"):
        row(f"AUROC of unknown, {name}", lambda r, name=name: r["auroc"].get(name, np.nan))
    total = result["n_stars"]
    for name, size in sorted(result["classes"].items(), key=lambda item: -item[1]):
        row(
            f"recall of {name} ({100 * size / total:.1f} %)",
            lambda r, name=name: next(c["recall"] for c in r["classes"] if c["name"] == name),
        )
    for name in sorted(result["classes"], key=result["classes"].get, reverse=True):
        row(f"ceiling of {name}", lambda r, name=name: r["ceiling"].get(name, np.nan))
    row("latents [s]", lambda r: r["seconds_latents"], "{:.0f}")
    row("clustering with its sweep [s]", lambda r: r["seconds_clusters"], "{:.0f}")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n", type=int, default=60_000)
    parser.add_argument("--seed", type=int, default=0, help="of the simulated sample")
    parser.add_argument("--seeds", type=int, default=2, help="models trained a method")
    parser.add_argument("--epochs", type=int, default=None, help="of our recipe")
    parser.add_argument("--published-epochs", type=int, default=100)
    parser.add_argument("--resamples", type=int, default=20)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--methods", nargs="+", default=["starkin", "published", "pca", "umap"])
    parser.add_argument("--quick", action="store_true", help="a small smoke run")
    parser.add_argument("--out", type=Path, default=Path("bench-out"))
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.n, arguments.seeds, arguments.resamples = min(arguments.n, 4000), 1, 3
        arguments.epochs = arguments.epochs or 5
        arguments.published_epochs = min(arguments.published_epochs, 5)
        arguments.methods = [m for m in arguments.methods if m != "umap"]
    arguments.out.mkdir(parents=True, exist_ok=True)

    def report(result: dict[str, Any]) -> None:
        """What stands is kept: the whole comparison takes an hour on one core."""
        text = json.dumps(result, indent=1, default=str) + "\n"
        (arguments.out / "discovery.json").write_text(text)
        (arguments.out / "discovery.md").write_text(markdown(result) + "\n")

    print(markdown(run(arguments, report)))


if __name__ == "__main__":
    main()
