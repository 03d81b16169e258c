"""Statistics as the analysis writes them, read for panels and people."""

from __future__ import annotations

import numpy as np
import pytest

from starkin.report import facts
from starkin.report.panels.sweep import sweep_columns, sweep_lines
from starkin.report.panels.training import curve_groups

from .fake_discovery import make_discovery


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1234567, "1,234,567"),
        (0.12345, "0.123"),
        (5772.4, "5,772"),
        (3.2e-7, "3.2e-07"),
        (float("nan"), "–"),
        (np.float32(0.5), "0.5"),
        (np.ma.masked, "–"),
        (True, "yes"),
        ("HDBSCAN", "HDBSCAN"),
    ],
)
def test_numbers_for_people(value: object, text: str) -> None:
    assert facts.number(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.5, "0.50"), (0.0123, "0.012"), (0.0004, "0.0004"), (0.0, "< 0.0001"), (np.nan, "–")],
)
def test_p_values_for_people(value: float, text: str) -> None:
    assert facts.p_value(value) == text


def test_flatten() -> None:
    nested = {"a": 1, "b": {"c": [1, 2], "d": {}}, "e": [{"f": None}]}
    assert facts.flatten(nested) == [
        ("a", "1"),
        ("b.c", "1, 2"),
        ("b.d", "–"),
        ("e[0].f", "not set"),
    ]


def test_null_sentence() -> None:
    statistics = {
        "null": {"n_reference": [1, 1, 0, 3], "n_observed": 7, "p_number": 0.2, "kind": "x"}
    }
    found = facts.null(statistics)
    assert found is not None
    assert found.sentence == (
        "In 4 references that hold a single population (x), the same search found one or none "
        "in 3, and at most 3; in the sample, at the same size, 7 (p = 0.20)."
    )


def test_votes_leave_the_unmatched_out() -> None:
    types, counts = facts.votes({"votes": {"0": {"C*": 2, "unmatched": 90}, "1": {"Be*": 5}}})
    assert types == ["Be*", "C*"]
    assert counts == {"0": {"C*": 2}, "1": {"Be*": 5}}


def test_nothing_gives_nothing() -> None:
    assert facts.stability({}) == {}
    assert facts.null({}) is None
    assert facts.sweep({}) == []
    assert facts.history({}) == {}
    assert facts.votes({}) == ([], {})


def test_headline_counts() -> None:
    found = make_discovery(n_stars=1000, nan_latents=3)
    cards = {card.title: card for card in facts.headline(found)}
    assert cards["stars"].value == "1,000"
    assert "3 could not" in cards["stars"].meaning
    assert cards["populations"].value == "7"
    ari = found.statistics["stability"]["ari"]
    assert cards["stability (ARI)"].value == f"{np.mean(ari):.2f}"


def test_one_population_boasts_of_no_stability() -> None:
    titles = [card.title for card in facts.headline(make_discovery(300, n_populations=1))]
    assert "population" in titles
    assert not [title for title in titles if "ARI" in title]


def test_sweep_goes_along_a_setting_that_varies() -> None:
    rows = [{"min_cluster_size": 15, "min_samples": k, "n_populations": k} for k in (5, 10)]
    assert sweep_columns(rows) == ("min_samples", [], ["n_populations"])


def test_sweep_lines_follow_the_settings_that_vary() -> None:
    rows = [
        {"min_samples": k, "min_cluster_size": s, "method": "eom", "n_populations": k + s}
        for k in (10, 5)
        for s in (40, 20)
    ]
    x, lines, results = sweep_columns(rows)
    assert (x, lines, results) == ("min_cluster_size", ["min_samples"], ["n_populations"])
    drawn = sweep_lines(rows, x, lines)
    assert list(drawn) == ["min_samples 5", "min_samples 10"]
    assert [row["n_populations"] for row in drawn["min_samples 5"]] == [25, 45]


def test_curves_group_by_quantity() -> None:
    step, groups = curve_groups(
        {"validation_kl": [1.0], "train": [2.0], "validation": [3.0], "seconds": [4.0]}
    )
    assert step == ""
    assert groups == {
        "loss": {"train": [2.0], "validation": [3.0]},
        "kl": {"validation": [1.0]},
    }
