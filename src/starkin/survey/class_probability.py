"""The probability of a class of stars from boosted trees, and what a selection by it costs."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from astropy.table import Column, Table
from sklearn.metrics import average_precision_score, roc_auc_score

from ..io.catalogue import write_table
from ..latent.calibration import reliability
from ..latent.intervals import share
from ..latent.selection import SelectionCurve, selection_curve
from ..models.rivals import BoostedClassifier, BoostedConfig
from ..spectra import SpectrumSet, StarkinError, columns
from ..spectra.cuts import select
from .compare_data import CompareStars
from .compare_settings import ClassifierEntry

__all__ = ["judge_classifier", "true_members"]

MODEL, PROBABILITIES, CURVE = "model", "probabilities.fits", "selection.ecsv"
_NOTABLE = (0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 0.9)


def true_members(spectra: SpectrumSet, condition: str) -> np.ndarray:
    """Who meets a condition on labels, with the truth in place of a label where it is known."""
    truth = {
        name: spectra.label(columns.truth(name))
        for name in spectra.labels.colnames
        if spectra.has_label(columns.truth(name))
    }
    return select(spectra.with_labels(**truth), condition)


def judge_classifier(
    entry: ClassifierEntry,
    stars: CompareStars,
    folder: str | os.PathLike[str],
    *,
    seed: int,
    threads: int = 1,
) -> dict[str, Any]:
    """Train on the labelled examples of the training stars, judge on the test stars.

    Parameters
    ----------
    entry : ClassifierEntry
        What the class is.
    stars : CompareStars
        With the label columns that the class is told by.
    folder : path
        Gets ``model`` (the classifier), ``probabilities.fits`` (of the test stars) and
        ``selection.ecsv`` (completeness and contamination by threshold).
    seed, threads : int
        Of the training.

    Returns
    -------
    dict
        For JSON: counts, area under the ROC curve, average precision, calibration, the curve,
        and the completeness at the contamination asked for.

    Raises
    ------
    StarkinError
        If XGBoost is not installed, a label is missing, or there are too few members.
    """
    folder = Path(folder)
    config = BoostedConfig.from_dict({"name": entry.name, **entry.settings})
    examples = select(stars.train, entry.member)
    model = BoostedClassifier(config, threads=threads).fit(stars.train, examples, seed=seed)
    model.save(folder / MODEL)
    member = true_members(stars.test, entry.member)
    told = model.probability_column(stars.test)
    probability = np.asarray(told)
    if not member.any():
        raise StarkinError(f"None of the test stars meets {entry.member!r}: nothing to judge by.")
    selection = selection_curve(probability, member)
    curve = _curve(selection, int(member.sum()))
    write_table(curve, folder / CURVE)
    write_table(
        Table(
            {
                columns.SOURCE_ID: Column(
                    stars.test.source_id, description=columns.info(columns.SOURCE_ID).description
                ),
                model.column: told,
                "member": Column(member, description=f"Whether {entry.member}, by the best known"),
            }
        ),
        folder / PROBABILITIES,
    )
    known = np.isfinite(probability)
    found: dict[str, Any] = {
        "name": entry.name,
        "column": model.column,
        "member": entry.member,
        "n_train": model.card["data"]["n_train"],
        "n_examples": int(examples.sum()),
        "n": len(member),
        "n_members": int(member.sum()),
        "expected": float(np.nansum(probability)),
        "roc_auc": float(roc_auc_score(member[known], probability[known])),
        "average_precision": float(average_precision_score(member[known], probability[known])),
        "calibration": reliability(probability, member).to_dict(),
        "probability": {
            "members": probability[member & known].round(4).tolist(),
            "others": np.histogram(probability[~member & known], bins=20, range=(0, 1))[0].tolist(),
        },
        "curve": {name: np.asarray(curve[name]).tolist() for name in curve.colnames},
        "rows": [_row(curve, threshold) for threshold in _NOTABLE],
        "asked": {"limit": entry.contamination},
    }
    try:
        threshold = selection.threshold_for(entry.contamination)
        found["asked"] |= _row(curve, threshold)
    except StarkinError as error:
        found["asked"]["problem"] = str(error)
    return found


def _curve(curve: SelectionCurve, n_members: int) -> Table:
    """Completeness and contamination by threshold, with Wilson's 95 % intervals."""
    right = np.rint(curve.completeness * n_members).astype(int)
    table = Table({"threshold": curve.threshold, "n_selected": curve.n_selected})
    parts = {
        "completeness": [share(int(k), n_members) for k in right],
        "contamination": [
            share(int(n - k), int(n)) for k, n in zip(right, curve.n_selected, strict=True)
        ],
    }
    meanings = {
        "completeness": "Share of the true members at or above the threshold",
        "contamination": "Share of the stars at or above the threshold that are no members",
    }
    for name, intervals in parts.items():
        for tail, key in (("", "value"), ("_low", "low"), ("_high", "high")):
            end = {"_low": ": lower end of 95 %", "_high": ": upper end of 95 %"}.get(tail, "")
            table[f"{name}{tail}"] = Column(
                [getattr(interval, key) for interval in intervals],
                description=meanings[name] + end,
            )
    return table


def _row(curve: Table, threshold: float) -> dict[str, float]:
    at = int(np.argmin(np.abs(np.asarray(curve["threshold"]) - threshold)))
    return {name: curve[name][at].item() for name in curve.colnames}
