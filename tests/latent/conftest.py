"""Toy latents with known populations."""

from __future__ import annotations

import numpy as np
import pytest

from starkin.io import Latents

from .toys import as_latents, islands


@pytest.fixture(scope="session")
def island_sample() -> tuple[Latents, np.ndarray]:
    points, truth = islands()
    return as_latents(points), truth
