"""Scatter-VAE checkpoints released by Laroche & Speagle, as starkin models."""

from __future__ import annotations

import json
import os
import pickle
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..spectra import StarkinError, XPGrid
from .preprocessing import Preprocessing
from .scatter_config import ScatterVAEConfig
from .scatter_vae import ScatterVAE

__all__ = ["import_checkpoint"]


def import_checkpoint(
    checkpoint: str | os.PathLike[str],
    config: str | os.PathLike[str] | None = None,
    *,
    preprocessing: Preprocessing | None = None,
) -> ScatterVAE:
    """A released checkpoint (``epoch_*_weight.pt``) as a model of ours.

    The release holds weights alone, not the means and standard deviations by which
    its input was standardised. Without ``preprocessing`` the model therefore works
    on spectra that are already standardised
    (:meth:`~starkin.models.scatter_vae.ScatterVAE.encode_standardised`) and refuses
    raw ones; :meth:`~starkin.models.scatter_vae.ScatterVAE.with_preprocessing`
    supplies the statistics later. Statistics of another sample than the published
    one shift the latents: they are a stand-in, not the original.

    Parameters
    ----------
    checkpoint : path-like
        A torch file with ``model_state_dict``; read without executing code in it.
    config : path-like, optional
        The release's ``config.json``; by default the one beside the checkpoint.
    preprocessing : Preprocessing, optional
        How to normalise and standardise raw spectra.

    Raises
    ------
    StarkinError
        If a file is missing or is no such checkpoint.
    """
    checkpoint = Path(checkpoint)
    config = Path(config) if config is not None else checkpoint.parent / "config.json"
    for path in (checkpoint, config):
        if not path.is_file():
            raise StarkinError(f"{path} does not exist.")
    settings = _settings(config)
    state = _state(checkpoint)
    n_pixels = int(settings.pop("input_dim"))
    if n_pixels not in (110, 106):
        raise StarkinError(f"{config}: input_dim {n_pixels} is neither 55 + 55 nor 51 + 55.")
    model = ScatterVAE(ScatterVAEConfig(recipe="laroche-speagle", **settings))
    network = model.config.network(n_pixels, seed=0)
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        first = str(error).splitlines()[-1].strip()
        raise StarkinError(
            f"{checkpoint} does not fit the layers that {config} names: {first}"
        ) from error
    model.adopt(
        network,
        XPGrid(n_pixels - 55, 55),
        preprocessing,
        card={"origin": f"imported from {checkpoint.name}"},
    )
    return model


def _settings(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text())["nn_config"]
        return {
            "n_latent": int(content["latent_dim"]),
            "encoder": tuple(int(width) for width in content["intermediate_layers"]),
            "decoder": tuple(int(width) for width in content["intermediate_layers"]),
            "scatter": tuple(int(width) for width in content["intermediate_layers"]),
            "input_dim": int(content["input_dim"]),
        }
    except (ValueError, KeyError, TypeError) as error:
        raise StarkinError(
            f"{path} is no configuration of a released scatter VAE ({error})."
        ) from error


def _state(path: Path) -> dict[str, Tensor]:
    try:
        content = torch.load(path, weights_only=True, map_location="cpu")
        state = content["model_state_dict"]
        return {str(name): tensor for name, tensor in state.items()}
    except (pickle.UnpicklingError, RuntimeError, KeyError, TypeError, EOFError, ValueError) as e:
        raise StarkinError(
            f"{path} is no checkpoint of a released scatter VAE (no readable model_state_dict)."
        ) from e
