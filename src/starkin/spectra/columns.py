"""Every column name, unit and description that starkin reads or writes, once.

Readers, the store, catalogues and reports all take names from here, so a
column is spelt, measured and described in the same way wherever it appears.
Names are the Gaia archive's own where the archive has one.
"""

from __future__ import annotations

from dataclasses import dataclass

SOURCE_ID = "source_id"

# --- spectra as the Gaia archive stores them -------------------------------
BANDS = ("bp", "rp")


def coefficients(band: str) -> str:
    return f"{band}_coefficients"


def coefficient_errors(band: str) -> str:
    return f"{band}_coefficient_errors"


def coefficient_correlations(band: str) -> str:
    return f"{band}_coefficient_correlations"


def standard_deviation(band: str) -> str:
    return f"{band}_standard_deviation"


def n_relevant_bases(band: str) -> str:
    return f"{band}_n_relevant_bases"


# --- columns with a meaning of their own -----------------------------------
G_FLUX = "phot_g_mean_flux"
G_MAG = "phot_g_mean_mag"
BP_MAG = "phot_bp_mean_mag"
RP_MAG = "phot_rp_mean_mag"
BP_FLUX = "phot_bp_mean_flux"
RP_FLUX = "phot_rp_mean_flux"
BP_RP = "bp_rp"
#: Flux and magnitude columns of Gaia's passbands.
PHOTOMETRY = {"G": (G_FLUX, G_MAG), "BP": (BP_FLUX, BP_MAG), "RP": (RP_FLUX, RP_MAG)}
PARALLAX = "parallax"
PARALLAX_ERROR = "parallax_error"
RA, DEC, GLON, GLAT = "ra", "dec", "l", "b"
TEFF, LOGG, M_H, ALPHA_M, C_M = "teff", "logg", "m_h", "alpha_m", "c_m"
TEFF_ERROR, LOGG_ERROR, M_H_ERROR = "teff_error", "logg_error", "m_h_error"
ALPHA_M_ERROR, C_M_ERROR = "alpha_m_error", "c_m_error"
STARFLAG, ASPCAPFLAG = "starflag", "aspcapflag"
A_V, DISTANCE_MODULUS = "a_v", "distance_modulus"
SNR, RADIAL_VELOCITY = "snr", "radial_velocity"
#: What surveys call a star or a spectrum of it.
APOGEE_ID, SDSS_ID, SOBJECT_ID, STAR_ID = "apogee_id", "sdss_id", "sobject_id", "star_id"
CAMERA = "camera"


def abundance(element: str) -> str:
    """Name of the abundance [X/H] of an element: ``mg_h``, …"""
    return f"{element.lower()}_h"


NORMALISATION_FLUX = "g_flux"
NORMALISATION_METHOD = "g_flux_method"

FLAGS = "flags"
MODEL_ID = "model_id"
LOG_LIKELIHOOD = "log_likelihood"
OUTLIER_SCORE = "outlier_score"
CHI2, N_USED = "chi2", "n_used"
POPULATION = "population"
MEMBERSHIP = "membership"

TWIN_ID, TWIN_RANK, TWIN_DISTANCE = "twin_source_id", "twin_rank", "twin_distance"
TWIN_LOG_RATIO, TWIN_PROBABILITY = "twin_log_ratio", "twin_probability"

MAIN_TYPE, OTHER_TYPES = "main_type", "other_types"


def probability(name: str) -> str:
    """Name of the probability of belonging to a class: ``cemp_probability``, …"""
    return f"{name}_probability"


def latent(i: int) -> str:
    """Name of latent dimension ``i`` (counted from 0): ``z1``, ``z2``, …"""
    return f"z{i + 1}"


def latent_error(i: int) -> str:
    """Name of the standard deviation of latent ``i``, in Gaia's style: ``z1_error``."""
    return f"z{i + 1}_error"


def latent_correlation(i: int, j: int) -> str:
    """Name of the correlation of latents ``i < j``, in Gaia's style: ``z1_z2_corr``."""
    return f"z{i + 1}_z{j + 1}_corr"


# --- what only a simulation knows -------------------------------------------
CLASS_NAME = "class_name"
COMPONENT = "component"
#: Stars of one composition (a pair, a cluster) share this number; -1 for a star on its own.
COMPOSITION_ID = "composition_id"


