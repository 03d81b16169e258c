"""Cases of the contract: Cycle-StarNet, which needs a file of synthetic spectra."""

from __future__ import annotations

import atexit
import tempfile
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from starkin.io import write_spectra, write_vectors
from starkin.models import SpectrumModel
from starkin.models.rivals import CycleStarNet, CycleStarNetConfig
from starkin.spectra import SpectrumSet

from ..worlds import conditional_spectra, linear_spectra

SMALL: dict[str, Any] = {
    "n_latent": 5,
    "n_split": 1,
    "hidden": (32, 16),
    "critic": (16,),
    "components": 12,
    "epochs": 20,
    "batch_size": 140,
    "learning_rate": 1e-2,
}


@lru_cache
def synthetic_file(world: str) -> str:
    """Other stars of the world, as a file."""
    folder = tempfile.TemporaryDirectory()
    atexit.register(folder.cleanup)
    path = Path(folder.name) / f"{world}.parquet"
    if world == "flux":
        write_vectors(conditional_spectra(300, 5), path)
    else:
        write_spectra(linear_spectra(300, 5), path)
    return str(path)


def _make(world: str) -> Callable[[str], CycleStarNet]:
    return lambda device: CycleStarNet(
        CycleStarNetConfig(**SMALL, synthetic=synthetic_file(world)), device=device, threads=1
    )


def _parameters(model: SpectrumModel, spectra: SpectrumSet) -> Iterator[tuple[str, Tensor]]:
    assert isinstance(model, CycleStarNet)
    rows = np.arange(len(spectra))
    prepared = model.inputs.prepare(spectra)
    observed = model._tensors(prepared, rows, model._axes.observed)
    synthetic = model._tensors(prepared, rows, model._axes.synthetic)
    network = model._fresh(seed=0)
    loss = model._loss(network, synthetic, synthetic)
    loss(observed, torch.Generator().manual_seed(0), 1.0).total.backward()
    return network.named_parameters()


#: Fields of the contract cases; see contract.py.
CYCLE: list[dict[str, Any]] = [
    {
        "name": "cycle-starnet",
        "make": _make("flux"),
        "share": 0.6,
        "parameters": _parameters,
        "world": "flux",
    },
    {"name": "cycle-starnet-xp", "make": _make("xp"), "share": 0.8, "parameters": _parameters},
]
