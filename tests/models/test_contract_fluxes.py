"""The contract of models of fluxes: what they refuse and what they flag of the signal."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from starkin.models import SpectrumModel
from starkin.models.inputs import Inputs, lowest_snr
from starkin.models.preprocessing import Preprocessing
from starkin.models.rivals import LB23, Cannon, Payne
from starkin.spectra import SpectrumSet, StarkinError
from starkin.spectra.flags import Flag
from starkin.spectra.quality import signal_to_noise

from .contract import CASES, Case, over, trained, world
from .worlds import linear_spectra


def _of_labels(name: str, kind: type, **settings: object) -> Case:
    config = {"labels": ["teff", "logg"], **settings}
    return Case(
        f"{name}-flux",
        lambda device: kind(kind.config_class.from_dict(config), device=device, threads=1),
        0.0,
        world="flux",
    )


every_flux_model = over(
    [
        *(case for case in CASES if case.world == "flux"),
        _of_labels("cannon", Cannon),
        _of_labels("payne", Payne, epochs=1, hidden=[16]),
        _of_labels("lb23", LB23, epochs=1, width=8, layers=1, heads=2, n_told=8, n_asked=8),
    ]
)


@pytest.fixture
def new_spectra(case: Case) -> SpectrumSet:
    return world(case.world).new


def spoilt(spectra: SpectrumSet) -> SpectrumSet:
    """Star 3 thirty times noisier, star 4 in counts."""
    values, errors = spectra.values.copy(), spectra.errors.copy()
    errors[3] *= 30
    values[4], errors[4] = 250 * values[4], 250 * errors[4]
    return spectra.replace(values=values, errors=errors)


def check(model: SpectrumModel, spectra: SpectrumSet) -> None:
    flags = model.encode(spoilt(spectra)).flags
    assert np.flatnonzero(flags & Flag.LOW_SNR).tolist() == [3]
    assert np.flatnonzero(flags & Flag.NOT_NORMALISED).tolist() == [4]


@every_flux_model
def test_stars_of_poor_signal_are_flagged(
    case: Case, new_spectra: SpectrumSet, tmp_path: Path
) -> None:
    """The training spectra have S/N 85 to 340, and 21 is a quarter of the worst."""
    model = trained(case)
    check(model, new_spectra)
    model.save(tmp_path / "model")
    check(type(model).load(tmp_path / "model"), new_spectra)


@every_flux_model
def test_fluxes_that_are_not_normalised_are_refused(case: Case, new_spectra: SpectrumSet) -> None:
    counts = new_spectra.replace(values=250 * new_spectra.values, errors=250 * new_spectra.errors)
    with pytest.raises(StarkinError, match="divide by the continuum"):
        trained(case).encode(counts)
    with pytest.raises(StarkinError, match="divide by the continuum"):
        case.make("cpu").fit(counts)


def test_the_limit_is_a_quarter_of_the_training_s_and_never_above_25() -> None:
    spectra = world("flux").train
    snr = signal_to_noise(spectra)
    inputs = Inputs.fit(spectra, np.arange(len(spectra)), ())
    assert inputs.lowest_snr == pytest.approx(np.percentile(snr, 1))
    for factor, limit in ((1.0, inputs.lowest_snr / 4), (0.01, 25.0)):
        trained_on = spectra.replace(errors=factor * spectra.errors)
        inputs = Inputs.fit(trained_on, np.arange(len(spectra)), ())
        for share, flagged in ((0.95, True), (1.05, False)):
            wanted = (snr / (share * limit))[:, None]  # Every star at this part of the limit.
            flags = inputs.prepare(spectra.replace(errors=wanted * spectra.errors)).flags
            assert ((flags & Flag.LOW_SNR) != 0).all() == flagged
            assert ((flags & Flag.LOW_SNR) != 0).any() == flagged


def test_a_directory_from_before_tells_no_signal_and_flags_none() -> None:
    spectra = world("flux").train
    arrays = Inputs.fit(spectra, np.arange(len(spectra)), ()).to_arrays()
    del arrays["training.lowest_snr"]
    before = Inputs.from_arrays(arrays)
    assert before.lowest_snr is None
    assert not (before.prepare(spoilt(spectra)).flags & Flag.LOW_SNR).any()


def test_the_signal_of_coefficients_is_not_asked() -> None:
    spectra = linear_spectra(50, 0)
    assert lowest_snr(spectra) is None
    assert "training.lowest_snr" not in Inputs(Preprocessing.fit(spectra), None).to_arrays()
