"""Do latents know [α/M] itself, or only what goes with it?

Stars of the Milky Way's disc come in two sequences of [α/M] (:func:`high_alpha`). A
classifier on latents that tells them apart may have used nothing but metallicity,
temperature, gravity or extinction, with all of which the sequences go. Two tests:

1. The same classifier is given [M/H] alone, labels without α, labels and colours, the
   raw coefficients, or nothing. Latents carry α information if they beat *every* label-only one
   (:func:`alpha_test`).
2. Pairs of stars are matched, equal in every label within tolerances, one of either
   sequence (:func:`match_pairs`), and balanced, so that what is left of differences does
   not tell which is which either (:func:`balance_pairs`). Latents that do tell have it
   from the spectrum (:func:`matched_test`). The classifier that gets the labels of the
   same pairs is the control: it must stay at one half.

Laroche & Speagle 2025 (ApJ 979, 5) publish the first test for APOGEE stars: accuracy
0.84, balanced 0.762, MCC 0.573 for latents; 0.722 for the majority class.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.spatial import cKDTree
from scipy.stats import binomtest
from sklearn.linear_model import LogisticRegression

from ..io.latents import Latents
from ..spectra import columns
from ..spectra.errors import StarkinError
from .classification import (
    Classification,
    ClassifierName,
    compare,
    cross_validate,
    feature_matrix,
)
from .intervals import Interval

__all__ = [
    "LABEL_ONLY",
    "TOLERANCES",
    "AlphaTest",
    "PairTest",
    "alpha_baselines",
    "alpha_test",
    "balance_pairs",
    "high_alpha",
    "latent_features",
    "match_pairs",
    "matched_test",
]

#: The classifiers that latents with α information must beat.
LABEL_ONLY = ("[M/H]", "labels without α", "labels + colours", "majority class")
#: How equal the labels of a matched pair are: [K], [log cm s⁻²], [dex], [mag].
TOLERANCES: dict[str, float] = {
    columns.TEFF: 100.0,
    columns.LOGG: 0.15,
    columns.M_H: 0.05,
    columns.BP_RP: 0.05,
}
#: What a tolerance of a label may be: outside, it is most likely in another unit.
_SENSIBLE: dict[str, tuple[float, float]] = {
    columns.TEFF: (5.0, 1000.0),
    columns.LOGG: (0.005, 1.0),
    columns.M_H: (0.005, 1.0),
    columns.BP_RP: (0.001, 1.0),
}
#: Largest part of a group that is assigned optimally in one go.
_BLOCK = 3000


def high_alpha(fe_h: np.ndarray, mg_fe: np.ndarray) -> np.ndarray:
    """Which stars are on the high-α sequence (Patil et al. 2023).

    [Mg/Fe] > 0.1754 x³ + 0.1119 x² − 0.1253 x + 0.1353, x = [Fe/H].

    Parameters
    ----------
    fe_h, mg_fe : ndarray
        [dex]; [M/H] and [α/M] serve where single elements are not known.

    Returns
    -------
    ndarray of bool
        False where a value is missing. The split is one of the disc: below [Fe/H] of about
        −1 the cubic falls, and nearly every star is above it.
    """
    x = np.asarray(fe_h, dtype=np.float64)
    return np.asarray(mg_fe) > 0.1754 * x**3 + 0.1119 * x**2 - 0.1253 * x + 0.1353


def latent_features(latents: Latents) -> np.ndarray:
    """What a classifier gets of latents: the posterior *mean*, shape (n_stars, n_latent).

    A draw from the posterior would add noise that the spectrum does not have.
    """
    return np.asarray(latents.mean, dtype=np.float64)


@dataclass(frozen=True, eq=False)
class AlphaTest:
    """Classifiers of one set of stars, by what they were given.

    Attributes
    ----------
    classifications : dict of str to Classification
    subject : str
        The one that is on trial (``"latents"``).
    label_only : tuple of str
        Those that it must beat.
    """

    classifications: dict[str, Classification]
    subject: str
    label_only: tuple[str, ...]

    def advantage(self, metric: str = "balanced_accuracy") -> dict[str, Interval]:
        """Metric of the subject minus that of each label-only classifier (paired intervals)."""
        subject = self.classifications[self.subject]
        return {
            name: compare(subject, self.classifications[name])[metric] for name in self.label_only
        }

    @property
    def beats_labels(self) -> bool:
        """Whether every advantage is positive with its whole 95 % interval."""
        return all(found.low > 0 for found in self.advantage().values())

    def by_bins(self, values: np.ndarray, edges: Sequence[float]) -> list[dict[str, Any]]:
        """Metrics of all classifiers in bins of a label (trained once, on all stars)."""
        rows = []
        for low, high in pairwise(edges):
            inside = (values >= low) & (values < high)
            for name, found in self.classifications.items():
                rows.append(
                    {"low": low, "high": high} | found.of(inside).to_dict() | {"name": name}
                )
        return rows

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "subject": self.subject,
            "beats_labels": self.beats_labels,
            "classifiers": [c.to_dict() for c in self.classifications.values()],
            "advantage": {name: found.to_dict() for name, found in self.advantage().items()},
        }


def alpha_baselines(
    labels: Mapping[str, np.ndarray],
    colours: Mapping[str, np.ndarray],
    truth: np.ndarray,
    *,
    coefficients: np.ndarray | None = None,
    classifier: ClassifierName = "rbf",
    n_folds: int = 5,
    seed: int = 0,
) -> dict[str, Classification]:
    """Classify the two sequences from everything that may stand in for α.

    Parameters
    ----------
    labels : mapping of str to ndarray
        Labels *without* α: ``teff``, ``logg``, ``m_h``; the best there are (the truth of
        simulated stars), so that latents do not win by the labels' errors.
    colours : mapping of str to ndarray
        Colours: with the labels they tell extinction.
    truth : ndarray of bool, shape (n_stars,)
        High-α or not (:func:`high_alpha`).
    coefficients : ndarray, shape (n_stars, n_pixels), optional
        The spectra per unit of G flux themselves: what latents could know at best.
    classifier : {"rbf", "linear", "boosting"}
        The same for all.
    n_folds, seed : int
        Of the cross-validation.

    Returns
    -------
    dict of str to Classification
        The names of :data:`LABEL_ONLY`, and ``"coefficients"`` if they are given.

    Raises
    ------
    StarkinError
        If the labels hold α, or lack [M/H].
    """
    if told := sorted(name for name in labels if "alpha" in name or "mg_" in name):
        raise StarkinError(f"The labels to beat must not hold α, but {told[0]} is among them.")
    metallicity = [name for name in labels if name.endswith(columns.M_H)]
    if not metallicity:
        raise StarkinError(f"The labels to beat must hold {columns.M_H}.")
    given = {
        "[M/H]": feature_matrix({metallicity[0]: labels[metallicity[0]]}),
        "labels without α": feature_matrix(labels),
        "labels + colours": feature_matrix({**labels, **colours}),
        "majority class": np.zeros((len(truth), 1)),
    }
    if coefficients is not None:
        given["coefficients"] = coefficients
    return {
        name: cross_validate(
            features,
            truth,
            name=name,
            classifier="majority" if name == "majority class" else classifier,
            n_folds=n_folds,
            seed=seed,
        )
        for name, features in given.items()
    }


def alpha_test(
    latents: np.ndarray,
    truth: np.ndarray,
    baselines: Mapping[str, Classification],
    *,
    classifier: ClassifierName = "rbf",
    n_folds: int = 5,
    seed: int = 0,
) -> AlphaTest:
    """Classify the two sequences from latents, beside the baselines of the same stars.

    Parameters
    ----------
    latents : ndarray, shape (n_stars, n_latent)
        Posterior means (:func:`latent_features`), finite.
    truth : ndarray of bool, shape (n_stars,)
        High-α or not.
    baselines : mapping of str to Classification
        From :func:`alpha_baselines`, with the same classifier, folds and seed.
    classifier, n_folds, seed
        As there.
    """
    found = cross_validate(
        latents, truth, name="latents", classifier=classifier, n_folds=n_folds, seed=seed
    )
    return AlphaTest({"latents": found, **baselines}, "latents", LABEL_ONLY)


# --- matched pairs --------------------------------------------------------------------
def match_pairs(
    labels: Mapping[str, np.ndarray],
    truth: np.ndarray,
    tolerances: Mapping[str, float] | None = None,
) -> np.ndarray:
    """Pairs of one low-α and one high-α star that are equal in every label.

    Every star is in one pair at most. Candidates are pairs within the tolerances; of all
    matchings those are taken that make the sum of squared differences, each over its
    tolerance, smallest.

    Parameters
    ----------
    labels : mapping of str to ndarray, shape (n_stars,)
        In the units of :mod:`starkin.spectra.columns`: ``teff`` in *kelvin*. Names may
        begin with ``true_``. Stars that lack one are not matched.
    truth : ndarray of bool, shape (n_stars,)
        High-α or not.
    tolerances : mapping of str to float, optional
        Largest difference by label; :data:`TOLERANCES` without it: 100 K, not 0.2 K, since
        a pair that close does not exist.

    Returns
    -------
    ndarray of int, shape (n_pairs, 2)
        Rows of the low-α and of the high-α star.

    Raises
    ------
    StarkinError
        If a label has no tolerance, or one that cannot be in its unit.
    """
    given = dict(TOLERANCES if tolerances is None else tolerances)
    scaled = []
    for name, values in labels.items():
        plain = name.removeprefix("true_")
        if plain not in given:
            raise StarkinError(f"The label {name} needs a tolerance to be matched within.")
        low, high = _SENSIBLE.get(plain, (0.0, np.inf))
        if not low <= given[plain] <= high:
            unit = columns.info(plain).unit or "dex"
            raise StarkinError(
                f"The tolerance of {name} must lie in {low:g}..{high:g} {unit}, "
                f"got {given[plain]:g}: is it in another unit?"
            )
        scaled.append(np.asarray(values, dtype=np.float64) / given[plain])
    points = np.column_stack(scaled)
    known = np.isfinite(points).all(axis=1)
    truth = np.asarray(truth, dtype=bool)
    low_rows, high_rows = (np.flatnonzero(known & chosen) for chosen in (~truth, truth))
    if not (low_rows.size and high_rows.size):
        return np.empty((0, 2), dtype=np.int64)
    near = cKDTree(points[low_rows]).sparse_distance_matrix(
        cKDTree(points[high_rows]), 1.0, p=np.inf, output_type="coo_matrix"
    )
    return _assign(points, low_rows, high_rows, near.row, near.col)


def _assign(
    points: np.ndarray, low: np.ndarray, high: np.ndarray, i: np.ndarray, j: np.ndarray
) -> np.ndarray:
    """The matching of smallest cost among the candidate pairs (low[i], high[j])."""
    cost = ((points[low[i]] - points[high[j]]) ** 2).sum(axis=1)
    if len(low) > _BLOCK or len(high) > _BLOCK:
        return _greedy(low, high, i, j, cost)
    # A pair that is no candidate costs more than any matching of candidates can gain.
    forbidden = 1e6
    matrix = np.full((len(low), len(high)), forbidden)
    matrix[i, j] = cost
    rows, cols = linear_sum_assignment(matrix)
    allowed = matrix[rows, cols] < forbidden
    return np.column_stack([low[rows[allowed]], high[cols[allowed]]])


def _greedy(
    low: np.ndarray, high: np.ndarray, i: np.ndarray, j: np.ndarray, cost: np.ndarray
) -> np.ndarray:
    """Closest pair first: nearly as good, and possible for any number of stars."""
    free_low, free_high = np.ones(len(low), dtype=bool), np.ones(len(high), dtype=bool)
    pairs = []
    for candidate in np.argsort(cost, kind="stable"):
        a, b = i[candidate], j[candidate]
        if free_low[a] and free_high[b]:
            free_low[a] = free_high[b] = False
            pairs.append((low[a], high[b]))
    return np.array(pairs, dtype=np.int64).reshape(-1, 2)


def balance_pairs(
    labels: Mapping[str, np.ndarray], pairs: np.ndarray, *, seed: int = 0
) -> np.ndarray:
    """Thin matched pairs until the small differences of their labels point either way.

    Even within a tolerance the high-α star of a pair tends to be the more metal-poor one,
    because there are more of its kind on that side: label differences d occur with another
    density than −d, and a classifier of labels finds that out. The odds f(d)/f(−d) are
    those of a logistic regression on d and on its products with the pair's mean labels;
    pairs are kept with the probability min(1, f(−d)/f(d)).

    Parameters
    ----------
    labels : mapping of str to ndarray, shape (n_stars,)
        Those that the pairs were matched by.
    pairs : ndarray of int, shape (n_pairs, 2)
        From :func:`match_pairs`.
    seed : int
        Of the thinning.

    Returns
    -------
    ndarray of int, shape (at most n_pairs, 2)
    """
    if len(pairs) < 20:
        return pairs
    values = feature_matrix(labels)
    low, high = values[pairs[:, 0]], values[pairs[:, 1]]
    odd = _odd_features(low, high)
    model = LogisticRegression(fit_intercept=False, max_iter=1000)
    model.fit(np.concatenate([odd, -odd]), np.repeat([True, False], len(pairs)))
    keep = np.exp(np.minimum(0.0, -model.decision_function(odd)))
    return pairs[np.random.default_rng(seed).uniform(size=len(pairs)) < keep]


def _odd_features(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Second minus first of each pair, and its products with the pair's mean.

    All change sign when the two stars change places, so that log odds linear in them do
    too, as they must, and no intercept is needed. Shape (n_pairs, d + d²).
    """
    difference, mean = second - first, (first + second) / 2
    difference = difference / np.maximum(difference.std(axis=0), 1e-12)
    mean = (mean - mean.mean(axis=0)) / np.maximum(mean.std(axis=0), 1e-12)
    products = difference[:, :, np.newaxis] * mean[:, np.newaxis, :]
    return np.column_stack([difference, products.reshape(len(first), -1)])


