"""Models side by side: the table, what stands behind each row, and the folder of files."""

from __future__ import annotations

import json
import os
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from astropy.table import Table

from ..io.atomic import atomic_file
from ..io.catalogue import read_table, write_table
from ..io.latents import Latents
from ..spectra.errors import StarkinError
from .intervals import Interval

__all__ = ["COLUMNS", "Comparison", "table_of"]

#: Columns of the table: unit, meaning. Those with an interval have ``_low`` and ``_high`` too.
COLUMNS: dict[str, tuple[str, str]] = {
    "model": ("", "Name of the model in this run"),
    "kind": ("", "Kind of model"),
    "labels": ("", "Label columns that the model was told, in training or always"),
    "n_latent": ("", "Latent dimensions (labels and the like, for a model of labels)"),
    "fit_seconds": ("s", "Wall time of training"),
    "encode_rate": ("1/s", "Test stars encoded in a second"),
    "n": ("", "Test stars reconstructed; -1 where the model failed"),
    "n_failed": ("", "Test stars that the model could not encode; -1 where it failed"),
    "rms": ("", "Root mean square of (reconstructed - observed)/error"),
    "bias": ("", "Median of (reconstructed - observed)/error"),
    "spread": ("", "Half the 16-84 % range of (reconstructed - observed)/error"),
    "chi2": ("", "Median whitened chi-square per value, measurement errors alone"),
    "chi2_with_scatter": ("", "The same with the model's intrinsic scatter as an error"),
    "rms_truth": ("", "Root mean square of (reconstructed - noiseless truth)/error"),
    "median_rms_truth": ("", "Median over stars of the same"),
    "chi2_at_labels": ("", "chi2 of spectra decoded at catalogue labels, not at fitted ones"),
    "median_rms_truth_at_labels": ("", "median_rms_truth of the same"),
    "ratio": ("", "RMSE over that of the reference model, same stars, against the best known"),
    "alpha_balanced_accuracy": ("", "Balanced accuracy of high/low alpha from latents"),
    "alpha_mcc": ("", "Matthews correlation of high/low alpha from latents"),
    "alpha_f1": ("", "F1 of the high-alpha class from latents"),
    "alpha_beats_labels": ("", "Whether latents beat every label-only classifier"),
    "alpha_advantage": ("", "Balanced accuracy less that of the best label-only classifier"),
    "matched_accuracy": ("", "Share of label-matched pairs told apart by latents (chance 0.5)"),
    "matched_p": ("", "Probability of that many by chance"),
    "branch_purity": ("", "Purity of the main sequence behind a boundary in latent space"),
    "gradient_ms": ("", "Partial correlation of [M/H] and latents on the main sequence"),
    "gradient_gb": ("", "Partial correlation of [M/H] and latents on the giant branch"),
    "information_teff": ("", "Joint mutual information of latents and Teff [nat]"),
    "information_logg": ("", "Joint mutual information of latents and log g [nat]"),
    "information_m_h": ("", "Joint mutual information of latents and [M/H] [nat]"),
    "information_alpha_m": ("", "Joint mutual information of latents and [alpha/M] [nat]"),
    "r2_a_v": ("", "R2 of A_V from latents"),
    "r2_g_mag": ("", "R2 of G from latents"),
    "r2_snr": ("", "R2 of log S/N from latents"),
    "r2_sky": ("", "R2 of the place on the sky from latents"),
    "gap_poor": ("", "RMSE of stars with poor labels, trained on those over trained on good ones"),
    "gap_missing": ("", "RMSE of stars without labels in training over with them"),
    "gap_peculiar": ("", "RMSE of peculiar stars over that of ordinary ones"),
    "gap_multiple": ("", "RMSE of unresolved binaries over that of ordinary stars"),
    "problem": ("", "Why the model could not be compared"),
}


def table_of(rows: list[Mapping[str, Any]]) -> Table:
    """Rows of plain values and :class:`Interval` as one table with units and descriptions.

    Columns that no row has are absent; a value that a row lacks is NaN or empty.
    """
    flat: list[dict[str, Any]] = []
    for row in rows:
        entry: dict[str, Any] = {}
        for name, value in row.items():
            if isinstance(value, Interval):
                entry |= {name: value.value, f"{name}_low": value.low, f"{name}_high": value.high}
            else:
                entry[name] = value
        flat.append(entry)
    names = [
        column
        for name in COLUMNS
        for column in (name, f"{name}_low", f"{name}_high")
        if any(column in entry for entry in flat)
    ]
    table = Table()
    for name in names:
        values = [entry.get(name) for entry in flat]
        text = any(isinstance(value, str) for value in values)
        if text:
            table[name] = ["" if value is None else str(value) for value in values]
        elif name in ("n", "n_failed", "n_latent"):
            table[name] = np.array([-1 if value is None else value for value in values])
        else:
            table[name] = np.array([np.nan if value is None else float(value) for value in values])
        stem = name.removesuffix("_low").removesuffix("_high")
        unit, meaning = COLUMNS[stem]
        table[name].unit = unit or None
        tail = {"_low": ": lower end of 95 %", "_high": ": upper end of 95 %"}
        table[name].description = meaning + tail.get(name[len(stem) :], "")
    return table


