"""How well a model gives spectra back: by coefficient, by wavelength and by kind of star.

Every error is predicted minus observed (or minus the noiseless truth, where the data are
simulated), and is told in units of the measurement errors:

======  =====================================================================
bias    median of (predicted − observed)/σ: 0 for a model without a preference
spread  half of the 16–84 % range of the same: 1 if all that is left is noise
rms     root mean square of the same: sensitive to the stars that fail
======  =====================================================================

Against the truth, σ is still the error of the observation: 0.3 means that the model is
three times closer to the star than the measurement is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any, Literal

import numpy as np
from astropy.table import Table

from ..spectra import SpectrumSet, StarkinError, XPGrid, columns, sample_spectra
from ..spectra.photometry import is_normalised
from .intervals import bootstrap
from .whitening import whitened_chi2

__all__ = ["LABEL_EDGES", "Against", "Reconstruction"]

Against = Literal["observed", "truth"]

#: Bins of the labels by which errors are shown when none are asked for.
LABEL_EDGES: dict[str, tuple[float, ...]] = {
    columns.TEFF: (3000, 3500, 4000, 4500, 5000, 5500, 6000, 6500, 7500, 10000),  # [K]
    columns.LOGG: (-0.5, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 4.5, 5.0, 5.5),
    columns.M_H: (-2.5, -2.0, -1.5, -1.0, -0.75, -0.5, -0.25, 0.0, 0.25, 0.5),
    columns.BP_RP: (-0.5, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0, 2.5, 3.0, 4.0),  # [mag]
    columns.G_MAG: (6, 9, 11, 12, 13, 14, 15, 16, 17, 17.7),  # [mag]
}


@dataclass(frozen=True, eq=False)
class Reconstruction:
    """What a model made of spectra, beside the spectra.

    Parameters
    ----------
    spectra : SpectrumSet
        As observed, in the unit in which models decode: XP spectra per unit of G flux.
    predicted : ndarray, shape (n_stars, n_pixels)
        The spectra the model decodes from its posterior *mean*; NaN for a star that it
        could not encode.
    scatter : ndarray, shape (n_stars, n_pixels), optional
        Its intrinsic scatter, one standard deviation.
    truth : ndarray, shape (n_stars, n_pixels), optional
        Noiseless spectra in the same unit.

    Raises
    ------
    StarkinError
        If shapes or units disagree.
    """

    spectra: SpectrumSet
    predicted: np.ndarray
    scatter: np.ndarray | None = None
    truth: np.ndarray | None = None

    def __post_init__(self) -> None:
        shape = np.shape(self.spectra.values)
        for name in ("predicted", "scatter", "truth"):
            array = getattr(self, name)
            if array is not None and np.shape(array) != shape:
                raise StarkinError(
                    f"Reconstruction.{name} has shape {np.shape(array)}; the spectra have {shape}."
                )
        if isinstance(self.spectra.grid, XPGrid) and not is_normalised(self.spectra):
            raise StarkinError(
                f"Models decode XP spectra per unit of G flux, but these are in "
                f"'{self.spectra.unit}': normalise them before they are compared."
            )

    def __len__(self) -> int:
        return len(self.spectra)

    def __getitem__(self, rows: Any) -> Reconstruction:
        """The stars picked by a slice, an index array or a boolean array."""
        return Reconstruction(
            self.spectra[rows],
            self.predicted[rows],
            None if self.scatter is None else self.scatter[rows],
            None if self.truth is None else self.truth[rows],
        )

    # --- residuals --------------------------------------------------------------
    def _reference(self, against: Against) -> np.ndarray:
        if against == "observed":
            return self.spectra.values
        if self.truth is None:
            raise StarkinError("The noiseless truth is only known of simulated spectra.")
        return self.truth

    def pulls(self, against: Against = "observed") -> np.ndarray:
        """(predicted − reference)/σ, shape (n_stars, n_pixels); NaN where masked."""
        pull = (self.predicted - self._reference(against)) / self.spectra.errors
        return np.where(self.spectra.mask, np.nan, pull)

    def mean_square(self, against: Against = "observed") -> np.ndarray:
        """Mean squared pull of each star, shape (n_stars,); NaN for one not reconstructed."""
        pull = self.pulls(against)
        # A model that gives only part of a star has not reconstructed it.
        lost = (~np.isfinite(pull) & ~np.asarray(self.spectra.mask)).any(axis=1)
        used = np.isfinite(pull)
        with np.errstate(invalid="ignore", divide="ignore"):
            mean = (np.where(used, pull, 0.0) ** 2).sum(axis=1) / used.sum(axis=1)
        return np.where(lost, np.nan, mean)

    @cached_property
    def chi2(self) -> tuple[np.ndarray, np.ndarray]:
        """Whitened chi-square with the measurement errors alone, and degrees of freedom."""
        return whitened_chi2(self.spectra, self.predicted)

    @cached_property
    def chi2_with_scatter(self) -> tuple[np.ndarray, np.ndarray]:
        """The same with the model's intrinsic scatter counted as an error."""
        return whitened_chi2(self.spectra, self.predicted, self.scatter)

    # --- tables -----------------------------------------------------------------
    def by_coefficient(self, against: Against = "observed") -> Table:
        """Errors of each coefficient (or pixel).

        Returns
        -------
        Table
            ``coefficient`` (``bp_0`` … ``rp_54``, or the wavelength), ``band``, ``order``,
            and ``bias``, ``spread``, ``rms`` in units of the errors.
        """
        table = Table()
        grid = self.spectra.grid
        if isinstance(grid, XPGrid):
            table["coefficient"] = grid.pixel_names
            table["band"] = [name.split("_")[0] for name in grid.pixel_names]
            table["order"] = [int(name.split("_")[1]) for name in grid.pixel_names]
        else:
            table["coefficient"] = np.arange(grid.n_pixels)
        for name, values in _statistics(self.pulls(against)).items():
            table[name] = values
        return table

    def by_wavelength(
        self, wavelength: np.ndarray | None = None, against: Against = "observed"
    ) -> Table:
        """Errors at wavelengths, after exact propagation of the coefficients' covariance.

        The variance of the flux F = Aᵀc is the diagonal of AᵀKA with K = DRD: roots of
        sums of squares with all cross terms, not ``|A|ᵀσ``.

        Parameters
        ----------
        wavelength : ndarray, optional
            [nm]; the official sampling without it (:func:`~starkin.spectra.sample_spectra`).
        against : {"observed", "truth"}
            What the prediction is compared with.

        Returns
        -------
        Table
            ``wavelength`` [nm]; ``bias``, ``spread``, ``rms`` in units of the flux error;
            ``bias_fraction`` and ``spread_fraction``, the same of (predicted −
            reference)/reference flux.
        """
        observed = sample_spectra(self.spectra, wavelength)
        reference, predicted = (
            self._sampled(array, wavelength) for array in (self._reference(against), self.predicted)
        )
        pull = (predicted - reference) / np.where(observed.mask, np.nan, observed.errors)
        with np.errstate(invalid="ignore", divide="ignore"):
            fraction = (predicted - reference) / reference
        table = Table({"wavelength": observed.grid.wavelength})  # type: ignore[attr-defined]
        table["wavelength"].unit = "nm"
        for name, values in _statistics(pull).items():
            table[name] = values
        for name, values in _statistics(np.where(np.isfinite(fraction), fraction, np.nan)).items():
            if name != "rms":  # a root mean square of ratios is ruled by fluxes near zero
                table[f"{name}_fraction"] = values
        return table

    def _sampled(self, values: np.ndarray, wavelength: np.ndarray | None) -> np.ndarray:
        """Fluxes of other coefficients of the same stars; NaN where a star has none."""
        coefficients = self.spectra.replace(values=values, correlations=None)
        sampled = sample_spectra(coefficients, wavelength, correlated=False)
        return np.where(sampled.mask, np.nan, sampled.values)

    def by_label(
        self,
        label: str,
        edges: Sequence[float] | None = None,
        *,
        against: Against = "observed",
        n_resamples: int = 200,
        seed: int = 0,
    ) -> Table:
        """Errors of stars in bins of a label column.

        Parameters
        ----------
        label : str
            Name of the column.
        edges : sequence of float, optional
            Ascending, in the column's unit; bins are [low, high). :data:`LABEL_EDGES`
            without it.
        against : {"observed", "truth"}
            What the prediction is compared with.
        n_resamples, seed : int
            Of the bootstrap over stars.

        Returns
        -------
        Table
            One row a bin: ``low``, ``high``, ``n``, ``bias``, ``spread``, ``rms`` with its
            95 % interval ``rms_low``, ``rms_high``, and ``chi2``, the median whitened
            chi-square per degree of freedom (against the observation).
        """
        if edges is None and label not in LABEL_EDGES:
            raise StarkinError(f"There are no standard bins for {label!r}; give their edges.")
        bins = np.asarray(LABEL_EDGES[label] if edges is None else edges, dtype=np.float64)
        if bins.size < 2 or not np.all(np.diff(bins) > 0):
            raise StarkinError(f"The edges of the bins of {label} must increase.")
        value, square = self.spectra.label(label), self.mean_square(against)
        pull, (chi2, dof) = self.pulls(against), self.chi2
        rows = []
        for low, high in pairwise(bins):
            inside = (value >= low) & (value < high) & np.isfinite(square)
            mean = bootstrap(_root_mean, square[inside], n_resamples=n_resamples, seed=seed)
            whole = {k: float(v[0]) for k, v in _statistics(pull[inside].reshape(-1, 1)).items()}
            whole["rms"] = mean.value
            reduced = chi2[inside] / dof[inside]
            rows.append(
                {"low": low, "high": high, "n": int(inside.sum())}
                | whole
                | {"rms_low": mean.low, "rms_high": mean.high}
                | {"chi2": float(np.median(reduced)) if reduced.size else np.nan}
            )
        table = Table(rows)
        unit = columns.info(label).unit
        for name in ("low", "high"):
            table[name].unit = unit or None
        return table

    def summary(self) -> dict[str, float]:
        """The whole in a few numbers; those against the truth where it is known."""
        square = self.mean_square()
        done = np.isfinite(square)
        chi2, dof = self.chi2
        spread = _statistics(self.pulls()[done].reshape(-1, 1))
        found = {
            "n": int(done.sum()),
            "n_failed": int((~done).sum()),
            "bias": float(spread["bias"][0]),
            "spread": float(spread["spread"][0]),
            "rms": _rms(square[done]),
            "chi2": _median(chi2[done] / dof[done]),
        }
        if self.scatter is not None:
            chi2, dof = self.chi2_with_scatter
            found["chi2_with_scatter"] = _median(chi2[done] / dof[done])
        if self.truth is not None:
            found["rms_truth"] = _rms(self.mean_square("truth")[done])
            found["median_rms_truth"] = _median(np.sqrt(self.mean_square("truth")[done]))
        return found


def _root_mean(square: np.ndarray) -> np.ndarray:
    return np.sqrt(square.mean(axis=-1))


def _rms(square: np.ndarray) -> float:
    return float(np.sqrt(square.mean())) if square.size else float("nan")


def _median(values: np.ndarray) -> float:
    return float(np.median(values)) if values.size else float("nan")


def _statistics(values: np.ndarray) -> dict[str, np.ndarray]:
    """Bias, spread and rms down the columns of (n, k); NaN is left out."""
    known = np.isfinite(values).any(axis=0)
    result = {name: np.full(values.shape[1], np.nan) for name in ("bias", "spread", "rms")}
    if known.any():
        low, middle, high = np.nanpercentile(values[:, known], [15.865, 50, 84.135], axis=0)
        result["bias"][known] = middle
        result["spread"][known] = (high - low) / 2
        result["rms"][known] = np.sqrt(np.nanmean(values[:, known] ** 2, axis=0))
    return result
