"""The commands as a user types them: real files in, files and exit codes out."""

from __future__ import annotations

import gzip
import subprocess
import sys

import numpy as np
import pytest
from typer.testing import CliRunner

from starkin import __version__
from starkin.cli import app
from starkin.io import Latents, read, write_spectra
from starkin.spectra import SpectrumSet, XPGrid

run = CliRunner().invoke


@pytest.fixture(scope="module")
def spectra() -> SpectrumSet:
    """Two kinds of made-up star: enough for commands, no physics needed."""
    rng = np.random.default_rng(0)
    n = 240
    shape = 1e4 * np.exp(-np.arange(110) % 55 / 3.0) * np.where(np.arange(110) % 2, -1, 1)
    values = shape * (1 + 0.3 * (rng.random(n) < 0.5)[:, None] * np.sin(np.arange(110)))
    errors = np.full((n, 110), 30.0)
    values = values + errors * rng.normal(size=(n, 110))
    ids = np.arange(n) + (np.int64(123456) << 35) + 1
    made = SpectrumSet(ids, values, errors, XPGrid())
    return made.with_labels(phot_g_mean_flux=np.full(n, 5e4), bp_rp=rng.uniform(0.5, 2, n))


@pytest.fixture(scope="module")
def files(spectra, tmp_path_factory):
    folder = tmp_path_factory.mktemp("cli")
    write_spectra(spectra, folder / "stars.fits")
    write_spectra(spectra, folder / "stars.csv.gz")
    return folder


def test_train_encode_cluster_and_assign(files, spectra):
    model, latents = str(files / "model"), str(files / "latents.parquet")
    result = run(app, ["train", str(files / "stars.fits"), "--out", model, "--epochs", "3"])
    assert result.exit_code == 0, result.output
    assert "latents in use" in result.output
    result = run(app, ["encode", model, str(files / "stars.csv.gz"), "--out", latents])
    assert result.exit_code == 0, result.output
    np.testing.assert_array_equal(Latents.read(latents).source_id, spectra.source_id)
    first, saved = files / "populations.fits", str(files / "saved")
    result = run(app, ["cluster", latents, "--out", str(first), "--populations", saved])
    assert result.exit_code == 0, result.output
    second = files / "assigned.vot"
    result = run(app, ["cluster", latents, "--out", str(second), "--assign", saved])
    assert result.exit_code == 0, result.output
    found, again = (Latents.read(path).columns["population"] for path in (first, second))
    assert np.mean(np.asarray(found) == np.asarray(again)) > 0.95


def test_a_store_encodes_like_the_files_it_was_made_of(files):
    store = str(files / "store")
    result = run(app, ["ingest", str(files / "stars.csv.gz"), "--out", store])
    assert result.exit_code == 0, result.output
    run(app, ["train", store, "--out", str(files / "m2"), "--epochs", "2"])
    outs = [files / "from_store.parquet", files / "from_file.parquet"]
    for source, out in zip((store, str(files / "stars.csv.gz")), outs, strict=True):
        result = run(app, ["encode", str(files / "m2"), source, "--out", str(out), "--batch", "50"])
        assert result.exit_code == 0, result.output
    a, b = (Latents.read(out) for out in outs)
    np.testing.assert_allclose(a.mean, b.mean, atol=1e-3)


def test_info_says_what_is_in_a_file(files, shared):
    result = run(app, ["info", str(files / "stars.fits")])
    assert result.exit_code == 0, result.output
    assert "240" in result.output
    assert "bp_rp" in result.output
    result = run(app, ["info", str(shared / "gaia_xp" / "XP_CONTINUOUS_RAW_with_missing_BP.xml")])
    assert result.exit_code == 0, result.output
    assert "bp 1" in result.output


