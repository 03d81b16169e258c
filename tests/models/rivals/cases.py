"""Cases of the contract: models of XP spectra to compare with."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor

from starkin.models import SpectrumModel
from starkin.models.rivals import LB23, ZGR, BetaVAE, Cannon, Payne
from starkin.models.rivals.label_training import TrainedLabelModel
from starkin.models.scatter_vae import ScatterVAE
from starkin.spectra import SpectrumSet

Parameters = Iterator[tuple[str, Tensor]]


def _make(kind: Any, **settings: object) -> Callable[[str], SpectrumModel]:
    return lambda device: kind(kind.config_class.from_dict(settings), device=device, threads=1)


def _vae_parameters(model: SpectrumModel, spectra: SpectrumSet) -> Parameters:
    assert isinstance(model, ScatterVAE)
    assert model.preprocessing is not None
    network = deepcopy(model.network).train()
    loss = model._loss(network, spectra.grid)
    data = model.preprocessing(spectra).tensors
    loss(data, torch.Generator().manual_seed(0), 1.0).total.backward()
    return network.named_parameters()


def _label_parameters(model: SpectrumModel, spectra: SpectrumSet) -> Parameters:
    assert isinstance(model, TrainedLabelModel)
    network = deepcopy(model.network).train()
    batch = model.batch(model._training_set(model._usable(spectra)))
    model.loss(network)(batch, torch.Generator().manual_seed(0), 1.0).total.backward()
    return network.named_parameters()


_SMALL = {"width": 16, "layers": 1, "n_told": 24, "n_asked": 32, "batch_size": 50}

#: Fields of ``starkin``'s contract cases; see contract.py.
RIVALS: list[dict[str, Any]] = [
    {
        "name": "beta-vae",
        "make": _make(BetaVAE, n_latent=4, epochs=20, batch_size=100),
        "share": 0.7,
        "parameters": _vae_parameters,
    },
    {"name": "cannon", "make": _make(Cannon), "share": 0.8, "world": "xp-labels"},
    {
        "name": "payne",
        "make": _make(Payne, epochs=3, batch_size=100),
        "share": 0.8,
        "parameters": _label_parameters,
        "world": "xp-labels",
    },
    {
        "name": "zgr23",
        "make": _make(ZGR, epochs=2, batch_size=100, hidden=[16]),
        "share": 0.8,
        "parameters": _label_parameters,
        "world": "xp-stars",
    },
    {
        "name": "lb23-labels",
        "make": _make(LB23, **_SMALL, epochs=6, learning_rate=1e-2),
        "share": 0.2,
        "parameters": _label_parameters,
        "world": "xp-labels",
    },
    {
        "name": "lb23-spectrum",
        "make": _make(LB23, **_SMALL, use="spectrum", epochs=6, learning_rate=1e-2),
        "share": 0.05,
        "parameters": _label_parameters,
    },
]
