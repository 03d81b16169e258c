"""`starkin twins`, `edit` and `evaluate twins` as a user types them."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.image import imread
from typer.testing import CliRunner

from starkin.cli import app
from starkin.io import Latents, read, write_vectors
from starkin.io.catalogue import read_table
from starkin.spectra import StarkinError
from starkin.survey.twin_ceiling import Ceiling
from starkin.survey.twin_search import find_twins

from .twin_world import CONTINUUM, ELEMENTS, LINES, LinearTwins, observed, pairs

run = CliRunner().invoke


@pytest.fixture(scope="module")
def world():
    return pairs(80, seed=9)


@pytest.fixture(scope="module")
def folder(world, tmp_path_factory):
    folder = tmp_path_factory.mktemp("twins")
    model, noisy = LinearTwins(), observed(world, 250, 1)
    model.save(folder / "model")
    model.encode(noisy).write(folder / "latents.parquet")
    write_vectors(noisy, folder / "stars.parquet")
    write_vectors(world, folder / "pairs.parquet")
    return folder


def twin_of(world, row):
    composition = np.asarray(world.labels["composition_id"])
    other = np.flatnonzero((composition == composition[row]) & (np.arange(len(world)) != row))
    return int(world.source_id[other[0]])


def test_one_star(folder, world):
    star = int(world.source_id[3])
    args = ["twins", folder / "model", folder / "latents.parquet", "--star", star, "-k", 5]
    args += ["--spectra", folder / "stars.parquet", "--figure", folder / "twins.png"]
    args += ["--out", folder / "twins.fits"]
    result = run(app, [str(a) for a in args])
    assert result.exit_code == 0, result.output
    assert str(twin_of(world, 3)) in result.output
    table = read_table(folder / "twins.fits")
    assert len(table) == 5
    assert table["twin_source_id"][0] == twin_of(world, 3)
    assert table["twin_probability"][0] > 0.5
    assert table.meta["n_stars_searched"] == 160
    assert imread(folder / "twins.png").std() > 0.05


def test_all_stars(folder, world):
    args = ["twins", folder / "model", folder / "latents.parquet", "--all", "-k", 2]
    result = run(app, [str(a) for a in [*args, "--out", folder / "all.parquet", "--learn"]])
    assert result.exit_code == 0, result.output
    table = read_table(folder / "all.parquet")
    assert len(table) == 320
    first = table[np.asarray(table["twin_rank"]) == 1]
    found = [t == twin_of(world, i) for i, t in enumerate(first["twin_source_id"])]
    assert np.mean(found) > 0.8


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ([], "Name stars"),
        (["--all"], "give --out"),
        (["--star", "5000", "--figure", "x.pdf"], "--spectra"),
        (["--star", "77"], "no star with source_id 77"),
    ],
)
def test_what_is_missing_is_said(folder, more, message):
    result = run(app, ["twins", str(folder / "model"), str(folder / "latents.parquet"), *more])
    assert result.exit_code == 1
    assert message in result.stderr


def test_a_catalogue_of_another_model_is_refused(folder):
    latents = Latents.read(folder / "latents.parquet")
    with pytest.raises(StarkinError, match="encoded by model 0000000000000001"):
        find_twins(LinearTwins(told=False), latents, [5000])


def test_edit(folder, world):
    model, out = str(folder / "model"), folder / "edited.parquet"
    result = run(
        app, ["edit", model, str(folder / "pairs.parquet"), "--teff", "4800", "--out", str(out)]
    )
    assert result.exit_code == 0, result.output
    warmer = (4800 - world.label("teff")) / 300
    edited = read(out)
    np.testing.assert_allclose(
        edited.values, world.values + warmer[:, None] * CONTINUUM[0], atol=1e-5
    )
    assert (edited.label("teff") == 4800).all()
    write_vectors(world[:1], folder / "donor.parquet")
    args = ["edit", model, str(folder / "pairs.parquet"), "--out", str(out)]
    assert run(app, [*args, "--chemistry-of", str(folder / "donor.parquet")]).exit_code == 0
    z = LinearTwins().encode(read(out)).mean
    np.testing.assert_allclose(z, z[:1] + 0 * z, atol=1e-3)
    assert "not both" in run(app, args).stderr


def test_evaluate_with_its_ceiling(folder):
    np.savez(
        folder / "fisher.npz",
        fisher=np.tile(LINES @ LINES.T * 100.0**2, (160, 1, 1)),
        elements=[name.removesuffix("_h").capitalize() for name in ELEMENTS],
        snr=100.0,
    )
    assert Ceiling.read(folder / "fisher.npz").elements == ELEMENTS
    args = ["evaluate", "twins", folder / "model", "--pairs", folder / "pairs.parquet"]
    args += ["--out", folder / "judged", "--snr", 50, "--seeds", 1, "--track", "inductive"]
    args += ["--ceiling", folder / "fisher.npz", "--stars", 120]
    result = run(app, [str(a) for a in args])
    assert result.exit_code == 0, result.output
    assert "ceiling (true model)" in result.output
    table = read_table(folder / "judged" / "twins.csv")
    assert table["n_queries"].tolist() == [120, 120]
    with pytest.raises(StarkinError, match="holds no Fisher matrices"):
        Ceiling.read(folder / "latents.parquet")


def test_the_labels_whose_leakage_is_measured_can_be_chosen(folder):
    args = ["evaluate", "twins", folder / "model", "--pairs", folder / "pairs.parquet"]
    args += ["--snr", 50, "--seeds", 1, "--track", "inductive"]
    chosen = ["--out", folder / "chosen", "--condition", "logg"]
    result = run(app, [str(a) for a in (*args, *chosen)])
    assert result.exit_code == 0, result.output
    names = read_table(folder / "chosen" / "twins.csv").colnames
    assert [n for n in names if n.startswith("leakage_")] == ["leakage_logg"]
    refused = run(app, [str(a) for a in (*args, "--out", folder / "no", "--condition", "log_g")])
    assert refused.exit_code == 1
    assert "no label column 'log_g'" in " ".join(refused.output.split())


def test_cluster_by_composition(folder):
    out = folder / "groups.fits"
    args = ["cluster", str(folder / "latents.parquet"), "--out", str(out)]
    result = run(app, [*args, "--model", str(folder / "model")])
    assert result.exit_code == 0, result.output
    # 80 compositions of two stars each: no group of fifteen, one continuous population.
    assert set(read_table(out)["population"]) <= {-1, 0}
    LinearTwins(told=False).save(folder / "other")
    refused = run(app, [*args, "--model", str(folder / "other")])
    assert "not encoded by" in refused.stderr
