"""Models side by side: one table, resumable by model, and failures that stay their own."""

from __future__ import annotations

import json

import numpy as np
import pytest
from astropy.table import Table

from starkin.io import write_spectra
from starkin.latent.comparison import Comparison, table_of
from starkin.latent.intervals import Interval
from starkin.spectra import SpectrumSet, StarkinError, XPGrid
from starkin.survey.compare import compare
from starkin.survey.compare_data import compare_stars
from starkin.survey.compare_settings import CompareConfig
from starkin.survey.judge import encoded
from starkin.survey.label_gap import gap_squares, judge_gap, told_labels

N = 900


def _stars() -> tuple[SpectrumSet, np.ndarray]:
    """Spectra linear in temperature, gravity, metallicity and α, with noise."""
    rng = np.random.default_rng(0)
    dwarf = rng.uniform(size=N) < 0.5
    teff = np.where(dwarf, rng.uniform(4200, 6600, N), rng.uniform(4000, 5400, N))
    logg = np.where(dwarf, rng.normal(4.5, 0.1, N), rng.uniform(0.8, 3.2, N))
    m_h = rng.normal(-0.25, 0.25, N)
    rich = rng.uniform(size=N) < 0.4
    alpha = np.where(rich, 0.28, 0.06) + rng.normal(0, 0.02, N) - 0.1 * m_h
    hidden = np.column_stack([(teff - 5000) / 800, logg - 3, 2 * m_h, 8 * (alpha - 0.15)])
    pattern = rng.normal(size=(4, 110)) / np.sqrt(1 + np.arange(110))
    truth = 100 * (20 / (1 + np.arange(110)) + hidden @ pattern)
    errors = np.full((N, 110), 2.0) * rng.uniform(0.5, 2.0, (N, 1))
    spectra = SpectrumSet(
        source_id=1000 + np.arange(N),
        values=truth + errors * rng.standard_normal(truth.shape),
        errors=errors,
        grid=XPGrid(),
    )
    return spectra.with_labels(
        teff=teff,
        logg=logg,
        m_h=m_h,
        alpha_m=alpha,
        bp_rp=2 - teff / 5000,
        phot_g_mean_flux=np.full(N, 1e4),
        phot_g_mean_mag=rng.uniform(10, 17, N),
        l=rng.uniform(0, 360, N),
        b=rng.uniform(-90, 90, N),
        ra=rng.uniform(0, 360, N),
        dec=rng.uniform(-90, 90, N),
    ), truth


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("compare")
    spectra, truth = _stars()
    write_spectra(spectra, folder / "stars.parquet")
    write_spectra(spectra.replace(values=truth)[::-1], folder / "truth.parquet")
    return folder


def _config(files, models, **more) -> CompareConfig:
    data = {"files": [str(files / "stars.parquet")], "truth": str(files / "truth.parquet")}
    return CompareConfig.from_dict(
        {"data": data, "split": {"train": 0.3, "validation": 0.05}, "models": models, **more}
    )


_FOUR = {"kind": "pca", "name": "four", "settings": {"n_latent": 4}}
_ONE = {"kind": "pca", "name": "one", "settings": {"n_latent": 1}}


@pytest.fixture(scope="module")
def found(files):
    return compare(_config(files, [_FOUR, _ONE]), files / "run")


def test_the_better_model_is_better_in_every_measure(found):
    four, one = found.table
    assert four["rms"] < one["rms"]
    # As many dimensions as there are: the noise is all that is left, and less of it in truth.
    assert 0.9 < four["rms"] < 1.1
    assert four["rms_truth"] < 0.5
    assert one["ratio_low"] > 3
    assert four["ratio"] == 1.0
    assert four["alpha_balanced_accuracy"] > 0.9
    assert four["alpha_beats_labels"] == 1
    assert one["alpha_advantage"] < four["alpha_advantage"]
    assert four["matched_accuracy_low"] > 0.7
    assert four["gradient_ms"] > 0.9
    assert four["branch_purity"] > 0.95
    assert four["information_alpha_m"] > one["information_alpha_m"]
    assert abs(four["r2_g_mag"]) < 0.4
    assert four["n"] == one["n"]


