"""Quality cuts star by star, and conditions that are safe and never pass what is missing."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest
from astropy.table import MaskedColumn, Table
from hypothesis import given
from hypothesis import strategies as st

from starkin.spectra import Quality, SpectrumSet, StarkinError, XPGrid, select

GOOD_STAR = {
    "teff": 5000.0,
    "teff_error": 200.0,
    "logg_error": 0.3,
    "m_h_error": 0.15,
    "bp_rp": 1.0,
    "phot_g_mean_mag": 12.0,
    "starflag": 0,
    "aspcapflag": 0,
}
PRISTINE_STAR = GOOD_STAR | {"teff_error": 40.0, "logg_error": 0.05, "m_h_error": 0.03}


def spectra(**labels) -> SpectrumSet:
    n = len(next(iter(labels.values())))
    return SpectrumSet(
        source_id=np.arange(n) + 10,
        values=np.zeros((n, 2)),
        errors=np.ones((n, 2)),
        grid=XPGrid(1, 1),
        labels=Table(labels),
    )


def one(star: dict) -> SpectrumSet:
    return spectra(**{name: [value] for name, value in star.items()})


def test_the_levels_are_nested():
    assert select(one(GOOD_STAR), "good") == [True]
    assert select(one(GOOD_STAR), "pristine") == [False]
    assert select(one(PRISTINE_STAR), Quality.PRISTINE) == [True]
    assert select(one(PRISTINE_STAR), "good") == [True]
    assert select(one({"nothing": 0}), "full") == [True]


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("teff_error", 250.0),  # Teff/σ is exactly 20
        ("teff", np.nan),
        ("logg_error", 0.4),
        ("m_h_error", 0.2),
        ("bp_rp", 0.0),
        ("bp_rp", 4.0),
        ("bp_rp", np.nan),
        ("phot_g_mean_mag", 6.0),
        ("phot_g_mean_mag", 17.5),
        ("starflag", 1),
        ("aspcapflag", 0b0100),
        ("aspcapflag", 0b1000),
        ("aspcapflag", 0b1101),
        ("aspcapflag", -9999),
    ],
)
def test_each_criterion_of_good(column, value):
    assert select(one(GOOD_STAR | {column: value}), "good") == [False]


@pytest.mark.parametrize("value", [0b0001, 0b0010, 0b10000, 1 << 40])
def test_other_aspcap_bits_do_not_matter(value):
    assert select(one(GOOD_STAR | {"aspcapflag": value}), "good") == [True]


@pytest.mark.parametrize(
    ("column", "value"), [("teff_error", 50.0), ("logg_error", 0.1), ("m_h_error", 0.05)]
)
def test_each_criterion_of_pristine(column, value):
    assert select(one(PRISTINE_STAR | {column: value}), "pristine") == [False]


@pytest.mark.parametrize("column", list(GOOD_STAR))
def test_a_missing_column_is_named(column):
    star = {name: value for name, value in GOOD_STAR.items() if name != column}
    with pytest.raises(StarkinError, match=f"needs the label column '{column}'"):
        select(one(star), "good")


STARS = spectra(
    a=[1.0, 2.0, np.nan, 4.0],
    b=MaskedColumn([1, 0, 5, 7], mask=[False, False, False, True]),
    name=["x", "y", "", "z"],
)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("a < 3", [1, 1, 0, 0]),
        ("~(a < 3)", [0, 0, 0, 1]),
        ("not a < 3", [0, 0, 0, 1]),
        ("a < 3 | b == 5", [1, 1, 1, 0]),
        ("a < 3 & b > 0", [1, 0, 0, 0]),
        ("a > 1 & a/b > 0.5", [0, 0, 0, 0]),  # 2/0 is missing, NaN is, masked is
        ("1 < a <= 4", [0, 1, 0, 1]),
        ("a**2 + 1 == 5", [0, 1, 0, 0]),
        ("sqrt(abs(-a)) >= 2", [0, 0, 0, 1]),
        ("log10(b) < 0.5", [1, 0, 0, 0]),
        ("missing(a)", [0, 0, 1, 0]),
        ("~missing(b) & (a < 10 | missing(a))", [1, 1, 1, 0]),
        ("name == 'y'", [0, 1, 0, 0]),
        ("name != 'y'", [1, 0, 0, 1]),
        ("bits(b, 0)", [1, 0, 1, 0]),
        ("~bits(b, 0, 2)", [0, 1, 0, 0]),
        ("source_id >= 12", [0, 0, 1, 1]),
        ("1 < 2", [1, 1, 1, 1]),
        (" a <\n 3 ", [1, 1, 0, 0]),
        ("b - 2 < 0", [1, 1, 0, 0]),
    ],
)
def test_conditions_by_hand(expression, expected):
    np.testing.assert_array_equal(select(STARS, expression), np.array(expected, dtype=bool))


def test_several_conditions_all_count():
    np.testing.assert_array_equal(select(STARS, "full", "a < 3", "b > 0"), [1, 0, 0, 0])


def test_large_ids_are_compared_exactly():
    big = 2**61 + 1
    stars = SpectrumSet([big, big - 1], np.zeros((2, 2)), np.ones((2, 2)), XPGrid(1, 1))
    np.testing.assert_array_equal(select(stars, f"source_id == {big}"), [True, False])


@pytest.mark.parametrize(
    "expression",
    [
        "__import__('os').system('true')",
        "a.__class__ == 1",
        "(lambda: 1)() == 1",
        "[a for a in a] == 1",
        "a[0] < 1",
        "open('f') == 1",
        "a if a else a",
        "(b := a) < 1",
        "f'{a}' == 'x'",
        "sqrt(a, out=a) < 1",
        "a is 1",
        "a < 1j",
        "None == a",
    ],
)
def test_nothing_but_conditions_is_run(expression):
    with pytest.raises(StarkinError, match=r"may not|cannot be"):
        select(STARS, expression)


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("a <", "cannot be read"),
        ("", "cannot be read"),
        ("(a < 1", "cannot be read"),
        ("a + 1", "gives numbers"),
        ("(a < 1) + 1 > 0", "yes or no where a number"),
        ("a & b", "number where a yes or no"),
        ("name < 3", "compares text with numbers"),
        ("name + 1 < 3", "calculates with text"),
        ("nonsense < 3", "needs the label column 'nonsense'"),
        ("bits(b, a)", "may not"),
        ("2**" * 3000 + "2 < a", "cannot be"),
    ],
)
def test_senseless_conditions_are_refused_in_one_sentence(expression, message):
    with pytest.raises(StarkinError, match=message) as refusal:
        select(STARS, expression)
    assert "\n" not in str(refusal.value)


@given(st.text(max_size=30))
def test_any_text_is_evaluated_or_refused(text):
    with contextlib.suppress(StarkinError):
        assert select(STARS, text).shape == (4,)


@given(
    st.lists(st.one_of(st.none(), st.floats(-5, 5)), min_size=1, max_size=8),
    st.floats(-5, 5),
)
def test_a_condition_and_its_negation_never_share_a_star(values, threshold):
    column = np.array([np.nan if v is None else v for v in values])
    stars = spectra(x=column)
    yes, no = select(stars, f"x < {threshold}"), select(stars, f"~(x < {threshold})")
    assert not (yes & no).any()
    np.testing.assert_array_equal(yes | no, np.isfinite(column))
