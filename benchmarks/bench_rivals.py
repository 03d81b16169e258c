"""Every rival on data whose answer is known: what was put in, and what came out.

    python benchmarks/bench_rivals.py
    python benchmarks/bench_rivals.py --only cannon payne

The worlds are those of the tests, which ask for the same at lower cost and with wide margins. The
last column says what a sound model gives. The table is Markdown; times are of one core.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.models.rivals import test_cannon, test_payne
from tests.models.worlds import dust_curve, linear_spectra, stellar_spectra

from starkin.io import Latents
from starkin.latent.phylogeny import neighbour_joining
from starkin.latent.selection import selection_curve
from starkin.models.rivals import (
    LB23,
    PCA,
    ZGR,
    BetaVAE,
    BetaVAEConfig,
    BoostedClassifier,
    BoostedConfig,
    Cannon,
    CannonConfig,
    LB23Config,
    Payne,
    PayneConfig,
    PCAConfig,
    ZGRConfig,
)
from starkin.models.rivals.boosted import carbon_enhanced
from starkin.simulate import simulate_survey
from starkin.spectra import SpectrumSet

#: (question, answer, what a sound model gives)
Row = tuple[str, str, str]
LABELS = ("teff", "logg", "m_h")


def pulls(latents: Latents, truth: np.ndarray) -> str:
    """Robust widths of (found − true)/error, one a label."""
    pull = (latents.mean - truth) / np.sqrt(latents.variance)
    width = 1.4826 * np.median(np.abs(pull - np.median(pull, axis=0)), axis=0)
    return ", ".join(f"{value:.2f}" for value in width)


def columns_of(spectra: SpectrumSet, names: tuple[str, ...]) -> np.ndarray:
    return np.column_stack([spectra.label(name) for name in names])


def cannon() -> Iterator[Row]:
    train = test_cannon.quadratic_spectra(4000, 1, noise=0.02, scatter=0.05)
    model = Cannon(threads=1).fit(train)
    scatter = model.decode(test_cannon.CENTRE[None]).scatter[0]
    yield (
        "scatter of each pixel, put in 0.05",
        f"{scatter.min():.4f} to {scatter.max():.4f}",
        "0.05",
    )
    test = test_cannon.quadratic_spectra(1500, 3, noise=0.05, scatter=0.05)
    free = Cannon(CannonConfig(prior_width=100.0), threads=1).fit(train)
    latents = free.encode(test)
    yield "pulls of Teff, log g, [M/H]", pulls(latents, columns_of(test, LABELS)), "1"
    chi2 = float(np.median(latents.columns["chi2"]))
    yield "median χ² of 40 pixels and 3 labels", f"{chi2:.1f}", "37"


def payne() -> Iterator[Row]:
    config = PayneConfig(
        labels=("teff", "m_h"), radial_velocity=True, max_velocity=60.0, hidden=(64, 64)
    )
    model = Payne(config, threads=1).fit(test_payne.line_spectra(2000, 0, snr=1000.0))
    u = np.random.default_rng(1).uniform(-0.95, 0.95, size=(1000, 2))
    latents = np.column_stack([4500 + 500 * u[:, 0], 0.5 * u[:, 1], np.zeros(len(u))])
    error = np.abs(model.decode(latents).values - test_payne.line_flux(u))
    told = f"{np.median(error):.1e}, {np.quantile(error, 0.99):.1e}"
    yield "interpolation error: median, 99 %", told, "10⁻³ in Ting et al."
    test = test_payne.line_spectra(500, 2, snr=50.0, velocity=50.0)
    found = model.encode(test)
    truth = columns_of(test, ("teff", "m_h", "true_velocity"))
    yield "pulls of Teff, [M/H], velocity at S/N 50", pulls(found, truth), "1"
    width = np.median(np.sqrt(found.variance[:, 2]))
    yield "median error of the velocity [km/s]", f"{width:.2f}", "a small part of a pixel"


def zgr() -> Iterator[Row]:
    model = ZGR(ZGRConfig(epochs=25, hidden=(32,), batch_size=150), threads=1)
    model.fit(stellar_spectra(1500, 1))
    wavelength, curve = model.extinction_curve()
    middle = (wavelength >= 400) & (wavelength <= 900)
    truth = dust_curve(wavelength)
    for name, found in (("start", (wavelength / 550) ** -1.5), ("learnt", curve)):
        worst = 100 * np.abs(found / truth - 1)[middle].max()
        yield f"extinction curve, {name}: worst error, 400–900 nm", f"{worst:.1f} %", "0"
    test = stellar_spectra(500, 2)
    latents = model.encode(test)
    names = (*LABELS, "true_a_v", "true_modulus")
    told = pulls(latents, columns_of(test, names))
    yield "pulls of Teff, log g, [M/H], A, distance modulus", told, "1"
    off = np.median(np.abs(latents.mean[:, 3] - test.label("true_a_v")))
    of_map = np.median(np.abs(test.label("a_v") - test.label("true_a_v")))
    yield "median error of A, the dust map's own [mag]", f"{off:.3f}, {of_map:.3f}", "less"


def lb23() -> Iterator[Row]:
    config = LB23Config(width=16, layers=1, n_told=24, n_asked=24, epochs=25, batch_size=50)
    model = LB23(config, threads=1).fit(linear_spectra(1500, 1, labels=True))
    test = linear_spectra(500, 2, labels=True)
    truth = columns_of(test, LABELS)
    for name, mask in (("a spectrum", test.mask), ("nothing", np.ones_like(test.mask))):
        found, errors = model.predict(test.replace(mask=mask), LABELS)
        off = np.sqrt(np.mean(((found - truth) / truth.std(axis=0)) ** 2))
        pull = np.sqrt(np.mean(((found - truth) / errors) ** 2))
        sound = "1, 1" if name == "nothing" else "far below 1, 1"
        told = f"{off:.2f}, {pull:.2f}"
        yield f"told {name}: error in the labels' spread, in its own errors", told, sound


def linear() -> Iterator[Row]:
    """Three factors are all there is: what is left is the noise."""
    train, test = linear_spectra(2000, 5), linear_spectra(1000, 6)
    flux = test.label("phot_g_mean_flux")[:, np.newaxis]
    models = (
        ("PPCA", PCA(PCAConfig(n_latent=3), threads=1)),
        ("β-VAE", BetaVAE(BetaVAEConfig(n_latent=3, beta=0.02, epochs=40), threads=1)),
    )
    for name, model in models:
        model.fit(train)
        predicted = model.decode(model.encode(test).mean).values
        rms = np.sqrt(np.mean(((predicted * flux - test.values) / test.errors) ** 2))
        yield f"{name}: rms of what is left [errors]", f"{rms:.3f}", f"{np.sqrt(107 / 110):.3f}"


def cemp() -> Iterator[Row]:
    spectra = simulate_survey(9000, seed=3, correlations=False, threads=1)
    member = carbon_enhanced(spectra)
    truth = carbon_enhanced(spectra, truth=True)
    train, test = slice(0, 6000), slice(6000, None)
    for balance in (False, True):
        model = BoostedClassifier(BoostedConfig(balance=balance))
        model.fit(spectra[train], member[train], seed=1)
        probability = model.probability(spectra[test])
        rank = probability.argsort().argsort()
        n, k = len(rank), int(truth[test].sum())
        area = (rank[truth[test]].sum() - k * (k - 1) / 2) / (k * (n - k))
        name = "balanced" if balance else "as they are"
        told = f"{area:.2f}; {probability.sum():.1f} for {k}"
        yield (
            f"{member[train].sum()} examples, {name}: ROC area; expected members",
            told,
            "1; equal",
        )
        if not balance:
            curve = selection_curve(probability, truth[test])
            half = int(np.searchsorted(curve.threshold, 0.5))
            told = f"{curve.completeness[half]:.2f}, {curve.contamination[half]:.2f}"
            yield "at probability 0.5: completeness, contamination", told, "1, 0"


def phylogeny() -> Iterator[Row]:
    """Forty stars on a random tree. Every branch is an abundance of its own, in which the stars
    beyond it differ by its length: Manhattan distances are then those along the tree.
    """
    draw = np.random.default_rng(2)
    parts, sides = [np.arange(40)], []
    while parts:
        part = draw.permutation(parts.pop())
        cut = draw.integers(1, len(part))
        for side in (part[:cut], part[cut:]):
            sides.append(side)
            if len(side) > 1:
                parts.append(side)
    sides = sides[1:]  # those of the first division are one branch
    values = np.zeros((40, len(sides)))
    for column, side in enumerate(sides):
        values[side, column] = draw.uniform(0.1, 0.5)
    everyone = frozenset(range(40))
    # A branch of a tree without root is the same from either side; star_0's is never named.
    known = {frozenset(everyone - {*s}) if 0 in s else frozenset(s.tolist()) for s in sides}
    known = {side for side in known if 1 < len(side) < 39}
    for error in (0.0, 0.02, 0.05):
        seen = values + error * draw.standard_normal(values.shape)
        tree = neighbour_joining(seen, np.full(values.shape, max(error, 1e-6) ** 2), seed=1)
        found = {frozenset(int(name[5:]) for name in side): s for side, s in tree.support.items()}
        firm = [side in known for side, support in found.items() if support >= 0.5]
        told = f"{len(known & found.keys())} of {len(known)}; {sum(firm)} of {len(firm)}"
        yield f"errors of {error}: true branches found; right of those supported", told, "all"


PARTS: dict[str, Callable[[], Iterator[Row]]] = {
    "cannon": cannon,
    "payne": payne,
    "zgr": zgr,
    "lb23": lb23,
    "linear": linear,
    "cemp": cemp,
    "phylogeny": phylogeny,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", choices=list(PARTS), default=list(PARTS))
    given = parser.parse_args()
    print("| rival | asked | found | sound |\n|---|---|---|---|")
    for name in given.only:
        start = time.process_time()
        for row in PARTS[name]():
            print(f"| {name} | " + " | ".join(row) + " |", flush=True)
        print(f"{name}: {time.process_time() - start:.0f} s", file=sys.stderr)


if __name__ == "__main__":
    main()
