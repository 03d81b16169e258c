"""The survey as a whole: one truth behind spectra, magnitudes and labels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from astropy.table import Table

from starkin.simulate import SurveyConfig, iterate_survey, simulate_survey
from starkin.simulate.rare import CLASSES
from starkin.spectra import SpectrumSet, StarkinError, columns, unpack_correlations
from starkin.spectra.photometry import synthetic_photometry


@pytest.fixture(scope="module")
def survey() -> SpectrumSet:
    return simulate_survey(500, seed=1, correlations=True)


def test_it_is_an_archive_like_table(survey):
    assert len(survey) == 500
    assert np.unique(survey.source_id).size == 500
    assert not survey.mask.any()  # bands are missing once in 219 million
    g_mag = survey.label("phot_g_mean_mag")
    assert g_mag.min() > 6.0 - 0.01
    assert g_mag.max() < 17.65 + 0.01
    for name in survey.labels.colnames:
        assert survey.labels[name].description, name
    for name in ("bp_n_relevant_bases", "rp_n_relevant_bases"):
        assert survey.label(name).min() >= 1
        assert survey.label(name).max() <= 55
        # Medians of 1,400 real sources: 6 in BP and 4 in RP.
        assert 3 <= np.median(survey.label(name)) <= 8
    assert survey.meta["simulated"]["seed"] == 1


def test_magnitudes_are_those_of_the_spectrum(survey):
    """Synthetic photometry of the noisy coefficients against the catalogue's G, BP, RP."""
    found = synthetic_photometry(survey)
    bright = survey.label("phot_g_mean_mag") < 16.5
    for name, tolerance in (
        ("phot_g_mean_mag", 0.004),
        ("phot_bp_mean_mag", 0.02),
        ("phot_rp_mean_mag", 0.008),
    ):
        off = np.array(found[name])[bright] - survey.label(name)[bright]
        assert np.median(np.abs(off)) < tolerance, name
        assert abs(np.median(off)) < tolerance / 2, name
    flux = survey.label("phot_g_mean_flux")
    assert 25.6873668671 - 2.5 * np.log10(flux) == pytest.approx(
        survey.label("phot_g_mean_mag"), abs=1e-9
    )


def test_labels_scatter_about_the_truth_by_their_errors(survey):
    for name in ("teff", "logg", "m_h", "alpha_m", "c_m"):
        pull = (survey.label(name) - survey.label(f"true_{name}")) / survey.label(f"{name}_error")
        pull = pull[np.isfinite(pull)]
        assert pull.size > 450
        assert np.std(pull) == pytest.approx(1.0, abs=4 / np.sqrt(2 * pull.size))
        assert np.mean(pull) == pytest.approx(0.0, abs=4 / np.sqrt(pull.size))
    parallax = (survey.label("parallax") - 1 / survey.label("true_distance")) / survey.label(
        "parallax_error"
    )
    assert np.std(parallax) == pytest.approx(1.0, abs=4 / np.sqrt(1000))


def test_luminosity_distance_and_colour_belong_together(survey):
    """Absolute magnitudes from catalogue and truth put dwarfs and giants where they are."""
    absolute = (
        survey.label("phot_g_mean_mag")
        - 5 * np.log10(survey.label("true_distance") * 100)
        - 0.83 * survey.label("true_a_v")
    )
    field = np.asarray(survey.labels["class_name"]) == "field"
    logg, teff = survey.label("true_logg"), survey.label("true_teff")
    sun_like = field & (np.abs(teff - 5772) < 250) & (logg > 4.3)
    clump = field & (np.abs(logg - 2.45) < 0.2)
    assert np.median(absolute[sun_like]) == pytest.approx(4.8, abs=0.45)
    assert np.median(absolute[clump]) == pytest.approx(0.5, abs=0.6)
    unreddened = field & (survey.label("true_a_v") < 0.4)
    colour = survey.label("bp_rp")[unreddened]
    assert np.corrcoef(np.log(teff[unreddened]), colour)[0, 1] < -0.85


