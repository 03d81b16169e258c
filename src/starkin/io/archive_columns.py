# ruff: noqa: E501  (one line a column)
"""The archive's table ``xp_continuous_mean_spectrum``: columns in order, types, meanings.

Source: Gaia DR3 data model, section 20.12.3. Type names are numpy's, which are
ECSV's too; ``[]`` marks one array a star.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..spectra.columns import BANDS, SOURCE_ID

__all__ = ["XP_COLUMNS", "ArchiveColumn"]


@dataclass(frozen=True)
class ArchiveColumn:
    name: str
    type: str
    description: str
    ucd: str = ""

    @property
    def is_array(self) -> bool:
        return self.type.endswith("[]")

    @property
    def scalar_type(self) -> str:
        return self.type.removesuffix("[]")


def _band(band: str) -> list[ArchiveColumn]:
    b = band.upper()
    of = f"the {b} spectrum representation"
    rows = [
        ("basis_function_id", "int16", f"Identifier defining the set of basis functions for {of}", "meta.id"),
        ("degrees_of_freedom", "int16", f"Degrees of freedom for {of}", "stat.fit.dof"),
        ("n_parameters", "int16", f"Number of parameters for {of}", "stat.fit.param"),
        ("n_measurements", "int16", f"Number of measurements used for the {b} spectrum generation", "meta.number"),
        ("n_rejected_measurements", "int16", f"Number of rejected measurements in the {b} spectrum generation", "meta.number"),
        ("standard_deviation", "float32", f"Standard deviation for {of}", "stat.stdev"),
        ("chi_squared", "float32", f"Chi squared for {of}", "stat.fit.chi2"),
        ("coefficients", "float64[]", f"Basis function coefficients for {of}", "stat.fit.param"),
        ("coefficient_errors", "float32[]", f"Basis function coefficient errors for {of}", "stat.error"),
        (
            "coefficient_correlations",
            "float32[]",
            f"Correlations of the {b} coefficients: strict upper triangle, column by column",
            "stat.correlation",
        ),
        ("n_relevant_bases", "int16", f"Number of bases that are relevant for the representation of this mean {b} spectrum", "meta.number"),
        ("relative_shrinking", "float32", f"Measure of the relative shrinking of the coefficient vector when truncation is applied for the mean {b} spectrum", "stat.fit.param"),
    ]  # fmt: skip
    return [ArchiveColumn(f"{band}_{name}", *rest) for name, *rest in rows]


XP_COLUMNS: dict[str, ArchiveColumn] = {
    column.name: column
    for column in [
        ArchiveColumn(
            SOURCE_ID,
            "int64",
            "Unique source identifier (unique within a particular Data Release)",
            "meta.id;meta.main",
        ),
        ArchiveColumn("solution_id", "int64", "Solution Identifier", "meta.version"),
        *(column for band in BANDS for column in _band(band)),
    ]
}