@dataclass(frozen=True)
class Comparison:
    """Every model judged on the same stars by the same measures.

    Attributes
    ----------
    table : astropy.table.Table
        One row a model; :data:`COLUMNS` says what each column is.
    details : dict
        By model: ``by_coefficient``, ``by_wavelength``, ``by_label``, ``alpha``,
        ``information``, … as plain lists and numbers; under ``""`` what concerns no
        single model (the label-only classifiers, the stars).
    latents : dict of str to Latents
        Of the test stars, by model.
    run : dict
        What was run: versions, seeds, configuration, inputs with fingerprints, wall times.
    """

    table: Table
    details: dict[str, Any] = field(default_factory=dict)
    latents: dict[str, Latents] = field(default_factory=dict)
    run: dict[str, Any] = field(default_factory=dict)

    @property
    def models(self) -> list[str]:
        """Names of the models that were judged, in the order of the table."""
        return [str(name) for name in self.table["model"] if str(name) in self.details]

    def write(self, directory: str | os.PathLike[str]) -> None:
        """Write ``comparison.{fits,ecsv,csv,md}``, ``details.json``, ``run.json``, ``latents/``."""
        directory = Path(directory)
        (directory / "latents").mkdir(parents=True, exist_ok=True)
        write_table(_in_ascii(self.table), directory / "comparison.fits")
        for suffix in ("ecsv", "csv"):
            write_table(self.table, directory / f"comparison.{suffix}")
        with atomic_file(directory / "comparison.md") as path:
            path.write_text(self.markdown(), encoding="utf-8")
        for number, (name, latents) in enumerate(self.latents.items()):
            latents.write(directory / "latents" / f"{file_name(name, number)}.parquet")
        for name, content in (("details", self.details), ("run", self.run)):
            with atomic_file(directory / f"{name}.json") as path:
                path.write_text(json.dumps(content, indent=None, allow_nan=True) + "\n")

    @classmethod
    def read(cls, directory: str | os.PathLike[str]) -> Comparison:
        """Read what :meth:`write` wrote.

        Raises
        ------
        StarkinError
            If a file is missing or damaged.
        """
        directory = Path(directory)
        try:
            details = json.loads((directory / "details.json").read_text())
            names = [name for name in details if name]
            return cls(
                table=_without_masks(read_table(directory / "comparison.ecsv")),
                details=details,
                latents={
                    name: Latents.read(directory / "latents" / f"{file_name(name, i)}.parquet")
                    for i, name in enumerate(names)
                },
                run=json.loads((directory / "run.json").read_text()),
            )
        except (OSError, TypeError, ValueError) as error:
            if isinstance(error, StarkinError):
                raise
            raise StarkinError(
                f"{directory} is not a complete comparison ({error}); run it again."
            ) from error

    def markdown(self) -> str:
        """The table for a page or a paper: models down, the main measures across."""
        shown = [
            (name, heading) for name, heading in _MARKDOWN.items() if name in self.table.colnames
        ]
        lines = ["| " + " | ".join(heading for _, heading in shown) + " |"]
        lines.append("|---" + "|---:" * (len(shown) - 1) + "|")
        for row in self.table:
            lines.append("| " + " | ".join(_cell(row, name) for name, _ in shown) + " |")
        return "\n".join(lines) + "\n"


_MARKDOWN = {
    "model": "model",
    "labels": "told",
    "n_latent": "latents",
    "fit_seconds": "fit [s]",
    "n_failed": "lost",
    "rms": "rms/σ",
    "chi2": "χ²/n",
    "rms_truth": "rms/σ to truth",
    "median_rms_truth": "median star",
    "chi2_at_labels": "χ²/n at labels",
    "ratio": "ratio",
    "alpha_balanced_accuracy": "α bal. acc.",
    "alpha_advantage": "α over labels",
    "matched_accuracy": "α pairs",
    "branch_purity": "MS purity",
    "gradient_ms": "[M/H] MS",
    "gradient_gb": "[M/H] GB",
    "r2_a_v": "R² A_V",
    "r2_g_mag": "R² G",
    "gap_poor": "gap: poor",
    "gap_missing": "gap: missing",
    "gap_peculiar": "gap: peculiar",
    "gap_multiple": "gap: multiple",
}


def _cell(row: Table.Row, name: str) -> str:
    value = row[name]
    if isinstance(value, (str, np.str_)):
        failed = "problem" in row.colnames and row["problem"]
        return str(value) or ("–" if failed else "none")
    if not np.isfinite(value):
        return "–"
    if name in ("n_latent", "n_failed"):
        return str(int(value)) if value >= 0 else "–"
    if name == "fit_seconds":
        return f"{value:.0f}"
    if f"{name}_low" in row.colnames and np.isfinite(row[f"{name}_low"]):
        half = 0.5 * (row[f"{name}_high"] - row[f"{name}_low"])
        return f"{value:.3f} ± {half:.3f}"
    return f"{value:.3f}"


def _in_ascii(table: Table) -> Table:
    """FITS knows no other letters: β becomes beta, é becomes e."""
    table = table.copy()
    for name in table.colnames:
        if table[name].dtype.kind in "UO":
            table[name] = ["".join(map(_ascii_letter, str(text))) for text in table[name]]
    return table


def _ascii_letter(letter: str) -> str:
    if letter.isascii():
        return letter
    plain = unicodedata.normalize("NFKD", letter).encode("ascii", "ignore").decode()
    return plain or unicodedata.name(letter, "?").split()[-1].lower()


def _without_masks(table: Table) -> Table:
    """Files know no NaN but missing values: back to what :func:`table_of` gave."""
    for name in table.colnames:
        if hasattr(table[name], "filled"):
            text = table[name].dtype.kind in "USO"
            table[name] = table[name].filled("" if text else np.nan)
    return table


def file_name(name: str, number: int) -> str:
    """A file name for a model's name: safe, and different for different models."""
    plain = "".join(c if c.isascii() and (c.isalnum() or c in "-_") else "-" for c in name)
    return f"{number:02d}-{plain}"
