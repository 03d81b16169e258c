"""How well a clustering agrees with another one, or with known classes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment
from sklearn.metrics import adjusted_rand_score

__all__ = [
    "ClassRecovery",
    "adjusted_rand",
    "class_recovery",
    "contingency",
    "jaccard_best",
    "purity",
]


def contingency(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Counts of stars by label in ``a`` and in ``b``; negative labels are left out.

    Parameters
    ----------
    a, b : ndarray of int, shape (n,)
        0, 1, …; negative for none.

    Returns
    -------
    ndarray of int, shape (max(a) + 1, max(b) + 1)
    """
    a, b = np.asarray(a, dtype=np.int64), np.asarray(b, dtype=np.int64)
    rows = int(a.max(initial=-1)) + 1
    columns = int(b.max(initial=-1)) + 1
    both = (a >= 0) & (b >= 0)
    flat = np.bincount(a[both] * columns + b[both], minlength=rows * columns)
    return flat.reshape(rows, columns)


def adjusted_rand(a: np.ndarray, b: np.ndarray, *, ignore_noise: bool = False) -> float:
    """Adjusted Rand index (Hubert & Arabie 1985): 1 for equal partitions, 0 by chance.

    Parameters
    ----------
    a, b : ndarray, shape (n,)
        Labels of any kind.
    ignore_noise : bool
        Leave out stars with a negative label in either; otherwise noise is a
        class of its own. NaN if no star is left.
    """
    a, b = np.asarray(a), np.asarray(b)
    if ignore_noise:
        keep = np.ones(len(a), dtype=bool)
        for labels in (a, b):
            if labels.dtype.kind in "if":
                keep &= labels >= 0
        a, b = a[keep], b[keep]
    return float(adjusted_rand_score(a, b)) if len(a) else float("nan")


def jaccard_best(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """For each cluster of ``a``, the Jaccard similarity with its best match in ``b``.

    J(A, B) = |A ∩ B| / |A ∪ B| (Hennig 2007, section 2), over the stars given;
    0 for a cluster of ``a`` that is dissolved, NaN for one without stars.

    Returns
    -------
    ndarray, shape (max(a) + 1,)
    """
    a, b = np.asarray(a, dtype=np.int64), np.asarray(b, dtype=np.int64)
    table = contingency(a, b)
    size_a = np.bincount(a[a >= 0], minlength=table.shape[0])
    size_b = np.bincount(b[b >= 0], minlength=table.shape[1])
    union = size_a[:, None] + size_b[None, :] - table
    best = (table / np.maximum(union, 1)).max(axis=1, initial=0.0)
    return np.where(size_a > 0, best, np.nan)


@dataclass(frozen=True)
class ClassRecovery:
    """How one known class came out of a clustering.

    Attributes
    ----------
    name : str
    n_stars : int
    fraction : float
        Of the whole sample.
    cluster : int
        The cluster that stands for it; -1 if it has none of its own.
    recall : float
        Part of the class that is in that cluster.
    purity : float
        Part of that cluster that is of the class.
    """

    name: str
    n_stars: int
    fraction: float
    cluster: int
    recall: float
    purity: float

    def to_dict(self) -> dict[str, Any]:
        return dict(vars(self))


def class_recovery(truth: np.ndarray, labels: np.ndarray) -> list[ClassRecovery]:
    """Recall and purity of each known class in the cluster that stands for it.

    Clusters are given to classes one to one, so that the sum of F1 =
    2|A ∩ B| / (|A| + |B|) is largest (the assignment problem): a class that is
    swallowed by another one's cluster was not found, and its recall is 0.

    Parameters
    ----------
    truth : ndarray, shape (n,)
        Class names or numbers.
    labels : ndarray of int, shape (n,)
        Negative for noise.
    """
    names, index = np.unique(np.asarray(truth), return_inverse=True)
    labels = np.asarray(labels, dtype=np.int64)
    table = contingency(index, labels)
    class_size = np.bincount(index, minlength=len(names))
    cluster_size = np.bincount(labels[labels >= 0], minlength=table.shape[1])
    total = class_size[:, None] + cluster_size[None, :]
    f1 = 2 * table / np.maximum(total, 1)
    own = np.full(len(names), -1)
    rows, columns = linear_sum_assignment(f1, maximize=True)
    shared = table[rows, columns] > 0
    own[rows[shared]] = columns[shared]
    result = []
    for row, name in enumerate(names):
        inside = int(table[row, own[row]]) if own[row] >= 0 else 0
        result.append(
            ClassRecovery(
                name=str(name),
                n_stars=int(class_size[row]),
                fraction=float(class_size[row] / len(labels)),
                cluster=int(own[row]),
                recall=float(inside / class_size[row]),
                purity=float(inside / cluster_size[own[row]]) if inside else 0.0,
            )
        )
    return result


def purity(truth: np.ndarray, labels: np.ndarray) -> float:
    """Part of the clustered stars that are of the commonest class of their cluster."""
    index = np.unique(np.asarray(truth), return_inverse=True)[1]
    table = contingency(index, labels)
    total = table.sum()
    return float(table.max(axis=0, initial=0).sum() / total) if total else float("nan")
