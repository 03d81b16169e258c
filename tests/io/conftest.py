"""Small sets of spectra with everything a reader can meet."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from astropy.table import MaskedColumn, Table

from starkin.spectra import SpectrumSet, XPGrid, pack_correlations

MakeSpectra = Callable[..., SpectrumSet]


def random_correlations(rng: np.random.Generator, n: int, size: int) -> np.ndarray:
    """Packed triangles of ``n`` positive definite matrices, shape (n, size·(size-1)/2)."""
    factor = rng.normal(size=(n, size, 2 * size))
    covariance = factor @ factor.swapaxes(1, 2)
    sigma = np.sqrt(np.einsum("nii->ni", covariance))
    return pack_correlations(covariance / (sigma[:, :, None] * sigma[:, None, :]))


@pytest.fixture
def make_spectra() -> MakeSpectra:
    def make(
        n: int = 7,
        *,
        seed: int = 0,
        grid: XPGrid | None = None,
        correlations: bool = True,
        missing: bool = True,
    ) -> SpectrumSet:
        grid = XPGrid(5, 6) if grid is None else grid
        rng = np.random.default_rng(seed)
        values = rng.normal(size=(n, grid.n_pixels)) * 10.0 ** rng.uniform(-3, 5, (n, 1))
        errors = np.abs(rng.normal(size=values.shape)).astype(np.float32) + np.float32(0.01)
        mask = np.zeros(values.shape, dtype=bool)
        packed = None
        if correlations:
            packed = np.concatenate(
                [random_correlations(rng, n, grid.band_size(b)) for b in ("bp", "rp")], axis=1
            ).astype(np.float32)
        if missing and n >= 4:
            for star, band in ((1, "bp"), (2, "rp"), (3, "bp"), (3, "rp")):
                mask[star, grid.band(band)] = True
                if packed is not None:
                    packed[star, grid.correlation_slice(band)] = np.nan
            mask[0, 2] = True
        labels = Table()
        labels["solution_id"] = np.full(n, 4545469030156206080)
        labels["bp_n_relevant_bases"] = MaskedColumn(
            rng.integers(1, 55, n).astype(np.int16), mask=mask[:, grid.band("bp")].all(axis=1)
        )
        labels["phot_g_mean_mag"] = rng.uniform(6, 18, n)
        labels["phot_g_mean_mag"].unit = "mag"
        labels["teff"] = np.where(rng.random(n) < 0.3, np.nan, rng.uniform(3e3, 9e3, n)).astype(
            "f4"
        )
        labels["teff"].unit = "K"
        labels["kind"] = [["C*", 'say "hi", twice', "plain"][i % 3] for i in range(n)]
        labels["kind"].description = "A text of the user's own"
        labels["is_giant"] = rng.random(n) < 0.5
        return SpectrumSet(
            source_id=rng.permutation(n).astype(np.int64) + 5853498713190525696,
            values=values,
            errors=errors,
            grid=grid,
            mask=mask,
            correlations=packed,
            labels=labels,
        )

    return make


@pytest.fixture
def assert_identical() -> Callable[[SpectrumSet, SpectrumSet], None]:
    """Every number, type, unit and description the same."""

    def check(a: SpectrumSet, b: SpectrumSet, *, described: bool = False) -> None:
        assert a.grid == b.grid
        assert a.unit == b.unit
        assert (a.correlations is None) == (b.correlations is None)
        for name in ("source_id", "values", "errors", "mask", "correlations"):
            left, right = getattr(a, name), getattr(b, name)
            if left is not None:
                assert left.dtype == right.dtype, name
                np.testing.assert_array_equal(left, right, err_msg=name)
        assert sorted(a.labels.colnames) == sorted(b.labels.colnames)
        for name in a.labels.colnames:
            left, right = a.labels[name], b.labels[name]
            assert left.dtype.kind == right.dtype.kind, name
            if left.dtype.kind in "fiub":
                # A plain CSV does not say that a column was float32: round as it was written.
                right = (
                    b.label(name).astype(left.dtype) if left.dtype.kind == "f" else b.label(name)
                )
                np.testing.assert_array_equal(a.label(name), right, err_msg=name)
            else:
                assert [str(x) for x in left] == [str(x) for x in right], name
            if described:
                assert left.dtype == right.dtype or left.dtype.kind == "U", name
                assert left.unit == right.unit, name
                assert left.description == right.description, name

    return check
