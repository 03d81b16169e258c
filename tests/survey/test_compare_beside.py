"""What a comparison tells beside its models: a class by boosted trees, a tree of stars."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.table import Table

pytest.importorskip("xgboost")
pytest.importorskip("skbio")

from starkin.io import Latents, write_spectra
from starkin.latent.comparison import Comparison
from starkin.models.rivals import BoostedClassifier
from starkin.spectra import SpectrumSet, StarkinError, XPGrid
from starkin.survey.class_probability import true_members
from starkin.survey.compare import compare
from starkin.survey.compare_settings import CompareConfig, TreeEntry
from starkin.survey.star_tree import choose_stars, judge_tree

N = 700
CLASSIFIER = {
    "name": "rich",
    "member": "alpha_m > 0.2",
    "settings": {"depth": 3, "n_trees": 60},
}
TREE = {"stars": 6, "types": "component", "select": "bp_rp < 3", "n_copies": 20}


def stars(n: int = N) -> SpectrumSet:
    """Spectra in which nothing but α shows; labels of every tenth star are wrong."""
    rng = np.random.default_rng(0)
    rich = rng.uniform(size=n) < 0.3
    alpha = np.where(rich, 0.3, 0.1) + rng.normal(0, 0.02, n)
    wrong = np.arange(n) % 10 == 0
    values = 100 * (5 + np.outer(10 * (alpha - 0.2), np.ones(110)) * np.linspace(-1, 1, 110))
    errors = np.full(values.shape, 10.0)
    spectra = SpectrumSet(
        1 + np.arange(n), values + errors * rng.standard_normal(values.shape), errors, XPGrid()
    )
    return spectra.with_labels(
        alpha_m=np.where(wrong, 0.4 - alpha, alpha),
        true_alpha_m=alpha,
        bp_rp=rng.uniform(0.5, 2, n),
        phot_g_mean_flux=np.full(n, 1e4),
        phot_g_mean_mag=np.full(n, 15.0),
        ra=np.zeros(n), dec=np.zeros(n), l=np.zeros(n), b=np.zeros(n),
        component=np.where(rich, "thick_disc", "thin_disc"),
    )  # fmt: skip


def config(folder, **more) -> CompareConfig:
    return CompareConfig.from_dict(
        {
            "data": {"files": [str(folder / "stars.parquet")]},
            "split": {"train": 0.6, "validation": 0.1},
            "models": [{"kind": "pca", "name": "two", "settings": {"n_latent": 2}}],
            "measures": ["reconstruction"],
            "classifier": CLASSIFIER,
            "phylogeny": TREE,
            **more,
        }
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    out = tmp_path_factory.mktemp("beside")
    write_spectra(stars(), out / "stars.parquet")
    return out


@pytest.fixture(scope="module")
def found(folder):
    return compare(config(folder), folder / "run")


def test_members_are_judged_by_their_true_labels():
    spectra = stars(200)
    np.testing.assert_array_equal(
        true_members(spectra, "alpha_m > 0.2"), spectra.label("true_alpha_m") > 0.2
    )


def test_the_class_is_found_in_spite_of_wrong_examples(found, folder):
    told = found.details[""]["classifier"]
    assert told["roc_auc"] > 0.98
    assert told["n_members"] < told["n"]
    # Every tenth label is wrong, so that members are claimed with nine parts in ten at most.
    at_half = next(row for row in told["rows"] if row["threshold"] == pytest.approx(0.5))
    assert at_half["completeness"] > 0.9
    assert at_half["contamination_low"] <= at_half["contamination"] < 0.1
    assert told["asked"]["contamination"] <= told["asked"]["limit"] == 0.12
    probability = Table.read(folder / "run" / "classifier" / "probabilities.fits")
    assert len(probability) == told["n"] == found.run["stars"]["n_test"]
    assert probability["member"].sum() == told["n_members"]
    assert np.nansum(probability["rich_probability"]) == pytest.approx(told["expected"])
    model = BoostedClassifier.load(folder / "run" / "classifier" / "model")
    test = stars()[probability["source_id"] - 1]
    np.testing.assert_allclose(model.probability(test), probability["rich_probability"], rtol=1e-5)


def test_the_tree_holds_the_chosen_stars_and_keeps_types_together(found, folder):
    told = found.details[""]["phylogeny"]
    assert told["model"] == "two"
    assert sorted(told["types"]) == ["thick_disc"] * 6 + ["thin_disc"] * 6
    assert told["alike"]["share"] > 0.9
    assert told["alike"]["p_value"] < 0.02
    text = (folder / "run" / "phylogeny" / "tree.nwk").read_text()
    assert text.strip() == told["newick"]
    assert all(star in text for star in told["stars"])


def test_both_are_read_back_and_made_anew_only_when_they_change(found, folder):
    again = Comparison.read(folder / "run").details[""]
    assert again["phylogeny"]["newick"] == found.details[""]["phylogeny"]["newick"]
    steps: list[str] = []

    def tell(step, *rest):
        steps.append(step)

    compare(config(folder), folder / "run", progress=tell)
    assert not {"classifier", "phylogeny"} & set(steps)
    other = compare(
        config(folder, phylogeny={**TREE, "stars": 3}), folder / "run", progress=tell
    ).details[""]
    assert "phylogeny" in steps
    assert "classifier" not in steps
    assert len(other["phylogeny"]["stars"]) == 6


def test_what_fails_beside_the_models_does_not_stop_them(folder):
    impossible = {"member": "alpha_m > 9"}
    told = compare(config(folder, classifier=impossible, phylogeny=None), folder / "failed")
    assert "two or more usable members" in told.details[""]["classifier"]["problem"]
    assert "phylogeny" not in told.details[""]
    assert np.isfinite(told.table["rms"][0])


def test_a_tree_of_abundances_has_their_errors():
    spectra = stars(300).with_labels(alpha_m_error=np.full(300, 0.01))
    by_label = judge_tree(TreeEntry(labels=("alpha_m",), stars=5, n_copies=10), spectra, None, 0)
    assert by_label["space"] == ["alpha_m"]
    assert by_label["n_copies"] == 10
    bare = stars(300)
    assert judge_tree(TreeEntry(labels=("alpha_m",), stars=5), bare, None, 0)["n_copies"] == 0


def test_stars_by_name_and_what_cannot_be_chosen():
    spectra = stars(50)
    usable = np.ones(50, dtype=bool)
    rows, _ = choose_stars(TreeEntry(stars=(7, 3, 9, 20)), spectra, usable, 0)
    assert spectra.source_id[rows].tolist() == [7, 3, 9, 20]
    usable[2] = False
    with pytest.raises(StarkinError, match="Star 3 of the tree"):
        choose_stars(TreeEntry(stars=(7, 3, 9, 20)), spectra, usable, 0)
    with pytest.raises(StarkinError, match="select less strictly"):
        choose_stars(TreeEntry(select="bp_rp < 0"), spectra, usable, 0)
    rows, types = choose_stars(TreeEntry(types="nothing", stars=5), spectra, usable, 0)
    assert (len(rows), set(types)) == (5, {"star"})


def test_latents_are_counted_in_their_own_spread():
    """A unit of a latent is arbitrary: a thousand times as large, the tree is the same."""
    spectra, rng = stars(40), np.random.default_rng(1)
    mean = rng.normal(size=(40, 2))
    variance = np.full((40, 2), 0.01)
    small = Latents(spectra.source_id, mean, variance)
    large = Latents(spectra.source_id, mean * [1, 1e3], variance * [1, 1e6])
    entry = TreeEntry(stars=4, n_copies=20)
    one, other = (judge_tree(entry, spectra, latents, 0) for latents in (small, large))
    assert one["n_supported"] == other["n_supported"]
    assert one["stars"] == other["stars"]
    assert one["alike"] == other["alike"]


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"phylogeny": {"stars": 0}}, r"TreeEntry\.stars"),
        ({"phylogeny": {"model": "three"}}, "latents of 'three'"),
        ({"phylogeny": {"model": "two", "labels": ["m_h"]}}, "one of the two"),
        ({"classifier": {"contamination": 2}}, r"ClassifierEntry\.contamination"),
        ({"classifier": {"depth": 2}}, "Unknown setting"),
    ],
)
def test_wrong_settings_are_told(tmp_path, given, sentence):
    with pytest.raises(StarkinError, match=sentence):
        config(tmp_path, **given)
