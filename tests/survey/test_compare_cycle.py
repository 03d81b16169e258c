"""Cycle-StarNet in a comparison and on the command line: a file of synthetic spectra is named."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from starkin.cli import app
from starkin.io import write_spectra
from starkin.models.load import load_model
from starkin.models.rivals import CycleStarNet
from starkin.survey.compare import compare
from starkin.survey.compare_settings import CompareConfig

from ..models.worlds import linear_spectra

_SMALL = {"n_latent": 3, "n_split": 0, "components": 110, "epochs": 50, "batch_size": 64}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cycle")
    write_spectra(linear_spectra(900, 1, labels=True), folder / "observed.parquet")
    write_spectra(linear_spectra(500, 2), folder / "synthetic.parquet")
    return folder


def test_a_comparison_names_the_synthetic_file(files: Path) -> None:
    settings = {**_SMALL, "synthetic": str(files / "synthetic.parquet")}
    found = compare(
        CompareConfig.from_dict(
            {
                "data": {"files": [str(files / "observed.parquet")]},
                "split": {"train": 0.6, "validation": 0.1},
                "measures": ["reconstruction"],
                "models": [
                    {"kind": "pca", "settings": {"n_latent": 3}},
                    {"kind": "cycle-starnet", "settings": settings},
                    {"kind": "cycle-starnet", "name": "without", "settings": _SMALL},
                ],
            }
        ),
        files / "run",
    )
    pca, cycle, without = found.table
    assert cycle["n_latent"] == 3
    assert cycle["n_failed"] == 0
    # The spectra are linear in three numbers, so that PCA is the best there can be.
    # A short run comes near.
    assert 0.98 * pca["rms"] < cycle["rms"] < 2 * pca["rms"]
    assert "setting synthetic" in without["problem"]


def test_training_takes_the_synthetic_file_as_an_option(files: Path) -> None:
    out = files / "model"
    told = ["train", "cycle-starnet", str(files / "observed.parquet"), "--out", str(out)]
    small = [part for name, value in _SMALL.items() for part in ("--set", f"{name}={value}")]
    refused = CliRunner().invoke(app, [*told, *small])
    assert refused.exit_code != 0
    assert "setting synthetic" in refused.output
    synthetic = str(files / "synthetic.parquet")
    done = CliRunner().invoke(app, [*told, *small, "--epochs", "1", "--synthetic", synthetic])
    assert done.exit_code == 0, done.output
    model = load_model(out)
    assert isinstance(model, CycleStarNet)
    assert model.config.synthetic == synthetic
    assert model.card["data"]["n_synthetic"] == 475
