"""What latents still know of the conditions (leakage), and what they keep of the abundances."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import GroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler

from ..spectra.errors import StarkinError

__all__ = ["PROBES", "Explained", "explained_variance"]

#: Name of a probe -> what it is, for tables and reports.
PROBES = {
    "linear": "ridge regression",
    "quadratic": "ridge regression on all products of two latents",
    "trees": "histogram gradient boosting",
}
_RIDGE = tuple(10.0**p for p in range(-4, 5, 2))
#: Latents beyond this number make too many products for a ridge in bounded time.
_MAX_QUADRATIC = 60


@dataclass(frozen=True)
class Explained:
    """Cross-validated R² of one quantity from latents, by each probe.

    Attributes
    ----------
    r2 : dict of str to float
        By name of the probe. Below 0 the probe does worse than the mean.
    """

    r2: dict[str, float]

    @property
    def linear(self) -> float:
        return self.r2["linear"]

    @property
    def best(self) -> float:
        """The largest of all probes: what at least one of them can read off the latents."""
        return max(self.r2.values())

    @property
    def probe(self) -> str:
        """Which probe that is."""
        return max(self.r2, key=lambda name: self.r2[name])

    def to_dict(self) -> dict[str, Any]:
        return {"r2": self.best, "probe": self.probe, **{f"r2_{k}": v for k, v in self.r2.items()}}


def explained_variance(
    latents: np.ndarray,
    targets: Mapping[str, np.ndarray],
    *,
    groups: np.ndarray | None = None,
    probes: tuple[str, ...] = ("linear", "quadratic", "trees"),
    n_folds: int = 3,
    max_stars: int = 10_000,
    seed: int = 0,
) -> dict[str, Explained]:
    """How much of each target's variance latents explain in stars that were not fitted.

    R² = 1 - sum (y - ŷ)² / sum (y - ȳ)², predictions from the folds a star is not in. Of
    conditions (temperature, gravity) it is the leakage, wanted 0; of abundances the
    information kept, wanted 1.

    Parameters
    ----------
    latents : ndarray, shape (n_stars, n_latent)
        Stars that are not finite, here or in the target, are left out.
    targets : mapping of str to ndarray, shape (n_stars,)
        By name.
    groups : ndarray of int, shape (n_stars,), optional
        Stars of one group (twins) stay in one fold, or a probe would recognise a star's
        abundances by its twin.
    probes : tuple of str
        Of :data:`PROBES`.
    n_folds : int
        Of the cross-validation.
    max_stars : int
        Of more, a random part of this size is used: it bounds the time.
    seed : int
        Of that part and of the trees.

    Raises
    ------
    StarkinError
        If fewer than 30 stars are finite.
    """
    rng = np.random.default_rng(seed)
    finite = np.isfinite(latents).all(axis=1)
    by_rows: dict[bytes, list[str]] = {}
    for name, values in targets.items():
        known = finite & np.isfinite(values)
        if known.sum() < 30:
            raise StarkinError(
                f"Only {known.sum()} stars have latents and {name}; R² needs at least 30."
            )
        by_rows.setdefault(known.tobytes(), []).append(name)
    found: dict[str, Explained] = {}
    # Targets known for the same stars are fitted side by side: ridges share their matrix.
    for known, names in by_rows.items():
        rows = np.flatnonzero(np.frombuffer(known, dtype=bool))
        if len(rows) > max_stars:
            rows = np.sort(rng.choice(rows, size=max_stars, replace=False))
        x = latents[rows].astype(np.float64)
        y = np.column_stack([np.asarray(targets[n], dtype=np.float64)[rows] for n in names])
        group = np.arange(len(rows)) if groups is None else _own_groups(groups)[rows]
        folds = list(GroupKFold(n_folds, shuffle=True, random_state=seed).split(x, y, group))
        r2 = {p: _r2(p, x, y, folds, seed) for p in probes if _fits(p, x)}
        found |= {n: Explained({p: r2[p][k] for p in r2}) for k, n in enumerate(names)}
    return {name: found[name] for name in targets}


def _own_groups(groups: np.ndarray) -> np.ndarray:
    """Groups in which stars without one (negative) are on their own."""
    groups = np.asarray(groups, dtype=np.int64)
    return np.where(groups < 0, -1 - np.arange(len(groups)), groups)


def _fits(probe: str, x: np.ndarray) -> bool:
    return probe != "quadratic" or x.shape[1] <= _MAX_QUADRATIC


def _r2(probe: str, x: np.ndarray, y: np.ndarray, folds: list[Any], seed: int) -> list[float]:
    """R² of each column of ``y``."""
    predicted = np.empty_like(y)
    for train, test in folds:
        if probe == "trees":  # One target at a time.
            for k in range(y.shape[1]):
                fitted = _regressor(probe, seed).fit(x[train], y[train, k])
                predicted[test, k] = fitted.predict(x[test])
        else:
            fitted = _regressor(probe, seed).fit(x[train], y[train])
            predicted[test] = fitted.predict(x[test]).reshape(len(test), -1)
    total = np.sum((y - y.mean(axis=0)) ** 2, axis=0)
    left = np.sum((y - predicted) ** 2, axis=0)
    return [float(1 - a / b) if b > 0 else float("nan") for a, b in zip(left, total, strict=True)]


def _regressor(probe: str, seed: int) -> Any:
    if probe == "linear":
        return make_pipeline(StandardScaler(), _ridge())
    if probe == "quadratic":
        return make_pipeline(StandardScaler(), PolynomialFeatures(2, include_bias=False), _ridge())
    return HistGradientBoostingRegressor(
        max_iter=150, learning_rate=0.1, early_stopping=True, random_state=seed
    )


def _ridge() -> RidgeCV:
    """A penalty for each target, as if it were fitted alone."""
    return RidgeCV(_RIDGE, alpha_per_target=True)
