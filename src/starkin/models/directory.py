"""A model as a directory of plain files: no pickle, every file under a checksum.

| file | holds |
|---|---|
| ``config.json`` | kind of model, format version, settings |
| ``weights.safetensors`` | the network's parameters and buffers |
| ``transform.npz`` | what was learnt for the preprocessing |
| ``grid.npz`` | the grid of the spectra |
| ``card.json`` | provenance, metrics, history, and the SHA-256 of the other files and of itself |
"""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.torch
from torch import Tensor

from ..io.atomic import atomic_directory
from ..spectra import Grid, StarkinError, grid_from_arrays

__all__ = ["ModelFiles", "fingerprint", "read_model", "write_model"]

_FORMAT = 1
_CONFIG, _WEIGHTS, _CARD = "config.json", "weights.safetensors", "card.json"
_TRANSFORM, _GRID = "transform.npz", "grid.npz"
_CHECKED = (_CONFIG, _WEIGHTS, _TRANSFORM, _GRID)


@dataclass(frozen=True)
class ModelFiles:
    """What a model directory holds.

    Attributes
    ----------
    kind : str
        :attr:`~starkin.models.base.SpectrumModel.kind` of the model.
    config : dict
        Settings, JSON types only.
    weights : dict of Tensor
    transform : dict of ndarray
    grid : Grid
    card : dict
        JSON types only.
    """

    kind: str
    config: Mapping[str, Any]
    weights: Mapping[str, Tensor]
    transform: Mapping[str, np.ndarray]
    grid: Grid
    card: Mapping[str, Any] = field(default_factory=dict)


def fingerprint(model: ModelFiles) -> str:
    """Sixteen hexadecimal digits of everything that decides a model's numbers."""
    digest = hashlib.sha256(_canonical({"kind": model.kind, "settings": model.config}))
    digest.update(model.grid.fingerprint.encode())
    arrays = {name: tensor.detach().cpu().numpy() for name, tensor in model.weights.items()}
    for part in (arrays, model.transform):
        for name, array in sorted(part.items()):
            digest.update(name.encode())
            digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:16]


def write_model(directory: str | os.PathLike[str], model: ModelFiles) -> None:
    """Write a model directory, whole or not at all; an older one there is replaced.

    Raises
    ------
    StarkinError
        If the target is a folder of something else, or cannot be written.
    """
    directory = Path(directory)
    occupied = directory.is_file() or (directory.is_dir() and any(directory.iterdir()))
    if occupied and not (directory / _CARD).exists():
        raise StarkinError(f"{directory} exists and is no model; choose another name.")
    with atomic_directory(directory) as folder:
        config = {"format": _FORMAT, "kind": model.kind, "settings": dict(model.config)}
        (folder / _CONFIG).write_text(json.dumps(config, indent=2) + "\n")
        weights = {k: v.detach().cpu().contiguous() for k, v in model.weights.items()}
        safetensors.torch.save_file(weights, folder / _WEIGHTS)
        np.savez(folder / _TRANSFORM, allow_pickle=False, **model.transform)
        np.savez(folder / _GRID, allow_pickle=False, **model.grid.to_arrays())
        card = {**model.card, "sha256": {name: _sha256(folder / name) for name in _CHECKED}}
        card["card_sha256"] = hashlib.sha256(_canonical(card)).hexdigest()
        (folder / _CARD).write_text(json.dumps(card, indent=2) + "\n")


def read_model(directory: str | os.PathLike[str], kind: str) -> ModelFiles:
    """Read and check a model directory.

    Parameters
    ----------
    directory : path-like
        The directory.
    kind : str
        The kind of model that is expected there.

    Raises
    ------
    StarkinError
        If a file is missing, damaged or belongs to another model, or the model
        is of another kind or of a newer format.
    """
    directory = Path(directory)
    if not directory.is_dir():
        raise StarkinError(f"{directory} is not a model directory.")
    for name in (*_CHECKED, _CARD):
        if not (directory / name).is_file():
            raise StarkinError(f"The model {directory} lacks its file {name}.")
    card = _read_json(directory / _CARD)
    claimed = card.pop("card_sha256", None)
    if hashlib.sha256(_canonical(card)).hexdigest() != claimed:
        raise StarkinError(f"{directory / _CARD} was changed or damaged after it was written.")
    for name, expected in card.pop("sha256").items():
        if _sha256(directory / name) != expected:
            raise StarkinError(
                f"{directory / name} is damaged or belongs to another model "
                "(its checksum is not the one in card.json); restore the directory."
            )
    config = _read_json(directory / _CONFIG)
    if config.get("format") != _FORMAT:
        raise StarkinError(
            f"{directory} has model format {config.get('format')!r}; this starkin reads {_FORMAT}."
        )
    if config.get("kind") != kind:
        raise StarkinError(f"{directory} holds a model of kind {config.get('kind')!r}, not {kind}.")
    try:
        weights = safetensors.torch.load_file(directory / _WEIGHTS)
    except safetensors.SafetensorError as error:
        raise StarkinError(f"{directory / _WEIGHTS} cannot be read: {error}.") from error
    return ModelFiles(
        kind=kind,
        config=config["settings"],
        weights=weights,
        transform=_read_npz(directory / _TRANSFORM),
        grid=grid_from_arrays(_read_npz(directory / _GRID)),
        card=card,
    )


def _canonical(content: Mapping[str, Any]) -> bytes:
    return json.dumps(content, sort_keys=True, separators=(",", ":")).encode()


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text())
    except (ValueError, OSError) as error:
        raise StarkinError(f"{path} cannot be read: {error}.") from error
    if not isinstance(content, dict):
        raise StarkinError(f"{path} does not hold a JSON object.")
    return content


def _read_npz(path: Path) -> dict[str, np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return dict(arrays)
    except (ValueError, OSError, zipfile.BadZipFile) as error:
        raise StarkinError(f"{path} cannot be read: {error}.") from error