@dataclass(frozen=True, eq=False)
class PairTest:
    """How often a classifier tells which star of a matched pair is the high-α one.

    Attributes
    ----------
    name : str
        What it was given.
    accuracy : Interval
        With its exact binomial (Clopper & Pearson 1934) interval; ``n`` is the number of
        pairs. One half is chance.
    p_value : float
        Of so many right answers or more by chance (binomial test, one-sided).
    """

    name: str
    accuracy: Interval
    p_value: float

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {"name": self.name, "p_value": self.p_value, **self.accuracy.to_dict()}


def matched_test(
    features: Mapping[str, np.ndarray],
    pairs: np.ndarray,
    *,
    classifier: ClassifierName = "linear",
    n_folds: int = 5,
    seed: int = 0,
) -> list[PairTest]:
    """Classify within pairs that no label can tell apart.

    What is classified is the *difference* of the two stars of a pair, in an order that
    chance decides: was the first or the second one of the high-α sequence? Beside the
    difference, the classifier sees the mean of the pair, since what α does to a spectrum
    depends on where the star is. A pair is in one fold only.

    The answer turns round with the order. The linear classifier is told so: it gets the
    differences and their products with the means, which turn round too. Kernels and trees
    get differences and sums and have to find that out, for which pairs are too few: what
    is left of label differences within the tolerances is larger in latents than α is.

    Parameters
    ----------
    features : mapping of str to ndarray, shape (n_stars, n_features)
        What each classifier is given: latents, and the matched labels as the control.
    pairs : ndarray of int, shape (n_pairs, 2)
        From :func:`match_pairs`, balanced by :func:`balance_pairs`.
    classifier : {"rbf", "linear", "boosting"}
        The same for all.
    n_folds, seed : int
        Of the cross-validation and the order.
    """
    rng = np.random.default_rng(seed)
    swapped = rng.permuted(np.arange(len(pairs)) % 2).astype(bool)
    first = np.where(swapped, pairs[:, 1], pairs[:, 0])
    second = np.where(swapped, pairs[:, 0], pairs[:, 1])
    results = []
    for name, values in features.items():
        values = np.asarray(values, dtype=np.float64)
        a, b = values[first], values[second]
        both = _odd_features(a, b) if classifier == "linear" else np.column_stack([b - a, a + b])
        found = cross_validate(
            both, swapped, name=name, classifier=classifier, n_folds=n_folds, seed=seed
        )
        right = int((found.predicted == swapped).sum())
        test = binomtest(right, len(pairs), 0.5, alternative="greater")
        interval = binomtest(right, len(pairs)).proportion_ci(0.95, method="exact")
        results.append(
            PairTest(
                name,
                Interval(right / len(pairs), interval.low, interval.high, len(pairs)),
                float(test.pvalue),
            )
        )
    return results