def test_what_is_behind_the_table(found):
    details = found.details["four"]
    assert len(details["by_coefficient"]["rms"]) == 110
    assert len(details["by_wavelength_truth"]["bias"]) == 343
    assert set(details["by_label"]) >= {"teff", "logg", "m_h", "bp_rp", "phot_g_mean_mag"}
    assert sum(details["by_label"]["logg"]["n"]) <= len(found.latents["four"])
    assert np.sum(details["alpha"]["latents"]["confusion"]) == found.details[""]["alpha"]["n"]
    track = details["evolution"]["tracks"]["main sequence"]
    assert np.shape(track["mean"]) == (50, 4)
    assert np.shape(track["spectra"]["flux"]) == (6, 343)
    assert found.details[""]["alpha"]["control"]["p_value"] > 0.001
    assert found.run["config"]["seed"] == 0
    assert len(found.run["stars"]["test"]) == 16


def test_the_folder_reads_back(found, files):
    again = Comparison.read(files / "run")
    assert again.details == json.loads(json.dumps(found.details))
    np.testing.assert_array_equal(again.latents["one"].mean, found.latents["one"].mean)
    assert list(again.table["model"]) == ["four", "one"]
    for suffix in ("fits", "csv"):
        table = Table.read(files / "run" / f"comparison.{suffix}")
        assert table["rms"][0] == pytest.approx(found.table["rms"][0])
    page = (files / "run" / "comparison.md").read_text()
    assert page.startswith("| model |")
    assert page.count("\n") == 4
    assert again.table["ratio"].description.startswith("RMSE over")
    (files / "run" / "details.json").write_text("{")
    with pytest.raises(StarkinError, match="run it again"):
        Comparison.read(files / "run")


def test_only_what_is_new_is_done_and_failures_stay_their_own(found, files):
    """A third model joins; the others are not trained again. One cannot be trained at all."""
    before = {p: p.stat().st_mtime_ns for p in (files / "run" / "models").rglob("*.safetensors")}
    impossible = {"kind": "cannon", "name": "cannon", "settings": {"labels": ["teff", "nothing"]}}
    steps = []
    again = compare(
        _config(files, [_FOUR, impossible, {**_ONE, "name": "renamed"}]),
        files / "run",
        progress=lambda step, *rest: steps.append(step),
    )
    assert not any(step.startswith(("train four", "train renamed")) for step in steps)
    assert all(p.stat().st_mtime_ns == t for p, t in before.items())
    assert "nothing" in again.table["problem"][1]
    assert again.table["problem"][0] == ""
    assert np.isnan(again.table["rms"][1])
    assert again.models == ["four", "renamed"]
    with pytest.raises(StarkinError, match=r"compared; cannon: .*nothing"):
        compare(_config(files, [impossible]), files / "run")
    assert again.table["rms"][2] == found.table["rms"][1]


def test_a_measure_that_is_asked_for_later_encodes_nothing_again(files, monkeypatch):
    """Latents are read back, and the rest is as if it had been asked for at once."""
    from starkin.models.rivals import PCA

    run = files / "later"
    compare(_config(files, [_ONE], measures=["reconstruction"]), run)
    monkeypatch.setattr(PCA, "encode", None)
    later = compare(_config(files, [_ONE], measures=["reconstruction", "information"]), run)
    monkeypatch.undo()
    whole = compare(
        _config(files, [_ONE], measures=["reconstruction", "information"]), files / "at_once"
    )
    assert later.table["rms"][0] == whole.table["rms"][0]
    assert later.table["information_teff"][0] == whole.table["information_teff"][0]


