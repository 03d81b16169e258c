"""The page and the figures of a comparison: complete, offline, and honest about what failed."""

from __future__ import annotations

import re

import numpy as np
import pytest

from starkin.io import Latents
from starkin.latent.comparison import Comparison, table_of
from starkin.latent.intervals import Interval
from starkin.report import write_comparison
from starkin.report.comparison_figures import COMPARISON_FIGURES, _telling


def _interval(value: float) -> dict[str, float]:
    return {"value": value, "low": value - 0.02, "high": value + 0.03, "n": 100}


def _classifier(name: str, value: float) -> dict:
    found = {m: _interval(value) for m in ("accuracy", "balanced_accuracy", "mcc", "f1")}
    return {"name": name, "n": 100, "confusion": [[40, 10], [12, 38]], **found}


def _model(level: float) -> dict:
    nm = np.linspace(336, 1020, 50)
    errors = {"bias": [0.01] * 50, "spread": [level] * 50, "rms": [level] * 50}
    fractions = {"bias_fraction": [0.001 * level] * 50, "spread_fraction": [0.01] * 50}
    bins = {"low": [4000.0, 5000], "high": [5000.0, 6000], "n": [30, 40]}
    errors_in_bins = {"rms": [level, 2 * level], "rms_low": [0.9 * level, level]}
    return {
        "by_wavelength_truth": {"wavelength": nm.tolist(), **errors, **fractions},
        "by_coefficient": {
            "coefficient": [f"{b}_{i}" for b in ("bp", "rp") for i in range(6)],
            "band": ["bp"] * 6 + ["rp"] * 6,
            "order": [*range(6), *range(6)],
            **{k: [level] * 12 for k in ("bias", "spread", "rms")},
        },
        "by_label": {"teff": {**bins, **errors_in_bins, "rms_high": [1.1 * level, 3 * level]}},
        "alpha": {"latents": _classifier("latents", 0.8), "matched": _interval(0.7)},
        "evolution": {
            "tracks": {
                "main sequence": {
                    "along": "teff",
                    "coordinate": [4000.0, 6000.0],
                    "mean": [[0.0, 0.1], [1.0, -1.0]],
                    "spectra": {
                        "wavelength": nm.tolist(),
                        "coordinate": [4000.0, 6000.0],
                        "flux": [[1.0] * 50, [2.0] * 50],
                    },
                },
                "giant branch": {"problem": "too few"},
            }
        },
        "information": [
            {"label": "teff", "per_dimension": [0.5, 0.2], "joint": 0.8},
            {"label": "m_h", "per_dimension": [0.1, 0.2], "joint": 0.25},
        ],
    }


@pytest.fixture(scope="module")
def comparison() -> Comparison:
    rng = np.random.default_rng(0)
    latents = Latents(np.arange(80), rng.normal(size=(80, 2)), np.ones((80, 2))).with_columns(
        teff=rng.uniform(4000, 6500, 80), logg=rng.uniform(1, 5, 80), m_h=rng.normal(size=80)
    )
    good = Interval(0.9, 0.85, 0.95, 80)
    rows = [
        {"model": name, "kind": "pca", "labels": "", "n_latent": 2, "n_failed": 0, "rms": level,
         "rms_truth": level, "ratio": Interval(level, level - 0.1, level + 0.1, 80),
         "r2_a_v": good, "gap_missing": good, "alpha_balanced_accuracy": good}
        for name, level in (("first <b>", 0.5), ("second", 1.25))
    ]  # fmt: skip
    rows.append({"model": "broken", "kind": "cannon", "problem": "It lacks the label 'age'."})
    general = {
        "reference": "first <b>",
        "against": "truth",
        "alpha": {
            "n": 80,
            "n_pairs": 40,
            "baselines": [_classifier("[M/H]", 0.6), _classifier("coefficients", 0.85)],
            "control": {"name": "labels", **_interval(0.5)},
        },
    }
    threshold = np.linspace(0, 1, 11)
    curve = {"threshold": threshold.tolist(), "n_selected": [40 - 4 * i for i in range(11)]}
    for name, values in (("completeness", 1 - threshold), ("contamination", 0.5 - 0.4 * threshold)):
        curve |= {name: values.tolist()}
        curve |= {f"{name}_low": (values - 0.01).tolist(), f"{name}_high": values.tolist()}
    row = {name: values[5] for name, values in curve.items()}
    general["classifier"] = {
        "name": "cemp", "member": "c_m > 0.7 & m_h < -1", "n_examples": 21, "n": 80,
        "n_members": 17, "expected": 16.5, "roc_auc": 0.93, "average_precision": 0.71,
        "probability": {"members": [0.2, 0.9, 0.8], "others": [60] + [1] * 19},
        "curve": curve, "rows": [row], "asked": {"limit": 0.3, **row},
    }  # fmt: skip
    general["phylogeny"] = {
        "newick": "((1:0.5,2:0.1)0.90:0.4,3:0.2,(4:0.3,5:0.1)0.20:0.1);", "model": "first <b>",
        "select": "teff < 5000", "stars": list("12345"),
        "types": ["halo", "halo", "disc_", "disc_", "disc_"],
        "labels": {"teff": [4000.0, 4100.0, None, 4300.0, 4400.0]}, "n_copies": 50,
        "n_branches": 2, "n_supported": 1,
        "alike": {"share": 0.8, "by_chance": 0.4, "p_value": 0.02},
    }  # fmt: skip
    return Comparison(
        table_of(rows),
        {"first <b>": _model(0.5), "second": _model(1.25), "": general},
        {"first <b>": latents, "second": latents},
        {
            "stars": {"n_test": 80},
            "config": {"seed": 3},
            "seconds": {"fit pca-1": 1.5, "judge pca-1 alpha": 2.25, "alpha": 3.0},
            "cpu_seconds": 6.5,
        },
    )


