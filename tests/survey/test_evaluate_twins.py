"""The harness on a world in which every figure is known."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from astropy.table import Table

from starkin.io.catalogue import read_table
from starkin.spectra import StarkinError
from starkin.survey.evaluate_twins import evaluate_twins
from starkin.survey.evaluation_settings import TwinEvaluation
from starkin.survey.evaluation_table import markdown, table_of
from starkin.survey.twin_ceiling import Ceiling, ceiling_figures
from starkin.survey.twin_trial import Pool, swap_errors

from .twin_world import CONTINUUM, ELEMENTS, LINES, LinearTwins, observed, pairs

SETTINGS = TwinEvaluation(snr=(np.inf, 40.0), n_seeds=2, n_known_pairs=50, n_probed=600)


@pytest.fixture(scope="module")
def spectra():
    return pairs(300)


@pytest.fixture(scope="module")
def fisher():
    return np.tile(LINES @ LINES.T * 100.0**2, (600, 1, 1))


@pytest.fixture(scope="module")
def evaluated(spectra, fisher, tmp_path_factory):
    out = tmp_path_factory.mktemp("evaluation") / "run"
    models = {"told": LinearTwins(), "untold": LinearTwins(told=False)}
    ceiling = Ceiling(fisher, ELEMENTS)
    table = evaluate_twins(models, spectra, out, SETTINGS, ceiling=ceiling, observe=observed)
    return table, out


def rows(table, **wanted):
    keep = np.ones(len(table), dtype=bool)
    for name, value in wanted.items():
        keep &= np.asarray(table[name]) == value
    return table[keep]


def test_a_row_for_each_model_track_noise_and_seed(evaluated):
    table, _ = evaluated
    assert len(table) == 2 * 3 * (1 + 2) + 3
    assert set(table["track"]) == {"inductive", "transductive", "pairs"}
    assert (rows(table, model="told")["n_queries"] == 600).all()


def test_the_model_that_knows_the_world_reaches_the_ceiling(evaluated):
    table, _ = evaluated
    told = rows(table, model="told", track="inductive", snr=40.0)["own_first"].mean()
    best = rows(table, model="ceiling (true model)", snr=40.0)["own_first"].mean()
    assert 0.3 < best < 0.98
    assert told == pytest.approx(best, abs=0.05)
    assert (rows(table, model="told", track="inductive", snr=np.inf)["own_first"] == 1).all()


def test_the_best_estimate_leaks_what_the_size_of_its_noise_tells():
    """Two elements; of hot stars the first is measured worse, so that large values are hot."""
    rng = np.random.default_rng(0)
    abundances = {name: np.tile(rng.normal(0, 0.1, 1000), 2) for name in ("mg_h", "si_h")}
    teff = rng.choice([4000.0, 5000.0], 2000)
    partner = (np.arange(2000) + 1000) % 2000
    pool = Pool(np.arange(2000) % 1000, partner, {"teff": teff}, abundances)

    def leaked(worse: float) -> float:
        errors = np.column_stack([np.where(teff > 4500, worse * 0.05, 0.05), np.full(2000, 0.05)])
        ceiling = Ceiling(np.stack([np.diag(e**-2) for e in errors]), ("mg_h", "si_h"))
        return ceiling_figures(ceiling, pool, 100.0, 0, SETTINGS)[0]["leakage_teff"]

    assert leaked(1.0) < 0.02
    assert leaked(10.0) > 0.3


def test_what_one_model_lacks_shows_in_every_figure(evaluated):
    table, _ = evaluated
    told, untold = (
        rows(table, model=m, track="inductive", snr=np.inf)[0] for m in ("told", "untold")
    )
    assert told["leakage_teff"] < 0.05 < 0.3 < untold["leakage_teff"]
    assert untold["own_first"] < 0.5 < told["l2_first"]
    assert told["kept_mean"] > 0.99 > untold["kept_mean"]
    assert told["mse"] < 1e-20
    assert untold["swap_ratio"] > 1.2
    # Known pairs, or the pool's own neighbours, teach which directions leak.
    known = rows(table, model="untold", track="pairs", snr=np.inf)[0]
    assert known["own_first"] > 2 * untold["own_first"]


def test_noise_seeds_differ_and_calibration_is_right_for_the_true_model(evaluated):
    table, _ = evaluated
    noisy = rows(table, model="told", track="inductive", snr=40.0)
    assert len(set(noisy["own_first"])) == 2
    assert (noisy["ece"] < 0.1).all()


def test_files_and_provenance(evaluated):
    table, out = evaluated
    for name in ("twins.csv", "twins.fits"):
        again = read_table(out / name)
        np.testing.assert_allclose(again["own_first"], table["own_first"])
    fits = read_table(out / "twins.fits")
    assert fits["own_first"].description == (
        "part of queries whose twin is the nearest, by the model's likelihood ratio"
    )
    record = json.loads((out / "run.json").read_text())
    assert record["models"]["told"]["kind"] == LinearTwins.kind
    assert record["spectra"]["n_stars"] == 600
    text = (out / "twins.md").read_text()
    assert "| told | inductive | ∞ | 100.0 |" in text


def test_it_resumes_and_grows(evaluated, spectra, fisher, monkeypatch):
    table, out = evaluated
    calls = []
    encode = LinearTwins.encode
    monkeypatch.setattr(
        LinearTwins, "encode", lambda self, s: calls.append(len(s)) or encode(self, s)
    )
    models = {"told": LinearTwins(), "untold": LinearTwins(told=False)}
    again = evaluate_twins(models, spectra, out, SETTINGS, observe=observed)
    assert not calls
    np.testing.assert_array_equal(again["own_first"], rows_without_ceiling(table)["own_first"])
    more = replace(SETTINGS, snr=(20.0,), n_seeds=1)
    evaluate_twins({"told": LinearTwins()}, spectra, out, more, observe=observed)
    assert sum(calls) == 600
    with pytest.raises(StarkinError, match="other settings or input"):
        evaluate_twins(models, pairs(20), out, SETTINGS, observe=observed)


def rows_without_ceiling(table):
    return table[np.asarray(table["model"]) != "ceiling (true model)"]


def test_swap_errors_by_hand(spectra):
    # The model that is told nothing explains u by z as well as lines can: what is left is the
    # part of the continuum across the lines. Swapped, the twin's u comes in on top.
    model = LinearTwins(told=False)
    z = model.encode(spectra).mean
    composition = np.asarray(spectra.labels["composition_id"])
    partner = np.array(
        [
            np.flatnonzero((composition == c) & (np.arange(600) != i))[0]
            for i, c in enumerate(composition)
        ]
    )
    found = swap_errors(model, spectra, z, partner, rows=np.arange(600), batch=77)
    onto = LINES.T @ np.linalg.solve(LINES @ LINES.T, LINES)
    u = np.column_stack([(spectra.label("teff") - 4500) / 300, (spectra.label("logg") - 2) / 0.6])
    effect = u @ CONTINUUM
    own = effect - effect @ onto
    swapped = effect - effect[partner] @ onto
    assert found.own == pytest.approx(np.mean(own**2))
    assert found.swapped == pytest.approx(np.mean(swapped**2))
    assert found.ratio == pytest.approx(np.mean(swapped**2) / np.mean(own**2))
    # Masked pixels and stars without latents do not count.
    mask = np.zeros(spectra.values.shape, dtype=bool)
    mask[:, ::2] = True
    z[3] = np.nan
    pixels = np.arange(spectra.n_pixels) % 2 == 1
    stars = ~np.isin(np.arange(600), [3, partner[3]])
    half = swap_errors(model, spectra.replace(mask=mask), z, partner, rows=np.arange(600))
    assert half.own == pytest.approx(np.mean(own[stars][:, pixels] ** 2))


def test_the_pool_is_cut_by_whole_pairs(spectra, tmp_path):
    few = replace(SETTINGS, snr=(np.inf,), max_stars=100, tracks=("inductive",), n_probed=100)
    table = evaluate_twins(
        {"told": LinearTwins()}, spectra, tmp_path / "few", few, observe=observed
    )
    assert table["n_queries"].tolist() == [100]


def test_spectra_without_pairs_are_refused(spectra, tmp_path):
    alone = spectra.replace(labels=spectra.labels["teff", "logg"])
    with pytest.raises(StarkinError, match="composition_id"):
        evaluate_twins({"told": LinearTwins()}, alone, tmp_path / "x", SETTINGS, observe=observed)


def test_a_ceiling_of_other_stars_is_refused(spectra, fisher, tmp_path):
    with pytest.raises(StarkinError, match=r"Fisher matrices have shape \(10, 4, 4\)"):
        evaluate_twins(
            {},
            spectra,
            tmp_path / "x",
            SETTINGS,
            ceiling=Ceiling(fisher[:10], ELEMENTS),
            observe=observed,
        )


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"snr": (0.0,)}, "TwinEvaluation.snr"),
        ({"tracks": ("guess",)}, "TwinEvaluation.tracks"),
        ({"n_known_pairs": 101}, "within 2..100"),
        ({"n_seeds": 0}, "at least 1"),
    ],
)
def test_settings_are_checked(bad, message):
    with pytest.raises(StarkinError, match=message):
        TwinEvaluation.from_dict(bad)


def test_the_readers_table_by_hand():
    table = table_of(
        [
            {
                "model": "a",
                "track": "inductive",
                "snr": 50.0,
                "seed": 0,
                "n_queries": 10,
                "own_first": 0.5,
            },
            {
                "model": "a",
                "track": "inductive",
                "snr": 50.0,
                "seed": 1,
                "n_queries": 10,
                "own_first": 0.7,
                "ece": 0.1,
            },
        ]
    )
    lines = markdown(table).splitlines()
    assert lines[0] == "| model | track | S/N | first, own | ECE |"
    # Mean of 50 and 70, standard deviation 20 / sqrt(2) = 14.1.
    assert lines[2] == "| a | inductive | 50 | 60.0 ± 14.1 | 0.100 |"
    assert isinstance(table, Table)
    assert "wanted 0" in table_of([{"leakage_teff": 0.1}])["leakage_teff"].description
