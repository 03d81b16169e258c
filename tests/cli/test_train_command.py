"""Training and encoding models of every kind as a user types it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from astropy import units as u
from typer.testing import CliRunner

from starkin.cli import app
from starkin.io import Latents, write_vectors
from starkin.models.load import kinds, load_model, new_model
from starkin.models.rivals import Fader
from starkin.spectra import SpectrumSet, StarkinError, WavelengthGrid

run = CliRunner().invoke


@pytest.fixture(scope="module")
def stars(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made-up fluxes with temperatures and gravities."""
    draw = np.random.default_rng(0)
    n, p = 200, 40
    teff, logg = draw.uniform(4000, 5500, n), draw.uniform(1, 3, n)
    depth = draw.random(p) * 0.3
    values = 1 - depth * (1 + 0.1 * draw.normal(size=(n, 1)) + ((teff - 4750) / 3000)[:, None])
    errors = np.full((n, p), 0.005)
    spectra = SpectrumSet(
        np.arange(n) + 1,
        values + errors * draw.normal(size=(n, p)),
        errors,
        WavelengthGrid(15200 * 10 ** (6e-6 * np.arange(p)), unit="Angstrom"),
        unit=u.dimensionless_unscaled,
    ).with_labels(teff=teff, logg=logg, composition_id=np.arange(n) // 2)
    path = tmp_path_factory.mktemp("flux") / "stars.fits"
    write_vectors(spectra, path)
    return path


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        ("pca", ["n_latent=3"]),
        ("polynomial-pca", ["n_latent=3", "degree=4"]),
        ("rsca", ["n_latent=3", 'conditions=["teff"]']),
        ("fader", ["n_latent=3", "components=8", "epochs=2", "recipe=light"]),
        ("factor-dis", ["n_latent=3", "components=8", "epochs=2"]),
    ],
)
def test_a_kind_is_trained_and_encodes(
    kind: str, settings: list[str], stars: Path, tmp_path: Path
) -> None:
    model, latents = str(tmp_path / "model"), tmp_path / "latents.parquet"
    chosen = [part for setting in settings for part in ("--set", setting)]
    result = run(app, ["train", kind, str(stars), "--out", model, *chosen])
    assert result.exit_code == 0, result.output
    assert "mse" in result.output
    loaded = load_model(model)
    assert loaded.kind == kind
    result = run(app, ["encode", model, str(stars), "--out", str(latents)])
    assert result.exit_code == 0, result.output
    catalogue = Latents.read(latents)
    assert catalogue.n_latent == 3
    assert catalogue.usable.all()
    assert catalogue.model_id == loaded.model_id


def test_settings_are_taken_from_file_and_line_and_refused_by_name(
    stars: Path, tmp_path: Path
) -> None:
    config = tmp_path / "fader.toml"
    config.write_text(
        'n_latent = 5\nadversary_weight = 0.5\nencoder = [16]\nconditions = ["teff"]\n'
    )
    out = tmp_path / "model"
    command = ["train", "fader", str(stars), "--out", str(out), "--config", str(config)]
    result = run(app, [*command, "--set", "n_latent=2", "--epochs", "1"])
    assert result.exit_code == 0, result.output
    model = load_model(out)
    assert isinstance(model, Fader)
    assert model.config.n_latent == 2
    assert model.config.adversary_weight == 0.5
    assert model.config.encoder == (16,)
    assert model.conditions == ("teff",)
    for wrong, named in (
        (["--set", "n_latents=2"], "n_latents"),
        (["--set", "n_latent"], "name=value"),
        (["--set", "n_latent=-1"], "n_latent"),
        (["--recipe", "secret"], "recipe"),
    ):
        result = run(app, [*command, *wrong])
        assert result.exit_code == 1, result.output
        assert named in result.output + result.stderr
    result = run(app, ["train", "fader", "--out", str(out)])
    assert result.exit_code == 1
    assert "Name the spectra" in result.output + result.stderr


def test_what_is_no_kind_is_a_file_for_the_scatter_vae(stars: Path, tmp_path: Path) -> None:
    out = tmp_path / "model"
    result = run(app, ["train", str(stars), "--out", str(out), "--epochs", "1"])
    assert result.exit_code == 0, result.output
    assert load_model(out).kind == "scatter-vae"


def test_unknown_kinds_are_refused(stars: Path, tmp_path: Path) -> None:
    with pytest.raises(StarkinError, match=r"no kind of model 'crystal-ball'.*fader"):
        new_model("crystal-ball")
    with pytest.raises(StarkinError, match="not a model directory"):
        load_model(tmp_path)
    (tmp_path / "config.json").write_text('{"kind": "crystal-ball"}')
    with pytest.raises(StarkinError, match="kind 'crystal-ball'; this version knows"):
        load_model(tmp_path)


def test_every_kind_that_help_names_exists() -> None:
    text = run(app, ["train", "--help"]).output
    for kind in ("scatter-vae", "fader", "factor-dis", "polynomial-pca", "pca", "rsca"):
        assert kind in text
        assert kind in kinds()
