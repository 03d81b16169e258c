"""Standardisation, by hand."""

from __future__ import annotations

import io

import numpy as np
import pytest
from astropy import units as u
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from starkin.spectra import (
    GridMismatchError,
    SpectrumSet,
    Standardiser,
    StarkinError,
    WavelengthGrid,
    XPGrid,
)


def made(values, mask=None, unit=u.dimensionless_unscaled, errors=None) -> SpectrumSet:
    values = np.asarray(values, dtype=float)
    return SpectrumSet(
        source_id=np.arange(len(values)),
        values=values,
        errors=np.ones_like(values) if errors is None else errors,
        mask=mask,
        grid=XPGrid(1, values.shape[1] - 1),
        unit=unit,
    )


def test_by_hand():
    """Column 0: 1, 3 → mean 2, scale 1. Column 1: 0, 0, 6 → mean 2, scale √8."""
    mask = np.array([[False, False], [False, False], [True, False]])
    spectra = made([[1, 0], [3, 0], [1e9, 6]], mask)
    fitted = Standardiser.fit(spectra)
    np.testing.assert_allclose(fitted.mean, [2, 2])
    np.testing.assert_allclose(fitted.scale, [1, np.sqrt(8)])
    out = fitted.transform(spectra)
    np.testing.assert_allclose(out.values[:, 0], [-1, 1, 0])
    np.testing.assert_allclose(out.values[:, 1], np.array([-2, -2, 4]) / np.sqrt(8))
    np.testing.assert_allclose(out.errors[:, 1], 1 / np.sqrt(8))
    assert out.errors[2, 0] == 1
    np.testing.assert_array_equal(out.mask, mask)


def test_large_means_keep_their_digits():
    rng = np.random.default_rng(0)
    values = (1e8 + rng.normal(size=(5000, 2))).astype(np.float64)
    np.testing.assert_allclose(Standardiser.fit(made(values)).scale, values.std(0), rtol=1e-9)


def test_float32_is_summed_in_double():
    values = np.full((200_000, 2), 0.1, dtype=np.float32)
    values[::2] += 0.2
    fitted = Standardiser.fit_arrays(values)
    np.testing.assert_allclose(fitted.mean, values.astype(float).mean(0), rtol=1e-12)


@given(
    arrays(np.float64, (6, 3), elements=st.floats(-1e6, 1e6, allow_subnormal=False)),
    st.floats(1e-3, 1e3),
)
def test_inverse_undoes_forward(values, error):
    transform = Standardiser(np.array([1.0, -2, 30]), np.array([0.5, 2, 100]))
    errors = np.full_like(values, error)
    back, back_errors = transform.inverse(*transform.forward(values, errors))
    np.testing.assert_allclose(back, values, atol=1e-9, rtol=1e-12)
    np.testing.assert_allclose(back_errors, errors, rtol=1e-12)


def test_restore_undoes_transform():
    spectra = made([[1, 0], [3, 5], [2, 6]], unit=u.electron / u.s)
    fitted = Standardiser.fit(spectra)
    again = fitted.restore(fitted.transform(spectra))
    np.testing.assert_allclose(again.values, spectra.values)
    np.testing.assert_allclose(again.errors, spectra.errors)
    assert again.unit == spectra.unit


def test_it_travels_as_arrays():
    fitted = Standardiser.fit(made([[1, 0], [3, 5]], unit=u.electron / u.s))
    file = io.BytesIO()
    np.savez(file, **fitted.to_arrays())
    file.seek(0)
    again = Standardiser.from_arrays(np.load(file, allow_pickle=False))
    np.testing.assert_array_equal(again.mean, fitted.mean)
    np.testing.assert_array_equal(again.scale, fitted.scale)
    assert again.unit == fitted.unit


def test_a_constant_column_is_refused_by_name():
    with pytest.raises(StarkinError, match=r"first is rp_0\) have no two different"):
        Standardiser.fit(made([[1, 5], [2, 5], [3, 5]]))
    everything = np.zeros((3, 2), dtype=bool)
    everything[1:, 0] = True
    with pytest.raises(StarkinError, match="the first is bp_0"):
        Standardiser.fit(made([[1, 1], [2, 2], [3, 3]], everything))
    grid = WavelengthGrid(np.array([1.0, 2.0]))
    with pytest.raises(StarkinError, match="number 1"):
        Standardiser.fit(SpectrumSet([1, 2], [[1, 1], [2, 1]], np.ones((2, 2)), grid))


def test_other_columns_and_units_are_refused():
    fitted = Standardiser.fit(made([[1, 0], [3, 5]]))
    with pytest.raises(GridMismatchError, match="fitted on 2 columns and the spectra have 3"):
        fitted.transform(made([[1, 2, 3]]))
    with pytest.raises(StarkinError, match="normalise both or neither"):
        fitted.transform(made([[1, 2]], unit=u.electron / u.s))


@pytest.mark.parametrize(
    "damaged",
    [
        {"mean": np.zeros(2)},
        {"mean": np.zeros(2), "scale": np.ones(3)},
        {"mean": np.zeros(2), "scale": np.array([1, 0.0])},
        {"mean": np.array([0, np.nan]), "scale": np.ones(2)},
    ],
)
def test_damaged_arrays_are_refused(damaged):
    with pytest.raises(StarkinError):
        Standardiser.from_arrays(damaged)