@pytest.fixture(scope="module")
def folder(comparison, tmp_path_factory):
    out = tmp_path_factory.mktemp("report")
    comparison.write(out)
    write_comparison(out, out)
    return out


def test_every_figure_is_drawn_for_paper_and_screen(folder):
    names = {p.name for p in (folder / "figures").iterdir()}
    assert names == {f"{n}.{s}" for n in COMPARISON_FIGURES for s in ("pdf", "png")}
    assert all(p.stat().st_size > 2000 for p in (folder / "figures").iterdir())


def test_the_page_fetches_nothing_and_escapes_names(folder):
    page = (folder / "comparison.html").read_text()
    outside = re.sub(r"(?s)<script.*?</script>", "", page)  # Bokeh's own code names addresses
    assert not re.findall(r"""(?:src|href)=["'](?!data:|#)""", outside)
    assert not re.findall(r"<script[^>]+src=", page)
    assert "first &lt;b&gt;" in page
    assert "first <b></th>" not in page
    assert "first <b></em>" not in page
    assert "connect-src 'none'" in page


def test_the_page_tells_all_models_their_numbers_and_failures(folder):
    page = (folder / "comparison.html").read_text()
    rows = re.findall(r"<tr[^>]*><th scope=\"row\" data-sort=\"([^\"]*)\"", page)
    assert rows == ["first &lt;b&gt;", "second", "broken"]
    assert "It lacks the label" in page
    assert "1.25" in page
    assert 'title="95 %: 1.15 to 1.35"' in page
    assert "80 others" in page
    assert "Of the 80 test stars 17 are members; the probabilities add up to 16.5" in page
    rows = re.findall(r"<th scope=\"row\">([^<]*)</th><td>([^<]*)</td>", page)
    assert {("pca-1", "3.8"), ("alpha", "3"), ("processor time of all", "6.5")} <= set(rows)
    assert "1 of 2 inner branches stand in at least half of 50 trees" in page
    for section in (
        "table", "reconstruction", "alpha", "nuisance", "gap", "classifier", "phylogeny", "run",
        "reading",
    ):  # fmt: skip
        assert f'id="{section}"' in page


def test_each_track_is_shown_in_the_latent_it_moves_in():
    """The main sequence moves most in z3, the giants in z2; z1 is large but scatters as much."""
    z = np.random.default_rng(0).normal(size=(500, 3)) * [100, 1, 1]
    dwarfs, giants = {"mean": [[0, 0, 0], [9, 1, 4]]}, {"mean": [[0, 0, 0], [9, 2, 1.5]]}
    assert _telling(z, {"main sequence": dwarfs, "giant branch": giants}) == (2, 1)
    assert _telling(z, {"main sequence": dwarfs, "giant branch": {"problem": "few"}}) == (2, 1)
    assert _telling(z, {}) == (0, 1)
    assert _telling(z[:, :1], {"main sequence": {"mean": [[0], [1]]}}) == (0, 0)


def test_what_failed_beside_the_models_is_told(comparison, tmp_path):
    general = comparison.details[""] | {
        "classifier": {"problem": "It needs two or more usable members."},
        "phylogeny": {"problem": "Only 3 test stars are left for the tree."},
    }
    failed = Comparison(
        comparison.table, comparison.details | {"": general}, comparison.latents, comparison.run
    )
    page = write_comparison(failed, tmp_path / "failed").read_text()
    assert "It needs two or more usable members." in page
    assert "Only 3 test stars are left for the tree." in page
    drawn = {p.stem for p in (tmp_path / "failed" / "figures").iterdir()}
    assert not {"selection", "phylogeny"} & drawn


def test_too_few_matched_pairs_are_counted(comparison, tmp_path):
    unmatched = {k: v for k, v in comparison.details["second"].items() if k != "alpha"}
    alpha = {"n": 952, "n_pairs": 4, "baselines": [_classifier("[M/H]", 0.6)]}
    general = {"reference": "second", "against": "truth", "alpha": alpha}
    few = Comparison(comparison.table[1:2], {"second": unmatched, "": general}, {}, {})
    page = write_comparison(few, tmp_path).read_text()
    assert "Of 952 stars 4 pairs are alike in all labels and colour" in page


def test_parts_that_are_not_there_are_left_out(comparison, tmp_path):
    """A run that measured reconstruction alone."""
    bare = {k: v for k, v in comparison.details["second"].items() if k.startswith("by_")}
    general = {"reference": "second", "against": "truth"}
    small = Comparison(comparison.table[1:2], {"second": bare, "": general}, {}, {})
    page = write_comparison(small, tmp_path / "small").read_text()
    assert "too few stars with labels for the α test" in page
    drawn = {p.stem for p in (tmp_path / "small" / "figures").iterdir()}
    assert {"wavelength", "coefficients", "labels"} <= drawn
    assert not {"alpha", "selection", "phylogeny"} & drawn
    assert 'id="classifier"' not in page
