"""Cross-validated classifiers, their confusion matrices, and metrics with intervals.

Every star is predicted by a classifier that was trained without it. The interval of a
metric is that of resampling stars with their predictions: the counts of a confusion
matrix are then multinomial, and two classifiers of the same stars are resampled together.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from ..spectra.errors import StarkinError
from .intervals import Interval

__all__ = [
    "METRICS",
    "Classification",
    "ClassifierName",
    "compare",
    "confusion_metrics",
    "cross_validate",
    "feature_matrix",
]

ClassifierName = Literal["linear", "rbf", "boosting", "majority"]
METRICS = ("accuracy", "balanced_accuracy", "mcc", "f1")


def feature_matrix(columns: Mapping[str, np.ndarray]) -> np.ndarray:
    """Label columns side by side: row i is star i, shape (n_stars, n_columns).

    Columns are *stacked*, never reshaped: a reshape of (n_columns, n_stars) has the right
    shape as well, but puts values of different stars into one row.

    Raises
    ------
    StarkinError
        If the columns are not one-dimensional and of one length.
    """
    arrays = {name: np.asarray(values, dtype=np.float64) for name, values in columns.items()}
    shapes = {array.shape for array in arrays.values()}
    if len(shapes) != 1 or len(next(iter(shapes))) != 1:
        told = ", ".join(f"{name} {array.shape}" for name, array in arrays.items())
        raise StarkinError(f"Feature columns must have one number a star, got {told or 'none'}.")
    return np.column_stack(list(arrays.values()))


def confusion_metrics(confusion: np.ndarray) -> dict[str, np.ndarray]:
    """Accuracy, balanced accuracy, Matthews correlation and F1 of the second class.

    Parameters
    ----------
    confusion : ndarray, shape (..., 2, 2)
        Counts by truth (rows: negative, positive) and prediction (columns).

    Returns
    -------
    dict of str to ndarray, shape (...)
        The Matthews correlation of a classifier that always says the same is 0 (its
        limit); balanced accuracy is NaN if a class has no star.
    """
    counts = np.asarray(confusion, dtype=np.float64)
    tn, fp, fn, tp = counts[..., 0, 0], counts[..., 0, 1], counts[..., 1, 0], counts[..., 1, 1]
    with np.errstate(invalid="ignore", divide="ignore"):
        product = np.sqrt((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn))
        return {
            "accuracy": (tp + tn) / counts.sum(axis=(-2, -1)),
            "balanced_accuracy": 0.5 * (tp / (tp + fn) + tn / (tn + fp)),
            "mcc": np.where(product > 0, (tp * tn - fp * fn) / product, 0.0),
            "f1": np.where(tp > 0, 2 * tp / (2 * tp + fp + fn), 0.0),
        }


@dataclass(frozen=True, eq=False)
class Classification:
    """Out-of-fold predictions of one classifier.

    Attributes
    ----------
    name : str
        What it was given.
    truth, predicted : ndarray of bool, shape (n_stars,)
    score : ndarray, shape (n_stars,)
        Larger for stars more likely positive; strictly comparable within one fold.
    """

    name: str
    truth: np.ndarray
    predicted: np.ndarray
    score: np.ndarray
    seed: int = field(default=0)

    @property
    def confusion(self) -> np.ndarray:
        """Counts by truth (rows) and prediction (columns), shape (2, 2)."""
        flat = 2 * self.truth.astype(int) + self.predicted.astype(int)
        return np.bincount(flat, minlength=4).reshape(2, 2)

    def of(self, rows: np.ndarray) -> Classification:
        """The same classifier judged on some of the stars (it is not trained anew)."""
        return Classification(
            self.name, self.truth[rows], self.predicted[rows], self.score[rows], self.seed
        )

    def metrics(self, *, n_resamples: int = 2000, level: float = 0.95) -> dict[str, Interval]:
        """Each of :data:`METRICS` with its interval."""
        counts, n = self.confusion, len(self.truth)
        if n == 0:
            return {name: Interval(np.nan, np.nan, np.nan, 0) for name in METRICS}
        drawn = _resampled(counts.ravel(), n_resamples, self.seed).reshape(-1, 2, 2)
        value, spread = confusion_metrics(counts), confusion_metrics(drawn)
        return {name: _interval(float(value[name]), spread[name], level, n) for name in METRICS}

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "name": self.name,
            "n": len(self.truth),
            "confusion": self.confusion.tolist(),
            **{name: metric.to_dict() for name, metric in self.metrics().items()},
        }


def _resampled(counts: np.ndarray, n_resamples: int, seed: int) -> np.ndarray:
    """Counts of bootstrap resamples of the stars behind them, shape (n_resamples, ...)."""
    total = int(counts.sum())
    return np.random.default_rng(seed).multinomial(total, counts / total, size=n_resamples)


def _interval(value: float, drawn: np.ndarray, level: float, n: int) -> Interval:
    tail = 50 * (1 - level)
    finite = drawn[np.isfinite(drawn)]
    if not finite.size:
        return Interval(value, np.nan, np.nan, n)
    low, high = np.percentile(finite, [tail, 100 - tail])
    return Interval(value, float(low), float(high), n)


def compare(
    better: Classification,
    other: Classification,
    *,
    n_resamples: int = 2000,
    level: float = 0.95,
) -> dict[str, Interval]:
    """Difference of each metric between two classifiers of the same stars, with intervals."""
    if not np.array_equal(better.truth, other.truth):
        raise StarkinError(
            f"{better.name} and {other.name} were not judged on the same stars; "
            "compare only what is."
        )
    cells = 4 * better.truth.astype(int) + 2 * better.predicted + other.predicted
    counts = np.bincount(cells, minlength=8)

    def difference(table: np.ndarray) -> dict[str, np.ndarray]:
        cube = table.reshape(-1, 2, 2, 2)
        first, second = confusion_metrics(cube.sum(axis=3)), confusion_metrics(cube.sum(axis=2))
        return {name: first[name] - second[name] for name in METRICS}

    value = difference(counts)
    drawn = difference(_resampled(counts, n_resamples, better.seed))
    return {
        name: _interval(float(value[name][0]), drawn[name], level, len(better.truth))
        for name in METRICS
    }


def _classifier(name: ClassifierName, seed: int) -> ClassifierMixin:
    if name == "linear":
        return make_pipeline(
            StandardScaler(), LogisticRegression(class_weight="balanced", max_iter=2000)
        )
    if name == "rbf":
        return make_pipeline(StandardScaler(), SVC(class_weight="balanced", C=10.0, cache_size=500))
    if name == "boosting":
        return HistGradientBoostingClassifier(
            class_weight="balanced", max_iter=150, learning_rate=0.08, random_state=seed
        )
    if name == "majority":
        return DummyClassifier(strategy="most_frequent")
    raise StarkinError(
        f"There is no classifier {name!r}; choose linear, rbf, boosting or majority."
    )


def cross_validate(
    features: np.ndarray,
    truth: np.ndarray,
    *,
    name: str = "",
    classifier: ClassifierName = "rbf",
    n_folds: int = 5,
    groups: np.ndarray | None = None,
    seed: int = 0,
) -> Classification:
    """Predict every star by a classifier that has not seen it.

    Parameters
    ----------
    features : ndarray, shape (n_stars, n_features)
        Finite; they are standardised on the training folds.
    truth : ndarray of bool, shape (n_stars,)
        Class of each star.
    name : str
        Of the features, for tables.
    classifier : {"linear", "rbf", "boosting", "majority"}
        Logistic regression; a support-vector machine with a Gaussian kernel; boosted
        trees; or whatever class is commoner. All but the last weigh the classes equally.
    n_folds : int
        Stratified by class.
    groups : ndarray, shape (n_stars,), optional
        Stars of one group (a matched pair, a cluster) stay in one fold.
    seed : int
        Of the folds, and of a classifier that draws.

    Raises
    ------
    StarkinError
        If a class has fewer stars than there are folds, or a feature is not finite.
    """
    features, truth = np.asarray(features, dtype=np.float64), np.asarray(truth, dtype=bool)
    if features.ndim != 2 or len(features) != len(truth):
        raise StarkinError(
            f"Features have shape {features.shape} for {len(truth)} stars; one row a star."
        )
    if not np.isfinite(features).all():
        raise StarkinError("Features must be finite: leave out the stars that lack one.")
    fewest = int(min(truth.sum(), (~truth).sum()))
    if fewest < n_folds:
        raise StarkinError(
            f"The rarer class has {fewest} stars; {n_folds} folds need at least {n_folds}."
        )
    folds: Any = StratifiedKFold(n_folds, shuffle=True, random_state=seed)
    if groups is not None:
        folds = StratifiedGroupKFold(n_folds, shuffle=True, random_state=seed)
    predicted, score = np.zeros(len(truth), dtype=bool), np.zeros(len(truth))
    for train, test in folds.split(features, truth, groups):
        model = _classifier(classifier, seed)
        model.fit(features[train], truth[train])
        predicted[test] = model.predict(features[test])
        score[test] = (
            model.decision_function(features[test])
            if hasattr(model, "decision_function")
            else model.predict_proba(features[test])[:, 1]
        )
    return Classification(name, truth, predicted, score, seed)
