"""Small sets of spectra that several tests share."""

from __future__ import annotations

import pytest

from starkin.spectra import SpectrumSet

from .worlds import linear_spectra


@pytest.fixture(scope="session")
def spectra() -> SpectrumSet:
    return linear_spectra(400, 1, masked=True)


@pytest.fixture(scope="session")
def new_spectra() -> SpectrumSet:
    return linear_spectra(100, 2, masked=True)