def test_import_checkpoint_makes_a_model_folder(shared, files):
    weights = shared / "xp_vae" / "epoch_1000_weight.pt"
    out = files / "published"
    result = run(app, ["import-checkpoint", str(weights), "--out", str(out)])
    assert result.exit_code == 0, result.output
    assert (out / "weights.safetensors").exists()
    result = run(
        app, ["encode", str(out), str(files / "stars.fits"), "--out", str(files / "x.fits")]
    )
    assert result.exit_code == 1  # It has no statistics to standardise raw spectra by.


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("empty.csv", b""),
        ("cut.csv.gz", gzip.compress(b"source_id,bp_coefficients\n" * 1000, mtime=0)[:40]),
        ("thesis.txt", b"It was a dark and stormy night."),
        ("damaged.fits", b"SIMPLE  =                    T" + b" " * 50),
    ],
)
def test_bad_files_get_one_sentence_and_a_failing_exit_code(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    for command in (["info"], ["train", "--out", str(tmp_path / "model")]):
        result = run(app, [command[0], str(tmp_path / name), *command[1:]])
        assert result.exit_code == 1, result.output
        assert name in result.output + result.stderr
        assert "Traceback" not in result.output + result.stderr
    assert not (tmp_path / "model").exists()


def test_wrong_settings_are_named(files, tmp_path):
    stars = str(files / "stars.fits")
    config = tmp_path / "c.json"
    config.write_text('{"latent_dim": 3}')
    result = run(app, ["train", stars, "--out", str(tmp_path / "m"), "--config", str(config)])
    assert result.exit_code == 1
    assert "latent_dim" in result.output + result.stderr
    result = run(app, ["train", stars, "--out", str(tmp_path / "m"), "--select", "teff > 3"])
    assert result.exit_code == 1
    assert "teff" in result.output + result.stderr
    result = run(app, ["train", stars])
    assert result.exit_code == 2


def test_every_command_explains_itself():
    result = run(app, ["--help"])
    for command in (
        "discover",
        "simulate",
        "ingest",
        "info",
        "train",
        "encode",
        "cluster",
        "report",
        "import-checkpoint",
        "versions",
        "demo",
    ):
        assert command in result.output
        parts = [command, "survey"] if command == "simulate" else [command]
        own = run(app, [*parts, "--help"])
        assert own.exit_code == 0
        if command not in ("versions", "demo"):
            assert "Example" in own.output, command


def test_versions_name_the_package_and_torch():
    result = run(app, ["versions"])
    assert result.exit_code == 0
    assert __version__ in result.output
    assert "torch" in result.output


def loaded(code: str, among: str) -> list[str]:
    """Which of some libraries a fresh interpreter has after running the code."""
    code += f"; import sys; print(*set('{among}'.split()) & set(sys.modules), file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stderr.split()


@pytest.mark.parametrize("command", [[], ["discover"], ["compare"], ["twins"]])
def test_help_waits_for_no_heavy_library(command):
    code = f"from starkin.cli import app; app({[*command, '--help']}, standalone_mode=False)"
    heavy = "astropy bokeh faiss matplotlib numba numpy pandas polars pyarrow scipy sklearn torch"
    assert loaded(code, heavy) == []


def test_the_rooms_import_no_library_that_few_of_their_users_need():
    assert loaded("import starkin.latent.twins", "torch faiss bokeh matplotlib") == []
    assert loaded("import starkin.survey", "faiss bokeh matplotlib xgboost specutils") == []
    assert loaded("import faiss", "faiss torch") == ["faiss"]  # The question can be answered.


def test_the_demo_ends_with_a_report(tmp_path):
    """Simulation, known objects, discovery and page, as `make demo` runs them, on few stars."""
    quick = tmp_path / "quick.json"
    quick.write_text(
        '{"model": {"epochs": 3}, "n_model_seeds": 2, "n_resamples": 2, "n_surrogates": 1,'
        ' "n_permutations": 19, "populations": {"n_resamples": 2}}'
    )
    out = tmp_path / "demo"
    result = run(app, ["demo", "--out", str(out), "--n", "500", "--config", str(quick)])
    assert result.exit_code == 0, result.output
    assert "report:" in result.output
    assert (out / "run" / "report.html").stat().st_size > 100_000
    catalogue = Latents.read(out / "run" / "catalogue.fits")
    assert len(catalogue) == 500
    assert "object_type" in catalogue.columns.colnames
    again = run(app, ["report", str(out / "run")])
    assert again.exit_code == 0, again.output


def test_simulated_spectra_are_written_in_the_format_asked_for(tmp_path):
    out = tmp_path / "survey.csv.gz"
    result = run(app, ["simulate", "survey", "--n", "20", "--seed", "2", "--out", str(out)])
    assert result.exit_code == 0, result.output
    written = read(out)
    assert len(written) == 20
    assert written.correlations is not None
    assert written.has_label("class_name")
    clean = tmp_path / "clean.parquet"
    told = ["simulate", "survey", "--n", "20", "--seed", "2", "--out", str(clean)]
    result = run(app, [*told, "--no-noise", "--no-alpha", "--no-correlations"])
    assert result.exit_code == 0, result.output
    without = read(clean)
    assert without.correlations is None
    np.testing.assert_array_equal(without.label("true_teff"), written.label("true_teff"))
    pull = (without.values - written.values) / written.errors
    assert 0.5 < np.median(np.abs(pull)) / 0.6745 < 1.5  # noise is what they differ by
