"""A small survey with three kinds of star, drawn once."""

from __future__ import annotations

import pytest

from starkin.simulate import simulate_survey
from starkin.spectra import SpectrumSet


@pytest.fixture(scope="session")
def small_survey() -> SpectrumSet:
    return simulate_survey(600, seed=3, preset="cemp", correlations=False)