def truth(name: str) -> str:
    """Name of the true value of a label: ``true_teff``, …"""
    return f"true_{name}"


@dataclass(frozen=True)
class ColumnInfo:
    """Unit (an astropy/VOUnit string, empty when dimensionless) and meaning of a column."""

    unit: str
    description: str
    ucd: str = ""


KNOWN: dict[str, ColumnInfo] = {
    SOURCE_ID: ColumnInfo("", "Gaia source identifier", "meta.id;meta.main"),
    G_FLUX: ColumnInfo("electron s-1", "Mean flux in the G band", "phot.flux;em.opt"),
    BP_FLUX: ColumnInfo("electron s-1", "Mean flux in the BP band", "phot.flux;em.opt.B"),
    RP_FLUX: ColumnInfo("electron s-1", "Mean flux in the RP band", "phot.flux;em.opt.R"),
    **{
        f"phot_{band}_mean_flux_error": ColumnInfo(
            "electron s-1", f"Standard error of the mean {band.upper()} flux", "stat.error"
        )
        for band in ("g", "bp", "rp")
    },
    G_MAG: ColumnInfo("mag", "Mean magnitude in the G band (Vega)", "phot.mag;em.opt"),
    BP_MAG: ColumnInfo("mag", "Mean magnitude in the BP band (Vega)", "phot.mag;em.opt.B"),
    RP_MAG: ColumnInfo("mag", "Mean magnitude in the RP band (Vega)", "phot.mag;em.opt.R"),
    BP_RP: ColumnInfo("mag", "BP - RP colour", "phot.color;em.opt.B;em.opt.R"),
    **{
        f"{band}_standard_deviation": ColumnInfo(
            "", f"Standard deviation of the {band.upper()} fit, sqrt(chi2/dof)", "stat.stdev"
        )
        for band in BANDS
    },
    **{
        f"{band}_n_relevant_bases": ColumnInfo(
            "", f"{band.upper()} coefficients that stand out of the noise", "meta.number"
        )
        for band in BANDS
    },
    PARALLAX: ColumnInfo("mas", "Parallax", "pos.parallax.trig"),
    PARALLAX_ERROR: ColumnInfo("mas", "Standard error of the parallax", "stat.error;pos.parallax"),
    RA: ColumnInfo("deg", "Right ascension (ICRS)", "pos.eq.ra;meta.main"),
    DEC: ColumnInfo("deg", "Declination (ICRS)", "pos.eq.dec;meta.main"),
    GLON: ColumnInfo("deg", "Galactic longitude", "pos.galactic.lon"),
    GLAT: ColumnInfo("deg", "Galactic latitude", "pos.galactic.lat"),
    TEFF: ColumnInfo("K", "Effective temperature", "phys.temperature.effective"),
    LOGG: ColumnInfo("log(cm.s**-2)", "Surface gravity", "phys.gravity"),
    M_H: ColumnInfo("", "Metallicity [M/H] (dex)", "phys.abund.Z"),
    ALPHA_M: ColumnInfo("", "Alpha enhancement [alpha/M] (dex)", "phys.abund"),
    C_M: ColumnInfo("", "Carbon enhancement [C/M] (dex)", "phys.abund"),
    TEFF_ERROR: ColumnInfo("K", "Standard error of teff", "stat.error;phys.temperature.effective"),
    LOGG_ERROR: ColumnInfo("log(cm.s**-2)", "Standard error of logg", "stat.error;phys.gravity"),
    M_H_ERROR: ColumnInfo("", "Standard error of m_h (dex)", "stat.error;phys.abund.Z"),
    ALPHA_M_ERROR: ColumnInfo("", "Standard error of alpha_m (dex)", "stat.error;phys.abund"),
    C_M_ERROR: ColumnInfo("", "Standard error of c_m (dex)", "stat.error;phys.abund"),
    SNR: ColumnInfo("", "Median signal-to-noise ratio per pixel", "stat.snr"),
    RADIAL_VELOCITY: ColumnInfo("km s-1", "Barycentric radial velocity", "spect.dopplerVeloc.opt"),
    APOGEE_ID: ColumnInfo("", "APOGEE's name of the star", "meta.id"),
    SDSS_ID: ColumnInfo("", "SDSS-V identifier", "meta.id"),
    SOBJECT_ID: ColumnInfo("", "GALAH identifier", "meta.id"),
    STAR_ID: ColumnInfo("", "Of the star that the spectrum is a visit to", "meta.id"),
    CAMERA: ColumnInfo("", "Camera of the spectrograph, blue to red", "meta.id;instr"),
    STARFLAG: ColumnInfo("", "Star-level flags of the survey", "meta.code"),
    ASPCAPFLAG: ColumnInfo("", "Flags of ASPCAP's fit", "meta.code"),
    COMPOSITION_ID: ColumnInfo("", "Stars of one composition share it, -1 for none (truth)"),
    CLASS_NAME: ColumnInfo("", "Simulated class (truth)", "meta.code.class"),
    COMPONENT: ColumnInfo("", "Simulated Galactic component (truth)", "meta.code.class"),
    "true_teff": ColumnInfo("K", "Simulated effective temperature (truth)"),
    "true_logg": ColumnInfo("log(cm.s**-2)", "Simulated surface gravity (truth)"),
    "true_m_h": ColumnInfo("", "Simulated [M/H] (dex, truth)"),
    "true_alpha_m": ColumnInfo("", "Simulated [alpha/M] (dex, truth)"),
    "true_c_m": ColumnInfo("", "Simulated [C/M] (dex, truth)"),
    "true_age": ColumnInfo("Gyr", "Simulated age (truth)"),
    "true_distance": ColumnInfo("kpc", "Simulated distance (truth)"),
    "true_a_v": ColumnInfo("mag", "Simulated extinction at 550 nm (truth)"),
    A_V: ColumnInfo("mag", "Extinction at 550 nm", "phys.absorption;em.opt.V"),
    DISTANCE_MODULUS: ColumnInfo("mag", "Distance modulus", "phot.mag.distMod"),
    NORMALISATION_FLUX: ColumnInfo(
        "electron s-1", "G flux by which the spectrum was divided", "phot.flux;em.opt"
    ),
    NORMALISATION_METHOD: ColumnInfo("", "Where g_flux comes from", "meta.note"),
    FLAGS: ColumnInfo("", "Quality flags, one bit each (see the page's legend)", "meta.code"),
    MODEL_ID: ColumnInfo("", "Fingerprint of the model that made the row", "meta.id"),
    LOG_LIKELIHOOD: ColumnInfo("", "Log-likelihood of the spectrum [nat]", "stat.likelihood"),
    OUTLIER_SCORE: ColumnInfo("", "Outlier score: larger is stranger", "stat.value"),
    CHI2: ColumnInfo("", "Chi-square of the spectrum at the best labels", "stat.fit.chi2"),
    N_USED: ColumnInfo("", "Values of the spectrum that were fitted", "meta.number"),
    POPULATION: ColumnInfo("", "Population number, -1 for none", "meta.code.class"),
    TWIN_ID: ColumnInfo("", "Identifier of the twin", "meta.id"),
    TWIN_RANK: ColumnInfo("", "Place among the star's twins, 1 for the best", "meta.number"),
    TWIN_DISTANCE: ColumnInfo("", "Distance of the latents [standard deviations]", "stat.value"),
    TWIN_LOG_RATIO: ColumnInfo(
        "", "Log likelihood ratio: same composition against different [nat]", "stat.likelihood"
    ),
    TWIN_PROBABILITY: ColumnInfo("", "Probability of one composition", "stat.probability"),
    MAIN_TYPE: ColumnInfo("", "SIMBAD object type, short code", "src.class"),
    OTHER_TYPES: ColumnInfo("", "All object types SIMBAD has, joined by |", "src.class"),
    MEMBERSHIP: ColumnInfo("", "Probability of the population named", "stat.probability"),
    "cemp_probability": ColumnInfo(
        "", "Probability of being metal-poor and carbon-enhanced", "stat.probability"
    ),
}


def info(name: str) -> ColumnInfo:
    """Unit and description of a column; an empty record when the name is the user's own."""
    return KNOWN.get(name, ColumnInfo("", ""))
