"""How well spectra are carried from one domain to another: lines recovered, latents shared."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from astropy.table import Table
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from ..spectra import StarkinError

__all__ = ["domain_accuracy", "line_recovery"]


def line_recovery(
    wavelength: np.ndarray,
    before: np.ndarray,
    after: np.ndarray,
    truth: np.ndarray,
    lines: Sequence[float],
    *,
    half_width: float = 0.7,
) -> Table:
    """What a transfer finds of lines that its input lacks, line by line.

    Parameters
    ----------
    wavelength : ndarray, shape (n_pixels,)
        In the unit of ``lines``.
    before, after, truth : ndarray, shape (n_stars, n_pixels)
        Normalised fluxes of the same stars: without the lines, transferred, and with them.
    lines : sequence of float
        Wavelengths of the missing lines.
    half_width : float
        Of the window about each line.

    Returns
    -------
    Table
        For each line: ``width``, the mean equivalent width that is missing; ``recovered``, the
        share of it that the transfer adds; ``correlation`` over stars of the width added and the
        width missing; and root mean squares of what is left in the window: ``rms_before``,
        ``rms_constant`` after the best correction that is the same for all stars (the scatter of
        what is missing), ``rms_after``.

    Raises
    ------
    StarkinError
        If a window has no pixel.
    """
    step = np.gradient(wavelength)
    rows = []
    for line in lines:
        window = np.abs(wavelength - line) <= half_width
        if not window.any():
            raise StarkinError(f"No pixel lies within {half_width:g} of the line at {line:g}.")
        missing = before[:, window] - truth[:, window]
        added = before[:, window] - after[:, window]
        widths = missing @ step[window], added @ step[window]
        rows.append(
            (
                line,
                widths[0].mean(),
                widths[1].mean() / widths[0].mean(),
                np.corrcoef(*widths)[0, 1],
                _rms(missing),
                _rms(missing - missing.mean(axis=0)),
                _rms(missing - added),
            )
        )
    names = ("line", "width", "recovered", "correlation")
    return Table(rows=rows, names=(*names, "rms_before", "rms_constant", "rms_after"))


def _rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(values, dtype=np.float64))))


def domain_accuracy(first: np.ndarray, second: np.ndarray, *, seed: int = 0) -> dict[str, float]:
    """How well a classifier tells two sets of latents apart: 0.5 where they are one.

    Parameters
    ----------
    first, second : ndarray, shape (n_stars, n_latent) each
        Latents of stars of the two domains; rows that are not finite are left out.
    seed : int
        Of the folds.

    Returns
    -------
    dict
        Balanced accuracy of a straight boundary (``linear``) and of boosted trees (``trees``),
        each star judged by a classifier that has not seen it (5 folds).
    """
    parts = [part[np.isfinite(part).all(axis=1)] for part in (first, second)]
    values = np.concatenate(parts)
    domain = np.repeat([0, 1], [len(part) for part in parts])
    folds = StratifiedKFold(5, shuffle=True, random_state=seed)
    classifiers = {
        "linear": make_pipeline(
            StandardScaler(), LogisticRegression(class_weight="balanced", max_iter=1000)
        ),
        "trees": HistGradientBoostingClassifier(
            max_iter=100, class_weight="balanced", random_state=seed
        ),
    }
    found = {}
    for name, classifier in classifiers.items():
        guess = cross_val_predict(classifier, values, domain, cv=folds)
        found[name] = float(np.mean([(guess[domain == k] == k).mean() for k in (0, 1)]))
    return found
