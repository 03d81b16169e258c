"""The stellar labels gap, made on purpose.

A model from labels to spectra is as good as the labels it was trained on. Laroche &
Speagle name four ways in which labels fail; each can be done to a sample here:

``poor``
    labels of cool and of low-gravity stars are biased and scattered, as where synthetic
    spectra are inaccurate
``missing``
    cool and low-gravity stars have no labels at all
``peculiar``
    stars that labels do not describe: chemically peculiar, emission lines, …
``multiple``
    unresolved binaries, whose spectrum is of two stars and whose labels of one

The first two change what a model is trained on; the others are parts of any sample, that
models are to be judged on. Spectra are never changed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..spectra import SpectrumSet, StarkinError, columns

__all__ = ["GAPS", "LabelGap", "gap_stars", "with_gap"]

_PECULIAR = ("cemp", "carbon", "be", "lpv", "unknown")
_MULTIPLE = ("binary", "eclipsing_binary", "wd_ms")


@dataclass(frozen=True)
class LabelGap:
    """One way in which labels fail.

    Parameters
    ----------
    name : str
        Of the gap.
    description : str
        One line for tables.
    retrain : bool
        Whether it changes the labels that models are trained on.
    bias, scatter : dict of str to float
        What is added to labels, and the standard deviation of what is added at random.
    """

    name: str
    description: str
    retrain: bool
    bias: tuple[tuple[str, float], ...] = ()
    scatter: tuple[tuple[str, float], ...] = ()


GAPS: dict[str, LabelGap] = {
    gap.name: gap
    for gap in (
        LabelGap(
            "poor",
            "labels of cool and low-gravity stars biased and scattered",
            retrain=True,
            bias=((columns.TEFF, 250.0), (columns.LOGG, 0.5), (columns.M_H, -0.3)),
            scatter=((columns.TEFF, 250.0), (columns.LOGG, 0.5), (columns.M_H, 0.3)),
        ),
        LabelGap("missing", "no labels of cool and low-gravity stars", retrain=True),
        LabelGap("peculiar", "chemically peculiar and emission-line stars", retrain=False),
        LabelGap("multiple", "unresolved binaries", retrain=False),
    )
}


def _gap(name: str) -> LabelGap:
    if name not in GAPS:
        raise StarkinError(f"There is no label gap {name!r}; choose from {', '.join(GAPS)}.")
    return GAPS[name]


def gap_stars(
    spectra: SpectrumSet, name: str, *, coolest: float = 4300.0, lowest: float = 1.75
) -> np.ndarray:
    """The stars that a gap concerns.

    Parameters
    ----------
    spectra : SpectrumSet
        Simulated, with its truth.
    name : {"poor", "missing", "peculiar", "multiple"}
        Of the gap.
    coolest, lowest : float
        Temperature [K] and gravity [log cm s⁻²], both true ones, below which labels are
        poor or missing.

    Returns
    -------
    ndarray of bool, shape (n_stars,)
    """
    gap = _gap(name)
    kind = np.asarray(spectra.labels[columns.CLASS_NAME]).astype(str)
    if not gap.retrain:
        return np.isin(kind, _PECULIAR if name == "peculiar" else _MULTIPLE)
    teff = spectra.label(columns.truth(columns.TEFF))
    logg = spectra.label(columns.truth(columns.LOGG))
    # Peculiar stars and binaries are another gap.
    ordinary = ~np.isin(kind, _PECULIAR + _MULTIPLE)
    return ordinary & ((teff < coolest) | (logg < lowest))


def with_gap(spectra: SpectrumSet, name: str, *, seed: int = 0, **limits: float) -> SpectrumSet:
    """The same spectra with labels as the gap leaves them; truth stays as it is.

    Parameters
    ----------
    spectra : SpectrumSet
        Simulated, with its truth.
    name : {"poor", "missing", "peculiar", "multiple"}
        ``poor`` adds bias and scatter to labels of :func:`gap_stars`, ``missing`` takes
        them away; the others change nothing.
    seed : int
        Of the scatter.
    **limits
        As for :func:`gap_stars`.
    """
    gap = _gap(name)
    if not gap.retrain:
        return spectra
    concerned = gap_stars(spectra, name, **limits)
    rng = np.random.default_rng(seed)
    labels = (columns.TEFF, columns.LOGG, columns.M_H, columns.ALPHA_M, columns.C_M)
    bias, scatter = dict(gap.bias), dict(gap.scatter)
    changed = {}
    for label in labels:
        if not spectra.has_label(label):
            continue
        values = spectra.label(label).copy()
        # A number for every star, so that a star's error does not depend on who else is there.
        chance = rng.standard_normal(len(values))
        if name == "missing":
            values[concerned] = np.nan
        else:
            off = bias.get(label, 0.0) + scatter.get(label, 0.0) * chance
            values[concerned] += off[concerned]
        changed[label] = values
    return spectra.with_labels(**changed)