def test_published_covariances_are_positive_definite(survey):
    grid = survey.grid
    for row in range(0, 500, 25):
        for band in columns.BANDS:
            packed = survey.correlations[row, grid.correlation_slice(band)].astype(float)
            np.linalg.cholesky(unpack_correlations(packed, grid.band_size(band)))


def test_a_seed_is_a_survey_whatever_the_threads_and_the_length(survey):
    again = simulate_survey(40, seed=1, correlations=True, threads=1)
    # The engine works in batches: fewer stars change the last digits of single precision.
    assert np.array_equal(again.source_id, survey.source_id[:40])
    assert again.values == pytest.approx(survey.values[:40], rel=1e-3, abs=0.02)
    twice = simulate_survey(40, seed=1, correlations=True, threads=2)
    assert twice.fingerprint == again.fingerprint
    assert np.array_equal(twice.correlations, again.correlations)
    assert simulate_survey(40, seed=2).fingerprint != again.fingerprint


def test_alpha_signal_off_leaves_labels_and_takes_the_features(survey):
    """Same stars, same labels; spectra that do not know [α/M]."""
    blind = simulate_survey(40, seed=1, alpha_signal=False)
    assert np.array_equal(
        blind.label("true_alpha_m"), survey.label("true_alpha_m")[:40], equal_nan=True
    )
    shift = np.abs(blind.values - survey.values[:40]) / survey.errors[:40]
    alpha = np.abs(survey.label("true_alpha_m")[:40])
    cool_bright = (survey.label("true_teff")[:40] < 5800) & (
        survey.label("phot_g_mean_mag")[:40] < 17
    )
    enhanced = shift[cool_bright & (alpha > 0.15)].max(axis=1)
    plain = shift[cool_bright & (alpha < 0.03)].max(axis=1)
    assert np.median(enhanced) > 3 * np.median(plain)


def test_scatter_about_the_tracks_moves_ordinary_stars_only(survey):
    moved = simulate_survey(40, seed=1, track_scatter=0.01)
    on = survey[:40]
    assert np.array_equal(moved.label("true_m_h"), on.label("true_m_h"), equal_nan=True)
    assert np.array_equal(moved.label("true_a_v"), on.label("true_a_v"))
    off = np.log(moved.label("true_teff") / on.label("true_teff"))
    field = np.asarray(on.labels["class_name"]) == "field"
    assert 0.006 < np.std(off[field]) < 0.015
    assert not np.any(off[~field & np.isfinite(off)])
    with pytest.raises(StarkinError, match="track_scatter"):
        SurveyConfig(track_scatter=0.2)


def test_classes_come_at_the_shares_asked_for():
    shares = dict.fromkeys(("carbon", "be", "unknown"), 0.3)
    found = simulate_survey(120, seed=3, fractions=shares)
    names = np.asarray(found.labels["class_name"])
    for name in shares:
        assert (names == name).sum() == pytest.approx(36, abs=4 * np.sqrt(25))
    assert np.isnan(found.label("teff")[names == "unknown"]).all()
    # Be stars are blue and carbon stars red once dust is allowed for: E(BP-RP) = 0.42 A_V.
    intrinsic = found.label("bp_rp") - 0.42 * found.label("true_a_v")
    assert np.nanmedian(intrinsic[names == "be"]) < 0.3
    assert np.nanmedian(intrinsic[names == "carbon"]) > 2.0


def test_missing_bands_are_masked_with_their_correlations():
    found = simulate_survey(60, seed=4, missing_bp=0.5, correlations=True)
    gone = found.band_missing("bp")
    assert 15 < gone.sum() < 45
    assert np.isnan(found.correlations[gone, found.grid.correlation_slice("bp")]).all()
    assert np.isfinite(found.correlations[:, found.grid.correlation_slice("rp")]).all()


