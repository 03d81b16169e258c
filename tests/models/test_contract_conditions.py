"""The contract of models that are told labels: they need them, use them, and say what is amiss."""

from __future__ import annotations

import numpy as np
import pytest

from starkin.spectra import SpectrumSet, StarkinError
from starkin.spectra.flags import Flag

from .contract import CASES, Case, conditions_of, over, trained, world

every_told_model = over([case for case in CASES if case.make("cpu").conditions])
every_untold_model = over([case for case in CASES if not case.make("cpu").conditions])


@pytest.fixture
def new_spectra(case: Case) -> SpectrumSet:
    return world(case.world).new


@every_told_model
def test_missing_and_unusual_labels_are_flagged(case: Case, new_spectra: SpectrumSet) -> None:
    model = trained(case)
    name = model.conditions[0]
    values = new_spectra.label(name)
    values[3], values[4] = np.nan, 10 * values.max()
    latents = model.encode(new_spectra.with_labels(**{name: values}))
    assert latents.flags[3] & Flag.LABEL_MISSING
    assert latents.flags[3] & Flag.NOT_ENCODED
    assert np.isnan(latents.mean[3]).all()
    assert np.isnan(latents.covariance[3]).all()
    assert latents.flags[4] & Flag.LABEL_OUT_OF_RANGE
    assert np.isfinite(latents.mean[4]).all()
    others = np.delete(np.arange(len(new_spectra)), [3, 4])
    assert not (latents.flags[others] & Flag.LABEL_MISSING).any()
    np.testing.assert_allclose(
        latents.mean[others], model.encode(new_spectra).mean[others], atol=1e-4
    )


@every_told_model
def test_labels_are_asked_for_by_name(case: Case, new_spectra: SpectrumSet) -> None:
    bare = new_spectra.replace(labels=None)
    with pytest.raises(StarkinError, match=trained(case).conditions[0]):
        trained(case).encode(bare)
    with pytest.raises(StarkinError, match=trained(case).conditions[0]):
        case.make("cpu").fit(bare)


@every_told_model
def test_decoding_needs_the_conditions_and_heeds_them(case: Case, new_spectra: SpectrumSet) -> None:
    model = trained(case)
    latents, told = model.encode(new_spectra).mean, conditions_of(model, new_spectra)
    assert told is not None
    with pytest.raises(StarkinError, match=model.conditions[0]):
        model.decode(latents)
    with pytest.raises(StarkinError, match="columns"):
        model.decode(latents, told[:, :1])
    with pytest.raises(StarkinError, match="for 100 latents"):
        model.decode(latents, told[:7])
    swapped = model.decode(latents, told[::-1]).values
    assert not np.allclose(swapped, model.decode(latents, told).values, atol=1e-3)


@every_told_model
def test_samples_stay_within_the_range_of_the_labels(case: Case) -> None:
    model = trained(case)
    drawn = model.sample(50, seed=1)
    for name in model.conditions:
        values, known = drawn.label(name), world(case.world).train.label(name)
        assert known.min() <= values.min() < values.max() <= known.max()


@every_untold_model
def test_a_model_that_is_told_nothing_refuses_conditions(case: Case) -> None:
    model = trained(case)
    latents = model.encode(world(case.world).new[:5]).mean
    with pytest.raises(StarkinError, match="takes no conditions"):
        model.decode(latents, np.zeros((5, 2)))
