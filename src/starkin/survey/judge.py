"""One model judged on the test stars: what it gives back, and what its latents know."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from astropy.table import Table

from ..io.latents import Latents
from ..latent.bimodality import (
    alpha_baselines,
    alpha_test,
    balance_pairs,
    high_alpha,
    latent_features,
    match_pairs,
    matched_test,
)
from ..latent.classification import Classification
from ..latent.information import information
from ..latent.nuisance import audit, made_of_magnitude, sky_vector
from ..latent.reconstruction import LABEL_EDGES, Against, Reconstruction
from ..models.base import SpectrumModel
from ..models.rivals.label_model import LabelModel
from ..spectra import XPGrid, columns
from .compare_data import CompareStars, known_label
from .partition import partition

__all__ = ["AlphaStars", "Judgement", "at_labels", "encoded", "judge", "reconstruct"]

#: Where both sequences are populated (elsewhere [M/H] alone gives the answer) and where XP
#: spectra may show α.
_DISC = {columns.M_H: (-0.8, 0.0), columns.TEFF: (3800.0, 6800.0)}
#: Fainter than this, noise leaves [α/M] of a dwarf of known labels to no better than the 0.2 dex
#: that part the sequences (docs/what_xp_latents_know.md).
_ALPHA_FAINTEST = 16.0  # [mag]
_ALPHA_BINS = (3800.0, 4400.0, 5000.0, 5600.0, 6200.0, 6800.0)  # [K]
_ALPHA_FEWEST = 30
_KNOWN = (columns.TEFF, columns.LOGG, columns.M_H, columns.ALPHA_M)


@dataclass
class Judgement:
    """What is known of one model so far.

    Attributes
    ----------
    row : dict
        Entries of the table.
    details : dict
        What stands behind them, JSON types only.
    squares : ndarray or None, shape (n_test,)
        Mean squared pull of each star against the best known reference.
    """

    row: dict[str, Any] = field(default_factory=dict)
    details: dict[str, Any] = field(default_factory=dict)
    squares: np.ndarray | None = None


def reconstruct(
    model: SpectrumModel, stars: CompareStars, latents: Latents | None = None
) -> tuple[Latents, Reconstruction, float]:
    """Encode the test stars and decode their posterior means; and the time of encoding [s].

    Stars that were encoded before need not be again: give their ``latents``.
    """
    start = time.perf_counter()
    if latents is None:
        latents = model.encode(stars.test)
    seconds = time.perf_counter() - start
    told, usable = None, np.asarray(latents.usable)
    if model.conditions:
        told = np.column_stack([stars.test.label(name) for name in model.conditions])
        usable = usable & np.isfinite(told).all(axis=1)
    shape = np.shape(stars.test.values)
    predicted, scatter = np.full(shape, np.nan), np.zeros(shape)
    if usable.any():
        decoded = model.decode(latents.mean[usable], None if told is None else told[usable])
        predicted[usable], scatter[usable] = decoded.values, decoded.scatter
    return latents, Reconstruction(stars.observed, predicted, scatter, stars.truth), seconds


def at_labels(model: SpectrumModel, stars: CompareStars, latents: Latents) -> Reconstruction | None:
    """Test stars decoded at their catalogue labels; None for a model that is told none.

    What a model finds beside labels (extinction, a distance) is kept as it was found. This is
    the question that such models are made for: the spectrum of given labels. Labels that are
    found in the spectrum serve it better, as they take up what the labels do not know.
    """
    if not isinstance(model, LabelModel) or not model.label_names():
        return None
    given = latents.mean.copy()
    for i, name in enumerate(latents.meta["latents"]):
        if name in model.label_names():
            given[:, i] = stars.test.label(name)
    told = replace(latents, mean=given)
    return reconstruct(model, stars, told)[1]


def encoded(latents: Latents) -> np.ndarray:
    """Posterior means; a star that was not encoded gets the median of the others.

    So it counts as a star of which nothing is known, and all models are judged on the
    same stars.
    """
    mean = latent_features(latents).copy()
    lost = ~np.isfinite(mean).all(axis=1)
    if lost.any():
        mean[lost] = np.median(mean[~lost], axis=0) if (~lost).any() else 0.0
    return mean


def judge(
    measure: str,
    judged: Judgement,
    stars: CompareStars,
    model: SpectrumModel,
    latents: Latents,
    found: Reconstruction,
    alpha: AlphaStars | None,
    seed: int,
) -> None:
    """Add one measure of :data:`~starkin.survey.compare_settings.MEASURES` to a judgement."""
    if measure == "reconstruction":
        _reconstruction(judged, found)
        if (told := at_labels(model, stars, latents)) is not None:
            shares = told.summary()
            names = ("chi2", "median_rms_truth")
            judged.row |= {f"{name}_at_labels": shares[name] for name in names if name in shares}
    elif measure == "alpha" and alpha is not None:
        _alpha(judged, alpha, encoded(latents), seed)
    elif measure == "information":
        _information(judged, stars, encoded(latents), seed)
    elif measure == "nuisance":
        _nuisance(judged, stars, encoded(latents), seed)


# --- reconstruction ----------------------------------------------------------------------
def _reconstruction(judged: Judgement, found: Reconstruction) -> None:
    # All labels at once: one set of residuals and whitened chi-squares serves every table.
    values = {name: known_label(found.spectra, name) for name in LABEL_EDGES}
    known = {name: label for name, label in values.items() if label is not None}
    found = Reconstruction(
        found.spectra.with_labels(**known), found.predicted, found.scatter, found.truth
    )
    judged.row |= found.summary()
    against: Against = "truth" if found.truth is not None else "observed"
    judged.squares = found.mean_square(against)
    details: dict[str, Any] = {"by_coefficient": _lists(found.by_coefficient())}
    if isinstance(found.spectra.grid, XPGrid):
        details["by_wavelength"] = _lists(found.by_wavelength())
        if found.truth is not None:
            details["by_wavelength_truth"] = _lists(found.by_wavelength(against="truth"))
    details["by_label"] = {name: _lists(found.by_label(name, against=against)) for name in known}
    judged.details |= details


def _lists(table: Table) -> dict[str, list[Any]]:
    """Columns as lists; floats at six digits, which is more than any of them is known to."""
    return {
        name: [float(f"{v:.6g}") for v in np.asarray(table[name])]
        if table[name].dtype.kind == "f"
        else np.asarray(table[name]).tolist()
        for name in table.colnames
    }


# --- α ---------------------------------------------------------------------------------------
@dataclass(frozen=True)
class AlphaStars:
    """Stars and classes of the α test, and the classifiers that do not depend on a model.

    Attributes
    ----------
    rows : ndarray of int
        Test stars of the disc with all labels.
    high : ndarray of bool, shape (n_rows,)
        High-α or not.
    teff : ndarray, shape (n_rows,)
    control : ndarray, shape (n_rows, n_labels)
        The labels that pairs are matched by.
    baselines : dict of str to Classification
    pairs : ndarray of int, shape (n_pairs, 2)
        Matched pairs as places in ``rows``.
    """

    rows: np.ndarray
    high: np.ndarray
    teff: np.ndarray
    control: np.ndarray
    baselines: dict[str, Classification]
    pairs: np.ndarray

    @classmethod
    def of(cls, stars: CompareStars, seed: int) -> AlphaStars | None:
        """None where the labels are not there, or a class has too few stars."""
        test = stars.test
        known = {name: known_label(test, name) for name in _KNOWN}
        labels = {name: values for name, values in known.items() if values is not None}
        if len(labels) < len(_KNOWN) or not test.has_label(columns.BP_RP):
            return None
        colour = test.label(columns.BP_RP)
        use = np.isfinite(colour) & ~test.mask.any(axis=1)
        for values in labels.values():
            use &= np.isfinite(values)
        if test.has_label(columns.G_MAG):
            use &= test.label(columns.G_MAG) < _ALPHA_FAINTEST
        for name, (low, high) in _DISC.items():
            use &= (labels[name] > low) & (labels[name] < high)
        rows = np.flatnonzero(use)
        here = {name: values[rows] for name, values in labels.items()}
        rich = high_alpha(here[columns.M_H], here.pop(columns.ALPHA_M))
        if min(rich.sum(), (~rich).sum()) < _ALPHA_FEWEST:
            return None
        colours = {columns.BP_RP: colour[rows]}
        observed = stars.observed
        baselines = alpha_baselines(
            here, colours, rich, coefficients=observed.values[rows], seed=seed
        )
        matched = {**here, **colours}
        pairs = balance_pairs(matched, match_pairs(matched, rich), seed=seed)
        control = np.column_stack(list(matched.values()))
        return cls(rows, rich, here[columns.TEFF], control, baselines, pairs)

    def to_dict(self, seed: int) -> dict[str, Any]:
        """For JSON: the classifiers, and the control of the matched pairs."""
        found: dict[str, Any] = {
            "n": len(self.rows),
            "n_high": int(self.high.sum()),
            "n_pairs": len(self.pairs),
            "baselines": [c.to_dict() for c in self.baselines.values()],
        }
        if len(self.pairs) >= _ALPHA_FEWEST:
            control = matched_test({"labels + colours": self.control}, self.pairs, seed=seed)
            found["control"] = control[0].to_dict()
        return found


def _alpha(judged: Judgement, stars: AlphaStars, latents: np.ndarray, seed: int) -> None:
    z = latents[stars.rows]
    test = alpha_test(z, stars.high, stars.baselines, seed=seed)
    metrics = test.classifications["latents"].metrics()
    judged.row |= {f"alpha_{k}": metrics[k] for k in ("balanced_accuracy", "mcc", "f1")}
    advantage = min(test.advantage().values(), key=lambda found: found.value)
    judged.row |= {
        "alpha_beats_labels": float(test.beats_labels),
        "alpha_advantage": advantage,
    }
    bins = [
        row
        for row in test.by_bins(stars.teff, _ALPHA_BINS)
        if row["name"] == "latents" and row["n"] > 0
    ]
    judged.details["alpha"] = {
        "latents": test.classifications["latents"].to_dict(),
        "advantage": {name: found.to_dict() for name, found in test.advantage().items()},
        "beats_labels": test.beats_labels,
        "by_teff": bins,
    }
    if len(stars.pairs) >= _ALPHA_FEWEST:
        pairs = matched_test({"latents": z}, stars.pairs, seed=seed)[0]
        judged.row |= {"matched_accuracy": pairs.accuracy, "matched_p": pairs.p_value}
        judged.details["alpha"]["matched"] = pairs.to_dict()


# --- information and nuisance ------------------------------------------------------------------
def _information(judged: Judgement, stars: CompareStars, latents: np.ndarray, seed: int) -> None:
    known = {name: known_label(stars.test, name) for name in (*_KNOWN, columns.A_V)}
    labels = {
        name: values
        for name, values in known.items()
        if values is not None and np.isfinite(values).sum() >= 100
    }
    found = information(latents, labels, seed=seed)
    judged.details["information"] = [entry.to_dict() for entry in found]
    judged.row |= {
        f"information_{entry.label}": entry.joint for entry in found if entry.label in _KNOWN
    }


def _nuisance(judged: Judgement, stars: CompareStars, latents: np.ndarray, seed: int) -> None:
    test = stars.test
    quantities: dict[str, np.ndarray] = {}
    a_v = known_label(test, columns.A_V)
    if a_v is not None:
        quantities["a_v"] = a_v
    if test.has_label(columns.G_MAG):
        quantities["g_mag"] = test.label(columns.G_MAG)
    # Of the whole spectrum: √Σ(x/σ)² over the values that are there.
    pull = np.where(test.mask, 0.0, test.values / test.errors)
    quantities["snr"] = np.log10(np.maximum(np.linalg.norm(pull, axis=1), 1e-6))
    if test.has_label(columns.GLON) and test.has_label(columns.GLAT):
        quantities["sky"] = sky_vector(test.label(columns.GLON), test.label(columns.GLAT))
    found = audit(latents, quantities, n_folds=3, seed=seed)
    judged.row |= {f"r2_{name}": interval for name, interval in found.items()}
    judged.details["nuisance"] = {name: interval.to_dict() for name, interval in found.items()}
    if "g_mag" in quantities:
        parts = partition(latents, seed=seed)
        made = made_of_magnitude(parts, quantities["g_mag"], n_permutations=199, seed=seed)
        judged.details["magnitude_bins"] = made.to_dict()
