"""`starkin compare` as a user types it."""

from __future__ import annotations

import numpy as np
from typer.testing import CliRunner

from starkin.cli import app
from starkin.io import write_spectra
from starkin.spectra import SpectrumSet, XPGrid

run = CliRunner().invoke

SETTINGS = """
seed = 3
measures = ["reconstruction"]

[data]
files = ["{folder}/stars.parquet"]

[split]
train = 0.5
validation = 0.1

[[models]]
kind = "pca"
name = "two"
settings = {{ n_latent = 2 }}

[[models]]
kind = "pca"
name = "one"
settings = {{ n_latent = 1 }}
"""


def _spectra() -> SpectrumSet:
    rng = np.random.default_rng(0)
    n = 300
    pattern = rng.normal(size=(2, 110)) / np.sqrt(1 + np.arange(110))
    values = 1000 / (1 + np.arange(110)) + 50 * rng.normal(size=(n, 2)) @ pattern
    errors = np.full((n, 110), 3.0)
    made = SpectrumSet(
        np.arange(n) + 1, values + errors * rng.normal(size=(n, 110)), errors, XPGrid()
    )
    return made.with_labels(phot_g_mean_flux=np.full(n, 5e4), phot_g_mean_mag=np.full(n, 14.0))


def test_compare_writes_table_page_and_figures_and_resumes(tmp_path):
    write_spectra(_spectra(), tmp_path / "stars.parquet")
    config, out = tmp_path / "compare.toml", tmp_path / "run"
    config.write_text(SETTINGS.format(folder=tmp_path))
    result = run(app, ["compare", str(config), "--out", str(out)])
    assert result.exit_code == 0, result.output
    assert "2 models" in result.output
    for name in ("comparison.fits", "comparison.csv", "comparison.md", "comparison.html"):
        assert (out / name).stat().st_size > 100, name
    assert (out / "figures" / "wavelength.pdf").exists()
    written = [p.stat().st_mtime_ns for p in (out / "models").rglob("*.safetensors")]
    again = run(app, ["compare", str(config), "--out", str(out)])
    assert again.exit_code == 0
    assert [p.stat().st_mtime_ns for p in (out / "models").rglob("*.safetensors")] == written
    other = config.read_text().replace("seed = 3", "seed = 4")
    config.write_text(other)
    refused = run(app, ["compare", str(config), "--out", str(out)])
    assert refused.exit_code == 1
    assert "other settings" in refused.output


def test_a_wrong_kind_is_one_sentence(tmp_path):
    config = tmp_path / "compare.toml"
    config.write_text('[[models]]\nkind = "oracle"\n')
    result = run(app, ["compare", str(config), "--out", str(tmp_path / "run")])
    assert result.exit_code == 1
    assert "no model of kind 'oracle'" in result.output
    assert "Traceback" not in result.output