def test_presets_and_progress():
    done: list[tuple[int, int]] = []
    single = simulate_survey(
        30, seed=5, single_population=True, progress=lambda *told: done.append(told[:2])
    )
    assert done[-1] == (30, 30)
    assert set(single.labels["component"]) == {"thin_disc"}
    for preset in ("survey", "cemp", "single"):
        assert sum(SurveyConfig(preset=preset).class_shares().values()) == pytest.approx(1.0)
    cemp = SurveyConfig(preset="cemp").class_shares()
    contaminants = {name: share for name, share in cemp.items() if name != "cemp"}
    assert len(contaminants) == 7
    assert min(contaminants.values()) == 0.003
    assert max(contaminants.values()) == 0.10
    assert cemp["cemp"] > 0.5


def test_pieces_are_bounded_and_distinct():
    pieces = list(iterate_survey(1100, seed=6, config=SurveyConfig(), threads=2))
    assert [len(p) for p in pieces] == [1024, 76]
    ids = np.concatenate([p.source_id for p in pieces])
    assert np.unique(ids).size == 1100


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"preset": "galaxy"}, "preset"),
        ({"fractions": {"quasar": 0.1}}, "quasar"),
        ({"fractions": {"be": 1.2}}, "share of be"),
        ({"fractions": {"be": 0.7, "carbon": 0.7}}, "sum to 1.4"),
        ({"g_bright": 18.0}, "g_bright"),
        ({"error_underestimate": 0.0}, "error_underestimate"),
        ({"missing_bp": -0.1}, "missing_bp"),
        ({"colour": "red"}, "Unknown setting 'colour' of a simulated survey; it has .*preset"),
        ({"threads": 0}, "threads"),
    ],
)
def test_settings_out_of_range_are_named(settings, message):
    with pytest.raises(StarkinError, match=message):
        simulate_survey(5, seed=0, **settings)
    with pytest.raises(StarkinError, match="at least one star"):
        simulate_survey(0, seed=0)
    assert set(SurveyConfig(preset="cemp").class_shares()) <= set(CLASSES)


def test_leading_coefficients_are_those_of_real_stars(shared: Path, survey):
    """Ratios of the leading coefficients, at the same colour, against 1,400 real stars.

    The real sample is from one high Galactic latitude and the simulated one is not, so
    that dust and gravity differ at a colour: agreement to a tenth of the leading term.
    """
    table = Table.read(shared / "gaia_xp" / "xp_continuous_1400_wide.fits")
    real = np.array(
        [table[f"{b}_coeff_{i}"] for b in ("bp", "rp") for i in range(55)], dtype=float
    ).T
    ones = np.ones_like(real)
    colours = np.array(
        synthetic_photometry(SpectrumSet(np.arange(len(real)), real, ones, survey.grid))["bp_rp"]
    )
    for low, high in ((0.75, 0.95), (0.95, 1.2), (1.2, 1.6)):
        mine = survey.values[(survey.label("bp_rp") > low) & (survey.label("bp_rp") < high)]
        theirs = real[(colours > low) & (colours < high)]
        for start in (0, 55):
            ours, truth = (
                np.median(x[:, start : start + 5] / x[:, [start]], axis=0) for x in (mine, theirs)
            )
            assert ours == pytest.approx(truth, abs=0.10)
        ours, truth = (np.median(x[:, 55] / x[:, 0]) for x in (mine, theirs))
        assert ours == pytest.approx(truth, rel=0.12)


def test_without_noise_everything_else_is_the_same(survey):
    truth = simulate_survey(500, seed=1, correlations=True, noise=False)
    assert truth.source_id.tolist() == survey.source_id.tolist()
    assert np.array_equal(truth.errors, survey.errors)
    assert np.array_equal(truth.correlations, survey.correlations)
    for name in survey.labels.colnames:
        np.testing.assert_array_equal(truth.labels[name], survey.labels[name], err_msg=name)
    pull = (survey.values - truth.values) / survey.errors
    assert pull.std() == pytest.approx(1.0, abs=0.01)
    assert abs(pull.mean()) < 0.02
