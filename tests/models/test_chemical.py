"""The chemical model: its parts against what is known, and twins found without any pair."""

from __future__ import annotations

import math
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
import torch
from astropy import units as u_

from starkin.latent.twin_metric import TwinMetric
from starkin.models import ChemicalConfig, ChemicalModel, chemical_training
from starkin.models.chemical_gauge import (
    Rotation,
    alignment,
    by_curvature,
    even_alignment,
    redundancy,
    standardise,
)
from starkin.models.chemical_projection import PixelBasis
from starkin.models.inputs import Inputs
from starkin.nets.chemical import ChemicalDecoder, Degrees
from starkin.nets.smooth import smooth_basis
from starkin.spectra import SpectrumSet, StarkinError, WavelengthGrid
from starkin.spectra.flags import Flag

N_ELEMENTS, N_PIXELS = 4, 240
SETTINGS = {
    "n_latent": N_ELEMENTS,
    "n_components": 30,
    "sweeps": 4,
    "n_bent": N_ELEMENTS,  # All of them saturate.
    # Labels are exact here, and so short a spectrum knows the temperature no better.
    "condition_errors": [0.0, 0.0],
}


def stars(n: int, seed: int, *, snr: float = 0.0) -> SpectrumSet:
    """Pairs of giants: saturating lines of four elements whose strength falls with temperature."""
    world = np.random.default_rng(3)
    element = np.repeat(np.arange(N_ELEMENTS), (40, 20, 15, 12))
    centre = world.uniform(0, N_PIXELS, element.size)
    strength, excitation = world.normal(-0.7, 0.4, element.size), world.uniform(0, 1, element.size)
    profile = np.exp(-0.5 * ((np.arange(N_PIXELS) - centre[:, None]) / 1.5) ** 2)
    draw = np.random.default_rng(seed)
    pair = np.arange(n) // 2
    composition = draw.normal(0, 0.15, (n // 2 + 1, N_ELEMENTS))[pair]
    teff, logg = draw.uniform(4000, 5000, n), draw.uniform(1, 3, n)
    x, g = (teff - 4500) / 500, logg - 2
    depth = strength + composition[:, element] - 0.5 * x[:, None] * excitation + 0.1 * g[:, None]
    flux = np.exp(-(10**depth) @ profile)
    error = 1 / snr if snr else 1e-4
    if snr:
        flux = flux + error * draw.normal(size=flux.shape)
    return SpectrumSet(
        np.arange(n) + 1,
        flux,
        np.full(flux.shape, error),
        WavelengthGrid(15_200.0 * 10 ** (6e-6 * np.arange(N_PIXELS)), unit="Angstrom"),
        unit=u_.dimensionless_unscaled,
    ).with_labels(teff=teff, logg=logg, composition_id=pair)


@lru_cache
def model() -> ChemicalModel:
    """Trained on one star of each of 1,200 pairs: no two of them are twins."""
    return ChemicalModel(ChemicalConfig(**SETTINGS), threads=1).fit(stars(2400, 1)[::2], seed=1)


def share_first(spectra: SpectrumSet, trained: ChemicalModel) -> float:
    """Share of the stars whose twin is the first by the model's own likelihood ratio."""
    latents = trained.encode(spectra)
    metric = TwinMetric.fit(latents, trained.twin_prior())
    rows = np.arange(len(spectra))
    every = np.broadcast_to(rows, (len(rows), len(rows)))
    ratio = metric.log_ratios(metric.stars(latents), rows, every)
    np.fill_diagonal(ratio, -np.inf)
    return float((ratio.argmax(axis=1) == rows ^ 1).mean())


# --- what it is for -----------------------------------------------------------------


def test_twins_are_found_without_pairs() -> None:
    """Four elements leave little room: by chance a star's nearest is its twin once in 400."""
    assert share_first(stars(400, 2), model()) > 0.75
    assert share_first(stars(400, 2, snr=200), model()) > 0.6


def test_a_twin_s_latents_describe_a_star() -> None:
    spectra = stars(400, 2)
    trained, told = model(), np.column_stack([spectra.label("teff"), spectra.label("logg")])
    z = trained.encode(spectra).mean
    own = np.mean((trained.decode(z, told).values - spectra.values) ** 2)
    twin = np.mean((trained.decode(z[np.arange(400) ^ 1], told).values - spectra.values) ** 2)
    spread = spectra.values.var(axis=0).mean()
    assert own < 1e-3 * spread
    assert twin < 0.02 * spread


def test_noise_is_covered_by_the_covariance() -> None:
    clean, noisy = stars(1000, 4), stars(1000, 4, snr=50)
    trained = model()
    latents = trained.encode(noisy)
    away = latents.mean - trained.encode(clean).mean
    squared = np.einsum(
        "ni,ni->n", away, np.linalg.solve(latents.covariance, away[..., None])[..., 0]
    )
    assert squared.mean() == pytest.approx(N_ELEMENTS, rel=0.15)


def test_the_continuum_s_tilt_is_no_chemistry() -> None:
    spectra = stars(50, 5, snr=100)
    trained = model()
    tilted = spectra.replace(values=spectra.values * (1 + 0.02 * np.linspace(-1, 1, N_PIXELS)))
    before, after = trained.encode(spectra), trained.encode(tilted)
    shift = np.abs(after.mean - before.mean) / np.sqrt(before.variance)
    assert np.median(shift) < 0.4


def test_errors_of_the_labels_widen_the_covariance() -> None:
    spectra = stars(50, 5, snr=100)
    told = spectra.with_labels(teff_error=np.full(50, 100.0), logg_error=np.full(50, 0.2))
    exact, loose = model().encode(spectra), model().encode(told)
    assert (loose.variance > exact.variance).mean() > 0.9


def test_wrong_labels_do_little_harm_when_told() -> None:
    spectra = stars(400, 2, snr=200)
    draw = np.random.default_rng(0)
    wrong = spectra.with_labels(
        teff=spectra.label("teff") + draw.normal(0, 100, 400),
        logg=spectra.label("logg") + draw.normal(0, 0.2, 400),
    )
    told = wrong.with_labels(teff_error=np.full(400, 100.0), logg_error=np.full(400, 0.2))
    assert share_first(told, model()) > share_first(wrong, model()) + 0.2


def test_labels_beyond_the_trained_range_are_flagged() -> None:
    spectra = stars(4, 6)
    teff = spectra.label("teff")
    teff[1], teff[2] = 6000.0, np.nan
    flags = model().encode(spectra.with_labels(teff=teff)).flags
    assert not flags[0] & (Flag.LABEL_OUT_OF_RANGE | Flag.LABEL_MISSING)
    assert flags[1] & Flag.LABEL_OUT_OF_RANGE
    assert flags[2] & Flag.LABEL_MISSING
    assert flags[2] & Flag.NOT_ENCODED


def test_a_star_of_mere_noise_is_flagged() -> None:
    spectra = stars(20, 7, snr=0.5)
    assert (model().encode(spectra).flags & Flag.FAR_FROM_TRAINING).all()
    assert not (model().encode(stars(20, 7)).flags & Flag.FAR_FROM_TRAINING).any()


def test_decode_needs_conditions() -> None:
    with pytest.raises(StarkinError, match="teff, logg"):
        model().decode(np.zeros((2, N_ELEMENTS)))


# --- training ---------------------------------------------------------------------------


class Killed(BaseException):
    """Stands for a kill: nothing in the code under test may catch it."""


@pytest.mark.parametrize("after", [1, 2, 5])
def test_resumes_bit_for_bit_after_a_kill(
    after: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spectra, checkpoint = stars(400, 8), tmp_path / "run.safetensors"
    settings = {"n_components": 12, "sweeps": 4, "n_bent": 1, "growth": 2, "n_latent": 5}
    small = ChemicalConfig(**SETTINGS | settings)
    assert [stage.n_latent for stage in small.stages] == [1, 3, 5]
    whole = ChemicalModel(small, threads=1).fit(spectra, seed=2)
    saves, save = 0, chemical_training._save

    def save_then_die(*args: object) -> None:
        nonlocal saves
        save(*args)  # type: ignore[arg-type]
        saves += 1
        if saves == after:
            raise Killed

    monkeypatch.setattr(chemical_training, "_save", save_then_die)
    with pytest.raises(Killed):
        ChemicalModel(small, threads=1).fit(
            spectra, seed=2, checkpoint=checkpoint, checkpoint_seconds=0
        )
    monkeypatch.setattr(chemical_training, "_save", save)
    resumed = ChemicalModel(small, threads=1).fit(spectra, seed=2, checkpoint=checkpoint)
    assert resumed.model_id == whole.model_id
    assert resumed.card["history"]["misfit"] == whole.card["history"]["misfit"]
    with pytest.raises(StarkinError, match="other data or settings"):
        ChemicalModel(small, threads=1).fit(spectra, seed=3, checkpoint=checkpoint)
    checkpoint.write_bytes(checkpoint.read_bytes()[:100])
    with pytest.raises(StarkinError, match="cannot be read"):
        ChemicalModel(small, threads=1).fit(spectra, seed=2, checkpoint=checkpoint)


def test_no_latent_for_what_every_star_hides() -> None:
    """Of twelve latents that may be, four elements and the curvature of their lines take few."""
    trained = ChemicalModel(ChemicalConfig(**SETTINGS | {"n_latent": 12}), threads=1)
    trained.fit(stars(2400, 1)[::2], seed=1)
    assert N_ELEMENTS <= trained.n_latent < 12
    assert trained.encode(stars(4, 2)).mean.shape == (4, trained.n_latent)


def test_few_stars_get_few_terms() -> None:
    config = ChemicalConfig()
    assert config.degrees(1_000_000).joint == 6
    assert config.degrees(1_200).joint < 6
    assert config.degrees(100).bent == 0
    assert ChemicalConfig(curvature_degree=-1).degrees(1_000_000).bent == 0


def test_what_bends_comes_first() -> None:
    decoder = ChemicalDecoder(3, 1, 2, Degrees(0, 0, 0))
    decoder.curvature[0, 1, 1, 0] = 2.0
    decoder.curvature[0, 2, 2, 1] = -1.0
    turned = torch.eye(3) @ by_curvature(decoder)
    np.testing.assert_allclose(turned.abs(), np.eye(3)[[2, 0, 1]], atol=1e-6)


def test_more_latents_than_components_are_refused() -> None:
    with pytest.raises(StarkinError, match=r"ChemicalConfig\.n_latent is 25"):
        ChemicalModel(ChemicalConfig(n_latent=25, n_components=80)).fit(stars(90, 9))


# --- what fixes the latents -----------------------------------------------------------


def test_a_latent_that_is_a_function_of_others_is_redundant() -> None:
    draw = torch.Generator().manual_seed(1)
    z, noise = torch.randn((3000, 3), generator=draw), torch.randn(3000, generator=draw)
    assert abs(redundancy(z)) < 0.02
    # (a² − 1)/√2 has variance 1, and so has the noise: half of the variance is told.
    z[:, 2] = (z[:, 0] ** 2 - 1) / 2**0.5 + noise
    assert redundancy(z) == pytest.approx(0.5, abs=0.05)


def test_standardised_latents_have_the_same_moments_everywhere() -> None:
    generator = torch.Generator().manual_seed(0)
    u = 2 * torch.rand((20_000, 2), generator=generator) - 1
    z = torch.randn((20_000, 2), generator=generator) * (1 + 0.4 * u[:, :1]) + u**2
    new = standardise(z, u)
    for part in (u[:, 0] < -0.5, u[:, 0] > 0.5, u[:, 1] > 0):
        np.testing.assert_allclose(new[part].mean(0), 0, atol=0.04)
        np.testing.assert_allclose(torch.cov(new[part].T), np.eye(2), atol=0.08)


def test_alignment_undoes_a_rotation_that_keeps_directions() -> None:
    """Pixels answer along fixed directions, with strengths that change; then all is turned."""
    draw = np.random.default_rng(0)
    n_grid, n_pixels, d = 6, 300, 3
    direction = draw.normal(size=(n_pixels, d))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    strength = np.exp(0.5 * draw.normal(size=(n_grid, n_pixels, 1)))
    axis = draw.normal(size=(n_grid, d, d)) * 0.3
    turn = torch.linalg.matrix_exp(torch.tensor(axis - axis.transpose(0, 2, 1)))
    responses = torch.tensor(strength * direction) @ turn
    found = alignment(responses.float(), power=0.0)
    straight = (responses.float() @ found).double()
    unit = straight / straight.norm(dim=2, keepdim=True)
    np.testing.assert_allclose((unit * unit[:1]).sum(2), 1, atol=2e-3)


def test_even_alignment_gives_every_direction_one_vote() -> None:
    """A hundred pixels turn one way, a single one the other way by as much: turn nothing."""

    def along(degrees: float) -> torch.Tensor:
        angle = math.radians(degrees)
        return torch.tensor([math.cos(angle), math.sin(angle), 0.0])

    responses = torch.stack(
        [torch.stack([along(turn)] * 100 + [0.2 * along(90 - turn)]) for turn in (-20.0, 20.0)]
    )
    majority = alignment(responses, power=0.0)
    assert float(majority[1, 0, 1] - majority[0, 0, 1]) == pytest.approx(
        -2 * math.sin(math.radians(20)), abs=0.02
    )
    even = even_alignment(responses, 2)
    np.testing.assert_allclose(even, torch.eye(3).expand(2, 3, 3), atol=0.02)


def test_a_rotation_is_smooth_and_a_rotation() -> None:
    u = torch.linspace(-1, 1, 9)[:, None]
    angle = 0.4 * u[:, 0]
    exact = torch.stack(
        [torch.stack([angle.cos(), -angle.sin()]), torch.stack([angle.sin(), angle.cos()])]
    ).permute(2, 0, 1)
    rotation = Rotation.through(u, exact, degree=3)
    np.testing.assert_allclose(rotation(u), exact, atol=2e-3)
    np.testing.assert_allclose(
        rotation(u) @ rotation(u).mT, np.eye(2)[None].repeat(9, 0), atol=1e-5
    )
    z = torch.tensor([[1.0, 0.0]]).expand(9, 2)
    np.testing.assert_allclose(rotation.turn(z, u), exact[:, 0], atol=2e-3)


# --- pixels and components --------------------------------------------------------------


def test_components_of_a_masked_star_are_weighted_least_squares() -> None:
    spectra = stars(300, 10, snr=100)
    draw = np.random.default_rng(0)
    mask = np.zeros(spectra.values.shape, dtype=bool)
    mask[5] = draw.random(N_PIXELS) < 0.2
    errors = np.array(spectra.errors)
    errors[6] *= draw.uniform(0.5, 2, N_PIXELS)
    changed = spectra.replace(mask=mask, errors=errors)
    prepared = Inputs.fit(changed, np.arange(300), ("teff", "logg")).prepare(changed)
    basis = PixelBasis.fit(prepared, np.arange(300), 8, -1, 0.01, seed=0)
    found = basis.project(prepared, np.arange(300))
    for star in (4, 5, 6):
        good = ~changed.mask[star]
        design = basis.components[good] / (basis.weight[good, None] / 0.01)
        weight = changed.errors[star, good] ** -2.0
        information = (design.T * weight) @ design
        rest = changed.values[star, good] - basis.mean[good]
        solution = np.linalg.solve(information, design.T @ (weight * rest))
        np.testing.assert_allclose(found.y[star], solution, atol=2e-2)
        np.testing.assert_allclose(
            found.precision[star], information, rtol=2e-2, atol=2e-2 * information.max()
        )


def test_templates_are_what_an_error_of_the_continuum_looks_like() -> None:
    spectra = stars(300, 11)
    prepared = Inputs.fit(spectra, np.arange(300), ("teff",)).prepare(spectra)
    basis = PixelBasis.fit(prepared, np.arange(300), 8, 1, 0.01, seed=0)
    np.testing.assert_allclose(basis.components.T @ basis.templates, 0, atol=1e-5)
    np.testing.assert_allclose(basis.components.T @ basis.components, np.eye(8), atol=1e-5)
    tilt = basis.mean * np.linspace(-1, 1, N_PIXELS) * basis.weight
    inside = basis.templates @ (basis.templates.T @ tilt)
    np.testing.assert_allclose(inside, tilt, atol=1e-6 * np.abs(tilt).max() + 1e-9)


def test_every_chip_has_a_continuum_of_its_own() -> None:
    whole = stars(300, 11)
    wavelength = np.array(whole.grid.wavelength)  # type: ignore[union-attr]
    wavelength[100:] += 30.0
    spectra = whole.replace(
        grid=WavelengthGrid(wavelength, unit="Angstrom"),
        mask=np.broadcast_to(False, (300, N_PIXELS)),
    )
    prepared = Inputs.fit(spectra, np.arange(300), ("teff",)).prepare(spectra)
    basis = PixelBasis.fit(prepared, np.arange(300), 8, 1, 0.01, seed=0)
    assert basis.n_templates == 4
    level = np.where(np.arange(N_PIXELS) < 100, basis.mean * basis.weight, 0.0)
    np.testing.assert_allclose(basis.templates @ (basis.templates.T @ level), level, atol=1e-6)


# --- settings -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"n_latent": 0}, "n_latent must lie in"),
        ({"n_latent": 90}, "n_latent must not exceed"),
        ({"conditions": ["teff", "teff"]}, "conditions must name"),
        ({"condition_errors": [1.0]}, "condition_errors needs 2"),
        ({"condition_errors": [1.0, -1.0]}, "condition_errors must not be negative"),
        ({"curvature_degree": 1.5}, "curvature_degree must lie in"),
        ({"latents": 3}, "Unknown setting 'latents'"),
    ],
)
def test_settings_are_checked(settings: dict[str, object], message: str) -> None:
    with pytest.raises(StarkinError, match=message):
        ChemicalConfig.from_dict(settings)


def test_settings_survive_json() -> None:
    config = ChemicalConfig(conditions=("teff", "logg", "m_h"), condition_errors=(50, 0.1, 0.05))
    assert ChemicalConfig.from_dict(config.to_dict()) == config
    assert ChemicalConfig().condition_errors == (100.0, 0.2)
    assert ChemicalConfig(conditions=("age", "m_h")).condition_errors == (0.0, 0.1)
    assert smooth_basis(torch.zeros((1, 3)), 0).shape == (1, 1)


def test_fluxes_that_are_not_normalised_are_refused() -> None:
    spectra = stars(20, 3)
    counts = spectra.replace(values=250 * spectra.values, errors=250 * spectra.errors)
    with pytest.raises(StarkinError, match="divide by the continuum"):
        model().encode(counts)
    with pytest.raises(StarkinError, match="divide by the continuum"):
        ChemicalModel().fit(counts)