def test_another_seed_is_another_run(found, files):
    with pytest.raises(StarkinError, match="other settings"):
        compare(_config(files, [_ONE], seed=1), files / "run")


def test_wrong_settings_are_told_before_the_work(files, tmp_path):
    for models, sentence in (
        ([{"kind": "oracle"}], "no model of kind"),
        ([{"kind": "pca", "settings": {"latents": 3}}], "latents"),
        ([_ONE, _ONE], "different names"),
        ([], "at least one"),
        ([{"name": "x"}], "needs a kind"),
    ):
        with pytest.raises(StarkinError, match=sentence):
            compare(_config(files, models), tmp_path / "never")
    for more, sentence in (
        ({"gaps": ["ugly"]}, "gaps"),
        ({"measures": ["beauty"]}, "measures"),
        ({"reference": "two"}, "reference"),
        ({"cut": "best"}, "cut"),
        ({"colour": 1}, "Unknown setting"),
    ):
        with pytest.raises(StarkinError, match=sentence):
            _config(files, [_ONE], **more)
    with pytest.raises(StarkinError, match="simulated"):
        compare(_config(files, [_ONE], gaps=["missing"]), tmp_path / "never")
    assert not (tmp_path / "never").exists()


def test_truth_is_matched_by_star_and_divided_by_the_same_flux(files):
    stars = compare_stars(_config(files, [_ONE]))
    pull = (stars.observed.values - stars.truth) / stars.observed.errors
    assert pull.std() == pytest.approx(1.0, abs=0.02)


def test_a_star_that_was_lost_counts_as_unknown(found):
    latents = found.latents["four"][:5]
    mean = latents.mean.copy()
    mean[2] = np.nan
    from dataclasses import replace

    filled = encoded(replace(latents, mean=mean))
    np.testing.assert_allclose(filled[2], np.median(np.delete(mean, 2, axis=0), axis=0))


def test_the_gap_of_a_model_by_hand():
    """Cool stars 0..19: errors 1 without the gap, 4 with it: RMSE ratio 2."""
    n = 60
    kind = np.array(["field"] * 40 + ["binary"] * 20)
    teff = np.where(np.arange(n) < 20, 4000.0, 5500.0)
    spectra = SpectrumSet(np.arange(n), np.ones((n, 2)), np.ones((n, 2)), XPGrid(1, 1))
    spectra = spectra.with_labels(true_teff=teff, true_logg=np.full(n, 4.5), class_name=kind)
    from starkin.survey.compare_data import CompareStars

    stars = CompareStars(spectra, spectra, spectra)
    squares = np.ones(n)
    worse = np.where(np.arange(n) < 20, 4.0, 1.0)
    worse[0] = np.nan
    found, details = judge_gap("missing", stars, squares, worse, 0)
    assert (found.value, found.n, details["lost"]) == (pytest.approx(2.0), 19, 1)
    # A model that sees no labels is the same model with or without the gap.
    same, details = judge_gap("missing", stars, squares, None, 0)
    assert (same.value, details["unchanged"]) == (1.0, True)
    # Binaries against ordinary stars, the cool ones included in no other gap left out.
    squares[40:] = 9.0
    binaries, _ = judge_gap("multiple", stars, squares, None, 0)
    assert binaries.value == pytest.approx(3.0)
    none, details = judge_gap("peculiar", stars, squares, None, 0)
    assert np.isnan(none.value)
    assert "too few" in details["problem"]


