"""What the contract's tests are run on: worlds of spectra, and a case for every model."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from copy import deepcopy
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from starkin.models import ChemicalModel, ScatterVAE, ScatterVAEConfig, SpectrumModel
from starkin.models.preprocessing import Preprocessing
from starkin.models.rivals import PCA, RSCA, FactorDis, Fader, PolynomialPCA
from starkin.models.rivals.autoencoder import AdversarialAutoencoder
from starkin.models.scatter_training import elbo_loss
from starkin.spectra import SpectrumSet, XPGrid

from .rivals.cases import RIVALS
from .rivals.cycle_cases import CYCLE
from .worlds import conditional_spectra, linear_spectra, stellar_spectra

Parameters = Callable[[SpectrumModel, SpectrumSet], Iterable[tuple[str, Tensor]]]


@dataclass(frozen=True)
class World:
    """Spectra to train on, new ones of the same kind, and a set on a grid that must be refused.

    ``refusal`` is what the refusal says of the model's own grid.
    """

    train: SpectrumSet
    new: SpectrumSet
    other: SpectrumSet
    refusal: str


@lru_cache
def world(name: str) -> World:
    """``"xp"``: XP coefficients without labels; ``"xp-labels"``: with teff, logg and m_h;
    ``"xp-stars"``: of black bodies behind dust; ``"flux"``: fluxes with teff and logg.
    """
    if name.startswith("xp"):
        other = SpectrumSet(np.arange(2), np.ones((2, 106)), np.ones((2, 106)), XPGrid(51, 55))
        if name == "xp-stars":
            stars = stellar_spectra(400, 1, masked=True), stellar_spectra(100, 2, masked=True)
            return World(*stars, other, "51 BP \\+ 55 RP")
        how = {"masked": True, "labels": name == "xp-labels"}
        return World(
            linear_spectra(400, 1, **how), linear_spectra(100, 2, **how), other, "51 BP \\+ 55 RP"
        )
    train, new = conditional_spectra(400, 1, masked=True), conditional_spectra(100, 2, masked=True)
    return World(train, new, conditional_spectra(2, 3, first=15_800.0), "pixels, 15800")


@dataclass(frozen=True)
class Case:
    """A model under the contract.

    Attributes
    ----------
    name : str
    make : callable
        An untrained model for a device, that trains within seconds.
    share : float
        Part of the variance that a round trip through the latents must explain.
    parameters : callable or None
        The network's named parameters after one backward pass of the training loss on
        the spectra; None for a model that is fitted in closed form. Such a model has no
        steps to resume at: a killed run starts anew and ends with the same bits.
    world : {"xp", "xp-labels", "xp-stars", "flux"}
        What it is trained on.
    """

    name: str
    make: Callable[[str], SpectrumModel]
    share: float
    parameters: Parameters | None = None
    world: str = "xp"


def _scatter(**settings: object) -> Callable[[str], ScatterVAE]:
    config = {"epochs": 8, "batch_size": 100, "learning_rate": 1e-2, "n_latent": 4, **settings}
    return lambda device: ScatterVAE(ScatterVAEConfig.from_dict(config), device=device, threads=1)


def _scatter_parameters(model: SpectrumModel, spectra: SpectrumSet) -> Iterator[tuple[str, Tensor]]:
    assert isinstance(model, ScatterVAE)
    assert model.preprocessing is not None
    network = deepcopy(model.network).train()  # BatchNorm remembers what passes through it
    loss = elbo_loss(network, model.config, spectra.grid)
    loss(
        model.preprocessing(spectra).tensors, torch.Generator().manual_seed(0), 1.0
    ).total.backward()
    return network.named_parameters()


def _linear(kind: type, **settings: object) -> Callable[[str], SpectrumModel]:
    config = {"n_latent": 4, **settings}
    return lambda device: kind(kind.config_class.from_dict(config), device=device, threads=1)


def _adversarial(kind: type, **settings: object) -> Callable[[str], SpectrumModel]:
    config = {
        "n_latent": 4,
        "encoder": [32],
        "decoder": [32],
        "adversary": [16],
        "components": 12,
        "epochs": 12,
        "batch_size": 140,
        "learning_rate": 1e-2,
        "validation_fraction": 0.1,
        **settings,
    }
    return lambda device: kind(kind.config_class.from_dict(config), device=device, threads=1)


def _adversarial_parameters(
    model: SpectrumModel, spectra: SpectrumSet
) -> Iterator[tuple[str, Tensor]]:
    assert isinstance(model, AdversarialAutoencoder)
    data = model._tensors(model.inputs.prepare(spectra), np.arange(len(spectra)))
    network = model._fresh(data[0].shape[1], seed=0)
    loss = model._loss(network, data[1], spectra.n_pixels)
    loss(data, torch.Generator().manual_seed(0), 1.0).total.backward()
    return network.named_parameters()


CASES = [
    Case("scatter-vae", _scatter(), 0.8, _scatter_parameters),
    Case(
        "scatter-vae-dropout-warm-up",
        _scatter(band_dropout=0.3, kl_warm_up=0.5, patience=5),
        0.8,
        _scatter_parameters,
    ),
    Case(
        "laroche-speagle", _scatter(recipe="laroche-speagle", epochs=3), -0.1, _scatter_parameters
    ),
    Case(
        "laroche-speagle-mean",
        _scatter(recipe="laroche-speagle", epochs=3, loss_normalisation="mean"),
        -0.1,
        _scatter_parameters,
    ),
    Case("ppca-xp", _linear(PCA), 0.8),
    Case("pca", _linear(PCA, weighted=False, whiten=False), 0.7, world="flux"),
    Case("ppca", _linear(PCA), 0.7, world="flux"),
    Case("polynomial-pca", _linear(PolynomialPCA), 0.8, world="flux"),
    Case("polynomial-pca-plain", _linear(PolynomialPCA, weighted=False), 0.8, world="flux"),
    Case("rsca", _linear(RSCA), 0.8, world="flux"),
    Case("rsca-alone", _linear(RSCA, conditions=[], degree=0), 0.7, world="flux"),
    Case("fader", _adversarial(Fader), 0.7, _adversarial_parameters, world="flux"),
    Case(
        "fader-pixels",
        _adversarial(Fader, recipe="published", components=0, epochs=12, learning_rate=1e-2),
        0.5,
        _adversarial_parameters,
        world="flux",
    ),
    Case(
        "conditional-autoencoder",
        _adversarial(Fader, adversary_weight=0.0),
        0.7,
        _adversarial_parameters,
        world="flux",
    ),
    Case(
        "factor-dis",
        _adversarial(FactorDis, critic_steps=1),
        0.7,
        _adversarial_parameters,
        world="flux",
    ),
    Case(
        "chemical",
        _linear(
            ChemicalModel, n_latent=3, n_components=16, mean_degree=2, loading_degree=1, sweeps=2
        ),
        0.8,
        world="flux",
    ),
    *(Case(**rival) for rival in (*RIVALS, *CYCLE)),
]


def over(cases: list[Case]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("case", cases, ids=lambda case: case.name)


every_model = over(CASES)
every_network = over([case for case in CASES if case.parameters is not None])
every_closed_form = over([case for case in CASES if case.parameters is None])

_trained: dict[str, SpectrumModel] = {}


def trained(case: Case) -> SpectrumModel:
    """The case's model after its training, made once."""
    if case.name not in _trained:
        _trained[case.name] = case.make("cpu").fit(world(case.world).train, seed=3)
    return _trained[case.name]


def conditions_of(model: SpectrumModel, spectra: SpectrumSet) -> np.ndarray | None:
    """What ``decode`` needs beside the latents of these spectra."""
    if not model.conditions:
        return None
    return np.column_stack([spectra.label(name) for name in model.conditions])


def as_decoded(spectra: SpectrumSet) -> np.ndarray:
    """The values in the unit of :class:`Decoded`."""
    return Preprocessing.normalise(spectra).values


def digest(directory: Path) -> dict[str, str]:
    """Checksums of what decides the numbers of a model."""
    names = ("config.json", "weights.safetensors", "transform.npz", "grid.npz")
    return {n: hashlib.sha256((directory / n).read_bytes()).hexdigest() for n in names}
