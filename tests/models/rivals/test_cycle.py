"""Cycle-StarNet: what it needs, how domains become scores, and a line recovered by transfer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from astropy import units as u

from starkin.io import write_vectors
from starkin.models.inputs import Inputs
from starkin.models.load import load_model, new_model
from starkin.models.preprocessing import Preprocessing
from starkin.models.rivals import CycleStarNet, CycleStarNetConfig
from starkin.models.rivals.cycle_inputs import CommonAxes, usual_scaling
from starkin.spectra import SpectrumSet, StarkinError, WavelengthGrid
from starkin.spectra.transform import Standardiser

from ..worlds import conditional_spectra

_PIXELS = 40
_LINE = slice(18, 22)


def stars(n: int, seed: int, *, line: bool, noise: float) -> SpectrumSet:
    """Fluxes of three factors; four pixels are a line that grows with the first of them."""
    world = np.random.default_rng(3)
    loadings = 0.03 * world.normal(size=(3, _PIXELS))
    loadings[:, _LINE] = 0
    draw = np.random.default_rng(seed)
    # Skewed, so that no turn or change of sign leaves the distribution as it is.
    factors = draw.gamma(4.0, 0.5, size=(n, 3)) - 2.0
    values = 0.9 + factors @ loadings
    if line:
        values[:, _LINE] -= 0.15 + 0.05 * factors[:, :1]
    errors = np.full(values.shape, max(noise, 1e-4))
    grid = WavelengthGrid(15_000 * 10 ** (6e-5 * np.arange(_PIXELS)), unit="Angstrom")
    return SpectrumSet(
        source_id=np.arange(n) + 1,
        values=values + noise * draw.normal(size=values.shape),
        errors=errors,
        grid=grid,
        unit=u.dimensionless_unscaled,
    )


_SMALL = CycleStarNetConfig(
    n_latent=3,
    n_split=1,
    hidden=(32, 16),
    critic=(16,),
    components=8,
    epochs=30,
    batch_size=100,
    learning_rate=5e-3,
)


@pytest.fixture(scope="module")
def model() -> CycleStarNet:
    observed, synthetic = (
        stars(800, 1, line=True, noise=0.005),
        stars(900, 2, line=False, noise=0.0),
    )
    return CycleStarNet(_SMALL, threads=1).fit(observed, synthetic=synthetic, seed=0)


def test_synthetic_spectra_are_asked_for_and_must_fit(model: CycleStarNet) -> None:
    observed = stars(50, 1, line=True, noise=0.005)
    with pytest.raises(StarkinError, match="setting synthetic"):
        CycleStarNet(_SMALL).fit(observed)
    with pytest.raises(StarkinError, match="synthetic set is on another grid"):
        CycleStarNet(_SMALL).fit(observed, synthetic=conditional_spectra(50, 1))
    with pytest.raises(StarkinError, match=r"no-such-file\.parquet"):
        new_model("cycle-starnet", {"synthetic": "no-such-file.parquet"}).fit(observed)


def test_a_file_is_as_good_as_a_set(tmp_path: Path) -> None:
    observed = stars(120, 1, line=True, noise=0.005)
    synthetic = stars(100, 2, line=False, noise=0.0)
    write_vectors(synthetic, tmp_path / "synthetic.parquet")
    settings = _SMALL.to_dict() | {"epochs": 2}
    given = CycleStarNet(CycleStarNetConfig.from_dict(settings), threads=1)
    given.fit(observed, synthetic=synthetic, seed=1)
    settings["synthetic"] = str(tmp_path / "synthetic.parquet")
    named = CycleStarNet(CycleStarNetConfig.from_dict(settings), threads=1).fit(observed, seed=1)
    np.testing.assert_allclose(
        named.encode(observed).mean, given.encode(observed).mean, rtol=1e-3, atol=1e-3
    )


def test_settings_are_strict() -> None:
    assert CycleStarNetConfig.from_dict(_SMALL.to_dict()) == _SMALL
    for wrong, named in (
        ({"n_split": -1}, "n_split"),
        ({"hidden": ()}, "hidden"),
        ({"change_weight": -0.1}, "change_weight"),
        ({"synthetic": 3}, "synthetic"),
        ({"floor": 2.0}, "floor"),
    ):
        with pytest.raises(StarkinError, match=named):
            CycleStarNetConfig(**wrong)  # type: ignore[arg-type]
    with pytest.raises(StarkinError, match="Cycle-StarNet"):
        CycleStarNetConfig.from_dict({"adversary": 1})


def test_pixels_are_scaled_by_their_usual_errors() -> None:
    """Three stars: median errors 0.2 and 0.1 (of two); the last pixel is never seen."""
    spectra = SpectrumSet(
        source_id=np.arange(3),
        values=np.array([[1.0, 5.0, 0.0], [2.0, 7.0, 0.0], [3.0, 99.0, 0.0]]),
        errors=np.array([[0.1, 0.1, 1.0], [0.2, 0.1, 1.0], [0.7, 9.0, 1.0]]),
        grid=WavelengthGrid(np.array([1.0, 2.0, 3.0]) + 5000, unit="Angstrom"),
        mask=np.array([[0, 0, 1], [0, 0, 1], [0, 1, 1]], dtype=bool),
    )
    found = usual_scaling(spectra, np.arange(3), 0.0)
    assert found.mean.tolist() == pytest.approx([2.0, 6.0, 4.0])
    assert found.scale.tolist() == pytest.approx([0.2, 0.1, 0.15])
    spread = np.sqrt(2 / 3), 1.0
    found = usual_scaling(spectra, np.arange(3), 0.3)
    assert found.scale[0] == pytest.approx(np.hypot(0.2, 0.3 * spread[0]))
    assert found.scale[1] == pytest.approx(np.hypot(0.1, 0.3 * spread[1]))


def test_axes_are_those_of_the_scatter_within_domains() -> None:
    """Two domains far apart: their distance is in the means, none of it in the axes."""
    first, second = (stars(300, k, line=bool(k), noise=0.003) for k in (1, 0))
    inputs = Inputs(Preprocessing(Standardiser(np.zeros(_PIXELS), np.ones(_PIXELS))), None)
    rows = np.arange(300)
    axes = CommonAxes.fit((inputs.prepare(first), rows), (inputs.prepare(second), rows), 3, seed=0)
    np.testing.assert_allclose(axes.observed.mean, first.values.mean(0), atol=1e-5)
    np.testing.assert_allclose(axes.synthetic.mean, second.values.mean(0), atol=1e-5)
    centred = np.concatenate([s.values - s.values.mean(0) for s in (first, second)])
    expected = np.linalg.svd(centred, full_matrices=False)
    overlap = np.abs(np.sum(expected.Vh[:3].T * axes.observed.axes.numpy(), axis=0))
    np.testing.assert_allclose(overlap, 1, atol=1e-3)
    np.testing.assert_allclose(axes.observed.size, expected.S[:3] / np.sqrt(599), rtol=1e-3)


def test_a_missing_line_is_recovered_in_the_right_stars(model: CycleStarNet) -> None:
    truth, before = (stars(300, 7, line=line, noise=0.0) for line in (True, False))
    after = model.to_observed(before)
    missing = (before.values - truth.values)[:, _LINE].mean(1)
    added = (before.values - after.values)[:, _LINE].mean(1)
    assert added.mean() == pytest.approx(missing.mean(), rel=0.05)
    assert np.corrcoef(added, missing)[0, 1] > 0.97
    left = np.sqrt(np.mean((after.values - truth.values) ** 2))
    constant = np.std((before.values - truth.values) - (before.values - truth.values).mean(0))
    assert left < 0.5 * constant
    assert np.array_equal(after.source_id, before.source_id)
    assert after.meta["transferred"] == {"to": "observed", "model_id": model.model_id}
    # And out again: the observed line is taken away.
    back = model.to_synthetic(truth)
    assert np.abs((back.values - before.values)[:, _LINE]).mean() < 0.1 * missing.mean()


def test_split_latents_can_be_chosen(model: CycleStarNet) -> None:
    synthetic = stars(6, 9, line=False, noise=0.0)
    split = model.split(stars(50, 1, line=True, noise=0.005))
    assert split.shape == (50, 1)
    usual = model.to_observed(synthetic).values
    np.testing.assert_allclose(
        model.to_observed(synthetic, model._usual_split.numpy()).values, usual, atol=1e-6
    )
    assert not np.array_equal(model.to_observed(synthetic, split[:6] + 1).values, usual)


def test_a_star_without_anything_is_masked(model: CycleStarNet) -> None:
    synthetic = stars(6, 9, line=False, noise=0.0)
    mask = synthetic.mask.copy()
    mask[2] = True
    after = model.to_observed(synthetic.replace(mask=mask))
    assert after.mask.any(axis=1).tolist() == [False, False, True, False, False, False]
    assert np.isnan(model.encode_synthetic(synthetic.replace(mask=mask))[2]).all()


def test_a_saved_model_transfers_bit_for_bit(model: CycleStarNet, tmp_path: Path) -> None:
    synthetic = stars(20, 9, line=False, noise=0.0)
    model.save(tmp_path / "model")
    loaded = load_model(tmp_path / "model", threads=1)
    assert isinstance(loaded, CycleStarNet)
    assert np.array_equal(loaded.to_observed(synthetic).values, model.to_observed(synthetic).values)
    observed = stars(20, 1, line=True, noise=0.005)
    assert np.array_equal(loaded.to_synthetic(observed).values, model.to_synthetic(observed).values)
    assert np.array_equal(loaded.split(observed), model.split(observed))
    assert loaded.card["data"]["n_synthetic"] == 855


def test_covariances_are_those_of_the_jacobian(model: CycleStarNet) -> None:
    """Against finite differences of the encoder along every axis."""
    observed = stars(2, 1, line=True, noise=0.005)
    prepared = model.inputs.prepare(observed)
    y = model._axes.observed.scores(prepared, np.arange(2))
    network = model._network.double()
    step = 1e-5
    slopes = torch.stack(
        [
            (
                network.encode_observed(y.double() + step * axis)[0]
                - network.encode_observed(y.double() - step * axis)[0]
            )
            / (2 * step)
            for axis in torch.eye(y.shape[1], dtype=torch.float64)
        ],
        dim=2,
    ).detach()
    network.float()
    level = (prepared.tensors(np.arange(2))[1] ** 2).mean(1)
    expected = slopes @ slopes.transpose(1, 2) * level[:, None, None]
    np.testing.assert_allclose(
        model.encode(observed).covariance_matrices(), expected, rtol=1e-3, atol=1e-6
    )
