"""Which models suffer where labels fail."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from ..latent.intervals import Interval, group_ratio, rmse_ratio
from ..models.base import SpectrumModel
from ..models.rivals.label_model import LabelModel
from ..simulate.gap import GAPS, gap_stars, with_gap
from ..spectra import columns
from .compare_data import CompareStars
from .judge import reconstruct

__all__ = ["gap_possible", "gap_sample", "gap_squares", "judge_gap", "told_labels"]

_FEWEST = 10


def told_labels(model: SpectrumModel) -> tuple[str, ...]:
    """Label columns that a model is told in training: none for a label-independent one."""
    if isinstance(model, LabelModel):
        return tuple(model.label_names())
    config = getattr(model, "config", None)
    return tuple(dict.fromkeys((*getattr(config, "labels", ()), *model.conditions)))


def gap_possible(stars: CompareStars) -> bool:
    """Whether the stars are simulated ones, whose truth says who is concerned."""
    names = (columns.CLASS_NAME, columns.truth(columns.TEFF), columns.truth(columns.LOGG))
    return all(stars.test.has_label(name) for name in names)


def gap_sample(stars: CompareStars, gap: str, seed: int) -> CompareStars:
    """The same stars with labels as the gap leaves them, in all parts."""
    return CompareStars(
        train=with_gap(stars.train, gap, seed=seed),
        validation=with_gap(stars.validation, gap, seed=seed + 1),
        test=with_gap(stars.test, gap, seed=seed + 2),
        truth=stars.truth,
    )


def gap_squares(model: SpectrumModel, sample: CompareStars, gap: str) -> np.ndarray:
    """Mean squared errors of the test stars that a gap concerns, shape (n_test,).

    The others, which say nothing of the gap and are most of all, are not encoded: NaN.

    Parameters
    ----------
    model : SpectrumModel
        Trained on ``sample``.
    sample : CompareStars
        From :func:`gap_sample`.
    gap : str
        Its gap.
    """
    rows = np.flatnonzero(gap_stars(sample.test, gap))
    squares = np.full(len(sample.test), np.nan)
    if len(rows):
        truth = None if sample.truth is None else sample.truth[rows]
        found = reconstruct(model, replace(sample, test=sample.test[rows], truth=truth))[1]
        squares[rows] = found.mean_square("observed" if truth is None else "truth")
    return squares


def judge_gap(
    gap: str, stars: CompareStars, squares: np.ndarray, with_it: np.ndarray | None, seed: int
) -> tuple[Interval, dict[str, Any]]:
    """What a gap costs one model.

    Parameters
    ----------
    gap : str
        Of :data:`~starkin.simulate.gap.GAPS`.
    stars : CompareStars
        As they are without the gap.
    squares : ndarray, shape (n_test,)
        Mean squared error of each test star under the model as trained without it.
    with_it : ndarray or None, shape (n_test,)
        The same under the model trained with the gap; None for a model that sees no labels,
        which the gap leaves as it is, and for a gap that changes no training.
    seed : int
        Of the bootstrap.

    Returns
    -------
    Interval
        RMSE of the concerned stars, with the gap over without it; or, of a gap that
        changes no training, that of the concerned stars over that of the others.
    details : dict
        For JSON; too few concerned stars to say anything are a ``problem``, and NaN.
    """
    concerned = gap_stars(stars.test, gap)
    details: dict[str, Any] = {"n": int(concerned.sum()), "description": GAPS[gap].description}
    if concerned.sum() < _FEWEST:
        details["problem"] = "too few test stars are concerned"
        unknown = Interval(float("nan"), float("nan"), float("nan"), int(concerned.sum()))
        return unknown, details | unknown.to_dict()
    if not GAPS[gap].retrain:
        ordinary = np.ones(len(concerned), dtype=bool)
        for other in GAPS:
            ordinary &= ~gap_stars(stars.test, other) | concerned
        rows = np.flatnonzero(ordinary)
        found = group_ratio(squares[rows], concerned[rows], seed=seed)
    elif with_it is None:
        found = Interval(1.0, 1.0, 1.0, int(concerned.sum()))
        details["unchanged"] = True
    else:
        found = rmse_ratio(with_it[concerned], squares[concerned], seed=seed)
        details["lost"] = int((np.isnan(with_it) & np.isfinite(squares))[concerned].sum())
    return found, details | found.to_dict()