def test_only_stars_of_the_gap_are_encoded_and_their_errors_are_the_same():
    spectra, truth = _stars()
    sample = spectra[:200].with_labels(
        true_teff=spectra.label("teff")[:200],
        true_logg=spectra.label("logg")[:200],
        class_name=np.array(["field"] * 200),
    )
    concerned = (sample.label("true_teff") < 4300) | (sample.label("true_logg") < 1.75)
    assert 10 < concerned.sum() < 190
    from starkin.models.rivals import PCA, PCAConfig
    from starkin.spectra import normalise
    from starkin.survey.compare_data import CompareStars
    from starkin.survey.judge import reconstruct

    clean = truth[:200] / normalise(sample).label("g_flux")[:, np.newaxis]
    stars = CompareStars(sample, sample, sample, clean)
    model = PCA(PCAConfig(n_latent=2), threads=1).fit(sample)
    found = gap_squares(model, stars, "missing")
    assert np.isnan(found[~concerned]).all()
    everyone = reconstruct(model, stars)[1].mean_square("truth")
    np.testing.assert_allclose(found[concerned], everyone[concerned], rtol=1e-6)


def test_spectra_at_catalogue_labels_are_those_that_the_model_decodes_there():
    from starkin.models.rivals import PCA, Cannon, CannonConfig, PCAConfig
    from starkin.survey.compare_data import CompareStars
    from starkin.survey.judge import at_labels, reconstruct

    spectra, _ = _stars()
    model = Cannon(CannonConfig(labels=("teff", "logg"))).fit(spectra[:300])
    teff = spectra.label("teff")[300:340].copy()
    teff[:20] += 800.0  # a poor catalogue: fitted labels do not know of it
    teff[-1] = np.nan
    stars = CompareStars(spectra, spectra, spectra[300:340].with_labels(teff=teff), None)
    latents, fitted, _ = reconstruct(model, stars)
    found = at_labels(model, stars, latents)
    labels = np.column_stack([teff, stars.test.label("logg")])
    np.testing.assert_allclose(found.predicted[:-1], model.decode(labels[:-1]).values)
    assert np.isnan(found.predicted[-1]).all()
    assert np.isfinite(fitted.predicted).all()
    ratio = found.mean_square()[:-1] / fitted.mean_square()[:-1]
    assert np.median(ratio[:20]) > 2 > np.median(ratio[20:])
    pca = PCA(PCAConfig(n_latent=2)).fit(spectra[:300])
    assert at_labels(pca, stars, pca.encode(stars.test)) is None


def test_who_is_told_labels():
    from starkin.models.load import new_model

    told = {
        ("pca", ()): (),
        ("cannon", (("labels", ("teff", "m_h")),)): ("teff", "m_h"),
        ("lb23", (("labels", ("teff",)),)): ("teff",),
        ("lb23", (("use", "spectrum"),)): (),  # its settings name labels that it never asks for
        ("polynomial-pca", ()): ("teff", "logg"),
    }
    for (kind, settings), labels in told.items():
        assert told_labels(new_model(kind, dict(settings))) == labels


def test_a_table_by_hand():
    table = table_of(
        [
            {"model": "a", "rms": 1.0, "ratio": Interval(2.0, 1.5, 2.5, 9), "n_latent": 6},
            {"model": "b", "problem": "no"},
        ]
    )
    assert table.colnames == [
        "model", "n_latent", "rms", "ratio", "ratio_low", "ratio_high", "problem",
    ]  # fmt: skip
    assert table["ratio_high"][0] == 2.5
    assert np.isnan(table["rms"][1])
    assert "| a | 6 | 1.000 | 2.000 ± 0.500 |" in Comparison(table).markdown()
    assert "| b | – | – | – |" in Comparison(table).markdown()


def test_names_in_any_letters_go_into_every_format(tmp_path):
    """FITS holds ASCII alone; the other files keep the name as it is."""
    general = {"": {"reference": "β-VAE"}}
    found = Comparison(table_of([{"model": "β-VAE é", "rms": 1.0}]), general)
    found.write(tmp_path)
    assert Table.read(tmp_path / "comparison.fits")["model"][0] == "beta-VAE e"
    assert Comparison.read(tmp_path).table["model"][0] == "β-VAE é"
    assert "β-VAE é" in (tmp_path / "comparison.md").read_text()
