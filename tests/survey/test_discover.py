"""The main job end to end, killed and resumed, and with as little input as there may be."""

from __future__ import annotations

import json

import numpy as np
import pytest
from astropy.table import Table

from starkin.io import Latents, read, write_spectra
from starkin.latent.clusters import FinderSettings
from starkin.latent.discovery import Discovery
from starkin.models import ScatterVAE, ScatterVAEConfig
from starkin.simulate.crossmatch import simulate_crossmatch
from starkin.spectra import StarkinError
from starkin.survey import DiscoverConfig, discover, encode_catalogue, read_settings

QUICK = DiscoverConfig(
    model=ScatterVAEConfig(epochs=6),
    populations=FinderSettings(min_samples=(5,), n_resamples=2),
    n_model_seeds=2,
    n_resamples=3,
    n_surrogates=2,
    n_permutations=49,
    n_spectra_shown=100,
    seed=5,
)


@pytest.fixture(scope="module")
def finished(small_survey, tmp_path_factory):
    folder = tmp_path_factory.mktemp("discover")
    write_spectra(small_survey, folder / "survey.fits")
    steps: list[str] = []
    found = discover(
        folder / "survey.fits",
        folder / "run",
        QUICK,
        crossmatch=simulate_crossmatch(small_survey, completeness=0.5),
        progress=lambda step, done, total, note: steps.append(step),
    )
    return folder, found, steps


def test_every_star_is_in_the_catalogue_with_its_labels(finished, small_survey):
    folder, found, _ = finished
    np.testing.assert_array_equal(found.catalogue.source_id, small_survey.source_id)
    for name in ("population", "membership", "outlier_score", "log_likelihood", "teff", "bp_rp"):
        assert name in found.catalogue.columns.colnames
    for suffix in ("fits", "vot", "parquet"):
        again = Latents.read(folder / "run" / f"catalogue.{suffix}")
        np.testing.assert_allclose(again.mean, found.catalogue.mean, rtol=1e-6)
        np.testing.assert_array_equal(
            again.columns["population"], found.catalogue.columns["population"]
        )


def test_the_folder_gives_the_same_result_back(finished):
    folder, found, _ = finished
    again = Discovery.read(folder / "run")
    assert again.populations.colnames == found.populations.colnames
    assert again.run["config"] == QUICK.to_dict()
    assert DiscoverConfig.from_dict(again.run["config"]) == QUICK
    assert again.statistics["null"] == json.loads(json.dumps(found.statistics["null"]))
    sizes = np.bincount(np.asarray(found.catalogue.columns["population"]) + 1)[1:]
    np.testing.assert_array_equal(found.populations["n_stars"], sizes)


def test_a_second_call_trains_nothing_and_agrees(finished):
    folder, found, first_steps = finished
    assert "train" in first_steps
    steps: list[str] = []
    again = discover(
        folder / "survey.fits",
        folder / "run",
        QUICK,
        progress=lambda step, done, total, note: steps.append(step),
    )
    assert "train" not in steps
    np.testing.assert_array_equal(again.catalogue.mean, found.catalogue.mean)
    np.testing.assert_array_equal(
        again.catalogue.columns["population"], found.catalogue.columns["population"]
    )


def test_other_settings_do_not_land_in_the_same_folder(finished):
    folder, _, _ = finished
    with pytest.raises(StarkinError, match="other settings"):
        discover(folder / "survey.fits", folder / "run", DiscoverConfig(seed=6))


def test_streamed_encoding_equals_encoding_at_once(finished, small_survey, tmp_path):
    folder, found, _ = finished
    model = ScatterVAE.load(folder / "run" / "model")
    n = encode_catalogue(model, small_survey.batches(97), tmp_path / "latents.parquet")
    assert n == len(small_survey)
    streamed = Latents.read(tmp_path / "latents.parquet")
    np.testing.assert_allclose(streamed.mean, found.catalogue.mean, atol=1e-5)
    assert streamed.columns["class_name"].tolist() == small_survey.labels["class_name"].tolist()
    with pytest.raises(StarkinError, match="no spectra"):
        encode_catalogue(model, iter([]), tmp_path / "none.parquet")
    assert not (tmp_path / "none.parquet").exists()


def test_spectra_alone_are_enough(small_survey, tmp_path):
    bare = small_survey.replace(labels=Table())
    found = discover(bare, tmp_path / "run", QUICK)
    assert "spectroscopic_p" in found.populations.colnames
    assert "photometric_p" not in found.populations.colnames
    assert set(found.catalogue.columns["g_flux_method"]) <= {"synthetic", "none"}


def test_the_real_sample_runs_through(shared, tmp_path):
    spectra = read(shared / "gaia_xp" / "xp_continuous_1400_wide.fits")[:400]
    found = discover(spectra, tmp_path / "run", QUICK)
    assert len(found.catalogue) == 400
    assert found.catalogue.usable.all()
    assert np.isfinite(np.asarray(found.catalogue.columns["outlier_score"])).all()


def test_settings_come_from_toml_and_unknown_ones_are_named(tmp_path):
    path = tmp_path / "settings.toml"
    path.write_text("seed = 3\n[model]\nrecipe = 'laroche-speagle'\n[populations]\nreach = 1.5\n")
    config = DiscoverConfig.from_dict(read_settings(path))
    assert (config.seed, config.model.recipe, config.populations.reach) == (
        3,
        "laroche-speagle",
        1.5,
    )
    for text, name in (("sed = 3", "sed"), ("[model]\nlatents = 2", "latents")):
        path.write_text(text)
        with pytest.raises(StarkinError, match=name):
            DiscoverConfig.from_dict(read_settings(path))
    path.write_text("seed = ")
    with pytest.raises(StarkinError, match=r"settings\.toml"):
        read_settings(path)


def test_pages_of_populations_show_the_probability_of_a_class(finished, tmp_path):
    """The classifier's probability of every star, in the catalogue and on the page."""
    pytest.importorskip("xgboost")
    from starkin.models.rivals import BoostedClassifier, BoostedConfig
    from starkin.report.stars import Stars

    folder, _, _ = finished
    survey = read(folder / "survey.fits")
    carbon = np.isin(np.asarray(survey.labels["class_name"]).astype(str), ["cemp", "carbon"])
    trees = BoostedClassifier(BoostedConfig(name="cemp", n_trees=10)).fit(survey, carbon)
    trees.save(tmp_path / "trees")
    one = DiscoverConfig.from_dict(QUICK.to_dict() | {"n_model_seeds": 1})
    found = discover(folder / "survey.fits", tmp_path / "run", one, classifier=tmp_path / "trees")
    np.testing.assert_allclose(
        found.catalogue.columns["cemp_probability"], trees.probability(survey), rtol=1e-6
    )
    assert "median_cemp_probability" in found.populations.colnames
    assert Stars.of(found).labels[0] == "cemp_probability"
    assert Stars.of(found).columns["cemp_probability"].label == "probability of CEMP"
    # The same run without it is another run.
    with pytest.raises(StarkinError, match="other settings"):
        discover(folder / "survey.fits", tmp_path / "run", one)
