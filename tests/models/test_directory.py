"""What a model directory refuses, and that it says why in one sentence."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from starkin.models import ScatterVAE, ScatterVAEConfig
from starkin.spectra import SpectrumSet, StarkinError

FILES = ("config.json", "weights.safetensors", "transform.npz", "grid.npz", "card.json")


@pytest.fixture(scope="module")
def models(spectra: SpectrumSet, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("models")
    for name, seed in (("a", 1), ("b", 2)):
        config = ScatterVAEConfig(epochs=1, n_latent=2 + seed)
        ScatterVAE(config, threads=1).fit(spectra, seed=seed).save(folder / name)
    return folder / "a", folder / "b"


def copy(model: Path, to: Path) -> Path:
    to.mkdir()
    for file in model.iterdir():
        (to / file.name).write_bytes(file.read_bytes())
    return to


def refused(directory: Path, match: str) -> None:
    with pytest.raises(StarkinError, match=match) as caught:
        ScatterVAE.load(directory)
    assert "\n" not in str(caught.value)


def test_holds_the_five_files_and_no_pickle(models: tuple[Path, Path]) -> None:
    assert sorted(p.name for p in models[0].iterdir()) == sorted(FILES)
    for name in ("transform.npz", "grid.npz"):
        with np.load(models[0] / name, allow_pickle=False) as arrays:
            assert all(arrays[k].dtype != object for k in arrays)


@pytest.mark.parametrize("name", FILES)
def test_missing_file(name: str, models: tuple[Path, Path], tmp_path: Path) -> None:
    model = copy(models[0], tmp_path / "m")
    (model / name).unlink()
    refused(model, name)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("damage", ["bit", "truncated", "empty"])
def test_damaged_file(name: str, damage: str, models: tuple[Path, Path], tmp_path: Path) -> None:
    model = copy(models[0], tmp_path / "m")
    content = bytearray((model / name).read_bytes())
    content[len(content) // 2] ^= 1
    damaged = {"bit": content, "truncated": content[: len(content) // 2], "empty": b""}[damage]
    (model / name).write_bytes(damaged)
    refused(model, name)


@pytest.mark.parametrize("name", FILES)
def test_file_of_another_model(name: str, models: tuple[Path, Path], tmp_path: Path) -> None:
    model = copy(models[0], tmp_path / "m")
    other = (models[1] / name).read_bytes()
    if other == (model / name).read_bytes():  # the same grid and transform are no swap
        ScatterVAE.load(model)
        return
    (model / name).write_bytes(other)
    refused(model, "card.json|damaged")


def resign(model: Path, change: dict[str, object]) -> None:
    """Change settings and write the model anew with checksums that fit."""
    from starkin.models import directory

    files = directory.read_model(model, "scatter-vae")
    settings = {**files.config, **change}
    directory.write_model(
        model,
        directory.ModelFiles(
            files.kind, settings, files.weights, files.transform, files.grid, files.card
        ),
    )


def test_unknown_key(models: tuple[Path, Path], tmp_path: Path) -> None:
    model = copy(models[0], tmp_path / "m")
    resign(model, {"colour": "red"})
    refused(model, "Unknown setting 'colour'")


def test_settings_that_do_not_fit_the_weights(models: tuple[Path, Path], tmp_path: Path) -> None:
    model = copy(models[0], tmp_path / "m")
    resign(model, {"n_latent": 5})
    refused(model, "do not fit its settings")


def test_not_a_model(tmp_path: Path) -> None:
    refused(tmp_path / "nothing", "not a model directory")


def test_a_folder_of_something_else_is_not_overwritten(
    models: tuple[Path, Path], tmp_path: Path
) -> None:
    (tmp_path / "precious.txt").write_text("thesis")
    with pytest.raises(StarkinError, match="is no model"):
        ScatterVAE.load(models[0]).save(tmp_path)
    assert (tmp_path / "precious.txt").read_text() == "thesis"


def test_saving_again_replaces_the_whole(models: tuple[Path, Path], tmp_path: Path) -> None:
    first, second = ScatterVAE.load(models[0]), ScatterVAE.load(models[1])
    first.save(tmp_path / "m")
    second.save(tmp_path / "m")
    assert ScatterVAE.load(tmp_path / "m").model_id == second.model_id != first.model_id


def test_the_card_tells_where_the_model_comes_from(models: tuple[Path, Path]) -> None:
    card = json.loads((models[0] / "card.json").read_text())
    assert card["seed"] == 1
    assert card["data"]["n_train"] == 360
    assert len(card["data"]["train"]) == 16
    assert len(card["history"]["validation"]) == 1
    history = card["history"]
    assert card["metrics"]["validation"] == min(history["start"], *history["validation"])
    assert set(card["sha256"]) == set(FILES) - {"card.json"}
