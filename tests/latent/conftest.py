"""Toy latents with known populations."""

from __future__ import annotations

import numpy as np
import pytest

from starkin.io import Latents
from starkin.latent.clusters import PopulationFinder
from starkin.latent.populations import Populations

from .toys import as_latents, islands


@pytest.fixture(scope="session")
def island_sample() -> tuple[Latents, np.ndarray]:
    points, truth = islands()
    return as_latents(points), truth


@pytest.fixture(scope="session")
def found(island_sample) -> Populations:
    return PopulationFinder().fit(island_sample[0])
